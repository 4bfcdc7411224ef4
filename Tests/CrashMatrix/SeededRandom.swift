// SPDX-License-Identifier: Apache-2.0

/// Random numbers that are the same for the same seed and name, so that a cell can be done again by itself.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64, for name: String) {
        // FNV-1a, so that neighbouring names have nothing in common.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        state = seed &* 0x9E37_79B9_7F4A_7C15 ^ hash
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
