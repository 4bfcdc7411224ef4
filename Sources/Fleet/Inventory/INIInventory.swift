// SPDX-License-Identifier: Apache-2.0

/// Reads the INI form of an inventory into the tree.
///
/// Follows Ansible's `plugins/inventory/ini.py`: one pass over the lines, with groups that are used before their own
/// section noted and looked at again at the end.
struct INIInventory {
    private enum State: String {
        case hosts, children, vars
    }

    /// A group that was named and not yet declared by a section of its own.
    private struct Pending {
        var state: State
        var location: SourceLocation
        var parents: [(name: String, location: SourceLocation)]
    }

    private let file: String
    private let tree: InventoryTree
    private var problems: [Diagnostic] = []
    private var group: InventoryTree.Group?
    private var state: State? = .hosts
    private var pending: [String: Pending] = [:]
    private var pendingOrder: [String] = []

    /// - Returns: the problems found.
    static func read(_ text: String, file: String, into tree: InventoryTree) -> [Diagnostic] {
        var reader = INIInventory(file: file, tree: tree)
        for (index, line) in INILine.lines(of: text).enumerated() { reader.read(line, number: index + 1) }
        reader.reportUndeclared()
        return reader.problems
    }

    private init(file: String, tree: InventoryTree) {
        self.file = file
        self.tree = tree
        group = tree.group("ungrouped")
    }

    private mutating func read(_ raw: String, number: Int) {
        let line = INILine(raw)
        guard let first = line.text.first, first != ";", first != "#" else { return }
        let location = SourceLocation(file: file, line: number, column: line.offset + 1)
        if let header = line.header {
            guard isDecoded(header.group, at: location) else { return state = nil }
            open(header.group, kind: header.kind, at: location)
        } else if first == "[", line.isBrokenHeader {
            state = nil
            problems.append(
                Diagnostic(
                    at: location,
                    "`\(line.text)` is not a section header",
                    remedy: "write `[group]`, `[group:children]` or `[group:vars]`, without spaces in it"
                )
            )
        } else if let group {
            // After a header that is not understood its lines mean nothing.
            switch state {
            case .hosts: readHost(line, into: group, at: location)
            case .vars: readVariable(line, of: group, at: location)
            case .children: readChild(line, of: group, at: location)
            case nil: break
            }
        }
    }

    private mutating func open(_ name: String, kind: String?, at location: SourceLocation) {
        guard let state = State(rawValue: kind ?? "hosts") else {
            self.state = nil
            let question = NearNames.question(kind ?? "", among: ["hosts", "children", "vars"]).map { "\($0) " } ?? ""
            problems.append(
                Diagnostic(
                    at: location,
                    "the section [\(name):\(kind ?? "")] is of an unknown kind",
                    remedy: question + "a section ends in `:children`, `:vars` or nothing"
                )
            )
            return
        }
        self.state = state
        if tree.group(name) == nil, state == .vars, pending[name] == nil {
            note(name, Pending(state: .vars, location: location, parents: []))
        }
        group = tree.addGroup(name, at: location)
        guard state != .vars, let waiting = pending[name] else { return }
        if waiting.state == .children { adoptPending(name) } else { settle(name) }
    }

    private mutating func note(_ name: String, _ declaration: Pending) {
        pending[name] = declaration
        pendingOrder.append(name)
    }

    private mutating func settle(_ name: String) {
        pending[name] = nil
        pendingOrder.removeAll { $0 == name }
    }

    private mutating func adoptPending(_ name: String) {
        guard let waiting = pending[name], let child = tree.group(name) else { return }
        settle(name)
        for parent in waiting.parents {
            adopt(child, by: parent.name, at: parent.location)
            if pending[parent.name]?.state == .children { adoptPending(parent.name) }
        }
    }

    private mutating func adopt(_ child: InventoryTree.Group, by parentName: String, at location: SourceLocation) {
        guard let parent = tree.group(parentName), tree.adopt(child, by: parent) == .cycle else { return }
        problems.append(.ancestorOfItself(child: child.name, parent: parentName, at: location))
    }

