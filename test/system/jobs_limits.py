#!/usr/bin/env python3
"""Limits of jobs in the running server: changed by reload under load, life and idle times, jobs that are always there, one message for many
hosts. Jobs and attempts are counted in the driver's log.

usage: jobs_limits.py MAILSERVERD_SCRIPTED QUEUE_FILL
"""
import argparse
import collections
import concurrent.futures
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, wait_for  # noqa: E402
from scripted import Sender, now_us, scripted  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402


def jobs(site):
    """Jobs that are open, from the driver's log."""
    return site.count(" open ") - site.count(" close ")


def options(pools=None, **channel):
    """Text of a configuration file: options of channel out, job_limit of pools."""
    text = "channels: {out: {" + ", ".join(f"{key}: {value}" for key, value in channel.items()) + "}}\n"
    if pools:
        limits = ", ".join(f"{name}: {{job_limit: {limit}}}" for name, limit in pools.items())
        text += "job_controller: {pools: {" + limits + "}}\n"
    return text


def change(site, **new):
    site.change(options(**new))
    site.reload()


def becomes(site, count, seconds=30):
    need(wait_for(lambda: jobs(site) == count, seconds), f"{jobs(site)} jobs, not {count}: {site.rows('jobs', 'status')}")


def stays(site, most, entries):
    """Never more jobs while so many further entries are done."""
    done = site.count(" settled ")
    while site.count(" settled ") < done + entries:
        need(jobs(site) <= most, f"{jobs(site)} jobs, at most {most}")
        time.sleep(0.01)


def check_reload(args):
    """maxjobs, job_limit and pool, up and down. A smaller limit ends no job; those that end with their life are not replaced."""
    always = {"max_life_entries": 100, "max_client_threads": 5, "threaddepth": 1, "idle_timeout": "0s"}
    with scripted(args.binary, args.filler, start=False, script="* 20 sent\n") as site:
        site.fill(40000, channel="out", hosts=200)
        site.change(options(maxjobs=2, **always))
        site.start()
        becomes(site, 2)
        stays(site, 2, 300)
        change(site, maxjobs=6, **always)
        becomes(site, 6)
        change(site, maxjobs=1, **always)
        becomes(site, 1)
        stays(site, 1, 300)
        change(site, maxjobs=8, pools={"DEFAULT": 3}, **always)
        becomes(site, 3)
        stays(site, 3, 300)
        change(site, maxjobs=8, pool="OTHER", pools={"DEFAULT": 3, "OTHER": 5}, **always)
        becomes(site, 5)
        stays(site, 5, 300)
        need(site.count(" settled ") < 40000, "the load was over too soon")


def in_work(events):
    """The most attempts under way at a time."""
    now = most = 0
    for event in events:
        now += {"begin": 1, "settled": -1}.get(event.kind, 0)
        most = max(most, now)
    return most


def check_threaddepth(args):
    """One host with 500 entries: ceil(500/threaddepth) threads, of several jobs when need be."""
    with scripted(args.binary, args.filler, start=False, script="* 1000 sent\n", sets=("channels.out.threaddepth=250",)) as site:
        site.fill(500, channel="out", hosts=1)
        site.start()
        need(wait_for(lambda: site.count(" settled ") >= 2, 30), "no attempt")
        same("in work", in_work(site.events()), 2)
        same("jobs", jobs(site), 1)
        change(site, threaddepth=20)
        need(wait_for(lambda: in_work(site.events()) >= 24, 30), f"in work: {in_work(site.events())}")
        becomes(site, 3)
        same("in work", in_work(site.events()) <= 25, True)


