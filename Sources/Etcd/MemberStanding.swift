// SPDX-License-Identifier: Apache-2.0

import Remote

/// What decides which way of migration fits, of one member at one moment.
package struct MemberStanding: Sendable, Hashable {
    /// The v3 store's revision.
    package var revision: Int64
    /// Digest of the v2 keys that do not expire.
    package var permanent: String
    /// Digest of those that do; `nil` where there are none.
    package var temporary: String?
    package var temporaryKeys: Int
    package var ttlDirectories: Int
    /// Whether the data directory is on the file system of the directory that it is in, so that a copy beside it can be
    /// renamed into it.
    package var hasRoomBeside: Bool
    package var dataKilobytes: Int?
    package var freeKilobytes: Int?

    package init(
        revision: Int64 = 1,
        permanent: String,
        temporary: String? = nil,
        temporaryKeys: Int = 0,
        ttlDirectories: Int = 0,
        hasRoomBeside: Bool = true,
        dataKilobytes: Int? = nil,
        freeKilobytes: Int? = nil
    ) {
        self.revision = revision
        self.permanent = permanent
        self.temporary = temporary
        self.temporaryKeys = temporaryKeys
        self.ttlDirectories = ttlDirectories
        self.hasRoomBeside = hasRoomBeside
        self.dataKilobytes = dataKilobytes
        self.freeKilobytes = freeKilobytes
    }

    init(_ answer: ProbeAnswer, host: String) throws(EtcdProbeError) {
        let status = try answer.decode("status") { EndpointStatus(json: $0) }
        let report = String(decoding: try answer.body("fingerprint"), as: UTF8.self)
        let fingerprint = try Fingerprint(report: report, host: host)
        let words = try answer.part("room").text.split(whereSeparator: \.isWhitespace)
        self.init(
            revision: status.revision,
            permanent: fingerprint.permanent,
            temporary: fingerprint.temporary,
            temporaryKeys: fingerprint.temporaryKeys,
            ttlDirectories: fingerprint.ttlDirectories,
            hasRoomBeside: words.first == "beside",
            dataKilobytes: words.dropFirst().first.flatMap { Int($0) },
            freeKilobytes: words.dropFirst(2).first.flatMap { Int($0) }
        )
    }
}

extension ClusterProbe {
    /// Asks every member once; read-only, and nothing goes through raft.
    package static func standings(_ nodes: [EtcdNode]) async -> [String: Result<MemberStanding, EtcdProbeError>] {
        await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            script.ask([.status])
            script.ask("fingerprint", Fingerprint.script(node.settings))
            script.ask("room", roomScript(node.settings))
            let answer = try await script.run(on: node, label: "ask etcd how it stands", timeout: .seconds(150))
            return try MemberStanding(answer, host: node.name)
        }
    }

    /// `beside` or `none`, the size of the data and what is free, in kilobytes.
    private static func roomScript(_ settings: EtcdSettings) -> String {
        let data = ShellQuoting.quote(settings.dataDir)
        return """
            place=none
            if [ "$(stat -c %d -- \(data) 2>/dev/null)" = "$(stat -c %d -- \(data)/.. 2>/dev/null)" ]; then place=beside; fi
            printf '%s %s %s\\n' "$place" "$(du -sk -- \(data) 2>/dev/null | cut -f 1)" \
            "$(df -Pk -- \(data) 2>/dev/null | { read -r _; read -r _ _ _ free _; echo "$free"; })"
            """
    }
}
