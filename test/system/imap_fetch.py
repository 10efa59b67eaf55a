#!/usr/bin/env python3
"""FETCH of a whole mailbox by clients that do not read, or read slowly; and equal ids of copies.

usage: imap_fetch.py BINARY
A client that asks for everything and reads nothing must not make the server's memory grow: what it has not taken is not produced.
When it reads at last, it gets all of it. RFC 8474 5.1: a copy has the EMAILID of its original, another message another one.
"""
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, message, running  # noqa: E402
from tap import Tap  # noqa: E402

MESSAGES = 1500
LARGE = 24 << 20
GROWTH_MAX = 20 << 10  # KiB: one MiB each


def rss_kib(pid):
    return int(re.search(r"^VmRSS:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def fill(site):
    with site.lmtp(120) as lmtp:
        for number in range(MESSAGES):
            lmtp.sendmail("a@example.net", ["anna@example.org"], message(number, body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 55))
        part = "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
        lmtp.sendmail("a@example.net", ["anna@example.org"],
                      message("large", body=("QUJD" * 19 + "\r\n") * (LARGE // 78), extra=part))


def raw_client(site, commands):
    client = socket.create_connection(("127.0.0.1", site.base + 143), timeout=60)
    client.sendall(f"a LOGIN anna {PASSWORD}\r\nb SELECT INBOX\r\n".encode() + commands)
    return client


def read_to_tag(client, tag):
    total, tail = 0, b""
    while tag not in tail:
        piece = client.recv(1 << 16)
        assert piece, "closed"
        total += len(piece)
        tail = tail[-64:] + piece
    return total


def silent(site, item, least):
    """Twenty clients that ask and do not read."""
    before = rss_kib(site.process.pid)
    clients = [raw_client(site, f"c FETCH 1:* {item}\r\n".encode()) for _ in range(20)]
    time.sleep(3)
    grown = rss_kib(site.process.pid) - before
    assert grown < GROWTH_MAX, f"{grown} KiB more"
    with site.imap("bert") as other:  # the others are served
        assert other.select("INBOX")[0] == "OK"
    got = read_to_tag(clients[0], b"\r\nc OK ")
    assert got >= least, got
    for client in clients:
        client.close()
    return f"{grown} KiB for 20 clients, then {got} bytes read"


def copies(site):
    with site.imap("anna") as client:
        client.select("INBOX")
        client.copy("1:2", "Archive")
        def ids(box):
            client.select(box)
            return [re.search(rb"EMAILID \((M\w+)\)", line)[1] for line in client.fetch("1:2", "(EMAILID)")[1]]
        first, second = ids("INBOX"), ids("Archive")
    assert first == second and first[0] != first[1], (first, second)
    return first[0].decode()


def main():
    tap = Tap()
    with running(sys.argv[1]) as site:
        fill(site)
        tap.run("small messages", silent, site, "BODY.PEEK[]", MESSAGES * 4000 + LARGE)
        tap.run("one large message, decoded", silent, site, "BINARY.PEEK[1]", MESSAGES * 3900 + LARGE // 2)
        tap.run("what the index holds", silent, site, "(FLAGS ENVELOPE BODYSTRUCTURE)", MESSAGES * 100)
        tap.run("ids of copies", copies, site)
    return tap.end()


sys.exit(main())
