#!/usr/bin/env python3
"""The directory under SIGKILL and power cuts.

directory_driver makes random changes, each of which depends on its number and the directory alone. A run that is left in peace gives
the state behind every change. Then the same changes are made by processes that are killed at random moments, and by one under
shim.c, whose file operations give the disks that a power cut may leave (powerlog.py). Every change whose call had returned must be
there; the one that was under way is there as a whole or not at all; and the directory must verify. Each process that follows goes on
where the last was killed.

usage: directory_crash.py DRIVER SHIM [--kills N] [--cuts N] [--changes N] [--seed N] [--no-flush]
--no-flush leaves the flushes out of what counts as on the disk: then the test must fail.
"""
import argparse
import bisect
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import powerlog  # noqa: E402
from shmem import Shm  # noqa: E402
from tap import Tap  # noqa: E402

FILE = "directory.mdb"


class Driver:
    def __init__(self, binary, seed):
        self.binary, self.seed = str(binary), str(seed)

    def init(self, folder):
        folder.mkdir()
        subprocess.run([self.binary, "init", folder / FILE], check=True)
        return folder / FILE

    def start(self, path, first, last, env=None, *more):
        return subprocess.Popen([self.binary, "run", path, self.seed, str(first), str(last), *more], stdout=subprocess.PIPE,
                                env={**os.environ, **(env or {})}, text=True)

    def state(self, path):
        """Of a damaged file the driver may say any octets, or never come to an end: each is a file that does not verify."""
        try:
            p = subprocess.run([self.binary, "state", path], capture_output=True, text=True, errors="replace", timeout=60)
        except subprocess.TimeoutExpired as e:
            raise RuntimeError("does not verify: no end within 60 s") from e
        if p.returncode:
            raise RuntimeError(f"does not verify: {p.stderr.strip()[:2000]}")
        return p.stdout.strip()


def finished_lines(process):
    """What it had written in whole lines: number, error, operation [, state]."""
    text = process.stdout.read()
    process.wait()
    return [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Reference:
    """States of a run in peace: state[n] is that before change n."""

    def __init__(self, driver, work, count):
        path = driver.init(work / "reference")
        self.state = [driver.state(path)]
        process = driver.start(path, 0, count, None, "state")
        lines = finished_lines(process)
        if process.returncode or len(lines) != count:
            raise RuntimeError(f"the driver stopped at {len(lines)} of {count} changes")
        self.state += [line[3] for line in lines]
        self.accepted = sum(line[1] == "MS_OK" for line in lines)
        if driver.state(path) != self.state[-1]:
            raise RuntimeError("the state after reopening is another one")

    def check(self, state, done, where):
        """done changes had returned. Gives how many are in the directory: done, or one more."""
        for n in (done + 1, done):
            if n < len(self.state) and self.state[n] == state:
                return n
        near = [n for n, s in enumerate(self.state) if s == state]
        raise RuntimeError(f"{where}: {done} changes had returned, the directory is in the state behind {near[:5] or 'none'}")


def kills(driver, work, reference, rounds, rnd):
    total = len(reference.state) - 1
    path = driver.init(work / "killed")
    at = done_rounds = wraps = 0
    while done_rounds < rounds:
        process = driver.start(path, at, total)
        time.sleep(rnd.choice((0.0, 0.01, 0.05)) + rnd.random() * 0.15)
        process.kill()
        lines = finished_lines(process)
        done = int(lines[-1][0]) + 1 if lines else at
        at = reference.check(driver.state(path), done, f"kill {done_rounds}")
        done_rounds += 1
        if at >= total:  # from the beginning again
            shutil.rmtree(path.parent)
            driver.init(path.parent)
            at = 0
            wraps += 1
    return f"{done_rounds} kills over {wraps * total + at} changes"


def unflushed(op):
    """The operation as it would be without flushes; None: it was nothing but a flush."""
    op.flags &= ~powerlog.FLAG_DSYNC
    return None if op.kind in (powerlog.SYNC_BEGIN, powerlog.SYNC_END) else op


def cuts(args, driver, work, reference, count, rnd):
    total = len(reference.state) - 1
    path = driver.init(work / "cut")
    shutil.copytree(work / "cut", work / "before")
    shm = Shm(work / "shm")
    process = driver.start(path, 0, total, {**shm.env(args.shim, work / "cut", work / "oplog"), "SHIM_FLUSH_US": "0"})
    lines = finished_lines(process)
    if process.returncode or len(lines) != total:
        raise RuntimeError(f"the driver stopped at {len(lines)} of {total} changes")
    returned_at = [int(line[2]) for line in lines]
    if not 0 < returned_at[0] < returned_at[-1]:
        raise RuntimeError("the shim has counted nothing")
    numbers = sorted(rnd.randint(1, returned_at[-1]) for _ in range(count))
    disk = powerlog.Disk(work / "before")
    ops = powerlog.read_log(work / "oplog")
    for number in numbers:
        while disk.number < number:
            op = next(ops)
            op_number = op.number
            if args.no_flush:
                op = unflushed(op)
            if op:
                disk.apply(op)
            disk.number = op_number
        shutil.rmtree(work / "image", ignore_errors=True)
        (work / "image").mkdir()
        disk.image(work / "image", rnd)
        # A change that is refused does no file operation, so the one under way is the first that returned later.
        done = bisect.bisect_right(returned_at, number)
        reference.check(driver.state(work / "image" / FILE), done, f"cut at {number}")
    return f"{count} cuts over {returned_at[-1]} file operations"


def must_fail(function, *args):
    try:
        function(*args)
    except RuntimeError as e:
        return str(e).splitlines()[0][:100]
    raise RuntimeError("the test does not see that nothing is flushed")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("driver", type=pathlib.Path)
    p.add_argument("shim", type=pathlib.Path)
    p.add_argument("--kills", type=int, default=30)
    p.add_argument("--cuts", type=int, default=60)
    p.add_argument("--changes", type=int, default=1500)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    p.add_argument("--no-flush", action="store_true")
    args = p.parse_args()
    args.driver, args.shim = args.driver.resolve(), args.shim.resolve()
    print(f"# seed {args.seed}", file=sys.stderr)
    tap = Tap()
    rnd = random.Random(args.seed)
    driver = Driver(args.driver, args.seed)
    with tempfile.TemporaryDirectory(prefix="directory-crash-") as work:
        work = pathlib.Path(work)
        reference = Reference(driver, work, args.changes)
        print(f"# {args.changes} changes, {reference.accepted} accepted, {len(set(reference.state))} states", file=sys.stderr)
        if args.no_flush:
            tap.run("without flushes the test finds lost changes", must_fail, cuts, args, driver, work, reference, args.cuts, rnd)
        else:
            tap.run("SIGKILL", kills, driver, work, reference, args.kills, rnd)
            tap.run("power cuts", cuts, args, driver, work, reference, args.cuts, rnd)
    return tap.end()


sys.exit(main())
