#!/usr/bin/env python3
"""Two readers, one truth: index and log of a real server's partition, read by Python from mailserverd-formats(5).

The server is loaded over LMTP, submission and IMAP by a seeded client, and killed with -9 in between. Then, each time:
  - the index says the same as the log alone, row by row, as far as the index is
  - after the next start and stop: index, log and what IMAP showed are equal
At the end the index is thrown away and made again by `store rebuild`, once with checkpoints and once without: the same mail with
the same UIDs, flags and keywords.

usage: test_oracle.py BINARY [--seed N] [--rounds N] [--actions N]
"""
import argparse
import hashlib
import imaplib
import pathlib
import random
import re
import shutil
import smtplib
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]
import reader  # noqa: E402
from formats import read_index  # noqa: E402
from msite import Site, message, wait_for  # noqa: E402
from replay import read_log  # noqa: E402
from tap import Tap  # noqa: E402

USERS = ("anna", "bert", "carl")
SETS = ("store.partitions.primary.segment_size=4MiB", "store.partitions.primary.map_size=256MiB",
        "store.partitions.primary.ballast=1MiB", "store.partitions.primary.min_free=1MiB",
        "store.partitions.primary.checkpoint_size=2MiB", "store.expunge_keep=1s", "store.purge_interval=300ms")
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "red", "Green", "green", "work")
FIRST = "kept"  # a message that is never removed: with it the log stays whole from position 0


# -- the load

def deliver(client, recipients, data):
    """One LMTP transaction; smtplib itself reads one reply only."""
    client.ehlo_or_helo_if_needed()
    for verb, words in [("MAIL", "FROM:<load@example.net>")] + [("RCPT", f"TO:<{r}@example.org>") for r in recipients]:
        code, text = client.docmd(verb, words)
        if code != 250:
            raise RuntimeError(f"{verb} {words}: {code} {text}")
    client.docmd("DATA")
    client.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    for name in recipients:
        code, text = client.getreply()
        if code != 250:
            raise RuntimeError(f"{name}: {code} {text}")


