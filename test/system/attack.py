#!/usr/bin/env python3
"""Clients that mean no good, many at a time: silent ones, ones that send an octet a second, endless lines, endless messages,
floods of commands whose answers nobody reads. Meanwhile a new client delivers a message, and the server's memory stays bounded.

Clients live in processes of their own. Every load is bounded in number and time.

usage: attack.py BINARY [--clients N]
"""
import argparse
import contextlib
import multiprocessing
import pathlib
import resource
import select
import smtplib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, message, running  # noqa: E402
from tap import Tap, need  # noqa: E402

PROBES = 8
SERVED_SECONDS = 2.0  # the bound of a second, with slack for a busy machine; half of the probes must keep the second itself
FLOODERS = 40
FLOOD_SECONDS = 6
MEMORY_PER_CLIENT = 16 << 10
MEMORY_SLACK = 160 << 20  # messages on their way to the log have 64 MiB of it (PART_INFLIGHT_BYTES)
DISK_SECONDS = 8.0        # who floods the disk makes every flush wait; nobody starves, that is all there is to promise


def resident(site):
    for line in pathlib.Path(f"/proc/{site.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("no VmRSS")


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.setblocking(False)
    return s


def hold(port, count, drip, ready, end):
    """Opens connections and keeps them; drip: each sends one octet a second."""
    socks = [connect(port) for _ in range(count)]
    ready.set()
    text, at = b"EHLO " + b"a" * 400, 0
    while not end.wait(1.0):
        if drip:
            for s in socks:
                with contextlib.suppress(OSError):
                    s.send(text[at % len(text):at % len(text) + 1])
            at += 1
    for s in socks:
        s.close()


def flood(port, count, opening, piece, reads, ready, end):
    """Sends piece again and again as fast as it is taken, on count connections; opens anew what the server closes."""
    def begin():
        s = connect(port)
        s.setblocking(True)
        s.settimeout(10)
        for line in opening:
            s.sendall(line)
            s.recv(4096)
        s.setblocking(False)
        return s
    socks = [begin() for _ in range(count)]
    ready.set()
    while not end.is_set():
        _, writable, _ = select.select([], socks, [], 0.05)
        for s in writable:
            try:
                if reads:
                    with contextlib.suppress(BlockingIOError):
                        while s.recv(65536):
                            pass
                s.send(piece)
            except BlockingIOError:
                pass
            except OSError:
                s.close()
                socks.remove(s)
                with contextlib.suppress(OSError):
                    socks.append(begin())
    for s in socks:
        s.close()


@contextlib.contextmanager
def attackers(*jobs):
    """Each job (function, arguments...) in a process of its own; they end with the block."""
    end = multiprocessing.Event()
    started = []
    try:
        for function, *args in jobs:
            ready = multiprocessing.Event()
            p = multiprocessing.Process(target=function, args=(*args, ready, end), daemon=True)
            p.start()
            started.append(p)
            need(ready.wait(120), "the clients did not get their connections")
        yield
    finally:
        end.set()
        for p in started:
            p.join(20)
            if p.is_alive():
                p.terminate()


def probe(site, serial, bound, seconds=FLOOD_SECONDS):
    """New clients, one after the other: connect, deliver, wait for the answers. (worst, median) in seconds."""
    taken = []
    begun = time.monotonic()
    while len(taken) < PROBES or time.monotonic() - begun < seconds:
        start = time.monotonic()
        with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=30) as client:
            client.sendmail("a@example.net", ["anna@example.org"], message(f"probe-{serial}-{len(taken)}"))
        taken.append(time.monotonic() - start)
        time.sleep(0.2)
    taken.sort()
    worst, median = taken[-1], taken[len(taken) // 2]
    need(worst <= bound and median <= 1.0, f"a new client waited {worst:.2f} s, as a rule {median:.2f} s")
    return f"worst {worst * 1000:.0f} ms, median {median * 1000:.0f} ms"


def check(site, serial, clients, *jobs, bound=SERVED_SECONDS):
    before = resident(site)
    with attackers(*jobs):
        told = probe(site, serial, bound)
        used = resident(site) - before
    need(used <= clients * MEMORY_PER_CLIENT + MEMORY_SLACK, f"{used >> 20} MiB more with {clients} clients")
    return f"{told}, {used >> 20} MiB more"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("binary")
    args.add_argument("--clients", type=int, default=5000)
    args = args.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = min(args.clients, hard // 2 - 500)  # the server holds both kinds at once
    tap = Tap()
    with running(args.binary, ["smtp.errors_max=10000", "dispatcher.defaults.max_rate_per_address=none",
                               "dispatcher.defaults.max_conns_per_address=none", "dispatcher.defaults.max_conns_per_network=none"]) as site:
        smtp, lmtp = site.base + 25, site.base + 24
        tap.run(f"{clients} that send nothing", check, site, 1, clients, (hold, smtp, clients, False))
        tap.run(f"{clients} that send an octet a second, and {clients} silent ones", check, site, 2, 2 * clients,
                (hold, smtp, clients, True), (hold, smtp, clients, False))
        mail = (b"EHLO c\r\n", b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<bert@example.org>\r\n", b"DATA\r\n")
        tap.run("endless lines", check, site, 3, FLOODERS, (flood, smtp, FLOODERS, (), b"x" * 65536, True))
        messages = (flood, smtp, FLOODERS, mail, (b"y" * 70 + b"\r\n") * 900, True)
        tap.run("endless messages", lambda: check(site, 4, FLOODERS, messages, bound=DISK_SECONDS))
        headers = (flood, smtp, FLOODERS, mail, b"X-Field: " + b"z" * 60 + b"\r\n", True)
        tap.run("endless header fields", lambda: check(site, 5, FLOODERS, headers, bound=DISK_SECONDS))
        tap.run("floods of commands", check, site, 6, FLOODERS, (flood, smtp, FLOODERS, (b"EHLO c\r\n",), b"NOOP\r\n" * 5000, True))
        tap.run("floods whose answers nobody reads", check, site, 7, FLOODERS,
                (flood, smtp, FLOODERS, (b"EHLO c\r\n",), b"HELP\r\n" * 5000, False))
        tap.run("floods of unknown recipients", check, site, 8, FLOODERS,
                (flood, smtp, FLOODERS, (b"EHLO c\r\n", b"MAIL FROM:<a@example.net>\r\n"), b"RCPT TO:<nobody@example.org>\r\n" * 1000,
                 True))
        tap.run("connections that come and go", check, site, 9, FLOODERS, (flood, lmtp, FLOODERS, (), b"QUIT\r\n", True))
        tap.run("the server is well behind it", lambda: need(site.stop() == 0, "exit status"))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
