// SPDX-License-Identifier: Apache-2.0

/// The one question of `pawl run`.
enum Confirmation {
    /// Asks on the terminal; anything but yes is no.
    static func ask(_ question: String) -> Bool {
        Terminal.write("\(question) [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        return answer == "y" || answer == "yes"
    }
}
