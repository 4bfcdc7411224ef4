// SPDX-License-Identifier: Apache-2.0

import Fleet
import Glibc
import Remote
import TestSupport
import Testing

@testable import Etcd

/// The framing of answers, and what is said of bad ones.
@Suite struct EtcdProbeTests {
    private func answer(_ output: String, mark: String = "m") -> ProbeAnswer {
        ProbeAnswer(
            host: "n1",
            endpoint: "http://x:1",
            mark: mark,
            result: CommandResult(
                exitCode: 0,
                standardOutput: Array(output.utf8),
                standardError: Array("curl: (7) refused".utf8),
                duration: .zero
            )
        )
    }

    @Test func `parts are found whatever they hold`() throws {
        let parts = answer("\n{\"a\":\n1}\n\nm status http 200\ntext\nm other\n\nm two exit 3\n")
        #expect(try parts.part("status").text == "\n{\"a\":\n1}\n")
        #expect(try parts.part("two").code == .exit(3))
        #expect(parts["other"] == nil)
        #expect(throws: EtcdProbeError.self) { try parts.part("three") }
    }

    @Test func `a later answer replaces that of a gateway which is off`() throws {
        let parts = answer("404\nm status http 404\nyes\nm status exit 0\n")
        #expect(try parts.part("status").text == "yes")
    }

    @Test func `a member that is not there is told by curl's own words`() {
        let parts = answer("\nm status http 000\n")
        let error = #expect(throws: EtcdProbeError.self) { try parts.body("status") }
        #expect(error?.code == .noAnswer)
        #expect(error?.message.contains("refused") == true)
    }

    @Test func `an excerpt is short and holds no value`() {
        let text = #"{"key":"/a","value":"secret \" still secret","modifiedIndex":3,"value": "secret"#
        let excerpt = ProbeAnswer.excerpt(text + String(repeating: "x", count: 500))
        #expect(!excerpt.contains("secret"))
        #expect(excerpt.contains("/a"))
        #expect(excerpt.contains("modifiedIndex"))
        #expect(excerpt.utf8.count <= 210)
    }

    @Test func `commands carry the endpoint and the certificates, and set no value`() {
        var settings = EtcdSettings(variables: [:])
        settings.endpoint = "https://127.0.0.1:2379"
        settings.caCertificate = "/etc/etcd/ca file.crt"
        settings.certificate = "/c"
        settings.key = "/k"
        #expect(
            settings.commandLine(.endpointStatus).hasPrefix(
                "timeout 7 etcdctl --endpoints https://127.0.0.1:2379 --dial-timeout 3s --command-timeout 5s "
            )
        )
        #expect(settings.commandLine(.endpointStatus).contains("--cacert '/etc/etcd/ca file.crt' --cert /c --key /k"))
        #expect(settings.commandLine(.version) == "timeout 7 etcdctl version")
        #expect(settings.curlWords(seconds: 5).contains("--noproxy"))
        #expect(EtcdSettings.scriptPrelude.contains("ETCDCTL_API=3"))
    }

    @Test func `listening addresses are written as the kernel writes them`() {
        #expect(NodeFacts.listeners("http://127.0.0.1:2379").contains("0100007F"))
        #expect(NodeFacts.listeners("http://127.0.0.1:2379").hasSuffix(":094B$"))
        #expect(NodeFacts.listeners("https://etcd.example:4001/") == ":0FA1$")
    }

    @Test(.timeLimit(.minutes(1)))
    func `a hung member is given up soon`() async throws {
        // A listener that accepts and never answers.
        let shell = LocalHost(name: "n1")
        let started = try await shell.run(
            RemoteCommand(
                "listen",
                script: "python3 -c '\nimport socket,time\ns=socket.create_server((\"127.0.0.1\",0))\n"
                    + "print(s.getsockname()[1],flush=True)\nimport os\npid=os.fork()\n"
                    + "if pid: print(pid,flush=True); os._exit(0)\nos.close(1); os.close(2); time.sleep(60)' 2>/dev/null",
                effect: .mutating
            )
        )
        let numbers = started.output.split(separator: "\n").compactMap { Int($0) }
        try #require(numbers.count == 2, "python3 is needed for a listener that never answers")
        defer { kill(Int32(numbers[1])) }
        let settings = EtcdSettings(variables: ["etcd_endpoint": .string("http://127.0.0.1:\(numbers[0])")])
        let before = ContinuousClock.now
        let answers = await ClusterProbe.health([EtcdNode(name: "n1", host: shell, settings: settings)])
        #expect(ContinuousClock.now - before < .seconds(15))
        #expect(throws: EtcdProbeError.self) { try answers["n1"]?.get() }
    }

    private func kill(_ pid: Int32) { _ = Glibc.kill(pid, SIGKILL) }
}
