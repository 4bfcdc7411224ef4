// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// Reads inventory, playbook and command line into a ``Play``.
///
/// Contacts nothing.
package struct PlayLoader {
    private var diagnostics: [Diagnostic] = []
    private let request: RunRequest
    /// What was read off the running nodes; `nil` while nobody has looked.
    private let discovered: [String: [String: String]]?
    /// What actions made of parameters that name something on this machine, so that a file is read once for all hosts.
    private var bound: [String: Parameters] = [:]
    /// The variables of each host as they were written.
    private var written: [String: [String: Value]] = [:]

    private init(_ request: RunRequest, _ discovered: [String: [String: String]]?) {
        self.request = request
        self.discovered = discovered
    }

    /// Reads everything that a run is made from.
    ///
    /// - Parameters:
    ///   - request: the files and the command line.
    ///   - discovered: variables that were read off the running nodes, by host; `nil` while nobody has looked: then what
    ///     could be read there and is said nowhere has the value that a fresh installation would have.
    /// - Returns: the play, with every step resolved for every host.
    /// - Throws: everything that is wrong with any of the inputs.
    package static func load(
        _ request: RunRequest,
        discovered: [String: [String: String]]? = nil
    ) throws(DiagnosticsError) -> Play {
        var loader = PlayLoader(request, discovered)
        return try loader.load()
    }

    private mutating func load() throws(DiagnosticsError) -> Play {
        let request = request
        // All three are read before anything is refused, so that all their faults are reported at once.
        let playbook = collect { () throws(DiagnosticsError) in
            try PlaybookReader.read(path: request.playbook, actions: ActionRegistry.schemas)
        }
        let inventory = collect { () throws(DiagnosticsError) in try Inventory.load(request.inventory) }
        let extra = collect { () throws(DiagnosticsError) in try ExtraVariables.parse(request.extraVariables) }
        guard var playbook, let inventory, let extra else { throw DiagnosticsError(diagnostics) }
        if inventory.becomes, !playbook.saysBecome { playbook.become.value = true }

        let selected = collect { () throws(DiagnosticsError) in
            try inventory.hosts(matching: playbook.hosts.value, limit: request.limit)
        }
        if selected == nil { locate(at: playbook.hosts.location) }
        guard let selected else { throw DiagnosticsError(diagnostics) }

        let scope = VariableScope(playbook: playbook, extra: extra)
        var hosts: [String: Play.Host] = [:]
        var steps: [Play.Step] = []
        let names = selected.map(\.name)
        for host in selected { add(host, of: inventory, scope, to: &hosts) }
        for section in Playbook.Section.allCases {
            for template in playbook.steps(in: section) {
                guard let step = step(template, names, inventory, scope, &hosts) else { continue }
                steps.append(step)
            }
        }
        guard diagnostics.isEmpty else { throw DiagnosticsError(unique(diagnostics)) }
        return Play(
            playbook: playbook,
            hosts: names,
            allHosts: hosts,
            steps: steps,
            inputs: digests(inventory, playbook, extra),
            discovered: (discovered ?? [:]).filter { names.contains($0.key) && !$0.value.isEmpty },
            warnings: warnings(extra, playbook, inventory)
        )
    }

    /// The step for each of its hosts; `nil` when something is wrong with it, which is noted.
    private mutating func step(
        _ template: StepTemplate,
        _ names: [String],
        _ inventory: Inventory,
        _ scope: VariableScope,
        _ hosts: inout [String: Play.Host]
    ) -> Play.Step? {
        guard let phase = Phase(rawValue: template.section.rawValue), let type = ActionRegistry.type(template.action)
        else { return nil }
        var targets = names
        if let pattern = template.hosts {
            let matching = collect { () throws(DiagnosticsError) in
                try inventory.hosts(matching: pattern.value, limit: nil)
            }
            if matching == nil { locate(at: pattern.location) }
            for host in matching ?? [] where hosts[host.name] == nil { add(host, of: inventory, scope, to: &hosts) }
            targets = (matching ?? []).map(\.name)
        }
        var byHost: [String: ResolvedStep] = [:]
        for name in targets {
            guard hosts[name] != nil, let variables = written[name] else { continue }
            let filled = collect { () throws(DiagnosticsError) in
                try template.resolved(variables: variables, actions: ActionRegistry.schemas)
            }
            guard var resolved = filled else { continue }
            do throws(ActionFailure) {
                resolved.parameters = try bind(resolved, type)
                byHost[name] = resolved
                _ = try ActionRegistry.make(resolved.action, resolved.parameters)
            } catch {
                let owner = "\(template.action): "
                let summary = error.message.hasPrefix(owner) ? error.message : owner + error.message
                diagnostics.append(Diagnostic(at: template.location, summary, remedy: error.remedy))
            }
        }
        return Play.Step(
            phase: phase,
            number: template.number,
            scope: type.scope,
            place: template.only.flatMap { PlanLayout.Place(rawValue: $0.value.rawValue) } ?? .everyone,
            isOneByOne: template.throttle != nil,
            byHost: byHost,
            hosts: targets
        )
    }

    private mutating func bind(_ step: ResolvedStep, _ type: any Action.Type) throws(ActionFailure) -> Parameters {
        if let known = bound[step.canonicalText] { return known }
        let parameters = try type.bound(step.parameters, beside: request.playbook)
        bound[step.canonicalText] = parameters
        return parameters
    }

    private mutating func add(
        _ host: InventoryHost,
        of inventory: Inventory,
        _ scope: VariableScope,
        to hosts: inout [String: Play.Host]
    ) {
        let unsaid = EtcdDiscovery.names.subtracting(host.variables.keys).subtracting(scope.strongNames)
        let found = found(on: host.name, unsaid, scope)
        let settled = collect { () throws(DiagnosticsError) in
            try SettledHost(host, of: inventory, scope, over: found)
        }
        guard let settled else { return }
        checkState(settled.variables, of: host)
        written[host.name] = settled.written
        hosts[host.name] = Play.Host(
            name: host.name,
            connection: settled.connection,
            variables: settled.variables,
            unsaid: unsaid
        )
    }

    /// What the running node says in place of the playbook's defaults.
    private func found(on host: String, _ unsaid: Set<String>, _ scope: VariableScope) -> [String: Value] {
        if let discovered {
            return (discovered[host] ?? [:]).filter { unsaid.contains($0.key) }.mapValues { .string($0) }
        }
        return EtcdDiscovery.assumed.filter { unsaid.contains($0.key) && !scope.defaultNames.contains($0.key) }
            .mapValues { .string($0) }
    }

    private mutating func checkState(_ variables: [String: Value], of host: InventoryHost) {
        guard let value = variables[NodeState.variable] else { return }
        if let path = value.asString, path.hasPrefix("/"), path != "/" { return }
        diagnostics.append(
            Diagnostic(
                at: host.variableLocations[NodeState.variable] ?? host.location,
                "\(NodeState.variable) of \(host.name) is not an absolute path below /"
            )
        )
    }

    private func warnings(_ extra: [String: Value], _ playbook: Playbook, _ inventory: Inventory) -> [Diagnostic] {
        let known = inventory.hosts.reduce(into: SettledHost.ownVariables) { $0.formUnion($1.variables.keys) }
        return inventory.warnings + ExtraVariables.warnings(for: extra, playbook: playbook, known: known)
    }

    private func digests(_ inventory: Inventory, _ playbook: Playbook, _ extra: [String: Value]) -> Play.InputDigests {
        Play.InputDigests(
            inventory: Digest.sha256(inventory.canonicalText()),
            playbook: Digest.sha256(playbook.sourceText),
            variables: Digest.sha256(Value.map(extra).json())
        )
    }

    // MARK: - Collecting what is wrong

    private mutating func collect<Wrapped>(_ body: () throws(DiagnosticsError) -> Wrapped) -> Wrapped? {
        do throws(DiagnosticsError) {
            return try body()
        } catch {
            diagnostics += error.diagnostics
            return nil
        }
    }

    /// A pattern's diagnostics do not know the file that the pattern stands in.
    private mutating func locate(at location: SourceLocation) {
        for index in diagnostics.indices where diagnostics[index].location == nil {
            diagnostics[index].location = location
        }
    }

    /// A fault of the playbook shows up once for each host; it is said once.
    private func unique(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        var seen: Set<Diagnostic> = []
        return diagnostics.filter { seen.insert($0).inserted }
    }
}
