#!/usr/bin/env python3
"""Short writes, EIO and ENOSPC at the n-th file operation, in the log, the index and beside them.

The server runs under shim.c without recording. When it is under load a fault is armed and the load goes on. The server must not
crash; whoever is answered is answered yes, with a temporary refusal, or by a closed connection. Then kill -9, a start without
fault: everything acknowledged is there once, nothing refused is there.

usage: faults.py BINARY SHIM [--spread N] [--seed N]      N values of n for each kind of fault
"""
import argparse
import errno
import imaplib
import os
import pathlib
import random
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from faultload import FaultLoad, transact  # noqa: E402
from loadgen import Expect, USERS, probe_uid, read_all  # noqa: E402
from msite import Site, message, wait_for  # noqa: E402
import shmem  # noqa: E402
from tap import Tap  # noqa: E402

PARTITION = "store.partitions.primary."
SETS = (PARTITION + "segment_size=4MiB", PARTITION + "map_size=256MiB", PARTITION + "ballast=1MiB",
        PARTITION + "min_free=1MiB", PARTITION + "checkpoint_size=1MiB", "server.loops=2",
        'channels.store.backoff=["1s"]')
GOOD_SECONDS, FAULT_SECONDS, RECOVER_SECONDS = 0.4, 1.0, 30
AT = (1, 2, 3, 5, 9, 17, 40, 90)

# name, kind, errno, part of the path, how often, what must follow
#   refuses: once the log has failed nothing new is taken, also when the disk works again, until a restart
#   returns: when the fault is over the server serves again by itself
#   unseen:  no client notices anything
CASES = (
    ("log flush EIO", shmem.SYNC, errno.EIO, "journal/", shmem.FOR_EVER, "refuses"),
    ("log flush EIO once", shmem.SYNC, errno.EIO, "journal/", 1, "may refuse"),
    ("log write EIO", shmem.WRITE, errno.EIO, "journal/", shmem.FOR_EVER, "refuses"),
    ("log write ENOSPC", shmem.WRITE, errno.ENOSPC, "journal/", shmem.FOR_EVER, "refuses"),
    ("log short writes", shmem.SHORT, 0, "journal/", shmem.FOR_EVER, "unseen"),
    ("index write ENOSPC", shmem.WRITE, errno.ENOSPC, "index.mdb", 5, "returns"),
    ("index write EIO", shmem.WRITE, errno.EIO, "index.mdb", 5, "returns"),
    ("index short writes", shmem.SHORT, 0, "index.mdb", 5, "returns"),
    ("index flush EIO", shmem.SYNC, errno.EIO, "index.mdb", 3, "returns"),
    ("checkpoint ENOSPC", shmem.WRITE, errno.ENOSPC, "checkpoints/", shmem.FOR_EVER, "unseen"),
    ("checkpoint flush EIO", shmem.SYNC, errno.EIO, "checkpoints/", shmem.FOR_EVER, "unseen"),
    ("segments cannot be made", shmem.OPEN, errno.ENOSPC, "journal/", 3, "returns"),
    ("segments cannot be allocated", shmem.TRUNCATE, errno.ENOSPC, "journal/", 3, "returns"),
    ("no ballast", shmem.TRUNCATE, errno.ENOSPC, "ballast", shmem.FOR_EVER, "unseen"),
)


class Counter:
    """Numbers for the order of answers."""

    def __init__(self):
        self.value, self.lock = 0, threading.Lock()

    def number(self):
        with self.lock:
            self.value += 1
            return self.value