    private mutating func readChild(_ line: INILine, of group: InventoryTree.Group, at location: SourceLocation) {
        guard let name = line.groupName else {
            problems.append(
                Diagnostic(
                    at: location,
                    "`\(line.text)` is not the name of a group, in [\(group.name):children]",
                    remedy: "give one group on a line; variables go to [\(group.name):vars]"
                )
            )
            return
        }
        guard isDecoded(name, at: location) else { return }
        if let child = tree.group(name), pending[name]?.state != .children {
            adopt(child, by: group.name, at: location)
        } else if pending[name] == nil {
            note(name, Pending(state: .children, location: location, parents: [(group.name, location)]))
        } else {
            pending[name]?.parents.append((group.name, location))
        }
    }

    private mutating func readVariable(_ line: INILine, of group: InventoryTree.Group, at location: SourceLocation) {
        guard isDecoded(line.text, at: location) else { return }
        guard let equals = line.text.firstIndex(of: "=") else {
            problems.append(
                Diagnostic(
                    at: location,
                    "`\(line.text)` is not a variable, in [\(group.name):vars]",
                    remedy: "write `name=value`; hosts go to [\(group.name)]"
                )
            )
            return
        }
        let name = INILine.trimmed(line.text[..<equals])
        let value = INILine.trimmed(line.text[line.text.index(after: equals)...])
        set(name, to: Located(value: PythonLiteral.valueOrText(value), location: location), of: [group.name])
    }

    private mutating func set(_ name: String, to value: Located, of entities: [String]) {
        if let problem = VariableRules.problem(with: name, value) { problems.append(problem) }
        problems += entities.compactMap { tree.setVariable(name, to: value, of: $0) }
    }

    /// Whether the text is without bytes that are not UTF-8, which comments alone may have.
    private mutating func isDecoded(_ text: String, at location: SourceLocation) -> Bool {
        guard let offset = Array(text.unicodeScalars).firstIndex(of: SourceFile.undecodable) else { return true }
        let place = SourceLocation(file: file, line: location.line, column: location.column + offset)
        problems.append(Diagnostic(at: place, "the line is not UTF-8", remedy: "save the file as UTF-8"))
        return false
    }

    private mutating func readHost(_ line: INILine, into group: InventoryTree.Group, at location: SourceLocation) {
        func place(_ offset: Int) -> SourceLocation {
            SourceLocation(file: file, line: location.line, column: location.column + offset)
        }
        let words: [ShellWords.Word]
        do {
            words = try ShellWords.split(line.text, comments: true)
        } catch {
            problems.append(
                Diagnostic(at: place(error.offset), "the line cannot be read: \(error.message)", remedy: "close it")
            )
            return
        }
        guard let first = words.first else { return }
        guard words.allSatisfy({ isDecoded($0.text, at: place($0.offset)) }) else { return }
        let entry: HostEntry
        do {
            entry = try HostEntry(first.text, at: location)
        } catch {
            problems += error.diagnostics
            return
        }
        for name in entry.names {
            tree.addHost(name, to: group, port: entry.port, at: location)
        }
        for word in words.dropFirst() {
            guard let equals = word.text.firstIndex(of: "=") else {
                problems.append(
                    Diagnostic(
                        at: place(word.offset),
                        "`\(word.text)` is not a variable of \(first.text)",
                        remedy: "write `name=value`, with quotes around a value with spaces"
                    )
                )
                continue
            }
            let value = PythonLiteral.valueOrText(String(word.text[word.text.index(after: equals)...]))
            let variable = Located(value: value, location: place(word.offset))
            set(String(word.text[..<equals]), to: variable, of: entry.names)
        }
    }

    private mutating func reportUndeclared() {
        for name in pendingOrder {
            guard let waiting = pending[name] else { continue }
            let known = tree.groups.map(\.name).filter { $0 != name && pending[$0] == nil }
            let question = NearNames.question(name, among: known).map { "\($0) " } ?? ""
            switch waiting.state {
            case .children:
                for parent in waiting.parents {
                    problems.append(
                        Diagnostic(
                            at: parent.location,
                            "[\(parent.name):children] names the group \(name), which is not defined",
                            remedy: question + "add a section [\(name)]"
                        )
                    )
                }
            case .vars, .hosts:
                problems.append(
                    Diagnostic(
                        at: waiting.location,
                        "[\(name):vars] is for the group \(name), which is not defined",
                        remedy: question + "add a section [\(name)]"
                    )
                )
            }
        }
    }
}
