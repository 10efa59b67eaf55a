#!/usr/bin/env python3
"""Entries of the store channel survive kill -9 with no second delivery.

usage: jobs_kill.py MAILSERVERD_SCRIPTED QUEUE_FILL [--messages N] [--kills N] [--seed N]

Messages come in over several connections while their channel is stopped, some for two recipients, of mixed classes; kill -9; the channel
is started, and the server is killed again and again in the middle of the deliveries. At the end each mailbox has each of its messages once.
"""
import argparse
import collections
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import list_mailbox, wait_for  # noqa: E402
from scripted import bulk, scripted  # noqa: E402
from tap import Tap, need, same  # noqa: E402

USERS = [f"u{n}" for n in range(8)]
CLASSES = ("", "Priority: urgent\r\n", "Priority: non-urgent\r\n")
SETS = ("channels.store.threaddepth=1",)


def recipients(number):
    """Every third message has two."""
    first = USERS[number % len(USERS)]
    return [first] if number % 3 else [first, USERS[(number + 1 + number // 3 % (len(USERS) - 1)) % len(USERS)]]


def kill_in_between(site, rnd, kills):
    """Kills while entries go out; how many recipients were left each time."""
    left = []
    for _ in range(kills):
        begun = site.queued()
        if begun < 3000:  # the next one would not be in the middle of anything
            break
        aim = begun - rnd.randrange(1, max(2, begun // 4))
        wait_for(lambda aim=aim: site.queued() <= aim, 60, 0.01)
        site.kill()
        site.start()
        left.append(site.queued())
    return left


def mailbox(site, user):
    with site.imap(user, timeout=120) as client:
        return collections.Counter(row[1] for row in list_mailbox(client)[0])


def check(args):
    rnd = random.Random(args.seed)
    with scripted(args.binary, args.filler, sets=SETS, users=USERS) as site:
        need(site.command("channel", "stop", "store").returncode == 0, "channel stop")
        want = {user: collections.Counter() for user in USERS}
        for number in range(args.messages):
            for user in recipients(number):
                want[user][f"m{number}"] += 1
        begun = time.monotonic()
        per_class = -(-args.messages // len(CLASSES))
        for at, extra in zip(range(0, args.messages, per_class), CLASSES):
            bulk(site, "m", min(per_class, args.messages - at), lambda n: [f"{user}@example.org" for user in recipients(n)],
                 extra=extra, first=at)
        submitted = time.monotonic() - begun
        total = sum(sum(counts.values()) for counts in want.values())
        site.kill()
        site.start()
        same("queued behind kill -9", site.queued(), total)
        need(site.command("channel", "start", "store").returncode == 0, "channel start")
        begun = time.monotonic()
        left = kill_in_between(site, rnd, args.kills)
        need(wait_for(lambda: site.queued() == 0, 300, 0.2), f"{site.queued()} stay: {site.tail(5)}")
        delivered = time.monotonic() - begun
        need(len(left) >= 3 and all(0 < n < total for n in left), f"not in the middle of the deliveries: {left}")
        for user in USERS:
            got = mailbox(site, user)
            need(got == want[user], f"{user}: twice {dict((got - want[user]).most_common(5))}, "
                                    f"lost {list(want[user] - got)[:5]}, {len(got)} of {len(want[user])}")
        site.stop()
        done = site.command("store", "verify")
        need(done.returncode == 0, f"store verify: {done.stdout}{done.stderr}")
        return (f"seed {args.seed}: {args.messages} messages, {total} recipients, submitted in {submitted:.1f} s, delivered over "
                f"{len(left)} kills in {delivered:.1f} s; left at each: {left}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("filler", type=pathlib.Path)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000000))
    args = parser.parse_args()
    tap = Tap()
    tap.run("kill -9 in the middle of deliveries", check, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
