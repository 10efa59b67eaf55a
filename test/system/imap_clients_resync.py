#!/usr/bin/env python3
"""A client with a cache that comes back: CONDSTORE (RFC 7162 3.1) and QRESYNC (3.2) by hand. Two sessions change a mailbox at random while
the client is away; what it learns from SELECT (QRESYNC ...), or from FETCH (CHANGEDSINCE) and UID SEARCH, must make its cache equal to the
mailbox, and it must not be told of what it knows.

usage: imap_clients_resync.py BINARY [--rounds N] [--messages N] [--seed S]
"""
import argparse
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from imap_wire import No, Wire, parse  # noqa: E402
from msite import PASSWORD, message, running  # noqa: E402
from tap import Tap  # noqa: E402

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Label1", "Key"]


def numbers(text):
    """The numbers of a sequence set."""
    found = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        found.update(range(min(int(first), int(last or first)), max(int(first), int(last or first)) + 1))
    return found


def as_set(values):
    """The shortest sequence set."""
    out, values = [], sorted(values)
    while values:
        last = 0
        while last + 1 < len(values) and values[last + 1] == values[0] + last + 1:
            last += 1
        out.append(str(values[0]) if last == 0 else f"{values[0]}:{values[last]}")
        values = values[last + 1:]
    return ",".join(out)


def fetched(responses):
    """{uid: (flags, modseq)} of FETCH responses; every one must have UID and MODSEQ."""
    found = {}
    for said in responses:
        head = re.match(rb"\* \d+ FETCH ", said)
        if head:
            pairs = parse(said[head.end():])[0]
            item = dict(zip(pairs[::2], pairs[1::2]))
            found[int(item[b"UID"])] = (frozenset(flag for flag in item[b"FLAGS"] if flag != b"\\Recent"), int(item[b"MODSEQ"][0]))
    return found


def vanished(responses, earlier):
    want = rb"\* VANISHED (?:\(EARLIER\) )?(.*)" if earlier is None else rb"\* VANISHED \(EARLIER\) (.*)" if earlier else rb"\* VANISHED (\d.*)"
    found = set()
    for said in responses:
        match = re.fullmatch(want, said)
        if match:
            found |= numbers(match[1].decode())
    return found


def code(responses, name):
    for said in responses:
        found = re.search(rb"\[" + name + rb" (\d+)", said)
        if found:
            return int(found[1])
    raise RuntimeError(f"no {name} in {responses[:8]}")


class Cache:
    """What the client knows: UIDs with flags and modification sequences, and how far it has seen."""

    def __init__(self, validity):
        self.validity, self.seen, self.rows = validity, 0, {}

    def learn(self, changed, gone, highest):
        for uid in gone:
            self.rows.pop(uid, None)
        self.rows.update(changed)
        self.seen = highest


class World:
    """The mailbox, its truth read by a session without extensions, and two sessions that change it."""

    def __init__(self, site, seed, count):
        self.site, self.r, self.serial = site, random.Random(seed), 0
        self.writers = [Wire(site.base + 143, "anna", PASSWORD) for _ in range(2)]
        self.can_move = b" MOVE" in self.writers[0].command("CAPABILITY")[0]
        for _ in range(count):
            self.append()
        for client in self.writers:
            client.command("SELECT INBOX")

    def append(self):
        self.serial += 1
        flags = self.r.sample(FLAGS, self.r.randint(0, 3))
        self.r.choice(self.writers).append("INBOX", message(f"m{self.serial}"), " ".join(flags))

    def uids(self):
        client = self.writers[0]
        client.command("NOOP")
        return client.search("ALL", uid=True)

    def change(self):
        """One random change of the mailbox."""
        client, uids = self.r.choice(self.writers), self.uids()
        some = as_set(self.r.sample(uids, min(len(uids), self.r.choice([1, 1, 3, 20])))) if uids else None
        what = self.r.randint(0, 9)
        if what < 2 or not some:
            self.append()
        elif what < 7:
            client.command(f"UID STORE {some} {self.r.choice('+-')}FLAGS.SILENT ({' '.join(self.r.sample(FLAGS, 2))})")
        elif what < 9:
            client.command(f"UID STORE {some} +FLAGS.SILENT (\\Deleted)")
            client.command(f"UID EXPUNGE {some}")
        else:
            client.command(f"UID MOVE {some} Archive" if self.can_move and self.r.random() < 0.5 else f"UID COPY {some} INBOX")

    def truth(self):
        """{uid: flags} as a plain client sees it."""
        client = Wire(self.site.base + 143, "anna", PASSWORD)
        client.command("EXAMINE INBOX")
        rows = client.fetch("1:*", "(UID FLAGS)") if self.uids() else {}
        client.logout()
        return {int(row["UID"]): frozenset(flag for flag in row["FLAGS"] if flag != b"\\Recent") for row in rows.values()}

    def check(self, cache, how):
        truth = self.truth()
        have = {uid: flags for uid, (flags, _) in cache.rows.items()}
        if have != truth:
            wrong = {uid for uid in truth.keys() | have.keys() if truth.get(uid) != have.get(uid)}
            uid = min(wrong)
            raise RuntimeError(f"{how}: {len(wrong)} messages are wrong, {uid}: {have.get(uid)}, really {truth.get(uid)}")


