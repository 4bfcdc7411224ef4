// SPDX-License-Identifier: Apache-2.0

/// What is said where a remedy for several hosts has gaps, so that it cannot be followed as it stands there.
enum CommonErrorHint {
    static let text = "…: what differs from host to host; one host alone (-l HOST) and --format json have it in full"
}
