#!/usr/bin/env python3
"""Many idle IMAP sessions, and new clients all the time: none is refused, the loops share them evenly, and what one costs.

usage: scale.py BINARY [--idle N] [--rate N] [--seconds S]
"""
import argparse
import json
import pathlib
import resource
import selectors
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, running, settled, wait_for  # noqa: E402
from tap import Skip, Tap, need  # noqa: E402

LOOPS = 4
USERS = 20
AT_ONCE = 200      # logins under way
ADDRESSES = 100    # clients
BYTES_EACH = 6144  # of anonymous memory: the session (at most 3 KiB), and what the dispatcher knows of it


def nofile(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise Skip(f"only {hard} open files are allowed, {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def client(site, number):
    s = socket.socket()
    s.setblocking(False)
    s.bind((f"127.1.{number % ADDRESSES // 10}.{number % 10 + 1}", 0))
    s.connect_ex(("127.0.0.1", site.base + 143))
    return s


class Idlers:
    """Sessions that log in and say IDLE."""

    def __init__(self, site, count):
        self.site, self.socks, self.heard = site, [], {}
        self.selector = selectors.DefaultSelector()
        begun = time.monotonic()
        ready = 0
        while ready < count:
            need(time.monotonic() - begun < 1200, f"{ready} of {count} sessions idle after twenty minutes")
            while len(self.socks) < min(count, ready + AT_ONCE):
                s = client(site, len(self.socks))
                self.heard[s] = b""
                self.selector.register(s, selectors.EVENT_READ)
                self.socks.append(s)
            ready += self.listen()
        for s in self.socks:
            self.selector.unregister(s)
        self.seconds = time.monotonic() - begun

    def listen(self):
        ready = 0
        for key, _ in self.selector.select(1):
            s = key.fileobj
            try:
                some = s.recv(4096)
            except BlockingIOError:
                continue
            before = self.heard[s]
            self.heard[s] = text = before + some
            need(some and b"BYE" not in text and b"a NO" not in text, f"{text}")
            if b"\n" not in before and b"\n" in text:
                s.send(f"a LOGIN user{s.fileno() % USERS + 1} {PASSWORD}\r\nb SELECT INBOX\r\nc IDLE\r\n".encode())
            ready += b"\n+ " not in before and b"\n+ " in text
        return ready

    def all_live(self):
        """They are there to the end, and nobody said anything to them."""
        for s in self.socks:
            s.setblocking(True)
            s.settimeout(60)
            s.send(b"DONE\r\nd LOGOUT\r\n")
        for s in self.socks:
            text = b""
            while b"d OK" not in text:
                some = s.recv(4096)
                need(some, f"a session was lost: {text}")
                text += some
            s.close()


class Newcomers:
    """Clients at a steady rate; each waits for its greeting and leaves."""

    def __init__(self, site, rate, seconds):
        self.site, self.waits = site, []
        self.selector = selectors.DefaultSelector()
        begun = time.monotonic()
        made = 0
        while made < rate * seconds or self.selector.get_map():
            now = time.monotonic()
            need(now - begun < seconds + 120, f"{len(self.selector.get_map())} newcomers were never greeted")
            while made < rate * seconds and now - begun >= made / rate:
                self.selector.register(client(site, made), selectors.EVENT_READ, time.monotonic())
                made += 1
            for key, _ in self.selector.select(min(0.005, 1 / rate)):
                text = key.fileobj.recv(500)
                need(text.startswith(b"* OK"), f"a newcomer heard {text}")
                self.waits.append(time.monotonic() - key.data)
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
        self.seconds = time.monotonic() - begun
        self.waits.sort()

    def at(self, part):
        return 1000 * self.waits[min(len(self.waits) - 1, int(part * len(self.waits)))]


def rows(site, kind):
    found = [json.loads(line) for line in site.command("dispatcher", "status", "-o", "json").stdout.splitlines()]
    return [row for row in found if row["row"] == kind and row["service"] == "imap"]


def by_loop(site):
    loops = {}
    for row in rows(site, "worker"):
        loops[row["loop"]] = loops.get(row["loop"], 0) + int(row["active"])
    return loops


def spread(site, count):
    """How far the loop with the most sessions is from the one with the fewest, of their mean."""
    need(wait_for(lambda: sum(by_loop(site).values()) == count, 60), f"{by_loop(site)}, not {count} in all")
    loops = by_loop(site)
    need(len(loops) == LOOPS, f"{loops}")
    apart = (max(loops.values()) - min(loops.values())) / (count / LOOPS)
    need(apart <= 0.05, f"loops differ by {100 * apart:.1f} %: {loops}")
    return apart


def scale(options):
    nofile(options.idle + 1000)
    with running(options.binary, users=[f"user{n}" for n in range(1, USERS + 1)], sets=[f"server.loops={LOOPS}"]) as site:
        warm = Idlers(site, 100)  # what is made once is made
        before = settled(site.process.pid)
        idlers = Idlers(site, options.idle)
        each = (settled(site.process.pid) - before) / options.idle
        apart = spread(site, options.idle + 100)
        for _ in range(3):  # a loaded machine may hold things up: three tries
            new = Newcomers(site, options.rate, options.seconds)
            if new.at(1) < 1000:
                break
        need(new.at(1) < 1000, f"a newcomer waited {new.at(1):.0f} ms")
        apart = max(apart, spread(site, options.idle + 100))
        (service,) = rows(site, "service")
        need(service["refused"] == "0", f"{service}")
        need(each < BYTES_EACH, f"{each / 1024:.2f} KiB a session")
        idlers.all_live()
        warm.all_live()
    return (f"{options.idle} sessions idle after {idlers.seconds:.1f} s, {each / 1024:.2f} KiB each; loops differ by {100 * apart:.1f} %; "
            f"{len(new.waits)} newcomers at {len(new.waits) / new.seconds:.0f}/s: greeted after {new.at(0.5):.1f} ms, p99 {new.at(0.99):.1f}, "
            f"max {new.at(1):.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    tap = Tap()
    tap.run("idle sessions and newcomers", scale, options)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
