#!/usr/bin/env python3
"""IDLE: how soon a delivery is announced, what an idle session costs, and how many are served at once.

usage: imap_idle.py BINARY [--messages N] [--sessions N] [--many N]
"""
import argparse
import contextlib
import pathlib
import re
import resource
import select
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from imap_wire import Wire  # noqa: E402
from msite import PASSWORD, message, running, settled  # noqa: E402
from tap import Skip, Tap  # noqa: E402

USERS = 100
BYTES_EACH = 3 * 1024       # of anonymous memory, an idle session
LATE_MS = 50                # p99 in this test, on whatever machine; bench/README.md has the figure of a quiet one
WARM_SESSIONS = 100
MAILBOX = 1000              # messages of the mailbox that is selected


def percentile(values, percent):
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


class Lmtp:
    """One delivery after the other over one connection."""

    def __init__(self, site):
        self.sock = socket.create_connection(("127.0.0.1", site.base + 24), 30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        self.line()
        self.say("LHLO test.example.net")

    def line(self):
        while True:
            line = self.file.readline()
            if line[3:4] == b" ":
                return line
            if not line:
                raise ConnectionError("LMTP: closed")

    def say(self, text, want=b"2"):
        self.sock.sendall(text.encode() + b"\r\n")
        said = self.line()
        if not said.startswith(want):
            raise RuntimeError(f"LMTP {text}: {said}")

    def begin(self, user):
        self.say("MAIL FROM:<a@example.net>")
        self.say(f"RCPT TO:<{user}@example.org>")
        self.say("DATA", b"3")

    def end(self, octets):
        self.sock.sendall(octets + b".\r\n")

    def send(self, user, octets):
        self.begin(user)
        self.end(octets)
        said = self.line()
        if not said.startswith(b"2"):
            raise RuntimeError(f"LMTP: {said}")

    def close(self):
        self.file.close()
        self.sock.close()


def idler(site, user, tls):
    client = Wire(site.base + (993 if tls else 143), user, PASSWORD, tls=site.tls_context() if tls else None)
    client.command("SELECT INBOX")
    client.start("IDLE")
    if not client.response().startswith(b"+"):
        raise RuntimeError("IDLE: no continuation")
    return client


def announced(client, exists):
    """Reads until the announcement; what came before it may be RECENT."""
    while True:
        said = client.response()
        found = re.match(rb"\* (\d+) EXISTS", said)
        if found:
            if int(found[1]) != exists:
                raise RuntimeError(f"{said}, not {exists}")
            return
        if not re.match(rb"\* \d+ RECENT|\* OK", said):
            raise RuntimeError(f"in IDLE: {said}")


def latency(site, count, tls):
    """Milliseconds from the reply of LMTP to the announcement; an announcement that comes first counts as 0."""
    lmtp, client = Lmtp(site), idler(site, "user1", tls)
    waiting = select.epoll()
    waiting.register(lmtp.sock, select.EPOLLIN)
    waiting.register(client.sock, select.EPOLLIN)
    late = []
    begun = int(re.search(r"(\d+)", site_status(site, "user1"))[1])
    for number in range(count):
        lmtp.begin("user1")
        lmtp.end(message(f"late-{tls}-{number}"))
        seen = {}
        while len(seen) < 2:
            ready = waiting.poll(30)
            now = time.perf_counter()
            if not ready:
                raise RuntimeError(f"message {number}: no answer for 30 s, have {seen}")
            for fd, _ in ready:
                if fd == lmtp.sock.fileno() and "reply" not in seen:
                    if not lmtp.line().startswith(b"2"):
                        raise RuntimeError("LMTP refuses")
                    seen["reply"] = now
                elif fd == client.sock.fileno():
                    announced(client, begun + number + 1)
                    seen["news"] = now
        late.append(max(0.0, (seen["news"] - seen["reply"]) * 1000))
    client.sock.sendall(b"DONE\r\n")
    client.close()
    lmtp.close()
    p50, p99 = percentile(late, 50), percentile(late, 99)
    if p99 > LATE_MS:
        raise RuntimeError(f"p99 {p99:.2f} ms")
    return f"{count} deliveries{' (TLS)' if tls else ''}: p50 {p50:.3f} ms, p99 {p99:.3f} ms, most {max(late):.3f} ms"


def site_status(site, user):
    client = Wire(site.base + 143, user, PASSWORD)
    said = client.command("STATUS INBOX (MESSAGES)")[0].decode().partition("MESSAGES")[2]
    client.logout()
    return said


# -- many sessions

class Many:
    """Sessions of user1 ... userN, in IDLE, all read by one epoll."""

    def __init__(self, site, count, mailbox="INBOX", tls=False, step=200):
        self.site, self.socks, self.text, self.waiting = site, {}, {}, select.epoll()
        self.context = site.tls_context() if tls else None
        while len(self.socks) < count:
            fresh = [self.open(len(self.socks), mailbox) for _ in range(min(step, count - len(self.socks)))]
            self.hear(fresh, lambda text: b"\r\n+ " in text, 60)

    def open(self, number, mailbox):
        # several addresses of this machine: one has not enough ports for a big test
        sock = socket.create_connection(("127.0.0.1", self.site.base + (993 if self.context else 143)), 60,
                                        source_address=(f"127.0.0.{2 + number % 8}", 0))
        if self.context:
            sock = self.context.wrap_socket(sock, server_hostname="localhost")
        select_line = f"b SELECT {mailbox}\r\n" if mailbox else ""
        sock.sendall(f"a LOGIN user{number % USERS + 1} {PASSWORD}\r\n{select_line}c IDLE\r\n".encode())
        sock.setblocking(False)
        self.socks[sock.fileno()] = sock
        self.text[sock.fileno()] = b""
        self.waiting.register(sock, select.EPOLLIN)
        if self.context:
            self.read(sock.fileno())  # the TLS layer may hold some already
        return sock.fileno()

    def read(self, fd):
        try:
            while True:
                piece = self.socks[fd].recv(65536)
                if not piece:
                    raise RuntimeError(f"a session was closed: {self.text[fd][-200:]}")
                self.text[fd] += piece
        except (BlockingIOError, ssl.SSLWantReadError):
            pass

    def hear(self, fds, enough, seconds):
        """Until the text of each is enough; bounded."""
        missing, end = {fd for fd in fds if not enough(self.text[fd])}, time.monotonic() + seconds
        while missing:
            if time.monotonic() > end:
                raise RuntimeError(f"{len(missing)} of {len(fds)} sessions did not hear it; one has {self.text[missing.pop()][-200:]}")
            for fd, _ in self.waiting.poll(1, 4096):
                self.read(fd)
                if enough(self.text[fd]):
                    missing.discard(fd)

    def forget(self):
        self.text = dict.fromkeys(self.text, b"")

    def close(self):
        for sock in self.socks.values():
            sock.close()


@contextlib.contextmanager
def many_users(binary, sets=()):
    with running(binary, users=("user1",), sets=sets, start=False) as site:
        site.import_users(f"user{n}" for n in range(2, USERS + 1))
        yield site.start()


def allow_files(need):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise Skip(f"only {hard} open files are allowed, {need} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))


def cost(binary, count, mailbox, tls):
    """Of one session, in a server of its own: what others left behind would hide it. A few hundred KiB come and go with the rest of
    the server; so many sessions are there that this does not count."""
    allow_files(count + WARM_SESSIONS + 500)
    with many_users(binary) as site:
        lmtp = Lmtp(site)
        for number in range(MAILBOX if mailbox else 1):
            lmtp.send("user1", message(f"m{number}"))
        lmtp.close()
        first = Many(site, WARM_SESSIONS, mailbox, tls)
        before = settled(site.process.pid)
        many = Many(site, count, mailbox, tls)
        each = (settled(site.process.pid) - before) / count
        first.close()
        many.close()
    what = f"{count} sessions{' (TLS)' if tls else ''}, {'a mailbox selected' if mailbox else 'no mailbox'}: {each / 1024:.2f} KiB each"
    if not tls and each > BYTES_EACH:
        raise RuntimeError(what)
    return what


def at_once(binary, count):
    """Every session hears of the delivery to its mailbox, and answers afterwards."""
    allow_files(count + 500)
    no_limits = [f"dispatcher.defaults.{key}=none" for key in ("max_conns_per_address", "max_rate_per_address")]
    with many_users(binary, no_limits) as site:
        begun = time.monotonic()
        many = Many(site, count)
        opened = time.monotonic() - begun
        many.forget()
        lmtp = Lmtp(site)
        begun = time.monotonic()
        for number in range(USERS):
            lmtp.send(f"user{number + 1}", message(f"all-{number}"))
        many.hear(list(many.socks), lambda text: b"* 1 EXISTS\r\n" in text, 60)
        heard = time.monotonic() - begun
        many.forget()
        for sock in many.socks.values():
            sock.send(b"DONE\r\nd NOOP\r\n")
        many.hear(list(many.socks), lambda text: re.search(rb"c OK [^\r]*\r\n(\* [^\r]*\r\n)*d OK ", text), 60)
        many.close()
        lmtp.close()
        if site.stop() != 0:
            raise RuntimeError("the server did not stop well")
    return f"{count} sessions: all in IDLE after {opened:.1f} s, {USERS} deliveries heard by each of {count // USERS} sessions in {heard:.2f} s"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=3000, help="a third of them with TLS")
    parser.add_argument("--many", type=int, default=2000)
    options = parser.parse_args()
    tap = Tap()
    with running(options.binary, users=("user1",)) as site:
        tap.run("announced after the reply", latency, site, options.messages, False)
        tap.run("announced after the reply, TLS", latency, site, options.messages, True)
    for mailbox in (None, "INBOX"):
        for tls in (False, True):
            name = f"memory of an idle session, {'mailbox' if mailbox else 'none'} selected{', TLS' if tls else ''}"
            tap.run(name, cost, options.binary, options.sessions // 3 if tls else options.sessions, mailbox, tls)
    tap.run("all served at once", at_once, options.binary, options.many)
    return tap.end()


sys.exit(main())
