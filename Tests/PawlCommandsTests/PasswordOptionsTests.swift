// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Fleet
import Foundation
import Testing

@testable import PawlCommands

@Suite struct PasswordOptionsTests {
    private func options(_ line: String) throws -> PasswordOptions {
        try PasswordOptions.parse(line.split(separator: " ").map(String.init))
    }

    private func file(_ text: String) throws -> String {
        let path = NSTemporaryDirectory() + "pawl-password-\(UUID().uuidString)"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func nobody(_ question: String, _ fallback: Secret?) throws(DiagnosticsError) -> Secret {
        throw DiagnosticsError([Diagnostic(at: nil, "asked \(question)")])
    }

    @Test func `a file wins over the environment, and nothing is asked`() throws {
        let path = try file(" s3cret word \n")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let environment = ["PAWL_BECOME_PASSWORD": "other"]
        let given = try options("--become-password-file \(path)").given(environment: environment, ask: nobody)
        #expect(given.become?.reveal() == "s3cret word")
        #expect(try options("").given(environment: environment, ask: nobody).become?.reveal() == "other")
        #expect(try options("").given(environment: [:], ask: nobody).become == nil)
    }

    @Test func `a descriptor is read once, as a file is`() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("from a pipe\n".utf8))
        try pipe.fileHandleForWriting.close()
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        let given = try options("--become-password-file /dev/fd/\(descriptor)").given(environment: [:], ask: nobody)
        #expect(given.become?.reveal() == "from a pipe")
    }

    @Test func `-K asks once`() throws {
        var questions: [String] = []
        let given = try options("-K").given(environment: ["PAWL_BECOME_PASSWORD": "other"]) { question, _ in
            questions.append(question)
            return Secret("typed")
        }
        #expect(given.become?.reveal() == "typed")
        #expect(questions == ["BECOME password: "])
        #expect(throws: (any Error).self) { try options("-K --become-password-file x") }
    }

    @Test func `where both are asked for, Return alone is the password that was typed before`() throws {
        var questions: [String] = []
        let given = try options("-k -K").given(environment: [:]) { question, fallback in
            questions.append(question)
            return fallback ?? Secret("typed")
        }
        #expect(given.login?.reveal() == "typed" && given.become?.reveal() == "typed")
        #expect(questions == ["SSH password: ", "BECOME password[defaults to SSH password]: "])
    }

    @Test(arguments: [("", "is empty"), ("two\nlines\n", "is not one line of text")])
    func `a file that holds no password is refused without its text`(text: String, words: String) throws {
        let path = try file(text)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let error = #expect(throws: DiagnosticsError.self) {
            try options("--become-password-file \(path)").given(environment: [:], ask: nobody)
        }
        #expect(error?.description.contains(words) == true)
        #expect(error?.description.contains("lines\n") == false)
    }

    @Test func `a command that is printed has the options and no password`() throws {
        let connection = try ConnectionOptions.parse(["-K", "--ssh-config", "a b"])
        #expect(connection.words == " --ssh-config 'a b' -K")
        #expect(try ConnectionOptions.parse(["--become-password-file", "/f"]).words == " --become-password-file /f")
    }

    @Test func `a variable of the inventory wins over what is given for all`() {
        var given = GivenSecrets()
        given.become = Secret("all")
        var settings = ConnectionSettings(destination: "n1")
        #expect(given.completing(settings).become.password?.reveal() == "all")
        settings.become.password = Secret("own")
        #expect(given.completing(settings).become.password?.reveal() == "own")
    }

    @Test func `without a terminal nobody is asked for ever`() async throws {
        // A session of its own has no terminal.
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/setsid")
        let program = URL(fileURLWithPath: ".build/debug/pawl").path
        try #require(FileManager.default.isExecutableFile(atPath: program), "the program was not built here")
        process.arguments = ["-w", program, "check", "-i", "n1,", "-K", "--ssh-config", "none"]
        let errors = Pipe()
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 65)
        #expect(said.contains("`BECOME password:` cannot be asked: there is no terminal"))
    }
}
