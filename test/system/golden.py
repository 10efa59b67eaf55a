#!/usr/bin/env python3
"""Golden logs: the journal of every released format version is replayed and must give the index that it gave then.

usage: golden.py BINARY FOLDER            checks every FOLDER/v*/
       golden.py BINARY FOLDER --make v1  writes a new one (for a released version: never again)
A golden log is the segments (gzip) and what `store dump` printed of log and index.
"""
import gzip
import imaplib
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site, message, wait_for  # noqa: E402
from tap import Tap  # noqa: E402

SETS = ("store.partitions.primary.segment_size=4MiB", "store.partitions.primary.map_size=64MiB",
        "store.partitions.primary.ballast=1MiB", "server.loops=1", "store.expunge_keep=1s", "store.purge_interval=200ms")


def new_site(work, binary):
    return Site(pathlib.Path(work) / "site", binary, ("anna", "bert"), SETS).init()


def partition(site):
    return site.folder / "store/primary"


def dump(site, what):
    """Without the rows that say where this start stands."""
    text = site.run("store", "dump", f"--{what}", "-c", site.config).stdout
    return [line for line in text.splitlines() if not line.startswith("meta applied")]


def imap_work(site):
    c = site.imap("anna")
    c.create("Work")
    c.create("Work/2026")
    c.create("Gone")
    for number in range(6):
        c.append("INBOX", "(\\Seen kw%d)" % (number % 3), '"01-Feb-2026 10:00:00 +0200"', message(f"append-{number}"))
    c.append("Work", None, None, message("large", body="z" * 70 + "\r\n", extra="X-Large: yes\r\n") + b"0123456789\r\n" * 30000)
    c.select("INBOX")
    c.store("1:3", "+FLAGS", "(\\Flagged other)")
    c.store("2", "FLAGS", "(\\Draft)")
    c.copy("1:4", "Work/2026")
    c.store("3", "+FLAGS", "(\\Deleted)")
    c.expunge()
    c.append("Gone", None, None, message("gone"))
    c.close()
    c.delete("Gone")
    c.rename("Work", "Business")
    c.unsubscribe("Business/2026")
    c.logout()


def transfer_work(site):
    """Several messages in one APPEND; a MOVE of more runs of UIDs than one op names, by a plan; then all of it goes again."""
    c = site.imap("anna")
    c.create("Several")
    c.create("Bulk")
    c.create("Bulk/Half")
    data = [message(f"several-{number}", body="s" * number * 3000 + "\r\n") for number in range(20)]
    c.send(b"many APPEND Several" + b"".join(b" (\\Seen) {%d+}\r\n%s" % (len(d), d) for d in data) + b"\r\n")
    while not (line := c.readline()).startswith(b"many "):
        pass
    if not line.startswith(b"many OK [APPENDUID "):
        raise RuntimeError(f"APPEND: {line}")
    c.append("Bulk", "(kw0)", None, message("bulk"))
    while int(c.select("Bulk")[1][0]) <= 1030:
        c.copy("1:*", "Bulk")
    imaplib.Commands["MOVE"] = ("SELECTED",)
    status, _ = c.uid("MOVE", ",".join(map(str, range(1, 1030, 2))), "Bulk/Half")
    if status != "OK":
        raise RuntimeError("MOVE")
    c.select("INBOX")
    c.delete("Bulk/Half")
    c.delete("Bulk")
    c.logout()


def queue_work(site):
    """Entries that wait for room in a mailbox: tried again, held, released, returned; two stay, one of them held."""
    site.run("user", "add", "full", "--quota", "1500", "--password-file", "-", "-c", site.config, input="secret\n")
    for number in range(8):
        with site.submission("bert") as client:
            client.docmd("MAIL", "FROM:<bert@example.org>")  # without SIZE: refused by the store, not at RCPT
            client.docmd("RCPT", "TO:<full@example.org>")
            client.docmd("RCPT", "TO:<anna@example.org>")
            client.data(message(f"queue-{number}", "bert@example.org", body="q" * 76 + "\r\n" * 3))
    wait_for(lambda: len(waiting(site)) >= 4, 10)
    time.sleep(0.5)
    first, second, third, fourth = waiting(site)[:4]
    for words in (("hold", first, second, "--why", "golden"), ("release", first), ("run", first), ("return", third),
                  ("delete", fourth)):
        site.run("queue", *words, "-c", site.config)
    time.sleep(0.5)
    for qid in set(waiting(site)) - {first, second}:
        site.run("queue", "delete", qid, "-c", site.config)


