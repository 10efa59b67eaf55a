#!/usr/bin/env python3
"""The job controller on the real server: its numbers, channels that are stopped, why entries wait, the shape of the queue.

usage: jobs.py BINARY
"""
import datetime
import json
import pathlib
import smtplib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

EX_OK, EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE = 0, 64, 66, 69


def rows(site, *words):
    done = expect(site.command(*words, "-o", "json"), EX_OK)
    return [json.loads(line) for line in done.stdout.splitlines()]


def one(site, kind, *words):
    found = [row for row in rows(site, *words) if row.get("row") == kind]
    need(len(found) == 1, f"{words}: {found}")
    return found[0]


def send(site, count, prefix, extra=""):
    with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=60) as client:
        for i in range(count):
            client.sendmail("a@example.net", ["anna@example.org", "bert@example.org"], message(f"{prefix}{i}", extra=extra))


def ids(site):
    return [row["qid"] for row in rows(site, "queue", "list")]


def queued_ids(site, count):
    """SMTP answers when a message is durable; it is seen a moment later."""
    need(wait_for(lambda: len(ids(site)) == count, 30), f"queued: {ids(site)}, not {count}")
    return ids(site)


def is_empty(site):
    return not ids(site)


def check_stop(site):
    """A stopped channel takes mail and delivers none; restarted, it delivers all, each once."""
    same("channel", one(site, "channel", "channel", "list")["state"], "started")
    expect(site.command("channel", "stop", "store"), EX_OK)
    same("channel", one(site, "channel", "channel", "list")["state"], "stopped")
    send(site, 5, "stop")
    queued = queued_ids(site, 5)
    for row in rows(site, "queue", "explain", *queued):
        same("why", (row["why"], row["attempts"], row["until"]), ("stopped", "0", "-"))
    time.sleep(0.5)
    same("still queued", ids(site), queued)
    expect(site.command("channel", "start", "store"), EX_OK)
    need(wait_for(lambda: is_empty(site), 30), "delivery")
    for user in ("anna", "bert"):
        with site.imap(user) as client:
            same(user, sorted(row[1] for row in list_mailbox(client)[0]), sorted(f"stop{i}" for i in range(5)))


def check_shape(site):
    expect(site.command("channel", "stop", "store"), EX_OK)
    send(site, 3, "shape")
    queued_ids(site, 3)
    total, domain = rows(site, "queue", "shape")
    same("total", (total["domain"], total["T"], total["5"], total["1280+"]), ("TOTAL", "6", "6", "0"))
    same("domain", (domain["domain"], domain["T"], domain["5"]), ("example.org", "6", "6"))
    text = expect(site.command("queue", "shape"), EX_OK).stdout.splitlines()
    same("head", text[0].split(), "T 5 10 20 40 80 160 320 640 1280 1280+".split())
    same("line", text[2].split(), ["example.org", "6", "6"] + ["0"] * 9)
    same("chosen", [row["T"] for row in rows(site, "queue", "shape", "--rcpt", "bert@*")][:1], ["6"])
    expect(site.command("channel", "start", "store"), EX_OK)
    need(wait_for(lambda: is_empty(site), 30), "delivery")
    same("empty", [row["T"] for row in rows(site, "queue", "shape")], ["0"])
    expect(site.command("queue", "shape", "--fail-if-empty"), 1)


def check_held(site):
    expect(site.command("channel", "stop", "store"), EX_OK)
    send(site, 1, "held")
    (qid,) = queued_ids(site, 1)
    expect(site.command("queue", "hold", qid), EX_OK)
    same("held", one(site, "entry", "queue", "explain", qid)["why"], "held")
    expect(site.command("channel", "start", "store"), EX_OK)
    expect(site.command("queue", "release", qid), EX_OK)
    need(wait_for(lambda: is_empty(site), 30), "delivery")
    expect(site.command("queue", "explain", qid), EX_NOINPUT, "not in the queue")


def check_deferral(binary):
    """normalafter: no job before the time of the first message; a job that lingers takes the next at once."""
    sets = ("server.loops=2", "channels.store.normalafter=+8", "channels.store.idle_timeout=1h", "log.level=debug")
    with running(binary, sets) as site:
        send(site, 1, "first")
        sent = time.time()
        (qid,) = queued_ids(site, 1)
        row = one(site, "entry", "queue", "explain", qid)
        same("why", row["why"], "deferred")
        until = datetime.datetime.fromisoformat(row["until"].replace("Z", "+00:00")).timestamp()
        need(sent + 4 < until < sent + 9, f"until {row['until']}")
        send(site, 1, "second")
        for row in rows(site, "queue", "explain", *queued_ids(site, 2)):  # one window for both
            need(abs(datetime.datetime.fromisoformat(row["until"].replace("Z", "+00:00")).timestamp() - until) < 0.001, row)
        need(wait_for(lambda: is_empty(site), 30), "delivery")
        need(time.time() >= until, "delivered too early")
        began = time.time()
        send(site, 1, "third")
        need(wait_for(lambda: one(site, "job", "jobs", "status")["entries"] == "3", 30), "delivery")
        need(time.time() - began < 7, "a job that lingers does not wait")
        job = one(site, "job", "jobs", "status")
        same("entries of the job", (job["channel"], job["entries"]), ("store", "3"))
        expect(site.command("stop"), EX_OK)
        need(site.wait() == 0, "exit status")


def check_past(binary):
    """after 60 is an instant in 1970: no deferral, and a warning."""
    with running(binary, ("channels.store.after=60",)) as site:
        site.logged("event=jobctl.after_past channel=store")
        send(site, 1, "past")
        need(wait_for(lambda: is_empty(site), 30), "delivery")


def check_errors(site):
    expect(site.command("channel", "stop", "nowhere"), EX_NOINPUT, 'there is no channel "nowhere"')
    expect(site.command("channel", "stop"), EX_USAGE)
    expect(site.command("channel", "start", "--all"), EX_USAGE)
    expect(site.command("queue", "explain"), EX_USAGE)
    expect(site.command("queue", "explain", "x y"), EX_USAGE, "neither the id")
    expect(site.command("queue", "explain", "1-1-99999"), EX_NOINPUT)


def main():
    binary = sys.argv[1]
    tap = Tap()
    with running(binary, ("server.loops=2",)) as site:
        tap.run("a stopped channel", check_stop, site)
        tap.run("the shape of the queue", check_shape, site)
        tap.run("a held entry is explained", check_held, site)
        tap.run("errors", check_errors, site)
    tap.run("deferral", check_deferral, binary)
    tap.run("an instant that is over", check_past, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
