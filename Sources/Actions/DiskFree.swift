// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import Rollout

/// `disk_free`: refuses a node whose disk is too full for what is to come.
package struct DiskFree: Action {
    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "disk_free",
        summary: "Checks that the file system of a path has enough free space and free inodes.",
        parameters: [
            .init(
                "path",
                .path,
                required: true,
                "The path that is to be written; while it does not exist, the nearest directory above it counts."
            ),
            .init(
                "at_least",
                .string,
                required: true,
                "A size (500MB, 2GiB), a share of the file system (10%), or a multiple of what a path holds "
                    + "(2x /var/lib/etcd; the larger of what it takes on its disk and of its files' lengths)."
            ),
        ],
        example: """
            name: Room for the backup
            disk_free:
              path: /var/backups/etcd
              at_least: 2x /var/lib/etcd
            """
    )

    package let traits = ActionTraits(effect: .readOnly, defaultTimeout: .seconds(120))
    private let path: String
    private let requirement: DiskRequirement
    private let requirementText: String
    /// A file system with fewer free inodes than this share refuses new files soon, whatever space is left.
    private static let leastFreeInodesPercent = 1

    package init(_ parameters: Parameters) throws(ActionFailure) {
        guard let path = parameters.string("path"), path.hasPrefix("/") else {
            throw ActionFailure("disk_free: `path` must be an absolute path")
        }
        self.path = path
        requirementText = parameters.string("at_least") ?? ""
        requirement = try DiskRequirement(parsing: requirementText)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("it only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let host = try context.requiredHost(for: Self.schema.word)
        let measured: String? =
            switch requirement {
            case .times(_, let path): path
            case .bytes, .percent: nil
            }
        let command = RemoteCommand(
            "free space of \(path)",
            script: DiskReading.script(path: path, measured: measured),
            effect: .readOnly,
            timeout: context.timeout
        )
        let result: CommandResult
        do {
            result = try await host.run(command)
        } catch {
            throw ActionFailure(error)
        }
        let reading = try DiskReading(result, path: path, measured: measured)
        return try judge(reading)
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("disk_free changes nothing, so there is nothing to take back")
    }

    private func judge(_ reading: DiskReading) throws(ActionFailure) -> Evidence {
        let needed = neededBytes(reading)
        let size = DiskRequirement.text(bytes:)
        let place = "\(reading.mount) (\(reading.device))"
        let why = explanation(reading)
        guard reading.freeBytes >= needed else {
            throw ActionFailure(
                "\(path) needs \(size(needed)) free\(why), has \(size(reading.freeBytes)) on \(place)",
                remedy: "free \(size(needed - reading.freeBytes)) on \(reading.mount), or name a path on a larger disk"
            )
        }
        var values = [
            "free_bytes": String(reading.freeBytes),
            "needed_bytes": String(needed),
            "mount": reading.mount,
            "nearest_path": reading.ancestor,
        ]
        if let inodes = reading.inodes {
            guard inodes.free * 100 >= inodes.total * Self.leastFreeInodesPercent else {
                throw ActionFailure(
                    "\(path) has room, but only \(inodes.free) of \(inodes.total) inodes are free on \(place)",
                    remedy: "delete small files on \(reading.mount): at least \(Self.leastFreeInodesPercent) % of its "
                        + "inodes must be free"
                )
            }
            values["free_inodes"] = String(inodes.free)
        }
        if let measurement = reading.measurement {
            values["measured_bytes"] = String(measurement.bytes)
            values["same_file_system"] = String(measurement.isOnSameFileSystem)
        }
        return Evidence("\(size(reading.freeBytes)) free on \(place), \(size(needed)) needed\(why)", values)
    }

    private func neededBytes(_ reading: DiskReading) -> Int {
        let needed: Double =
            switch requirement {
            case .bytes(let bytes): Double(bytes)
            case .percent(let percent): Double(reading.totalBytes) * percent / 100
            case .times(let factor, _): factor * Double(reading.measurement?.bytes ?? 0)
            }
        // An exbibyte at most: a factor of many digits must not overflow.
        return Int(min(needed.rounded(.up), 1_152_921_504_606_846_976))
    }

    /// Where the needed size comes from, in brackets; empty where the playbook gave the size itself.
    private func explanation(_ reading: DiskReading) -> String {
        switch requirement {
        case .bytes:
            return ""
        case .percent:
            return " (\(requirementText) of \(DiskRequirement.text(bytes: reading.totalBytes)))"
        case .times:
            guard let measurement = reading.measurement else { return "" }
            let size = DiskRequirement.text(bytes: measurement.bytes)
            let place = measurement.isOnSameFileSystem ? ", on the same file system" : ""
            return " (\(requirementText), which holds \(size)\(place))"
        }
    }
}
