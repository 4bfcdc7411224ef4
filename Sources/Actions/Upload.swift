// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout

/// `upload`: puts a file of the controller on the node, as the etcdctl that migrates, and takes it away afterwards.
///
/// What it put there is on record in the node's state directory before the first byte arrives, so that the end of the
/// run, a refusal and a rollback find it, whatever became of the controller.
package struct Upload: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "upload",
        summary: "Puts a file of this machine on the node, proven by its SHA-256, and removes it when the run is over.",
        parameters: [
            .init(
                "src",
                .string,
                required: true,
                "The file on this machine, relative to the playbook. A run that may be gone on with from another machine "
                    + "needs `sha256`, too."
            ),
            .init(
                "dest",
                .path,
                required: true,
                "The path on the node, outside of pawl's own directory, which no other user may enter. Directories that are "
                    + "missing are made. Another file that is there is never overwritten."
            ),
            .init("sha256", .string, "What the file must be; without it, what it is when the plan is made."),
            .init("mode", .string, default: .string("0755"), "Its permissions, in quotes: they are octal."),
            .init("owner", .string, default: .string("root:root"), "Its owner and group; by number or by name."),
            .init("keep", .boolean, default: .bool(false), "Whether it stays on the node when the run is over."),
        ],
        example: """
            - name: An etcdctl that can migrate
              upload:
                src: bin/etcdctl-3.4.37
                dest: /opt/pawl/etcdctl
                sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
            """
    )

    private let source: String
    private let digest: String
    private let file: UploadScript.File

    package init(_ parameters: Parameters) throws(ActionFailure) {
        guard let source = parameters.string("src") else { throw ActionFailure("upload: `src` is missing") }
        let digest = parameters.string("sha256")?.lowercased() ?? ""
        guard digest.isEmpty || digest.wholeMatch(of: /[0-9a-f]{64}/) != nil else {
            throw ActionFailure(
                "upload: `sha256: \(digest.prefix(80))` is not one",
                remedy: "`sha256sum FILE` prints it"
            )
        }
        let mode = parameters.string("mode") ?? "0755"
        guard let bits = Int(mode, radix: 8), (0...0o7777).contains(bits), !mode.hasPrefix("-") else {
            throw ActionFailure("upload: `mode: \(mode)` is not in octal", remedy: "write it in quotes, as \"0755\"")
        }
        let owner = parameters.string("owner") ?? "root:root"
        guard owner.wholeMatch(of: /[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?/) != nil else {
            throw ActionFailure(
                "upload: `owner: \(owner)` is not a user, or a user and a group",
                remedy: "as etcd:etcd"
            )
        }
        self.source = source
        self.digest = digest
        file = UploadScript.File(
            path: try requirePath(parameters.string("dest"), "dest"),
            digest: digest,
            mode: String(bits, radix: 8),
            owner: owner,
            isKept: parameters.boolean("keep") ?? false
        )
    }

    package var traits: ActionTraits {
        ActionTraits(
            effect: .repeatable,
            resource: "file \(file.path)",
            hasUndo: true,
            defaultTimeout: .seconds(300)
        )
    }

    /// The file's digest becomes part of the step, so that the plan says what will be on the nodes.
    ///
    /// A file that is missing is none of its business where the playbook says what it was: on a machine that goes on with
    /// another one's run, it may be on the nodes already.
    package static func bound(
        _ parameters: Parameters,
        beside playbook: String
    ) throws(ActionFailure) -> Parameters {
        guard let source = parameters.string("src") else { return parameters }
        let file = Self.file(source, beside: playbook)
        let path = file.path(percentEncoded: false)
        let wanted = parameters.string("sha256")?.lowercased()
        guard let content = try? ContentDigest.ofFile(file).digest.hexadecimal else {
            if wanted != nil { return parameters }
            throw ActionFailure("upload: \(path) cannot be read", remedy: "`src` is relative to the playbook")
        }
        if let wanted, wanted != content {
            throw ActionFailure(
                "upload: \(path) has the sha256 \(content), not \(wanted)",
                remedy: "find out where the file comes from, before it runs on a node"
            )
        }
        var bound = parameters
        bound.values["sha256"] = .string(content)
        return bound
    }

    private static func file(_ source: String, beside playbook: String) -> URL {
        let expanded = (source as NSString).expandingTildeInPath
        let directory = URL(filePath: playbook).deletingLastPathComponent()
        return URL(filePath: expanded, relativeTo: directory).absoluteURL
    }

    private func script(_ context: ActionContext) throws(ActionFailure) -> UploadScript {
        UploadScript(
            state: NodeState(variables: try context.requiredTarget().variables),
            file: file,
            run: context.run
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let report = try await context.requiredTarget().report(try script(context).look)
        return switch report["found"] {
        case "ours", "theirs": .done(evidence(report))
        case "other": .inDoubt("\(file.path) is another file, with the sha256 \(report["sha256"] ?? "")")
        default: .notBegun("\(file.path) is not there")
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        guard !digest.isEmpty else { throw ActionFailure("upload: it is not known what \(source) must be") }
        let script = try script(context)
        let begun = try await target.report(script.begin)
        if begun["found"] != nil { return evidence(begun) }
        context.progress("uploading \(source)")
        try await send(to: script.temporary, context)
        return evidence(try await target.report(script.finish))
    }

    /// Sends the file beside its place; a connection that drops costs the rest of it, because nothing is there by that name.
    private func send(to path: String, _ context: ActionContext) async throws(ActionFailure) {
        let host = try context.requiredTarget().host
        let progress = UploadProgress("uploading \(source)", tell: context.progress)
        var transfer = FileTransfer(
            Self.file(source, beside: context.playbook),
            path,
            timeout: context.timeout,
            goesOn: context.attempt > 1,
            onProgress: { progress.note($0, of: $1) }
        )
        var triesLeft = 3
        while true {
            triesLeft -= 1
            do {
                return try await host.upload(transfer)
            } catch {
                guard triesLeft > 0, [.unreachable, .shell, .inDoubt].contains(error.code), !Task.isCancelled else {
                    throw ActionFailure(error)
                }
                context.progress("connection lost (\(error.message)); going on")
                transfer.goesOn = true
            }
        }
    }

    private func evidence(_ report: NodeReport) -> Evidence {
        let isTheirs = report["found"] == "theirs"
        return Evidence(
            isTheirs ? "\(file.path) was there already, sha256 as expected" : "\(file.path), sha256 as expected",
            ["path": file.path, "sha256": digest, "made": String(!isTheirs)]
        )
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let report = try await context.requiredTarget().report(try script(context).undo)
        if let left = report["left"] { return Evidence(left) }
        return Evidence(report["removed"] == "yes" ? "\(file.path) is removed" : "nothing of this run was there")
    }
}
