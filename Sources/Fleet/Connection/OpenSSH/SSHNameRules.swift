// SPDX-License-Identifier: Apache-2.0

/// What a host or a user may be called before a file is read.
///
/// `Match exec` and `ProxyCommand` put both into the words of a shell. The rules are those of OpenSSH's client, which
/// has them since 9.6 (CVE-2023-51385); a comma, by which one record of known_hosts names several hosts, came later.
enum SSHNameRules {
    /// What is wrong with the name of a host; `nil` where nothing is.
    static func problem(withHost name: String) -> String? {
        if name.hasPrefix("-") { return "begins with `-`, as an option" }
        for scalar in name.unicodeScalars {
            if scalar.properties.generalCategory == .control { return "holds a control character" }
            if scalar.properties.isWhitespace { return "holds white space" }
            if "'`\"$\\;&<>|(){},".unicodeScalars.contains(scalar) { return "holds `\(scalar)`" }
        }
        return nil
    }

    /// What is wrong with the name of a user; `nil` where nothing is.
    ///
    /// A user may have a domain in front, as in `DOMAIN\user`, and spaces.
    static func problem(withUser name: String) -> String? {
        if name.hasPrefix("-") { return "begins with `-`, as an option" }
        var last: Unicode.Scalar?
        for scalar in name.unicodeScalars {
            if scalar.properties.generalCategory == .control { return "holds a control character" }
            if "'`\";&<>|(){}".unicodeScalars.contains(scalar) { return "holds `\(scalar)`" }
            if scalar == "-", last?.properties.isWhitespace == true { return "holds ` -`, as an option" }
            last = scalar
        }
        return last == "\\" ? "ends with `\\`" : nil
    }

    /// A name as a message shows it: on one line, and without an effect on a terminal.
    static func shown(_ name: String) -> String {
        name.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
        }
        .joined()
    }
}
