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
import os
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import powerlog  # noqa: E402
from loadgen import Expect, Load, USERS, probe_uid, read_all  # noqa: E402
from msite import Site  # noqa: E402  (the module beside this file)
from shmem import Shm  # noqa: E402

SETS = ("store.partitions.primary.segment_size=4MiB", "store.partitions.primary.map_size=256MiB",
        "store.partitions.primary.ballast=1MiB", "store.partitions.primary.min_free=1MiB",
        "store.partitions.primary.checkpoint_size=2MiB", "server.loops=2", "store.expunge_keep=2s",
        "store.purge_interval=500ms")


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
        return self.shm.env(self.args.shim, root, oplog)

    def record(self):
        shutil.copytree(self.root, self.work / "before")
        self.site.start(self.env(self.root, self.oplog))
        self.first = self.shm.number()
        self.load = Load(self.site, self.shm, self.rnd)
        self.load.run(self.args.seconds)
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
                wrong = probe_uid(self.site, found, self.load)
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
