#!/usr/bin/env python3
"""The door of the running server: floods, half-open sessions, limits and rates; others are served throughout.

usage: door.py BINARY
"""
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

LMTP = "dispatcher.services.lmtp."
IMAP = "dispatcher.services.imap."


def connect(site, source="127.0.0.1", port=24):
    s = socket.socket()
    s.settimeout(20)
    s.bind((source, 0))
    s.connect(("127.0.0.1", site.base + port))
    return s


def line_of(s):
    """What is there until the end of a line, or of the connection."""
    text = b""
    while not text.endswith(b"\n"):
        some = s.recv(500)
        if not some:
            break
        text += some
    return text


def hello(site, source="127.0.0.1", port=24):
    s = connect(site, source, port)
    return s, line_of(s)


def close(sockets):
    for s in sockets:
        s.close()


def counter(site, name):
    found = re.search(rf"^{name}=(\d+)$", site.command("stats").stdout, re.M)
    need(found, f"no counter {name}")
    return int(found.group(1))


def check_conns(binary):
    # effect: dispatcher.services.*.max_conns_per_address
    # effect: dispatcher.services.*.max_conns_per_network
    # effect: dispatcher.services.*.network_bits
    sets = [LMTP + "max_conns_per_address=3", LMTP + "max_conns_per_network=5", LMTP + "network_bits=30",
            IMAP + "max_conns_per_address=2"]
    with running(binary, sets=sets) as site:
        mine = [hello(site, "127.0.0.10") for _ in range(3)]
        need(all(text.startswith(b"220") for _, text in mine), f"{mine}")
        s, text = hello(site, "127.0.0.10")
        need(text.startswith(b"421 4.7.0 ") and b"address" in text and s.recv(10) == b"", f"{text}")
        s.close()
        # 127.0.0.8/30: two more of the neighbours
        more = [hello(site, "127.0.0.9") for _ in range(2)]
        need(all(text.startswith(b"220") for _, text in more), f"{more}")
        s, text = hello(site, "127.0.0.11")
        need(text.startswith(b"421 4.7.0 ") and b"network" in text, f"{text}")
        s.close()
        s, text = hello(site, "127.0.0.12")
        need(text.startswith(b"220"), f"another network: {text}")
        s.close()
        imap = [hello(site, "127.0.0.10", 143) for _ in range(3)]
        need([text[:5] for _, text in imap] == [b"* OK ", b"* OK ", b"* BYE"], f"each service counts its own: {imap}")
        close(s for s, _ in imap)
        # a place is free as soon as a session has ended, again and again
        for _ in range(20):
            s, _ = mine.pop()
            s.close()

            def again():
                s, text = hello(site, "127.0.0.10")
                if text.startswith(b"220"):
                    mine.append((s, text))
                    return True
                s.close()
                return False
            need(wait_for(again, 20), "the place of a session that has ended stays taken")
        need(counter(site, "connections_refused_conns_total") >= 3, "counter")
        log = site.tail(400)
        need(re.search(r"dispatch\.refused.* rip=127\.0\.0\.10 service=lmtp reason=address-conns", log), log)
        need(re.search(r"dispatch\.refused.* rip=127\.0\.0\.11 service=lmtp reason=network-conns", log), log)
        close(s for s, _ in mine + more)


def check_rate(binary):
    # effect: dispatcher.services.*.max_rate_per_address
    # effect: dispatcher.services.*.max_rate_per_network
    sets = [LMTP + "max_rate_per_address=20", LMTP + "max_rate_per_network=30"]
    with running(binary, sets=sets) as site:
        def passed(source, tries):
            count = 0
            for _ in range(tries):
                s, text = hello(site, source)
                s.close()
                need(text.startswith((b"220", b"421 4.7.0 ")), f"{text}")
                count += text.startswith(b"220")
            return count
        begun = time.monotonic()
        count = passed("127.0.0.10", 30)
        extra = int((time.monotonic() - begun) / 3) + 1
        need(20 <= count <= 20 + extra, f"{count} connections at 20 a minute")
        count = passed("127.0.0.11", 20)
        extra = int((time.monotonic() - begun) / 2) + 1
        need(10 <= count <= 10 + extra, f"{count} more of a network at 30 a minute")
        need(passed("127.0.1.1", 5) == 5, "another network")
        need(counter(site, "connections_refused_rate_total") >= 15, "counter")


def main():
    tap = Tap()
    binary = sys.argv[1]
    tap.run("connections of one address and network", check_conns, binary)
    tap.run("new connections a minute", check_rate, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
