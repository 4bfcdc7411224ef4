// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <errno.h>
#include <sys/types.h>

static inline ssize_t pawl_receive_nothing(libssh2_socket_t socket, void *buffer, size_t length, int flags,
                                           void **abstract) {
    (void)socket, (void)buffer, (void)length, (void)flags, (void)abstract;
    return -EAGAIN;
}

#pragma GCC diagnostic push
// 1.11.1 has libssh2_session_callback_set2, which earlier releases lack; both do the same.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// The handshake as far as it goes without a byte of the server's: what it says by then stays in the socket.
static inline int pawl_session_begin_handshake(LIBSSH2_SESSION *session, libssh2_socket_t socket) {
    void *receive = libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)pawl_receive_nothing);
    int status = libssh2_session_handshake(session, socket);
    libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, receive);
    return status;
}

#pragma GCC diagnostic pop
