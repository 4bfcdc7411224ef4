// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Testing

@testable import PawlCommands

@Suite(.serialized) struct SignalSourceTests {
    @Test(.timeLimit(.minutes(1)))
    func `the first signal asks for a safe point, each later one to stop waiting`() async {
        let source = await SignalSource.install()
        defer { for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) } }
        var signals = source.signals.makeAsyncIterator()
        // One at a time: two that are pending together are one to the kernel.
        kill(getpid(), SIGINT)
        #expect(await signals.next() == .interrupt)
        kill(getpid(), SIGTERM)
        #expect(await signals.next() == .abandon)
        kill(getpid(), SIGHUP)
        kill(getpid(), SIGINT)
        #expect(await signals.next() == .abandon)
    }
}
