#!/usr/bin/env python3
"""What operators see of the job controller: jobs status, queue explain, queue shape, on the real server.

usage: watch_jobs.py BINARY
"""
import datetime
import http.client
import json
import pathlib
import re
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import promtext  # noqa: E402
from msite import message, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

EX_OK, EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE = 0, 64, 66, 69
ANNA, BERT = "anna@example.org", "bert@example.org"


def rows(site, *words, code=EX_OK):
    return [json.loads(line) for line in expect(site.command(*words, "-o", "json"), code).stdout.splitlines()]


def text(site, *words, code=EX_OK):
    return expect(site.command(*words), code).stdout


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def send(site, ids, sender="a@example.net", body="hello\r\n"):
    with smtplib.SMTP("127.0.0.1", site.base + 25, timeout=60) as client:
        for i in ids:
            client.sendmail(sender, [ANNA, BERT], message(i, body=body))


def queued(site, count, *words):
    """The ids of the queue, when there are so many: an answer to DATA comes when a message is durable, it is seen a moment later."""
    def ids():
        return [row["qid"] for row in rows(site, "queue", "list", *words)]
    need(wait_for(lambda: len(ids()) == count, 60), f"{len(ids())} entries, not {count}")
    return ids()


def stop(site, channel="store"):
    expect(site.command("channel", "stop", channel), EX_OK)


def start(site, channel="store"):
    expect(site.command("channel", "start", channel), EX_OK)


def empty(site):
    expect(site.command("queue", "delete", "--all", "--yes"), EX_OK)


def page(site):
    client = http.client.HTTPConnection("127.0.0.1", site.base + 470, timeout=30)
    try:
        client.request("GET", "/metrics")
        return promtext.Page(client.getresponse().read().decode())
    finally:
        client.close()


# -- jobs status
def columns(line):
    """Where the words of a table's heading end and begin: each value below must touch one of them."""
    return [(m.start(), m.end()) for m in re.finditer(r"\S+(?: \S+)*", line)]


def check_table(lines):
    heads = columns(lines[0])
    for line in lines[1:]:
        cells = columns(line)
        same(f"cells of {line!r}", len(cells), len(heads))
        for (a, b), (c, d) in zip(cells, heads):
            need(a == c or b == d, f"{line!r} is not below {lines[0]!r}")


def check_status(binary):
    """Twenty channels and a job: tables that a person can read, and rows for programs."""
    names = ["store"] + [f"channel_of_some_length_{i}"[:8 + i] for i in range(1, 20)]
    sets = ["server.loops=2", "job_controller.pools.BULK.job_limit=3", "channels.store.idle_timeout=1h"]
    for name in names[1:]:
        sets += [f"channels.{name}.driver=store", f"channels.{name}.pool=BULK"]
    with running(binary, sets) as site:
        send(site, ["one"])
        need(wait_for(lambda: [row["state"] for row in rows(site, "jobs", "status", "jobs")] == ["idle"], 30), "a job that lingers")
        pools, channels, jobs = text(site, "jobs", "status").split("\n\n")
        for part, head, count in ((pools, "POOL", 2), (channels, "CHANNEL", 20), (jobs, "JOB", 1)):
            lines = part.splitlines()
            same("head", lines[0].split()[0], head)
            same("lines", len(lines), count + 1)
            check_table(lines)
        need(re.search(r"^store +STORE +started +- +1/\d+ +0/\d+ +0 +0 +0 +0 +- +- +-$", channels, re.M), channels)
        need(re.search(r"^ *\d+ +store +loop\d +idle +0/\d+ +1 +\d+s +\d+s$", jobs, re.M), jobs)
        kinds = [row["row"] for row in rows(site, "jobs", "status")]
        same("rows", kinds, ["pool"] * 2 + ["channel"] * 20 + ["job"])
        same("one channel", [(row["row"], row.get("channel", row.get("pool"))) for row in rows(site, "jobs", "status", "--channel", "store")],
             [("pool", "STORE"), ("channel", "store"), ("job", "store")])
        same("its row", [row["channel"] for row in rows(site, "channel", "list", names[3])], [names[3]])
        same("pools", [row["pool"] for row in rows(site, "jobs", "status", "pools")], ["STORE", "BULK"])
        tsv = text(site, "jobs", "status", "channels", "-o", "tsv").splitlines()
        same("tsv", {len(line.split("\t")) for line in tsv}, {len(rows(site, "channel", "list")[0])})
        (store,) = rows(site, "channel", "list", "store")
        same("threads", int(store["threads"]), int(rows(site, "jobs", "status", "jobs")[0]["max_client_threads"]))
        expect(site.command("jobs", "status", "--channel", "nowhere"), EX_NOINPUT, 'there is no channel "nowhere"')
        expect(site.command("jobs", "status", "everything"), EX_USAGE)
        expect(site.command("jobs", "status", "pools", "jobs"), EX_USAGE)
        expect(site.command("channel", "list", "a", "b"), EX_USAGE)


