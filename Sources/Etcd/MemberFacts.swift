// SPDX-License-Identifier: Apache-2.0

/// Everything that is asked of a member before anything changes.
package struct MemberFacts: Sendable, Hashable {
    package var health: MemberHealth
    package var version: VersionAnswer
    /// `nil` when the v3 API did not tell; the usual reason is that its authentication is on.
    package var count: RangeCount?
    /// What was said instead of the count.
    package var countRefusal: String?
    /// Why a user who may count the keys may not ask for their hash, where authentication is on.
    package var adminRefusal: String?
    /// `nil` when this version does not tell.
    package var leases: LeaseList?
    /// `nil` when the member did not tell, as with v3 authentication on.
    package var alarms: AlarmList?
    /// `nil` when the v2 API is off.
    package var v2Users: V2Users?
    package var fingerprint: Result<Fingerprint, EtcdProbeError>
    package var node: NodeFacts

    package var status: EndpointStatus { health.status }
    package var memberID: EtcdID { health.status.memberID }
    /// The member's name in its cluster, which need not be the host's in the inventory.
    package var memberName: String { health.list.name(of: memberID) }

    static let requests: [EtcdRequest] = [
        .status, .members, .count, .leases, .alarms, .version, .auth, .users, .roles, .health,
    ]

    init(_ answer: ProbeAnswer, node: EtcdNode) throws(EtcdProbeError) {
        health = try MemberHealth(answer)
        version = try answer.decode("version") { VersionAnswer(json: $0) }
        let count = try answer.part("count")
        self.count = count.isGood ? RangeCount(json: count.body) : nil
        countRefusal = self.count == nil ? ProbeAnswer.lastWords(count.text) : nil
        adminRefusal = answer["admin"].flatMap { $0.isGood ? nil : ProbeAnswer.lastWords($0.text) }
        leases = answer["leases"].flatMap { $0.isGood ? LeaseList($0.body) : nil }
        alarms = answer["alarms"].flatMap { part in
            part.isGood ? AlarmList(json: part.body) ?? AlarmList(text: part.text) : nil
        }
        v2Users = V2Users(answer)
        let report = try answer.body("fingerprint")
        do throws(EtcdProbeError) {
            fingerprint = .success(
                try Fingerprint(report: String(decoding: report, as: UTF8.self), host: node.name)
            )
        } catch {
            fingerprint = .failure(error)
        }
        self.node = NodeFacts(
            report: String(decoding: try answer.body("node"), as: UTF8.self),
            etcdctl: answer["etcdctl"]?.text ?? "",
            hasMigrate: answer["migrate"]?.isGood == true
        )
    }
}
