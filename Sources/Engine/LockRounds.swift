// SPDX-License-Identifier: Apache-2.0

import Remote
import Rollout

/// Takes a lock on the nodes and gives it back: performs what ``LockClaim`` decides.
struct LockRounds: Sendable {
    let nodes: LockNodes
    /// Whether each node is asked what run it is in, in the command that takes its lock.
    var asksForReplicas = false

    /// How it went, with what people must be told.
    struct End: Sendable {
        var result: LockClaim.Result
        /// Locks of others that were in the way.
        var holders: [String: NodeLock] = [:]
        /// Why a node could not be written to.
        var failures: [String: String] = [:]
        /// Nodes that may have it without having said so.
        var doubtful: Set<String> = []
        /// What nodes said of runs, as ``ReplicaScript/reading(_:)`` prints it.
        var replicas: [String: [UInt8]] = [:]
    }

    /// Takes a lock on the hosts of the cluster, then on those beside it.
    ///
    /// - Parameters:
    ///   - lock: what is written; its token is the claim's.
    ///   - claim: decides; its sights may hold locks that are replaced.
    ///   - survey: what the nodes showed.
    ///   - note: a line for the nodes' `unlocks`, when this is an operator's decision.
    /// - Returns: whether it is held, and if not, why.
    func take(_ lock: NodeLock, _ claim: LockClaim, _ survey: LockSurvey, note: String? = nil) async -> End {
        var end = await takeCluster(lock, claim, survey, note)
        guard case .held(var held) = end.result else { return end }
        let others = Set(survey.sights.keys).subtracting(nodes.members)
        guard !others.isEmpty else { return end }
        await withTaskGroup(of: Reply.self) { group in
            for host in others {
                group.addTask { await take(lock, on: host, survey, replacing: survey.sights[host]?.lock?.key, note) }
            }
            for await reply in group {
                end.note(reply)
                if reply.answer == .taken { held.insert(reply.host) }
                if case .held(let holder) = reply.answer { end.result = .lost(node: reply.host, to: holder) }
                if reply.answer == .behind { end.result = .stale }
            }
        }
        if case .held = end.result {
            end.result = .held(nodes: held)
        } else {
            _ = await release(lock.key, in: survey.sights.mapValues(\.directory))
        }
        return end
    }

    private func takeCluster(_ lock: NodeLock, _ claim: LockClaim, _ survey: LockSurvey, _ note: String?) async -> End {
        await withTaskGroup(of: Reply.self) { group in
            var claim = claim
            var end = End(result: .tooFew(reached: 0, needed: claim.needed))
            var directives = claim.begin()
            while true {
                for directive in directives {
                    switch directive {
                    case .take(let host, let holder):
                        let key = holder.map(NodeLock.Key.init)
                        group.addTask { await take(lock, on: host, survey, replacing: key, note) }
                    case .giveBack(let host):
                        group.addTask { await giveBack(lock.key, on: host, survey) }
                    case .finish(let result):
                        end.result = result
                        return end
                    }
                }
                guard let reply = await group.next() else { return end }
                end.note(reply)
                directives = claim.handle(reply.answer, from: reply.host)
            }
        }
    }

    /// Removes a lock from the nodes that have it.
    ///
    /// - Returns: for each node where that failed, why.
    func release(_ key: NodeLock.Key, in directories: [String: String]) async -> [String: String] {
        await withTaskGroup(of: (String, String?).self) { group in
            for (host, directory) in directories {
                group.addTask {
                    switch await run(
                        "lock: give it back",
                        LockScript.release(key, in: directory),
                        on: host,
                        givesBack: true
                    ) {
                    case .success: (host, nil)
                    case .failure(let trouble): (host, trouble.message)
                    }
                }
            }
            var failures: [String: String] = [:]
            for await (host, failure) in group { failures[host] = failure }
            return failures
        }
    }

