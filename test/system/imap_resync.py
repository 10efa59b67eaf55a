#!/usr/bin/env python3
"""A client with QRESYNC that loses its connection in the middle of things (RFC 7162 3.2, 6).

A writer stores flags, appends and expunges. The client keeps a cache of UIDs and flags and a modseq as RFC 7162 6 tells it to;
it sends commands of all kinds, and again and again takes note of the first lines of an answer only. Then it comes back with
SELECT (QRESYNC ...), with and without known UIDs and match data, and its cache must be what a client sees that asks for
everything. Some changes are behind the memory of the server by then (store.expunge_keep).

usage: imap_resync.py MAILSERVERD [--rounds N] [--seed N]
"""
import argparse
import pathlib
import random
import re
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, running  # noqa: E402
from tap import Tap  # noqa: E402

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "work", "later"]


class Wire:
    def __init__(self, site):
        self.sock = socket.create_connection(("127.0.0.1", site.base + 143), timeout=30)
        self.file = self.sock.makefile("rb")
        self.count = 0
        self.file.readline()
        self.ask(f"LOGIN anna@example.org {PASSWORD}")

    def send(self, command, literal=b""):
        self.count += 1
        self.sock.sendall(f"t{self.count} {command}\r\n".encode() + literal)

    def line(self):
        text = self.file.readline().decode().rstrip("\r\n")
        if not text:
            raise RuntimeError("closed")
        return text

    def lines(self):
        """Up to the tagged one."""
        got = []
        while not got or not got[-1].startswith(f"t{self.count} "):
            got.append(self.line())
        return got

    def ask(self, command, literal=b""):
        self.send(command, literal)
        got = self.lines()
        if not got[-1].startswith(f"t{self.count} OK"):
            raise RuntimeError(f"{command}: {got[-1]}")
        return got

    def close(self):
        self.file.close()
        self.sock.close()


def members(text):
    for part in text.split(","):
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)


def ranges(numbers):
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] + 1 == n:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(f"{a}:{b}" if a < b else str(a) for a, b in out)


