// SPDX-License-Identifier: Apache-2.0

import Engine
import Rollout

/// A run up to the question whether it may begin: inputs read, members looked at, plan made.
struct PreparedRun: Sendable {
    let request: RunRequest
    let play: Play
    let hosts: HostDirectory
    let plan: Plan
    /// What the look at the members saw of their locks.
    let locks: LockSurvey?

    /// Reads the inputs, looks at the members, and makes the plan.
    ///
    /// - Parameters:
    ///   - request: the files and the command line.
    ///   - isSuperseding: whether the nodes may be in the middle of another run.
    ///   - connector: makes the ways to the hosts.
    ///   - onRead: is told of the play before anything is contacted.
    /// - Returns: what a run begins with.
    /// - Throws: what is wrong with the inputs, and why the run may not begin.
    static func prepare(
        _ request: RunRequest,
        superseding isSuperseding: Bool,
        connector: @escaping HostDirectory.Connector,
        onRead: (Play) throws -> Void
    ) async throws -> PreparedRun {
        var play = try PlayLoader.load(request)
        try onRead(play)
        var hosts = HostDirectory(play, connector: connector)
        let survey = try await survey(&play, request, &hosts, isSuperseding)
        return PreparedRun(
            request: request,
            play: play,
            hosts: hosts,
            plan: Planner.plan(play, survey),
            locks: survey.locks
        )
    }

    /// A member that does not answer may be one that another run has stopped, which is the better thing to say.
    private static func survey(
        _ play: inout Play,
        _ request: RunRequest,
        _ hosts: inout HostDirectory,
        _ isSuperseding: Bool
    ) async throws -> Survey {
        do {
            (play, hosts) = try await Discovery.complete(play, request, over: hosts)
            return try await Surveyor.survey(play, hosts.readOnly(), lockedNextFor: request)
        } catch let error as RunControllerError {
            if !isSuperseding, error.code != .locked {
                try await RunController.demandFreeNodes(of: play, request, over: hosts)
            }
            throw error
        }
    }
}
