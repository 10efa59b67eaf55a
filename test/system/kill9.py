#!/usr/bin/env python3
"""Load and kill -9, again and again: everything acknowledged is there exactly once. And: how soon the server is ready when 32 MiB of
log are not yet in the index.

usage: kill9.py BINARY [--rounds N] [--seed N]
"""
import argparse
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from loadgen import Expect, Load, USERS, probe_uid, read_all  # noqa: E402
from msite import Site, message  # noqa: E402
from tap import Tap  # noqa: E402

ROUNDS_PER_SITE = 20
READY_SECONDS_MAX = 1.0
LOG_BYTES = 32 << 20


class Counter:
    """Stands for the number of the last file operation: here only the order counts."""

    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()

    def number(self):
        with self.lock:
            self.value += 1
            return self.value


def rounds_on_one_site(binary, work, count, rnd):
    site = Site(work / "site", binary, USERS, ("server.loops=2",)).init()
    counter = Counter()
    load = Load(site, counter, rnd)
    try:
        for number in range(count):
            site.start()
            killer = threading.Timer(0.15 + rnd.random() * 0.4, site.process.kill)
            killer.start()
            load.run(1.0)
            killer.join()
            site.wait()
            site.start()
            expect = Expect(load, counter.number())
            found = read_all(site, expect)
            wrong = expect.check(found) + load.problems
            if not wrong:
                wrong = probe_uid(site, found, load)
            if wrong:
                raise RuntimeError(f"round {number}: " + "; ".join(wrong[:5]))
            site.kill()
        return len(load.answered)
    finally:
        site.kill()


def recovery_time(binary, work):
    """A stopped server's index is put back behind a log that has grown by 32 MiB since."""
    site = Site(work / "site", binary, USERS).init().start()
    try:
        with site.lmtp() as client:
            client.sendmail("a@example.net", ["u1@example.org"], message("before"))
        site.stop()
        index = site.folder / "store/primary/index.mdb"
        shutil.copy(index, work / "old-index")
        site.start()
        body = ("y" * 70 + "\r\n") * 55  # 4 KB messages
        sent = 0

        def deliver():
            nonlocal sent
            with site.lmtp() as client:
                while sent < LOG_BYTES:
                    client.sendmail("a@example.net", ["u1@example.org"], message(f"m{sent}", body=body))
                    sent += len(body) + 600

        threads = [threading.Thread(target=deliver) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        client = site.imap("u1")
        before = client.select("INBOX")[1][0]
        site.kill()
        shutil.copy(work / "old-index", index)
        site.start(wait=False)
        seconds = site.wait_ready()
        client = site.imap("u1")
        after = client.select("INBOX")[1][0]
        if before != after:
            raise RuntimeError(f"{before} messages before, {after} after")
        if seconds > READY_SECONDS_MAX:
            raise RuntimeError(f"ready after {seconds:.2f} s")
        return f"ready after {seconds:.2f} s with {sent >> 20} MiB of log to apply"
    finally:
        site.kill()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = p.parse_args()
    rnd = random.Random(args.seed)
    print(f"# seed {args.seed}")
    tap = Tap()
    left = args.rounds
    while left > 0:
        count = min(left, ROUNDS_PER_SITE)
        left -= count
        with tempfile.TemporaryDirectory(prefix="kill9-") as work:
            tap.run(f"{count} rounds of load and kill -9",
                    lambda: f"{rounds_on_one_site(args.binary.resolve(), pathlib.Path(work), count, rnd)} answers")
    with tempfile.TemporaryDirectory(prefix="kill9-") as work:
        tap.run("ready under a second with 32 MiB of unapplied log", recovery_time, args.binary.resolve(), pathlib.Path(work))
    return tap.end()


sys.exit(main())
