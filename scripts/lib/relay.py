#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A relay on loopback that gives a link its round trip: relay.py MILLISECONDS LISTEN:PORT=TARGET:PORT...

Each byte arrives half the round trip later, in either direction, however many are under way, so that it is a long
link and not a narrow one. Prints `ready` when it listens; ends with its stdin.
"""
import asyncio
import collections
import os
import socket
import sys

PIECE = 1 << 18
UNDER_WAY = 64 << 20  # What may be on the link at once; more than any window of SSH.


async def carry(reader, writer, delay):
    """Reads at once and writes later, so that the delay of a piece does not hold up the next."""
    loop = asyncio.get_running_loop()
    pieces, news, room = collections.deque(), asyncio.Event(), asyncio.Event()
    state = {"size": 0, "ended": False}

    async def deliver():
        while True:
            while not pieces:
                if state["ended"]:
                    return
                news.clear()
                await news.wait()
            due, data = pieces.popleft()
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if data is None:
                return
            state["size"] -= len(data)
            room.set()
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(PIECE)
            pieces.append((loop.time() + delay, data or None))
            state["size"] += len(data)
            news.set()
            if not data:
                break
            while state["size"] > UNDER_WAY:
                room.clear()
                await room.wait()
    except OSError:
        state["ended"] = True
        pieces.append((loop.time() + delay, None))
        news.set()
    try:
        await delivery
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        pass


async def serve(delay, listen, target):
    async def accept(reader, writer):
        try:
            there = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        for end in (writer, there[1]):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(carry(reader, there[1], delay), carry(there[0], writer, delay))
        for end in (writer, there[1]):
            end.close()

    return await asyncio.start_server(accept, *listen, limit=1 << 20)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main():
    delay = float(sys.argv[1]) / 2000
    for pair in sys.argv[2:]:
        await serve(delay, *map(address, pair.split("=")))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
