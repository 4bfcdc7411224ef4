// SPDX-License-Identifier: Apache-2.0

import Rollout
import TestSupport

// What steps do to the hosts, and what the hosts show of it.
extension RolloutWorld {
    struct Node {
        enum Service {
            case up, down
            /// Told to stop or start, and neither stopped nor started.
            case unclear
        }

        enum Contents {
            case v2, partial, migrated
        }

        var service = Service.up
        var contents = Contents.v2
        var hasBackup = false
        /// A migrated copy lies beside the data.
        var hasCopy = false
        var hasTool = false
    }

    enum Writers {
        case open, frozen, unclear
    }

    /// Does a step's work so far.
    ///
    /// - Returns: why a look at the cluster says no.
    mutating func apply(_ id: StepID, _ extent: Extent) -> String? {
        guard let step = steps[id] else { return "unknown step" }
        guard step.effect != .readOnly else { return look(step) }
        let host = step.host ?? ""
        if extent != .none { noteChange(step) }
        switch step.action {
        case "freeze":
            if step.effect == .once, extent != .none, writers[host] != .open { violate("\(id) froze twice") }
            writers[host] = extent == .none ? writers[host] : extent == .partly ? .unclear : .frozen
        case "thaw":
            if !memory.mayThaw(plan) { violate("\(id) thawed too early") }
            writers[host] = extent == .none ? writers[host] : extent == .partly ? .unclear : .open
        case "upload": if extent != .none { nodes[host]?.hasTool = extent == .fully }
        case "prepare":
            if nodes[host]?.service != .up { return "refused: the member does not run" }
            if plan.hosts.contains(where: { nodes[$0]?.contents == .v2 }) == false { violate("\(id) is of no use") }
            if extent != .none { nodes[host]?.hasCopy = extent == .fully }
        case "stop": stop(id, host, extent)
        case "backup":
            if extent == .none { break }
            if nodes[host]?.service == .up { violate("\(id) copied the data of a running member") }
            if nodes[host]?.contents != .v2 { violate("\(id) backed up data that was changed") }
            if extent == .fully { nodes[host]?.hasBackup = true }
        case "migrate":
            if extent == .none { break }
            if nodes[host]?.service != .down { violate("\(id) migrated a member that runs") }
            if nodes[host]?.contents != .v2 { violate("\(id) happened twice") }
            if nodes[host]?.hasBackup != true { violate("\(id) without a backup") }
            nodes[host]?.contents = extent == .partly ? .partial : .migrated
            nodes[host]?.hasCopy = false
        case "start":
            if nodes[host]?.contents != .migrated { violate("\(id) started on data that is not migrated") }
            start(host, extent)
        default: violate("\(id): unknown action")
        }
        return nil
    }

    /// Takes a step's work back so far.
    ///
    /// - Returns: why the undo refuses.
    mutating func takeBack(_ id: StepID, _ extent: Extent) -> String? {
        guard let step = steps[id] else { return "unknown step" }
        let host = step.host ?? ""
        switch step.action {
        case "freeze":
            if !memory.mayThaw(plan) { violate("\(id) was taken back though a member was changed") }
            writers[host] = extent == .none ? writers[host] : extent == .partly ? .unclear : .open
        case "upload": if extent != .none { nodes[host]?.hasTool = false }
        case "prepare": if extent != .none { nodes[host]?.hasCopy = false }
        case "start": stop(id, host, extent)
        case "migrate":
            if nodes[host]?.service != .down { return "refused: the member runs" }
            if extent == .none { break }
            if nodes[host]?.contents != .v2, nodes[host]?.hasBackup != true { violate("\(id): nothing to restore") }
            nodes[host]?.contents = extent == .partly ? .partial : .v2
        case "stop":
            if nodes[host]?.contents != .v2, nodes[host]?.service != .up {
                violate("undo of \(id) started the member on data that was not put back")
            }
            start(host, extent)
        default: violate("\(id) has no undo")
        }
        return nil
    }

    private mutating func stop(_ id: StepID, _ host: String, _ extent: Extent) {
        if plan.needsQuorum { checkStop(id, host) }
        guard extent != .none, nodes[host]?.service != .down else { return }
        nodes[host]?.service = extent == .partly ? .unclear : .down
        checkOut()
    }

    private mutating func start(_ host: String, _ extent: Extent) {
        guard extent != .none, nodes[host]?.service != .up else { return }
        nodes[host]?.service = extent == .partly ? .unclear : .up
    }

    // MARK: - Looking

