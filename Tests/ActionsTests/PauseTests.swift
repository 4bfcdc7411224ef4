// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Synchronization
import Testing

struct PauseTests {
    @Test func `a pause says each second what is left`() async throws {
        try await GenericActionBench.with { bench in
            let naps = Mutex<[Duration]>([])
            let pause = try Pause(Parameters(["for": .double(62.5)])) { nap in naps.withLock { $0.append(nap) } }
            let evidence = try await pause.perform(bench.context())
            #expect(evidence.summary == "waited 1m2s")
            #expect(evidence.values == ["seconds": "62.5"])
            #expect(bench.news.all.count == 63)
            #expect(bench.news.all.prefix(3) == ["1m2s left", "1m1s left", "1m left"][...])
            #expect(bench.news.all.suffix(2) == ["1.5s left", "500ms left"][...])
            #expect(naps.withLock { $0.reduce(.zero, +) } == .seconds(62.5))
            #expect(naps.withLock { $0.max() } == .seconds(1))
        }
    }

    @Test func `a pause takes its time`() async throws {
        try await GenericActionBench.with { bench in
            let pause = try Pause(Parameters(["for": .double(0.05)]))
            let elapsed = await ContinuousClock().measure { _ = try? await pause.perform(bench.context()) }
            #expect(elapsed >= .milliseconds(50))
        }
    }

    @Test func `a cancelled pause ends at once, without doubt`() async throws {
        try await GenericActionBench.with { bench in
            let pause = try Pause(Parameters(["for": .int(3600)]))
            let context = bench.context()
            let failure = await withTaskGroup(of: ActionFailure?.self) { group in
                group.addTask { try? await thrown(try await pause.perform(context)) }
                while bench.news.all.isEmpty { await Task.yield() }
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(failure?.message.hasPrefix("the pause was ended after ") == true)
            #expect(failure?.isInDoubt == false)
        }
    }

    @Test func `the deadline of the step leaves room for the pause`() throws {
        #expect(try Pause(Parameters(["for": .int(300)])).traits.defaultTimeout == .seconds(310))
    }

    @Test func `a pause without a duration is refused`() {
        #expect(throws: ActionFailure.self) { try Pause(Parameters(["for": .string("soon")])) }
    }
}