    /// Removes the lock from a node amid what else is to be done there for the last time, in one command.
    ///
    /// - Throws: when nobody knows what came of it.
    func release(
        _ key: NodeLock.Key,
        in directory: String,
        on host: String,
        _ leaving: LockScript.Leaving
    ) async throws(RemoteError) -> LockScript.LeavingFailures {
        guard let node = nodes.nodes[host] else { throw RemoteError(.unreachable, host: host, "no such host") }
        var command = RemoteCommand(
            "tell the node how the run ended",
            script: LockScript.release(key, in: directory, leaving),
            effect: .mutating
        )
        command.isLast = true
        return LockScript.failures(of: leaving, in: try await node.host.runRepeatably(command))
    }

    // MARK: - One node

    /// What one node said.
    struct Reply: Sendable {
        var host: String
        var answer: LockClaim.Answer
        var holder: NodeLock?
        var failure: String?
        var replicas: [UInt8]?
    }

    private func take(
        _ lock: NodeLock,
        on host: String,
        _ survey: LockSurvey,
        replacing key: NodeLock.Key?,
        _ note: String?
    ) async -> Reply {
        guard let directory = survey.sights[host]?.directory else { return Reply(host: host, answer: .notReached) }
        let question = asksForReplicas ? nodes.nodes[host].map { ReplicaScript.reading($0.state) } : nil
        let script = LockScript.take(lock, in: directory, replacing: key, note: note, besides: question)
        switch await run("lock: take it", script, on: host) {
        case .success(let said):
            switch said.answer {
            case .taken: return Reply(host: host, answer: .taken, replicas: said.besides)
            case .held(let other):
                return Reply(host: host, answer: .held(LockClaim.Holder(other.key)), holder: other)
            case .behind: return Reply(host: host, answer: .behind)
            case .released, .absent: return Reply(host: host, answer: .inDoubt)
            }
        case .failure(let trouble):
            return Reply(host: host, answer: trouble.mayHaveBegun ? .inDoubt : .notReached, failure: trouble.message)
        }
    }

    private func giveBack(_ key: NodeLock.Key, on host: String, _ survey: LockSurvey) async -> Reply {
        guard let directory = survey.sights[host]?.directory else { return Reply(host: host, answer: .notReached) }
        switch await run("lock: give it back", LockScript.release(key, in: directory), on: host, givesBack: true) {
        case .success: return Reply(host: host, answer: .givenBack)
        case .failure(let trouble): return Reply(host: host, answer: .inDoubt, failure: trouble.message)
        }
    }

    /// Why a node did not answer as asked.
    private struct Trouble: Error {
        var message: String
        var mayHaveBegun: Bool
    }

    /// What a node answered of its lock, and to what it was asked besides.
    private struct Said: Sendable {
        var answer: LockScript.Answer
        var besides: [UInt8]?
    }

    /// To give a lock back may be done twice, and is the last that is asked of a node.
    private func run(
        _ label: String,
        _ script: String,
        on host: String,
        givesBack: Bool = false
    ) async -> Result<Said, Trouble> {
        guard let node = nodes.nodes[host] else {
            return .failure(Trouble(message: "no such host", mayHaveBegun: false))
        }
        do {
            // To read a long replica over a slow link may take as long as it could if it were asked for by itself.
            let timeout = Duration.seconds(asksForReplicas ? 50 : 20)
            var command = RemoteCommand(label, script: script, effect: .mutating, timeout: timeout)
            command.isLast = givesBack
            let result = givesBack ? try await node.host.runRepeatably(command) : try await node.host.run(command)
            return .success(
                Said(
                    answer: try LockScript.answer(result),
                    besides: result.exitCode == 0 ? LockScript.besides(result) : nil
                )
            )
        } catch let error as RemoteError {
            return .failure(Trouble(message: error.message, mayHaveBegun: !error.isNotBegun))
        } catch {
            // The node says what failed, and not how far it came before that.
            return .failure(Trouble(message: "\(error)", mayHaveBegun: true))
        }
    }
}

extension LockRounds.End {
    fileprivate mutating func note(_ reply: LockRounds.Reply) {
        holders[reply.host] = reply.holder ?? holders[reply.host]
        failures[reply.host] = reply.failure ?? failures[reply.host]
        replicas[reply.host] = reply.replicas ?? replicas[reply.host]
        if reply.answer == .inDoubt { doubtful.insert(reply.host) }
        if reply.answer == .givenBack { doubtful.remove(reply.host) }
    }
}
