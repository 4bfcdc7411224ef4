// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout

/// `service`: stops or starts a unit of systemd, or something with commands of its own, and proves that it did.
package struct Service: Action {
    package enum State: String, Sendable, CaseIterable {
        case started, stopped, restarted
    }

    /// Commands of the operator in place of systemd's.
    package struct Commands: Sendable, Hashable {
        package var start: String
        package var stop: String
        /// Exits with 0 while the service runs and with 3 when it does not, as LSB has it.
        package var status: String
    }

    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "service",
        summary: "Stops, starts or restarts a service, and proves it; a stop counts only when it was clean.",
        parameters: [
            .init("name", .string, required: true, "The unit, as `etcd`; with commands of its own, any name."),
            .init("state", .choice(State.allCases.map(\.rawValue)), required: true, "What the service is to be."),
            .init("start", .string, "A shell command in place of `systemctl start`; needs `stop` and `status` too."),
            .init("stop", .string, "A shell command in place of `systemctl stop`."),
            .init("status", .string, "A shell command that exits with 0 when it runs and with 3 when it is stopped."),
            .init(
                "must_be_clean",
                .boolean,
                default: .bool(true),
                "Whether a stop that was not clean fails. For what is to be put back from a backup it does not matter."
            ),
            .init("within", .duration, default: .int(120), "How long the service may take to stop or to start."),
        ],
        example: """
            - name: Stop etcd
              service: { name: etcd, state: stopped }
            """
    )

    private let name: String
    private let state: State
    private let commands: Commands?
    private let within: Duration
    private let mustBeClean: Bool

    package init(_ parameters: Parameters) throws(ActionFailure) {
        guard let name = parameters.string("name"), let state = parameters.string("state").flatMap(State.init) else {
            throw ActionFailure("a service needs a name and a state")
        }
        guard !name.hasPrefix("-"), !name.contains("/"), !name.unicodeScalars.contains(where: { $0.value < 33 }) else {
            throw ActionFailure("'\(name)' is not the name of a service")
        }
        self.name = name
        self.state = state
        within = parameters.duration("within") ?? .seconds(120)
        mustBeClean = parameters.boolean("must_be_clean") ?? true
        switch (parameters.string("start"), parameters.string("stop"), parameters.string("status")) {
        case (nil, nil, nil): commands = nil
        case (let start?, let stop?, let status?): commands = Commands(start: start, stop: stop, status: status)
        default:
            throw ActionFailure(
                "a service with commands of its own needs all three: start, stop and status",
                remedy: "give the missing ones, or none to use systemd"
            )
        }
    }

    package var traits: ActionTraits {
        let availability: Availability =
            switch state {
            case .started: .bringsBack
            case .stopped: .takesOut
            case .restarted: .bounces
            }
        return ActionTraits(
            effect: .repeatable,
            availability: availability,
            resource: "service \(name)",
            hasUndo: state != .restarted,
            defaultTimeout: within + within + .seconds(30)
        )
    }

    private func script(_ context: ActionContext) throws(ActionFailure) -> ServiceScript {
        let target = try context.requiredTarget()
        return ServiceScript(
            state: NodeState(variables: target.variables),
            name: name,
            commands: commands,
            within: within,
            host: target.host.name,
            run: context.run,
            step: context.step.text
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        let report = try await settledLook(context)
        let isUp = report["up"] == "yes"
        let isDown = report["up"] == "no"
        let isHeld = report["held"] == "yes"
        let evidence = Self.evidence(report, "")
        func done(_ text: String) -> Observation { .done(Evidence("\(name) \(text)", evidence.values)) }
        switch state {
        case .stopped:
            if isDown, isHeld, report["clean"] == "yes" {
                return done("was stopped cleanly by this run, and is held down")
            }
            if isDown, isHeld, !mustBeClean { return done("is stopped, and is held down by this run") }
            if isUp, !isHeld { return .notBegun("\(name) runs") }
            if isDown, !isHeld, !mustBeClean { return .notBegun("\(name) is not held down by this run") }
        case .started:
            // Whoever started it died before its last line; the start puts away what is left, and starts nothing.
            if isUp, !isHeld, report["left_behind"] == "yes" {
                return .notBegun("\(name) runs, but what held it down was not put away")
            }
            if isUp, !isHeld { return done("runs") }
            // Down and not held: it was started and died, and systemd may be about to start it again. What is to be
            // taken back before it must not be without a stop and a hold.
            if isDown, isHeld { return .notBegun("\(name) does not run") }
        case .restarted:
            if isUp, let mark = report["restarted"], mark == "\(context.step.text) \(report["instance"] ?? "")" {
                return done("runs, and was restarted by this step")
            }
            if isUp, !isHeld { return .notBegun("\(name) runs, and was not restarted by this step") }
        }
        let shown = isUp ? "runs" : isDown ? "does not run" : "is in the state \(report["state"] ?? "unknown")"
        return .inDoubt("\(name) \(shown)\(isHeld ? ", and pawl holds it down" : ", and not by this run")")
    }

    /// What the node shows, once a stop that outlived its controller has ended there and was judged.
    ///
    /// A member that stops while the others do looks for somebody to lead in its place, and takes seconds. To start it
    /// meanwhile would be in vain: its stop would come behind the start.
    private func settledLook(_ context: ActionContext) async throws(ActionFailure) -> NodeReport {
        let deadline = ContinuousClock.now + within
        var looksAtUnjudged = 0
        while true {
            let look = try script(context).look(timeout: context.timeout)
            let report = try await context.requiredTarget().report(look)
            let isStopping = report["state"]?.hasPrefix("deactivating") == true
            let isUnjudged = report["up"] == "no" && report["held"] == "yes" && report["clean"] == "no"
            if isUnjudged { looksAtUnjudged += 1 }
            let mayChange = isStopping || isUnjudged && looksAtUnjudged < 5
            if state != .stopped || !mayChange || ContinuousClock.now > deadline || Task.isCancelled { return report }
            try? await Task.sleep(for: .milliseconds(300))
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        switch state {
        case .stopped: return try await stop(context, mustBeClean: mustBeClean)
        case .started: return try await start(context)
        case .restarted: return try await restart(context)
        }
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        switch state {
        case .stopped:
            let report = try await context.requiredTarget().report(try script(context).unstop(timeout: context.timeout))
            let text = report["left"] == "stopped" ? "is left stopped, as it was found" : "runs again"
            return Self.evidence(report, "\(name) \(text)")
        case .started: return try await stop(context, mustBeClean: false)
        case .restarted: throw ActionFailure("a restart cannot be taken back")
        }
    }

    /// The moment of the order is recorded before it is sent, so that it is known whatever comes; the answer makes it
    /// exact, because preparing the stop takes some time in which the service still serves.
    private func stop(_ context: ActionContext, mustBeClean: Bool) async throws(ActionFailure) -> Evidence {
        if state == .stopped, try await context.hostFact("stopped_at") == nil {
            try await context.record("stopped_at", Self.epoch(Date.now))
        }
        let command = try script(context).stop(mustBeClean: mustBeClean, timeout: context.timeout)
        let report = try await context.requiredTarget().report(command)
        if let since = report["since_order"].flatMap(Double.init), state == .stopped {
            try await context.record("stopped_at", Self.epoch(Date.now.addingTimeInterval(-since / 1000)))
        }
        return Self.evidence(report, "\(name) is stopped and held down: \(report["proof"] ?? "")")
    }

    private func start(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let report = try await context.requiredTarget().report(try script(context).start(timeout: context.timeout))
        return Self.evidence(report, "\(name) \(report["already"] == "yes" ? "ran already" : "is started")")
    }

    private func restart(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let report = try await context.requiredTarget().report(try script(context).restart(timeout: context.timeout))
        guard report["clean"] == "yes" else {
            throw ActionFailure(
                "\(name) runs again, but did not stop cleanly: \(report["proof"] ?? "")",
                remedy: "find out why it does not stop by itself within its time"
            )
        }
        return Self.evidence(report, "\(name) is restarted: \(report["proof"] ?? "")")
    }

    /// The command of ``ServiceScript/restartTwice(with:functions:timeout:)`` for this service.
    func restartTwice(
        _ context: ActionContext,
        with setting: String,
        functions: String
    ) throws(ActionFailure) -> RemoteCommand {
        try script(context).restartTwice(with: setting, functions: functions, timeout: context.timeout)
    }

    private static func epoch(_ date: Date) -> String {
        String(format: "%.3f", date.timeIntervalSince1970)
    }

    private static func evidence(_ report: NodeReport, _ summary: String) -> Evidence {
        var values: [String: String] = [:]
        for name in ["state", "pid", "instance", "result", "clean", "proof", "milliseconds"] {
            values[name] = report[name]
        }
        return Evidence(summary, values)
    }
}
