// SPDX-License-Identifier: Apache-2.0

/// Takes the marks of a ``CommandFrame`` out of one stream, as its bytes come in.
struct MarkParser {
    enum State: Equatable {
        /// Before the `begin` mark: what login shells and `sudo` say for themselves.
        case before
        /// The script is running.
        case running
        /// The script's end was seen, with its exit code.
        case ended(Int)
        /// The shell around the script's saw it end without a word of its own, or the script was not begun.
        case outerEnded(begun: Bool, Int)
    }

    private(set) var state = State.before
    /// Whether the login shell's start-up files are behind it; told by a careful frame only.
    private(set) var isShellUp = false
    /// Whether the shell of the script waits for it; told by a careful frame only.
    private(set) var isReady = false
    /// What came before the `begin` mark, for messages: what the latest of those who spoke said.
    private(set) var preface: [UInt8] = []

    private let mark: [UInt8]
    /// Bytes at the end of what was read that may yet turn out to be a mark.
    private var pending: [UInt8] = []

    private static let longestWord = 32
    private static let longestPreface = 4096

    init(mark: [UInt8]) { self.mark = mark }

    /// Whether nothing that comes after matters any more.
    var isComplete: Bool {
        switch state {
        case .before, .running: false
        case .ended, .outerEnded: true
        }
    }

    /// Leaves what was said so far, which has been answered.
    mutating func forgetPreface() { preface = [] }

    /// Reads on; `emit` gets the bytes of the script, in order and each once.
    mutating func feed(_ bytes: UnsafeRawBufferPointer, emit: (UnsafeRawBufferPointer) -> Void) {
        if pending.isEmpty {
            scan(bytes, emit)
        } else {
            let joined = pending + bytes
            pending = []
            joined.withUnsafeBytes { scan($0, emit) }
        }
    }

    private mutating func scan(_ bytes: UnsafeRawBufferPointer, _ emit: (UnsafeRawBufferPointer) -> Void) {
        var start = 0
        var position = 0
        while !isComplete, let candidate = bytes[position...].firstIndex(of: 0x1e) {
            switch match(bytes[candidate...]) {
            case .no:
                position = candidate + 1
            case .perhaps:
                give(bytes[start..<candidate], emit)
                pending = Array(bytes[candidate...])
                return
            case .yes(let word, let end):
                give(bytes[start..<candidate], emit)
                see(word)
                start = end
                position = end
            }
        }
        give(bytes[start...], emit)
    }

    private enum Match {
        case no
        /// More bytes are needed to tell.
        case perhaps
        case yes(word: String, end: Int)
    }

    private func match(_ bytes: Slice<UnsafeRawBufferPointer>) -> Match {
        guard zip(bytes, mark).allSatisfy({ $0 == $1 }) else { return .no }
        guard bytes.count > mark.count else { return .perhaps }
        let word = bytes.dropFirst(mark.count).prefix(Self.longestWord)
        if let newline = word.firstIndex(of: UInt8(ascii: "\n")) {
            return .yes(word: String(decoding: word[..<newline], as: UTF8.self), end: newline + 1)
        }
        return word.count < Self.longestWord ? .perhaps : .no
    }

    private mutating func see(_ word: String) {
        if word == "shell", state == .before {
            isShellUp = true
            preface = []
        } else if word == "ready", state == .before {
            isReady = true
        } else if word == "begin", state == .before {
            state = .running
        } else if word.hasPrefix("rc="), state == .running, let code = Int(word.dropFirst(3)) {
            state = .ended(code)
        } else if word.hasPrefix("outer="), let code = Int(word.dropFirst(6)) {
            state = .outerEnded(begun: state == .running, code)
        }
    }

    private mutating func give(_ bytes: Slice<UnsafeRawBufferPointer>, _ emit: (UnsafeRawBufferPointer) -> Void) {
        guard !bytes.isEmpty else { return }
        switch state {
        case .before: preface = Array((preface + bytes).suffix(Self.longestPreface))
        case .running: emit(UnsafeRawBufferPointer(rebasing: bytes))
        case .ended, .outerEnded: break
        }
    }
}
