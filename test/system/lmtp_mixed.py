#!/usr/bin/env python3
"""LMTP with a recipient that is delivered to at once and one that goes through the queue, in one record: killed with -9 in the middle
of it, each message is in all mailboxes once or in none, and in all that was acknowledged.

usage: lmtp_mixed.py BINARY [--rounds N]
"""
import collections
import pathlib
import random
import smtplib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "oracle")]
import reader  # noqa: E402
from msite import list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

USERS = ("anna", "bert", "cora")


def send(client, test_id):
    """True: both recipients have it, by what the server says."""
    client.mail("a@example.net")
    need(client.rcpt("anna@example.org")[0] == 250 and client.rcpt("team@example.org")[0] == 250, "RCPT")
    need(client.docmd("DATA")[0] == 354, "DATA")
    client.send(message(test_id) + b".\r\n")
    first, second = client.getreply(), client.getreply()
    need(b"Delivered" in first[1] and b"Queued" in second[1], f"{first} {second}")
    return first[0] == 250 and second[0] == 250


def sender(site, name, acknowledged):
    """Until the connection breaks."""
    try:
        with site.lmtp() as client:
            client.ehlo()
            for i in range(100000):
                if send(client, f"{name}.{i}"):
                    acknowledged.add(f"{name}.{i}")
    except (OSError, smtplib.SMTPException):
        pass


def mailbox(site, user):
    client = site.imap(user)
    rows, _, _ = list_mailbox(client)
    client.logout()
    return collections.Counter(test_id for _, test_id, _ in rows)


def queue_is_empty(site):
    return site.command("queue", "list", "--fail-if-empty").returncode == 1


def check_killed(binary, rounds):
    rnd, acknowledged = random.Random(11), set()
    with running(binary, users=USERS) as site:
        done = site.command("alias", "add", "team@example.org", "bert@example.org", "cora@example.org")
        need(done.returncode == 0, f"alias add: {done.stderr}")
        for number in range(rounds):
            threads = [threading.Thread(target=sender, args=(site, f"r{number}s{i}", acknowledged)) for i in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(rnd.uniform(0.05, 0.5))
            site.kill()
            for thread in threads:
                thread.join()
            site.start()
        need(wait_for(lambda: queue_is_empty(site), 120, 0.2), "the queue does not get empty")
        anna, bert, cora = (mailbox(site, user) for user in USERS)
        need(anna == bert == cora, f"{len(anna)}, {len(bert)}, {len(cora)} messages")
        need(max(anna.values(), default=1) == 1, "a message came twice")
        need(acknowledged <= set(anna), f"lost: {sorted(acknowledged - set(anna))[:5]}")
        need(len(acknowledged) > 10 * rounds, f"only {len(acknowledged)} messages")
        need(site.stop() == 0, "stop")
        done = site.command("store", "verify")
        need(done.returncode == 0, f"store verify: {done.stdout}{done.stderr}")
        found = reader.compare(site.partition)
        need(not found, f"index and log: {found[:5]}")
        return f"{len(acknowledged)} acknowledged, {len(anna)} there"


def check_held(binary):
    """A user on hold: taken, kept, delivered when he is released; the other one has it at once."""
    with running(binary, users=USERS) as site:
        need(site.command("user", "set", "cora", "--status", "hold").returncode == 0, "user set")
        with site.lmtp() as client:
            client.ehlo()
            client.mail("a@example.net")
            need(client.rcpt("cora@example.org")[0] == 250 and client.rcpt("bert@example.org")[0] == 250, "RCPT")
            client.docmd("DATA")
            client.send(message("held") + b".\r\n")
            need(b"Queued" in client.getreply()[1] and b"Delivered" in client.getreply()[1], "answers")
        need(mailbox(site, "bert") == {"held": 1} and not queue_is_empty(site), "bert has it, the queue keeps cora's")
        need(site.command("user", "set", "cora", "--status", "active").returncode == 0, "user set")
        need(site.command("queue", "release", "--all").returncode == 0, "queue release")
        need(wait_for(lambda: mailbox(site, "cora") == {"held": 1}, 20, 0.2), "cora has nothing")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    tap = Tap()
    tap.run("killed in the middle of mixed records", check_killed, binary, rounds)
    tap.run("held", check_held, binary)
    return tap.end()


sys.exit(main())
