// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// As messages say it: `25 s`, `1.5 s`.
    ///
    /// From two seconds on without what is left over, which is another for each host that was waited for equally long.
    package var inWords: String {
        let seconds = components.seconds
        let tenths = components.attoseconds / 100_000_000_000_000_000
        return seconds >= 2 || tenths == 0 ? "\(seconds) s" : "\(seconds).\(tenths) s"
    }
}
