// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Remote

/// The nodes that one lock is for.
struct LockNodes: Sendable {
    struct Node: Sendable {
        var host: any RemoteHost
        /// Where it keeps its lock.
        var state: NodeState
        /// Whom commands run as there; `nil` for the login user.
        var user: String?
    }

    /// The hosts of the cluster, of which more than half must grant the lock.
    var members: [String]
    /// Those, and the hosts beside the cluster that may be changed too, as the writers that are frozen.
    var nodes: [String: Node]

    init(members: [String], nodes: [String: Node]) {
        self.members = members
        self.nodes = nodes
    }

    /// The hosts of a play.
    init(_ play: Play, _ hosts: HostDirectory) {
        let become = play.playbook.become.value
        members = play.hosts
        nodes = [:]
        for name in play.allHosts.keys {
            guard let target = hosts.target(name, become: become) else { continue }
            let user = hosts.user(of: name, become: become)
            nodes[name] = Node(host: target.host, state: hosts.state(of: name), user: user)
        }
    }

    /// How many members are more than half of them.
    var needed: Int { members.count / 2 + 1 }

    /// Shell that asks hosts for their lock in a command that asks for other things too, by host.
    func questions(to names: some Sequence<String>) -> [String: String] {
        var questions: [String: String] = [:]
        for name in names { questions[name] = nodes[name].map { LockScript.look($0.state) } }
        return questions
    }

    /// Asks hosts for their lock, all at the same time.
    func look(at names: some Sequence<String>) async -> LockSurvey {
        await withTaskGroup(of: (String, Result<String, RemoteError>).self) { group in
            for name in names {
                guard let node = nodes[name] else { continue }
                group.addTask { (name, await node.answer(LockScript.look(node.state))) }
            }
            var survey = LockSurvey()
            for await (name, answer) in group {
                switch answer {
                case .success(let output): survey.note(output, from: name)
                case .failure(let error): survey.failures[name] = error.message
                }
            }
            return survey
        }
    }
}

extension LockNodes.Node {
    fileprivate func answer(_ script: String) async -> Result<String, RemoteError> {
        do throws(RemoteError) {
            let command = RemoteCommand("look at the lock", script: script, effect: .readOnly)
            return .success(try await host.run(command).output)
        } catch {
            return .failure(error)
        }
    }
}
