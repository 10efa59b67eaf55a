#!/usr/bin/env python3
"""Mail programs that keep mailboxes over IMAP: mbsync both ways, offlineimap, mutt, neomutt, fetchmail, curl, imaplib, imapflow, and a
script that copies an account. Each does its work without a warning, without being refused anything, and loses nothing: octets, flags,
dates.

usage: imap_clients.py BINARY [--messages N] [--npm]      --npm: imapflow of the npm registry, pinned in npm/package-lock.json
"""
import argparse
import hashlib
import imaplib
import mailbox
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from imap_clients_maildir import mbsync, offlineimap  # noqa: E402
from imap_clients_npm import imapflow  # noqa: E402
from imap_mail import Program, Relay, date_of, expected, fill, flags_of, known, odd_message, read, same  # noqa: E402
from imap_wire import Wire  # noqa: E402
from msite import PASSWORD, running  # noqa: E402
from tap import Tap  # noqa: E402

SMALL = 120  # messages for programs that need no more


# -- mutt and neomutt

def mutt(site, name, count):
    """Opens the mailbox twice (the second time with its cache), flags all, saves a part into another mailbox, copies the rest."""
    c = Program(site, name)
    port, user = site.base + 143, f"user-{name}"
    fill(port, user, "INBOX", range(count), flags=lambda number: set())
    client = site.imap(user)
    client.create("Kept")
    client.logout()
    relay = Relay(port)
    out, cache = c.home / "copy.mbox", c.home / "cache"
    cache.mkdir(exist_ok=True)
    more = "set imap_condstore=yes imap_qresync=yes" if name == "neomutt" else "set imap_condstore=yes"

    def session(keys):
        c.terminal("-n", "-F", c.file("rc", f"""
set folder="imap://127.0.0.1:{relay.listen}/" spoolfile="imap://127.0.0.1:{relay.listen}/INBOX"
set imap_user={user} imap_pass={PASSWORD} ssl_starttls=no ssl_force_tls=no mbox_type=mbox copy=no confirmcreate=no confirmappend=no
set record="" header_cache={cache} message_cachedir={cache} quit=yes delete=yes move=no mark_old=no wait_key=no sort=mailbox-order
{more}
push "{keys}"
"""))
    session(f"<tag-pattern>~A<enter><tag-prefix><copy-message>{out}<enter><quit>")
    box = mailbox.mbox(out)
    if len(box) != count or {m["X-Test-Id"] for m in box} != {str(n) for n in range(count)}:
        raise RuntimeError(f"copied {len(box)} of {count}")
    session("<tag-pattern>~A<enter><tag-prefix><flag-message><quit>")
    half = count // 2
    session(f"<tag-pattern>~m 1-{half}<enter><tag-prefix><save-message>=Kept<enter><sync-mailbox><quit>")
    kept, left = read(port, user, "Kept"), read(port, user)
    flagged = {"\\Flagged"}
    same(expected(range(half), lambda number: flagged), without_seen(kept), "saved", dates=False)
    same(expected(range(half, count), lambda number: flagged), without_seen(left), "left")
    relay.close()
    return f"{count} messages"


def without_seen(found):
    return {test_id: (digest, flags - {"\\Seen"}, date) for test_id, (digest, flags, date) in found.items()}


# -- fetchmail, curl, imaplib

def fetchmail(site, count):
    """Keeps the messages on the server; each octet arrives at the delivery program."""
    c = Program(site, "fetchmail")
    port, user = site.base + 143, "fred"
    fill(port, user, "INBOX", range(count), flags=lambda number: set())
    relay = Relay(port)
    got = c.home / "got"
    got.mkdir()
    mda = c.file("mda", f"#!/bin/sh\ncat >{got}/$$\n")
    mda.chmod(0o700)
    rc = c.file("rc", f"""
poll 127.0.0.1 service {relay.listen} protocol IMAP
  user "{user}" password "{PASSWORD}" is "root" here
  sslproto "" keep fetchall no rewrite no mimedecode pass8bits
  mda "{mda}"
""")
    c.run("-f", rc, "--nosyslog", "--nodetach", "--silent", "--invisible", "--idfile", c.home / "ids", "--pidfile", c.home / "pid", ignore=("root is discouraged",))
    relay.close(1)
    want = expected(range(count))
    found = dict(known(b"\r\n".join(path.read_bytes().split(b"\n")), ("Received", "Return-Path", "Delivered-To")) for path in got.iterdir())
    if found.keys() != want.keys():
        raise RuntimeError(f"{len(found)} of {count} fetched")
    left = read(port, user)
    if any(flags != {"\\Seen"} for _, flags, _ in left.values()):
        raise RuntimeError("fetched messages are not \\Seen")
    return f"{count} messages"


