// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One thread that runs the actors of its sessions and waits for their sockets.
///
/// libssh2 wants one thread at a time on a session and reports `EAGAIN` where it would block. An actor whose executor
/// is this loop gets both: its code runs here only, and ``wait(on:for:until:isolation:)`` suspends it in `poll`. No
/// thread of Swift's cooperative pool is ever blocked, and a few loops serve any number of hosts.
///
/// ## Concurrency
/// `inbox` is shared. `waiters` and `scratch` are touched by the loop's own thread only, and ``checkIsolated()`` guards the
/// way in; they are behind mutexes that nobody else ever holds, so that the compiler can check it too.
final class SSHEventLoop: SerialExecutor, Sendable {
    /// Why a wait ended.
    enum Readiness: Equatable {
        /// The descriptor is ready; error and hang-up count as both.
        case ready(readable: Bool, writable: Bool)
        case deadlinePassed
        /// The waiting task was cancelled.
        case cancelled
    }

    /// What to wait for on a descriptor.
    struct Interest: OptionSet, Sendable {
        let rawValue: Int16
        static let read = Interest(rawValue: Int16(POLLIN))
        static let write = Interest(rawValue: Int16(POLLOUT))
    }

    private struct Waiter {
        var descriptor: Int32
        var interest: Interest
        var deadline: ContinuousClock.Instant
        var continuation: CheckedContinuation<Readiness, Never>
    }

    private struct Job {
        var job: UnownedJob
        /// Of tasks that run here by preference, and are no session's.
        var taskExecutor: UnownedTaskExecutor?
    }

    private struct Inbox {
        var jobs: [Job] = []
        var cancelled: [UInt64] = []
        /// Whether a byte that ends the current `poll` is already on its way.
        var isWoken = false
    }

    private let inbox = Mutex(Inbox())
    private let threadID = Atomic<UInt>(0)
    private let nextWaitID = Atomic<UInt64>(0)
    private let wakeReader: Int32
    private let wakeWriter: Int32
    /// Filled by `wait`, emptied by `run`.
    private let waiters = Mutex<[UInt64: Waiter]>([:])
    /// Channels are read into it before the bytes are parsed.
    private let scratch = Mutex([UInt8](repeating: 0, count: scratchSize))

    /// How much of a channel is read in one go.
    static let scratchSize = 256 * 1024

