"""bench/run --imap-compare: the IMAP rows over one connection, of this server and of Debian's Dovecot 2.3 beside it.

Each server is filled with the same mail by the same generator: INBOX of 10,000 messages of 4 KB with two parts, "Big" of 100,000
small ones. A row is one command over all of INBOX, repeated; the figure is the median. "cold" is the first command after the
server was stopped, its files dropped from the page cache, and it was started again.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from dovecot import Dovecot, Unavailable, unpack
from msite import PASSWORD, Site

MESSAGES, BIG, WRITERS = 10000, 100000, 20
FIELDS = "DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES IN-REPLY-TO CONTENT-TYPE"


class Row:
    """commands take turns; target: how many times Dovecot's figure; floor: Dovecot's figure as it was once measured."""

    def __init__(self, name, commands, target, kind="items", cold=False, mailbox="INBOX", limit_ms=None, rival="dovecot"):
        self.name, self.commands, self.target, self.kind, self.cold = name, commands, target, kind, cold
        self.mailbox, self.limit_ms, self.rival = mailbox, limit_ms, rival


ROWS = [
    Row("fetch flags", ["FETCH 1:* (FLAGS)"], 3, cold=True),
    Row("fetch envelope", ["FETCH 1:* (ENVELOPE)"], 5, cold=True),
    Row("fetch bodystructure", ["FETCH 1:* (BODYSTRUCTURE)"], 3, cold=True),
    Row("fetch header fields", [f"FETCH 1:* (BODY.PEEK[HEADER.FIELDS ({FIELDS})])"], 3, cold=True),
    Row("fetch whole header", ["FETCH 1:* (BODY.PEEK[HEADER])"], 4, cold=True),
    Row("fetch body", ["FETCH 1:* (BODY.PEEK[])"], 3, cold=True),
    Row("select 100,000", ["SELECT Big"], None, kind="ms", cold=True, limit_ms=1),
    Row("store a flag", ["STORE 1:* +FLAGS.SILENT (\\Flagged)", "STORE 1:* -FLAGS.SILENT (\\Flagged)"], 1, kind="messages",
        rival="dovecot, no flush"),
    Row("copy", ["COPY 1:* Copies"], 3, kind="messages"),
    Row("login, 1 connection", None, 5, kind="login"),
    Row("login, 20 connections", None, 5, kind="login"),
    Row("append 4 KB, 20 connections", None, 5, kind="append"),
]
WRITE_KINDS = ("messages", "append")


def load(args, server, *words):
    """One run of the generator; its JSON."""
    done = subprocess.run([str(args.build / "bench/load"), "--proto", "imap", "--port", str(server.base + 143), "--password", PASSWORD,
                           "--timeout", "300", "-o", "json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode or not done.stdout:
        sys.exit(f"load {' '.join(words)}: exit status {done.returncode}\n{done.stderr}\n{server.tail()}")
    return json.loads(done.stdout)


def fill(args, server, big):
    client = server.imap("user1")
    for name in ("Big", "Copies"):
        client.create(name)
    client.logout()
    to_one = ("--mode", "append", "--user", "user1", "--connections", str(WRITERS))
    load(args, server, *to_one, "--messages", str(MESSAGES), "--size", "4096", "--multipart")
    if big:
        load(args, server, *to_one, "--messages", str(BIG), "--size", "400", "--mailbox", "Big")


def clear_copies(server):
    client = server.imap("user1")
    client.delete("Copies")
    client.create("Copies")
    client.logout()


def commands(args, server, row, runs):
    words = ["--mode", "command", "--user", "user1", "--mailbox", row.mailbox, "--messages", str(runs)]
    for line in row.commands:
        words += ["--command", line]
    return load(args, server, *words)


def figure(row, result):
    """Median: operations of 10,000 messages become messages a second."""
    seconds = result["p50_ms"] / 1000
    if row.kind == "ms":
        return {"value": result["p50_ms"]}
    found = {"value": round(MESSAGES / seconds) if seconds else 0}
    if row.kind == "items":
        if result["items"] != MESSAGES * result["messages"]:
            sys.exit(f"{row.name}: {result['items']} responses in {result['messages']} runs")
        found["mb_per_second"] = round(result["bytes"] / result["messages"] / seconds / 1e6, 1)
    return found


def rate(args, server, row):
    """login, append: a closed loop for a while."""
    connections = 1 if "1 connection" in row.name and "20" not in row.name else WRITERS
    words = ["--mode", row.kind, "--user", "user%d", "--users", str(WRITERS), "--connections", str(connections),
             "--seconds", str(args.seconds)]
    if row.kind == "append":
        words += ["--size", "4096", "--multipart", "--mailbox", "INBOX"]
    result = load(args, server, *words)
    return {"value": round(result["per_second"]), "client": client_share(result)}


def client_share(result):
    """How much of a core the generator used: near 1 it is the generator that is measured."""
    return round(result["generator_cpu_us"] * result["messages"] / 1e6 / max(result["seconds"], 1e-9), 2)


def warm(args, server, row):
    if row.kind in ("login", "append"):
        return rate(args, server, row)
    runs = 5 if row.name == "copy" else args.runs
    result = commands(args, server, row, runs)
    if row.name == "copy":
        clear_copies(server)
    return {**figure(row, result), "client": client_share(result)}


def drop_from_cache(folder):
    os.sync()
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        pass


def cold(args, server, folder, row):
    found = []
    for _ in range(args.cold_runs):
        server.stop()
        drop_from_cache(folder)
        server.start()
        found.append(figure(row, commands(args, server, row, 1))["value"])
    return round(statistics.median(found), 3)


def measure(args, server, folder, rows, whole):
    """{row name: {"value", "cold", ...}}"""
    found = {}
    for row in rows:
        found[row.name] = warm(args, server, row)
        if whole and row.cold and args.cold_runs:
            found[row.name]["cold"] = cold(args, server, folder, row)
    return found


def servers(args, work, rows):
    """name, server, its folder, its rows: made and filled one at a time, so that none has another's load."""
    folder = pathlib.Path(work) / "ours"
    site = Site(folder, args.build / "src/app/mailserverd", [f"user{n}" for n in range(1, WRITERS + 1)]).init()
    yield "mailserverd", site, folder, rows
    if args.ours_only:
        return
    root = unpack(args.dovecot or pathlib.Path(work) / "dovecot")
    for name, fsync in (("dovecot", "optimized"), ("dovecot, no flush", "never")):
        some = rows if fsync == "optimized" else [row for row in rows if row.kind in WRITE_KINDS]
        folder = pathlib.Path(work) / ("dv-" + fsync)
        if some:
            yield name, Dovecot(folder, root, fsync=fsync).init(), folder, some


