// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The certificates of a lab that speaks https: one authority, one certificate for each member, one for clients.
package struct LabCertificates: Sendable, Hashable {
    /// The directory that they are in, on this machine or on a node.
    package var directory: String

    package init(directory: String) {
        self.directory = directory
    }

    package var authority: String { "\(directory)/ca.crt" }
    package func certificate(_ name: String) -> String { "\(directory)/\(name).crt" }
    package func key(_ name: String) -> String { "\(directory)/\(name).key" }

    /// What curl needs to be let in as a client.
    package var curlWords: [String] {
        ["--cacert", authority, "--cert", certificate("client"), "--key", key("client")]
    }

    /// What etcdctl of the v3 API needs to be let in as a client.
    package var etcdctlWords: [String] { curlWords }

    /// Makes them all with openssl.
    ///
    /// A member shows its certificate to others as a client, too: to its peers, and to itself behind the JSON gateway.
    static func make(_ state: LabState) async throws {
        let files = LabCertificates(directory: state.layout.certificates)
        try LabProgram.require(["openssl"])
        try state.layout.makeDirectory(files.directory)
        let keyWords = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try await LabProgram.check(
            "openssl",
            ["req", "-x509"] + keyWords + ["-days", "30", "-subj", "/CN=pawl lab"]
                + ["-keyout", files.key("ca"), "-out", files.authority]
        )
        let names = state.nodes.map { ($0.name, "IP:\($0.address),IP:127.0.0.1,DNS:localhost,DNS:\($0.name)") }
        for (number, (name, alternatives)) in ([("client", "DNS:client")] + names).enumerated() {
            let request = "\(files.directory)/\(name).csr"
            let extensions = "\(files.directory)/\(name).ext"
            try state.layout.write(
                "subjectAltName=\(alternatives)\nextendedKeyUsage=serverAuth,clientAuth\n",
                to: extensions
            )
            try await LabProgram.check(
                "openssl",
                ["req", "-new"] + keyWords + ["-subj", "/CN=\(name)", "-keyout", files.key(name), "-out", request]
            )
            try await LabProgram.check(
                "openssl",
                ["x509", "-req", "-in", request, "-CA", files.authority, "-CAkey", files.key("ca")]
                    + ["-set_serial", "\(number + 2)", "-days", "30", "-extfile", extensions]
                    + ["-out", files.certificate(name)]
            )
        }
    }

    /// What a node gets of them: its own certificate, as `server`, and that of clients.
    static func files(of node: LabNode, in state: LabState) throws -> [(name: String, text: String)] {
        let all = LabCertificates(directory: state.layout.certificates)
        let wanted =
            [("ca.crt", all.authority)]
            + ["crt", "key"].flatMap { [("server.\($0)", "\(node.name).\($0)"), ("client.\($0)", "client.\($0)")] }
            .map { ($0.0, "\(all.directory)/\($0.1)") }
        return try wanted.map { (name: $0.0, text: try String(contentsOfFile: $0.1, encoding: .utf8)) }
    }
}
