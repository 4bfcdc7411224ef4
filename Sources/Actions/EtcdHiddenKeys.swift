// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_hidden_keys`: what a migration could not do with hidden keys, done at its end.
///
/// `etcdctl migrate` drops every key that has a name beginning with `_` in its path. Here they are read from the v2 stores
/// of all members, which must have them alike, and written to v3 as they are. Each write happens only where no such key
/// is, so the step may be done again, and what somebody has written to v3 meanwhile is never overwritten.
///
/// Where there were to be none, they are looked for as well: no fingerprint shows one that was written after the preflight.
package struct EtcdHiddenKeys: Action {
    package static let schema = ActionSchema(
        word: "etcd_hidden_keys",
        summary: """
            After a migration and while nothing writes, copy the keys that etcdctl does not migrate, those below a name that \
            begins with _, from v2 to v3 (copy), name those that are left out (skip), or halt when v3 has not all that v2 has (refuse). \
            Otherwise does nothing.
            """,
        parameters: [
            HiddenKeysPolicy.parameter("What is done with hidden keys; as in `etcd_ready`."),
            TTLPolicy.parameter(
                "What is done with hidden keys that expire: they stop the copy (refuse), become permanent (warn, allow), are "
                    + "left out (skip), or get leases of the time that they have left (lease)."
            ),
            .init(
                "transformer",
                .path,
                "The migration's; hidden keys do not go through it, so that they cannot be copied beside it."
            ),
        ],
        example: """
            - name: Hidden keys
              etcd_hidden_keys: { hidden_keys: copy }
            """
    )
    package static let scope = ActionScope.cluster

    private let policy: HiddenKeysPolicy
    private let ttl: TTLPolicy

    package init(_ parameters: Parameters) throws(ActionFailure) {
        policy = HiddenKeysPolicy(parameters)
        ttl = TTLPolicy(parameters)
        if policy == .copy, let transformer = parameters.string("transformer") {
            throw ActionFailure(
                "hidden_keys is copy, and the keys of this migration go through \(transformer): hidden ones would not",
                remedy: "set hidden_keys to skip, and write them to v3 in the transformer's form yourself"
            )
        }
    }

    package var traits: ActionTraits {
        ActionTraits(effect: policy == .copy ? .repeatable : .readOnly, defaultTimeout: .seconds(600))
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("what is there already is left as it is, so that it can be done again")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("hidden keys that were copied to v3 are not taken back: somebody may use them")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        switch policy {
        case .refuse: return try await refuseMissing(context)
        case .warn, .allow:
            return .switchedOff("hidden keys were not to be copied (\(policy.rawValue))")
        case .skip:
            let names = HiddenListing.shown(try await agreed(context).keys.keys.keys)
            return Evidence(
                names.isEmpty
                    ? "no member has hidden keys" : "\(names.count) hidden keys are left out: \(Self.list(names))",
                ["left_out": "\(names.count)", "names": names.prefix(100).joined(separator: "\n")]
            )
        case .copy: return try await copy(context)
        }
    }

    private func copy(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let seen = ContinuousClock.now
        let listing = try await agreed(context)
        try await refuseUnfit(listing, context)
        let expiring = ttl.leavesOut ? listing.seconds : [:]
        let chosen = listing.keys.keys.filter { ttl != .skip || expiring[$0.key] == nil }
        let writing = try await V3Writing(context)
        let missing = try await Self.missing(chosen, in: writing.read(chosen.keys.sorted(), on: writing.node), writing)
        let leases =
            ttl == .lease ? try await writing.leases(of: Set(missing.compactMap { expiring[$0] }), since: seen) : [:]
        let outcome = try await writing.run(
            missing.compactMap { name in
                chosen[name].map { key in
                    let lease = expiring[name].flatMap { leases[$0] }
                    return V3Transaction(name, if: .absent, .put(value: key.value, lease: lease))
                }
            }
        )
        if ttl == .lease { try await writing.revokeUnused() }
        let hash = try await writing.proveEqual()
        try await prove(chosen, mayExpire: Set(expiring.keys), writing)
        try Self.refuseDifference(listing, try await agreed(context), ("before", "after"), "were copied to v3")
        return Self.evidence(listing, chosen, outcome, leases.count, hash)
    }

    // MARK: - v2

    /// The hidden keys, which all members have alike.
    func agreed(_ context: ActionContext) async throws(ActionFailure) -> HiddenListing {
        let nodes = context.etcdNodes
        let answers = await ClusterProbe.hiddenKeys(nodes)
        var listings: [(name: String, listing: HiddenListing)] = []
        var problems: [String] = []
        for node in nodes {
            switch answers[node.name] {
            case .success(let listing): listings.append((node.name, listing))
            case .failure(let error): problems.append(error.description)
            case nil: problems.append("\(node.name): was not asked")
            }
        }
        guard problems.isEmpty, let last = listings.last else {
            throw ActionFailure("the hidden keys cannot be read", problems: problems)
        }
        for one in listings.dropLast() {
            try Self.refuseDifference(one.listing, last.listing, (one.name, last.name), "were read")
        }
        return last.listing
    }

    /// Keys that expire may be gone on one member and not yet on another.
    private static func refuseDifference(
        _ one: HiddenListing,
        _ other: HiddenListing,
        _ names: (String, String),
        _ what: String
    ) throws(ActionFailure) {
        let differences = one.lasting.differences(from: other.lasting, names: names)
        if differences.count == 0 { return }
        throw ActionFailure(
            "\(differences.count) hidden keys of v2 are not the same on \(names.0) and \(names.1); somebody writes to them, or "
                + "wrote while they \(what)",
            problems: differences.lines,
            remedy: "stop whoever writes to v2, then `pawl resume`; what is in v3 with another value is not overwritten"
        )
    }

    /// What the preflight would have refused, and was written since.
    private func refuseUnfit(_ listing: HiddenListing, _ context: ActionContext) async throws(ActionFailure) {
        if ttl == .refuse, !listing.temporary.isEmpty {
            throw ActionFailure(
                "\(listing.temporary.count) hidden keys expire: \(Self.list(HiddenListing.shown(listing.temporary)))",
                remedy: "remove them, or their TTL, then `pawl resume`; ttl_keys says what else may be done with them"
            )
        }
        let isAllowed = try await context.fact("policy.\(PreflightCheck.nonUTF8.name)") != nil
        if !isAllowed, !listing.altered.isEmpty {
            throw ActionFailure(
                "hidden keys hold bytes that are not UTF-8: \(Self.list(HiddenListing.shown(listing.altered)))",
                remedy: "the v2 API does not tell such bytes; write them anew as text, then `pawl resume`"
            )
        }
    }

    // MARK: - v3

    /// Those that v3 has not.
    ///
    /// - Throws: when it has one with another value.
    private static func missing(
        _ chosen: [KeyListing.Name: StoredKey],
        in v3: KeyListing,
        _ writing: V3Writing
    ) throws(ActionFailure) -> [KeyListing.Name] {
        let problems = differences(of: chosen, in: v3, mayBeMissing: Set(chosen.keys))
            .map { "\(writing.node.name): \($0.words)" }
        guard problems.isEmpty else {
            throw ActionFailure(
                "v3 has hidden keys with other values, which are not overwritten",
                problems: problems,
                remedy: "decide which value is right: delete the key from v3 or correct it there, then `pawl resume`"
            )
        }
        return chosen.keys.filter { v3.keys[$0] == nil }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Reads all of them from each member's own store.
    private func prove(
        _ chosen: [KeyListing.Name: StoredKey],
        mayExpire: Set<KeyListing.Name>,
        _ writing: V3Writing
    ) async throws(ActionFailure) {
        var problems: [String] = []
        for node in writing.nodes {
            let v3 = try await writing.read(chosen.keys.sorted(), on: node)
            problems += Self.differences(of: chosen, in: v3, mayBeMissing: mayExpire).map {
                "\(node.name): \($0.words)"
            }
        }
        if problems.isEmpty { return }
        throw ActionFailure(
            "hidden keys are not in v3 as they are in v2",
            problems: Self.firstLines(problems),
            remedy: "somebody else writes to v3: stop that, decide which value is right, then `pawl resume`"
        )
    }

    /// What v3 lacks, or has with another value, in the order of the names.
    static func differences(
        of chosen: [KeyListing.Name: StoredKey],
        in v3: KeyListing,
        mayBeMissing: Set<KeyListing.Name> = []
    ) -> [(name: KeyListing.Name, words: String)] {
        chosen.sorted { $0.key.lexicographicallyPrecedes($1.key) }.compactMap { name, key in
            let shown = String(decoding: name, as: UTF8.self)
            guard let found = v3.keys[name] else {
                return mayBeMissing.contains(name) ? nil : (name, "\(shown) is not in v3")
            }
            if found.value == key.value { return nil }
            let words =
                "\(shown) (v2: modified \(key.modified), \(key.digest); v3: revision \(found.modified), \(found.digest))"
            return (name, words)
        }
    }

    // MARK: - Words

    static func firstLines(_ lines: [String]) -> [String] {
        lines.prefix(10) + (lines.count > 10 ? ["and \(lines.count - 10) more"] : [])
    }

    static func list(_ names: [String]) -> String {
        names.prefix(10).joined(separator: ", ") + (names.count > 10 ? " and \(names.count - 10) more" : "")
    }

    private static func evidence(
        _ listing: HiddenListing,
        _ chosen: [KeyListing.Name: StoredKey],
        _ outcome: V3Writer.Outcome,
        _ leases: Int,
        _ hash: HashKV
    ) -> Evidence {
        let names = HiddenListing.shown(chosen.keys)
        let leftOut = HiddenListing.shown(listing.keys.keys.keys.filter { chosen[$0] == nil })
        let there = chosen.count - outcome.written
        var words =
            names.isEmpty
            ? "no hidden keys to copy" : "\(names.count) hidden keys are in v3 as they are in v2: \(list(names))"
        if there > 0 { words += "; \(there) were there already" }
        if leases > 0 { words += "; with \(leases) leases" }
        if !leftOut.isEmpty { words += "; \(leftOut.count) that expire are left out: \(list(leftOut))" }
        return Evidence(
            words,
            [
                "keys": "\(names.count)", "written": "\(outcome.written)", "left_out": "\(leftOut.count)",
                "leases": "\(leases)", "names": names.prefix(100).joined(separator: "\n"), "hash": "\(hash.hash)",
                "revision": "\(hash.revision)",
            ]
        )
    }
}

extension Collection<KeyListing.Name> {
    /// In the order of their bytes.
    func sorted() -> [KeyListing.Name] { sorted { $0.lexicographicallyPrecedes($1) } }
}
