// SPDX-License-Identifier: Apache-2.0
//
// What libssh2 costs in C, without a deadline, a check of host keys, or a proof that a command ended: the floor.
//
//   ssh_floor steps COUNT USER KEY ADDRESS:PORT...
//   ssh_floor put USER KEY ADDRESS:PORT FILE PATH
//   ssh_floor get USER KEY ADDRESS:PORT PATH FILE

#include <arpa/inet.h>
#include <libssh2.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 18];

static void die(const char *what) {
    fprintf(stderr, "ssh_floor: %s\n", what);
    exit(1);
}

static LIBSSH2_SESSION *reach(const char *user, const char *key, const char *where) {
    char address[64];
    const char *colon = strrchr(where, ':');
    if (!colon || (size_t)(colon - where) >= sizeof address) die("no ADDRESS:PORT");
    memcpy(address, where, colon - where);
    address[colon - where] = 0;
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
    inet_pton(AF_INET, address, &peer.sin_addr);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, (struct sockaddr *)&peer, sizeof peer)) die("cannot connect");
    LIBSSH2_SESSION *session = libssh2_session_init();
    if (libssh2_session_handshake(session, descriptor)) die("no handshake");
    if (libssh2_userauth_publickey_fromfile(session, user, NULL, key, NULL)) die("not let in");
    return session;
}

static LIBSSH2_CHANNEL *begin(LIBSSH2_SESSION *session, const char *command) {
    LIBSSH2_CHANNEL *channel = libssh2_channel_open_session(session);
    if (!channel || libssh2_channel_exec(channel, command)) die("no command");
    return channel;
}

static void end(LIBSSH2_CHANNEL *channel) {
    while (libssh2_channel_read(channel, buffer, sizeof buffer) > 0) {}
    libssh2_channel_close(channel);
    if (libssh2_channel_get_exit_status(channel)) die("the command failed");
    libssh2_channel_free(channel);
}

static void steps(int count, char **arguments, int hosts) {
    for (int host = 0; host < hosts; host++) {
        LIBSSH2_SESSION *session = reach(arguments[0], arguments[1], arguments[2 + host]);
        for (int step = 0; step < count; step++) end(begin(session, "true"));
        libssh2_session_disconnect(session, "done");
        libssh2_session_free(session);
    }
}

static void put(char **arguments) {
    char command[4096];
    const char *path = arguments[4];
    snprintf(command, sizeof command, "cat >'%s.part' && sha256sum '%s.part' && mv '%s.part' '%s'", path, path, path, path);
    LIBSSH2_CHANNEL *channel = begin(reach(arguments[0], arguments[1], arguments[2]), command);
    FILE *file = fopen(arguments[3], "rb");
    if (!file) die("cannot read the file");
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, file)) > 0)
        for (size_t sent = 0; sent < count;) {
            ssize_t now = libssh2_channel_write(channel, buffer + sent, count - sent);
            if (now < 0) die("cannot send");
            sent += now;
        }
    libssh2_channel_send_eof(channel);
    end(channel);
}

static void get(char **arguments) {
    char command[4096];
    snprintf(command, sizeof command, "cat '%s'", arguments[3]);
    LIBSSH2_SESSION *session = reach(arguments[0], arguments[1], arguments[2]);
    LIBSSH2_CHANNEL *channel = libssh2_channel_open_ex(session, "session", 7, 16 << 20, 32768, NULL, 0);
    if (!channel || libssh2_channel_exec(channel, command)) die("no command");
    FILE *file = fopen(arguments[4], "wb");
    if (!file) die("cannot write the file");
    ssize_t count;
    while ((count = libssh2_channel_read(channel, buffer, sizeof buffer)) > 0)
        if (fwrite(buffer, 1, count, file) != (size_t)count) die("cannot write the file");
    fclose(file);
    end(channel);
}

int main(int count, char **arguments) {
    libssh2_init(0);
    if (count > 5 && !strcmp(arguments[1], "steps")) steps(atoi(arguments[2]), arguments + 3, count - 5);
    else if (count == 7 && !strcmp(arguments[1], "put")) put(arguments + 2);
    else if (count == 7 && !strcmp(arguments[1], "get")) get(arguments + 2);
    else die("see the top of ssh_floor.c");
    return 0;
}
