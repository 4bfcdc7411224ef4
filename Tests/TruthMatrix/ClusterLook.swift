// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes

/// What every member holds and says, asked with curl and etcdctl alone.
struct ClusterLook: Sendable {
    struct V2Key: Sendable, Equatable {
        var value: String
        var created: Int
        var modified: Int
        var hasTTL: Bool
    }
    struct V3Key: Sendable, Equatable {
        var value: String
        var created: Int
        var modified: Int
        var hasLease: Bool
    }
    struct Member: Sendable {
        var name: String
        var isHealthy: Bool
        /// `nil` where the member does not answer.
        var v2: [String: V2Key]?
        var v3: [String: V3Key]?
        /// The hash of its v3 store, and the revision that it is of.
        var hash: Int?
        var revision: Int?
        /// Tells one process of etcd from the next, and whether there are backups of pawl's.
        var trace: String
    }
    var members: [Member]

    static func take(of site: Site) async throws -> ClusterLook {
        let texts = try await withThrowingTaskGroup(of: (String, String).self) { group in
            for node in site.nodes { group.addTask { (node.name, try await node.check(script(node))) } }
            return try await group.reduce(into: [String: String]()) { $0[$1.0] = $1.1 }
        }
        return ClusterLook(members: site.nodes.map { member($0.name, texts[$0.name] ?? "") })
    }

    /// One line for each thing that is asked; `null` where there is no answer.
    private static func script(_ node: LabNode) -> String {
        """
        export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=\(node.clientURL)
        one() { if out=$("$@" 2>/dev/null) && [ -n "$out" ]; then printf '%s\\n' "$out"; else echo null; fi; }
        one curl -sS --fail --noproxy '*' -m 5 "\(node.clientURL)/v2/keys/?recursive=true&sorted=true"
        one /usr/bin/etcdctl --command-timeout=5s get '' --from-key --consistency=s -w json
        one /usr/bin/etcdctl --command-timeout=5s endpoint hashkv -w json
        if /usr/bin/etcdctl --command-timeout=5s endpoint health >/dev/null 2>&1; then echo true; else echo false; fi
        systemctl show -p InvocationID etcd
        echo $(ls -A -I '*.ahead' /var/backups/pawl 2>/dev/null)
        """
    }

    private static func member(_ name: String, _ text: String) -> Member {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { Data($0.utf8) }
        func decode<T: Decodable>(_ type: T.Type, _ line: Int) -> T? {
            lines.count > line ? try? JSONDecoder().decode(type, from: lines[line]) : nil
        }
        let hash = decode([HashAnswer].self, 2)?.first?.answer
        return Member(
            name: name,
            isHealthy: decode(Bool.self, 3) ?? false,
            v2: decode(V2Answer.self, 0)?.node.keys,
            v3: decode(V3Answer.self, 1)?.keys,
            hash: hash?.hash,
            revision: hash?.header.revision,
            trace: lines.dropFirst(4).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
        )
    }

    // MARK: - What etcd answers

    private struct V2Answer: Decodable {
        struct Node: Decodable {
            var key: String?
            var value: String?
            var dir: Bool?
            var nodes: [Node]?
            var ttl: Int?
            var createdIndex: Int?
            var modifiedIndex: Int?

            var keys: [String: V2Key] {
                if dir == true || key == nil {
                    return (nodes ?? []).reduce(into: [:]) { $0.merge($1.keys) { $1 } }
                }
                let own = V2Key(
                    value: value ?? "",
                    created: createdIndex ?? 0,
                    modified: modifiedIndex ?? 0,
                    hasTTL: ttl != nil
                )
                return [key ?? "": own]
            }
        }
        var node: Node
    }

    private struct V3Answer: Decodable {
        struct Pair: Decodable {
            var key: Data
            var value: Data?
            var created: Int
            var modified: Int
            var lease: Int?

            enum CodingKeys: String, CodingKey {
                case key, value, lease
                case created = "create_revision"
                case modified = "mod_revision"
            }
        }
        var kvs: [Pair]?

        var keys: [String: V3Key] {
            (kvs ?? []).reduce(into: [:]) { keys, pair in
                keys[String(decoding: pair.key, as: UTF8.self)] = V3Key(
                    value: String(decoding: pair.value ?? Data(), as: UTF8.self),
                    created: pair.created,
                    modified: pair.modified,
                    hasLease: (pair.lease ?? 0) != 0
                )
            }
        }
    }

    private struct HashAnswer: Decodable {
        struct Hash: Decodable {
            struct Header: Decodable { var revision: Int }
            var header: Header
            var hash: Int
        }
        var answer: Hash

        enum CodingKeys: String, CodingKey { case answer = "HashKV" }
    }
}
