#!/usr/bin/env python3
"""A channel that an operator stopped stays so: over a restart, kill -9, and a time in which it is not configured.

usage: channel_stop.py BINARY [--rounds N]
"""
import argparse
import json
import pathlib
import random
import re
import smtplib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

EX_OK, EX_NOINPUT, EX_UNAVAILABLE = 0, 66, 69


def rows(site, *words):
    return [json.loads(line) for line in expect(site.command(*words, "-o", "json"), EX_OK).stdout.splitlines()]


def channel(site, name="store"):
    (row,) = [row for row in rows(site, "channel", "list") if row["channel"] == name]
    return row


def ids(site):
    return [row["qid"] for row in rows(site, "queue", "list")]


def send(site, *names):
    with smtplib.SMTP("127.0.0.1", site.base + 25, timeout=60) as client:
        for name in names:
            client.sendmail("a@example.net", ["anna@example.org"], message(name))


def waits(site, count):
    """So many entries are there, and stay."""
    need(wait_for(lambda: len(ids(site)) == count, 30), f"queued: {ids(site)}, not {count}")
    time.sleep(0.3)
    same("queued", len(ids(site)), count)


def is_delivered(site, *names):
    """Each once."""
    with site.imap("anna") as client:
        need(wait_for(lambda: len(list_mailbox(client)[0]) >= len(names), 30), "delivery")
        need(wait_for(lambda: not ids(site), 30), "the queue")
        same("anna", sorted(row[1] for row in list_mailbox(client)[0]), sorted(names))


def lines(site, event):
    return [line for line in site.log.read_text().splitlines() if f" event={event} " in line + " "]


def again(site, hard):
    if hard:
        site.kill()
    else:
        same("exit status", site.stop(), 0)
    site.start()


def check_restart(binary):
    with running(binary, ("server.loops=2",)) as site:
        same("at first", (channel(site)["state"], channel(site)["since"]), ("started", "-"))
        expect(site.command("channel", "stop", "store"), EX_OK)
        first = channel(site)
        same("state", first["state"], "stopped")
        need(re.fullmatch(r"20\d\d-.*Z", first["since"]), first)
        site.logged("event=channel.operator")
        (line,) = lines(site, "channel.operator")
        need(re.search(r"channel=store verb=stop uid=\d+ result=done", line), line)
        send(site, "one")
        waits(site, 1)
        for number, hard in enumerate((False, True, True), 1):
            again(site, hard)
            now = channel(site)
            same("state", (now["state"], now["since"], now["ready"]), ("stopped", first["since"], str(number)))
            site.logged(" event=jobctl.channel_stopped ", count=number)
            same("warnings", len(lines(site, "jobctl.channel_stopped")), number)
            need(f"channel=store since={first['since']}" in lines(site, "jobctl.channel_stopped")[-1], "since")
            waits(site, number)
            send(site, f"more{number}")
            waits(site, number + 1)
        done = expect(site.command("channel", "stop", "store"), EX_OK)
        same("a second stop", (done.stdout, done.stderr, channel(site)["since"]), ("", "", first["since"]))
        same("nothing new in the log", len(lines(site, "channel.operator")), 1)
        expect(site.command("channel", "start", "store"), EX_OK)
        is_delivered(site, "one", "more1", "more2", "more3")
        again(site, True)
        same("state", (channel(site)["state"], channel(site)["since"]), ("started", "-"))
        same("no more warnings", len(lines(site, "jobctl.channel_stopped")), 3)
        send(site, "last")
        is_delivered(site, "one", "more1", "more2", "more3", "last")
        expect(site.command("channel", "start", "store"), EX_OK)
        expect(site.command("channel", "start", "nowhere"), EX_NOINPUT, "there is no channel")
        expect(site.command("channel", "start", "x" * 65), EX_NOINPUT, "there is no channel")
        site.stop()
        expect(site.run("store", "verify", "-c", site.config, check=False), EX_OK)
        expect(site.command("channel", "stop", "store"), EX_UNAVAILABLE, "does not run")


def check_gone(binary):
    """Taken out of the configuration, by a reload and over a restart, and put back: still stopped."""
    with running(binary, ("channels.other.driver=store", "channels.other.pool=STORE", "route.local_channel=other")) as site:
        text = site.config.read_text()
        without = re.sub(r"(?m)^  other:\n(    .*\n)+", "", text).replace("local_channel: other", "local_channel: store")
        need("other" not in without, without)
        expect(site.command("channel", "stop", "other"), EX_OK)
        send(site, "one")
        waits(site, 1)
        for hard in (None, False, True):
            site.config.write_text(without)
            expect(site.command("reload"), EX_OK)
            (why,) = [row["why"] for row in rows(site, "queue", "explain", *ids(site))]
            need(why in ("stopped", "no-channel"), why)
            if hard is not None:
                again(site, hard)
                same("channels", [row["channel"] for row in rows(site, "channel", "list")], ["store"])
            expect(site.command("channel", "start", "other"), EX_NOINPUT)
            site.config.write_text(text)
            expect(site.command("reload"), EX_OK)
            same("back", channel(site, "other")["state"], "stopped")
            waits(site, 1)
        expect(site.command("channel", "start", "other"), EX_OK)
        is_delivered(site, "one")


def check_gone_client(binary):
    """Who asked goes away, perhaps before the answer: what was begun is done, and the log says so."""
    changes = 0
    with running(binary) as site:
        (path,) = site.folder.rglob("admin.sock")
        for number in range(60):
            word, now = (("stop", "stopped"), ("start", "started"))[changes % 2]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(f"channel-{word}\tstore\n".encode())
                time.sleep(number / 20000)  # a request that the server has not read yet goes with its session
            changes += channel(site)["state"] == now
            need(wait_for(lambda: len(lines(site, "channel.operator")) == changes, 20), f"{number} {changes}: {site.tail()}")
            need(not changes or "result=done" in lines(site, "channel.operator")[-1], "result")
    need(changes, "none was read in time")
    return f"{changes} of 60 were read"


def check_kills(binary, rounds):
    """kill -9 while an operator changes his mind: what was answered last holds, or what was under way."""
    rnd = random.Random(rounds)
    changes = 0
    with running(binary, ("server.loops=1",)) as site:
        answered = "started"
        for _ in range(rounds):
            killer = threading.Timer(0.02 + rnd.random() * 0.15, site.process.kill)
            killer.start()
            while True:
                asked = {"started": "stopped", "stopped": "started"}[answered]
                if site.command("channel", {"stopped": "stop", "started": "start"}[asked], "store").returncode != 0:
                    break
                answered = asked
                changes += 1
            killer.join()
            site.wait()
            site.start()
            found = channel(site)["state"]
            need(found in (answered, asked), f"{found}: {answered} was answered, {asked} asked for")
            answered = found
        expect(site.command("channel", "start", "store"), EX_OK)
        send(site, "one")
        is_delivered(site, "one")
    return f"{changes} changes, {rounds} kills"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    tap = Tap()
    tap.run("restart and kill", check_restart, args.binary)
    tap.run("not configured for a while", check_gone, args.binary)
    tap.run("a client that goes away", check_gone_client, args.binary)
    tap.run("kill -9 in the middle", check_kills, args.binary, args.rounds)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
