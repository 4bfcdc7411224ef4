// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Rollout

/// The last words of a run: its exit code, and the halt report or the summary.
package struct RunConclusion: Sendable {
    package var verdict: Verdict
    package var exitCode: Int32
    package var kind: RunEvent.Kind

    /// What the conclusion is drawn from.
    struct Source {
        var run: String
        var play: Play
        var result: RunEngine.Result
        var facts: any FactLedger
        /// What the members show now, by host; empty where nobody looked.
        var look: [String: ClusterLook]
        /// The command lines that the report prints.
        var commands: RepeatedCommands
    }

    static func draw(from source: Source) async -> RunConclusion {
        let verdict = source.result.verdict
        let exitCode = exitCode(of: verdict, machine: source.result.machine)
        if verdict == .done {
            return RunConclusion(verdict: verdict, exitCode: exitCode, kind: .finished(await summary(source)))
        }
        let report = HaltReport(
            verdict: word(verdict),
            reason: failure(of: verdict)?.message ?? "stopped at a safe point, as asked",
            remedy: failure(of: verdict)?.remedy,
            host: failure(of: verdict)?.host,
            step: failure(of: verdict)?.step.map { name(of: $0, in: source.result.machine.plan) },
            members: source.play.hosts.map { member($0, source) },
            nextCommands: source.commands.next(after: verdict, run: source.run, mayRollBack: mayRollBack(source)),
            exitCode: exitCode
        )
        return RunConclusion(verdict: verdict, exitCode: exitCode, kind: .halted(report))
    }

    // MARK: - Parts of the halt report

    private static func exitCode(of verdict: Verdict, machine: RolloutMachine) -> Int32 {
        switch verdict {
        case .done: 0
        case .halted: 3
        case .refused: 4
        case .drifted: 6
        case .interrupted: 130
        }
    }

    private static func word(_ verdict: Verdict) -> String {
        switch verdict {
        case .done: "done"
        case .halted: "halted"
        case .refused: "refused"
        case .drifted: "drift"
        case .interrupted: "interrupted"
        }
    }

    /// A run that migrates takes a backup of each member first, so what it changed can be taken back.
    private static func mayRollBack(_ source: Source) -> Bool {
        let machine = source.result.machine
        guard machine.plan.steps.contains(where: { $0.action == "etcd_migrate" }) else { return false }
        return source.play.hosts.contains { host in
            switch machine.progress(of: host) {
            case .complete, .touched, .restoreFailed: true
            case .untouched, .restored: false
            }
        }
    }

    private static func failure(of verdict: Verdict) -> Failure? {
        switch verdict {
        case .halted(let failure), .refused(let failure), .drifted(let failure): failure
        case .done, .interrupted: nil
        }
    }

    private static func name(of id: StepID, in plan: Plan) -> String {
        plan.steps.first { $0.id == id }?.name ?? id.text
    }

    private static func member(_ host: String, _ source: Source) -> HaltReport.Member {
        let machine = source.result.machine
        let migrates = machine.plan.steps.contains { $0.action == "etcd_migrate" }
        let rollsBack = machine.plan.steps.contains { $0.action == "etcd_rollback" }
        let progress = machine.progress(of: host)
        let look = source.look[host]
        var detail =
            switch progress {
            case .untouched: "untouched by this run"
            case .complete: "all its steps are done and proven"
            case .restored: "put back as it was, and healthy again"
            case .restoreFailed(let failure): "could not be put back: \(failure.message)"
            case .touched(let step): "in the middle of: \(name(of: step, in: machine.plan))"
            }
        if let look { detail += "; \(look.words)" }
        return HaltReport.Member(
            host: host,
            state: ReportedState.word(progress, look, migrates: migrates, rollsBack: rollsBack),
            detail: detail
        )
    }

    // MARK: - Summary

    private static func summary(_ source: Source) async -> RunSummary {
        var members: [RunSummary.Member] = []
        for host in source.play.hosts {
            func fact(_ name: String) async -> String? {
                let value = (try? await source.facts.fact("\(host):\(name)")) ?? nil
                return value.flatMap { $0.isEmpty ? nil : $0 }
            }
            members.append(
                RunSummary.Member(
                    host: host,
                    keys: await fact("keys").flatMap(Int.init),
                    revision: await fact("revision").flatMap(Int.init),
                    hash: await fact("hash"),
                    unavailableSeconds: await fact("unavailable_seconds").flatMap(Double.init),
                    backupPath: await fact("backup_path")
                )
            )
        }
        return RunSummary(
            playbook: source.play.playbook.name.value,
            members: members,
            elapsedSeconds: source.result.elapsed.seconds,
            proofs: await proofs(source)
        )
    }

    /// What was proven at the end: by the postflight, or by the last gate of a playbook that has none.
    private static func proofs(_ source: Source) async -> [String] {
        let steps = source.result.machine.plan.steps
        let phase: Phase = steps.contains { $0.phase == .postflight } ? .postflight : .gate
        var lines: [String] = []
        for step in steps where step.phase == phase {
            let line = (try? await source.facts.fact("proof:\(step.action)")) ?? nil
            if let line, !lines.contains(line) { lines.append(line) }
        }
        return lines
    }
}