def curl(site, count):
    c = Program(site, "curl")
    port = site.base + 143
    fill(port, "gina", "INBOX", range(count))
    url = f"imaps://localhost:{site.base + 993}"
    common = ("--no-progress-meter", "--cacert", c.cert, "--user", f"gina:{PASSWORD}")
    for number in range(0, count, max(1, count // 20)):
        out = c.home / "one"
        c.run(*common, "-o", out, f"{url}/INBOX;UID={number + 1}")
        if out.read_bytes().rstrip(b"\r\n") != odd_message(number).rstrip(b"\r\n"):
            raise RuntimeError(f"message {number} came back different")
        c.run(*common, "-o", out, f"{url}/INBOX;UID={number + 1};SECTION=HEADER.FIELDS%20(X-TEST-ID)")
        if out.read_bytes().strip() != b"X-Test-Id: %d" % number:
            raise RuntimeError(f"header of {number}: {out.read_bytes()}")
    new = c.home / "new"
    new.write_bytes(odd_message(count))
    c.run(*common, "--upload-file", new, f"{url}/Sent")
    if read(port, "gina", "Sent")[str(count)][0] != hashlib.sha256(odd_message(count)).hexdigest():
        raise RuntimeError("the upload came out different")
    for request, answer in (("LIST \"\" *", "* LIST"), ("STATUS INBOX (MESSAGES UIDNEXT)", f"MESSAGES {count}"), ("EXAMINE INBOX", f"* {count} EXISTS")):
        said = c.run(*common, url, "--request", request)
        if answer not in said:
            raise RuntimeError(f"{request}: {said}")
    return f"{count} messages"


def python(site, count):
    port, user = site.base + 143, "hans"
    relay = Relay(port)
    imaplib._MAXLINE = 10_000_000
    client = imaplib.IMAP4("127.0.0.1", relay.listen, timeout=60)
    client.login(user, PASSWORD)
    client.enable("UTF8=ACCEPT") if "UTF8=ACCEPT" in client.capabilities else None
    for number in range(count):
        typ, said = client.append("INBOX", " ".join(sorted(flags_of(number))), f'"{date_of(number)[1]}"', odd_message(number))
        if typ != "OK" or b"APPENDUID" not in said[0]:
            raise RuntimeError(f"APPEND {number}: {said}")
    client.create("Other")
    client.subscribe("Other")
    if b"Other" not in b"".join(client.lsub()[1]):
        raise RuntimeError("LSUB")
    client.select("INBOX")
    typ, said = client.uid("SEARCH", "HEADER", "X-Test-Id", "7")
    want = {str(n).encode() for n in range(1, count + 1) if "7" in str(n - 1)}
    if set(said[0].split()) != want:
        raise RuntimeError(f"SEARCH: {said} {want}")
    client.copy(f"1:{count // 2}", "Other")
    client.store(f"1:{count // 2}", "+FLAGS.SILENT", "\\Deleted")
    if len(client.expunge()[1]) != count // 2:
        raise RuntimeError("EXPUNGE")
    client.select("Other")
    if client.sort("DATE", "UTF-8", "ALL")[0] != "OK" if "SORT" in client.capabilities else False:
        raise RuntimeError("SORT")
    client.rename("Other", "Archive/Other")
    client.logout()
    same(expected(range(count // 2)), read(port, user, "Archive/Other"), "copied")
    same(expected(range(count // 2, count)), read(port, user), "left")
    relay.close(1)
    return f"{count} messages"


# -- a script that copies an account

def copy_account(site, count):
    """What imapsync does: mailboxes, then messages by UID with flags and dates, then once more, which finds nothing to do."""
    port = site.base + 143
    names = ("INBOX", "Archive", "Lists/dev", "Lists/dev/old", "Entwürfe & Ähnliches")
    client = site.imap("ida")
    for name in names[1:]:
        client.create(f'"{utf7(name)}"')
    client.logout()
    for index, name in enumerate(names):
        fill(port, "ida", utf7(name), range(index * count // 5, (index + 1) * count // 5))
    relay = Relay(port)
    copied = [copy_once(relay.listen, "ida", "jane") for _ in range(2)]
    relay.close(4)
    if copied != [count, 0]:
        raise RuntimeError(f"copied {copied}, not {[count, 0]}")
    for name in names:
        same(read(port, "ida", utf7(name)), read(port, "jane", utf7(name)), f"copied {name}")
    return f"{count} messages in {len(names)} mailboxes"


def utf7(name):
    return re.sub(r"[^ -~]+|&", lambda m: "&-" if m[0] == "&" else "&" + m[0].encode("utf-16-be").hex() and
                  "&" + __import__("base64").b64encode(m[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-", name)


def copy_once(port, source, target):
    copied = 0
    there, here = Wire(port, source, PASSWORD), Wire(port, target, PASSWORD)
    names = [re.search(rb'"/" "?([^"]*)"?$', said)[1].decode() for said in there.command('LIST "" "*"')]
    have = [re.search(rb'"/" "?([^"]*)"?$', said)[1].decode() for said in here.command('LIST "" "*"')]
    for name in names:
        if name not in have:
            here.command(f'CREATE "{name}"')
        there.command(f'EXAMINE "{name}"')
        here.command(f'SELECT "{name}"')
        done = {item["BODY[HEADER.FIELDS (X-TEST-ID)]"] for item in here.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-TEST-ID)])").values()} \
            if any(b" EXISTS" in said and not said.startswith(b"* 0 ") for said in here.command(f'SELECT "{name}"')) else set()
        for uid in there.search("ALL", uid=True):
            item = list(there.fetch(str(uid), "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (X-TEST-ID)])", uid=True).values())[0]
            if item["BODY[HEADER.FIELDS (X-TEST-ID)]"] in done:
                continue
            if int(item["RFC822.SIZE"]) != len(item["BODY[]"]):
                raise RuntimeError(f"{name} {uid}: RFC822.SIZE {item['RFC822.SIZE']}, {len(item['BODY[]'])} octets")
            flags = " ".join(flag.decode() for flag in item["FLAGS"] if flag != b"\\Recent")
            here.append(name, item["BODY[]"], flags, item["INTERNALDATE"].decode())
            copied += 1
    there.logout()
    here.logout()
    return copied


def check_log(site):
    """Nothing that a good client does is worth a warning."""
    loud = [line for line in site.log.read_text().splitlines() if "level=error" in line or "level=warning" in line]
    if loud:
        raise RuntimeError(f"{loud[:5]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--npm", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    users = ("carl", "dora", "emil", "fred", "gina", "hans", "ida", "jane", "karl", "user-mutt", "user-neomutt")
    jobs = [("mbsync", mbsync, options.messages), ("offlineimap", offlineimap, SMALL), ("fetchmail", fetchmail, SMALL), ("curl", curl, SMALL),
            ("imaplib", python, SMALL), ("copy of an account", copy_account, SMALL)]
    with running(options.binary, users=users) as site:
        for name, function, count in jobs:
            if options.only in name:
                tap.run(name, function, site, count)
        for name in ("mutt", "neomutt"):
            if options.only in name:
                tap.run(name, mutt, site, name, SMALL)
        if options.npm and options.only in "imapflow":
            tap.run("imapflow", imapflow, site, SMALL)
        tap.run("stop", lambda: None if site.stop() == 0 else 1 / 0)
        tap.run("the log has no warning", check_log, site)
    return tap.end()


sys.exit(main())
