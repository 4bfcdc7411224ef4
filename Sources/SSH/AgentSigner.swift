// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Foundation

/// Carries one signature between libssh2, which asks for it synchronously, and the agent, which is asked without
/// blocking.
///
/// libssh2 calls back with what is to be signed. The first time the answer is `EAGAIN`, the agent is asked, and when
/// libssh2 is called again it gets the signature. An agent may wait for a human's touch or consent; libssh2's own agent
/// functions would hold up every session of the thread meanwhile.
final class AgentSigner {
    /// What libssh2 wants signed.
    private(set) var request: [UInt8]?
    /// Without its algorithm name, as libssh2 wants it.
    var signature: [UInt8]?
    /// Whether there will be no signature: libssh2 is told when it asks again, and forgets the request it has under way.
    var isRefused = false

    /// Flags of `SSH_AGENTC_SIGN_REQUEST`: with which hash an RSA key is to sign.
    ///
    /// The algorithm's name stands in the data (RFC 4252, section 7).
    var flags: UInt32 {
        var reader = SSHWireReader(request ?? [])
        _ = reader.string()  // session identifier
        _ = reader.byte()  // SSH_MSG_USERAUTH_REQUEST
        for _ in 0..<3 { _ = reader.string() }  // user, service, method
        _ = reader.byte()
        switch reader.string().map({ String(decoding: $0, as: UTF8.self) }) {
        case "rsa-sha2-256": return 2
        case "rsa-sha2-512": return 4
        default: return 0
        }
    }

    static let callback:
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, UnsafeMutablePointer<Int>?,
            UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> Int32 = { _, signature, signatureLength, data, count, context in
            guard let context = context?.pointee, let signature, let signatureLength, let data else {
                return LIBSSH2_ERROR_BAD_USE
            }
            let signer = Unmanaged<AgentSigner>.fromOpaque(context).takeUnretainedValue()
            guard !signer.isRefused else { return LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED }
            guard let bytes = signer.signature else {
                signer.request = Array(UnsafeBufferPointer(start: data, count: count))
                return LIBSSH2_ERROR_EAGAIN
            }
            // Freed by libssh2 with the session's allocator, which is the default: malloc and free.
            guard let copy = malloc(bytes.count) else { return LIBSSH2_ERROR_ALLOC }
            copy.copyMemory(from: bytes, byteCount: bytes.count)
            signature.pointee = copy.assumingMemoryBound(to: UInt8.self)
            signatureLength.pointee = bytes.count
            return 0
        }
}
