// SPDX-License-Identifier: Apache-2.0

import Remote

/// Writes to the v3 store through one member's JSON gateway, sent from the member's own node.
///
/// Keys and values go over the encrypted connection into the shell's standard input and from there into curl's; they are
/// never words of a command line, and no file holds them.
package struct V3Writer: Sendable {
    let name: String
    private let settings: EtcdSettings
    /// Whether a transaction may hold others: since 3.3 (etcd #7857).
    private let isNested: Bool

    package init(_ node: EtcdNode, version: EtcdVersion) {
        name = node.name
        settings = node.settings
        isNested = version >= EtcdVersion(3, 3, 0)
    }

    /// What became of transactions.
    package struct Outcome: Sendable, Hashable {
        /// Those whose condition held.
        package var written = 0
        /// Those that found their key otherwise, and left it so.
        package var left = 0
        /// How many revisions they made: what one request changes has one.
        package var revisions = 0

        package init() {}
    }

    // MARK: - Requests

    /// Transactions in order, each by itself: one whose condition does not hold is left out.
    package func requests(_ transactions: [V3Transaction]) -> [GatewayRequest] {
        V3Transaction.requests(transactions, nested: isNested)
    }

    /// Leases of these lengths in seconds and with these ids, in this order; etcd chooses where an id is 0.
    package func grants(_ seconds: [Int], ids: [Int64]) -> [GatewayRequest] {
        zip(seconds, ids).map { GatewayRequest("lease/grant", #"{"TTL":"\#($0)","ID":"\#($1)"}"#) }
    }

    /// Asks which keys are bound to leases; this path is known to 3.3 and 3.4 alike.
    package func bindings(_ leases: [Int64]) -> [GatewayRequest] {
        leases.map { GatewayRequest("kv/lease/timetolive", #"{"ID":"\#($0)","keys":true}"#) }
    }

    /// The end of leases, and of the keys that are still bound to them.
    ///
    /// This path is known to 3.3 and 3.4 alike; `lease/revoke` came with 3.4.
    package func revocations(_ leases: [Int64]) -> [GatewayRequest] {
        leases.map { GatewayRequest("kv/lease/revoke", #"{"ID":"\#($0)"}"#) }
    }

    /// Sends requests one after the other, up to the first that etcd refuses.
    package func command(
        _ requests: [GatewayRequest],
        label: String,
        effect: RemoteCommand.Effect = .mutating,
        timeout: Duration = .seconds(60)
    ) -> RemoteCommand {
        RemoteCommand(
            label,
            script: script,
            standardInput: Array(requests.map { "\($0.path) \($0.body)\n" }.joined().utf8),
            effect: effect,
            timeout: timeout
        )
    }

    /// Reads lines of a path and a body, and answers each with the body and the code that came, a line each.
    private var script: String {
        let curl = ShellQuoting.line(["curl", "-q"] + settings.curlWords(seconds: 20))
        let base = ShellQuoting.quote(settings.baseURL)
        let login = settings.login?.takeToken(curl: curl, base: base) ?? "token=\n"
        return EtcdSettings.scriptPrelude + """
            trap '' HUP
            for gateway in v3 v3beta v3alpha none; do
            [ "$gateway" != none ] || { printf '\\ngateway\\n'; exit 0; }
            code=$(\(curl) -o /dev/null -w '%{http_code}' -d '{}' \(base)/"$gateway"/maintenance/status)
            case $code in 200) break;; 000) printf '\\n000\\n'; exit 0;; esac
            done
            \(login)
            header=
            [ -z "$token" ] || header='header = "Authorization: '$token'"'
            post() {
            \(curl) -K /dev/fd/3 -w '\\n%{http_code}' --data-binary @- \(base)/"$gateway"/"$1" 3<<END
            $header
            END
            }
            while IFS=' ' read -r path body; do
            answer=$(printf '%s' "$body" | post "$path")
            printf '%s\\n' "$answer"
            case $answer in *'
            200') ;; *) exit 0;; esac
            done
            """
    }

    // MARK: - Answers

    /// What became of transactions that were sent.
    ///
    /// - Throws: when the member did not acknowledge all of them; those before are done.
    package func outcome(
        of requests: [GatewayRequest],
        _ result: CommandResult
    ) throws(EtcdProbeError) -> Outcome {
        var outcome = Outcome()
        for (request, body) in zip(requests, try bodies(of: requests, result)) {
            guard let answer = decodeJSON(Answer.self, body.utf8),
                !isNested || (answer.succeeded == true && answer.responses?.count == request.changes)
            else {
                throw EtcdProbeError(.unparsable, host: name, "etcd's answer to a transaction is not understood")
            }
            let written = isNested ? answer.parts : answer.succeeded == true ? 1 : 0
            outcome.written += written
            outcome.left += request.changes - written
            outcome.revisions += written > 0 ? 1 : 0
        }
        return outcome
    }

    /// The ids of the leases that were granted.
    ///
    /// - Throws: when one was not.
    package func leases(
        _ requests: [GatewayRequest],
        _ result: CommandResult
    ) throws(EtcdProbeError) -> [Int64] {
        try bodies(of: requests, result).map { body throws(EtcdProbeError) in
            if let id = decodeJSON(Granted.self, body.utf8)?.id.signed, id != 0 { return id }
            throw EtcdProbeError(.unparsable, host: name, "etcd's answer to a lease is not understood")
        }
    }

    /// For each lease whether a key is bound to it.
    package func areBound(_ requests: [GatewayRequest], _ result: CommandResult) throws(EtcdProbeError) -> [Bool] {
        try bodies(of: requests, result).map { body throws(EtcdProbeError) in
            if let bound = decodeJSON(Bound.self, body.utf8) { return bound.keys?.isEmpty == false }
            throw EtcdProbeError(.unparsable, host: name, "etcd's answer to a lease's keys is not understood")
        }
    }

    /// Refuses anything but a good answer to each request.
    package func acknowledge(_ requests: [GatewayRequest], _ result: CommandResult) throws(EtcdProbeError) {
        _ = try bodies(of: requests, result)
    }

    private struct Answer: Decodable {
        struct Part: Decodable {
            struct Inner: Decodable { var succeeded: Bool? }
            var inner: Inner?
            enum CodingKeys: String, CodingKey { case inner = "response_txn" }
        }
        var succeeded: Bool?
        var responses: [Part]?

        /// How many of the inner transactions did their work.
        var parts: Int { (responses ?? []).count { $0.inner?.succeeded == true } }
    }

    private struct Bound: Decodable {
        var keys: [String]?
    }

    private struct Granted: Decodable {
        var id: LenientInteger
        enum CodingKeys: String, CodingKey { case id = "ID" }
    }

    func bodies(
        of requests: [GatewayRequest],
        _ result: CommandResult
    ) throws(EtcdProbeError) -> [String] {
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let answers = stride(from: 0, to: lines.count - 1, by: 2).map { (body: lines[$0], code: lines[$0 + 1]) }
        if let bad = answers.first(where: { $0.code != "200" }) { throw refusal(bad.body, bad.code, result) }
        guard answers.count == requests.count, result.exitCode == 0 else { throw refusal("", "000", result) }
        return answers.map(\.body)
    }

    private func refusal(_ body: String, _ code: String, _ result: CommandResult) -> EtcdProbeError {
        if code == "gateway" {
            return EtcdProbeError(
                .noAnswer,
                host: name,
                "etcd has no JSON gateway at \(settings.endpoint), through which keys are written to v3",
                remedy: "start etcd without --enable-grpc-gateway=false; 3.0 has none"
            )
        }
        let said = ProbeAnswer.excerpt(body + result.errorOutput, nothing: "no message")
        if settings.login == nil, said.contains("user name is empty") {
            return EtcdProbeError(
                .denied,
                host: name,
                "v3 authentication is on, and keys are written through the JSON gateway, which takes no certificate for a user",
                remedy: "set etcd_auth_user and etcd_auth_password_file, a file on the node"
            )
        }
        return EtcdProbeError(.noAnswer, host: name, "etcd did not take a write to v3 (HTTP \(code)): \(said)")
    }
}