def number(value):
    return "-" if value is None else f"{value:,.2f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def show(rows, found):
    print(f"{'':28} {'mailserverd':>12} {'cold':>10} {'MB/s':>7} {'client':>6} {'dovecot':>10} {'cold':>10} {'no flush':>10} "
          f"{'times':>6} {'cold':>6} {'wanted':>6}")
    for row in rows:
        ours, theirs, loose = (found.get(name, {}).get(row.name, {}) for name in ("mailserverd", "dovecot", "dovecot, no flush"))
        rival = (loose if row.rival == "dovecot, no flush" else theirs).get("value")
        invert = row.kind == "ms"

        def times(a, b):
            return "" if not a or not b else f"{b / a if invert else a / b:.1f}"
        wanted = f"{row.limit_ms} ms" if row.limit_ms else str(row.target)
        print(f"{row.name:28} {number(ours.get('value')):>12} {number(ours.get('cold')):>10} {number(ours.get('mb_per_second')):>7} "
              f"{ours.get('client', 0):>6} {number(theirs.get('value')):>10} {number(theirs.get('cold')):>10} "
              f"{number(loose.get('value')):>10} {times(ours.get('value'), rival):>6} "
              f"{times(ours.get('cold'), theirs.get('cold')):>6} {wanted:>6}")


def idle(args):
    """IDLE of this server, by its system test at full figures; an error there ends the run."""
    done = subprocess.run([sys.executable, str(args.root / "test/system/imap_idle.py"), str(args.build / "src/app/mailserverd"),
                           "--messages", "5000", "--sessions", "2000", "--many", "10000"], stdout=subprocess.PIPE, text=True)
    lines = [line.partition(" - ")[2] for line in done.stdout.splitlines() if line.startswith(("ok", "not ok"))]
    print("\n".join(lines))
    if done.returncode:
        sys.exit(done.stdout)
    return lines


def main(args):
    rows = [row for row in ROWS if args.only in row.name]
    found = {}
    with tempfile.TemporaryDirectory(prefix="bench-imap-", dir=args.dir) as work:
        try:
            for name, server, folder, some in servers(args, work, rows):
                server.start()
                try:
                    fill(args, server, big=any(row.name.startswith("select") for row in some))
                    found[name] = measure(args, server, folder, some, whole=name != "dovecot, no flush")
                finally:
                    server.kill()
                shutil.rmtree(folder)
        except Unavailable as e:
            print(f"no Dovecot to compare with: {e}", file=sys.stderr)
    show(rows, found)
    if not args.only:
        found["idle"] = idle(args)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0