class Load:
    def __init__(self, site, rnd):
        self.site, self.rnd = site, rnd
        self.serial = 0
        self.clients = {}

    def data(self):
        self.serial += 1
        size = self.rnd.choice((0, 20, 300, 3000, 30000, 140000, 300000))
        line = bytes(self.rnd.randrange(33, 127) for _ in range(70)).decode() + "\r\n"
        return message(f"m{self.serial}", body=(line * (size // 72 + 1))[:size] + "\r\n")

    def abandon(self):
        """A sender that goes away in the middle of a long message: parts in the log that no op ever names."""
        client = self.site.lmtp()
        client.ehlo_or_helo_if_needed()
        for words in ("MAIL FROM:<load@example.net>", "RCPT TO:<anna@example.org>", "DATA"):
            client.docmd(words)
        client.send(b"Subject: never\r\n\r\n" + b"abandoned line\r\n" * 30000)
        client.close()

    def imap(self, user):
        if user not in self.clients:
            self.clients[user] = self.site.imap(user)
        return self.clients[user]

    def close(self):
        for client in self.clients.values():
            try:
                client.logout()
            except (OSError, imaplib.IMAP4.error):
                pass
        self.clients = {}

    def expect(self, answer, may_fail=False):
        if answer[0] != "OK" and not (may_fail and answer[0] == "NO"):
            raise RuntimeError(f"answer {answer}")
        return answer[1]

    def mailboxes(self, client):
        rows = self.expect(client.list())
        return [re.search(rb'"/" "?([^"]*)"?$', row)[1].decode() for row in rows if b"\\Noselect" not in row]

    def action(self):
        """One random thing a user or a sender does."""
        rnd = self.rnd
        name = rnd.choices(("deliver", "abandon", "submit", "append", "several", "store", "expunge", "copy", "move", "names", "channel"),
                           (6, 1, 1, 4, 2, 8, 2, 3, 2, 3, 1))[0]
        if name == "deliver":
            with self.site.lmtp() as client:
                deliver(client, rnd.sample(USERS, rnd.randint(1, len(USERS))), self.data())
        elif name == "abandon":
            self.abandon()
        elif name == "channel":
            self.site.command("channel", rnd.choice(("stop", "start")), "store")
        elif name == "submit":
            user = rnd.choice(USERS)
            with self.site.submission(user) as client:
                client.sendmail(f"{user}@example.org", [f"{u}@example.org" for u in rnd.sample(USERS, 2)], self.data())
        else:
            client = self.imap(rnd.choice(USERS))
            getattr(self, name)(client, rnd.choice(self.mailboxes(client)))

    def some_flags(self):
        return "(" + " ".join(self.rnd.sample(FLAGS, self.rnd.randint(0, 4))) + ")"

    def some_uids(self, client, box):
        """A set in which every UID of the first message of all is left out."""
        self.expect(client.select(f'"{box}"'))
        uids = [int(u) for u in self.expect(client.uid("SEARCH", "NOT", "HEADER", "X-Test-Id", FIRST))[0].split()]
        picked = self.rnd.sample(uids, min(len(uids), self.rnd.randint(1, 12)))
        return ",".join(map(str, picked))

    def append(self, client, box):
        when = f'"{self.rnd.randint(1, 28):02}-Mar-{self.rnd.randint(1999, 2030)} 12:34:56 {self.rnd.choice(("+0000", "-0730", "+1345"))}"'
        self.expect(client.append(f'"{box}"', self.some_flags(), when, self.data()))

    def several(self, client, box):
        """RFC 3502, now and then with a message that goes to the log in parts."""
        tail = b"".join(b" %s {%d+}\r\n%s" % (self.some_flags().encode(), len(data), data)
                        for data in (self.data() for _ in range(self.rnd.randint(1, 20))))
        data = self.data()
        client.send(b"several APPEND \"%s\" {%d+}\r\n%s%s\r\n" % (box.encode(), len(data), data, tail))
        while not (line := client.readline()).startswith(b"several "):
            if not line:
                raise RuntimeError("connection lost")
        if not line.startswith(b"several OK [APPENDUID "):
            raise RuntimeError(f"APPEND of several: {line}")

    def store(self, client, box):
        uids = self.some_uids(client, box)
        if uids:
            how = self.rnd.choice(("FLAGS", "+FLAGS", "-FLAGS", "+FLAGS.SILENT"))
            self.expect(client.uid("STORE", uids, how, self.some_flags()))

    def expunge(self, client, box):
        uids = self.some_uids(client, box)
        if uids:
            self.expect(client.uid("STORE", uids, "+FLAGS", "(\\Deleted)"))
        kept = self.expect(client.uid("SEARCH", "HEADER", "X-Test-Id", FIRST))[0].split()
        if kept:
            self.expect(client.uid("STORE", b",".join(kept).decode(), "-FLAGS", "(\\Deleted)"))
        self.expect(client.expunge())

    def copy(self, client, box, verb="COPY"):
        uids = self.some_uids(client, box)
        if uids:
            self.expect(client.uid(verb, uids, f'"{self.rnd.choice(self.mailboxes(client))}"'))

    def move(self, client, box):
        if self.can_move(client):  # RFC 6851
            self.copy(client, box, "MOVE")

    def can_move(self, client):
        return b"MOVE" in self.expect(client.capability())[0].split()

    def names(self, client, box):
        what = self.rnd.choice(("create", "create", "rename", "delete", "subscribe", "unsubscribe"))
        new = "/".join(self.rnd.sample(("red box", "blue", "Work", "old"), self.rnd.randint(1, 3)))
        if what == "create":
            self.expect(client.create(f'"{new}"'), may_fail=True)
        elif what in ("rename", "delete"):
            own = [b for b in self.mailboxes(client) if b.split("/")[0] in ("red box", "blue", "Work", "old")]
            if own:
                client.select("INBOX")
                old = self.rnd.choice(own)
                self.expect(client.rename(f'"{old}"', f'"{new}"') if what == "rename" else client.delete(f'"{old}"'), may_fail=True)
        else:
            self.expect(getattr(client, what)(f'"{self.rnd.choice((box, new))}"'), may_fail=True)

    def bulk(self, user):
        """More than 1000 messages in one COPY and one MOVE: sequences of ops."""
        client = self.imap(user)
        self.expect(client.create("Bulk"), may_fail=True)
        self.expect(client.append("Bulk", "(red)", None, self.data()))
        self.expect(client.select("Bulk"))
        while int(self.expect(client.select("Bulk"))[0]) <= 1200:
            self.expect(client.copy("1:*", "Bulk"))
        self.expect(client.copy("1:*", "Archive"))
        self.expect(client.copy(",".join(map(str, range(1, 1200, 2))), "Archive"))  # more runs than one op may name
        if self.can_move(client):
            self.expect(client.uid("MOVE", "1:*", "Trash"))


# -- what IMAP shows

def imap_view(site):
    """{(owner, mailbox): (uidvalidity, uidnext, {uid: (flags, date, size, sha256)})}"""
    out = {}
    for user in USERS:
        client = site.imap(user)
        load = Load(site, None)
        for box in load.mailboxes(client):
            status = load.expect(client.status(f'"{box}"', "(UIDVALIDITY UIDNEXT)"))[0]
            validity, uidnext = (int(re.search(rb"%s (\d+)" % word, status)[1]) for word in (b"UIDVALIDITY", b"UIDNEXT"))
            count = int(load.expect(client.select(f'"{box}"', readonly=True))[0])
            rows = {}
            if count:
                for item in load.expect(client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")):
                    if isinstance(item, tuple):
                        uid, row = imap_message(*item)
                        rows[uid] = row
            if len(rows) != count:
                raise RuntimeError(f"{user} {box}: {count} messages, {len(rows)} fetched")
            out[f"{user}@example.org", box] = (validity, uidnext, rows)
        client.logout()
    return out


def imap_message(head, body):
    flags = re.search(rb"FLAGS \(([^)]*)\)", head)[1].decode().split()
    date = re.search(rb'INTERNALDATE "([^"]+)"', head)[1].decode()
    size = int(re.search(rb"RFC822\.SIZE (\d+)", head)[1])
    uid = int(re.search(rb"UID (\d+)", head)[1])
    return uid, (frozenset(f for f in flags if f != "\\Recent"), date, size, hashlib.sha256(body).hexdigest())


def state_view(state):
    """The same from a state."""
    out = {}
    for box in reader.view(state):
        rows = {}
        for uid, m in box.messages.items():
            sign, zone = "+-"[m.zone < 0], abs(m.zone)
            when = time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(m.date // 1000000 + m.zone * 60))
            when = f"{when} {sign}{zone // 60:02}{zone % 60:02}"
            rows[uid] = (frozenset(m.flags + m.keywords), " " + when[1:] if when[0] == "0" else when, m.size, m.sha256)
        out[box.owner, box.name] = (box.uidvalidity, box.uidnext, rows)
    return out


def must_equal(what, left, right):
    if left == right:
        return
    lines = []
    for key in sorted(left.keys() | right.keys(), key=str):
        a, b = left.get(key), right.get(key)
        if a == b:
            continue
        if a is None or b is None or a[:2] != b[:2]:
            lines.append(f"{key}: {a and a[:2]} / {b and b[:2]}")
        for uid in sorted((a or ((), (), {}))[2].keys() | (b or ((), (), {}))[2].keys()):
            x, y = (a or ((), (), {}))[2].get(uid), (b or ((), (), {}))[2].get(uid)
            if x != y:
                lines.append(f"{key} UID {uid}: {x} / {y}")
    fail(what, lines)


def fail(what, lines):
    for line in lines[:20]:
        print("# " + line[:500])
    raise RuntimeError(f"{what}: {len(lines)} differences")


# -- the test

class Oracle:
    def __init__(self, work, args):
        self.rnd = random.Random(args.seed)
        self.args = args
        self.site = Site(work / "site", args.binary, users=USERS, sets=SETS).init()
        self.folder = self.site.folder / "store/primary"
        self.load = Load(self.site, self.rnd)

    def compare(self):
        found = reader.compare(self.folder)
        if found:
            fail("index / log", found)
        return len(read_index(self.folder / "index.mdb").blob)

    def first_message(self):
        """Into the first segment, so that the log stays whole. The server leaves that one early, and it may go then, when zeroed ones
        are ready before the message is: then from the beginning."""
        for _ in range(50):
            with self.site.lmtp() as client:
                deliver(client, USERS, message(FIRST))
            first = self.folder / "journal" / f"{1:016x}.seg"
            if first.exists() and f"X-Test-Id: {FIRST}".encode() in first.read_bytes():
                return
            self.site.kill()
            shutil.rmtree(self.site.folder)
            self.site.init().start()
        raise RuntimeError("the first message was never in the first segment")

    def killed_round(self, number):
        """Actions, then a kill -9 while deliveries and appends are on their way."""
        self.site.kill()
        self.site.start()
        if number == 0:
            self.first_message()
        for _ in range(self.args.actions):
            self.load.action()
        if number == 1:
            self.load.bulk("bert")
        self.load.close()
        busy = threading.Event()
        self.killed = False
        threads = [threading.Thread(target=self.hammer, args=(seed, busy)) for seed in range(3)]
        for thread in threads:
            thread.start()
        busy.wait(10)
        time.sleep(self.rnd.uniform(0.05, 0.6))
        self.site.process.kill()
        self.killed = True
        for thread in threads:
            thread.join()
        self.site.kill()
        return f"{self.compare()} blobs"

    def hammer(self, seed, busy):
        """Until the server dies. The index may be behind the log then, but never beside it."""
        load = Load(self.site, random.Random(self.args.seed * 10 + seed))
        load.serial = 100000 * (seed + 1)
        while not self.killed:
            try:
                load.action()
            except (OSError, EOFError, RuntimeError, imaplib.IMAP4.error, smtplib.SMTPException, TypeError):
                load.clients = {}  # what the others do to the same mailboxes may be in its way
            busy.set()

    def shown(self):
        """Start, look with IMAP, stop: log, index and IMAP are equal."""
        self.site.kill()
        self.site.start()
        wait_for(self.is_at_rest, 60)
        seen = imap_view(self.site)
        status = self.site.stop()
        if status != 0:
            raise RuntimeError(f"exit {status}")
        self.compare()
        state = read_log(self.folder / "journal")
        must_equal("IMAP / log", seen, state_view(state))
        must_equal("IMAP / index", seen, state_view(read_index(self.folder / "index.mdb")))
        if not any(row[2] for row in seen.values()):
            raise RuntimeError("no message was compared")
        return f"{sum(len(row[2]) for row in seen.values())} messages in {len(seen)} mailboxes"

    def is_at_rest(self):
        """Nothing is delivered meanwhile."""
        rows = self.site.run("channel", "list", "-o", "tsv", "-c", self.site.config).stdout
        return "\tstopped\t" in rows or not self.site.run("queue", "list", "-c", self.site.config).stdout.strip()

    def rebuilt(self, with_checkpoints):
        before = state_view(read_index(self.folder / "index.mdb"))
        checkpoints = list((self.folder / "checkpoints").glob("*.mdb"))
        if with_checkpoints and not checkpoints:
            raise RuntimeError("no checkpoint was made")
        for path in [self.folder / "index.mdb", self.folder / "index.mdb-lock"] + checkpoints * (not with_checkpoints):
            path.unlink()
        done = self.site.run("store", "rebuild", "-c", self.site.config)
        self.compare()
        must_equal("before / rebuilt", before, state_view(read_index(self.folder / "index.mdb")))
        return done.stdout.strip()

    def run(self, tap):
        for number in range(self.args.rounds):
            tap.run(f"killed in round {number}: index and log", self.killed_round, number)
            tap.run(f"after round {number}: index, log and IMAP", self.shown)
        tap.run("index thrown away, checkpoints left", self.rebuilt, True)
        tap.run("index and checkpoints thrown away", self.rebuilt, False)
        tap.run("and again, with nothing in between", self.rebuilt, False)
        tap.run("served from the rebuilt index", self.shown)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("binary", type=lambda path: pathlib.Path(path).resolve())
    words.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--actions", type=int, default=150)
    args = words.parse_args()
    print(f"# seed {args.seed}")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        oracle = Oracle(pathlib.Path(work), args)
        try:
            oracle.run(tap)
        finally:
            oracle.site.kill()
        if tap.failed:
            print("# log of the server:\n# " + oracle.site.tail().replace("\n", "\n# "))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
