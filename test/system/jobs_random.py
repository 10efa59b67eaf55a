#!/usr/bin/env python3
"""Random results, limits and kill -9 over several channels, hosts and classes; what the driver's log and the reports tell is held against
a model.

usage: jobs_random.py MAILSERVERD_SCRIPTED QUEUE_FILL [--seed N] [--rounds N] [--entries N] [--kills N]
"""
import argparse
import collections
import email
import email.policy
import json
import pathlib
import random
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import wait_for  # noqa: E402
from scripted import scripted  # noqa: E402
from tap import Tap, need, same  # noqa: E402

SENDER = "anna@example.org"
WINDOW, BACKOFF, NOTICE, RETURN = 3, 1, 5, 12  # seconds
FUZZ = 700000                                  # us: the driver writes its line a moment before or after what counts
CHANNELS = {"a": "P1", "b": "P1", "c": "P2"}
SCRIPT = [  # pattern, results; delays are drawn
    ("r*-1@*.example.net", "sent"),
    ("h0.example.net", "sent"),
    ("h1.example.net", "deferred,sent"),
    ("h2.example.net", "deferred,deferred=4.2.1,failed"),
    ("h3.example.net", "deferred"),
    ("h4.example.net", "failed"),
    ("h5.example.net", "deferred,deferred,sent"),
]


class Plan:
    """One run: settings, script, what is put into the queue and when the server is killed."""

    def __init__(self, seed, entries, kills):
        self.rnd = rnd = random.Random(seed)
        self.entries, self.kills = entries, kills
        self.job_limit = {"P1": rnd.randint(2, 4), "P2": rnd.randint(1, 3)}
        self.maxjobs = {name: rnd.randint(1, 3) for name in CHANNELS}
        self.script = "".join(f"{pattern} {rnd.choice((0, 0, 5, 50, 200))} {results}\n" for pattern, results in SCRIPT)
        self.sets = [f"job_controller.pools.{pool}.job_limit={limit}" for pool, limit in self.job_limit.items()]
        for name, pool in CHANNELS.items():
            self.sets += [f"channels.{name}.{key}={value}" for key, value in (
                ("driver", "scripted"), ("pool", pool), ("maxjobs", self.maxjobs[name]), ("backoff", f"[{BACKOFF}s]"),
                ("notices", f'"{NOTICE}s {RETURN}s"'), ("threaddepth", rnd.randint(1, 20)),
                ("max_client_threads", rnd.randint(1, 6)), ("filesperjob", rnd.choice((0, 10))), ("idle_timeout", rnd.choice(("0s", "1s"))),
                ("max_life_entries", rnd.choice(("none", "30"))))]
        self.sets.append(f"channels.b.after=+{WINDOW}")
        self.first = 0

    def fill(self, site, classes=("mix", "urgent", "normal")):
        """Some for each channel; each has held ones, some were tried before, some are due later."""
        for channel in CHANNELS:
            options = {"attempts": 1, "due": 1} if channel != "b" and self.rnd.random() < 0.3 else {}
            site.fill(self.entries, channel=channel, hosts=6, sender=SENDER, recipients=self.rnd.randint(1, 3), held=self.rnd.choice((7, 11)),
                      first=self.first, class_=self.rnd.choice(classes), **options)
            self.first += self.entries


def held_rows(site):
    done = site.command("queue", "list", "--held", "-o", "json")
    return {row["qid"]: row for row in map(json.loads, done.stdout.splitlines())}


def waiting(site):
    done = site.command("queue", "list", "--not-held", "-o", "json")
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- what the log must say

def check_pairs(events):
    """Never two attempts of one entry at the same time; what was settled for good is never tried again."""
    open_, over = {}, {}
    for event in events:
        if event.kind == "begin":
            need(open_.get(event.qid) != event.pid, f"a second attempt while one is under way: {event}")
            need(event.qid not in over, f"tried again behind its end: {event}")
            open_[event.qid] = event.pid
        elif event.kind == "settled":
            need(open_.pop(event.qid, None) == event.pid, f"settled without an attempt: {event}")
        elif event.kind == "result":
            over.setdefault((event.pid, event.qid), []).append(event.rest[1])
        if event.kind == "settled":
            verdicts = over.pop((event.pid, event.qid))
            if event.rest[0] == "OK" and all(verdict in ("sent", "failed") for verdict in verdicts):
                over[event.qid] = True


