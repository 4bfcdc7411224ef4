# SPDX-License-Identifier: Apache-2.0
"""Asks each member's /health every so often, and tells the longest time without an answer of good health.

usage: probe_health.py OUT URL...

Writes a line to OUT when all members have answered. Runs until it gets SIGTERM, then writes one line "URL SECONDS" for
each member to OUT instead: the longest time between two good answers in a row. Each member has a process of its own, so that one that does not answer delays none of the others.
"""

import http.client
import multiprocessing
import signal
import sys
import time
import urllib.parse

EVERY = 0.02


def ask(address):
    """Whether the member says that it is healthy; a new connection each time, as a new client would."""
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/health")
        return b'"true"' in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def watch(url, seen, ending, results):
    address = urllib.parse.urlsplit(url).netloc
    last, longest = None, 0.0
    while not ending.is_set():
        began = time.monotonic()
        if ask(address):
            now = time.monotonic()
            if last is not None:
                longest = max(longest, now - last)
            last = now
            seen.set()
        time.sleep(max(0.0, EVERY - (time.monotonic() - began)))
    results.put((url, longest))


def main():
    out, urls = sys.argv[1], sys.argv[2:]
    # Blocked here and so in the watchers too: the end is told to them by the event.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ending, results = multiprocessing.Event(), multiprocessing.Queue()
    seen = [multiprocessing.Event() for _ in urls]
    for url, event in zip(urls, seen):
        multiprocessing.Process(target=watch, args=(url, event, ending, results)).start()
    for event in seen:
        event.wait()
    with open(out, "w", encoding="ascii") as file:
        print("all members answer", file=file)
    signal.sigwait({signal.SIGTERM})
    ending.set()
    found = dict(results.get() for _ in urls)
    with open(out, "w", encoding="ascii") as file:
        for url in urls:
            print(url, f"{found[url]:.3f}", file=file)


if __name__ == "__main__":
    main()
