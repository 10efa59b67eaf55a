#!/usr/bin/env python3
"""`jobs simulate`: the rules of the scheduler, in virtual time, as an operator sees them.

usage: simulate.py MAILSERVERD [--messages N]
"""
import argparse
import json
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

from tap import Tap, expect, need, same

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CANTCREAT, EX_CONFIG = 64, 65, 66, 73, 78
SVG = "{http://www.w3.org/2000/svg}"
CONFIG = """\
server:
  hostname: mail.example.org
  default_domain: example.org
store:
  partitions: {main: {path: store}}
channels:
  store: {driver: store, pool: STORE}
  tcp_local: {driver: store, pool: SMTP, maxjobs: 10}
  other: {driver: store, pool: SMTP, maxjobs: 10}
job_controller:
  pools: {DEFAULT: {job_limit: 10}, STORE: {job_limit: 10}, SMTP: {job_limit: 10}}
"""


class Simulator:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.config = self.folder / "mailserverd.yaml"
        self.config.write_text(CONFIG)

    def command(self, *words):
        """sets are words with a dot before their =; the rest is as it is."""
        return subprocess.run([self.binary, "jobs", "simulate", "--config", str(self.config), *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=600)

    def rows(self, *words):
        """kind of row -> rows."""
        out = {"time": [], "class": [], "channel": [], "end": []}
        done = expect(self.command(*words, "-o", "json"), 0)
        same("standard error", done.stderr, "")
        for line in done.stdout.splitlines():
            row = json.loads(line)
            out[row["row"]].append(row)
        return out


def sets(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


def loads(*specs):
    return [word for spec in specs for word in ("--load", spec)]


def check_deferral(sim):
    """The worked example A8: 400 normal messages within a minute wait for it, then 4 jobs take 40 at a time."""
    chosen = sets("channels.store.normalafter=+60", "channels.store.filesperjob=100", "channels.store.maxjobs=10")
    out = sim.rows(*chosen, *loads("channel=store,count=400,for=59s,time=2s"), "--step", "10s")
    at = {row["time_s"]: row for row in out["time"]}
    same("before", [at["50.000"][k] for k in ("jobs", "deferred", "delivered")], ["0", "339", "0"])
    same("then", [at["60.000"][k] for k in ("jobs", "in_work", "deferred")], ["4", "40", "0"])
    same("jobs", (out["channel"][0]["jobs_max"], out["channel"][0]["jobs_started"], out["channel"][0]["threads_max"]), ("4", "4", "40"))
    need(float(out["class"][0]["wait_max_s"]) >= 62, out["class"])
    same("the end", {k: out["end"][0][k] for k in ("over", "delivered", "returned", "queued", "to_come")},
         {"over": "yes", "delivered": "400", "returned": "0", "queued": "0", "to_come": "0"})


def check_instant(sim):
    """*after as an instant: --at says what time it is."""
    chosen = sets("channels.store.after=1800000600")
    out = sim.rows(*chosen, *loads("channel=store,count=10,for=10s,time=1s"), "--at", "1800000000")
    need(600 <= float(out["class"][0]["wait_max_s"]) <= 612, out["class"])
    out = sim.rows(*chosen, *loads("channel=store,count=10,for=10s,time=1s"), "--at", "1800000600")
    need(float(out["class"][0]["wait_max_s"]) < 60, out["class"])


def jobs_of(sim, *words):
    return [(row["channel"], int(row["jobs_max"]), int(row["threads_max"])) for row in sim.rows(*words)["channel"]]


def check_limits(sim):
    """J3, J5, J7, J8, J10, J12, J14 as a backlog that is there at the beginning."""
    def one(load, *chosen):
        return jobs_of(sim, *sets(*(f"channels.tcp_local.{s}" for s in chosen)), *loads(f"channel=tcp_local,time=1m,{load}"))[0][1:]
    same("J3", one("count=100", "filesperjob=10", "maxjobs=100", "threaddepth=1000")[0], 10)
    same("J3, pool", jobs_of(sim, *sets("channels.tcp_local.filesperjob=10", "job_controller.pools.SMTP.job_limit=6",
                                        "channels.tcp_local.threaddepth=1000"), *loads("channel=tcp_local,count=100,time=1m"))[0][1], 6)
    for none in (0, -5):
        same(f"J5, {none}", one("count=5000", f"filesperjob={none}", f"addrsperjob={none}", "threaddepth=1000000", "max_life_time=none")[0], 1)
    same("J7", one("count=12,rcpts=80", "filesperjob=10", "addrsperjob=100", "maxjobs=100")[0], 10)
    same("J10", one("count=128,host=smart", "maxjobs=7"), (2, 13))
    same("J12", one("count=3,hosts=3", "maxjobs=7"), (1, 3))
    same("J13", one("count=100,host=busy", "threaddepth=128"), (1, 1))
    same("J14", one("count=15,hosts=15"), (2, 15))
    both = jobs_of(sim, *sets("channels.tcp_local.filesperjob=10", "channels.other.filesperjob=10"),
                   *loads("channel=tcp_local,count=70,time=1m", "channel=other,count=50,from=1s,time=1h"), "--for", "2h")
    same("J8", [jobs for _, jobs, _ in both], [7, 5])  # 3, and 2 more when those of the first have gone
    first = sim.rows(*sets("channels.tcp_local.filesperjob=10", "channels.other.filesperjob=10"),
                     *loads("channel=tcp_local,count=70,time=1m", "channel=other,count=50,from=1s,time=1m"), "--for", "2s", "--step", "1s")
    same("J8 at once", [row["jobs"] for row in first["time"] if row["time_s"] == "1.000"], ["7", "3"])


def check_entries(sim):
    def arrived(load, *chosen):
        return int(sim.rows(*sets(*(f"channels.tcp_local.{s}" for s in chosen)), *loads(f"channel=tcp_local,{load}"))["class"][0]["arrived"])
    same("one", arrived("count=10,rcpts=7"), 10)
    same("single", arrived("count=10,rcpts=7", "single=yes"), 70)
    same("addrsperfile", arrived("count=10,rcpts=7", "addrsperfile=3"), 30)


def check_classes(sim):
    """Urgent mail goes before bulk; size lowers the class."""
    chosen = sets("channels.tcp_local.maxjobs=1", "channels.tcp_local.urgentblocklimit=100", "channels.tcp_local.normalblocklimit=1000")
    out = sim.rows(*chosen, *loads("channel=tcp_local,count=2000,class=nonurgent,time=1s", "channel=tcp_local,count=50,for=1m,class=urgent"))
    waits = {row["class"]: float(row["wait_p95_s"]) for row in out["class"]}
    need(waits["urgent"] < 5 < 100 < waits["nonurgent"], waits)
    same("classes", [row["class"] for row in out["class"]], ["urgent", "nonurgent", "all"])
    for size, name in (("100KiB", "urgent"), ("101KiB", "normal"), ("2000KiB", "nonurgent")):
        out = sim.rows(*chosen, *loads(f"channel=tcp_local,count=1,class=urgent,size={size}"))
        same(size, [row["class"] for row in out["class"]], [name])


def check_retries(sim):
    """Backoff, notices, the return; a host that is down for a time."""
    chosen = sets("channels.tcp_local.backoff=PT1M", "channels.tcp_local.notices=[10m, 20m]")
    out = sim.rows(*chosen, *loads("channel=tcp_local,count=50,fail=100,time=1s"))
    same("all go back", [out["end"][0][k] for k in ("delivered", "returned", "over")], ["0", "50", "yes"])
    same("notices", out["channel"][0]["notices"], "50")
    need(1200 <= float(out["channel"][0]["empty_s"]) <= 1260, out["channel"])
    same("no waits", out["class"][0]["wait_p95_s"], "-")
    out = sim.rows(*chosen, *loads("channel=tcp_local,count=600,for=10m,time=100ms,down=2m..5m"))
    same("all arrive", [out["end"][0][k] for k in ("delivered", "returned")], ["600", "0"])
    need(180 <= int(out["channel"][0]["failed"]) and 60 < float(out["class"][0]["wait_max_s"]) < 320, out)
    out = sim.rows(*chosen, *loads("channel=tcp_local,count=1000,fail=20%,time=100ms"))
    need(200 <= int(out["channel"][0]["failed"]) <= 310, out["channel"])  # 250 in the mean


def check_arrivals(sim):
    out = sim.rows(*loads("channel=store,count=10,for=1s,repeat=3,every=1h,time=0"), "--step", "1h")
    same("three times", [row["arrived"] for row in out["time"]], ["1", "11", "21", "30"])
    out = sim.rows(*loads("channel=store,count=6000,for=100m,arrive=chance,time=0"), "--step", "1m")
    counts = [int(row["arrived"]) for row in out["time"]]
    each = [b - a for a, b in zip(counts[1:], counts[2:])][:90]
    mean = sum(each) / len(each)
    spread = sum((n - mean) ** 2 for n in each) / len(each)
    need(54 < mean < 66 and 30 < spread < 110, (mean, spread))  # Poisson: both 60


def check_hosts(sim):
    """A slow host does not keep threads from the others; loads with the same name have one host."""
    chosen = sets("channels.tcp_local.maxjobs=2")
    slow = "channel=tcp_local,count=100,for=1m,time=30s,host=slow"
    out = sim.rows(*chosen, *loads("channel=tcp_local,count=600,for=1m,time=200ms,hosts=19,class=urgent", slow))
    waits = {row["class"]: row for row in out["class"]}
    need(float(waits["urgent"]["wait_p99_s"]) < 1 and float(waits["normal"]["wait_p95_s"]) > 60, waits)
    alone = jobs_of(sim, *chosen, *loads("channel=tcp_local,count=15,time=1m,host=x", "channel=tcp_local,count=15,time=1m,host=x"))
    apart = jobs_of(sim, *chosen, *loads("channel=tcp_local,count=15,time=1m,hosts=1", "channel=tcp_local,count=15,time=1m,hosts=1"))
    same("threads for 30 at one host, for 15 at each of two", (alone[0][2], apart[0][2]), (3, 4))


def check_cut(sim):
    load = loads("channel=tcp_local,count=100,for=100s,time=1m")
    out = sim.rows(*load, "--for", "50s")
    end = out["end"][0]
    same("cut", [end[k] for k in ("over", "to_come")], ["no", "49"])
    same("sum", int(end["delivered"]) + int(end["queued"]) + int(end["to_come"]), 100)
    text = expect(sim.command(*load, "--for", "50s"), 0).stdout
    need(re.search(r"cut at 50.0s: \d+ left in the queue, 49 yet to arrive\.$", text.strip()), text[-300:])


def check_table(sim):
    """For people: aligned, what is always nothing left out, times with units."""
    text = expect(sim.command(*loads("channel=tcp_local,count=400,for=1m,time=2s"), *sets("channels.tcp_local.maxjobs=4")), 0).stdout
    lines = text.splitlines()
    same("settings", lines[0], "channel tcp_local: pool SMTP (job_limit 10), maxjobs 4, filesperjob 0, threaddepth 10, max_client_threads 10")
    same("load", lines[1], "load channel=tcp_local,count=400,for=1m,time=2s")
    table = lines[3:lines.index("", 3)]
    same("heads", table[0].split(), "time queued ready in work jobs arrived delivered wait longest".split())
    same("one width", len({len(line) for line in table}), 1)
    need(10 <= len(table) <= 27, len(table))
    need(lines[-1].startswith("400 delivered, 0 returned to their senders; the last left the queue at 1m"), lines[-1])
    need(max(map(len, lines)) <= 130, max(map(len, lines)))


def check_years(sim):
    """Rows at equal distances, however long it takes: what is kept gets coarser, up to a week."""
    for days in (2500, 2600, 3600):
        times = [float(row["time_s"]) for row in sim.rows(*loads(f"channel=tcp_local,count=1,repeat={days},every=1d"))["time"]]
        steps = [after - before for before, after in zip(times, times[1:])]
        same(f"{days} days: rows at equal distances but for the last", set(steps[:-1]), {steps[0]})
        need(0 < steps[-1] <= steps[0], steps)


def check_same(sim):
    """The same seed, the same run; another one, another; other settings, the same messages."""
    load = loads("channel=tcp_local,count=2000,for=10m,arrive=chance,time=1s..10s,size=1KiB..3MiB,fail=10,hosts=7")
    runs = [sim.command(*load, "--seed", seed).stdout for seed in (1, 1, 2)]
    need(runs[0] == runs[1] != runs[2] and runs[0], "seeds")
    few = sim.rows(*load, *sets("channels.tcp_local.maxjobs=1"))
    many = sim.rows(*load, *sets("channels.tcp_local.maxjobs=9"))
    same("failures", few["channel"][0]["failed"], many["channel"][0]["failed"])


def check_file(sim):
    path = sim.folder / "loads"
    path.write_text("# a day\nchannel=tcp_local,count=10\n\nchannel=store,count=20 # local\n")
    same("both", sim.rows(*loads(f"@{path}"))["end"][0]["delivered"], "30")
    same("and one", sim.rows(*loads(f"@{path}", "channel=other,count=5"))["end"][0]["delivered"], "35")
    path.write_text("channel=tcp_local,count=10\nchannel=tcp_local\n")
    expect(sim.command(*loads(f"@{path}")), EX_DATAERR, r"loads:2: a load needs channel= and count=")
    expect(sim.command(*loads("@" + str(sim.folder / "none"))), EX_NOINPUT, "cannot be read")


def check_errors(sim):
    ok = "channel=store,count=1"
    for words, code, why in (
            ((), EX_USAGE, "which load"),
            ((*loads(ok), "more"), EX_USAGE, 'unknown argument "more"'),
            ((*loads(ok), "--speed"), EX_USAGE, 'unknown option, or one without its value: "--speed"'),
            (("--load",), EX_USAGE, 'without its value: "--load"'),
            (loads("channel=x,count=1"), EX_NOINPUT, 'there is no channel "x"'),
            (loads("channel=store,count=x"), EX_USAGE, 'count takes a number from 1 to 10000000, not "x"'),
            (loads(ok + ",speed=2"), EX_USAGE, 'a load has no "speed"; its keys are channel, count, for'),
            (loads(ok + ",class=high"), EX_USAGE, "class takes urgent, normal, nonurgent, secondclass or thirdclass"),
            (loads("channel=store,count=10000000", "channel=other,count=1"), EX_DATAERR, "up to 10000001 queue entries; a run has at most 10000000"),
            ((*loads("channel=store,count=100000,rcpts=1000"), *sets("channels.store.single=yes")), EX_DATAERR, "up to 100000000 queue entries"),
            (loads(*[ok] * 65), EX_USAGE, "more than 64 loads"),
            ((*loads(ok), "--for", "0"), EX_USAGE, '--for takes a time such as 90s'),
            ((*loads(ok), "--step", "x"), EX_USAGE, '--step takes a time'),
            ((*loads(ok), "--for", "2h", "--step", "1s"), EX_USAGE, "at most 5000 rows"),
            ((*loads(ok), "--seed", "-1"), EX_USAGE, "--seed takes a number"),
            ((*loads(ok), "--at", "monday"), EX_USAGE, "--at takes a number"),
            ((*loads(ok), "--svg", "/nowhere/x.svg"), EX_CANTCREAT, "cannot be written"),
            ((*loads(ok), "--set", "channels.store.maxjobs"), EX_USAGE, "KEY=VALUE"),
            ((*loads(ok), "--set", "channels.store.maxjob=1"), EX_CONFIG, "maxjob"),
            ((*loads(ok), "--set", "channels.store.maxjobs=0"), EX_CONFIG, "--set:.*maxjobs"),
            ((*loads(ok), "--set", "channels.store.pool=NONE"), EX_CONFIG, 'no pool "NONE"'),
    ):
        expect(sim.command(*words), code, why if "." in why or "*" in why else re.escape(why))


def check_svg(sim):
    """One picture that any reader of XML takes, without scripts, its names escaped, no larger for a longer run."""
    path = sim.folder / "run.svg"
    sizes = []
    for count, time_ in ((400, "1m"), (20000, "30d")):
        expect(sim.command(*loads(f"channel=tcp_local,count={count},for={time_},time=2s,fail=5,host=<&\">",
                                  f"channel=store,count={count},for={time_}"), "--svg", path), 0)
        text = path.read_text()
        tree = xml.etree.ElementTree.fromstring(text)
        sizes.append(len(text))
        words = [e.text for e in tree.iter(SVG + "text")]
        need({"channel tcp_local", "channel store", "queue: entries"} <= set(words), words)
        need(any('host=<&">' in w for w in words), words)
        need(len(list(tree.iter(SVG + "polyline"))) >= 8 and len(list(tree.iter(SVG + "polygon"))) == 2, "curves")
        need("script" not in text and "href" not in text and "prefers-color-scheme:dark" in text, "no script, dark")
        width, height = map(float, tree.get("viewBox").split()[2:])
        for line in list(tree.iter(SVG + "polyline")) + list(tree.iter(SVG + "polygon")):
            points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
            need(len(points) <= 500 and all(0 <= x <= width and 0 <= y <= height for x, y in points), (len(points), points[:3]))
        need(all(float(t.get("x")) <= width and float(t.get("y")) <= height for t in tree.iter(SVG + "text")), "texts")
    need(max(sizes) < 150000, sizes)
    return f"{sizes[0]} and {sizes[1]} octets"


def check_large(sim, messages):
    """A large run is bounded in time and memory; more than max_messages as well."""
    begun, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    out = sim.rows(*loads(f"channel=tcp_local,count={messages},time=100ms,hosts=1000", "channel=tcp_local,count=100,for=1h,class=urgent"))
    same("all", out["end"][0]["delivered"], str(messages + 100))
    few = sim.rows(*sets("job_controller.max_messages=10000"), *loads(f"channel=tcp_local,count={messages},time=100ms",
                                                                       "channel=tcp_local,count=100,for=10m,class=urgent"))
    same("all of few", few["end"][0]["delivered"], str(messages + 100))
    need(float(few["class"][0]["wait_p99_s"]) < 60, few["class"][0])
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - spent
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return f"{messages} messages twice: {time.monotonic() - begun:.1f} s, of processor {spent:.1f} s, {memory // 1024} MiB at most"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--messages", type=int, default=100000)
    args = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        sim = Simulator(args.binary, folder)
        tap.run("deferral to collect", check_deferral, sim)
        tap.run("an instant of *after", check_instant, sim)
        tap.run("the worked examples of limits", check_limits, sim)
        tap.run("what a message becomes", check_entries, sim)
        tap.run("classes", check_classes, sim)
        tap.run("retries", check_retries, sim)
        tap.run("arrivals", check_arrivals, sim)
        tap.run("hosts", check_hosts, sim)
        tap.run("a run that is cut", check_cut, sim)
        tap.run("the table", check_table, sim)
        tap.run("years", check_years, sim)
        tap.run("the same every time", check_same, sim)
        tap.run("a file of loads", check_file, sim)
        tap.run("errors", check_errors, sim)
        tap.run("the picture", check_svg, sim)
        tap.run("large", check_large, sim, args.messages)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
