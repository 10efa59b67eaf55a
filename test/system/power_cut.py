#!/usr/bin/env python3
"""Power cuts under load.

The server runs under shim.c, which records every change of a file, while clients deliver (LMTP), submit (SMTP), append, flag and
expunge (IMAP) and note each answer with the number of the last file operation at that moment. Then, for many numbers of cut, a disk
is made as it may look after a power cut there (powerlog.py), the server is started on it, and everything that had been answered by
then must be there, once; nothing that was refused may be there; no UID may have been used twice. Some of these starts are
themselves recorded and cut during recovery, twice in a row.

usage: power_cut.py BINARY SHIM [--cuts N] [--runs N] [--seconds S] [--seed N] [--no-flush]
--no-flush takes the flush of the log out: then the test must fail.
"""
import argparse
import mmap
import os
import pathlib
import random
import shutil
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import powerlog
from site import Site, list_mailbox, message  # noqa: E402  (the module beside this file)

USERS = ("u1", "u2", "u3", "u4")
SETS = ("store.partitions.primary.segment_size=4MiB", "store.partitions.primary.map_size=256MiB",
        "store.partitions.primary.ballast=1MiB", "store.partitions.primary.min_free=1MiB",
        "store.partitions.primary.checkpoint_size=2MiB", "server.loops=2", "store.expunge_keep=2s",
        "store.purge_interval=500ms")


class Shm:
    def __init__(self, path):
        path.write_bytes(bytes(4096))
        self.path = path
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def number(self):
        return struct.unpack_from("<Q", self.map, 0)[0]


