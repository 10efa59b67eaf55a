#!/usr/bin/env python3
"""A small memory limit and a load that passes it: what is given up, in which order, what never, and the way back.

usage: process_memory.py BINARY
"""
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import free_port_base, list_mailbox, read_line, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

LIMIT = 120 << 20
BODY = 100_000  # of one message; kept in memory until its end
MESSAGES_MAX = 3000
IDLE = 40


def answer(s, *lines):
    """Sends lines one by one; the last answer."""
    text = b""
    for line in lines:
        s.sendall(line.encode() + b"\r\n")
        text = read_line(s)
        while re.match(rb"\d\d\d-", text.splitlines()[-1]):
            text = read_line(s)
    return text


def begin(site, number):
    """A message whose end is not sent yet; None: refused at the door."""
    s = socket.create_connection(("127.0.0.1", site.base + 24), timeout=60)
    greeting = read_line(s)
    if not greeting.startswith(b"220"):
        need(greeting.startswith(b"421 "), f"refused with {greeting}")
        s.close()
        return None
    need(answer(s, "LHLO load.example.net").splitlines()[-1].startswith(b"250"), "LHLO")
    last = answer(s, "MAIL FROM:<load@example.net>", "RCPT TO:<anna@example.org>", "DATA")
    need(last.startswith(b"354"), f"DATA: {last}")
    line = b"x" * 70 + b"\r\n"
    s.sendall(f"From: <load@example.net>\r\nSubject: {number}\r\nX-Test-Id: m{number}\r\n\r\n".encode()
              + line * (BODY // len(line)))
    return s


def levels(site):
    return re.findall(r"event=server.memory_(short|better) level=(\w+)", site.log.read_text())


def series(site):
    """mailserverd_shed_total by what."""
    with socket.create_connection(("127.0.0.1", site.base + 470), timeout=30) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b""
        while more := s.recv(65536):
            text += more
    return {what: int(float(n)) for what, n in re.findall(r'mailserverd_shed_total\{what="(\w+)"\} (\S+)', text.decode())}


def shedding(binary):
    """effect: server.memory_max"""
    base = free_port_base()
    sets = [f"server.memory_max={LIMIT}", "server.loops=2", "dispatcher.defaults.max_conns_per_address=none",
            "dispatcher.defaults.max_conns_per_network=none", "dispatcher.defaults.max_rate_per_address=none",
            "dispatcher.defaults.max_rate_per_network=none", f"admin.metrics_listen=127.0.0.1:{base + 470}"]
    with running(binary, sets=sets, base=base) as site:
        idle = [socket.create_connection(("127.0.0.1", site.base + 143), timeout=60) for _ in range(IDLE)]
        for s in idle:
            need(read_line(s).startswith(b"* OK"), "greeting")
        anna = site.imap("anna")
        begun = []
        refused = False
        for i in range(MESSAGES_MAX):
            s = begin(site, i)
            refused = s is None
            if refused:
                break
            begun.append(s)
        need(refused, f"{len(begun)} messages under way and nobody was refused: {levels(site)}")
        need([name for kind, name in levels(site) if kind == "short"][:2] == ["caches", "refuse"], f"order: {levels(site)}")
        need(series(site)["caches"] >= 1, f"{series(site)}")
        # What is under way grows on, until idle sessions that are nobody's have to go.
        grown = 0
        while ("short", "close") not in levels(site) and grown < 40:
            for s in begun:
                s.sendall((b"y" * 70 + b"\r\n") * 20)
            grown += 1
            time.sleep(0.3)
        closed = ("short", "close") in levels(site)
        if closed:
            need(wait_for(lambda: series(site)["sessions"] >= IDLE, 60, 0.2), f"idle sessions are left: {series(site)}")
            need(all(s.recv(200).startswith(b"* BYE") for s in idle), "closed without a word")
        need(anna.noop()[0] == "OK", "a user's session was closed")
        for s in begun:
            s.sendall(b".\r\n")
        for i, s in enumerate(begun):
            last = read_line(s)
            need(last.startswith(b"250"), f"message {i} of {len(begun)} under way was not taken: {last}")
            s.close()
        need(wait_for(lambda: len(list_mailbox(anna)[0]) == len(begun), 60, 0.5), "messages are missing")
        need({row[1] for row in list_mailbox(anna)[0]} == {f"m{i}" for i in range(len(begun))}, "other messages")
        need(wait_for(lambda: levels(site) and levels(site)[-1] == ("better", "fine"), 60, 0.2), f"no way back: {levels(site)}")
        after = begin(site, len(begun))
        need(after is not None, "still refused")
        after.sendall(b".\r\n")
        need(read_line(after).startswith(b"250"), "the first message afterwards")
        shed = series(site)
        need(shed["trim"] >= 1 and shed["connections"] >= 1, f"{shed}")
        need(site.stop() == 0, "exit status")
        return f"{len(begun)} messages under way, none lost; {shed}; idle sessions closed: {closed}"


def plenty(binary):
    """auto: a limit that is the machine's, and nothing is given up."""
    with running(binary) as site:
        found = wait_for(lambda: re.search(r"event=server.memory used=(\d+) limit=(\d+)", site.log.read_text()))
        need(0 < int(found[1]) < int(found[2]), found[0])
        total = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) * 1024
        need(int(found[2]) <= total * 0.81, f"{found[0]} of {total}")
        need(not levels(site), f"{levels(site)}")


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("the limit of the machine", plenty, binary)
    tap.run("what is given up, and what not", shedding, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
