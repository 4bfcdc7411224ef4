// SPDX-License-Identifier: Apache-2.0

import Remote

/// One remote command that asks a member several things at once, because the remote shell is what costs (about 75 ms).
///
/// Each part's answer is followed by a line of a random mark, the part's name and its code, so that no answer, whatever
/// bytes it holds, can be taken for the end of itself.
struct ProbeScript: Sendable {
    let settings: EtcdSettings
    let mark: String
    private(set) var script: String

    init(_ settings: EtcdSettings) {
        self.settings = settings
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        mark = "pawl-" + String(repeating: "0", count: 16 - random.count) + random
        script = EtcdSettings.scriptPrelude
    }

    mutating func append(_ shell: String) { script += shell }
    mutating func replaceScript(with shell: String) { script = shell }

    /// A part that is a piece of shell, with its exit code.
    mutating func ask(_ name: String, _ shell: String) {
        script += "\(shell)\nprintf '\\n%s %s exit %s\\n' \(mark) \(name) \"$?\"\n"
    }

    /// The version of etcdctl, as `etcdctl version` tells it, and whether it can migrate.
    ///
    /// Its help tells both at once, and a start of it takes 40 ms. Where the help is not as expected, it is asked for one
    /// after the other.
    mutating func askTool() {
        ask(
            "etcdctl",
            """
            tool_help=$(\(settings.commandLine(.help)) 2>&1)
            case $tool_help in
            *VERSION:*[[:space:]]migrate[[:space:]]*)
            (set -f; set -- ${tool_help#*VERSION:}; echo "etcdctl version: $1");;
            *) tool_help=; \(settings.commandLine(.version)) 2>&1;;
            esac
            """
        )
        ask("migrate", "[ -n \"$tool_help\" ] || \(settings.commandLine(.migrateHelp)) >/dev/null 2>&1")
    }

    /// Several HTTP requests in one curl process.
    ///
    /// Where `status` has no answer from any form of the gateway although etcd is there, the gateway's questions are
    /// put through etcdctl.
    mutating func ask(_ requests: [EtcdRequest], seconds: Int = 5) {
        let command =
            "curl -q --fail-early "
            + requests.map { transfer($0, seconds: seconds) }.joined(separator: " --next ")
        guard requests.contains(.status) else {
            script += command + "\n"
            return
        }
        let fallbacks = requests.compactMap { request in
            request.fallback.map { (request.rawValue, settings.commandLine($0, seconds: seconds)) }
        }
        script += """
            for gateway in v3 v3beta v3alpha; do
            answers=$(\(command))
            case $answers in *"\(mark) status http 200"*|*"\(mark) status http 000"*) break;; esac
            done
            printf '%s\\n' "$answers"
            case $answers in *"\(mark) status http 200"*|*"\(mark) status http 000"*) ;; *)

            """
        for (name, line) in fallbacks { ask(name, line + " 2>&1") }
        script += ";; esac\n"
        askAsUser(requests, seconds: seconds)
    }

    /// Asks what the gateway told nobody through etcdctl, which has a user or a certificate: where authentication is on, and
    /// only there.
    ///
    /// A refusal is etcdctl's then. `admin` is asked with what a preflight asks: hashes are told to the role root only.
    private mutating func askAsUser(_ requests: [EtcdRequest], seconds: Int) {
        guard requests.contains(.count) else { return }
        script += "case $answers in *'user name is empty'*)\n"
        for request in requests where EtcdRequest.ofUsers.contains(request) {
            guard let fallback = request.fallback else { continue }
            let line = settings.commandLine(fallback, seconds: seconds) + " 2>&1"
            script += "case $answers in *\"\(mark) \(request.rawValue) http 200\"*) ;; *)\n"
            ask(request.rawValue, settings.login?.guarding(line) ?? line)
            script += ";; esac\n"
        }
        if requests.contains(.leases) {
            ask("admin", settings.commandLine(.hashKV(revision: nil), seconds: 30) + " 2>&1")
        }
        script += ";; esac\n"
    }

    private func transfer(_ request: EtcdRequest, seconds: Int) -> String {
        var words = settings.curlWords(seconds: seconds)
        words += ["-w", "\\n\(mark) \(request.rawValue) http %{http_code}\\n"]
        guard let path = request.gatewayPath else {
            return ShellQuoting.line(words + [settings.baseURL + request.path])
        }
        return ShellQuoting.line(words + ["-d", request.body, settings.baseURL]) + "/\"$gateway\"/" + path
    }

    /// Runs it on the node and takes the answers apart.
    func run(
        on node: EtcdNode,
        label: String,
        timeout: Duration = .seconds(45)
    ) async throws(EtcdProbeError) -> ProbeAnswer {
        let result: CommandResult
        do {
            result = try await node.host.run(
                RemoteCommand(label, script: script, effect: .readOnly, timeout: timeout)
            )
        } catch {
            throw EtcdProbeError(error)
        }
        return ProbeAnswer(host: node.name, endpoint: settings.endpoint, mark: mark, result: result)
    }
}
