#!/usr/bin/env python3
"""Dovecot beside us: odd messages (odd_mail.py) appended to both; what FETCH and SEARCH say must be the same, or a row of EXPLAINED
shows by an RFC that we are right. A row that explains nothing any more is a failure too.

usage: imap_dovecot.py BINARY [--each N] [--seed S] [--dovecot FOLDER] [--may-skip]
"""
import argparse
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import odd_mail  # noqa: E402
from dovecot import Dovecot, Unavailable, unpack  # noqa: E402
from imap_differences import ROWS, explain  # noqa: E402
from imap_wire import No, Wire, show  # noqa: E402
from msite import PASSWORD, running  # noqa: E402
from tap import Skip, Tap  # noqa: E402

SECTIONS = ["1", "2", "3", "1.1", "1.2", "2.1", "1.1.1", "1.2.1"]
WHOLE = ["RFC822.SIZE", "INTERNALDATE", "FLAGS", "ENVELOPE", "BODYSTRUCTURE", "BODY", "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]",
         "RFC822.HEADER", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM to CC X-None Date)]", "BODY.PEEK[HEADER.FIELDS (Content-Type Content-Disposition)]",
         "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM)]", "BODY.PEEK[HEADER.FIELDS.NOT (Content-Type Received X-None)]"]
PARTIAL = ["BODY.PEEK[]<10.50>", "BODY.PEEK[]<0.1>", "BODY.PEEK[HEADER]<0.20>", "BODY.PEEK[HEADER]<30.100>", "BODY.PEEK[TEXT]<5.5>", "BODY.PEEK[]<100000.10>",
           "BODY.PEEK[1]<3.20>", "BODY.PEEK[1.MIME]<2.10>", "BODY.PEEK[HEADER.FIELDS (Subject)]<3.9>"]
PARTS = [f"BODY.PEEK[{section}{rest}]" for section in SECTIONS
         for rest in ("", ".MIME", ".HEADER", ".TEXT", ".HEADER.FIELDS (SUBJECT)", ".HEADER.FIELDS.NOT (SUBJECT)")]
SHOWN = 100