class Client:
    """What RFC 7162 6 asks of a client."""

    def __init__(self, site, dice):
        self.site, self.dice = site, dice
        self.flags = {}      # UID -> flags
        self.uidvalidity = 0
        self.modseq = 0      # may be told to the server in SELECT
        self.seqs = []       # number -> UID, None where it is not known
        self.wire = None
        self.trace = []

    def note(self, line):
        """One line of the server; "seen" collects the modseqs of a command."""
        self.trace.append(line)
        if found := re.match(r"\* VANISHED (\(EARLIER\) )?(\S+)$", line):
            for uid in members(found[2]):
                self.flags.pop(uid, None)
                if not found[1]:
                    self.seqs.remove(uid if uid in self.seqs else None)
        elif found := re.match(r"\* (\d+) EXISTS$", line):
            if int(found[1]) < len(self.seqs):
                raise RuntimeError(f"fewer messages without VANISHED: {line}")
            self.seqs += [None] * (int(found[1]) - len(self.seqs))
        elif re.match(r"\* \d+ EXPUNGE$", line):
            raise RuntimeError(f"EXPUNGE under QRESYNC: {line}")
        elif found := re.match(r"\* (\d+) FETCH \((.*)\)$", line):
            self.note_fetch(int(found[1]), found[2])
        if found := re.match(r"\* OK \[UIDVALIDITY (\d+)\]", line):
            self.uidvalidity = int(found[1])
        if found := re.match(r"\S+ OK \[HIGHESTMODSEQ (\d+)\]", line):
            self.named = int(found[1])

    def note_fetch(self, number, items):
        uid = re.search(r"UID (\d+)", items)
        modseq = re.search(r"MODSEQ \((\d+)\)", items)
        flags = re.search(r"FLAGS \(([^)]*)\)", items)
        if modseq:
            self.seen = max(self.seen, int(modseq[1]))
        if number > len(self.seqs) or uid and self.seqs[number - 1] not in (None, int(uid[1])):
            raise RuntimeError(f"message {number} of {len(self.seqs)} is not {uid and uid[1]}: {self.seqs[number - 1:number]}")
        if uid:
            self.seqs[number - 1] = int(uid[1])
        if flags and self.seqs[number - 1]:
            self.flags[self.seqs[number - 1]] = set(flags[1].split()) - {"\\Recent"}
        elif self.silent and modseq and self.seqs[number - 1] in self.flags:  # what it has stored is there
            have = self.flags[self.seqs[number - 1]]
            have.add(self.silent[1]) if self.silent[0] == "+" else have.discard(self.silent[1])

    def command(self, command, cut=False):
        """cut: a random number of lines is noted, then the connection is gone."""
        self.seen = self.named = 0
        self.silent = re.search(r"([+-])FLAGS.SILENT \((\S+)\)", command)
        self.silent = self.silent and self.silent.groups()
        self.trace.append("C: " + command)
        self.wire.send(command)
        if command == "IDLE":
            return self.idle(cut)
        got = self.wire.lines()
        if cut:
            for line in got[:self.dice.randrange(len(got))]:
                self.note(line)
            return self.lose()
        for line in got:
            self.note(line)
        if not re.match(r"\S+ (OK|NO)", got[-1]):
            raise RuntimeError(f"{command}: {got[-1]}")
        self.modseq = self.named or max(self.modseq, self.seen)

    def idle(self, cut):
        self.note(self.wire.line())
        self.writer(self.dice.randrange(1, 4))
        time.sleep(0.02)
        self.wire.sock.sendall(b"DONE\r\n")
        got = self.wire.lines()
        for line in got[:self.dice.randrange(len(got))] if cut else got:
            self.note(line)
        if cut:
            return self.lose()
        self.modseq = self.named or max(self.modseq, self.seen)

    def known_up_to(self):
        """The UID before the first message of which nothing is known."""
        last = 0
        for uid in self.seqs:
            if uid not in self.flags:
                break
            last = uid
        return last

    def lose(self):
        last = self.known_up_to()
        self.flags = {uid: flags for uid, flags in self.flags.items() if uid <= last}
        self.wire.close()
        self.wire = None

    def select(self):
        self.wire = Wire(self.site)
        self.wire.ask("ENABLE QRESYNC")
        known = sorted(self.flags)
        parameter = ""
        if self.modseq:
            parameter = f" (QRESYNC ({self.uidvalidity} {self.modseq}"
            if known and self.dice.random() < 0.5:
                parameter += " " + ranges(known)
                if self.knows_numbers and self.dice.random() < 0.7:
                    at = sorted(self.dice.sample(range(len(known)), min(len(known), 6)))
                    parameter += f" ({ranges(i + 1 for i in at)} {ranges(known[i] for i in at)})"
            parameter += "))"
        self.seqs = []
        self.command("SELECT INBOX" + parameter)
        # What is cached are the first messages (lose); of those behind them SELECT tells the changed ones only.
        self.flags = {uid: flags for uid, flags in self.flags.items() if uid <= max(known, default=0)}
        self.seqs = sorted(self.flags) + [None] * (len(self.seqs) - len(self.flags))
        self.catch_up()

    def catch_up(self):
        """New messages are asked for; then the cache is complete."""
        self.command(f"UID FETCH {self.known_up_to() + 1}:* (FLAGS)")
        self.knows_numbers = True

    knows_numbers = False

    def work(self):
        number = self.dice.randrange(1, len(self.seqs) + 1) if self.seqs else 1
        uid = self.dice.choice(sorted(self.flags) or [1])
        flag = self.dice.choice(FLAGS)
        cut = self.dice.random() < 0.3
        commands = ["NOOP", "CHECK", "IDLE", f"UID SEARCH {flag.strip(chr(92)) if flag[0] == chr(92) else 'KEYWORD ' + flag}",
                    f"UID FETCH {uid}:* (FLAGS)", f"UID STORE {uid} +FLAGS ({flag})", f"UID STORE {uid} -FLAGS.SILENT ({flag})",
                    f"UID STORE 1:* (UNCHANGEDSINCE {self.modseq}) +FLAGS.SILENT ({flag})", f"UID EXPUNGE {uid}:{uid + 3}"]
        if self.seqs:
            commands += [f"FETCH {number} (FLAGS)", f"STORE {number} +FLAGS.SILENT ({flag})", f"SEARCH {number}",
                         f"STORE {number}:* (UNCHANGEDSINCE {self.modseq}) -FLAGS ({flag})", "FETCH 1:* (UID)"]
        command = self.dice.choice(commands)
        if cut:
            self.knows_numbers = False
        self.command(command, cut)


