#!/usr/bin/env python3
"""What a client asks for as one is there as one: APPEND of several messages, COPY and MOVE of any number of them, cut by kill -9 at
any moment, are after the next start complete or have not happened (RFC 3502, RFC 6851 3.3); what was answered OK is there.

The mailboxes hold more messages than one record moves, so a kill may fall between two records of a move; the server finishes it then.

usage: imap_whole.py BINARY [--rounds N] [--seed N]
"""
import argparse
import collections
import imaplib
import os
import pathlib
import random
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site  # noqa: E402
from tap import Tap  # noqa: E402

imaplib.Commands["MOVE"] = ("SELECTED",)
imaplib._MAXLINE = 10_000_000
MESSAGES = 18_000   # a record holds 16 ops of 1000
SCATTERED = 4_000   # each a run of its own: more than one op names
GROUP = 200         # messages of one APPEND
FINISH_SECONDS = 30
BOXES = ("Here", "There")


def text(name):
    return b"Subject: %s\r\n\r\nbody\r\n" % name.encode()


def append_several(client, box, names):
    """True: answered OK. Raises when the connection ends before."""
    command = b"".join(b" {%d+}\r\n%s" % (len(text(name)), text(name)) for name in names)
    client.send(b"many APPEND %s%s\r\n" % (box.encode(), command))
    while line := client.readline():
        if line.startswith(b"many "):
            if not line.startswith(b"many OK [APPENDUID "):
                raise RuntimeError(f"APPEND: {line}")
            return True
    raise OSError("connection lost")


def names_in(client, box):
    """Subject -> how often; and UID -> subject."""
    client.select(box)
    by_uid = {}
    for item in client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(item, tuple):
            by_uid[int(re.search(rb"UID (\d+)", item[0])[1])] = item[1].split(b":", 1)[1].strip().decode()
    return collections.Counter(by_uid.values()), by_uid


class Test:
    def __init__(self, site, rnd):
        self.site, self.rnd = site, rnd
        self.where = {}  # subject -> box
        self.copies = collections.Counter()
        self.groups = 0

    def fill(self):
        client = self.site.imap("anna")
        for box in (*BOXES, "Copies", "Groups"):
            client.create(box)
        names = [f"m{n}" for n in range(MESSAGES)]
        for at in range(0, MESSAGES, 250):
            append_several(client, BOXES[0], names[at:at + 250])
        self.where = dict.fromkeys(names, BOXES[0])
        client.logout()

    def pick(self, by_uid):
        """UIDs as a set, and the subjects they stand for."""
        uids = sorted(by_uid)
        if self.rnd.random() < 0.5 and len(uids) > 2 * SCATTERED:
            uids = uids[::2][:SCATTERED]
            return ",".join(map(str, uids)), [by_uid[u] for u in uids]
        return "1:*", [by_uid[u] for u in uids]

    def move_or_copy(self):
        """What was asked, and whether it was answered: (verb, source, subjects, done)."""
        client = self.site.imap("anna")
        source = self.rnd.choice([box for box in BOXES if box in set(self.where.values())])
        _, by_uid = names_in(client, source)
        uids, names = self.pick(by_uid)
        verb = self.rnd.choice(("MOVE", "MOVE", "COPY"))
        target = "Copies" if verb == "COPY" else BOXES[1 - BOXES.index(source)]
        killer = threading.Timer(self.rnd.random() * 0.05, self.site.process.kill)
        killer.start()
        try:
            answer = client.uid(verb, uids, target)[0]
            if answer != "OK":
                raise RuntimeError(f"UID {verb}: {answer}")
            done = True
        except (imaplib.IMAP4.abort, OSError):
            done = False
        killer.join()
        return verb, target, names, done

    def append_groups(self):
        """Until the server is killed: (first group of this round, answered ones)."""
        client = self.site.imap("anna")
        first, answered = self.groups, set()
        killer = threading.Timer(0.05 + self.rnd.random() * 0.3, self.site.process.kill)
        killer.start()
        try:
            while True:
                group = self.groups
                self.groups += 1
                append_several(client, "Groups", [f"g{group}-{n}" for n in range(GROUP)])
                answered.add(group)
        except (imaplib.IMAP4.abort, OSError):
            pass
        killer.join()
        return first, answered

    def check_groups(self, first, answered):
        found, _ = names_in(self.site.imap("anna"), "Groups")
        sizes = collections.Counter()
        for name, count in found.items():
            if count != 1:
                raise RuntimeError(f"{name} is there {count} times")
            sizes[int(name[1:].split("-")[0])] += 1
        for group in range(first, self.groups):
            if sizes[group] not in ((GROUP,) if group in answered else (0, GROUP)):
                raise RuntimeError(f"group {group}: {sizes[group]} of {GROUP} messages, answered: {group in answered}")
        return len(answered)

    def look(self):
        client = self.site.imap("anna")
        found = {box: names_in(client, box)[0] for box in BOXES}
        copies = names_in(client, "Copies")[0]
        client.logout()
        return found, copies

    def differs(self, verb, target, names, found, copies, done):
        """None when all of it happened, or nothing where it was not answered; else what is wrong."""
        for happened in (True, False):
            where = dict(self.where)
            want = collections.Counter(self.copies)
            if happened and verb == "MOVE":
                where.update(dict.fromkeys(names, target))
            elif happened:
                want.update(names)
            if copies == want and all(found[box] == collections.Counter(n for n in where if where[n] == box) for box in BOXES):
                if done and not happened:
                    return f"{verb} was answered and has not happened"
                self.where, self.copies = where, want
                return None
        counts = ", ".join(f"{box} {sum(found[box].values())}" for box in BOXES)
        return f"{verb} of {len(names)} to {target} is cut: {counts}, Copies {sum(copies.values())}"

    def check_moved(self, verb, target, names, done):
        until = time.monotonic() + FINISH_SECONDS
        while problem := self.differs(verb, target, names, *self.look(), done):
            if time.monotonic() > until:
                raise RuntimeError(problem)
            time.sleep(0.1)

    def restart(self):
        self.site.wait()
        self.site.start()


def rounds(binary, work, count, rnd):
    site = Site(work / "site", binary, ("anna",), ("server.loops=1",)).init().start()
    test = Test(site, rnd)
    answered = cut = 0
    try:
        test.fill()
        for number in range(count):
            if number % 3 == 2:
                what = test.append_groups()
                test.restart()
                answered += test.check_groups(*what)
                continue
            what = test.move_or_copy()
            cut += not what[3]
            test.restart()
            test.check_moved(*what)
        site.stop()
        site.run("store", "verify", "-c", site.config)
    finally:
        site.kill()
    return f"{cut} copies and moves were cut, {answered} APPENDs of {GROUP} messages answered"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("--rounds", type=int, default=6)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = p.parse_args()
    print(f"# seed {args.seed}")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="imap-whole-") as work:
        tap.run(f"{args.rounds} rounds of kill -9", rounds, args.binary.resolve(), pathlib.Path(work), args.rounds,
                random.Random(args.seed))
    return tap.end()


sys.exit(main())