    private func look(_ step: PlannedStep) -> String? {
        switch step.action {
        case "etcd_ready":
            plan.hosts.allSatisfy { nodes[$0]?.service == .up && nodes[$0]?.contents == .v2 } ? nil : "not ready"
        case "healthy": nodes[step.host ?? ""]?.service == .up ? nil : "not healthy"
        case "consistent": plan.hosts.allSatisfy { nodes[$0]?.service == .up } ? nil : "not consistent"
        case "verified": plan.hosts.allSatisfy { isMigrated($0) } ? nil : "not migrated"
        default: "unknown look"
        }
    }

    func isMigrated(_ host: String) -> Bool {
        nodes[host]?.service == .up && nodes[host]?.contents == .migrated
    }

    func isAsBefore(_ host: String) -> Bool {
        nodes[host]?.service == .up && nodes[host]?.contents == .v2
    }

    mutating func finding(_ id: StepID) -> Event.Finding {
        guard let step = steps[id] else { return .inDoubt("unknown step") }
        if random.chance(perMille: odds.vagueFinding) { return .inDoubt("no marker") }
        let node = nodes[step.host ?? ""]
        switch step.action {
        case "freeze", "thaw":
            let wanted = step.action == "freeze" ? Writers.frozen : .open
            let now = writers[step.host ?? ""]
            return now == .unclear ? .inDoubt("half stopped") : now == wanted ? .done : .notBegun("as before")
        case "stop", "start":
            let wanted = step.action == "stop" ? Node.Service.down : .up
            return node?.service == .unclear
                ? .inDoubt("deactivating") : node?.service == wanted ? .done : .notBegun("as before")
        case "upload": return node?.hasTool == true ? .done : .notBegun("no tool")
        case "prepare": return node?.hasCopy == true ? .done : .notBegun("no copy")
        case "backup": return node?.hasBackup == true ? .done : .notBegun("no backup")
        case "migrate":
            return switch node?.contents {
            case .v2: .notBegun("no v3 keys")
            case .migrated: .done
            default: .inDoubt("half written")
            }
        default: return .inDoubt("unknown step")
        }
    }

    mutating func quorum(for id: StepID) -> Quorum {
        var healthy = Set(plan.hosts.filter { nodes[$0]?.service == .up })
        let isAsked = unhealthyAt.remove(id) != nil
        if isAsked || random.chance(perMille: odds.quorum) {
            let other = plan.hosts.filter { $0 != steps[id]?.host && healthy.contains($0) }
            if let first = other.first ?? healthy.first { healthy.remove(first) }
            return Quorum(voters: plan.hosts.count, healthy: healthy, complaints: ["no answer"])
        }
        return Quorum(voters: plan.hosts.count, healthy: healthy)
    }

    // MARK: - People

    /// An operator starts a stopped member by hand.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    mutating func startByHand(_ host: String) -> Bool {
        guard nodes[host]?.service == .down else { return false }
        nodes[host]?.service = .up
        notes.append(.remark("-- \(host) is started by hand"))
        return true
    }

    /// Somebody removes the copy that a host was prepared with.
    mutating func removeCopy(_ host: String) {
        guard nodes[host]?.hasCopy == true else { return }
        nodes[host]?.hasCopy = false
        notes.append(.remark("-- the copy on \(host) is removed"))
    }

    /// An operator puts everything in order: each member is where the journal says that the run left it.
    mutating func mend() {
        notes.append(.remark("-- mended"))
        odds = Odds()
        (faults, undoFaults, unhealthyAt, incidents) = ([:], [:], [], [:])
        for host in plan.hosts {
            if nodes[host]?.contents == .partial { nodes[host]?.contents = .v2 }
            if nodes[host]?.service == .unclear { nodes[host]?.service = .down }
            if nodes[host]?.service == .up, isOutInJournal(host) { nodes[host]?.service = .down }
            if nodes[host]?.service == .down, !isOutInJournal(host) {
                nodes[host]?.service = .up
            }
        }
    }

    /// Whether the newest record about the service says stopped.
    private func isOutInJournal(_ host: String) -> Bool {
        var isOut = false
        for entry in journal {
            guard let step = steps[entry.step], step.host == host else { continue }
            switch (step.action, entry.kind) {
            case ("stop", .outcome(.succeeded)), ("start", .undoOutcome(.succeeded)): isOut = true
            case ("start", .outcome(.succeeded)), ("stop", .undoOutcome(.succeeded)): isOut = false
            default: break
            }
        }
        return isOut
    }
}
