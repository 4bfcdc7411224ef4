// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Foundation
import Journal
import Remote

/// Which backups the nodes hold, and whether they are sound.
///
/// Read-only.
package struct BackupSurvey: Sendable {
    /// What was found at one place of one host.
    package struct Finding: Sendable, Codable, Hashable {
        package enum State: String, Sendable, Codable {
            /// Complete; what it holds was not read.
            case complete
            /// Every byte is what its manifest says.
            case sound
            case damaged
            /// A copy that was not finished, or a directory that is no backup.
            case unfinished
            /// The host could not be asked.
            case unknown
        }

        package var host: String
        package var state: State
        package var path: String?
        package var run: String?
        package var created: String?
        package var bytes: Int?
        package var files: Int?
        /// What became of the migration that was begun on the strength of it.
        package var migration: String?
        /// Why it is kept: an open run needs it.
        package var neededBy: String?
        /// What is damaged, or why nothing is known.
        package var problem: String?

        package init(host: String, state: State, path: String? = nil, problem: String? = nil) {
            self.host = host
            self.state = state
            self.path = path
            self.problem = problem
        }

        /// Whether somebody must do something about it.
        package var isBad: Bool { state == .damaged || state == .unknown }
    }

    /// What to look at.
    package struct Request: Sendable {
        package var inventory: InventorySources
        package var limit: String?
        package var extraVariables: [String]
        /// Where backups are; `nil` for `backup_dir` of each host, and where the journal knows of others.
        package var directory: String?
        package var verifies: Bool
        /// How long reading one backup whole may take.
        package var timeout: Duration

        package init(
            inventory: InventorySources,
            limit: String?,
            extraVariables: [String],
            directory: String?,
            verifies: Bool,
            timeout: Duration = .seconds(3600)
        ) {
            self.inventory = inventory
            self.limit = limit
            self.extraVariables = extraVariables
            self.directory = directory
            self.verifies = verifies
            self.timeout = timeout
        }
    }

    private let request: Request
    private let hosts: [InspectedHost]
    /// Directories that runs of the journal wrote to, by host.
    private let recorded: [String: Set<String>]
    private let openRuns: Set<String>

    /// - Parameters:
    ///   - request: what to look at.
    ///   - store: the journal, where there is one.
    ///   - connector: makes the ways to the hosts.
    /// - Throws: `DiagnosticsError` for the inventory, ``JournalError`` for the journal.
    package init(
        _ request: Request,
        store: (any RunStore)?,
        connector: HostDirectory.Connector
    ) async throws {
        self.request = request
        hosts = try InspectedHost.all(
            inventory: request.inventory,
            limit: request.limit,
            extraVariables: request.extraVariables,
            connector: { ReadOnlyHost(connector($0)) }
        )
        var recorded: [String: Set<String>] = [:]
        var openRuns: Set<String> = []
        let suffix = ":backup_path"
        for run in try await store?.runs() ?? [] {
            if run.isOpen { openRuns.insert(run.id) }
            for (name, path) in try await store?.facts(of: run.id) ?? [:] where name.hasSuffix(suffix) && !path.isEmpty
            {
                let parent = FilePath.folder(of: path)
                recorded[String(name.dropLast(suffix.count)), default: []].insert(parent)
            }
        }
        self.recorded = recorded
        self.openRuns = openRuns
    }

    /// Asks all hosts, at most eight at a time.
    ///
    /// - Parameter progress: is told which backup is being read.
    /// - Returns: the findings by host in inventory order, the newest backup first.
    package func findings(progress: @escaping @Sendable (String) -> Void) async -> [Finding] {
        await FanOut(width: 8).answers(of: hosts) { await look(at: $0, progress) }.flatMap { $0 ?? [] }
    }

    private func look(at host: InspectedHost, _ progress: @Sendable (String) -> Void) async -> [Finding] {
        let name = host.host.name
        let directories =
            request.directory.map { [$0] }
            ?? Set([host.settings.backupDir]).union(recorded[name] ?? []).sorted()
        var findings: [Finding] = []
        do throws(RemoteError) {
            let command = BackupListing.command(in: directories, host: name, timeout: .seconds(60))
            let report = NodeReport(try await host.host.run(command))
            if let refusal = report.refusal {
                findings = [Finding(host: name, state: .unknown, problem: refusal.message)]
            } else if let listing = BackupListing(report) {
                for entry in listing.entries { findings.append(await finding(entry, on: host.host, progress)) }
                findings += listing.unfinished.map { Finding(host: name, state: .unfinished, path: $0) }
            } else {
                findings = [Finding(host: name, state: .unknown, problem: "the answer was not whole")]
            }
        } catch {
            findings = [Finding(host: name, state: .unknown, problem: error.message)]
        }
        await host.host.close()
        return findings
    }

    private func finding(
        _ entry: BackupListing.Entry,
        on host: any RemoteHost,
        _ progress: @Sendable (String) -> Void
    ) async -> Finding {
        var finding = Finding(host: host.name, state: .complete, path: entry.backup.path)
        finding.run = entry.description.run
        finding.created = entry.description.created
        finding.bytes = entry.description.bytes
        finding.files = entry.description.files
        finding.migration = entry.migration?.rawValue
        if openRuns.contains(entry.description.run) { finding.neededBy = entry.description.run }
        guard request.verifies else { return finding }
        progress("\(host.name): reading \(entry.backup.path), \(entry.description.bytes) bytes")
        do throws(RemoteError) {
            let report = NodeReport(try await host.run(entry.backup.verifyCommand(timeout: request.timeout)))
            finding.state = report.refusal == nil ? .sound : .damaged
            finding.problem = report.refusal?.message
        } catch {
            finding.state = .unknown
            finding.problem = error.message
        }
        return finding
    }
}
