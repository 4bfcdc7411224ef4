// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Remote

@Suite struct DurationWordsTests {
    @Test(arguments: [
        (Duration.milliseconds(25_001), "25 s"), (.seconds(10), "10 s"), (.milliseconds(1500), "1.5 s"),
        (.milliseconds(3_940), "3 s"), (.milliseconds(250), "0.2 s"),
    ])
    func `a time is said in whole seconds, so that equal ones are equal`(_ time: Duration, _ words: String) {
        #expect(time.inWords == words)
    }
}
