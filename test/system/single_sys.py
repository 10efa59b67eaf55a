#!/usr/bin/env python3
"""A queue entry for each destination (channels.*.single_sys) over real SMTP: a thousand recipients at as many domains.

usage: single_sys.py BINARY
"""
import collections
import json
import pathlib
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

SETS = ("server.loops=2", "channels.store.single_sys=yes", "smtp.recipients_max=1000")


def rows(site, *words):
    return [json.loads(line) for line in expect(site.command(*words, "-o", "json"), 0).stdout.splitlines()]


def add_users(site, addresses):
    expect(site.command("user", "import", "-", input="login\n" + "\n".join(addresses) + "\n"), 0)


def send(site, addresses, size, sender="a@example.net"):
    """One transaction; the addresses that were refused at RCPT, with their replies, and the reply at the end."""
    refused = {}
    with smtplib.SMTP("127.0.0.1", site.base + 25, timeout=120) as client:
        client.ehlo()
        same("MAIL", client.mail(sender)[0], 250)
        for address in addresses:
            code, text = client.rcpt(address)
            if code != 250:
                refused[address] = (code, text.decode())
        return refused, client.data(message("many", body=("x" * 70 + "\r\n") * (size // 72)))


def entries(site, count):
    need(wait_for(lambda: len(rows(site, "queue", "list")) >= count, 60), f"{len(rows(site, 'queue', 'list'))} entries, not {count}")
    return rows(site, "queue", "list")


def hosts(found):
    return collections.Counter({row["host"]: len(row["recipients"]) for row in found})


def begin(site, addresses):
    add_users(site, addresses)
    expect(site.command("channel", "stop", "store"), 0)


def check_j15(binary):
    """The worked example: 1000 recipients at 400 domains are 400 entries; a large message costs no more."""
    addresses = [f"user{i}@domain{i % 400}.example" for i in range(1000)]
    with running(binary, SETS) as site:
        begin(site, addresses)
        for size, count in ((100, 400), (6_000_000, 800)):
            refused, (code, text) = send(site, addresses, size)
            same("refused", refused, {})
            need(code == 250, (code, text))
            found = entries(site, count)
            same("entries", len(found), count)
        same("hosts", hosts(found), {f"domain{i}.example": 3 if i < 200 else 2 for i in range(400)})
        expect(site.command("channel", "start", "store"), 0)
        need(wait_for(lambda: not rows(site, "queue", "list"), 120), "delivery")
        site.stop()
        expect(site.run("store", "verify", "-c", site.config, check=False), 0)


def check_bound(binary):
    """As many destinations with the longest names: what does not fit one record is refused at RCPT, and goes in the next
    transaction (RFC 5321 4.5.3.1.10)."""
    label = "x" * 62
    addresses = [f"{'u' * 50}{i:04}@a{label[:57]}{i:04}.{label}.{label[:58]}.example" for i in range(1000)]
    sender = f"{'s' * 60}@{label}.{label}.{label[:50]}.example"
    with running(binary, SETS) as site:
        begin(site, addresses)
        left, rounds = addresses, 0
        while left:
            refused, (code, text) = send(site, left, 100, sender)
            need(code == 250, (code, text))
            need(all(reply[0] == 452 and "4.5.3" in reply[1] for reply in refused.values()), list(refused.values())[:3])
            need(len(refused) < len(left), "nothing was taken")
            left = list(refused)
            rounds += 1
        need(rounds > 1, "all of it went into one record")
        found = entries(site, 1000)
        same("entries", len(found), 1000)
        same("recipients", sorted(row["recipients"][0]["address"] for row in found), sorted(addresses))
        expect(site.command("channel", "start", "store"), 0)
        need(wait_for(lambda: not rows(site, "queue", "list"), 120), "delivery")
    return f"{rounds} transactions"


def main():
    tap = Tap()
    tap.run("1000 recipients at 400 domains", check_j15, sys.argv[1])
    tap.run("1000 destinations with long names", check_bound, sys.argv[1])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
