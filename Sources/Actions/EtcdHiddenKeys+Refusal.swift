// SPDX-License-Identifier: Apache-2.0

import Etcd

/// Hidden keys that should not be there: the preflight has seen none, and no fingerprint shows one that was written since.
extension EtcdHiddenKeys {
    /// Looks for hidden keys that v3 has not as they are in v2; those that somebody has put there are no loss.
    ///
    /// - Throws: when there are some, with their names.
    func refuseMissing(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let keys = try await agreed(context).keys.keys
        if keys.isEmpty { return Evidence("no member has hidden keys", ["keys": "0"]) }
        let names = keys.keys.sorted()
        var hosts: [String: [String]] = [:]
        var missing: [(name: KeyListing.Name, words: String)] = []
        do throws(ActionFailure) {
            let writing = try await V3Writing(context)
            for node in writing.nodes {
                for one in Self.differences(of: keys, in: try await writing.read(names, on: node)) {
                    if hosts[one.words] == nil { missing.append(one) }
                    hosts[one.words, default: []].append(node.name)
                }
            }
        } catch {
            let shown = Self.list(HiddenListing.shown(names))
            var refusal = Self.refusal(
                "v2 has \(keys.count) hidden keys, and whether v3 has them cannot be told: \(shown)",
                [error.description]
            )
            (refusal.isFenced, refusal.isUnreachable) = (error.isFenced, error.isUnreachable)
            throw refusal
        }
        let lost = Set(missing.map(\.name)).count
        if lost == 0 {
            let shown = Self.list(HiddenListing.shown(names))
            return Evidence(
                "\(keys.count) hidden keys are in v3 as they are in v2: \(shown)",
                ["keys": "\(keys.count)"]
            )
        }
        let lines = missing.map { one in
            let some = hosts[one.words] ?? []
            let all = some.count == context.etcdNodes.count
            return one.words + (all ? ", on all members" : ", on \(some.joined(separator: ", "))")
        }
        throw Self.refusal(
            "\(lost) hidden keys of v2 are not in v3 as they are in v2; etcdctl does not migrate them, and those that the "
                + "preflight has not refused were written after it",
            Self.firstLines(lines)
        )
    }

    /// The policy is part of the plan, which a resume holds on to, so that another one takes another run.
    private static func refusal(_ message: String, _ problems: [String]) -> ActionFailure {
        ActionFailure(
            message,
            problems: problems,
            remedy:
                "stop whoever writes them; put each into v3 with its value from v2, or delete it from v2 where nobody needs "
                + "it, then `pawl resume`. Or take the members back with `pawl rollback`, and run anew with "
                + "-e hidden_keys=copy, which writes them to v3, or =skip, which leaves them out"
        )
    }
}
