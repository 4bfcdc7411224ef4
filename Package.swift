// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// Every target is compiled in Swift 6 mode with its warnings as errors.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// A module of `Sources/`, listed from the top of the stack to its bottom: imports go down only.
func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    .testTarget(
        name: name,
        dependencies: dependencies,
        resources: fixtures ? [.copy("Fixtures")] : [],
        swiftSettings: strict
    )
}

let package = Package(
    name: "pawl",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "pawl", targets: ["pawl"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
    ],
    targets: [
        .executableTarget(name: "pawl", dependencies: ["PawlCommands"], swiftSettings: strict),
        module(
            "PawlCommands",
            [
                "Reports", "Lab", "Engine", "Actions", "Etcd", "Rollout", "Journal", "SSH", "Remote", "Playbooks",
                "Fleet", argumentParser, logging,
            ]
        ),
        module("Reports", ["Engine", "Rollout", "Remote"]),
        module("Lab", ["Fleet", subprocess, system]),
        module("Engine", ["Actions", "Etcd", "Rollout", "Journal", "Remote", "Playbooks", "Fleet", crypto, logging]),
        module("Actions", ["Etcd", "Rollout", "Remote", "Playbooks", "Fleet"]),
        module("Etcd", ["Remote", "Fleet", crypto]),
        module("Rollout", []),
        module("Journal", ["CZlib", grdb]),
        module("SSH", ["CLibSSH2", "Remote", "Fleet", crypto, logging]),
        module("Remote", ["Fleet", crypto]),
        module("Playbooks", ["Fleet", yams]),
        module("Fleet", [yams, crypto, cryptoExtras]),
        .systemLibrary(
            name: "CLibSSH2",
            pkgConfig: "libssh2",
            providers: [.apt(["libssh2-1-dev"]), .brew(["libssh2"])]
        ),
        .systemLibrary(
            name: "CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]
        ),
        .target(
            name: "TestSupport",
            dependencies: ["Remote", subprocess, system],
            path: "Tests/Support",
            swiftSettings: strict
        ),
        // Three booted nodes that are put back to the same data again and again, and pawl at work on them.
        .target(
            name: "RealNodes",
            dependencies: ["Lab", "Journal", "TestSupport", subprocess],
            path: "Tests/RealNodes",
            swiftSettings: strict
        ),
        // Breaks runs on real nodes; no test, but built with them. See scripts/crash-matrix.
        .executableTarget(
            name: "crash-matrix",
            dependencies: ["Lab", "Journal", "RealNodes", "TestSupport", argumentParser, subprocess, system],
            path: "Tests/CrashMatrix",
            swiftSettings: strict
        ),
        // What commands and files cost over pawl's own SSH. See scripts/bench-ssh.
        .executableTarget(
            name: "ssh-bench",
            dependencies: ["SSH", "Remote", argumentParser],
            path: "Tests/SSHBench",
            swiftSettings: strict
        ),
        // Sets every known trap of a migration on real nodes. See scripts/truth-matrix.
        .executableTarget(
            name: "truth-matrix",
            dependencies: ["Lab", "RealNodes", "TestSupport", argumentParser],
            path: "Tests/TruthMatrix",
            swiftSettings: strict
        ),
        tests("FleetTests", ["Fleet"], fixtures: true),
        tests("PlaybooksTests", ["Playbooks", "Fleet"], fixtures: true),
        tests("RemoteTests", ["Remote", "Fleet", "TestSupport"]),
        tests("SSHTests", ["SSH", "Remote", "Fleet", "TestSupport", subprocess, system]),
        tests("JournalTests", ["Journal", subprocess, system]),
        tests("RolloutTests", ["Rollout", "TestSupport"]),
        tests("SimulationTests", ["Rollout", "Etcd", "Remote", "TestSupport"]),
        tests("EtcdTests", ["Etcd", "Remote", "Fleet", "TestSupport", subprocess, system], fixtures: true),
        tests(
            "ActionsTests",
            ["Actions", "Etcd", "Rollout", "Remote", "Playbooks", "Fleet", "TestSupport", subprocess, system]
        ),
        tests(
            "EngineTests",
            ["Engine", "Actions", "Etcd", "Rollout", "Journal", "Remote", "Playbooks", "Fleet", "TestSupport"]
        ),
        tests("ReportsTests", ["Reports", "Engine", "Rollout", "Remote"]),
        tests("LabTests", ["Lab", "Fleet"]),
        tests(
            "PawlCommandsTests",
            [
                "PawlCommands", "Reports", "Engine", "Actions", "Rollout", "Journal", "Remote", "Playbooks", "Fleet",
                argumentParser,
            ]
        ),
        tests("ArchitectureTests", []),
        tests("EndToEndTests", ["Lab", "Fleet", "TestSupport", subprocess, system]),
    ],
    swiftLanguageModes: [.v6]
)