def waiting(site):
    return [line.split("\t")[0] for line in site.run("queue", "list", "-o", "tsv", "-c", site.config).stdout.splitlines()]


def removal_work(site):
    """An account with a mailbox and mail goes; the janitor looks every store.purge_interval."""
    site.run("user", "add", "gone", "--password-file", "-", "-c", site.config, input="secret\n")
    with site.lmtp() as client:
        client.sendmail("x@example.net", ["gone@example.org"], message("gone"))
    site.run("user", "delete", "gone", "--now", "-c", site.config)


def stop_work(site):
    """A channel that is stopped, started, and stopped: a row stays."""
    for verb in ("stop", "start", "stop"):
        site.run("channel", verb, "store", "-c", site.config)


def make(binary, folder):
    with tempfile.TemporaryDirectory(prefix="golden-") as work:
        site = new_site(work, binary).start()
        for number in range(5):
            with site.lmtp() as client:
                client.sendmail("x@example.net", ["anna@example.org"], message(f"lmtp-{number}"))
        with site.submission("bert") as client:
            client.sendmail("bert@example.org", ["anna@example.org", "bert@example.org"], message("smtp", "bert@example.org"))
        imap_work(site)
        transfer_work(site)
        queue_work(site)
        removal_work(site)
        wait_for(lambda: " in_work=0 " in site.command("jobs", "status").stdout, 10)
        stop_work(site)
        time.sleep(3)  # expunge_keep and a purge
        site.stop()
        index = dump(site, "index")
        folder.mkdir(parents=True)
        for path in sorted((partition(site) / "journal").glob("*.seg")):
            data = path.read_bytes().rstrip(b"\0")
            if data:
                (folder / (path.name + ".gz")).write_bytes(gzip.compress(data + bytes(-len(data) % 4096), mtime=0))
        (folder / "index.txt").write_text("\n".join(index) + "\n")
        (folder / "log.txt").write_text("\n".join(dump(site, "log")) + "\n")


def check(binary, folder):
    with tempfile.TemporaryDirectory(prefix="golden-") as work:
        site = new_site(work, binary)
        shutil.rmtree(partition(site))
        (partition(site) / "journal").mkdir(parents=True)
        for path in folder.glob("*.seg.gz"):
            (partition(site) / "journal" / path.name[:-3]).write_bytes(gzip.decompress(path.read_bytes()))
        log = dump(site, "log")
        want = (folder / "log.txt").read_text().splitlines()
        if log[:len(want)] != want:
            raise RuntimeError("the log reads differently: " + next(b for a, b in zip(want, log + [""]) if a != b))
        site.run("store", "rebuild", "-c", site.config)
        index = dump(site, "index")
        want = (folder / "index.txt").read_text().splitlines()
        if index != want:
            lines = sorted(set(index) ^ set(want))
            raise RuntimeError(f"{len(lines)} rows differ, for example: {lines[0]}")
        site.run("store", "verify", "-c", site.config)
        kinds = {m[1] for m in re.finditer(r"^  (\w+) v\d", (folder / "log.txt").read_text(), re.M)}
        return f"{len(log)} lines of log, {len(index)} rows, ops: {' '.join(sorted(kinds))}"


def main():
    binary, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    if "--make" in sys.argv:
        make(binary, folder / sys.argv[sys.argv.index("--make") + 1])
        return 0
    tap = Tap()
    for version in sorted(folder.glob("v*")):
        tap.run(f"golden log {version.name}", check, binary, version)
    return tap.end()


sys.exit(main())
