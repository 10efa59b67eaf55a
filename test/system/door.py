#!/usr/bin/env python3
"""The door of the running server: floods, half-open sessions, limits and rates; others are served throughout.

usage: door.py BINARY
"""
import contextlib
import multiprocessing
import os
import pathlib
import re
import resource
import select
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, read_line, running, wait_for  # noqa: E402
from tap import Tap, expect, need  # noqa: E402

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LMTP = "dispatcher.services.lmtp."
IMAP = "dispatcher.services.imap."
LONG = os.environ.get("MS_CHECK_MODE") == "long"


def connect(site, source="127.0.0.1", port=24):
    s = socket.socket()
    s.settimeout(20)
    s.bind((source, 0))
    s.connect(("127.0.0.1", site.base + port))
    return s


def hello(site, source="127.0.0.1", port=24):
    s = connect(site, source, port)
    return s, read_line(s)


def close(sockets):
    for s in sockets:
        s.close()


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
        need(site.counter("connections_refused_conns_total") >= 3, "counter")
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
        need(site.counter("connections_refused_rate_total") >= 15, "counter")


def header(client, version=1, port=40000):
    """A PROXY header that names the client."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    to = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    if version == 1:
        return f"PROXY TCP{6 if family == socket.AF_INET6 else 4} {client} {to} {port} 25\r\n".encode()
    addresses = socket.inet_pton(family, client) + socket.inet_pton(family, to) + struct.pack(">HH", port, 25)
    return V2_SIGNATURE + bytes([0x21, 0x21 if family == socket.AF_INET6 else 0x11]) + struct.pack(">H", len(addresses)) + addresses


def check_proxy(binary):
    # effect: dispatcher.trusted_networks
    # effect: dispatcher.services.*.proxy_protocol
    sets = ["dispatcher.trusted_networks=[127.0.0.9, 127.0.1.0/24]", LMTP + "proxy_protocol=yes", LMTP + "max_conns_per_network=2",
            IMAP + "proxy_protocol=yes", "dispatcher.services.imaps.proxy_protocol=yes"]
    with running(binary, sets=sets) as site:
        for source in ("127.0.0.1", "127.0.0.10", "127.0.2.1"):
            s, text = hello(site, source)
            need(text.startswith(b"554 5.7.1 "), f"{source}: {text}")
            s.close()
        # what stands behind the header is the session's, whatever the pieces
        for version in (1, 2):
            for piece in (1, 7, 1000):
                s = connect(site, "127.0.0.9")
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                data = header("192.0.2.77", version) + b"LHLO me\r\nQUIT\r\n"
                for at in range(0, len(data), piece):
                    s.sendall(data[at:at + piece])
                text = b""
                while some := s.recv(1000):
                    text += some
                need(text.startswith(b"220 ") and b"\r\n250" in text and b"\r\n221" in text, f"{version} {piece}: {text}")
                s.close()
        need(wait_for(lambda: "peer=192.0.2.77" in site.tail(200), 10), "the session does not know its client: " + site.tail(50))
        # bad headers are refused, never served
        for bad in (b"LHLO me\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", b"PROXY TCP5 a b c d\r\n", V2_SIGNATURE + b"\x31\x11\0\0",
                    V2_SIGNATURE + b"\x21\x11\0\x02ab", b"\0" * 300, b"\x16\x03\x01" + b"x" * 100):
            s = connect(site, "127.0.0.9")
            s.sendall(bad)
            text = read_line(s)
            need(text.startswith(b"554 5.7.1 "), f"{bad}: {text}")
            s.close()
        # limits are the client's, not the proxy's
        def through(client, port=24):
            s = connect(site, "127.0.1.5", port)
            s.sendall(header(client))
            return s, read_line(s)
        # effect: dispatcher.services.*.network_bits_v6: one customer has a /48
        six = [through(f"2001:db8:7:{n}::1") for n in (1, 2, 3)]
        need([text[:3] for _, text in six] == [b"220", b"220", b"421"], f"{six}")
        other, text = through("2001:db8:8:1::1")
        need(text.startswith(b"220"), f"{text}")
        many = [through(f"198.51.{n}.1") for n in range(30)]
        need(all(text.startswith(b"220") for _, text in many), "many clients behind one proxy")
        imap, text = through("203.0.113.9", 143)
        need(text.startswith(b"* OK"), f"{text}")
        # TLS from the first byte stands behind the header
        raw = connect(site, "127.0.0.9", 993)
        raw.sendall(header("203.0.113.10", 2))
        with site.tls_context().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            need(tls.recv(200).startswith(b"* OK"), "implicit TLS")
        need(site.counter("connections_refused_proxy_total") == 10, "counter")
        close([s for s, _ in six + many] + [other, imap])
    with running(binary) as site:
        s = connect(site)
        s.sendall(header("192.0.2.1"))
        text = read_line(s)
        need(wait_for(lambda: "peer=127.0.0.1" in site.tail(50), 10) and "192.0.2.1" not in site.tail(50), f"nobody is trusted unasked: {text}")
        s.close()


def check_bad_options(binary):
    with running(binary) as site:
        text = site.config.read_text()
        for networks, what in (("[192.0.2.1/24]", "prefix"), ("[localhost]", "no network"), ("['192.0.2.0/33']", "prefix")):
            site.config.write_text(text.replace("dispatcher:\n", f"dispatcher:\n  trusted_networks: {networks}\n", 1))
            expect(site.command("config", "check"), 78, "trusted_networks", what)


class Half:
    """Half-open sessions: each has begun a command and never ends it."""

    def __init__(self, site, count, sources):
        self.socks = []
        for n in range(count):
            s = connect(site, sources[n % len(sources)], 143 if n % 2 else 24)
            s.send(b"a LOGI" if n % 2 else b"LHL")
            self.socks.append(s)

    def trickle(self):
        for s in self.socks[::10]:
            with contextlib.suppress(OSError):
                s.send(b"x")


def measured(site, source, port=24, tries=3):
    """A newcomer is answered within a second; a loaded machine has three tries."""
    best = 99.0
    for _ in range(tries):
        begun = time.monotonic()
        s, text = hello(site, source, port)
        best = min(best, time.monotonic() - begun)
        s.close()
        need(text.startswith((b"220", b"* OK")), f"{text}")
        if best < 1:
            return best
    raise RuntimeError(f"a new client waited {best:.2f} s")


def check_slow_loris(binary, count):
    """2,000 sessions that never finish a command, from twenty addresses; others do not feel them."""
    need(raise_nofile(count + 500), "descriptors")
    sources = [f"127.0.3.{n}" for n in range(1, 21)]
    with running(binary) as site:
        half = Half(site, count, sources)
        worst = 0.0
        for _ in range(10):
            half.trickle()
            worst = max(worst, measured(site, "127.0.4.1"), measured(site, "127.0.4.1", 143))
        close(half.socks)
        return f"{count} half-open sessions: a new client waits {1000 * worst:.1f} ms at most"


def flood(base, port, stop, tried):
    """A process of its own: it must not slow the measuring one down."""
    held = []
    while not stop.is_set():
        for _ in range(50):
            with contextlib.suppress(OSError):
                s = socket.socket()
                s.settimeout(5)
                s.bind(("127.0.5.1", 0))
                s.connect(("127.0.0.1", base + port))
                held.append(s)
                tried.value += 1
            if len(held) > 200:
                held.pop(0).close()
    close(held)


def check_flood(binary, seconds):
    """One address connects as fast as it can, without asking: others are answered."""
    with running(binary, sets=["dispatcher.defaults.max_rate_per_address=600", "dispatcher.defaults.max_conns_per_address=50"]) as site:
        stop = multiprocessing.Event()
        tried = [multiprocessing.Value("Q", 0) for _ in range(2)]
        floods = [multiprocessing.Process(target=flood, args=(site.base, port, stop, count)) for port, count in zip((24, 143), tried)]
        for p in floods:
            p.start()
        worst, rounds, end = 0.0, 0, time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                rounds += 1
                source = f"127.0.6.{rounds % 250 + 1}"
                worst = max(worst, measured(site, source), measured(site, source, 143))
        finally:
            stop.set()
            for p in floods:
                p.join(30)
        tried = sum(count.value for count in tried)
        refused = site.counter("connections_refused_rate_total") + site.counter("connections_refused_conns_total")
        need(refused > 0, f"nothing was refused of {tried}")
        lines = site.log.read_text(errors="replace").count("event=dispatch.refused")
        need(lines <= 2 * 2 * (seconds + 10) * 10 + 20, f"{lines} lines of refusals")
        return f"{tried} connections of one address, {refused} refused, {lines} lines; {rounds} others wait {1000 * worst:.1f} ms at most"


def check_descriptors(binary):
    """Few descriptors: clients wait, none is turned away, and everything else goes on."""
    with tempfile.TemporaryDirectory(prefix="limit-") as work:
        limited = pathlib.Path(work) / "limited"
        limited.write_text(f'#!/bin/sh\nulimit -n 200\nexec "{binary}" "$@"\n')
        limited.chmod(0o755)
        with running(limited, sets=["dispatcher.defaults.backlog=1000"]) as site:
            with site.lmtp() as mail:
                socks = [connect(site, f"127.0.7.{n % 250 + 1}", (24, 143)[n % 2]) for n in range(400)]
                time.sleep(0.5)
                ready, _, _ = select.select(socks, [], [], 0)
                served = sum(len(s.recv(200)) > 0 for s in ready)
                need(60 < served < 200, f"{served} of 400 are served")
                for n in range(3):  # a session that was there opens files, the operator sees and acts
                    mail.sendmail("a@example.net", ["anna@example.org"], message(f"full-{n}"))
                    expect(site.command("dispatcher", "status"), 0, "state=paused")
                    expect(site.command("stats"), 0, "connections_accepted_total")
                expect(site.command("mailbox", "list", "anna"), 0, "INBOX")
                need("net.accept_rests" not in site.tail(1000) and "level=error" not in site.tail(1000), site.tail(50))
                need(site.tail(1000).count("dispatch.out_of_descriptors") == 1, "told once")
                # each that leaves makes room for one that waits
                waiting = set(socks) - set(ready)
                gone = list(ready)
                while waiting:
                    need(gone, "nobody leaves, and some wait")
                    gone.pop().close()
                    fresh, _, _ = select.select(list(waiting), [], [], 20)
                    need(fresh, f"{len(waiting)} wait although others have left")
                    for s in fresh:
                        need(s.recv(200).startswith((b"220", b"* OK")), "greeting")
                        waiting.discard(s)
                        gone.append(s)
                close(gone)
        return f"{served} connections with 200 descriptors"


def raise_nofile(need_files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need_files:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need_files), hard))
    return True


def main():
    tap = Tap()
    binary = sys.argv[1]
    tap.run("connections of one address and network", check_conns, binary)
    tap.run("new connections a minute", check_rate, binary)
    tap.run("PROXY headers", check_proxy, binary)
    tap.run("proxies that are no networks", check_bad_options, binary)
    tap.run("half-open sessions", check_slow_loris, binary, 2000)
    tap.run("a flood from one address", check_flood, binary, 30 if LONG else 6)
    tap.run("few descriptors", check_descriptors, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
