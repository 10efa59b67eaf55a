#!/usr/bin/env python3
"""Options of the services: addresses, protocol, TLS, and how many workers and connections there are.

usage: options_services.py BINARY
"""
import pathlib
import re
import select
import socket
import ssl
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import free_port_base, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

SERVICES = "dispatcher.services."


def workers(site, service):
    """[(id, active)] of `dispatcher status`, of workers to whom nothing is on its way."""
    text = site.command("dispatcher", "status").stdout
    rows = re.findall(rf"(?m)^row=worker +service={service} +worker=(\d+) +state=running +loop=\w+ +active=(\d+) +pending=0 ", text)
    return [(int(number), int(active)) for number, active in rows]


def connect(port):
    """A connection that was greeted."""
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    got = s.recv(100)
    need(got.startswith((b"220", b"* OK")), f"greeting: {got!r}")
    return s


def greeted(sockets, seconds):
    """How many of the connections hear a greeting."""
    heard = set()
    while len(heard) < len(sockets):
        ready, _, _ = select.select([s for s in sockets if s not in heard], [], [], seconds)
        if not ready:
            break
        heard.update(s for s in ready if s.recv(100))
    return len(heard)


def check_listen(binary):
    with tempfile.TemporaryDirectory(prefix="socket-") as work:
        check_addresses(binary, f"{work}/lmtp.sock")


def check_addresses(binary, sock):
    port = free_port_base() + 25
    sets = (SERVICES + f'extra.listen=["127.0.0.1:{port}", "[::1]:{port}", "unix:{sock}"]',
            SERVICES + "extra.protocol=lmtp", SERVICES + "other.protocol=imap", SERVICES + "other.tls=none",
            SERVICES + f'other.listen=["127.0.0.1:{port + 1}"]')
    if not has_ipv6():
        sets = (sets[0].replace(f'"[::1]:{port}", ', ""),) + sets[1:]
    with running(binary, sets) as site:
        # effect: dispatcher.services.*.listen
        with connect(port) as s:
            need(hello(s, b"LHLO c.example\r\n").startswith(b"250"), "LHLO")
        if has_ipv6():
            with socket.create_connection(("::1", port), timeout=10) as s:
                need(b"LMTP" in s.recv(200), "greeting over IPv6")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(sock)
            need(b"LMTP" in s.recv(200), "greeting on the unix socket")
        site.kill()
        site.start()  # the socket that was left behind is no obstacle
        # effect: dispatcher.services.*.protocol
        with socket.create_connection(("127.0.0.1", port + 1), timeout=10) as s:
            need(s.recv(200).startswith(b"* OK"), "greeting of imap")
            need(b"STARTTLS" not in command(s, b"a CAPABILITY\r\n"), "STARTTLS with tls: none")
        with socket.create_connection(("127.0.0.1", site.base + 143), timeout=10) as s:
            s.recv(200)
            # effect: dispatcher.services.*.tls
            need(b"STARTTLS" in command(s, b"a CAPABILITY\r\n"), "no STARTTLS with tls: starttls")
        with socket.create_connection(("127.0.0.1", site.base + 993), timeout=10) as raw:
            with ssl._create_unverified_context().wrap_socket(raw) as s:
                need(s.recv(200).startswith(b"* OK"), "greeting with tls: implicit")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def hello(s, line):
    s.sendall(line)
    return s.recv(1000)


def command(s, line):
    """All of an IMAP answer."""
    s.sendall(line)
    got = b""
    while line.split()[0] + b" " not in got:
        piece = s.recv(4000)
        need(piece, "closed")
        got += piece
    return got


def lmtp_sets(**limits):
    return tuple(SERVICES + f"lmtp.{key}={value}" for key, value in limits.items())


def check_procs(binary):
    with running(binary, lmtp_sets(min_procs=3, max_procs=4, min_conns=2, max_conns=3)) as site:
        port = site.base + 24
        # effect: dispatcher.services.*.min_procs
        need(len(workers(site, "lmtp")) == 3, f"{workers(site, 'lmtp')}")
        need(len(workers(site, "imap")) == 1, "min_procs of another service")
        held = [connect(port) for _ in range(6)]
        need(sorted(a for _, a in workers(site, "lmtp")) in ([2, 2, 2], [0, 2, 2, 2]), f"{workers(site, 'lmtp')}")
        held.append(connect(port))
        # effect: dispatcher.services.*.min_conns  (all had that many: another worker is made)
        need(wait_for(lambda: len(workers(site, "lmtp")) == 4, 5), f"{workers(site, 'lmtp')}")
        # effect: dispatcher.services.*.max_procs, dispatcher.services.*.max_conns
        held += [connect(port) for _ in range(5)]
        need([a for _, a in workers(site, "lmtp")] == [3, 3, 3, 3], f"{workers(site, 'lmtp')}")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as waiting:
            need(greeted([waiting], 0.5) == 0, "a connection past max_procs * max_conns was greeted")
            held.pop().close()
            need(greeted([waiting], 10) == 1, "no greeting after another connection has gone")
        for s in held:
            s.close()


def established(port, count):
    """Connections the kernel takes when the service is full: the rest finds its queue full."""
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        sockets.append(s)
    done = set()
    while True:
        _, ready, _ = select.select([], [s for s in sockets if s not in done], [], 0.5)
        if not ready:
            break
        done.update(ready)
    for s in sockets:
        s.close()
    return len(done)


def check_backlog(binary):
    counts = {}
    for backlog in (5, 40):
        with running(binary, lmtp_sets(max_procs=1, max_conns=1, min_conns=1, backlog=backlog)) as site:
            wait_for(lambda: workers(site, "lmtp"), 5)
            with connect(site.base + 24):
                counts[backlog] = established(site.base + 24, 80)
    # effect: dispatcher.services.*.backlog  (the kernel adds one or two of its own)
    need(5 <= counts[5] <= 8 and 40 <= counts[40] <= 43, f"{counts}")
    return f"{counts}"


def check_defaults(binary):
    """A service that sets nothing of its own takes the section of the defaults."""
    sets = ("dispatcher.defaults.min_procs=2", "dispatcher.defaults.max_procs=2", "dispatcher.defaults.min_conns=1",
            "dispatcher.defaults.max_conns=2", "dispatcher.defaults.backlog=5") + lmtp_sets(max_conns=1)
    with running(binary, sets) as site:
        # effect: dispatcher.defaults.min_procs, dispatcher.defaults.max_procs, dispatcher.defaults.min_conns,
        # effect: dispatcher.defaults.max_conns, dispatcher.defaults.backlog
        need(len(workers(site, "smtp")) == 2 and len(workers(site, "lmtp")) == 2, "min_procs")
        for service, port, room in (("smtp", 25, 4), ("lmtp", 24, 2)):
            held = [socket.create_connection(("127.0.0.1", site.base + port), timeout=10) for _ in range(room + 2)]
            need(greeted(held, 0.5) == room, f"connections of {service}")
            need(len(workers(site, service)) == 2, f"max_procs of {service}")
            for s in held:
                s.close()


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    tap.run("listen, protocol, tls", check_listen, binary)
    tap.run("min_procs, max_procs, min_conns, max_conns", check_procs, binary)
    tap.run("backlog", check_backlog, binary)
    tap.run("defaults", check_defaults, binary)
    return tap.end()


sys.exit(main())
