#!/usr/bin/env python3
"""Instruction counts of hot single-threaded work under callgrind, against test/perf/baseline.json. TAP output.

usage: guard.py [--update] [--show] DRIVER BASELINE MESSAGE COMPILER

A count more than 5 % above the baseline fails; one more than 5 % below passes and asks for an update. The counts depend
on the compiler and on what the CPU offers the C library, so a baseline belongs to both; without one the test is skipped.
--update writes the counts of this machine into the baseline (say in the commit why they changed); --show lists the
functions that take most.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 0.05
CASES = {  # name -> (arguments of the driver, units of work in the measured region, measured function)
    "encode deliver, 4 KB": (["encode"], 64, "perf_measured_encode"),
    "apply 64 delivers": (["apply"], 8, "perf_measured_apply"),
    "parse 4 KB": (["parse", "", "16"], 16, "perf_measured_parse"),
    "parse 300 KB": (["parse", "MESSAGE", "1"], 1, "perf_measured_parse"),
}


def cpu_level():
    flags = set(re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)[1].split())
    return "avx2" if "avx2" in flags else "sse2"


def count(driver, message, arguments, function, show):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        # Nothing of the caller's environment (the test runner makes malloc fill its blocks). The C library picks its
        # string functions by the CPU: put aside what differs between machines of one level.
        env = {"PATH": os.environ["PATH"], "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-ERMS,-FSRM"}
        arguments = [message if a == "MESSAGE" else a for a in arguments]
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                               f"--toggle-collect={function}*", driver] + arguments,
                              env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"{driver} {' '.join(arguments)}: exit status {done.returncode}\n{done.stdout.decode()}")
        if show:
            print(subprocess.run(["callgrind_annotate", "--threshold=80", str(out)], stdout=subprocess.PIPE,
                                 text=True).stdout)
        found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
        instructions = int(found[1]) if found else 0
        if instructions == 0:
            sys.exit(f"{function}: nothing was counted")
        return instructions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--show", action="store_true")
    for name in ("driver", "baseline", "message", "compiler"):
        parser.add_argument(name)
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        print("1..0 # SKIP valgrind is not installed")
        return 0
    path = pathlib.Path(args.baseline)
    baselines = json.loads(path.read_text()) if path.exists() else {}
    key = f"{args.compiler} {cpu_level()}"
    known = baselines.get(key)
    if not known and not args.update:
        print(f"1..0 # SKIP no baseline for {key}: make one with --update")
        return 0
    now, good = {}, True
    print(f"1..{len(CASES)}")
    for number, (name, (arguments, units, function)) in enumerate(CASES.items(), 1):
        now[name] = count(args.driver, args.message, arguments, function, args.show) // units
        before = (known or {}).get(name, now[name])
        change = now[name] / before - 1
        ok = args.update or change <= LIMIT
        good = good and ok
        print(f"{'ok' if ok else 'not ok'} {number} - {name}: {now[name]} instructions, baseline {before} ({change:+.1%})")
        if not ok:
            print(f"# more than {LIMIT:.0%} above: find out why (--show), or accept it with --update and a reason")
        elif change < -LIMIT:
            print("# better: write it down with --update")
    if args.update:
        baselines[key] = now
        path.write_text(json.dumps(baselines, indent=2, sort_keys=True) + "\n")
    return 0 if good else 1


sys.exit(main())
