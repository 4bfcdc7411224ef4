// SPDX-License-Identifier: Apache-2.0

import CZlib
import Foundation

/// Text packed for its way to a node and back: gzip, then base64, so that `base64 -d | zcat` shows it.
enum Gzip {
    /// Why something is not what ``pack(_:)`` made.
    struct Problem: Error {
        var words: String
    }

    /// 15 bits of window, with the header and the CRC of gzip.
    private static let window: Int32 = 15 + 16
    private static let streamSize = Int32(MemoryLayout<z_stream>.size)

    /// Equal data give equal text: the header names no time.
    static func pack(_ data: Data) throws(Problem) -> String {
        let (packed, code) = withStream { stream in
            let begun = deflateInit2_(
                stream,
                Z_BEST_COMPRESSION,
                Z_DEFLATED,
                window,
                8,
                Z_DEFAULT_STRATEGY,
                ZLIB_VERSION,
                streamSize
            )
            guard begun == Z_OK else { return (Data(), begun) }
            defer { deflateEnd(stream) }
            return drain(stream, over: data, most: .max) { deflate($0, Z_FINISH) }
        }
        guard code == Z_STREAM_END else { throw Problem(words: "zlib cannot pack it (\(code))") }
        return packed.base64EncodedString()
    }

    /// Takes apart what ``pack(_:)`` made; it must be whole, and no longer than the bound.
    static func unpack(_ text: String, most: Int) throws(Problem) -> Data {
        guard let packed = Data(base64Encoded: text) else { throw Problem(words: "it is not base64") }
        let (data, code) = withStream { stream in
            let begun = inflateInit2_(stream, window, ZLIB_VERSION, streamSize)
            guard begun == Z_OK else { return (Data(), begun) }
            defer { inflateEnd(stream) }
            let (data, code) = drain(stream, over: packed, most: most) { inflate($0, Z_NO_FLUSH) }
            return (data, code == Z_STREAM_END && stream.pointee.avail_in > 0 ? Z_DATA_ERROR : code)
        }
        if data.count > most { throw Problem(words: "it holds more than \(most) bytes") }
        guard code == Z_STREAM_END else {
            throw Problem(words: code == Z_DATA_ERROR ? "its bytes are damaged" : "it is cut short")
        }
        return data
    }

    /// A stream that stays where it is: zlib keeps a pointer to it.
    private static func withStream(_ body: (UnsafeMutablePointer<z_stream>) -> (Data, Int32)) -> (Data, Int32) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer {
            stream.deinitialize(count: 1)
            stream.deallocate()
        }
        return body(stream)
    }

    /// Calls zlib until it has nothing more to give.
    private static func drain(
        _ stream: UnsafeMutablePointer<z_stream>,
        over input: Data,
        most: Int,
        _ step: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> (Data, Int32) {
        var source = [UInt8](input)
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var output = Data()
        var code = Z_OK
        source.withUnsafeMutableBufferPointer { source in
            stream.pointee.next_in = source.baseAddress
            stream.pointee.avail_in = UInt32(source.count)
            repeat {
                let count = buffer.withUnsafeMutableBufferPointer { buffer in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(buffer.count)
                    code = step(stream)
                    return buffer.count - Int(stream.pointee.avail_out)
                }
                output.append(contentsOf: buffer[..<count])
            } while code == Z_OK && output.count <= most
        }
        return (output, code)
    }
}
