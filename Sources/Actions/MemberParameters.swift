// SPDX-License-Identifier: Apache-2.0

import Playbooks

/// What several actions are told of a member, in the same words.
extension ActionSchema.Parameter {
    static let dataDir = Self("data_dir", .path, required: true, "The data directory of the member.")
    static let walDir = Self(
        "wal_dir",
        .path,
        "The WAL directory, when it is outside the data directory. Empty means none."
    )
    static let etcdUnit = Self("service", .string, required: true, "The unit that runs etcd.")
}

/// A path that a script may work on.
func requirePath(_ text: String?, _ name: String) throws(ActionFailure) -> String {
    guard let text else { throw ActionFailure("\(name) is missing") }
    var path = text
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), path != "/" else {
        throw ActionFailure("\(name) is \(text), which is not an absolute path below /")
    }
    return path
}

/// The program that keys go through, where the parameter `transformer` names one.
///
/// It may give a key another name, or make several of it, so that nobody knows which key a lease is for.
func requireTransformer(_ parameters: Parameters) throws(ActionFailure) -> String? {
    guard let path = parameters.string("transformer") else { return nil }
    if TTLPolicy(parameters) == .lease {
        throw ActionFailure(
            "ttl_keys is lease, and keys go through the transformer \(path): those with leases would be written without it",
            remedy: "set ttl_keys to skip, and write those keys to v3 as the transformer would"
        )
    }
    return try requirePath(path, "transformer")
}

/// The data directory of a member, and its WAL directory where that is outside of it.
func requireDataDirectories(
    _ parameters: Parameters,
    named name: String = "data_dir"
) throws(ActionFailure) -> (dataDir: String, walDir: String?) {
    let walDir = try parameters.string("wal_dir").map { path throws(ActionFailure) in try requirePath(path, "wal_dir") }
    return (try requirePath(parameters.string(name), name), walDir)
}

/// The unit that runs etcd.
func requireUnit(_ parameters: Parameters) throws(ActionFailure) -> String {
    guard let unit = parameters.string("service") else { throw ActionFailure("a service needs a name") }
    return unit
}