def check_jobs(events, plan):
    """At every moment: jobs of a channel and of a pool; entries in work at a job."""
    jobs, most = {}, collections.Counter()
    for event in events:
        if event.kind == "open":
            jobs[event.pid, event.job] = event.channel
        elif event.kind == "close":
            del jobs[event.pid, event.job]
        else:
            continue
        running = collections.Counter(name for (pid, _), name in jobs.items() if pid == event.pid)
        for name, count in running.items():
            need(count <= plan.maxjobs[name], f"{count} jobs of {name}, at most {plan.maxjobs[name]}: {event}")
            most[name] = max(most[name], count)
        for pool, limit in plan.job_limit.items():
            count = sum(running[name] for name in CHANNELS if CHANNELS[name] == pool)
            need(count <= limit, f"{count} jobs in {pool}, at most {limit}: {event}")
    return most


def check_due(events):
    """No attempt before its due time, nor before the wait that follows from the one before it."""
    last, attempts = {}, {}
    for event in events:
        if event.kind == "settled" and event.rest[0] == "OK":
            last[event.qid] = event.us
        if event.kind != "begin":
            continue
        _, tried, due, arrival, _ = map(int, event.rest)
        need(event.us + 1000 >= due, f"{due - event.us} us before it is due: {event}")
        if event.qid in last:
            settled = last.pop(event.qid)
            passed = settled - arrival
            early = min(settled + BACKOFF * 1000000, arrival + RETURN * 1000000)
            if passed <= NOTICE * 1000000 + FUZZ:  # its moment may not be behind it
                early = min(early, arrival + NOTICE * 1000000)
            if passed < RETURN * 1000000 - FUZZ:
                need(event.us + FUZZ >= early, f"{early - event.us} us before its wait is over: {event}")
            need(tried == attempts[event.qid] + 1, f"the attempt is counted {tried}, not {attempts[event.qid] + 1}: {event}")
        need(tried - attempts.get(event.qid, tried) in (0, 1), f"attempts went from {attempts.get(event.qid)} to {tried}: {event}")
        attempts[event.qid] = tried


def check_window(events):
    """Each job of b opens when a window has ended or a retry is due, and the first one does not wait longer than that."""
    mine = [event for event in events if event.channel == "b"]
    arrivals = [int(event.rest[3]) for event in mine if event.kind == "begin"]
    first = next(event for event in mine if event.kind == "open")
    due = min(arrivals) + WINDOW * 1000000
    need(first.us >= due, f"the first job came {due - first.us} us before the window's end")
    return (first.us - due) / 1e6


def final_verdicts(events):
    """Of each recipient: qid, last verdict, age of the entry at it."""
    arrivals, found = {}, {}
    for event in events:
        if event.kind == "begin":
            arrivals[event.qid] = int(event.rest[3])
        elif event.kind == "result":
            before = found.get(event.rest[0])
            need(not before or before[1] not in ("sent", "failed") or before[3] != event.pid,
                 f"{event.rest[0]} has a result behind its last one: {before}, {event}")
            found[event.rest[0]] = (event.qid, event.rest[1], event.us - arrivals[event.qid], event.pid)
    return found


def reports(site):
    """Counters of recipients by action, as the sender was told."""
    found = {"failed": collections.Counter(), "delayed": collections.Counter()}
    with site.imap("anna", timeout=60) as client:
        count = int(client.select("INBOX", readonly=True)[1][0])
        data = client.fetch("1:*", "(BODY.PEEK[2])")[1] if count else []
    for item in data:
        if isinstance(item, tuple):
            for group in re.split(rb"\r\n\r\n", item[1]):
                fields = email.message_from_bytes(group + b"\r\n\r\n", policy=email.policy.default)
                if fields["Final-Recipient"]:
                    found[str(fields["Action"])][re.sub(r"\s", "", str(fields["Final-Recipient"])).partition(";")[2]] += 1
    return found