class Writer:
    def __init__(self, site, dice):
        self.wire, self.dice = Wire(site), dice
        self.wire.ask("SELECT INBOX")

    def __call__(self, count):
        for _ in range(count):
            self.change()

    def change(self):
        what = self.dice.random()
        size = int(re.search(r"MESSAGES (\d+)", " ".join(self.wire.ask("STATUS INBOX (MESSAGES)")))[1])
        if what < 0.3 or size < 10:
            text = b"Subject: x\r\n\r\n" + b"y" * self.dice.randrange(50)
            for _ in range(self.dice.randrange(1, 4)):
                self.wire.ask(f"APPEND INBOX {{{len(text)}+}}", text + b"\r\n")
            return
        self.wire.ask("NOOP")
        first = self.dice.randrange(1, size + 1)
        chosen = f"{first}:{min(size, first + self.dice.randrange(4))}"
        if what < 0.7:
            self.wire.ask(f"STORE {chosen} {self.dice.choice('+-')}FLAGS.SILENT ({self.dice.choice(FLAGS)})")
        else:
            self.wire.ask(f"STORE {chosen} +FLAGS.SILENT (\\Deleted)")
            self.wire.ask("EXPUNGE" if self.dice.random() < 0.8 else "NOOP")

    def truth(self):
        self.wire.ask("NOOP")
        found = (re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", line) for line in self.wire.ask("UID FETCH 1:* (UID FLAGS)"))
        return {int(f[1]): set(f[2].split()) - {"\\Recent"} for f in found if f}


def play(site, seed, rounds):
    dice = random.Random(seed)
    writer, client = Writer(site, dice), Client(site, dice)
    client.writer = writer
    writer(20)
    lost = 0
    for number in range(rounds):
        if not client.wire:
            lost += 1
            writer(dice.randrange(8))
            if dice.random() < 0.02:
                time.sleep(2.5)  # the log forgets
            client.select()
        else:
            writer(dice.randrange(4))
            client.work()
            if client.wire and dice.random() < 0.3:
                client.command("NOOP")
                client.catch_up()
        if client.wire and (dice.random() < 0.5 or client.trace[-1].startswith("C: SELECT")):
            client.command("NOOP")
            client.catch_up()
            compare(client, writer.truth(), seed, number)
    client.wire and client.lose()
    client.select()
    compare(client, writer.truth(), seed, "end")
    return f"{lost} connections lost, {len(client.flags)} messages at the end"


def compare(client, truth, seed, number):
    if client.flags == truth:
        client.trace = client.trace[-400:]
        return
    wrong = [u for u in sorted(set(truth) | set(client.flags)) if truth.get(u) != client.flags.get(u)]
    for line in client.trace[-90:]:
        print("# " + line[:300])
    raise RuntimeError(f"seed {seed}, round {number}: " + ", ".join(
        f"UID {u}: is {truth.get(u)}, client has {client.flags.get(u)}" for u in wrong[:5]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    args = parser.parse_args()
    tap = Tap()
    with running(args.binary, sets=["store.expunge_keep=1s"]) as site:
        tap.run(f"{args.rounds} rounds, seed {args.seed}", play, site, args.seed, args.rounds)
    return tap.end()


sys.exit(main())
