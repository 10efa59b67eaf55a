#!/usr/bin/env python3
"""Why entries wait when the job controller is at work: each reason is made by limits and by a driver that does not come to an end;
jobs status, queue explain, the metrics and the view of stats say the same of it.

usage: watch_why.py MAILSERVERD_SCRIPTED QUEUE_FILL
"""
import collections
import http.client
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import promtext  # noqa: E402
from msite import running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

# channel: options, entries and hosts, what the entries wait for, jobs
CHANNELS = {
    "many": ({"maxjobs": 2, "max_client_threads": 2, "threaddepth": 1, "pool": "WIDE"}, (10, 0),
             {"in-work": 4, "maxjobs": 6}, 2),
    "pooled": ({"maxjobs": 9, "max_client_threads": 2, "threaddepth": 1, "pool": "NARROW"}, (9, 0),
               {"in-work": 2, "job_limit": 7}, 1),
    "deep": ({"maxjobs": 9, "max_client_threads": 10, "threaddepth": 10, "pool": "WIDE"}, (8, 2),
             {"in-work": 2, "threaddepth": 6}, 1),
    "single": ({"maxjobs": 9, "max_client_threads": 1, "threaddepth": 100, "pool": "WIDE"}, (5, 3),
               {"in-work": 1, "threaddepth": 4}, 1),
    "later": ({"pool": "WIDE"}, (3, 0), {"due": 3}, 0),
    "lazy": ({"pool": "WIDE", "normalafter": "+3600"}, (4, 0), {"deferred": 4}, 0),
}
TEXTS = {
    "in-work": r"job \d+ on loop\d works on it",
    "maxjobs": r"the channel has as many jobs as it may \(maxjobs 2\), and all are busy; 5 other entries are ready for .*",
    "job_limit": r"pool NARROW has as many jobs as it may \(job_limit 1\), and those of the channel are busy; 6 other entries are .*",
    "threaddepth": r"its destination has the threads that its backlog gives it \(threaddepth 10\); 2 other entries are ready for its destination|"
                   r"the channel has the threads that its backlog gives it \(threaddepth 100\); 3 other entries are ready for the channel",
    "due": r"it was tried 2 times, the next attempt is at \S+Z \(in \d+m\)",
    "deferred": r"by the \*after keywords of channel lazy no job is started before \S+Z \(in \d+m\); one that runs takes it, too",
}


def settings():
    sets = ["server.loops=2", "job_controller.pools.WIDE.job_limit=20", "job_controller.pools.NARROW.job_limit=1"]
    for name, (options, _, _, _) in CHANNELS.items():
        sets += [f"channels.{name}.driver=scripted"] + [f"channels.{name}.{key}={value}" for key, value in options.items()]
    return sets


def fill(site, filler):
    for name, (_, (entries, hosts), _, _) in CHANNELS.items():
        words = [filler, "-c", site.config, "--channel", name, "--entries", entries, "--hosts", hosts, "--age", 120]
        if name == "later":
            words += ["--due", 3600, "--attempts", 2]
        subprocess.run([str(word) for word in words], check=True, timeout=120, stdout=subprocess.DEVNULL)


def rows(site, *words):
    return [json.loads(line) for line in expect(site.command(*words, "-o", "json"), 0).stdout.splitlines()]


def reasons(site, channel):
    return dict(collections.Counter(row["why"] for row in rows(site, "queue", "explain", "--channel", channel)))


def page(site):
    client = http.client.HTTPConnection("127.0.0.1", site.base + 470, timeout=30)
    try:
        client.request("GET", "/metrics")
        return promtext.Page(client.getresponse().read().decode())
    finally:
        client.close()


def by_reason(metrics, channel):
    return {dict(labels)["reason"]: int(value) for (name, labels), value in metrics.samples.items()
            if name == "mailserverd_channel_entries" and ("channel", channel) in labels and value}


def check_reasons(site):
    """Each channel's entries wait for what its limits make them wait for; every one is explained in a sentence with the numbers."""
    for name, (_, _, want, _) in CHANNELS.items():
        need(wait_for(lambda name=name, want=want: reasons(site, name) == want, 60, 0.1), f"{name}: {reasons(site, name)}, not {want}")
        for row in rows(site, "queue", "explain", "--channel", name):
            need(re.fullmatch(TEXTS[row["why"]], row["text"]), row)
            same("a job", "job" in row, row["why"] == "in-work")


