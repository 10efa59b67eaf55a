#!/usr/bin/env python3
"""The simulator against the running server: one configuration, one load, jobs and deliveries over time.

usage: simulate_server.py MAILSERVERD_SCRIPTED QUEUE_FILL

Attempts take as long in both: what the simulator does not know is what the machine needs besides. So the server is never faster than the
simulator, and not much slower.
"""
import bisect
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from scripted import scripted  # noqa: E402
from tap import Tap, need  # noqa: E402

SLACK, SLACK_SECONDS = 1.5, 3  # of a busy machine; a wrong limit is twice as slow


class Run:
    """When which attempts ended, in seconds since the first began; jobs and threads at most."""

    def __init__(self, ends, jobs, threads):
        self.ends, self.jobs, self.threads = sorted(ends), jobs, threads

    def at(self, share):
        return self.ends[max(0, int(len(self.ends) * share) - 1)]

    def __str__(self):
        return f"{self.jobs} jobs, {self.threads} threads, half after {self.at(.5):.2f} s, all after {self.at(1):.2f} s"


def simulated(site, *loads):
    words = [word for load in loads for word in ("--load", load)]
    done = site.command("jobs", "simulate", *words, "--step", "50ms", "-o", "json")
    need(done.returncode == 0, done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    points = [(float(r["time_s"]), int(r["delivered"])) for r in rows if r["row"] == "time"]
    total = points[-1][1]
    counts = [delivered for _, delivered in points]
    ends = [points[bisect.bisect_left(counts, n)][0] for n in range(1, total + 1)]
    channel = next(r for r in rows if r["row"] == "channel")
    return Run(ends, int(channel["jobs_max"]), int(channel["threads_max"]))


def served(site, count):
    site.start()
    site.wait_empty(240)
    events = site.events("begin", "settled", "open")
    first = next(e.us for e in events if e.kind == "begin")
    ends = [(e.us - first) / 1e6 for e in events if e.kind == "settled"]
    need(len(ends) == count, f"{len(ends)} attempts ended, not {count}")
    in_work = most = 0
    for e in sorted(events, key=lambda e: e.us):
        in_work += {"begin": 1, "settled": -1, "open": 0}[e.kind]
        most = max(most, in_work)
    return Run(ends, len({e.job for e in events if e.kind == "open"}), most)


def compare(args, count, hosts, delay_ms, *sets):
    channel = tuple("channels.out." + s for s in sets)
    with scripted(*args, start=False, script=f"* {delay_ms} sent\n", sets=channel) as site:
        want = simulated(site, f"channel=out,count={count},hosts={hosts},time={delay_ms}ms")
        site.fill(count, channel="out", hosts=hosts)
        got = served(site, count)
    text = f"simulated {want}; served {got}"
    need(want.jobs - 1 <= got.jobs <= want.jobs, text)  # the first deliveries may end before the whole queue has been read
    need(want.threads * 0.9 - 1 <= got.threads <= want.threads, text)
    for share in (.25, .5, .75, 1):
        need(want.at(share) * 0.95 - 0.1 <= got.at(share) <= want.at(share) * SLACK + SLACK_SECONDS, f"{share}: {text}")
    return text


def main():
    args = sys.argv[1:3]
    tap = Tap()
    tap.run("threads by host", compare, args, 400, 20, 500, "threaddepth=5")
    tap.run("jobs by files", compare, args, 400, 20, 500, "filesperjob=100", "threaddepth=1000", "max_client_threads=5")
    tap.run("one host", compare, args, 300, 1, 500, "threaddepth=10", "maxjobs=2")
    tap.run("one job", compare, args, 200, 20, 500, "maxjobs=1", "max_client_threads=8", "threaddepth=2")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
