// SPDX-License-Identifier: Apache-2.0

import Engine

/// Where a view writes whole lines, or whole frames of a live view, in order.
package typealias TextSink = @Sendable (String) -> Void

/// A view of a run that may need to do something of its own while the run goes on, as ticking.
package protocol RunView: RunObserver {
    /// Runs the body, with the view alive around it; whatever the view started has ended when this returns or throws.
    nonisolated(nonsending) func run<Result, Failure: Error>(
        while body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result
}

extension RunView {
    package nonisolated(nonsending) func run<Result, Failure: Error>(
        while body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        try await body()
    }
}
