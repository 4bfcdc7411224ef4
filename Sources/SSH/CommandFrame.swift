// SPDX-License-Identifier: Apache-2.0

import Remote

/// The shell text around a script by which its beginning and its end are recognised.
///
/// libssh2 up to 1.11 reports exit status 0 for a command that was killed or whose channel was cut, so the end is told
/// in band. A mark is the byte 0x1e, a nonce, a word and a newline. The shell that runs the script prints `begin` and
/// `rc=N`. They go to standard output *and* standard error: when the last mark was seen on both, both streams are
/// complete, whether or not something that the script left behind still holds them open.
///
/// Where the script is another user's, its shell is an inner one: the one around it, which the login shell becomes,
/// prints `outer=N` in any case. Otherwise the login shell becomes the script's, which says so itself where it does not
/// begin; of one that is killed, the server tells (RFC 4254, 6.10).
///
/// A careful frame has two more in front: `shell`, when the login shell has become the outer one, and `ready`, when the
/// script's is there. What is said between them is said by `sudo`, `su` or `doas`; what comes before, by the login
/// shell's start-up files.
struct CommandFrame {
    /// Longest command that is sent as one `exec` request.
    ///
    /// libssh2 puts a request into one packet of 35,000 bytes (`MAX_SSH_PACKET_LEN`), and Linux takes 128 KiB for one
    /// argument.
    static let longestRequest = 30_000

    /// How the shell ends that did not get all of a script over standard input; `sudo` itself ends with 1.
    static let cutShortExitCode = 126

    let nonce: String
    /// What the login shell is asked to run.
    let request: String
    /// Goes to standard input before what the command itself gets: a script too long for the request.
    let inputPrefix: [UInt8]
    /// How its shell comes to be another user's; nil for the login user.
    let elevation: Elevation?
    /// Whether nothing but answers goes to standard input before the inner shell said that it is ready.
    ///
    /// Such a frame has its script in standard input, so that as long as it was not sent nothing can begin, however
    /// long a login shell or a program that asks takes.
    let isCareful: Bool

    /// Where the shell finds its script.
    private enum Source {
        case request(String)
        /// The first bytes of standard input, this many.
        case input(Int)
        /// All of standard input behind a first line; see ``waitingInput(for:)``.
        case laterInput
    }

    /// Frames a script.
    ///
    /// - Parameters:
    ///   - script: what is to be run.
    ///   - elevation: how its shell comes to be another user's; nil for the login user.
    ///   - hasInput: whether the script has standard input of its own.
    ///   - isCareful: whether the script is kept back until its shell is there; always, where a program may ask first.
    init(script: String, as elevation: Elevation?, hasInput: Bool = true, isCareful: Bool = false) {
        self.init(script: script, as: elevation, hasInput: hasInput, isCareful: isCareful, nonce: Self.randomNonce())
    }

    init(script: String, as elevation: Elevation?, hasInput: Bool = true, isCareful: Bool = false, nonce: String) {
        self.nonce = nonce
        self.elevation = elevation
        self.isCareful = isCareful || elevation?.mayAsk ?? false
        let inline = Self.request(as: elevation, .request(script), nonce: nonce)
        if !self.isCareful, inline.utf8.count <= Self.longestRequest {
            request = inline
            inputPrefix = []
        } else if self.isCareful, !hasInput {
            request = Self.request(as: elevation, .laterInput, isCareful: true, nonce: nonce)
            inputPrefix = Self.waitingInput(for: script)
        } else {
            let trimmed = Self.trimmed(script)
            request = Self.request(as: elevation, .input(trimmed.count), isCareful: self.isCareful, nonce: nonce)
            inputPrefix = trimmed
        }
    }

    /// Frames a script that is not there yet: its shell starts, and waits for it on standard input.
    init(waitingAs elevation: Elevation?) {
        nonce = Self.randomNonce()
        self.elevation = elevation
        isCareful = false
        request = Self.request(as: elevation, .laterInput, nonce: nonce)
        inputPrefix = []
    }

    /// The longest script that its shell reads by itself.
    ///
    /// `read` takes a byte at a time, a third of a millisecond for each thousand; to start `cat` costs one and a half.
    static let longestOwnReading = 4_000

    /// What a shell that waits for its script is to read, to the end of its input.
    ///
    /// The first line says how many bytes follow, and behind a blank whether the shell reads them by itself.
    static func waitingInput(for script: String) -> [UInt8] {
        let trimmed = trimmed(script)
        let isRead = trimmed.count <= longestOwnReading
        return Array("\(trimmed.count)\(isRead ? " read" : "")\n".utf8) + trimmed
    }

