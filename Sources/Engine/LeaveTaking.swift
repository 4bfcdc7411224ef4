// SPDX-License-Identifier: Apache-2.0

import Remote

/// What is done on the nodes of a run that is over, once more where a node is away, as one that reboots.
///
/// What is left there is removed by the next run only.
struct LeaveTaking: Sendable {
    /// Until when nodes that are away are waited for.
    let end: ContinuousClock.Instant

    /// A run that is not done has news that must not wait.
    init(isDone: Bool) {
        end = .now + (isDone ? .seconds(30) : .zero)
    }

    /// Visits places side by side, until none of them is away or time is up.
    ///
    /// - Parameters:
    ///   - places: where to do it.
    ///   - wait: is told once which hosts are waited for.
    ///   - deed: what to do, which may be done twice; it returns why it could not be done.
    /// - Returns: what could not be done, in the order of the hosts.
    func visit<Place: Hashable & Sendable>(
        _ places: Set<Place>,
        wait: @Sendable ([String]) async -> Void = { _ in },
        _ deed: @escaping @Sendable (Place) async -> RemoteError?
    ) async -> [RemoteError] {
        var settled: [RemoteError] = []
        var waiting = places
        var isTold = false
        while true {
            let failures = await round(waiting, deed)
            let away = failures.filter(\.isAway)
            settled += failures.filter { !$0.isAway }.map(\.error)
            let isOver = away.isEmpty || ContinuousClock.now >= end
            if !isOver, !isTold { await wait(Set(away.map(\.error.host)).sorted()) }
            isTold = true
            guard !isOver, (try? await Task.sleep(for: .seconds(1))) != nil else {
                return (settled + away.map(\.error)).sorted { $0.host < $1.host }
            }
            waiting = Set(away.map(\.place))
        }
    }

    private struct Failure<Place: Hashable & Sendable>: Sendable {
        var place: Place
        var error: RemoteError
        var isAway: Bool { error.isAway }
    }

    private func round<Place>(
        _ places: Set<Place>,
        _ deed: @escaping @Sendable (Place) async -> RemoteError?
    ) async -> [Failure<Place>] {
        await withTaskGroup(of: Failure<Place>?.self) { group in
            for place in places {
                group.addTask { await deed(place).map { Failure(place: place, error: $0) } }
            }
            return await group.reduce(into: []) { if let failure = $1 { $0.append(failure) } }
        }
    }
}

extension RemoteError {
    /// Whether the node may be there again soon; one that goes down, or comes up, may give no shell.
    var isAway: Bool { [.unreachable, .shell, .inDoubt].contains(code) }
}
