// SPDX-License-Identifier: Apache-2.0

/// Something that the matrix itself could not do; never a finding about pawl.
package struct MatrixError: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Asks until the answer is yes; `false` when the time is up.
package func eventually(
    within seconds: Double,
    every pause: Duration = .milliseconds(50),
    for isTrue: () async throws -> Bool
) async throws
    -> Bool
{
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        if try await isTrue() { return true }
        if ContinuousClock.now > deadline { return false }
        try await Task.sleep(for: pause)
    }
}
