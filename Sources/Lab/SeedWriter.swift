// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Sends requests with one curl, over kept connections.
struct SeedWriter: Sendable {
    /// The URL of `/v2/keys` of a member.
    var base: String
    /// A directory of the writer's own.
    var scratch: String
    var layout: LabLayout
    /// Those of a member that speaks https.
    var files: LabCertificates?

    func write(_ requests: [SeedRequest], connections: Int) async throws {
        guard !requests.isEmpty else { return }
        var configuration = connections > 1 ? "parallel\nparallel-max = \(connections)\n" : ""
        for (index, request) in requests.enumerated() {
            if index > 0 { configuration += "next\n" }
            configuration += try lines(request, index)
        }
        let output = try await LabProgram.run("curl", ["-q", "-K", "-"], input: configuration)
        // curl's exit code is that of one transfer only, so the answers are counted.
        let answers = output.standardOutput.split(separator: "\n")
        let refused = answers.filter { !$0.hasPrefix("200 ") && !$0.hasPrefix("201 ") }
        guard answers.count == requests.count, refused.isEmpty else {
            let sample = refused.prefix(3).joined(separator: ", ")
            throw LabError(
                .seed,
                "\(answers.count - refused.count) of \(requests.count) writes to \(base) were acknowledged: "
                    + "\(sample) \(output.standardError.prefix(500))".trimmed,
                remedy: "is the member healthy, and is its v2 API on?"
            )
        }
    }

    private func lines(_ request: SeedRequest, _ index: Int) throws -> String {
        var body = request.body
        // A line of a curl configuration is bounded (100 kB before 7.83), so what is large comes from a file.
        if body.utf8.count > 16_384 {
            let file = "\(scratch)/\(index)"
            try layout.write(body, to: file)
            body = "@\(file)"
        }
        let secrets = zip(
            ["cacert", "cert", "key"],
            [files?.authority, files?.certificate("client"), files?.key("client")]
        )
        var lines = secrets.map { name, file in file.map { "\(name) = \"\($0)\"\n" } ?? "" }.joined()
        lines += "url = \"\(base)\(request.path)\"\nrequest = \(request.method)\n"
        if !body.isEmpty { lines += "data = \"\(body)\"\n" }
        lines += "output = /dev/null\nsilent\nshow-error\nnoproxy = \"*\"\nmax-time = 60\n"
        return lines + "write-out = \"%{http_code} %{url_effective}\\n\"\n"
    }
}