    /// Starts the thread, which runs as long as the process does.
    ///
    /// - Parameter name: of the thread; `nil` for none, where somebody calls ``serve()``.
    /// - Throws: where the system gives no pipe.
    init(name: String?) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SSHFailure.system("pipe", errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK)
        }
        wakeReader = ends[0]
        wakeWriter = ends[1]
        guard let name else { return }
        let thread = Thread { [self] in serve() }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
    }

    // MARK: - Executor

    func enqueue(_ job: consuming ExecutorJob) { enqueue(UnownedJob(job), for: nil) }

    /// Takes a job of a session, or of a task that runs here by preference.
    func enqueue(_ job: UnownedJob, for taskExecutor: UnownedTaskExecutor?) {
        let mustWake = inbox.withLock { inbox in
            inbox.jobs.append(Job(job: job, taskExecutor: taskExecutor))
            return markWoken(&inbox)
        }
        if mustWake { wake() }
    }

    func isIsolatingCurrentContext() -> Bool? { isCurrent }

    func checkIsolated() {
        precondition(isCurrent, "not on the thread of this event loop")
    }

    private var isCurrent: Bool { threadID.load(ordering: .acquiring) == Self.currentThreadID() }

    private static func currentThreadID() -> UInt {
        #if canImport(Darwin)
        UInt(bitPattern: pthread_self())
        #else
        UInt(pthread_self())
        #endif
    }

    // MARK: - Waiting

    /// Suspends the calling actor until the descriptor is ready, the deadline passes or the task is cancelled.
    ///
    /// A descriptor of -1 waits for the deadline alone. Readiness is looked at before the deadline, so that a process
    /// that was stopped for a while does not take its own absence for the peer's silence.
    func wait(
        on descriptor: Int32,
        for interest: Interest,
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async -> Readiness {
        checkIsolated()
        let id = nextWaitID.wrappingAdd(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            // A closure is isolated to a parameter only if it captures it (SE-0420).
            _ = isolation
            return await withCheckedContinuation(isolation: isolation) { continuation in
                checkIsolated()
                let waiter = Waiter(
                    descriptor: descriptor,
                    interest: interest,
                    deadline: deadline,
                    continuation: continuation
                )
                waiters.withLock { $0[id] = waiter }
            }
        } onCancel: {
            let mustWake = inbox.withLock { inbox in
                inbox.cancelled.append(id)
                return markWoken(&inbox)
            }
            if mustWake { wake() }
        }
    }

    /// Lends the loop's read buffer.
    ///
    /// Not across an `await`: the next session uses it too.
    func withScratch<R: Sendable>(_ body: (UnsafeMutableRawBufferPointer) -> R) -> R {
        checkIsolated()
        return scratch.withLock { bytes in bytes.withUnsafeMutableBytes(body) }
    }

    // MARK: - Thread

    /// Serves the sessions on the thread that calls it.
    func serve() -> Never {
        threadID.store(Self.currentThreadID(), ordering: .releasing)
        var descriptors: [pollfd] = []
        var order: [UInt64] = []
        while true {
            let jobs = inbox.withLock { inbox in
                defer { inbox.jobs.removeAll(keepingCapacity: true) }
                return inbox.jobs
            }
            for item in jobs {
                if let taskExecutor = item.taskExecutor {
                    item.job.runSynchronously(on: taskExecutor)
                } else {
                    item.job.runSynchronously(on: asUnownedSerialExecutor())
                }
            }

            let (hasJobs, cancelled) = inbox.withLock { inbox in
                defer { inbox.cancelled.removeAll() }
                return (!inbox.jobs.isEmpty, inbox.cancelled)
            }
            for id in cancelled { resume(id, .cancelled) }

            descriptors.removeAll(keepingCapacity: true)
            order.removeAll(keepingCapacity: true)
            descriptors.append(pollfd(fd: wakeReader, events: Int16(POLLIN), revents: 0))
            var earliest: ContinuousClock.Instant?
            let waiting = waiters.withLock { $0 }
            for (id, waiter) in waiting {
                // A negative descriptor is skipped by poll(2).
                descriptors.append(pollfd(fd: waiter.descriptor, events: waiter.interest.rawValue, revents: 0))
                order.append(id)
                earliest = min(earliest ?? waiter.deadline, waiter.deadline)
            }
            let timeout = hasJobs || !cancelled.isEmpty ? 0 : Self.milliseconds(until: earliest)
            if poll(&descriptors, nfds_t(descriptors.count), timeout) < 0 { continue }
            drainWakePipe(descriptors[0].revents)
            resumeWaiters(descriptors, order, waiting)
        }
    }

    private func resume(_ id: UInt64, _ readiness: Readiness) {
        waiters.withLock { $0.removeValue(forKey: id) }?.continuation.resume(returning: readiness)
    }

    private func resumeWaiters(_ descriptors: [pollfd], _ order: [UInt64], _ waiting: [UInt64: Waiter]) {
        let now = ContinuousClock.now
        for (index, id) in order.enumerated() {
            let events = Int32(descriptors[index + 1].revents)
            if events != 0 {
                let broken = events & (POLLERR | POLLHUP | POLLNVAL) != 0
                let readiness = Readiness.ready(
                    readable: broken || events & POLLIN != 0,
                    writable: broken || events & POLLOUT != 0
                )
                resume(id, readiness)
            } else if let waiter = waiting[id], waiter.deadline <= now {
                resume(id, .deadlinePassed)
            }
        }
    }

    private static func milliseconds(until instant: ContinuousClock.Instant?) -> Int32 {
        guard let instant else { return -1 }
        let left = instant - .now
        guard left > .zero else { return 0 }
        // Rounded up, or the loop would spin through the last millisecond.
        return Int32(min((left / .milliseconds(1)).rounded(.up), 3_600_000))
    }

    private func markWoken(_ inbox: inout Inbox) -> Bool {
        // The loop looks at its inbox before it polls, so what is put there by its own thread needs no byte.
        guard !inbox.isWoken, !isCurrent else { return false }
        inbox.isWoken = true
        return true
    }

    private func wake() {
        var byte: UInt8 = 1
        _ = write(wakeWriter, &byte, 1)
    }

    private func drainWakePipe(_ events: Int16) {
        guard events != 0 else { return }
        var bytes: UInt64 = 0
        inbox.withLock { inbox in
            inbox.isWoken = false
            _ = read(wakeReader, &bytes, 8)
        }
    }
}
