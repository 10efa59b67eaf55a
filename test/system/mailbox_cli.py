#!/usr/bin/env python3
"""The commands `mailbox` against a real server: list, status, create, delete, rename, subscribe, import, export.

Python's own module mailbox writes what is imported and reads what was exported. Checked: odd messages byte for byte, flags,
keywords, dates, UIDs, names; thousands of messages; an import that is killed, or whose server is, and run again; every way in
which paths, files, users, quotas and permissions can be wrong; who may use the local socket.

usage: mailbox_cli.py BINARY [--messages N]
"""
import argparse
import base64
import calendar
import collections
import email.message
import json
import mailbox
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from tap import Skip, Tap, expect, same  # noqa: E402

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE = 0, 64, 65, 66, 67, 69
EX_CANTCREAT, EX_TEMPFAIL, EX_NOPERM = 73, 75, 77
SETS = ("server.loops=2", "store.partitions.primary.segment_size=16MiB", "store.partitions.primary.map_size=1GiB",
        "store.partitions.primary.ballast=1MiB", "imap.append_max=2MiB")
USERS = ("anna", "bert", "carl", "dora", "emil", "fritz", "gerd", "hans", "ida", "uwe")
DATE = calendar.timegm((2011, 7, 8, 12, 8, 34))


class Box:
    def __init__(self, site, work):
        self.site = site
        self.work = pathlib.Path(work)

    def __call__(self, *words, code=EX_OK, patterns=()):
        return expect(self.site.command("mailbox", *words), code, *patterns)

    def rows(self, *words, code=EX_OK):
        """JSON rows of a command, by mailbox or name."""
        done = self(*words, "-o", "json", code=code)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row.get("mailbox", row.get("name")): row for row in rows}

    def folder(self, name):
        return self.work / name


# -- messages
ODD = {
    "plain": b"Subject: plain\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n",
    "no final line end": b"Subject: nofinal\r\n\r\nhello",
    "no body": b"Subject: nobody\r\n\r\n",
    "header alone": b"Subject: header alone\r\n",
    "no header": b"\r\nonly a body\r\n",
    "8-bit": "Subject: gr\u00fc\u00dfe\r\n\r\n".encode() + bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256))
             + b"\r\n",
    "From_ lines": b"Subject: from\r\n\r\nFrom x Thu Jan  1 00:00:00 1970\r\n>From y\r\n>>From z\r\n\r\n"
                   b"From here on\r\n",
    "huge line": b"Subject: huge\r\n\r\n" + b"0123456789" * 40000 + b"\r\n",
    "many lines": b"Subject: many\r\n\r\n" + b"line\r\n" * 60000,
    "large": b"Subject: large\r\n\r\n" + b"a line of a large message, of some length\r\n" * 33000,
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.\r\n",
    "blank lines": b"Subject: blanks\r\n\r\n\r\n\r\n\r\nx\r\n\r\n\r\n",
    "one byte": b"x",
    "a line end": b"\r\n",
    "lone CR": b"Subject: cr\r\n\r\na\rb\r\n",
    "literals": b"Subject: {5+}\r\n\r\n{10}\r\na1 LOGOUT\r\n",
}
# what LF line ends cannot carry: in a Maildir as they are
ODD_ENDS = {
    "bare LF": b"Subject: lf\n\nbare\nlines\n",
    "mixed": b"Subject: mixed\r\n\r\ncrlf\r\nlf\ncrlf\r\n",
    "CR CR LF": b"Subject: crcrlf\r\n\r\na\r\r\nb\r\n",
}
# An mbox ends every message with a line end and a blank line, and cannot say that a header has no end.
MBOX_CHANGES = {"no final line end": lambda b: b + b"\r\n", "one byte": lambda b: b + b"\r\n\r\n",
                "header alone": lambda b: b + b"\r\n", "bare LF": None, "mixed": None}
FLAGS = {"S": r"\Seen", "R": r"\Answered", "F": r"\Flagged", "T": r"\Deleted", "D": r"\Draft", "P": "$Forwarded"}


def lf(data):
    return data.replace(b"\r\n", b"\n")


Message = collections.namedtuple("Message", "uid flags date data")


def imap_messages(site, user, name="INBOX"):
    """What IMAP shows of a mailbox, and its UIDVALIDITY."""
    client = site.imap(user)
    try:
        status, data = client.status(name, "(UIDVALIDITY)")
        same("STATUS", status, "OK")
        uidvalidity = int(re.search(rb"UIDVALIDITY (\d+)", data[0]).group(1))
        status, data = client.select(name, readonly=True)
        same("EXAMINE", status, "OK")
        found = []
        if int(data[0]):
            status, data = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
            same("FETCH", status, "OK")
            for item in data:
                if not isinstance(item, tuple):
                    continue
                head = item[0].decode()
                stamp = re.search(r'INTERNALDATE "([^"]+)"', head).group(1)
                when = time.strptime(stamp[:20], "%d-%b-%Y %H:%M:%S")
                sign = -1 if stamp[21] == "-" else 1
                zone = sign * (int(stamp[22:24]) * 3600 + int(stamp[24:26]) * 60)
                flags = frozenset(re.search(r"FLAGS \(([^)]*)\)", head).group(1).split()) - {r"\Recent"}
                found.append(Message(int(re.search(r"UID (\d+)", head).group(1)), flags, calendar.timegm(when) - zone,
                                     item[1]))
        return found, uidvalidity
    finally:
        client.logout()


