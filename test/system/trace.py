#!/usr/bin/env python3
"""trace: one id from the connection to the mailbox; options of the history.

usage: trace.py BINARY
"""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402


def deliver(site, subject, to="anna@example.org"):
    """LMTP to anna; the id of the answer."""
    with site.lmtp() as client:
        client.ehlo("client.example.net")
        client.mail("a@example.net")
        client.rcpt(to)
        client.docmd("DATA")
        client.send(message(subject) + b".\r\n")
        code, text = client.getreply()
        need(code == 250, text)
        return re.search(rb"([0-9a-f]+-[0-9a-f]+\.[0-9]+)", text).group(1).decode()


def trace(site, *words, check=True):
    return site.run("trace", *words, "-c", site.config, check=check)


def check_lmtp(site):
    first, second = deliver(site, "one"), deliver(site, "two")
    need(first != second, "ids are unique")
    lines = trace(site, first).stdout.splitlines()
    need(all(any(name in line for line in lines) for name in ("smtpd.connected", "smtpd.tx_finished", "delivery.sent")), lines)
    need(any("smtpd.tx_finished" in line and " svc=lmtp " in line and " from=a@example.net to=anna@example.org size=" in line and
             "msgid=<one@example.net>" in line for line in lines), lines)
    need(any(re.search(r"event=delivery\.sent .* to=anna@example\.org relay=store\[primary\] delay=\d+\.\d\d delays=0/0/0/\d+\.\d\d "
                       r"dsn=2\.1\.5 status=sent reply=", line) for line in lines), lines)
    other = trace(site, deliver(site, "three", "Anna@Example.ORG")).stdout
    need(" to=anna@example.org orig_to=Anna@Example.ORG relay=" in other, other)
    need(all(f"trace={first}" in line or f"trace={first.split('.')[0]} " in line for line in lines), lines)
    rows = [json.loads(line) for line in trace(site, first, "-o", "json").stdout.splitlines()]
    need(len(rows) == len(lines) and all(row["trace"] in (first, first.split(".")[0]) for row in rows), rows)
    imap = site.imap("anna")
    imap.select("INBOX")
    received = imap.fetch("1", "(BODY[HEADER.FIELDS (RECEIVED)])")[1][0][1].decode()
    need(first in received, received)
    return first


def check_answers(site, known):
    need(trace(site, "f00-1.1").stdout == "", "nothing matches")
    need(trace(site, "ffff-1", "--fail-if-empty", check=False).returncode == 1, "--fail-if-empty")
    need(trace(site, "../x", check=False).returncode == 64, "not an id")
    need(trace(site, check=False).returncode == 64, "no id")
    site.stop()
    need("tx_finished" in trace(site, known).stdout, "works with the server down")
    site.start()
    again = deliver(site, "three")
    need(again.split("-")[0] != known.split("-")[0], "ids of another start differ")
    need("tx_finished" in trace(site, known).stdout and "tx_finished" in trace(site, again).stdout, "history of both starts")


def check_options(binary):
    # effect: log.history
    with running(binary, ["log.history=kept"]) as site:
        one = deliver(site, "x")
        need(list((site.folder / "kept").glob("*.log")) and "tx_finished" in trace(site, one).stdout, "folder of log.history")
    # effect: log.history_size
    with running(binary, ["log.history_size=none"]) as site:
        deliver(site, "x")
        need(not (site.folder / "history").exists(), "no history")
        need(trace(site, "1-1", check=False).returncode == 69, "says so")
    with running(binary, ["log.history_size=64 KiB", "log.level=error"]) as site:
        first = deliver(site, "x")
        for _ in range(600):
            last = deliver(site, "x")
        size = sum(f.stat().st_size for f in (site.folder / "history").iterdir())
        need(size <= 80 << 10, f"{size} octets kept")
        need(wait_for(lambda: "tx_finished" in trace(site, last).stdout), "the newest is there")  # lines are written in batches
        need(trace(site, first).stdout == "", "the oldest goes")


def main():
    binary = sys.argv[1]
    tap = Tap()
    with running(binary, []) as site:
        known = []
        tap.run("one id in reply, Received, log and trace", lambda: known.append(check_lmtp(site)))
        tap.run("trace with the server down, over a restart, and its refusals", lambda: check_answers(site, known[0]))
    tap.run("options of the history", check_options, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
