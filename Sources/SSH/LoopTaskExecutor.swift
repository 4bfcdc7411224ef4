// SPDX-License-Identifier: Apache-2.0

/// Runs tasks on the event loops, so that work over many hosts needs no threads besides theirs.
///
/// For tasks that wait for sessions nearly all of their time: one that blocks holds all sessions of its loop.
package final class LoopTaskExecutor: TaskExecutor {
    private let loop: SSHEventLoop

    package init(_ loops: SSHEventLoopGroup) { loop = loops.next() }

    package func enqueue(_ job: consuming ExecutorJob) {
        loop.enqueue(UnownedJob(job), for: asUnownedTaskExecutor())
    }
}
