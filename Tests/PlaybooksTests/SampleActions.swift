// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks

/// Schemas with the words of the shipped playbooks; the real ones live in a module above this one.
enum SampleActions {
    typealias Parameter = ActionSchema.Parameter

    static let all = [
        service, backup, diskFree, command, waitFor, pause, ready, migrate, prepare, ahead, healthy, consistent, freeze,
        verified, copyHidden, bindTTL, canary, snapshot, outlook, removeV2,
    ]

    static let service = ActionSchema(
        word: "service",
        summary: "Starts or stops a service.",
        parameters: [
            Parameter("name", .string, required: true, "The unit."),
            Parameter("state", .choice(["started", "stopped", "restarted"]), required: true, "What it is to be."),
            Parameter("start", .string, "The command that starts it."),
            Parameter("stop", .string, "The command that stops it."),
            Parameter("status", .string, "The command that exits 0 while it runs."),
            Parameter("within", .duration, default: .string("1m30s"), "How long it may take."),
        ],
        example: "- service: { name: etcd, state: started }"
    )
    static let backup = ActionSchema(
        word: "backup",
        summary: "Copies the data.",
        parameters: [
            Parameter("source", .path, required: true, "The data dir."),
            Parameter("wal_dir", .path, "The WAL dir."),
            Parameter("to", .path, required: true, "Where backups go."),
            Parameter("retain", .integer(0...1000), "How many are kept."),
            Parameter("keep", .boolean, default: .bool(true), "Whether it outlives the run."),
        ],
        example: "backup:\n  source: /var/lib/etcd\n  to: /var/backups"
    )
    static let diskFree = ActionSchema(
        word: "disk_free",
        summary: "Checks for room.",
        parameters: [
            Parameter("path", .path, required: true, "Where."),
            Parameter("at_least", .string, required: true, "How much."),
        ],
        example: "- disk_free: { path: /var, at_least: 10GiB }"
    )
    static let command = ActionSchema(
        word: "command",
        summary: "Runs a command.",
        parameters: [
            Parameter("run", .string, required: true, "The command | the line."),
            Parameter("as", .string, "The user."),
            Parameter(
                "success",
                .group([
                    Parameter("exit", .integer(0...255), default: .int(0), "The exit code."),
                    Parameter("stdout", .string, "Text that must be there."),
                    Parameter("stdout_not", .string, "Text that must not be there."),
                    Parameter("stderr", .string, "Text that must be there."),
                    Parameter("stderr_not", .string, "Text that must not be there."),
                ]),
                "What success is."
            ),
            Parameter("redo", .choice(["safe", "after-undo", "never"]), default: .string("never"), "On resume."),
            Parameter("undo", .string, "The command that takes it back."),
            Parameter("creates", .path, "What is there afterwards."),
            Parameter("environment", .list(.string), "NAME=value."),
        ],
        shorthand: "run",
        example: "- name: Touch\n  command: { run: touch /tmp/x, creates: /tmp/x }"
    )
    static let waitFor = ActionSchema(
        word: "wait_for",
        summary: "Waits.",
        parameters: [
            Parameter("run", .string, "A command that succeeds."),
            Parameter("port", .integer(1...65535), "A port that answers."),
            Parameter("within", .duration, "How long."),
            Parameter("every", .duration, "How often."),
        ],
        example: "- wait_for: { port: 2379, within: 30s }"
    )
    static let pause = ActionSchema(
        word: "pause",
        summary: "Waits for a time.",
        parameters: [Parameter("for", .duration, required: true, "How long.")],
        shorthand: "for",
        example: "- pause: 10s"
    )
    static let ready = ActionSchema(
        word: "etcd_ready",
        summary: "Checks a cluster.",
        parameters: [
            Parameter("versions", .string, "Versions."),
            Parameter("v3_store", .choice(["empty", "any"]), default: .string("empty"), "The v3 store."),
            ttlKeys,
            hiddenKeys,
            Parameter("transformer", .path, "A program that every key goes through."),
            Parameter(
                "checks",
                .group([
                    Parameter("copy_disk", .choice(["refuse", "warn", "allow"]), "Room."),
                    Parameter("leader", .fixed("refuse", why: "there is no quorum to be kept"), "The leader."),
                ]),
                "The other checks."
            ),
        ],
        example: "- etcd_ready: {}"
    )
    static let ttlKeys = Parameter(
        "ttl_keys",
        .choice(["refuse", "warn", "allow", "skip", "lease"]),
        default: .string("refuse"),
        "Keys that expire."
    )
    static let hiddenKeys = Parameter(
        "hidden_keys",
        .choice(["refuse", "warn", "allow", "skip", "copy"]),
        default: .string("refuse"),
        "Hidden keys."
    )
    static let copyHidden = ActionSchema(
        word: "etcd_hidden_keys",
        summary: "Copies hidden keys.",
        parameters: [hiddenKeys, ttlKeys, Parameter("transformer", .path, "A program that every key goes through.")],
        example: "- etcd_hidden_keys: {}"
    )
    static let bindTTL = ActionSchema(
        word: "etcd_ttl_keys",
        summary: "Makes leases.",
        parameters: [ttlKeys],
        example: "- etcd_ttl_keys: {}"
    )
    static let canary = ActionSchema(
        word: "etcd_canary",
        summary: "Tries a write.",
        parameters: [Parameter("through", .choice(["each", "none"]), default: .string("each"), "Members.")],
        example: "- etcd_canary: {}"
    )
    static let snapshot = ActionSchema(
        word: "etcd_snapshot",
        summary: "Writes a snapshot.",
        parameters: [
            Parameter("name", .string, required: true, "The unit."),
            Parameter("data_dir", .path, required: true, "The data dir."),
            Parameter("start", .string, "Start."), Parameter("stop", .string, "Stop."),
            Parameter("status", .string, "Status."),
        ],
        example: "- etcd_snapshot: { name: etcd, data_dir: /var/lib/etcd }"
    )
    static let outlook = ActionSchema(
        word: "etcd_upgrade_ready",
        summary: "Looks ahead.",
        parameters: [
            Parameter("require", .choice(["none", "v2_removed", "all"]), default: .string("none"), "What fails.")
        ],
        example: "- etcd_upgrade_ready: {}"
    )
    static let removeV2 = ActionSchema(
        word: "etcd_v2_remove",
        summary: "Removes v2 data.",
        parameters: [
            Parameter("export_to", .path, required: true, "The export."),
            Parameter("guard", .boolean, default: .bool(false), "Guards."),
        ],
        example: "- etcd_v2_remove: { export_to: /b }"
    )
    static let migrate = ActionSchema(
        word: "etcd_migrate",
        summary: "Migrates.",
        parameters: [
            Parameter("data_dir", .path, required: true, "The data dir."),
            Parameter("wal_dir", .path, "The WAL dir."),
            Parameter("no_ttl", .boolean, default: .bool(false), "Leave keys with a TTL out."),
            ttlKeys,
            Parameter("transformer", .path, "A program that every key goes through."),
        ],
        example: "- etcd_migrate: { data_dir: /var/lib/etcd }"
    )
    static let prepare = ActionSchema(
        word: "etcd_prepare",
        summary: "Migrates a copy.",
        parameters: [
            Parameter("data_dir", .path, required: true, "The data dir."),
            Parameter("wal_dir", .path, "The WAL dir."),
            Parameter("no_ttl", .boolean, default: .bool(false), "Leave keys with a TTL out."),
            ttlKeys,
            Parameter("transformer", .path, "A program that every key goes through."),
        ],
        example: "- etcd_prepare: { data_dir: /var/lib/etcd }"
    )
    static let ahead = ActionSchema(
        word: "backup_ahead",
        summary: "Copies what is at rest.",
        parameters: [
            Parameter("source", .path, required: true, "The data dir."),
            Parameter("wal_dir", .path, "The WAL dir."),
            Parameter("to", .path, required: true, "Where to."),
        ],
        example: "- backup_ahead: { source: /var/lib/etcd, to: /var/backups }"
    )
    static let healthy = ActionSchema(
        word: "etcd_healthy",
        summary: "Checks a member.",
        parameters: [Parameter("within", .duration, default: .int(60), "How long.")],
        example: "- etcd_healthy"
    )
    static let freeze = ActionSchema(
        word: "etcd_freeze",
        summary: "Keeps clients out.",
        parameters: [
            Parameter("with", .choice(["none", "auto", "nft", "iptables"]), default: .string("auto"), "By what."),
            Parameter("dead_man", .duration, default: .int(3600), "How long at most."),
        ],
        example: "- etcd_freeze: { with: auto }"
    )
    static let consistent = ActionSchema(
        word: "etcd_consistent",
        summary: "Checks agreement.",
        parameters: [],
        example: "- etcd_consistent: {}"
    )
    static let verified = ActionSchema(
        word: "etcd_verified",
        summary: "Checks the result.",
        parameters: [
            Parameter("v2", .choice(["compare", "ignore"]), default: .string("compare"), "The v2 store."),
            Parameter("transformer", .path, "A program that every key goes through."),
        ],
        example: "- etcd_verified"
    )
}

/// Reads a playbook; the throwing part of most tests.
func readPlaybook(_ text: String) throws(DiagnosticsError) -> Playbook {
    try PlaybookReader.read(text: text, path: "p.yaml", actions: SampleActions.all)
}

/// What is wrong with a playbook, one line each.
func problems(_ text: String) -> [String] {
    do throws(DiagnosticsError) {
        _ = try readPlaybook(text)
        return []
    } catch {
        return error.diagnostics.map(\.description)
    }
}

/// The one step under `steps`, for these variables.
func resolve(_ step: String, _ variables: [String: Value] = [:]) throws(DiagnosticsError) -> ResolvedStep {
    let playbook = try readPlaybook("hosts: all\nsteps:\n  - \(step)\n")
    guard let template = playbook.steps(in: .steps).first else { throw DiagnosticsError([]) }
    return try template.resolved(variables: variables, actions: SampleActions.all)
}

/// What is wrong with the one step under `steps`, which stands in line 3 from column 5.
func problems(of step: String, _ variables: [String: Value] = [:]) -> [String] {
    do throws(DiagnosticsError) {
        _ = try resolve(step, variables)
        return []
    } catch {
        return error.diagnostics.map(\.description)
    }
}