def check_metrics(site):
    metrics = page(site)
    for name, (options, (entries, hosts), want, jobs) in CHANNELS.items():
        same(name, by_reason(metrics, name), want)
        same(f"jobs of {name}", metrics.get("channel_jobs", channel=name), jobs)
        same(f"maxjobs of {name}", metrics.get("channel_maxjobs", channel=name), options.get("maxjobs", 100))
        threads = metrics.get("channel_threads", channel=name)
        same(f"threads of {name}", threads, jobs * int(one_channel(site, name)["max_client_threads"]) if jobs else 0)
        need(120 <= metrics.get("channel_oldest_seconds", channel=name) < 1000, name)
        same("stopped", metrics.get("channel_stopped", channel=name), 0)
        same("incomplete", metrics.get("channel_incomplete", channel=name), 0)
    same("hosts", metrics.get("channel_hosts", channel="deep"), 2)
    for name, before, after in (("later", 2400, 3700), ("lazy", 2400, 3700)):
        need(before < metrics.get("channel_next_due_seconds", channel=name) - time.time() < after, name)
    same("nothing waits for a time", metrics.get("channel_next_due_seconds", channel="many"), None)
    same("pools", [metrics.get("pool_jobs", pool=p) for p in ("WIDE", "NARROW")], [4, 1])
    same("limits", [metrics.get("pool_job_limit", pool=p) for p in ("WIDE", "NARROW")], [20, 1])
    same("entries", metrics.get("job_controller_entries"), sum(c[1][0] for c in CHANNELS.values()))
    same("room", metrics.get("job_controller_max_messages"), 1000000)
    need(metrics.get("job_controller_memory_bytes") > 1000, "memory")
    need("queue explain" in metrics.help["mailserverd_channel_entries"], "the words are said where they are")


def one_channel(site, name):
    """The limits of a channel are in the rows of its jobs."""
    return rows(site, "jobs", "status", "jobs", "--channel", name)[0]


def check_status(site):
    for name, (_, (entries, _), want, jobs) in CHANNELS.items():
        (row,) = rows(site, "channel", "list", name)
        same(f"jobs of {name}", int(row["jobs"]), jobs)
        same(f"work of {name}", int(row["in_work"]), want.get("in-work", 0))
        same(f"rest of {name}", sum(int(row[key]) for key in ("in_work", "ready", "deferred", "delayed")), entries)
        need(120 <= int(row["oldest_s"]) < 1000, row)
        rest = {word: count for word, count in want.items() if word != "in-work"}
        same(f"why of {name}", {row["why"]: int(row["why_entries"])}, rest)
        same("idle", [job["state"] for job in rows(site, "jobs", "status", "jobs", "--channel", name)], ["busy"] * jobs)
    text = expect(site.command("jobs", "status"), 0).stdout
    need(re.search(r"^many +WIDE +started +- +2/2 +4/4 +6 +0 +0 +\d +(2m|1\d\ds|\d+m) +- +maxjobs \(6\)$", text, re.M), text)
    need(re.search(r"^NARROW +1 +1$", text, re.M), text)


def check_view(site):
    """effect of what waits on the view of stats"""
    text = expect(site.command("stats", "--count", "2", "--interval", "0.3"), 0).stdout
    frame = text.split("mailserverd  ")[-1]
    need(re.search(r"^many +10 +0 +0 +\S+ (s|h|d) +2/2  maxjobs 6$", frame, re.M), frame)
    need(re.search(r"^later +0 +3 +0 .* 0/\d+  due 3$", frame, re.M), frame)
    need(re.search(r"^job controller +\d+ of 1000000 entries in memory, 5 jobs$", frame, re.M), frame)


def check_stopped(site):
    """A channel that is stopped finishes what it works on, and its entries wait for that."""
    expect(site.command("channel", "stop", "later"), 0)
    same("still due", reasons(site, "later"), {"due": 3})
    expect(site.command("queue", "run", "--channel", "later", "--yes"), 0)
    need(wait_for(lambda: reasons(site, "later") == {"stopped": 3}, 30), reasons(site, "later"))
    metrics = page(site)
    same("stopped", (metrics.get("channel_stopped", channel="later"), by_reason(metrics, "later")), (1, {"stopped": 3}))


def check_limit(site):
    """What a reload gives is taken at once: two jobs more, and the entries that waited for them are in work."""
    folder = site.folder / "conf.d"
    folder.mkdir(exist_ok=True)
    (folder / "more.yaml").write_text("channels: {many: {maxjobs: 4}}\njob_controller: {pools: {NARROW: {job_limit: 2}}}\n")
    expect(site.command("reload"), 0)
    for name, want in (("many", {"in-work": 8, "maxjobs": 2}), ("pooled", {"in-work": 4, "job_limit": 5})):
        need(wait_for(lambda name=name, want=want: reasons(site, name) == want, 60, 0.1), f"{name}: {reasons(site, name)}, not {want}")
        same(name, by_reason(page(site), name), want)


def main():
    tap = Tap()
    with running(pathlib.Path(sys.argv[1]).resolve(), settings(), start=False) as site:
        script = site.folder.parent / "script"
        script.write_text("* 3600000 sent\n")
        fill(site, sys.argv[2])
        site.start({"MAILSERVERD_SCRIPT": str(script)})
        tap.run("every reason", check_reasons, site)
        tap.run("jobs status says the same", check_status, site)
        tap.run("the metrics say the same", check_metrics, site)
        tap.run("the view of stats says the same", check_view, site)
        tap.run("a channel that is stopped", check_stopped, site)
        tap.run("limits that a reload changes", check_limit, site)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