def write_maildir(folder, messages, keywords=(), uidlist=None):
    """messages: [(bytes, letters, date)]; names are given back."""
    names = []
    for sub in ("cur", "new", "tmp"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for i, (data, letters, date) in enumerate(messages):
        base = f"{date}.M{i}.some.host,S={len(data)}"
        path = folder / "new" / base if letters is None else folder / "cur" / f"{base}:2,{letters}"
        path.write_bytes(data)
        os.utime(path, (date, date))
        names.append(base)
    if keywords:
        (folder / "dovecot-keywords").write_text("".join(f"{i} {k}\n" for i, k in enumerate(keywords)))
    if uidlist:
        (folder / "dovecot-uidlist").write_text(uidlist(names))
    return names


# -- tests
def test_verbs(box):
    box("create", "anna", "Räume/Zwei", "--subscribe")
    box("create", "anna", "Wichtig", "--special-use", r"\Important")
    box("create", "anna", "Ablage", "--special-use", "archive", "--subscribe")  # the mailbox that had it gives it up
    rows = box.rows("list", "anna")
    same("names", sorted(rows), sorted(["Archive", "Drafts", "INBOX", "Junk", "Räume", "Räume/Zwei", "Sent", "Trash", "Wichtig", "Ablage"]))
    same("row", rows["Räume/Zwei"], {"name": "Räume/Zwei", "messages": "0", "unseen": "0", "size": "0", "subscribed": "yes",
                                     "attributes": []})
    same("uses", sorted(rows["Wichtig"]["attributes"]), [r"\Important"])
    same("the use moves", (rows["Ablage"]["attributes"], rows["Archive"]["attributes"]), ([r"\Archive"], []))
    same("not subscribed", rows["Räume"]["subscribed"], "no")
    same("below", sorted(box.rows("list", "anna", "Räume")), ["Räume", "Räume/Zwei"])
    box("list", "anna", "Raum", code=EX_NOINPUT, patterns=["No such mailbox"])
    box("rename", "anna", "Räume", "Zimmer.1")
    same("renamed", sorted(box.rows("list", "anna", "Zimmer.1")), ["Zimmer.1", "Zimmer.1/Zwei"])
    box("subscribe", "anna", "Zimmer.1")
    same("subscribed", box.rows("status", "anna", "Zimmer.1")["Zimmer.1"]["subscribed"], "yes")
    box("unsubscribe", "anna", "Zimmer.1")
    same("unsubscribed", box.rows("status", "anna", "Zimmer.1")["Zimmer.1"]["subscribed"], "no")
    text = box("list", "anna", "-o", "tsv").stdout
    same("tsv", sorted(line.split("\t")[0] for line in text.splitlines())[:3], ["Ablage", "Archive", "Drafts"])
    box("list", "anna", patterns=[r"name=INBOX  messages=0  unseen=0  size=0  subscribed=yes  attributes=\n"])
    box("delete", "anna", "Zimmer.1")
    same("what lies below stays", [n for n in box.rows("list", "anna") if n.endswith("Zwei")], ["Zimmer.1/Zwei"])
    box("create", "anna", "Zimmer.1")
    box("delete", "anna", "Zimmer.1", "--recursive")
    box("list", "anna", "Zimmer.1", code=EX_NOINPUT)
    box("delete", "anna", "Wichtig")


def test_verbs_bad(box):
    for verb in ("list", "status", "create", "delete", "rename", "subscribe", "unsubscribe", "import", "export"):
        box(verb, "--help", patterns=[f"usage: mailserverd mailbox {verb} USER"])
        box(verb, code=EX_USAGE, patterns=[f"--help"])
        box(verb, "--nothing", code=EX_USAGE)
    box("list", "nobody", code=EX_NOUSER, patterns=["nobody: There is no such user"])
    box("list", "anna+x", code=EX_NOUSER)
    box("list", "anna@elsewhere.example", code=EX_NOUSER)
    box("list", "x" * 300, code=EX_NOUSER)
    box("list", "", code=EX_NOUSER)
    box("list", "ANNA@example.org")
    box("status", "anna", "INBOX", "Nothing", code=EX_NOINPUT, patterns=["name: INBOX", "Nothing: No such mailbox"])
    box("create", "anna", "inbox", code=EX_CANTCREAT, patterns=["exists already"])
    box("create", "anna", "a//b", code=EX_DATAERR)
    box("create", "anna", "x" * 481, code=EX_USAGE, patterns=["1 to 480 bytes"])
    box("create", "anna", "", code=EX_USAGE)
    box("create", "anna", os.fsdecode(b"\xff"), code=EX_USAGE, patterns=["UTF-8"])
    box("create", "anna", "New", "--special-use", "nonsense", code=EX_DATAERR, patterns=["Special use"])
    box("create", "anna", "New", "--special-use", "a) X (", code=EX_USAGE)
    box("delete", "anna", "INBOX", code=EX_DATAERR)
    box("delete", "anna", "Nothing", code=EX_NOINPUT)
    box("delete", "anna", "Nothing", "--recursive", code=EX_NOINPUT)
    box("rename", "anna", "Nothing", "Something", code=EX_NOINPUT)
    box("rename", "anna", "Sent", "Drafts", code=EX_CANTCREAT)


def test_maildir(box):
    folder = box.folder("odd")
    # a Maildir as Dovecot has it: a list of UIDs, keywords, subscriptions, folders whose names are coded
    odd = [(name, lf(data)) for name, data in ODD.items()]
    letters = ["", "S", "FS", "R", "D", "T", "P", "DFPRST", "a", "bc", "Sa", None, "S", "S", "S", "S"]
    messages = [(data, letters[i], DATE + i) for i, (_, data) in enumerate(odd)]
    sub = folder / ".Entw&APw-rfe.2011"
    folder.mkdir()
    write_maildir(folder, [], [])
    write_maildir(sub, messages, ["$Label1", "junk", "NonJunk"],
                  lambda names: f"3 V1234 N1000 G0123\n" + "".join(f"{10 * i + 7} S12 :{n}\n" for i, n in enumerate(names)))
    write_maildir(folder / ".a&AC4-b", [(b"Subject: dot\n\nx\n", "S", DATE)])
    (folder / "subscriptions").write_text("V\t2\n\nEntw&APw-rfe\t2011\nGone\n")
    rows = box.rows("import", "anna", folder)
    same("counts", {n: (r["messages"], r["failed"], r["uids"]) for n, r in rows.items()},
         {"INBOX": ("0", "0", "new"), "Entwürfe/2011": (str(len(odd)), "0", "kept"), "a.b": ("1", "0", "new")})
    found, uidvalidity = imap_messages(box.site, "anna", '"Entw&APw-rfe/2011"')
    same("UIDVALIDITY", uidvalidity, 1234)
    table = {**FLAGS, "a": "$Label1", "b": "junk", "c": "NonJunk"}
    for i, (m, (name, data)) in enumerate(zip(found, ODD.items())):
        same(f"{name}: bytes", m.data, data)
        same(f"{name}: UID, date", (m.uid, m.date), (10 * i + 7, DATE + i))
        same(f"{name}: flags", m.flags, {table[c] for c in letters[i] or ""})
    same("messages", len(found), len(odd))
    rows = box.rows("list", "anna")
    same("subscribed", (rows["Entwürfe/2011"]["subscribed"], rows["a.b"]["subscribed"]), ("yes", "no"))
    # again: nothing is doubled; all the same with --again
    again = box.rows("import", "anna", folder)
    same("again", (again["Entwürfe/2011"]["messages"], again["Entwürfe/2011"]["existing"]), ("0", str(len(odd))))
    same("--again", box.rows("import", "anna", "--again", "--mailbox", "a.b", folder / ".a&AC4-b")["a.b"]["messages"], "1")
    same("two now", box.rows("status", "anna", "a.b")["a.b"]["messages"], "2")
    same("one of two", box.rows("import", "anna", "--mailbox", "a.b", folder / ".a&AC4-b")["a.b"]["existing"], "1")


def append_odd(site, user, name):
    """Through IMAP, since no Maildir has line ends of every kind."""
    client = site.imap(user)
    client.create(name)
    everything = {**ODD, **ODD_ENDS}
    flags = [r"(\Seen)", "()", r"(\Flagged $Forwarded key)", r"(\Deleted \Draft)", r"(\Answered)"]
    for i, (what, data) in enumerate(everything.items()):
        # imaplib would mend line ends
        tag = client._new_tag().decode()
        stamp = time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(DATE + i))
        client.send(f'{tag} APPEND {name} {flags[i % 5]} "{stamp}" {{{len(data)}+}}\r\n'.encode() + data + b"\r\n")
        status, answer = wait_tag(client, tag)
        same(f"APPEND {what}: {answer}", status, "OK")
    client.logout()
    return everything


