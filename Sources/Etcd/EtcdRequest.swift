// SPDX-License-Identifier: Apache-2.0

/// One question to a member's client URL that curl can ask.
///
/// The gateway (JSON over HTTP for the v3 API) answers in the same curl process what would otherwise take one etcdctl
/// start each. Its prefix depends on the version: `/v3` since 3.4, `/v3beta` in 3.3, `/v3alpha` in 3.1 and 3.2. It can
/// be off (`--enable-grpc-gateway=false`); then ``fallback`` asks the same through etcdctl. `endpoint hashkv` is not
/// among these: the gateway's `maintenance/hash` answers with the hash of the whole backend, which differs between
/// equal members (seen with 3.4.23).
enum EtcdRequest: String, Sendable, CaseIterable {
    case status, members, count, leases
    /// Goes through raft, as `/health` does.
    case alarms
    case version, health, auth
    /// v2 users and roles; the member's own, without the quorum (etcd, `v2auth.requestResource`).
    case users, roles

    /// What is asked again as a user where the v3 API's authentication is on, and nobody else was told.
    ///
    /// 3.4.23 tells everybody alarms and the ids of leases, as it does status and members; another version may not.
    static let ofUsers: Set<EtcdRequest> = [.count, .leases, .alarms]

    var isGateway: Bool { gatewayPath != nil }

    var gatewayPath: String? {
        switch self {
        case .status: "maintenance/status"
        case .members: "cluster/member/list"
        case .count: "kv/range"
        // This form is known to 3.3 and 3.4; 3.3 does not know `lease/leases`.
        case .leases: "kv/lease/leases"
        case .alarms: "maintenance/alarm"
        case .version, .health, .auth, .users, .roles: nil
        }
    }

    var path: String {
        switch self {
        case .version: "/version"
        case .health: "/health"
        case .auth: "/v2/auth/enable"
        case .users: "/v2/auth/users"
        case .roles: "/v2/auth/roles"
        case .status, .members, .count, .leases, .alarms: ""
        }
    }

    /// What is posted to the gateway.
    ///
    /// The range from the key `\0` to `\0` is every key; serializable is the member's own store, without a round
    /// through raft.
    var body: String {
        switch self {
        case .count: #"{"key":"AA==","range_end":"AA==","serializable":true,"count_only":true}"#
        default: "{}"
        }
    }

    var fallback: EtcdctlCommand? {
        switch self {
        case .status: .endpointStatus
        case .members: .memberList
        case .count: .count
        case .leases: .leaseList
        case .alarms: .alarmList
        case .version, .health, .auth, .users, .roles: nil
        }
    }
}
