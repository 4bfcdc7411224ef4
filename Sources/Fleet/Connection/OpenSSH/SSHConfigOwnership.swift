// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Who a file of an SSH configuration belongs to, and who may write to it.
struct SSHConfigOwnership {
    /// What the rule asks of the accounts of a machine.
    struct Accounts: Sendable {
        /// The accounts whose first group it is.
        var firstMembers: @Sendable (gid_t) -> [uid_t]
        /// Those that it lists besides, by name; `nil` where there is no such group.
        var listed: @Sendable (gid_t) -> [String]?
        var name: @Sendable (uid_t) -> String?
    }

    var owner: uid_t
    var group: gid_t
    var mode: mode_t

    /// Whether root or the user owns the file, and nobody else may write to it.
    ///
    /// As in Debian and Ubuntu, whose `umask` of 002 makes files that a group may write to: that is nobody else where the
    /// user is alone in the group. Other systems' ssh follows no file that a group may write to.
    func isOwn(of user: uid_t, _ accounts: Accounts = .local) -> Bool {
        guard owner == 0 || owner == user, mode & S_IWOTH == 0 else { return false }
        return mode & S_IWGRP == 0 || isAlone(user, accounts)
    }

    private func isAlone(_ user: uid_t, _ accounts: Accounts) -> Bool {
        guard let listed = accounts.listed(group) else { return false }
        let first = accounts.firstMembers(group)
        guard first.allSatisfy({ $0 == user }) else { return false }
        // A group without a member is a program's, which may hand its rights to anybody.
        guard let only = listed.first else { return !first.isEmpty }
        return listed.count == 1 && only == accounts.name(owner)
    }
}

extension SSHConfigOwnership.Accounts {
    /// The tables of accounts are read by one at a time.
    private static let tables = Mutex(())

    /// Those of this machine.
    static var local: Self {
        Self(
            firstMembers: { group in
                tables.withLock { _ in
                    setpwent()
                    defer { endpwent() }
                    var found: [uid_t] = []
                    while let account = getpwent() {
                        if account.pointee.pw_gid == group { found.append(account.pointee.pw_uid) }
                    }
                    return found
                }
            },
            listed: { group in
                tables.withLock { _ in
                    guard var next = getgrgid(group)?.pointee.gr_mem else { return nil }
                    var names: [String] = []
                    while let name = next.pointee {
                        names.append(String(cString: name))
                        next += 1
                    }
                    return names
                }
            },
            name: { user in tables.withLock { _ in getpwuid(user).map { String(cString: $0.pointee.pw_name) } } }
        )
    }
}