def wait_tag(client, tag):
    while True:
        line = client.readline().decode()
        if line.startswith(tag + " "):
            return line.split()[1], line
        if not line:
            raise RuntimeError("the server closed")


def test_maildir_export(box):
    everything = append_odd(box.site, "bert", "Odd")
    before, uidvalidity = imap_messages(box.site, "bert", "Odd")
    same("appended", [m.data for m in before], list(everything.values()))
    box("create", "bert", "Deep/a.b/Öl", "--subscribe")
    target = box.folder("bert-maildir")
    rows = box.rows("export", "bert", "--all", target)
    same("counts", (rows["Odd"]["messages"], rows["Odd"]["bytes"], rows["Odd"]["failed"]),
         (str(len(before)), str(sum(len(m.data) for m in before)), "0"))
    same("folders", sorted(p.name for p in target.iterdir() if p.name.startswith(".")),
         sorted([".Archive", ".Drafts", ".Deep", ".Deep.a&AC4-b", ".Deep.a&AC4-b.&ANY-l", ".Junk", ".Odd", ".Sent", ".Trash"]))
    # an independent reader
    inside = mailbox.Maildir(target / ".Odd", factory=None, create=False)
    same("messages for Python", len(inside), len(before))
    by_date = {int(inside.get_message(k).get_date()): k for k in inside.keys()}
    for m, (what, data) in zip(before, everything.items()):
        key = by_date[m.date]
        want = data if what in ODD_ENDS else lf(data)
        raw = (target / ".Odd" / inside._lookup(key)).read_bytes()
        same(f"{what}: raw bytes", raw, want)
        got = inside.get_message(key).get_flags()
        same(f"{what}: flags", {FLAGS[c] for c in got if c in FLAGS}, m.flags - {"key"})
        same(f"{what}: keyword", "a" in got, "key" in m.flags)
    same("keywords", (target / ".Odd/dovecot-keywords").read_text(), "0 key\n")
    head = (target / ".Odd/dovecot-uidlist").read_text().splitlines()
    same("UIDs", (head[0], len(head)), (f"3 V{uidvalidity} N{len(before) + 1}", len(before) + 1))
    # and back, to somebody else: the same in everything
    box("import", "carl", target)
    same("round trip", imap_messages(box.site, "carl", "Odd"), (before, uidvalidity))
    same("subscriptions", {n: r["subscribed"] for n, r in box.rows("list", "carl").items()},
         {n: r["subscribed"] for n, r in box.rows("list", "bert").items()})
    # one mailbox alone
    one = box.folder("one")
    box("export", "bert", "--mailbox", "Odd", one)
    same("alone", len(mailbox.Maildir(one, create=False)), len(before))
    box("import", "carl", one, "--mailbox", "Other/Place")
    same("to another name", imap_messages(box.site, "carl", "Other/Place"), (before, uidvalidity))