def by_qresync(world, cache, known):
    """SELECT with what is known; `known`: the UIDs go along (RFC 7162 3.2.5.1)."""
    client = Wire(world.site.base + 143, "anna", PASSWORD)
    if b"QRESYNC" not in client.command("ENABLE QRESYNC")[0]:
        raise RuntimeError("ENABLE QRESYNC is not answered")
    uids = f" {as_set(cache.rows)}" if known and cache.rows else ""
    said = client.command(f"SELECT INBOX (QRESYNC ({cache.validity} {max(1, cache.seen)}{uids}))" if cache.seen else "SELECT INBOX")
    if cache.seen == 0:
        said += client.command("FETCH 1:* (UID FLAGS MODSEQ)") if world.uids() else []
    changed, gone = fetched(said), vanished(said, True)
    for uid, (_, modseq) in changed.items():
        if cache.seen and modseq <= cache.seen:
            raise RuntimeError(f"told of {uid} again: modseq {modseq}, the client has {cache.seen}")
    if uids:  # only these are reported on; what is new has to be asked for
        if not gone | changed.keys() <= cache.rows.keys():
            raise RuntimeError(f"told of UIDs that the client does not have: {sorted((gone | changed.keys()) - cache.rows.keys())[:5]}")
        new = fetched(client.command(f"UID FETCH {max(cache.rows) + 1}:* (FLAGS MODSEQ)")) if world.uids() else {}
        changed.update({uid: row for uid, row in new.items() if uid > max(cache.rows)})
    if gone & changed.keys():
        raise RuntimeError("VANISHED and FETCH of one message")
    cache.learn(changed, gone, code(said, b"HIGHESTMODSEQ"))
    client.logout()


