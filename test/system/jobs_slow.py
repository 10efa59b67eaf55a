#!/usr/bin/env python3
"""A host that answers slowly: what it costs others.

usage: jobs_slow.py MAILSERVERD_SCRIPTED QUEUE_FILL [--messages N] [--rounds N] [--ratio R]

A channel whose attempts take seconds, with every thread of it busy and thousands of entries behind them, does not slow the store channel
down: the time to empty its queue is compared with that of the same site without such mail, round by round. Within one channel a slow
host keeps no more threads than its own share.
"""
import argparse
import collections
import datetime
import os
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import wait_for  # noqa: E402
from scripted import scripted  # noqa: E402
from tap import Tap, need, same  # noqa: E402

SENT = re.compile(rb"^ts=(\S+) .* event=delivery\.sent ", re.M)
SLOW_JOBS, SLOW_THREADS = 10, 20


def cpu(site):
    """Microseconds of the server's threads."""
    fields = pathlib.Path(f"/proc/{site.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def is_done(site):
    row = site.channel("store")
    return row["in_work"] == row["ready"] == row["deferred"] == "0"


def empty_store(args, slow):
    """Messages a second that the store channel delivers, between its first and its last message; microseconds of CPU each."""
    sets = ("log.level=info", f"channels.out.max_client_threads={SLOW_THREADS}", "channels.out.threaddepth=1",
            f"job_controller.pools.DEFAULT.job_limit={SLOW_JOBS}", "channels.store.max_life_entries=none")
    with scripted(args.binary, args.filler, start=False, script="* 4000 deferred\n", sets=sets) as site:
        if slow:
            site.fill(5000, channel="out", hosts=5, age=60)
        site.fill(args.messages, to="anna@example.org", age=0)
        site.change("channels: {store: {normalafter: +3600}}")  # they wait until the slow channel works
        site.start()
        if slow:
            need(wait_for(lambda: site.count(" begin ") >= SLOW_JOBS * SLOW_THREADS, 60), "the slow channel is not busy")
        need(wait_for(lambda: site.channel("store")["deferred"] == str(args.messages), 60), f"not all wait: {site.channel('store')}")
        before = cpu(site)
        site.change("")
        site.reload()
        need(wait_for(lambda: is_done(site), 120, 0.3), f"not delivered: {site.command('jobs', 'status').stdout}{site.tail(3)}")
        spent = cpu(site) - before
        settled = site.count(" settled ")
        begun = site.count(" begin ") - settled
        site.kill()
        times = [datetime.datetime.fromisoformat(ts.decode().replace("Z", "+00:00")).timestamp()
                 for ts in SENT.findall(site.log.read_bytes())]
        need(not slow or begun > SLOW_JOBS * SLOW_THREADS * 0.9, f"{begun} slow attempts were under way")
        return args.messages / (max(times) - min(times)), spent / args.messages


def check_channels(args):
    """Both ways one after the other, in turns: what else the machine does changes from round to round, and mostly not within one."""
    rates, costs = {False: [], True: []}, {False: [], True: []}
    for number in range(args.rounds):
        for slow in (number % 2 == 0, number % 2 == 1):
            rate, cost = empty_store(args, slow)
            rates[slow].append(rate)
            costs[slow].append(cost)
    ratio = statistics.median(alone / beside for alone, beside in zip(rates[False], rates[True]))
    text = "; ".join(f"{name}: {' '.join(f'{rate:.0f}' for rate in rates[slow])} messages/s, {statistics.median(costs[slow]):.1f} us each"
                     for name, slow in (("alone", False), ("beside", True)))
    need(ratio <= args.ratio, f"median of the ratios {ratio:.3f}, at most {args.ratio}; {text}")
    return f"median of the ratios {ratio:.3f}; {text}"


def check_hosts(args):
    """One channel, ten hosts with 400 entries each; h0 takes 2 s, the others 20 ms. threaddepth 100: four threads each at most,
    and one more of a job that has nothing else to do."""
    sets = ("channels.out.threaddepth=100", "channels.out.max_client_threads=20", "job_controller.pools.DEFAULT.job_limit=2")
    script = "h0.example.net 2000 sent\n* 20 sent\n"
    with scripted(args.binary, args.filler, start=False, script=script, sets=sets) as site:
        site.fill(4000, channel="out", hosts=10)
        site.start()
        need(wait_for(lambda: site.count(" settled ") - site.count(" h0.example.net OK") == 3600, 60), "the fast hosts are not done")
        site.kill()
        in_work, most, slow = collections.Counter(), collections.Counter(), 0
        for event in site.events("begin", "settled"):
            in_work[event.host] += 1 if event.kind == "begin" else -1
            most[event.host] = max(most[event.host], in_work[event.host])
            slow += event.kind == "settled" and event.host == "h0.example.net"
        same("hosts", len(most), 10)
        need(max(most.values()) <= 5, f"threads of each host: {dict(most)}")
        need(min(most.values()) >= 2, f"threads of each host: {dict(most)}")
        need(slow < 200, f"{slow} entries of the slow host were done when the others were empty")
        return f"{slow} of 400 entries of the slow host were done when nine others were empty"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("filler", type=pathlib.Path)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=1.5)
    args = parser.parse_args()
    tap = Tap()
    tap.run("a slow host and the other hosts of its channel", check_hosts, args)
    tap.run("a slow channel and the store channel", check_channels, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