def test_inbox_uids(box):
    """Those that every user has take the UIDs of the source too, as long as they never had a message."""
    folder = box.folder("inbox")
    text = lambda n: f"3 V{n} N50\n"
    write_maildir(folder, [(b"Subject: inbox\n\nx\n", "S", DATE)], uidlist=lambda n: text(555) + f"40 :{n[0]}\n")
    write_maildir(folder / ".Sent", [(b"Subject: sent\n\nx\n", "S", DATE)], uidlist=lambda n: text(556) + f"41 :{n[0]}\n")
    rows = box.rows("import", "uwe", folder)
    same("kept", {n: r["uids"] for n, r in rows.items()}, {"INBOX": "kept", "Sent": "kept"})
    found, uidvalidity = imap_messages(box.site, "uwe")
    same("INBOX", (uidvalidity, [m.uid for m in found]), (555, [40]))
    found, uidvalidity = imap_messages(box.site, "uwe", "Sent")
    same("Sent", (uidvalidity, [m.uid for m in found]), (556, [41]))
    same("its use", box.rows("list", "uwe")["Sent"]["attributes"], [r"\Sent"])
    rows = box.rows("import", "uwe", folder)
    same("again", {n: (r["messages"], r["existing"], r["uids"]) for n, r in rows.items()},
         {"INBOX": ("0", "1", "kept"), "Sent": ("0", "1", "kept")})
    # another source's UIDs do not fit any more
    write_maildir(folder, [], uidlist=lambda n: text(777))
    same("another UIDVALIDITY", box.rows("import", "uwe", folder)["INBOX"]["uids"], "new")


def test_mbox_export(box):
    before, uidvalidity = imap_messages(box.site, "bert", "Odd")
    target = box.folder("bert.mbox")
    box("export", "bert", "--mailbox", "Odd", "--format", "mbox", target)
    inside = mailbox.mbox(target, create=False)
    names = list({**ODD, **ODD_ENDS})
    same("messages for Python", len(inside), len(before))
    for m, name, entry in zip(before, names, inside):
        same(f"{name}: From_ line", calendar.timegm(time.strptime(entry.get_from().split(" ", 1)[1])), m.date)
        same(f"{name}: UID", entry["X-UID"], str(m.uid))
        want = {FLAGS[{"R": "S", "A": "R", "F": "F", "D": "T", "T": "D"}[c]] for c in entry.get_flags() if c != "O"}
        same(f"{name}: flags", want, {f for f in m.flags if f.startswith("\\")})
    box("import", "dora", target, "--mailbox", "Odd")
    after, after_validity = imap_messages(box.site, "dora", "Odd")
    same("UIDVALIDITY", after_validity, uidvalidity)
    same("UIDs, flags, dates", [m[:3] for m in after], [m[:3] for m in before])
    for a, b, name in zip(after, before, names):
        if name in ODD_ENDS:
            continue
        same(f"{name}: bytes", a.data, MBOX_CHANGES.get(name, lambda d: d)(b.data))
    # all of them, as a tree
    tree = box.folder("tree")
    box("export", "bert", "--all", "--format", "mbox", tree)
    same("files", sorted(str(p.relative_to(tree)) for p in tree.rglob("*.mbox"))[:4],
         ["Archive.mbox", "Deep.mbox", "Deep/a&AC4-b.mbox", "Deep/a&AC4-b/&ANY-l.mbox"])
    box("import", "emil", tree)
    same("the tree's mailboxes", sorted(box.rows("list", "emil")), sorted(box.rows("list", "bert")))
    same("messages", imap_messages(box.site, "emil", "Odd")[0], after)


