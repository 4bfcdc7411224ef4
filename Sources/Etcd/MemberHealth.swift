// SPDX-License-Identifier: Apache-2.0

/// What one cheap question tells of a member: is it there, which is it, whom does it follow.
package struct MemberHealth: Sendable, Hashable {
    package var status: EndpointStatus
    package var list: MemberList
    package var isHealthy: Bool
    /// Alarms and a missing leader in etcd's words, and what `/health` says; empty when all is well.
    package var complaints: [String]

    package init(status: EndpointStatus, list: MemberList, isHealthy: Bool, complaints: [String] = []) {
        self.status = status
        self.list = list
        self.isHealthy = isHealthy
        self.complaints = complaints
    }

    package var memberID: EtcdID { status.memberID }
    package var clusterID: EtcdID { status.clusterID }

    static let requests: [EtcdRequest] = [.status, .members, .health]

    init(_ answer: ProbeAnswer) throws(EtcdProbeError) {
        let status = try answer.decode("status") { EndpointStatus(json: $0) }
        let list = try answer.decode("members") { MemberList(json: $0) }
        // An unhealthy member answers with 503 and the same JSON.
        let part = try answer.part("health")
        let health = HealthAnswer(json: part.body)
        var complaints = status.errors
        if status.leader == nil, !complaints.contains(where: { $0.contains("no leader") }) {
            complaints.append("no leader")
        }
        if health?.isHealthy != true {
            complaints.append("/health says \(ProbeAnswer.excerpt(part.text, nothing: "nothing in time"))")
        }
        self.init(
            status: status,
            list: list,
            isHealthy: health?.isHealthy == true && status.leader != nil && status.errors.isEmpty,
            complaints: complaints
        )
    }
}