def by_condstore(world, cache):
    """The way of a client that has CONDSTORE only (RFC 4549 6.1)."""
    client = Wire(world.site.base + 143, "anna", PASSWORD)
    said = client.command("SELECT INBOX (CONDSTORE)")
    highest = code(said, b"HIGHESTMODSEQ")
    changed = fetched(client.command(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {max(1, cache.seen)})")) if world.uids() else {}
    if any(modseq <= cache.seen for _, modseq in changed.values() if cache.seen > 1):
        raise RuntimeError("CHANGEDSINCE tells what is old")
    there = set(client.search("ALL", uid=True) or [])
    cache.learn(changed, cache.rows.keys() - there, highest)
    client.logout()


def by_fetch_vanished(world, cache):
    """UID FETCH (CHANGEDSINCE n VANISHED) in a session that did not say what it knows (RFC 7162 3.2.6)."""
    client = Wire(world.site.base + 143, "anna", PASSWORD)
    client.command("ENABLE QRESYNC")
    highest = code(client.command("SELECT INBOX"), b"HIGHESTMODSEQ")
    said = client.command(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {max(1, cache.seen)} VANISHED)")
    cache.learn(fetched(said), vanished(said, True), highest)
    client.logout()


def resync(site, rounds, count, seed):
    world = World(site, seed, count)
    client = Wire(site.base + 143, "anna", PASSWORD)
    validity = code(client.command("EXAMINE INBOX"), b"UIDVALIDITY")
    client.logout()
    ways = {"QRESYNC with UIDs": lambda c: by_qresync(world, c, True), "QRESYNC": lambda c: by_qresync(world, c, False),
            "CONDSTORE": lambda c: by_condstore(world, c), "FETCH VANISHED": lambda c: by_fetch_vanished(world, c)}
    caches = {way: Cache(validity) for way in ways}
    for number in range(rounds):
        for _ in range(world.r.choice([0, 1, 5, 30])):
            world.change()
        if number == rounds // 2:  # the numbers outlive the process
            for writer in world.writers:
                writer.close()
            site.kill()
            site.start()
            world.writers = [Wire(site.base + 143, "anna", PASSWORD) for _ in range(2)]
            for writer in world.writers:
                writer.command("SELECT INBOX")
        for way, run in ways.items():
            if number == 0 or world.r.random() < 0.7:
                run(caches[way])
                world.check(caches[way], f"round {number}, {way}")
    return f"{rounds} rounds, {world.serial} messages, {len(ways)} ways"


def live(site):
    """A session with QRESYNC hears of another's changes as VANISHED and FETCH with MODSEQ, in IDLE too."""
    reader, writer = (Wire(site.base + 143, "bert", PASSWORD) for _ in range(2))
    for number in range(10):
        writer.append("INBOX", message(f"l{number}"))
    reader.command("ENABLE QRESYNC")
    cache = Cache(0)
    said = reader.command("SELECT INBOX")
    cache.learn(fetched(reader.command("FETCH 1:* (UID FLAGS MODSEQ)")), (), code(said, b"HIGHESTMODSEQ"))
    writer.command("SELECT INBOX")
    writer.command("UID STORE 2:3 +FLAGS (\\Seen)")
    writer.command("UID STORE 4,7 +FLAGS.SILENT (\\Deleted)")
    writer.command("EXPUNGE")
    heard = reader.command("NOOP")
    cache.learn(fetched(heard), vanished(heard, False), cache.seen)
    if sorted(cache.rows) != [1, 2, 3, 5, 6, 8, 9, 10] or cache.rows[2][0] != {b"\\Seen"} or any(b"EXPUNGE" in said for said in heard):
        raise RuntimeError(f"NOOP: {heard}")
    reader.start("IDLE")
    reader.response()
    writer.command("UID STORE 9 +FLAGS (\\Flagged)")
    said = reader.response()
    if fetched([said])[9][0] != {b"\\Flagged"}:
        raise RuntimeError(f"IDLE: {said}")
    writer.command("UID STORE 10 +FLAGS.SILENT (\\Deleted)")
    writer.command("UID EXPUNGE 10")
    heard = [reader.response()]
    while not vanished(heard, False):
        heard.append(reader.response())
    if vanished(heard, False) != {10}:
        raise RuntimeError(f"IDLE: {heard}")
    reader.sock.sendall(b"DONE\r\n")
    reader.until(b"t%d" % reader.tag)


def unchanged_since(site):
    """STORE (UNCHANGEDSINCE): two writers, one wins for each message; the other is told which (RFC 7162 3.1.3)."""
    a, b = (Wire(site.base + 143, "carl", PASSWORD) for _ in range(2))
    for number in range(6):
        a.append("INBOX", message(f"u{number}"))
    since = code(a.command("SELECT INBOX (CONDSTORE)"), b"HIGHESTMODSEQ")
    b.command("SELECT INBOX (CONDSTORE)")
    a.command("UID STORE 2,4 +FLAGS (\\Flagged)")
    tag = b.start(f"UID STORE 1:6 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Seen)")
    said, last = b.until(tag)
    modified = re.match(rb"(OK|NO) \[MODIFIED ([0-9,:]+)\]", last)
    if not modified or numbers(modified[2].decode()) != {2, 4}:
        raise RuntimeError(f"{last}")
    rows = {int(row["UID"]): set(row["FLAGS"]) - {b"\\Recent"} for row in a.fetch("1:*", "(UID FLAGS)").values()}
    want = {uid: {b"\\Flagged"} if uid in (2, 4) else {b"\\Seen"} for uid in range(1, 7)}
    if rows != want:
        raise RuntimeError(f"{rows}")
    new = [int(n) for line in said for n in re.findall(rb"MODSEQ \((\d+)\)", line)]
    if len(new) < 4 or min(new) <= since:  # .SILENT keeps back the flags, not the modification sequences
        raise RuntimeError(f"modification sequences: {said}")
    try:
        b.command("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Draft)")
    except No:
        pass
    if b"\\Draft" in a.fetch("1", "(FLAGS)")[1]["FLAGS"]:
        raise RuntimeError("UNCHANGEDSINCE 0 never holds for a flag that exists")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    tap = Tap()
    with running(options.binary, users=("anna", "bert", "carl")) as site:
        tap.run("resynchronisation", resync, site, options.rounds, options.messages, options.seed)
        tap.run("live", live, site)
        tap.run("UNCHANGEDSINCE", unchanged_since, site)
        tap.run("stop", lambda: None if site.stop() == 0 else 1 / 0)
    return tap.end()


sys.exit(main())