def test_python_writes(box):
    """What Python's module writes, mboxo with From_ lines mangled, and a Maildir with folders."""
    path = box.folder("python.mbox")
    out = mailbox.mbox(path)
    for i in range(5):
        text = email.message.Message()
        text["Subject"] = f"python {i}"
        text.set_payload(f"line\nFrom the beginning {i}\n>quoted\n")
        m = mailbox.mboxMessage(text)
        m.set_from("anna@example.org", time.gmtime(DATE + i))
        m.set_flags("RF" if i % 2 else "")
        out.add(m)
    out.close()
    rows = box.rows("import", "fritz", path)
    same("imported", rows["INBOX"]["messages"], "5")
    found, _ = imap_messages(box.site, "fritz")
    same("dates", [m.date for m in found], [DATE + i for i in range(5)])
    same("flags", [sorted(m.flags) for m in found], [[], [r"\Flagged", r"\Seen"]] * 2 + [[]])
    same("bytes", found[1].data, b"Subject: python 1\r\n\r\nline\r\nFrom the beginning 1\r\n>quoted\r\n")
    root = mailbox.Maildir(box.folder("python-maildir"), create=True)
    below = root.add_folder("Below.Two")
    m = mailbox.MaildirMessage(b"Subject: below\n\ntext\n")
    m.set_flags("FS")
    m.set_subdir("cur")
    m.set_date(DATE)
    below.add(m)
    root.add(b"Subject: top\n\ntext\n")
    rows = box.rows("import", "fritz", root._path)
    same("both", (rows["INBOX"]["messages"], rows["Below/Two"]["messages"]), ("1", "1"))
    same("below", imap_messages(box.site, "fritz", "Below/Two")[0],
         [Message(1, frozenset([r"\Flagged", r"\Seen"]), DATE, b"Subject: below\r\n\r\ntext\r\n")])


def test_mbox_kinds(box):
    cl2 = box.folder("cl2")
    body = b"one\nFrom x Thu Jan  1 00:00:00 1970\n>From y\n"
    head = b"From a@b Fri Jul  8 12:08:34 2011\nSubject: cl2\n"
    cl2.write_bytes((head + b"Content-Length: %d\n\n" % len(body) + body + b"\n") * 2)
    same("mboxcl2", box.rows("import", "gerd", cl2, "--mailbox", "cl2")["cl2"]["messages"], "2")
    same("bytes", {m.data for m in imap_messages(box.site, "gerd", "cl2")[0]},
         {b"Subject: cl2\r\n\r\n" + body.replace(b"\n", b"\r\n")})
    pseudo = box.folder("pseudo")
    pseudo.write_bytes(b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011\nFrom: Mail System Internal Data <x@y>\n"
                       b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 4711 0000000009\nStatus: RO\n\n"
                       b"This text is part of the internal format.\n\n"
                       b"From a@b Fri Jul  8 12:08:34 2011\nX-UID: 9\nStatus: RO\nX-Status: A\nX-Keywords: one two\n"
                       b"Subject: real\n\nx\n\n")
    row = box.rows("import", "gerd", pseudo, "--mailbox", "Pseudo")["Pseudo"]
    same("c-client", (row["messages"], row["uids"]), ("1", "kept"))
    same("its message", imap_messages(box.site, "gerd", "Pseudo"),
         ([Message(9, frozenset([r"\Seen", r"\Answered", "one", "two"]), DATE, b"Subject: real\r\n\r\nx\r\n")], 4711))
    # UIDs that are taken already: the messages come with others
    client = box.site.imap("gerd")
    client.append("Pseudo", "", None, b"Subject: new\r\n\r\nnew\r\n")
    client.logout()
    more = box.folder("more")
    more.write_bytes(pseudo.read_bytes() + b"From a@b Fri Jul  8 12:08:35 2011\nX-UID: 10\nSubject: late\n\nx\n\n")
    row = box.rows("import", "gerd", more, "--mailbox", "Pseudo")["Pseudo"]
    same("late", (row["messages"], row["existing"], row["failed"]), ("1", "1", "0"))
    same("its UID", [m.uid for m in imap_messages(box.site, "gerd", "Pseudo")[0]], [9, 10, 11])