def deferrals(events):
    """Ages at which each recipient was deferred; those of which a kill came before the driver could write that it is settled."""
    late, perhaps, open_ = collections.defaultdict(list), collections.defaultdict(list), {}
    for event in events:
        if event.kind == "begin":
            for rcpt, age in open_.pop(event.qid, (0, []))[1]:
                perhaps[rcpt].append(age)
            open_[event.qid] = (int(event.rest[3]), [])
        elif event.kind == "result" and event.rest[1] == "deferred":
            arrival, ages = open_[event.qid]
            ages.append((event.rest[0], event.us - arrival))
        elif event.kind == "settled":
            for rcpt, age in open_.pop(event.qid)[1]:
                (late if event.rest[0] == "OK" else perhaps)[rcpt].append(age)
    for _, ages in open_.values():
        for rcpt, age in ages:
            perhaps[rcpt].append(age)
    return late, perhaps


def check_ends(events, told):
    """Everybody is sent to, or returned; the sender is told once of each failure, and of a delay when there was one."""
    ends = final_verdicts(events)
    for rcpt, (_, verdict, age, _) in ends.items():
        want = 0 if verdict == "sent" else 1
        same(f"{rcpt} ({verdict}): failures told", told["failed"][rcpt], want)
        need(verdict != "deferred" or age >= RETURN * 1000000 - FUZZ, f"{rcpt} was given up at an age of {age} us")
    late, perhaps = deferrals(events)
    sure = 0
    for rcpt in ends:
        told_late = any(NOTICE * 1000000 + FUZZ <= age < RETURN * 1000000 - FUZZ for age in late[rcpt])
        may = any(NOTICE * 1000000 - FUZZ <= age for age in late[rcpt] + perhaps[rcpt])
        sure += told_late
        need(told_late <= told["delayed"][rcpt] <= may,
             f"{rcpt}: {told['delayed'][rcpt]} notices, deferred at {late[rcpt]}, perhaps at {perhaps[rcpt]}")
    return ends, sure


def check(args, seed):
    plan = Plan(seed, args.entries, args.kills)
    with scripted(args.binary, args.filler, start=False, script=plan.script, sets=plan.sets) as site:
        plan.fill(site)
        for number in range(plan.kills):
            site.start()
            time.sleep(plan.rnd.choice((0.1, 0.6, 1.5, 3)))
            site.kill()
            if number == 1:
                plan.fill(site)
        site.start()
        held = held_rows(site)
        need(wait_for(lambda: not waiting(site), 90, 0.3), f"they stay: {waiting(site)[:3]}")
        same("held", sorted(held_rows(site)), sorted(held))
        told = reports(site)
        site.stop()
        events = site.events()
        need(held and not any(event.qid in held for event in events), "a held entry was tried")
        check_pairs(events)
        most = check_jobs(events, plan)
        check_due(events)
        window = check_window(events)
        ends, late = check_ends(events, told)
        want = sum(len(row["recipients"]) for row in held.values()) + len(ends)
        verdicts = collections.Counter(end[1] for end in ends.values())
        need(len(verdicts) == 3, f"verdicts: {verdicts}")
        same("store verify", site.command("store", "verify").returncode, 0)
        return (f"{want} recipients: {dict(verdicts)}, {late} told late; most jobs {dict(most)}; first job of the deferred channel "
                f"{window:.2f} s behind its window")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("filler", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000000))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--entries", type=int, default=120)
    parser.add_argument("--kills", type=int, default=5)
    args = parser.parse_args()
    tap = Tap()
    for seed in range(args.seed, args.seed + args.rounds):
        tap.run(f"seed {seed}", check, args, seed)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