class Round:
    """One site, one fault."""

    def __init__(self, args, work, rnd):
        self.site = Site(work / "site", args.binary, USERS, SETS).init()
        self.shm = shmem.Shm(work / "shm")
        self.env = self.shm.env(args.shim, self.site.folder)
        self.counter = Counter()
        self.load = FaultLoad(self.site, self.counter, rnd)

    def alive(self):
        status = self.site.process.poll()
        if status is not None:
            raise RuntimeError(f"the server ended with {status}: {self.site.tail()}")

    def try_deliver(self):
        """Code of one delivery; -1 when the connection closed."""
        test_id = self.load.next_id("u1", "lmtp")
        try:
            code, text = transact(self.site.lmtp(20), "load@example.net", "u1@example.org", message(test_id))
        except OSError:
            return -1
        if code == 250:
            self.load.note("deliver", "u1", test_id)
        elif code != -1:
            self.load.refuse(test_id, code, text)
        return code

    def check_refuses(self):
        """The log has failed: that is final, although the disk works again."""
        for _ in range(3):
            code = self.try_deliver()
            if code != -1 and not 400 <= code < 500:
                raise RuntimeError(f"a delivery was answered {code} after the log had failed")
        try:
            client = self.site.imap("u1")
            status, _ = client.append("INBOX", None, None, message(self.load.next_id("u1", "append")))
        except OSError:
            status = "BYE"
        except imaplib.IMAP4.error as e:  # also: no login any more
            status = "NO" if "UNAVAILABLE" in str(e) or "bye" in str(e).lower() else str(e)
        if status not in ("NO", "BYE"):
            raise RuntimeError(f"APPEND was answered {status} after the log had failed")

    def check_returns(self):
        if not wait_for(lambda: self.try_deliver() == 250, RECOVER_SECONDS, 0.1):
            raise RuntimeError(f"no service {RECOVER_SECONDS} s after the fault: {self.site.tail()}")

    def check_durable(self):
        """After kill -9 and a start without fault."""
        self.site.kill()
        self.site.start()
        expect = Expect(self.load, self.counter.number())
        found = read_all(self.site, expect)
        wrong = expect.check(found) + self.load.problems
        if not wrong:
            wrong = probe_uid(self.site, found, self.load)
        if wrong:
            raise RuntimeError("; ".join(wrong[:5]))

    def run(self, kind, errno_value, match, at, times, follows):
        if match == "ballast":  # that is made at the start
            self.shm.arm(kind, errno_value, match, 1, times)
        self.site.start(self.env)
        try:
            self.load.run(GOOD_SECONDS)
            before = len(self.load.answered)
            if not before:
                raise RuntimeError("no load: " + "; ".join(self.load.problems[:3]))
            refused = len(self.load.refused)
            if match != "ballast":
                self.shm.arm(kind, errno_value, match, at, times)
            self.load.run(FAULT_SECONDS)
            hits = self.shm.hits()
            self.shm.disarm()
            self.alive()
            if follows == "refuses" and hits:
                self.check_refuses()
            elif follows == "returns" or follows == "unseen":
                self.check_returns()
            if follows == "unseen" and len(self.load.refused) > refused:
                raise RuntimeError(f"{len(self.load.refused) - refused} refusals")
            self.alive()
            after = len(self.load.answered) - before
            self.check_durable()
            return hits, f"{hits} hits, {before} answers before, {after} after"
        finally:
            self.site.kill()


def values(args, rnd, case):
    """Of n: up to what the load reaches in its second."""
    _, kind, _, match, _, _ = case
    if match == "checkpoints/" or kind in (shmem.OPEN, shmem.TRUNCATE):
        return [1 + i % 4 for i in range(args.spread)]
    return (AT + tuple(rnd.randint(1, 200) for _ in range(args.spread)))[:args.spread]


def one_case(args, rnd, case):
    """All values of n; at least one must have been reached by the load."""
    name, kind, errno_value, match, times, follows = case
    reached, last = 0, ""
    for at in values(args, rnd, case):
        with tempfile.TemporaryDirectory(prefix="faults-") as work:
            try:
                hits, last = Round(args, pathlib.Path(work), rnd).run(kind, errno_value, match, at, times, follows)
            except Exception as e:
                raise RuntimeError(f"{name} at operation {at}: {e}") from e
            reached += hits > 0
    if not reached:
        raise RuntimeError(f"{name}: no operation of this kind happened")
    return f"{reached} of {args.spread} reached; {last}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("shim", type=pathlib.Path)
    p.add_argument("--spread", type=int, default=3)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    p.add_argument("--only", help="cases whose name contains this")
    args = p.parse_args()
    args.binary, args.shim = args.binary.resolve(), args.shim.resolve()
    print(f"# seed {args.seed}")
    rnd = random.Random(args.seed)
    tap = Tap()
    for case in CASES:
        if not args.only or args.only in case[0]:
            tap.run(case[0], one_case, args, rnd, case)
    return tap.end()


sys.exit(main())
