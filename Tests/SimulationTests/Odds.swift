// SPDX-License-Identifier: Apache-2.0

/// How often things go wrong; zero for a world without faults.
struct Odds {
    // Out of a thousand commands or records.
    var transport = 0
    var script = 0
    var journal = 0
    var crash = 0
    // Out of a thousand moments at which something may happen by itself.
    var signal = 0
    var people = 0
    var machines = 0
    var data = 0
}