class Pair:
    def __init__(self, site, dovecot, mails):
        self.mails = mails
        self.ours = Wire(site.base + 143, "anna", PASSWORD)
        self.dovecot = dovecot
        self.theirs = Wire(dovecot.base + 143, "anna", PASSWORD)
        self.can = self.ours.command("CAPABILITY")[0].decode().split()

    def fill(self):
        for client in (self.ours, self.theirs):
            for number, (_, octets) in enumerate(self.mails):
                flags = " ".join(flag for bit, flag in enumerate(("\\Seen", "\\Flagged", "$Label", "\\Answered", "\\Draft")) if number >> bit & 1)
                day, month = number % 28 + 1, odd_mail.MONTHS[number // 28 % 12]
                client.append("INBOX", octets, flags, f"{day:02}-{month}-2020 12:10:00 {('+0000', '-0900', '+1100')[number % 3]}")
            client.command("SELECT INBOX")
        return f"{len(self.mails)} messages"

    def fetch(self, items):
        """Every item on its own; the differences that nothing explains."""
        found, seen = [], 0
        for item in items:
            ours, theirs = (client.fetch("1:*", f"({item})") for client in (self.ours, self.theirs))
            for number, (kind, octets) in enumerate(self.mails, 1):
                a, b = ours.get(number), theirs.get(number)
                if a is None or b is None or a.keys() != b.keys():
                    found.append(f"{kind} {item}: {a} {b}")
                    continue
                for name in a:
                    if name == "FLAGS":
                        a[name], b[name] = (sorted(x for x in value if x != rb"\Recent") for value in (a[name], b[name]))
                    seen += a[name] != b[name]
                    if not explain(a[name], b[name], item, kind, octets):
                        found.append(f"{kind} {item}\n#   ours   {show(a[name])}\n#   theirs {show(b[name])}")
        return self.verdict(found, f"{len(items)} items, {seen} differences explained")

    def binary(self):
        if "BINARY" not in self.can:
            raise Skip("no BINARY")
        found, seen = [], 0
        shapes = self.ours.fetch("1:*", "(BODYSTRUCTURE)")
        for number, (kind, octets) in enumerate(self.mails, 1):
            for section in leaves(shapes[number]["BODYSTRUCTURE"])[:4]:
                for item in (f"BINARY.SIZE[{section}]", f"BINARY.PEEK[{section}]", f"BINARY.PEEK[{section}]<1.5>"):
                    said = []
                    for client in (self.ours, self.theirs):
                        try:
                            said.append(list(client.fetch(str(number), f"({item})")[number].values())[0])
                        except No as e:
                            said.append("NO" + (" UNKNOWN-CTE" if "UNKNOWN-CTE" in str(e) else ""))
                        except KeyError:
                            said.append("nothing")
                        except ConnectionError:
                            if client is self.ours:
                                raise
                            said.append("closed")  # what Dovecot does at a damaged encoding
                            self.theirs = Wire(self.dovecot.base + 143, "anna", PASSWORD)
                            self.theirs.command("SELECT INBOX")
                    seen += said[0] != said[1]
                    if not explain(*said, item, kind, octets):
                        found.append(f"{kind} {item}\n#   ours   {show(said[0])}\n#   theirs {show(said[1])}")
        return self.verdict(found, f"{seen} differences explained")

    def verdict(self, found, good):
        if found:
            raise RuntimeError(f"{len(found)} differences that nothing explains:\n" + "\n".join("# " + line for line in found[:SHOWN]))
        return good

    def search(self, keys):
        found, seen, hits = [], 0, 0
        for key in keys:
            line = key.encode()
            if not key.isascii():
                line = b"CHARSET UTF-8 " + line
            said = []
            for client in (self.ours, self.theirs):
                try:
                    said.append(set(client.search(literals(client, line)) or []))
                except No as e:
                    said.append(str(e))
            if isinstance(said[0], str) or isinstance(said[1], str):
                if not (isinstance(said[0], str) and isinstance(said[1], str)):
                    found.append(f"{key}: {said}"[:300])
                continue
            hits += len(said[0])
            for number in sorted(said[0] ^ said[1]):
                kind, octets = self.mails[number - 1]
                seen += 1
                if not explain(number in said[0], number in said[1], "SEARCH " + key, kind, octets):
                    found.append(f"{kind} SEARCH {key}: {'ours' if number in said[0] else 'theirs'} alone finds it")
        return self.verdict(found, f"{len(keys)} searches, {hits} hits, {seen} differences explained")


def leaves(body, prefix=""):
    """Numbers of the parts of a BODYSTRUCTURE that have no parts themselves."""
    if isinstance(body[0], list):
        parts = [part for part in body if isinstance(part, list)][: next(i for i, part in enumerate(body) if not isinstance(part, list))]
        return [leaf for number, part in enumerate(parts, 1) for leaf in leaves(part, f"{prefix}{number}.")]
    return [prefix.rstrip(".") or "1"]


def literals(client, line):
    """Octets beyond ASCII travel as non-synchronising literals (both servers have LITERAL+)."""
    return re.sub(rb'"((?:[^"\\]|\\.)*[\x80-\xff](?:[^"\\]|\\.)*)"', lambda m: b"{%d+}\r\n%s" % (len(m[1]), m[1]), line)


def quoted(word):
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def search_keys():
    terms = odd_mail.WORDS + [value for _, value in odd_mail.CHARSETS] + [
        "alph", "ALPHA", "bravo charlie", "example.org", "", "straße", "STRASSE", "ångström", "привет", "本", "no such term", "a b", "utf-8", "=?", "text/plain",
        "boundary", "inner.eml", "alpha@", "<", "lph", "quoted", "Comment Name", "undisclosed", "x y"]
    keys = []
    for name in ("SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT"):
        keys += [f"{name} {quoted(term)}" for term in dict.fromkeys(terms)]
    for field in ("Subject", "X-Long", "Message-ID", "Content-Type", "Date", "Sender", "Reply-To", "In-Reply-To", "MIME-Version", "X-None"):
        keys += [f"HEADER {field} {quoted(term)}" for term in ("", "alpha", "example", "text", "utf", "y", "1", "Straße")]
    days = [f"{day}-{month}-{year}" for day, month, year in
            ((1, "Jan", 2020), (31, "Dec", 2020), (1, "Jan", 2021), (15, "Jun", 2010), (1, "Jan", 1999), (1, "Jan", 2000), (28, "Feb", 2005), (2, "Jan", 2020))]
    keys += [f"{name} {day}" for name in ("SENTBEFORE", "SENTON", "SENTSINCE", "BEFORE", "ON", "SINCE") for day in days]
    keys += [f"{name} {size}" for name in ("LARGER", "SMALLER") for size in (0, 1, 300, 400, 500, 1000, 5000, 100000)]
    keys += ["ALL", "ANSWERED", "UNANSWERED", "DELETED", "UNDELETED", "DRAFT", "UNDRAFT", "FLAGGED", "UNFLAGGED", "SEEN", "UNSEEN", "KEYWORD $Label", "UNKEYWORD $Label",
             "KEYWORD NoSuch", "1:10", "300:*", "UID 5:20", "NOT 1:5", "OR SEEN FLAGGED", "OR SUBJECT alpha NOT FROM bravo", "SEEN (FLAGGED OR DRAFT ANSWERED)",
             "NOT (TEXT alpha BODY bravo)", "OR OR SMALLER 400 LARGER 5000 SENTON 1-Jan-2021", "*", "10,20,30:25"]
    return keys


def compare(tap, site, dovecot, mails):
    pair = Pair(site, dovecot, mails)
    tap.run("the same messages in both", pair.fill)
    tap.run("FETCH of the whole", pair.fetch, WHOLE)
    tap.run("FETCH of partials", pair.fetch, PARTIAL)
    tap.run("FETCH of parts", pair.fetch, PARTS)
    tap.run("BINARY", pair.binary)
    tap.run("SEARCH", pair.search, search_keys())
    return "BINARY" in pair.can


def stale(with_binary):
    unused = [str(row) for row in ROWS if not row.used and (with_binary or not row.item.pattern.startswith("BINARY"))]
    if unused:
        raise RuntimeError("explains nothing any more:\n" + "\n".join("# " + line for line in unused))
    return f"{len(ROWS)} rows, used {sum(row.used for row in ROWS)} times"


def beside(tap, options, folder):
    root = unpack(options.dovecot or pathlib.Path(folder) / "unpacked")
    dovecot = Dovecot(pathlib.Path(folder) / "dovecot", root).init()
    try:
        dovecot.start()
        with running(pathlib.Path(options.binary).resolve()) as site:
            with_binary = compare(tap, site, dovecot, odd_mail.make(options.seed, options.each))
            tap.run("every explanation is needed", stale, with_binary)
    finally:
        dovecot.kill()


def unavailable(options, text):
    if options.may_skip:
        raise Skip(text)
    raise RuntimeError(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--each", type=int, default=16)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--dovecot", type=pathlib.Path)
    parser.add_argument("--may-skip", action="store_true")
    options = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        try:
            beside(tap, options, folder)
        except Unavailable as e:
            tap.run("Dovecot beside us", unavailable, options, str(e))
    return tap.end()


sys.exit(main())