# -- queue explain
def why(site, qid):
    (row,) = rows(site, "queue", "explain", qid)
    return row


def check_waiting(site):
    """Stopped, held; ids short and long, several, missing, by what they are."""
    stop(site)
    send(site, ["a", "b"])
    first, second = queued(site, 2)
    row = why(site, first)
    since = rows(site, "channel", "list")[0]["since"][:19] + "Z"
    same("row", (row["why"], row["text"], row["class"], row["pending"], row["attempts"], row["until"], row["reason"]),
         ("stopped", f"channel store is stopped since {since}", "normal", "2", "0", "-", ""))
    need(abs(seconds(row["return"]) - seconds(row["arrival"]) - 12 * 86400) < 1, row)  # the last of the notices
    need(abs(seconds(row["notice"]) - seconds(row["arrival"]) - 3 * 86400) < 1, row)
    expect(site.command("queue", "hold", second, "--why", "a flood\u0007, see ticket 17"), EX_OK)
    row = why(site, second)
    same("held", (row["why"], row["return"], row["notice"]), ("held", "-", "-"))
    need("ticket 17" in row["reason"], row)
    lines = text(site, "queue", "explain", first, second).splitlines()
    same("first", lines[0], f"{first}  stopped: channel store is stopped since {since}")
    need(re.fullmatch(r"    channel store, class normal, 2 recipients, here since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[1]), lines[1])
    need(re.fullmatch(r"    if it goes on failing, it is given up at \S+Z; its sender hears of the delay at \S+Z", lines[2]), lines[2])
    same("second", lines[3], f"{second}  held: it is held until it is released")
    same("nothing for the terminal", lines[5], "    reason: a flood?, see ticket 17")
    epoch, loop, number = (int(part, 16) for part in first.split("-"))
    same("long", why(site, f"{epoch:016x}{loop:04x}{number:012x}")["id"], first)
    done = expect(site.command("queue", "explain", first, "1-1-fffff", second, "-o", "json"), EX_NOINPUT, "1-1-fffff: not in the queue")
    same("the others", [json.loads(line)["id"] for line in done.stdout.splitlines()], [first, second])
    same("chosen", [row["id"] for row in rows(site, "queue", "explain", "--held")], [second])
    same("the first", [row["id"] for row in rows(site, "queue", "explain", "--limit", "1")], [first])
    same("none", rows(site, "queue", "explain", "--sender", "nobody@*"), [])
    expect(site.command("queue", "explain", "--sender", "nobody@*", "--fail-if-empty"), 1)
    empty(site)
    start(site)


def check_failed(binary):
    """Tried and failed: how often, why, when again, when given up. An empty sender hears of nothing."""
    with running(binary, ("server.loops=2", "channels.store.backoff=1h", "channels.store.notices=2h 3h")) as site:
        for sender in ("a@example.net", ""):
            expect(site.command("user", "set", BERT, "--status", "hold"), EX_OK)
            send(site, ["x"], sender)
            (qid,) = queued(site, 1, "--held")
            expect(site.command("user", "set", BERT, "--status", "inactive"), EX_OK)
            expect(site.command("queue", "release", qid), EX_OK)
            need(wait_for(lambda: why(site, qid)["attempts"] == "1" and why(site, qid)["why"] == "due", 30), why(site, qid))
            row = why(site, qid)
            need(row["reason"].startswith("4."), row)
            same("whom", (row["rcpt"], row["pending"]), (BERT, "1"))
            need(0 < seconds(row["until"]) - seconds(row["tried"]) - 3600 < 60, row)
            need(row["text"].startswith("it was tried 1 time, the next attempt is at ") and "(in 59m)" in row["text"], row["text"])
            same("age", round(seconds(row["return"]) - seconds(row["arrival"])), 3 * 3600)
            same("notice", row["notice"] == "-", not sender)
            human = text(site, "queue", "explain", qid)
            need(re.search(rf"^    last failure: 4\.\S+ .* <{BERT}>$", human, re.M) and ", tried last " in human, human)
            same("deferred", len(rows(site, "queue", "list", "--deferred")), 1)
            same("chosen", [row["id"] for row in rows(site, "queue", "explain", "--reason", "^4")], [qid])
            (channel,) = rows(site, "channel", "list", "store")
            same("channel", (channel["delayed"], channel["ready"]), ("1", "0"))
            same("next", channel["next"], row["until"])
            stop(site)
            since = rows(site, "channel", "list")[0]["since"][:19] + "Z"
            row = why(site, qid)
            same("still due", (row["why"], row["until"]), ("due", channel["next"]))
            need(row["text"].endswith(f", but channel store is stopped since {since}"), row["text"])
            start(site)
            need("stopped" not in why(site, qid)["text"], "started")
            need(re.search(r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  due \(1\)$", text(site, "channel", "list", "store"), re.M), "a time without fractions")
            empty(site)


def check_deferred(binary):
    """The first deferral that ends starts the job for all, whatever class it is of; a restart does not move it."""
    with running(binary, ("server.loops=2", "channels.store.normalafter=+1200", "channels.store.urgentafter=+600")) as site:
        send(site, ["n"])
        (first,) = queued(site, 1)
        with smtplib.SMTP("127.0.0.1", site.base + 25, timeout=60) as client:
            client.sendmail("a@example.net", [ANNA], message("u", extra="Priority: Urgent\r\n"))
        urgent = [qid for qid in queued(site, 2) if qid != first][0]
        need(wait_for(lambda: why(site, urgent)["why"] == "deferred", 30), why(site, urgent))
        ends = why(site, urgent)["until"]
        need(abs(seconds(ends) - seconds(why(site, urgent)["arrival"]) - 600) < 1, ends)

        def deferred_alike():
            return [why(site, qid)[key] for qid in (first, urgent) for key in ("why", "until")] == ["deferred", ends] * 2
        need(deferred_alike(), (why(site, first), ends))
        need(re.match(r"by the \*after keywords of channel store no job is started before \S+Z \(in (9|10)m\); ", why(site, first)["text"]), why(site, first))
        (channel,) = rows(site, "channel", "list", "store")
        same("channel", (channel["ready"], channel["deferred"], channel["next"], channel["why"]), ("0", "2", ends, "deferred"))
        site.kill()
        site.start()
        need(wait_for(deferred_alike, 30), (why(site, first), why(site, urgent), ends))


def check_size(binary):
    """The class is what the size allows."""
    with running(binary, ("server.loops=2", "channels.store.normalblocklimit=1")) as site:
        stop(site)
        send(site, ["large"], body="x\r\n" * 2000)
        (qid,) = queued(site, 1)
        row = why(site, qid)
        same("class", (row["class"], row["class_by_size"]), ("nonurgent", "yes"))
        need(int(row["size"]) > 6000, row)
        need("class nonurgent (no higher one for its size)" in text(site, "queue", "explain", qid), "the words")


def check_untracked(binary):
    """More than max_messages; a channel that is no longer configured."""
    sets = ("server.loops=2", "job_controller.max_messages=100", "route.local_channel=store")
    with running(binary, sets) as site:
        stop(site)
        send(site, [f"m{i}" for i in range(103)])
        ids = queued(site, 103)
        reasons = [row["why"] for row in rows(site, "queue", "explain", *ids)]
        same("reasons", (reasons.count("stopped"), reasons.count("behind")), (100, 3))
        need("(max_messages 100)" in why(site, ids[reasons.index("behind")])["text"], "the number")
        lines = text(site, "channel", "list").splitlines()
        need(lines[1].startswith("store* ") and lines[-1].startswith("* more entries wait"), lines)
        same("complete", rows(site, "channel", "list", "store")[0]["complete"], "no")
        metrics = wait_for(lambda: (lambda p: p.get("queue_messages", channel="store", state="due") == 103 and p)(page(site)), 60, 0.2)
        need(metrics, "all are counted in the background")
        same("the scheduler's", (metrics.total("channel_entries", channel="store"), metrics.get("job_controller_entries"),
                                 metrics.get("job_controller_max_messages"), metrics.get("channel_incomplete", channel="store")),
             (100, 100, 100, 1))
        config = site.config.read_text()
        need(re.search(r"^  store:", config, re.M), config)
        changed = re.sub(r"^  store:", "  store2:", config, count=1, flags=re.M).replace("local_channel: store", "local_channel: store2")
        site.config.write_text(changed)
        expect(site.command("reload"), EX_OK)
        row = why(site, ids[0])
        same("gone", (row["why"], row["return"]), ("no-channel", "-"))
        need("store is not in the configuration" in row["text"], row)
        same("state", rows(site, "channel", "list", "store")[0]["state"], "removed")
        site.config.write_text(config)
        expect(site.command("reload"), EX_OK)
        need(rows(site, "channel", "list", "store")[0]["state"] in ("started", "stopped"), "it is back")


# -- queue shape
def shape(site, *words):
    return {row["domain"]: row for row in rows(site, "queue", "shape", *words)}


def check_shape(site):
    """By recipients and by senders, other buckets, the first rows; long and strange names."""
    stop(site)
    long = "x" * 40 + ".example.net"
    for sender, count in (("a@Example.NET", 3), ("", 2), (f"a@{long}", 1)):
        send(site, [f"s{i}" for i in range(count)], sender)
    queued(site, 6)
    same("recipients", [(name, row["T"]) for name, row in shape(site).items()], [("TOTAL", "12"), ("example.org", "12")])
    by = shape(site, "--by-sender")
    same("senders", [(name, row["T"]) for name, row in by.items()], [("TOTAL", "6"), ("example.net", "3"), ("<>", "2"), (long, "1")])
    same("letters", shape(site, "-s"), by)
    same("rows", list(shape(site, "-s", "--rows", "1")), ["TOTAL", "example.net"])
    lines = text(site, "queue", "shape", "-s").splitlines()
    same("one width", {len(line) for line in lines}, {30 + 11 * 7})
    need(lines[-1].startswith("+" + long[-29:] + " "), lines[-1])
    same("doubled", text(site, "queue", "shape", "-b", "4", "-t", "3").splitlines()[0].split(), "T 3 6 12 12+".split())
    same("linear", text(site, "queue", "shape", "--linear", "--buckets", "4", "--minutes", "3").splitlines()[0].split(), "T 3 6 9 9+".split())
    same("one", [value for name, value in shape(site, "-b", "1")["TOTAL"].items() if name != "domain"], ["12", "12"])
    same("held", shape(site, "--held")["TOTAL"]["T"], "0")
    same("deferred", shape(site, "--deferred")["TOTAL"]["T"], "0")
    for words in (("-b", "0"), ("-b", "41"), ("-t", "0"), ("-t", "x"), ("--rows", "0"), ("-x",)):
        expect(site.command("queue", "shape", *words), EX_USAGE)
    for words in (("queue", "list", "-s"), ("queue", "list", "--by-sender"), ("queue", "hold", "--all", "--rows", "1")):
        expect(site.command(*words), EX_USAGE)
    empty(site)
    start(site)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    tap.run("jobs status", check_status, binary)
    with running(binary, ("server.loops=2",)) as site:
        tap.run("what waits is explained", check_waiting, site)
        tap.run("the shape of the queue", check_shape, site)
    tap.run("what failed is explained", check_failed, binary)
    tap.run("a deferral is explained, over kill -9", check_deferred, binary)
    tap.run("a class by size is explained", check_size, binary)
    tap.run("what is not tracked is explained", check_untracked, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
