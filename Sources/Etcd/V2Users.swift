// SPDX-License-Identifier: Apache-2.0

/// The users and roles of the v2 API, which a migration leaves behind.
package struct V2Users: Sendable, Hashable {
    /// Whether users must log in.
    package var isEnabled: Bool
    package var users: [String]
    /// Without `root`, which every store has.
    package var roles: [String]

    package init(isEnabled: Bool, users: [String], roles: [String]) {
        self.isEnabled = isEnabled
        self.users = users
        self.roles = roles
    }

    /// Reads `/v2/auth/enable`, `/users` and `/roles`; `nil` when the v2 API is off.
    ///
    /// Where users must log in, only root may list them: then there are no names.
    init?(_ answer: ProbeAnswer) {
        struct Users: Decodable {
            struct User: Decodable { var user: String }
            var users: [User]?
        }
        struct Roles: Decodable {
            struct Role: Decodable { var role: String }
            var roles: [Role]?
        }
        func body(_ name: String) -> ArraySlice<UInt8>? { answer[name].flatMap { $0.isGood ? $0.body : nil } }
        guard let enabled = body("auth").flatMap({ decodeJSON([String: Bool].self, $0)?["enabled"] }) else {
            return nil
        }
        let users = body("users").flatMap { decodeJSON(Users.self, $0) }
        let roles = body("roles").flatMap { decodeJSON(Roles.self, $0) }
        self.init(
            isEnabled: enabled,
            users: (users?.users ?? []).map(\.user).sorted(),
            roles: (roles?.roles ?? []).map(\.role).filter { $0 != "root" }.sorted()
        )
    }
}