    /// `$(…)` takes newlines off the end, so they are taken off here too, for the lengths to agree.
    private static func trimmed(_ script: String) -> [UInt8] {
        Array(Array(script.utf8).reversed().drop { $0 == UInt8(ascii: "\n") }.reversed())
    }

    /// The bytes that every mark of this command begins with.
    var mark: [UInt8] { [0x1e] + Array(nonce.utf8) + [UInt8(ascii: " ")] }

    private static func randomNonce() -> String {
        var random = SystemRandomNumberGenerator()
        return String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }

    /// One line that every login shell reads the same way: sh, bash and zsh as well as csh, tcsh and fish.
    ///
    /// What they have in common is a word in single quotes without a quote, `!` (csh), a newline (csh), and a backslash in
    /// front of another or of a quote (fish). So the shell text of the frame does without these, and the script is
    /// written with octal escapes, which its own shell takes out.
    private static func request(
        as elevation: Elevation?,
        _ source: Source,
        isCareful: Bool = false,
        nonce: String
    ) -> String {
        let script = if case .request(let script) = source { escaped(script) } else { "''" }
        let shell = isCareful ? mark("shell", nil, nonce) + "; " : ""
        guard let elevation else {
            let text = shell + inner(source, isCareful: isCareful, isOuter: true, nonce: nonce)
            return "exec /bin/sh -c '\(text)' sh \(script)"
        }
        let outer = shell + elevation.outer(finish: "__r=$?; " + end(#""$__r""#, nonce), nonce: nonce)
        let inner = inner(source, isCareful: isCareful, isOuter: false, nonce: nonce)
        let words = ["exec /bin/sh -c", "'\(outer)'", "sh", "'\(inner)'", script, ShellQuoting.quote(elevation.user)]
        return (words + (elevation.terminalLine(nonce).map { ["'\($0)'"] } ?? [])).joined(separator: " ")
    }

    /// The shell that runs the script, in a subshell, so that `exit` ends the script and not the telling of its end.
    private static func inner(_ source: Source, isCareful: Bool, isOuter: Bool, nonce: String) -> String {
        let cutShort = cutShort(isOuter ? end("\(cutShortExitCode)", nonce) + "; " : "")
        let take =
            switch source {
            case .request: #"__s=$(printf %b "$1")"#
            // Exactly the script's bytes are taken from standard input: a byte at a time, because what is read too much
            // is lost to the script. Cut short, it is not begun.
            case .input(let length):
                "__s=$(dd ibs=1 obs=65536 count=\(length) 2>/dev/null); [ ${#__s} -eq \(length) ] || \(cutShort)"
            case .laterInput:
                #"__e=${IFS#??}; read -r __n __l && case $__l in "#
                    + #"read) __s=; case $__e in [[:cntrl:]]) "#
                    + #"while IFS= read -r __l; do __s=$__s$__l$__e; done; __s=$__s$__l ;; esac ;;"#
                    + #" "") __s=$(cat) ;; *) false ;; esac && [ ${#__s} -eq "$__n" ] || "# + cutShort
            }
        let lines = [
            "LC_ALL=C; PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "export LC_ALL PATH",
            isCareful ? mark("ready", nil, nonce) : nil,
            take,
            "shift",
            mark("begin", nil, nonce),
            #"(eval "$__s"); __r=$?"#,
            mark("rc=%s", #""$__r""#, nonce),
        ]
        return lines.compactMap(\.self).joined(separator: "; ")
    }

    private static func cutShort(_ end: String) -> String {
        #"{ echo "the script arrived cut short" >&2; \#(end)exit \#(cutShortExitCode); }"#
    }

    private static func end(_ code: String, _ nonce: String) -> String { mark("outer=%s", code, nonce) }

    private static func mark(_ format: String, _ argument: String?, _ nonce: String) -> String {
        let line = #"printf "\036\#(nonce) \#(format)\n""# + (argument.map { " " + $0 } ?? "")
        return "\(line); \(line) >&2"
    }

    /// A script as a word in single quotes, for `printf %b`.
    private static func escaped(_ script: String) -> String {
        var word = Array("'".utf8)
        for byte in script.utf8 {
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "!"), ..<32, 127...:
                let digits = String(byte, radix: 8)
                word += Array(("\\0" + String(repeating: "0", count: 3 - digits.count) + digits).utf8)
            default: word.append(byte)
            }
        }
        return String(decoding: word + Array("'".utf8), as: UTF8.self)
    }
}