def check_life(args):
    """max_life_entries, max_life_time: jobs end and others take their place while there is work."""
    with scripted(args.binary, args.filler, start=False, script="* 10 sent\n",
                  sets=("channels.out.max_life_entries=50", "channels.out.maxjobs=2", "channels.out.threaddepth=1")) as site:
        site.fill(1000, channel="out", hosts=20)
        site.start()
        site.wait_empty(60)
        entries = collections.Counter(event.job for event in site.events("begin"))
        need(max(entries.values()) <= 50 and len(entries) >= 20, f"entries of jobs: {dict(entries)}")
        change(site, max_life_time="2s", maxjobs=1, max_client_threads=1)
        site.stop()
        site.fill(200, channel="out", hosts=20)
        before = len(site.events())
        site.script.write_text("* 50 sent\n")
        site.start()
        site.wait_empty(60)
        site.stop()
        lives, begun = {}, {}
        for event in site.events()[before:]:
            if event.kind == "open":
                begun[event.job] = event.us
            elif event.kind == "begin":
                lives[event.job] = (event.us - begun[event.job]) / 1e6
        need(len(lives) >= 4, f"seconds from a job's begin to its last entry: {lives}")
        need(max(lives.values()) < 4, f"seconds from a job's begin to its last entry: {lives}")
        return f"{len(lives)} jobs of 2 s, the last entry taken at most {max(lives.values()):.2f} s behind the beginning"


def check_idle(args):
    """minjobs are there before there is work, and stay; the others go when they were idle for idle_timeout."""
    sets = ("channels.out.minjobs=2", "channels.out.idle_timeout=2s", "channels.out.threaddepth=1", "channels.out.max_client_threads=1",
            "route.local_channel=out")
    with scripted(args.binary, args.filler, script="* 1000 sent\n", sets=sets) as site:
        becomes(site, 2)
        sender = Sender(site)
        sender.send([(["anna@example.org"], message(f"m{n}")) for n in range(20)])
        becomes(site, 10)
        need(wait_for(lambda: site.count(" settled ") == 20, 30), "not delivered")
        becomes(site, 2)
        for event in site.events("close"):
            work = max(other.us for other in site.events("settled", "open") if other.job == event.job)
            need(event.us - work >= 1990000, f"a job left {event.us - work} us behind its last work")
        opened = site.count(" open ")
        sender.send([(["anna@example.org"], message("again"))])  # those that are there take it
        need(wait_for(lambda: site.count(" settled ") == 21, 30), "not delivered")
        same("jobs opened", site.count(" open "), opened)
        sender.close()


def make_users(site, domains, users):
    """Recipients at that many domains."""
    rcpts = [f"u{n}@d{n % domains}.example.org" for n in range(users)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in pool.map(lambda number: site.command("domain", "add", f"d{number}.example.org"), range(domains)):
            expect(done, 0)
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("login\n" + "".join(rcpt + "\n" for rcpt in rcpts))
        file.flush()
        expect(site.command("user", "import", file.name), 0)
    return rcpts


def check_many_hosts(args):
    """J15: one message, 1000 recipients at 400 hosts, filesperjob 100: 400 entries; 100 threads a job: 4 jobs; 10: 10, by job_limit."""
    sets = ("route.local_channel=out", "channels.out.single_sys=yes", "channels.out.filesperjob=100", "channels.out.threaddepth=10")
    with scripted(args.binary, args.filler, script="* 1500 sent\n", sets=sets) as site:
        rcpts = make_users(site, 400, 1000)
        sender, counts = Sender(site), {}
        for threads in (100, 10):
            change(site, max_client_threads=threads, idle_timeout="0s")
            before, begun = len(site.events()), now_us()
            sender.send([(rcpts, message(f"threads{threads}"))])
            need(wait_for(lambda before=before: [e.kind for e in site.events()[before:]].count("settled") == 400, 60), "not delivered")
            becomes(site, 0)
            events = [event for event in site.events() if event.us > begun]
            counts[threads] = sum(event.kind == "open" for event in events)
            same("hosts", len({event.host for event in events if event.kind == "begin"}), 400)
            same("recipients", sum(event.kind == "result" for event in events), 1000)
        sender.close()
        same("jobs by max_client_threads", counts, {100: 4, 10: 10})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("filler", type=pathlib.Path)
    args = parser.parse_args()
    tap = Tap()
    tap.run("maxjobs, job_limit and pool by reload", check_reload, args)
    tap.run("threaddepth by reload", check_threaddepth, args)
    tap.run("max_life_entries, max_life_time", check_life, args)
    tap.run("minjobs, idle_timeout", check_idle, args)
    tap.run("one message for 400 hosts", check_many_hosts, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
