// SPDX-License-Identifier: Apache-2.0

import CLibSSH2

/// What two sides of a handshake must agree on.
enum AlgorithmKind: CaseIterable {
    case keyExchange, hostKey, cipher, mac

    /// The keyword of ssh_config(5) and sshd_config(5).
    var keyword: String {
        switch self {
        case .keyExchange: "KexAlgorithms"
        case .hostKey: "HostKeyAlgorithms"
        case .cipher: "Ciphers"
        case .mac: "MACs"
        }
    }

    /// In words.
    var title: String {
        switch self {
        case .keyExchange: "key exchange"
        case .hostKey: "host key"
        case .cipher: "cipher"
        case .mac: "MAC"
        }
    }

    /// The kinds of libssh2, one for each direction.
    var methods: [Int32] {
        switch self {
        case .keyExchange: [LIBSSH2_METHOD_KEX]
        case .hostKey: [LIBSSH2_METHOD_HOSTKEY]
        case .cipher: [LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC]
        case .mac: [LIBSSH2_METHOD_MAC_CS, LIBSSH2_METHOD_MAC_SC]
        }
    }
}

/// What one side can speak: the lists of its `SSH_MSG_KEXINIT` (RFC 4253, 7.1), as far as they are of interest.
struct AlgorithmProposal: Equatable {
    private var lists: [AlgorithmKind: [String]] = [:]

    init(_ lists: [AlgorithmKind: [String]] = [:]) { self.lists = lists }

    /// What the libssh2 that is loaded can speak.
    init(knownTo session: SessionHandle) {
        for kind in AlgorithmKind.allCases { self[kind] = session.supportedMethods(kind) }
    }

    /// The payload of the server's `SSH_MSG_KEXINIT`.
    init?(message: [UInt8]) {
        var reader = SSHWireReader(message)
        guard reader.byte() == 20 else { return nil }
        reader.skip(16)
        var found: [[String]] = []
        for _ in 0..<6 {
            guard let list = reader.string() else { return nil }
            found.append(String(decoding: list, as: UTF8.self).split(separator: ",").map(String.init))
        }
        lists = [.keyExchange: found[0], .hostKey: found[1], .cipher: found[2], .mac: found[4]]
    }

    /// The names of one kind; words among the key exchanges that only say what a side can do besides are left out.
    subscript(_ kind: AlgorithmKind) -> [String] {
        get { (lists[kind] ?? []).filter { !$0.hasPrefix("ext-info-") && !$0.hasPrefix("kex-strict-") } }
        set { lists[kind] = newValue }
    }
}