def make_many(folder, count):
    write_maildir(folder, [(b"From: a@b\nTo: c@d\nSubject: test %d\nMessage-ID: <%d@x>\n\n" % (i, i) + b"text %d\n" % i * 40,
                            "S" if i % 2 else "", DATE + i // 3) for i in range(count)],
                  uidlist=lambda names: "1 99 %d\n" % (3 * count) + "".join(f"{3 * i + 1} {n}\n" for i, n in enumerate(names)))


def check_many(box, user, count):
    found, uidvalidity = imap_messages(box.site, user, "Many")
    same("UIDVALIDITY", uidvalidity, 99)
    subjects = [re.search(rb"test (\d+)", m.data).group(1) for m in found]
    same("messages", len(found), count)
    same("each once, in order", subjects, [b"%d" % i for i in range(count)])
    same("UIDs", [m.uid for m in found], [3 * i + 1 for i in range(count)])


def test_many(box, count):
    folder = box.folder("many")
    make_many(folder, count)
    begun = time.monotonic()
    row = box.rows("import", "anna", folder, "--mailbox", "Many")["Many"]
    took = time.monotonic() - begun
    same("imported", (row["messages"], row["failed"], row["uids"]), (str(count), "0", "kept"))
    check_many(box, "anna", count)
    begun = time.monotonic()
    box("export", "anna", "--mailbox", "Many", box.folder("many-out"))
    out = time.monotonic() - begun
    box("import", "bert", box.folder("many-out"), "--mailbox", "Many")
    check_many(box, "bert", count)
    return f"{count / took:.0f} messages/s in, {count / out:.0f} out"


def import_until(box, user, folder, lines, kill):
    """Starts an import, and calls kill() when it has told that it has got so far."""
    words = [box.site.binary, "mailbox", "import", user, str(folder), "--mailbox", "Many", "-c", str(box.site.config)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def got_so_far():
        done = box.site.command("mailbox", "status", user, "Many", "-o", "json")
        return done.returncode == 0 and int(json.loads(done.stdout)["messages"]) >= lines or process.poll() is not None

    wait_for(got_so_far, 60, 0.001)
    kill(process)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_killed(box, count):
    folder = box.folder("many")
    status, _ = import_until(box, "carl", folder, 200, lambda p: p.send_signal(signal.SIGKILL))
    held = int(box.rows("status", "carl", "Many")["Many"]["messages"])
    row = box.rows("import", "carl", folder, "--mailbox", "Many")["Many"]
    same("together", int(row["messages"]) + int(row["existing"]), count)
    check_many(box, "carl", count)
    return f"killed at {held}" if status == -signal.SIGKILL else "it was faster"


def test_server_killed(box, count):
    folder = box.folder("many")
    status, text = import_until(box, "dora", folder, 300, lambda p: box.site.kill())
    if status == EX_OK:
        box.site.start()
        return "it was faster"
    same("exit status", status, EX_TEMPFAIL)
    if "the server ended the connection" not in text:
        raise RuntimeError(text)
    box("list", "dora", code=EX_UNAVAILABLE, patterns=["the server does not run"])
    box("import", "dora", folder, code=EX_UNAVAILABLE)
    box("export", "dora", "--all", box.folder("never"), code=EX_UNAVAILABLE)
    same("nothing was made", box.folder("never").exists(), False)
    box.site.start()
    held = int(box.rows("status", "dora", "Many")["Many"]["messages"])
    row = box.rows("import", "dora", folder, "--mailbox", "Many")["Many"]
    same("together", int(row["messages"]) + int(row["existing"]), count)
    check_many(box, "dora", count)
    return f"killed at {held}"


def test_bad_messages(box):
    """Each is named, and the others come in."""
    folder = box.folder("bad")
    write_maildir(folder, [(b"Subject: %d\n\nx\n" % i, "S", DATE + i) for i in range(3)])
    for name, data in {"5.nul": b"Subject: nul\n\na\0b\n", "6.empty": b"", "7.great": b"Subject: great\n\n" + b"x" * 70 * 30000}.items():
        (folder / "cur" / (name + ":2,S")).write_bytes(data)
    (folder / "cur/8.dir").mkdir()
    (folder / "cur/9.link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "cur/a.fifo")
    (folder / "dovecot-uidlist").write_text("nonsense\n")
    (folder / "linked").symlink_to("/tmp")
    (folder / ".bad..name/cur").mkdir(parents=True)
    (folder / "cur/b.\x1b[31m:2,S").write_bytes(b"")
    done = box("import", "hans", folder, "-o", "json", code=EX_DATAERR, patterns=[
        r"5\.nul:2,S: .*NUL", r"6\.empty:2,S: the message is empty", r"7\.great:2,S: .*(large|big)", r"8\.dir: not a file",
        r"9\.link: a symbolic link is not followed", r"a\.fifo: not a file", r"dovecot-uidlist: .*UIDs are not kept",
        r"linked: a symbolic link is not followed", r"\.bad\.\.name: no mailbox can have this name"])
    row = json.loads(done.stdout)
    same("the good ones", (row["messages"], row["failed"]), ("3", "7"))
    same("nothing steers the terminal", "\x1b" in done.stderr, False)
    same("subjects", [m.data.split(b"\r\n")[0] for m in imap_messages(box.site, "hans")[0]],
         [b"Subject: 0", b"Subject: 1", b"Subject: 2"])
    box("import", "hans", folder, code=EX_DATAERR, patterns=["messages=0 .*existing=3  failed=7"])


def test_bad_paths(box):
    box("import", "hans", box.folder("nothing"), code=EX_NOINPUT, patterns=["nothing: No such file"])
    empty = box.folder("empty")
    empty.mkdir()
    box("import", "hans", empty, code=EX_DATAERR, patterns=["neither a Maildir nor an mbox is in it"])
    box("import", "hans", "--format", "maildir", empty, code=EX_DATAERR, patterns=["no Maildir is in it"])
    text = box.folder("text")
    text.write_text("hello\n")
    box("import", "hans", text, code=EX_DATAERR, patterns=["text: not an mbox"])
    box("import", "hans", "--format", "maildir", text, code=EX_DATAERR, patterns=["a file is no Maildir"])
    box("import", "hans", "--format", "other", text, code=EX_USAGE)
    box("import", "hans", "/dev/null", code=EX_DATAERR, patterns=["neither a directory nor a file"])
    box("import", "hans", code=EX_USAGE)
    box("import", "nobody", text, code=EX_NOUSER)
    box("import", "hans", text, "--mailbox", "a//b", code=EX_DATAERR)
    mixed = box.folder("mixed")
    (mixed / "sub").mkdir(parents=True)
    (mixed / "sub/readme").write_text("not mail\n")
    (mixed / "sub/good").write_text("From x Fri Jul  8 12:08:34 2011\nSubject: good\n\nx\n")
    box("import", "hans", mixed, code=EX_DATAERR, patterns=["readme: not an mbox", "mailbox=sub/good  messages=1"])
    # the bad path does not keep the good one from coming
    box("import", "hans", box.folder("nothing"), mixed / "sub/good", "--mailbox", "Two", code=EX_NOINPUT,
        patterns=["mailbox=Two  messages=1"])


def test_no_overwrite(box):
    target = box.folder("kept")
    target.mkdir()
    (target / "mine").write_text("mine\n")
    for fmt in ("maildir", "mbox"):
        box("export", "hans", "--all", "--format", fmt, target, code=EX_CANTCREAT, patterns=["overwrites nothing"])
    box("export", "hans", "--mailbox", "INBOX", "--format", "mbox", target / "mine", code=EX_CANTCREAT, patterns=["overwrites"])
    same("what was there", [p.name for p in target.iterdir()], ["mine"])
    same("its text", (target / "mine").read_text(), "mine\n")
    box("export", "hans", "--all", target / "mine", code=EX_CANTCREAT)
    box("export", "hans", "--all", target / "no/such", code=EX_CANTCREAT, patterns=["No such file"])
    box("export", "hans", "--mailbox", "Nothing", target / "x", code=EX_NOINPUT, patterns=["No such mailbox"])
    same("not made", (target / "x").exists(), False)
    box("export", "hans", target / "x", code=EX_USAGE, patterns=["--all or --mailbox"])
    box("export", "hans", "--all", "--mailbox", "INBOX", target / "x", code=EX_USAGE)
    box("export", "hans", "--all", "--format", "other", target / "x", code=EX_USAGE)


def test_quota(box):
    folder = box.folder("quota")
    write_maildir(folder, [(b"Subject: %d\n\n" % i + b"x" * 1000 + b"\n", "", DATE + i) for i in range(300)])
    expect(box.site.command("user", "set", "ida", "--quota", "100KiB"), EX_OK)
    done = box("import", "ida", folder, "-o", "json", code=EX_CANTCREAT, patterns=["quota"])
    held = int(json.loads(done.stdout)["messages"])
    if not 80 <= held <= 100:
        raise RuntimeError(f"{held} messages under 100 KiB: {done.stdout}")
    same("said once", done.stderr.count("Over quota"), 1)
    expect(box.site.command("user", "set", "ida", "--quota", "10MiB"), EX_OK)
    row = box.rows("import", "ida", folder)["INBOX"]
    same("goes on", (row["existing"], row["messages"]), (str(held), str(300 - held)))


def external(path, login, uid=None):
    """What the local socket says to a process of this user."""
    code = (f"import socket\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect({str(path)!r})\nf = s.makefile('rb')\n"
            f"print(f.readline().decode().strip())\ns.sendall(b'a AUTHENTICATE EXTERNAL {base64.b64encode(login).decode()}\\r\\n')\n"
            f"print(f.readline().decode().strip())\n")
    drop = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=60, cwd="/", **drop)


def test_socket(box):
    path = box.site.folder / "run/imap.sock"
    same("mode", oct(path.stat().st_mode & 0o777), "0o600")
    before = box.site.log.read_text().count("event=auth.login ")
    done = external(path, b"anna")
    if "AUTH=EXTERNAL" not in done.stdout or "\na OK" not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    line = [l for l in box.site.logged("event=auth.login ", count=before + 1).splitlines() if "event=auth.login " in l][-1]
    for want in ("user=anna@example.org", "rip=local", "method=EXTERNAL", f"uid={os.getuid()}"):
        if want not in line:
            raise RuntimeError(f"{want} is not in {line}")
    with socket.create_connection(("127.0.0.1", box.site.base + 143), 20) as s:  # nowhere else
        f = s.makefile("rb")
        greeting = f.readline()
        s.sendall(b"a AUTHENTICATE EXTERNAL " + base64.b64encode(b"anna") + b"\r\n")
        answer = f.readline()
        if b"EXTERNAL" in greeting or not answer.startswith(b"a NO"):
            raise RuntimeError(f"{greeting} {answer}")


def test_other_uid(box):
    if os.getuid() != 0:
        raise Skip("needs root")
    other = 65534
    path = box.site.folder / "run/imap.sock"
    folders = [p for p in (path.parent, *path.parent.parents) if p != pathlib.Path("/") and not p.stat().st_mode & 0o005]
    modes = [(p, p.stat().st_mode & 0o7777) for p in folders]
    try:
        for p in folders:
            p.chmod(0o755)
        done = external(path, b"anna", other)
        if "PermissionError" not in done.stderr:
            raise RuntimeError(f"the mode of the socket: {done}")
        path.chmod(0o666)  # as if somebody had: the peer's uid decides
        done = external(path, b"anna", other)
        same("nothing is said", done.stdout.replace("\n", ""), "")
        wait_for(lambda: f"event=imapd.local_refused" in box.site.log.read_text())
        line = [l for l in box.site.log.read_text().splitlines() if "event=imapd.local_refused" in l][-1]
        same("logged", f"uid={other}" in line, True)
        path.chmod(0o600)
        config = box.site.config
        config.chmod(0o644)
        binary = pathlib.Path(box.site.binary).resolve()
        done = subprocess.run([binary, "mailbox", "list", "anna", "-c", str(config)], capture_output=True, text=True,
                              user=other, group=other, extra_groups=[], cwd="/", timeout=60)
        expect(done, EX_NOPERM, "only root and the server's own user may connect")
    finally:
        path.chmod(0o600)
        for p, mode in modes:
            p.chmod(mode)


def test_permission(box):
    """Root gives up what lets it read everything; the socket is its own."""
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.getuid() == 0 else []
    if drop and subprocess.run([*drop, "true"], capture_output=True).returncode != 0:
        raise Skip("root may read everything, and setpriv cannot change that")

    def run(*words):
        return subprocess.run([*drop, box.site.binary, "mailbox", *map(str, words), "-c", str(box.site.config)],
                              capture_output=True, text=True, timeout=120)

    folder = box.folder("locked")
    write_maildir(folder, [(b"Subject: x\n\nx\n", "S", DATE), (b"Subject: y\n\ny\n", "S", DATE + 1)])
    file = next((folder / "cur").glob(f"{DATE}.*"))
    file.chmod(0)
    expect(run("import", "hans", folder, "--mailbox", "Locked"), EX_DATAERR, r"messages=1 .* failed=1",
           f"{re.escape(file.name)}: Permission denied")
    (folder / "cur").chmod(0)
    expect(run("import", "hans", folder, "--mailbox", "Locked"), EX_NOPERM, "cur: Permission denied")
    folder.chmod(0)
    expect(run("import", "hans", folder), EX_NOPERM, "locked: Permission denied")
    expect(run("export", "hans", "--all", folder), EX_NOPERM, "locked: Permission denied")
    expect(run("export", "hans", "--mailbox", "INBOX", "--format", "mbox", folder / "x"), EX_NOPERM, "Permission denied")
    folder.chmod(0o500)
    expect(run("export", "hans", "--all", folder / "x"), EX_NOPERM, "x: Permission denied")
    folder.chmod(0o700)
    (folder / "cur").chmod(0o700)


def test_oracle(box):
    """Mailboxes and messages with wanted UIDs, and several of one op, mean the same to a second reader."""
    same("stopped", box.site.stop(), 0)
    reader = pathlib.Path(__file__).parent.parent / "oracle/reader.py"
    done = subprocess.run([sys.executable, str(reader), "compare", str(box.site.partition)], capture_output=True, text=True,
                          timeout=600)
    expect(done, 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--messages", type=int, default=3000)
    options = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="mailbox-") as work, running(options.binary, SETS, USERS) as site:
        box = Box(site, work)
        tap.run("create, list, status, rename, subscribe, delete", test_verbs, box)
        tap.run("bad arguments and names", test_verbs_bad, box)
        tap.run("a Maildir comes in", test_maildir, box)
        tap.run("a Maildir goes out and comes back", test_maildir_export, box)
        tap.run("INBOX keeps UIDs", test_inbox_uids, box)
        tap.run("an mbox goes out and comes back", test_mbox_export, box)
        tap.run("what Python writes", test_python_writes, box)
        tap.run("kinds of mbox", test_mbox_kinds, box)
        tap.run("many messages", test_many, box, options.messages)
        tap.run("an import that is killed goes on", test_killed, box, options.messages)
        tap.run("an import whose server is killed goes on", test_server_killed, box, options.messages)
        tap.run("bad messages", test_bad_messages, box)
        tap.run("bad paths", test_bad_paths, box)
        tap.run("an export overwrites nothing", test_no_overwrite, box)
        tap.run("over quota", test_quota, box)
        tap.run("the local socket", test_socket, box)
        tap.run("other users at the local socket", test_other_uid, box)
        tap.run("files that may not be read", test_permission, box)
        tap.run("an independent reader of the log", test_oracle, box)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
