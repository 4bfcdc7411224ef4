// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets one operation at a time use a session, in the order in which they came.
///
/// libssh2 keeps the state of a half-done call in the session: the same call must be repeated with the same buffer
/// before any other is made (libssh2 `docs/libssh2_channel_write_ex.3`). An actor alone does not give that, because it
/// lets others in at each `await`.
final class OperationGate: Sendable {
    private struct State {
        var isTaken = false
        var nextID: UInt64 = 0
        var waiting: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        /// Cancelled before they came to wait.
        var cancelledEarly: Set<UInt64> = []
    }

    private let state = Mutex(State())

    /// Waits for the turn.
    ///
    /// - Returns: false when the task was cancelled before its turn came; the gate was not taken then.
    func enter(isolation: isolated (any Actor)? = #isolation) async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        // A cancellation that comes together with the turn is left to what is done with the turn.
        defer { state.withLock { _ = $0.cancelledEarly.remove(id) } }
        return await withTaskCancellationHandler {
            // A closure is isolated to a parameter only if it captures it (SE-0420); without it, each turn would cost
            // a way over the cooperative pool and back.
            _ = isolation
            return await withCheckedContinuation(isolation: isolation) { continuation in
                let answer: Bool? = state.withLock { state in
                    if state.cancelledEarly.remove(id) != nil { return false }
                    if !state.isTaken {
                        state.isTaken = true
                        return true
                    }
                    state.waiting.append((id, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let continuation = state.withLock { state -> CheckedContinuation<Bool, Never>? in
                if let index = state.waiting.firstIndex(where: { $0.id == id }) {
                    return state.waiting.remove(at: index).continuation
                }
                state.cancelledEarly.insert(id)
                return nil
            }
            continuation?.resume(returning: false)
        }
    }

    /// Hands the turn to the one who waits longest.
    func leave() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}