class Load:
    """What clients asked and heard: facts with the number of the operation after which they were known."""

    def __init__(self, site, shm, seconds, rnd):
        self.site, self.shm, self.rnd = site, shm, rnd
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.asked = {}      # test id -> (user, mailbox) ever sent
        self.answered = []   # (number, kind, user, test id, uid or None)
        self.refused = set()
        self.serial = 0
        self.problems = []

    def next_id(self, user, kind):
        with self.lock:
            self.serial += 1
            test_id = f"{kind}-{user}-{self.serial}"
            self.asked[test_id] = user
            return test_id

    def note(self, kind, user, test_id, uid=None, extra=None):
        number = self.shm.number()
        with self.lock:
            self.answered.append((number, kind, user, test_id, uid, extra))

    def body(self):
        size = self.rnd.choice((10, 400, 4000, 40000, 300000) if self.rnd.random() < 0.3 else (10, 400, 4000))
        line = "x" * 70 + "\r\n"
        return (line * (size // 72 + 1))[:size] + "\r\n"

    def run_lmtp(self):
        client = self.site.lmtp()
        while time.monotonic() < self.until:
            user = self.rnd.choice(USERS)
            test_id = self.next_id(user, "lmtp")
            bad = self.rnd.random() < 0.05
            try:
                if bad:  # bare LF: refused, must never appear
                    client.ehlo_or_helo_if_needed()
                    client.docmd("MAIL", "FROM:<load@example.net>")
                    client.docmd("RCPT", f"TO:<{user}@example.org>")
                    client.docmd("DATA")
                    client.send(message(test_id).replace(b"hello\r\n", b"hel\nlo\r\n") + b".\r\n")
                    code, _ = client.getreply()
                    with self.lock:
                        self.refused.add(test_id)
                    if code < 400:
                        self.problems.append(f"{test_id}: bare LF was accepted with {code}")
                    continue
                client.sendmail("load@example.net", [f"{user}@example.org"], message(test_id, body=self.body()))
            except OSError:
                return
            except Exception as e:  # the server was killed, or said no
                if "closed" in str(e).lower() or "reset" in str(e).lower():
                    return
                self.problems.append(f"lmtp: {e!r}")
                return
            self.note("deliver", user, test_id)

    def run_smtp(self):
        client = self.site.submission("u1")
        while time.monotonic() < self.until:
            user = self.rnd.choice(USERS)
            test_id = self.next_id(user, "smtp")
            try:
                client.sendmail("u1@example.org", [f"{user}@example.org"], message(test_id, "u1@example.org", self.body()))
            except Exception:
                return
            self.note("deliver", user, test_id)

    def run_imap(self, user):
        client = self.site.imap(user)
        client.select("INBOX")
        mine = []
        while time.monotonic() < self.until:
            try:
                what = self.rnd.random()
                if what < 0.5 or not mine:
                    test_id = self.next_id(user, "append")
                    status, data = client.append("INBOX", "(\\Seen)", None, message(test_id, body=self.body()))
                    if status == "OK":
                        uid = int(data[0].decode().split("APPENDUID ")[1].split("]")[0].split()[1])
                        mine.append((uid, test_id))
                        self.note("append", user, test_id, uid)
                elif what < 0.8:
                    uid, test_id = self.rnd.choice(mine)
                    flag = self.rnd.choice(("\\Flagged", "\\Answered", "kw1", "kw2"))
                    self.note("flag-asked", user, test_id, uid, flag)
                    status, _ = client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({flag})")
                    if status == "OK":
                        self.note("flag", user, test_id, uid, flag)
                else:
                    uid, test_id = mine.pop(self.rnd.randrange(len(mine)))
                    self.note("expunge-asked", user, test_id, uid)
                    client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)")
                    status, _ = client.uid("EXPUNGE", str(uid))
                    if status == "OK":
                        self.note("expunge", user, test_id, uid)
            except Exception:
                return

    def run(self):
        jobs = [self.run_lmtp, self.run_lmtp, self.run_smtp] + [lambda u=u: self.run_imap(u) for u in USERS[:2]]
        threads = [threading.Thread(target=job) for job in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


class Expect:
    """What must and may hold after a cut at `number`."""

    def __init__(self, load, number):
        self.must = {}     # test id -> user
        self.gone = set()  # expunged for sure
        self.maybe_gone = set()
        self.flags = {}
        self.uids = {}     # (user, uid) -> test id
        self.load = load
        for at, kind, user, test_id, uid, extra in load.answered:
            if kind == "expunge-asked":
                # Asked at `at`: it may have been done by any operation after that.
                if at <= number:
                    self.maybe_gone.add(test_id)
                continue
            if at > number:
                continue
            if kind in ("deliver", "append"):
                self.must[test_id] = user
            if kind == "append":
                self.uids[user, uid] = test_id
                self.flags.setdefault(test_id, set()).add("\\Seen")
            if kind == "flag":
                self.flags.setdefault(test_id, set()).add(extra)
            if kind == "expunge":
                self.gone.add(test_id)

    def check(self, found):
        """found: user -> (rows, uidvalidity, uidnext). A list of what is wrong."""
        wrong = []
        seen = {}
        for user, (rows, _, uidnext) in found.items():
            for uid, test_id, flags in rows:
                if test_id in seen:
                    wrong.append(f"{test_id} is there twice: {seen[test_id]} and {(user, uid)}")
                seen[test_id] = (user, uid)
                if self.load.asked.get(test_id) != user:
                    wrong.append(f"{test_id} is in the mailbox of {user}: nobody sent that")
                if test_id in self.load.refused:
                    wrong.append(f"{test_id} was refused and is there")
                if test_id in self.gone:
                    wrong.append(f"{test_id} was expunged and is there")
                if self.uids.get((user, uid), test_id) != test_id:
                    wrong.append(f"UID {uid} of {user} was {self.uids[user, uid]} and is {test_id}")
                missing = self.flags.get(test_id, set()) - {f if f[0] == "\\" else f for f in flags}
                if missing:
                    wrong.append(f"{test_id} lost its flags {missing}")
            for (owner, uid), test_id in self.uids.items():
                if owner == user and uid >= uidnext:
                    wrong.append(f"UIDNEXT of {user} is {uidnext}, but {test_id} had UID {uid}")
        for test_id, user in self.must.items():
            if test_id not in seen and test_id not in self.maybe_gone:
                wrong.append(f"{test_id} was acknowledged and is missing in the mailbox of {user}")
        return wrong


def read_all(site, expect, seconds=20):
    """Mailboxes; waits until what was submitted has come out of the queue."""
    end = time.monotonic() + seconds
    while True:
        found = {}
        for user in USERS:
            client = site.imap(user)
            status, _ = client.select("INBOX", readonly=True)
            found[user] = list_mailbox(client) if status == "OK" else ([], 0, 0)
            client.logout()
        have = {test_id for rows, _, _ in found.values() for _, test_id, _ in rows}
        late = [t for t in expect.must if t.startswith("smtp-") and t not in have and t not in expect.maybe_gone]
        if not late or time.monotonic() > end:
            return found
        time.sleep(0.05)


def probe_uid(site, found):
    """A message delivered now gets a UID above all that were ever seen."""
    wrong = []
    for user in USERS[:1]:
        with site.lmtp() as client:
            client.sendmail("load@example.net", [f"{user}@example.org"], message(f"probe-{user}"))
        client = site.imap(user)
        rows, _, _ = list_mailbox(client)
        client.logout()
        new = [uid for uid, test_id, _ in rows if test_id == f"probe-{user}"]
        if len(new) != 1 or new[0] < found[user][2]:
            wrong.append(f"probe of {user} got UID {new}, UIDNEXT was {found[user][2]}")
    return wrong


class Run:
    """One recorded load and its cuts."""

    def __init__(self, args, work, seed):
        self.args, self.work, self.rnd = args, work, random.Random(seed)
        self.root = work / "site"
        sets = SETS + (("store.partitions.primary.flush=no",) if args.no_flush else ())
        self.site = Site(self.root, args.binary, USERS, sets).init()
        self.shm = Shm(work / "shm")
        self.oplog = work / "oplog"

    def env(self, root, oplog):
        return {"LD_PRELOAD": str(self.args.shim), "SHIM_ROOT": str(root), "SHIM_LOG": str(oplog), "SHIM_SHM": str(self.shm.path)}

    def record(self):
        shutil.copytree(self.root, self.work / "before")
        self.site.start(self.env(self.root, self.oplog))
        self.first = self.shm.number()
        self.load = Load(self.site, self.shm, self.args.seconds, self.rnd)
        self.load.run()
        self.site.kill()
        self.last = self.shm.number()
        shutil.rmtree(self.root)

    def cuts(self, count):
        """(number, image folder) for random numbers, ascending: the log is applied once."""
        numbers = sorted(self.rnd.randint(self.first, self.last) for _ in range(count))
        disk = powerlog.Disk(self.work / "before")
        ops = powerlog.read_log(self.oplog)
        for number in numbers:
            while disk.number < number:
                op = next(ops, None)
                if op is None:
                    break
                disk.apply(op)
            if self.root.exists():
                shutil.rmtree(self.root)
            self.root.mkdir()
            disk.image(self.root, self.rnd)
            yield number

    def cut_recovery(self):
        """Starts the server on the image, recorded, and cuts it somewhere in its recovery. The image after that replaces it."""
        oplog = self.work / "oplog-recovery"
        oplog.unlink(missing_ok=True)
        disk = powerlog.Disk(self.root)
        begun = self.shm.number()
        self.site.start(self.env(self.root, oplog))
        self.site.kill()
        ended = self.shm.number()
        cut = self.rnd.randint(begun, ended)
        for op in powerlog.read_log(oplog):
            if op.number > cut:
                break
            disk.apply(op)
        shutil.rmtree(self.root)
        self.root.mkdir()
        disk.image(self.root, self.rnd)

    def check(self, number):
        expect = Expect(self.load, number)
        self.site.start()
        try:
            found = read_all(self.site, expect, 5 if self.args.no_flush else 20)
            wrong = expect.check(found)
            if not wrong:
                wrong = probe_uid(self.site, found)
        finally:
            self.site.kill()
        return wrong

    def run(self, count):
        self.record()
        failures = []
        for number in self.cuts(count):
            recoveries = self.rnd.choice((0, 0, 1, 2))
            try:
                for _ in range(recoveries):
                    self.cut_recovery()
                wrong = self.check(number)
            except RuntimeError as e:
                wrong = [str(e)]
            if wrong:
                failures.append((number, recoveries, wrong))
                print(f"# cut at {number} of {self.last}, {recoveries} cuts in recovery:", file=sys.stderr)
                for line in wrong[:5]:
                    print("#   " + line, file=sys.stderr)
                if self.args.keep:
                    shutil.copytree(self.root, f"{self.args.keep}/cut-{number}", dirs_exist_ok=True)
                if self.args.no_flush:
                    break
        return failures, self.load.problems


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("shim", type=pathlib.Path)
    p.add_argument("--cuts", type=int, default=30)
    p.add_argument("--runs", type=int, default=2)
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    p.add_argument("--no-flush", action="store_true")
    p.add_argument("--keep", help="folder for images that failed")
    args = p.parse_args()
    args.binary, args.shim = args.binary.resolve(), args.shim.resolve()
    print(f"# seed {args.seed}, {args.runs} runs of {args.seconds} s, {args.cuts} cuts each", file=sys.stderr)
    failed = cuts = answers = 0
    for run in range(args.runs):
        with tempfile.TemporaryDirectory(prefix="power-cut-") as work:
            r = Run(args, pathlib.Path(work), args.seed + run)
            try:
                failures, problems = r.run(args.cuts)
            finally:
                r.site.kill()
            for line in problems[:5]:
                print("# " + line, file=sys.stderr)
            failed += len(failures) + len(problems)
            cuts += args.cuts
            answers += len(r.load.answered)
            print(f"# run {run + 1}: {len(r.load.answered)} answers, {r.last - r.first} file operations, "
                  f"{len(failures)} bad cuts", file=sys.stderr)
    print("1..1")
    if args.no_flush:
        ok = failed > 0
        print(("ok" if ok else "not ok") + " 1 - without the flush the test finds lost mail")
        return 0 if ok else 1
    print(("not ok" if failed else "ok") + f" 1 - {cuts} power cuts, {answers} answers: nothing lost, invented or doubled")
    return 1 if failed else 0


sys.exit(main())
