#!/usr/bin/env python3
"""Urgent mail overtakes a large queue: how many bulk messages came before each urgent one is counted in the driver's log, and by the UIDs
in a mailbox.

usage: jobs_overtake.py MAILSERVERD_SCRIPTED QUEUE_FILL [--bulk N] [--urgent N]

A message that was just accepted is seen by the scheduler a moment later, while threads that end take bulk messages. So a message may
have to wait for those that are in work, those handed over, and those of this moment; the bound of the median is without the moment.
"""
import argparse
import pathlib
import re
import smtplib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, wait_for  # noqa: E402
from scripted import bulk, now_us, scripted  # noqa: E402
from tap import Tap, need, same  # noqa: E402

def send_urgent(site, number):
    """The moment at which it was accepted."""
    with smtplib.SMTP("127.0.0.1", site.base + 25, timeout=60) as client:
        client.sendmail("a@example.net", ["urgent@example.org"], message(f"urgent{number}", extra="Priority: urgent\r\n"))
        return now_us()


def overtaken(order, accepted):
    """order: (us, is urgent) as it was done. For the n-th urgent one: how many others were done behind accepted[n] and before it."""
    counts, urgent = [], 0
    for at, (_, is_urgent) in enumerate(order):
        if is_urgent:
            counts.append(sum(1 for us, other in order[:at] if us > accepted[urgent] and not other))
            urgent += 1
    return counts


def judge(counts, urgent, bulk_count, done, threads):
    """The moment between accepted and seen is the machine's: half of them decide, and none may wait for a part of the queue."""
    same("urgent messages", len(counts), urgent)
    need(done < bulk_count, f"all {bulk_count} were gone before the last urgent one")
    need(statistics.median(counts) <= 4 * threads, f"bulk messages before each: {counts}, with {threads} threads")
    need(max(counts) <= bulk_count / 10, f"bulk messages before each: {counts}")
    return f"before each urgent one {counts} of {bulk_count}; {threads} in work"


def check_scripted(args):
    """A channel whose attempts take 200 ms, 40 at a time."""
    sets = ("route.local_channel=out", "channels.out.maxjobs=4", "channels.out.threaddepth=1")
    with scripted(args.binary, args.filler, start=False, script="* 200 sent\n", sets=sets, users=("anna", "urgent")) as site:
        site.fill(args.bulk, channel="out", class_="nonurgent")
        site.start()
        accepted = []
        for number in range(args.urgent):
            need(wait_for(lambda done=100 * (number + 1): site.count(" settled ") >= done, 60), "no progress")
            accepted.append(send_urgent(site, number))
            need(wait_for(lambda n=number: site.count(" urgent@example.org sent") > n, 60), f"urgent {number} is not done")
        site.kill()
        urgent = {event.qid for event in site.events("result") if event.rest[0] == "urgent@example.org"}
        order = [(event.us, event.qid in urgent) for event in site.events("begin")]
        return judge(overtaken(order, accepted), args.urgent, args.bulk, len(order), 40)


def uid_of(client, test_id):
    client.select("INBOX", readonly=True)
    found = client.uid("SEARCH", "HEADER", "X-Test-Id", test_id)[1][0].split()
    return int(found[0]) if found else None


def uid_next(client):
    return int(re.search(rb"UIDNEXT (\d+)", client.status("INBOX", "(UIDNEXT)")[1][0])[1])


def check_store(args):
    """The same for a mailbox, everything over SMTP; UIDs tell the order. The jobs have 20 entries in work."""
    with scripted(args.binary, args.filler, sets=("channels.store.threaddepth=1",), users=("urgent",)) as site:
        need(site.command("channel", "stop", "store").returncode == 0, "channel stop")
        bulk(site, "bulk", args.bulk, lambda n: ["urgent@example.org"], extra="Priority: non-urgent\r\n")
        need(wait_for(lambda: site.queued() == args.bulk, 60, 0.2), f"queued: {site.queued()}")
        with site.imap("urgent") as client:
            need(site.command("channel", "start", "store").returncode == 0, "channel start")
            counts, uid = [], 1
            for number in range(args.urgent):
                need(wait_for(lambda least=uid + 1000: uid_next(client) > least, 60), "no progress")
                send_urgent(site, number)
                accepted = uid_next(client)
                uid = wait_for(lambda n=number: uid_of(client, f"urgent{n}"), 60)
                need(uid, f"urgent{number} is not in the mailbox")
                counts.append(max(0, uid - accepted))
            done = uid_next(client)
        site.kill()
        return judge(counts, args.urgent, args.bulk, done, 20)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("filler", type=pathlib.Path)
    parser.add_argument("--bulk", type=int, default=50000)
    parser.add_argument("--urgent", type=int, default=7)
    args = parser.parse_args()
    tap = Tap()
    tap.run("scripted channel: urgent before bulk", check_scripted, args)
    tap.run("store channel: urgent before bulk", check_store, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
