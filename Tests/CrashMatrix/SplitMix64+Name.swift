// SPDX-License-Identifier: Apache-2.0

import TestSupport

extension SplitMix64 {
    /// The same numbers for the same seed and name, so that a cell can be done again by itself.
    init(seed: UInt64, for name: String) {
        // FNV-1a, so that neighbouring names have nothing in common.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        self.init(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ hash)
    }
}
