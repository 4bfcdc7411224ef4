// SPDX-License-Identifier: Apache-2.0

/// What the stores hold, and a migration would change or lose.
extension PreflightCheck {
    var contentRule: Rule {
        switch self {
        case .leases:
            .by(
                .refuse,
                "v3 leases exist",
                why: "somebody uses the v3 API already; members differ while they are migrated",
                remedy: "stop v3 clients and revoke their leases"
            )
        case .ttlKeys:
            .by(
                .refuse,
                "Keys expire",
                why: "they expire during the roll on some members only, and what is migrated is permanent",
                remedy: "remove them, or `skip` them: left out with `no_ttl`"
            )
        case .ttlDirectories:
            .by(
                .refuse,
                "Directories expire",
                why: "the keys in them are migrated as permanent ones, even with `no_ttl`",
                remedy: "remove the TTL: `PUT` the directory with `prevExist=true` and an empty `ttl`"
            )
        case .hiddenKeys:
            .by(
                .refuse,
                "Keys below a name that begins with `_`",
                why: "a migration drops them silently",
                remedy: "`copy` them: written to v3 at the end; or `skip` them"
            )
        case .nonUTF8:
            .by(
                .refuse,
                "Names or values that are not UTF-8",
                why: "each such byte becomes U+FFFD",
                remedy: "write them anew in another form, as base64"
            )
        case .v2Users:
            .by(
                .warn,
                "v2 users and roles exist, or must log in",
                why: "they are not migrated: v3 is open to everybody until it has users of its own",
                remedy: "set up v3 users and roles after the migration"
            )
        case .emptyDirectories:
            .by(
                .warn,
                "Directories without a key that is migrated",
                why: "v3 has no directories, they are dropped",
                remedy: "nothing, unless a client looks for the directory"
            )
        default:
            .by(
                .refuse,
                "The v3 store of a member is not empty",
                why: "a migration overwrites v3 keys whose revisions collide with v2 indexes",
                remedy: "`v3_store: any`, where the v3 keys may be overwritten"
            )
        }
    }
}
