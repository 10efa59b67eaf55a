#!/usr/bin/env python3
"""The commands of the embedded directory, beside the running server and without it: what they do, say and return, and what the server
makes of it.

usage: directory.py BINARY [--users N]      N users in the big import, default 100000
"""
import argparse
import json
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, can_log_in, list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap, need, same  # noqa: E402

OK, USAGE, DATA, NOINPUT, NOUSER, NOHOST, UNAVAILABLE, CANTCREAT, TEMPFAIL = 0, 64, 65, 66, 67, 68, 69, 73, 75
# SHA-512 crypt, from its public specification
HASH_PASSWORD = "Hello world!"
HASH = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
IMPORT_SECONDS = 60
SHOW_NAMES = ["id", "login", "name", "status", "mail_status", "effective_status", "has_password", "scram", "admin", "quota",
              "quota_messages", "message_max", "recipients_max", "partition", "forwards", "keep", "addresses", "send_as", "created", "changed",
              "removed"]


def expect(site, words, code=OK, *patterns, **options):
    done = site.command(*words, **options)
    text = done.stdout + done.stderr
    if done.returncode != code:
        raise RuntimeError(f"{words}: exit {done.returncode}, not {code}: {text}")
    if code and not done.stderr.strip():
        raise RuntimeError(f"{words}: exit {code} without a word")
    for pattern in patterns:
        if not re.search(pattern, text):
            raise RuntimeError(f"{words}: {pattern!r} is not in: {text}")
    return done


def rows(site, *words):
    return [json.loads(line) for line in expect(site, [*words, "-o", "json"]).stdout.splitlines()]


def show(site, login):
    return rows(site, "user", "show", login)[0]


def logins(site, *options):
    return [row["login"] for row in rows(site, "user", "list", *options)]


def subset(what, got, want):
    same(what, {key: got.get(key) for key in want}, want)


def deliver(site, user, test_id):
    """Code of LMTP's answer for the recipient."""
    with site.lmtp() as client:
        try:
            client.sendmail("a@example.net", [user], message(test_id))
            return 250
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[user][0]
        except smtplib.SMTPDataError as error:
            return error.smtp_code


def both_ways(site, check):
    """With the server, then without it; the server runs afterwards."""
    check(site, "up")
    site.stop()
    try:
        check(site, "down")
    finally:
        site.start()


# -- users

def check_user(site, name):
    login = f"{name}@example.org"
    expect(site, ["user", "add", name, "--password-file", "-", "--name", "Grüße, \"x\"", "--quota", "1 MiB", "--quota-messages",
                  "7", "--message-max", "64 KiB", "--recipients-max", "3", "--partition", "primary", "--mail-status", "hold",
                  "--forward", "anna@example.org", "--forward", "bert", "--keep", "yes", "--send-as", "other@example.com",
                  "--send-as", "@example.com"], input="secret\n")
    user = show(site, name)
    same("fields", list(user), SHOW_NAMES)
    subset("added", user, {
        "login": login, "name": "Grüße, \"x\"", "status": "active", "mail_status": "hold", "effective_status": "hold",
        "has_password": "yes", "scram": ["SHA-1", "SHA-256"], "admin": "no", "quota": str(1 << 20), "quota_messages": "7",
        "message_max": str(64 << 10), "recipients_max": "3",
        "partition": "primary", "forwards": ["anna@example.org", "bert@example.org"], "keep": "yes", "addresses": [],
        "send_as": ["other@example.com", "@example.com"], "removed": ""})
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", user["created"]):
        raise RuntimeError(f"created: {user['created']}")
    expect(site, ["user", "set", login.upper(), "--quota", "none", "--forward", "none", "--send-as", "none", "--mail-status",
                  "active", "--name", "short"])
    subset("set", show(site, login), {"id": user["id"], "name": "short", "quota": "0", "quota_messages": "7", "forwards": [],
                                      "send_as": [], "effective_status": "active", "has_password": "yes"})
    expect(site, ["user", "set", name, "--no-password"])
    subset("no password", show(site, name), {"has_password": "no", "scram": [], "name": "short"})
    expect(site, ["user", "passwd", name, "--password-file", "-"], input="other\n")
    subset("password", show(site, name), {"has_password": "yes", "scram": ["SHA-1", "SHA-256"]})
    expect(site, ["user", "passwd", name, "--password-hash", HASH])
    subset("password hash", show(site, name), {"has_password": "yes", "scram": []})
    expect(site, ["user", "passwd", name, "--password-file", "-"], input="not\x01for SCRAM\n")
    subset("a password SASLprep does not take", show(site, name), {"has_password": "yes", "scram": []})
    expect(site, ["user", "passwd", name, "--password-hash", HASH])
    expect(site, ["user", "set", name, "--admin", "yes"])
    subset("administrator", show(site, name), {"admin": "yes"})
    expect(site, ["user", "set", name, "--admin", "no"])
    subset("no administrator", show(site, name), {"admin": "no"})
    human = expect(site, ["user", "show", name]).stdout
    if HASH in human or not re.search(rf"(?m)^login: {re.escape(login)}$", human) or len(human.splitlines()) != len(SHOW_NAMES):
        raise RuntimeError(human)
    tsv = expect(site, ["user", "show", name, "-o", "tsv"]).stdout.rstrip("\n").split("\t")
    same("tsv", len(tsv), len(SHOW_NAMES))
    expect(site, ["user", "delete", name])
    removed = show(site, name)
    if removed["effective_status"] != "removed" or not removed["removed"]:
        raise RuntimeError(f"{removed}")
    expect(site, ["user", "add", name, "--no-password"], CANTCREAT)  # the name is taken until the purge
    expect(site, ["user", "restore", name])
    subset("restored", show(site, name), {"effective_status": "active", "removed": "", "id": user["id"]})
    expect(site, ["user", "restore", name], DATA)  # it is not removed
    expect(site, ["user", "rename", name, f"{name}-new", "--keep-alias"])
    subset("renamed", show(site, f"{name}-new"), {"id": user["id"], "addresses": [login]})
    expect(site, ["user", "rename", f"{name}-new", f"{name}-newer"])
    expect(site, ["user", "show", f"{name}-new"], NOUSER)
    expect(site, ["user", "delete", f"{name}-newer", "--now"])


def check_users(site):
    both_ways(site, lambda s, way: check_user(s, f"user-{way}"))
    if not wait_for(lambda: logins(site, "-u", "user-*") == [], 20, 0.1):
        raise RuntimeError(f"deleted now, and still there: {logins(site, '-u', 'user-*')}")


# -- app passwords

def check_app_password(site, way):
    name = f"app-{way}"
    expect(site, ["user", "add", name, "--no-password"])
    phone = rows(site, "user", "app-password", "add", name, "my phone", "--scope", "imap,submission", "--scope", "imap")[0]
    laptop = rows(site, "user", "app-password", "add", f"{name}@EXAMPLE.org", "Läptop")[0]
    for made in (phone, laptop):
        if not re.fullmatch(r"([a-z2-7]{4}-){6}[a-z2-7]{4}", made["password"]):
            raise RuntimeError(f"{made}")
    if phone["password"] == laptop["password"]:
        raise RuntimeError("the same secret twice")
    subset("phone", phone, {"name": "my phone", "scope": "imap,submission"})
    listed = rows(site, "user", "app-password", "list", name)
    same("list", [(row["name"], row["scope"], row["used"]) for row in listed],
         [("Läptop", "all", ""), ("my phone", "imap,submission", "")])
    human = expect(site, ["user", "app-password", "list", name], OK, r"name=my phone .*used=never").stdout
    if phone["password"] in human or phone["password"][:9] in json.dumps(listed):
        raise RuntimeError("a secret is listed")
    expect(site, ["user", "app-password", "add", name, "my phone"], CANTCREAT)
    expect(site, ["user", "app-password", "delete", name, "my phone"])
    expect(site, ["user", "app-password", "delete", name, "my phone"], NOUSER)
    same("list", [row["name"] for row in rows(site, "user", "app-password", "list", name)], ["Läptop"])
    expect(site, ["user", "rename", name, f"{name}-new"])
    same("renamed", [row["name"] for row in rows(site, "user", "app-password", "list", f"{name}-new")], ["Läptop"])
    for words, code in ((("add", "nobody", "x"), NOUSER), (("add", f"{name}-new", ""), DATA), (("add", f"{name}-new"), USAGE),
                        (("add", f"{name}-new", "x" * 64), DATA), (("add", f"{name}-new", "x", "--scope", "imap,"), USAGE),
                        (("add", f"{name}-new", "x", "--scope", "IMAP"), USAGE), (("list",), USAGE), (("list", "nobody"), NOUSER),
                        (("delete", f"{name}-new"), USAGE), (("delete", "nobody", "x"), NOUSER), (("show", name), USAGE), ((), USAGE)):
        expect(site, ["user", "app-password", *words], code)
    expect(site, ["directory", "verify"])
    expect(site, ["user", "delete", f"{name}-new", "--now"])


def check_app_passwords(site):
    both_ways(site, check_app_password)


USER_REFUSALS = (
    (("add",), USAGE, "one login"),
    (("add", "x", "y", "--no-password"), USAGE, "one login"),
    (("add", "x"), USAGE, "password-file"),
    (("add", "x", "--no-password", "--password-hash", HASH), USAGE, "exclude"),
    (("add", "x", "--password-file", "-", "--no-password"), USAGE, "exclude"),
    (("add", "x", "--password", "secret"), USAGE, "unrecognized|ambiguous|invalid"),
    (("add", "x", "--password-file", "/nowhere/pw"), NOINPUT, "/nowhere/pw"),
    (("add", "x", "--password-file", "-"), DATA, "password"),
    (("add", "x", "--password-hash", "secret"), DATA, "password_hash"),
    (("add", "x", "--password-hash", "!" + HASH), DATA, "password_hash"),
    (("add", "x", "--password-hash", ""), DATA, "password_hash"),
    (("add", "a b", "--no-password"), DATA, "usable"),
    (("add", "", "--no-password"), DATA, "usable"),
    (("add", "x@", "--no-password"), DATA, "usable"),
    (("add", "@example.org", "--no-password"), DATA, "usable"),
    (("add", "x" * 300, "--no-password"), DATA, "usable"),
    (("add", "anna", "--no-password"), CANTCREAT, "anna@example.org"),
    (("add", "x", "--no-password", "--quota", "much"), USAGE, "quota"),
    (("add", "x", "--no-password", "--quota-messages", "-1"), USAGE, "quota_messages"),
    (("add", "x", "--no-password", "--message-max", "1 parsec"), USAGE, "message_max"),
    (("add", "x", "--no-password", "--recipients-max", "5000000000"), USAGE, "recipients_max"),
    (("add", "x", "--no-password", "--partition", "nowhere"), USAGE, "partition"),
    (("add", "x", "--no-password", "--status", "asleep"), USAGE, "status"),
    (("add", "x", "--no-password", "--mail-status", ""), USAGE, "status"),
    (("add", "x", "--no-password", "--keep", "perhaps"), USAGE, "keep"),
    (("add", "x", "--no-password", "--name", "y" * 129), USAGE, "name"),
    (("add", "x", "--no-password", "--name", "a\nb"), USAGE, "control"),
    (("add", "x", "--no-password", "--forward", "a b"), DATA, ""),
    (("add", "x", "--no-password", "--forward", "out@example.com"), UNAVAILABLE, "example.com"),
    (("add", "x", "--no-password", *("--forward", "anna") * 33), USAGE, "32"),
    (("add", "x", "--no-password", *("--send-as", "anna") * 65), USAGE, "64"),
    (("set", "anna"), USAGE, "something to set"),
    (("set", "nobody", "--keep", "no"), NOUSER, "nobody"),
    (("set", "--keep", "no"), USAGE, "one login"),
    (("set", "anna", "--quota", "1 GB1"), USAGE, "quota"),
    (("passwd", "anna"), USAGE, "password-file"),
    (("passwd", "anna", "--quota", "1 GiB", "--password-hash", HASH), USAGE, "unrecognized"),
    (("passwd", "nobody", "--password-hash", HASH), NOUSER, "nobody"),
    (("rename", "anna"), USAGE, "two logins"),
    (("rename", "nobody", "somebody"), NOUSER, "nobody"),
    (("rename", "anna", "bert"), CANTCREAT, "bert"),
    (("rename", "anna", "a b"), DATA, ""),
    (("delete",), USAGE, "one login"),
    (("delete", "nobody"), NOUSER, "nobody"),
    (("delete", "nobody", "--now"), NOUSER, "nobody"),
    (("delete", "anna", "--never"), USAGE, "unrecognized"),
    (("restore",), USAGE, "one login"),
    (("restore", "nobody"), NOUSER, "nobody"),
    (("restore", "anna"), DATA, ""),
    (("show",), USAGE, "one login"),
    (("show", "nobody"), NOUSER, "no such user"),
    (("list", "anna"), USAGE, "options only"),
    (("list", "--limit", "few"), USAGE, "limit"),
    (("list", "--status", "asleep"), USAGE, "status"),
    (("import",), USAGE, "one file"),
    (("import", "/nowhere/users.csv"), NOINPUT, "/nowhere/users.csv"),
    (("import", "-", "--format", "xml"), USAGE, "format"),
    (("import", "-", "--batch", "0"), USAGE, "batch"),
    (("import", "-", "--update", "--skip-existing"), USAGE, "exclude"),
)


def check_user_refusals(site):
    def listed():
        return expect(site, ["user", "list", "-o", "json"]).stdout

    need(wait_for(lambda: '"removed"' not in listed(), 60), "users of other checks, deleted with --now, are still there")
    before = listed()

    def check(site, way):
        for words, code, pattern in USER_REFUSALS:
            expect(site, ["user", *words], code, pattern, input="")
        same(f"users ({way})", listed(), before)
    both_ways(site, check)


def check_list(site):
    for name in ("list1", "list2", "list3@example.net"):
        expect(site, ["user", "add", name, "--no-password"])
    expect(site, ["user", "set", "list2", "--status", "disabled"])
    want = ["list1@example.org", "list2@example.org", "list3@example.net"]
    same("-u", logins(site, "-u", "list*"), want)
    same("-u", logins(site, "-u", "LIST?"), want)
    same("-u", logins(site, "-u", "*@example.net"), want[2:])
    same("-u", logins(site, "-u", "l*t1@*"), want[:1])
    same("-u", logins(site, "-u", "list"), [])
    same("--status", logins(site, "-u", "list*", "--status", "disabled"), want[1:2])
    same("--domain", logins(site, "--domain", "EXAMPLE.net"), want[2:])
    same("--domain", logins(site, "--domain", "example.com"), [])
    same("--limit", logins(site, "-u", "list*", "--limit", "2"), want[:2])
    same("--limit", logins(site, "--limit", "0"), [])
    same("order", logins(site), sorted(logins(site)))
    same("names", list(rows(site, "user", "list")[0]), ["id", "login", "quota", "partition", "status", "mail_status"])
    for name in ("list1", "list2", "list3@example.net"):
        expect(site, ["user", "delete", name, "--now"])


# -- what the running server makes of it

def check_password(site):
    expect(site, ["user", "add", "pass", "--password-file", "-"], input="old\n")
    for _ in range(2):  # the second one is remembered as proven
        if not can_log_in(site, "pass", "old"):
            raise RuntimeError("the first password")
    expect(site, ["user", "passwd", "pass", "--password-file", "-"], input="new\nold\n")
    if can_log_in(site, "pass", "old"):
        raise RuntimeError("the old password still opens the door")
    if not can_log_in(site, "pass", "new"):
        raise RuntimeError("the new password does not")
    expect(site, ["user", "set", "pass", "--no-password"])
    if can_log_in(site, "pass", "new") or can_log_in(site, "pass", ""):
        raise RuntimeError("no password is needed")


def check_status(site):
    def set_to(*words):
        expect(site, ["user", "set", "stat", *words])
    expect(site, ["user", "add", "stat", "--password-hash", HASH])
    same("active", can_log_in(site, "stat", HASH_PASSWORD), True)
    for status, may in (("inactive", False), ("disabled", False), ("deleted", False), ("hold", False), ("overquota", True),
                        ("unused", False), ("defer", False), ("active", True)):
        set_to("--status", status)
        same(status, can_log_in(site, "stat", HASH_PASSWORD), may)
    set_to("--mail-status", "disabled")
    same("mail status", can_log_in(site, "stat", HASH_PASSWORD), False)
    same("mail", deliver(site, "stat@example.org", "refused") >= 500, True)
    set_to("--mail-status", "active")
    same("mail", deliver(site, "stat@example.org", "taken"), 250)
    expect(site, ["user", "delete", "stat"])
    same("deleted", can_log_in(site, "stat", HASH_PASSWORD), False)
    same("mail", deliver(site, "stat@example.org", "deleted") >= 500, True)
    expect(site, ["user", "restore", "stat"])
    same("restored", can_log_in(site, "stat", HASH_PASSWORD), True)
    same("mail", deliver(site, "stat@example.org", "restored"), 250)


def check_rename(site):
    expect(site, ["user", "add", "before", "--password-file", "-"], input=PASSWORD)
    same("mail", deliver(site, "before@example.org", "kept"), 250)
    client = site.imap("before@example.org")
    client.create("Folder")
    validity = list_mailbox(client)[1]
    client.logout()
    expect(site, ["user", "rename", "before", "after", "--keep-alias"])
    same("the old login", can_log_in(site, "before", PASSWORD), False)
    same("mail", deliver(site, "before@example.org", "by-alias"), 250)
    same("mail", deliver(site, "after@example.org", "by-login"), 250)
    client = site.imap("after@example.org")
    found, now, _ = list_mailbox(client)
    same("messages", [row[1] for row in found], ["kept", "by-alias", "by-login"])
    same("UIDVALIDITY", now, validity)
    same("folder", client.select("Folder")[0], "OK")
    client.logout()


def check_delete_now(site):
    """The running server takes mailboxes and entry; the name is free again, and whoever gets it sees nothing of the old mail."""
    expect(site, ["user", "add", "short-lived", "--password-file", "-"], input=PASSWORD)
    same("mail", deliver(site, "short-lived@example.org", "nobody-sees-it"), 250)
    expect(site, ["user", "delete", "short-lived", "--now"])
    same("login", can_log_in(site, "short-lived", PASSWORD), False)
    if not wait_for(lambda: site.command("user", "show", "short-lived").returncode == NOUSER, 20, 0.1):
        raise RuntimeError(f"still there: {show(site, 'short-lived')}")
    expect(site, ["user", "add", "short-lived", "--password-file", "-"], input=PASSWORD)
    client = site.imap("short-lived@example.org")
    same("messages", list_mailbox(client)[0], [])
    client.logout()


# -- domains and aliases

def check_domain(site, name):
    expect(site, ["domain", "add", f"{name}.Example"])
    expect(site, ["domain", "add", f"{name}-two.example", "--alias-of", f"{name}.example"])
    listed = {row["domain"]: row for row in rows(site, "domain", "list")}
    same("names", list(listed[f"{name}.example"]), ["domain", "alias_of", "status", "mail_status", "created"])
    same("alias_of", listed[f"{name}-two.example"]["alias_of"], f"{name}.example")
    expect(site, ["user", "add", f"u@{name}.example", "--no-password"])
    expect(site, ["domain", "set", f"{name}.example", "--status", "defer", "--mail-status", "hold"])
    subset("set", rows(site, "domain", "show", f"{name}.EXAMPLE")[0], {"status": "defer", "mail_status": "hold"})
    subset("its user", show(site, f"u@{name}.example"), {"status": "active", "effective_status": "defer"})
    expect(site, ["domain", "set", f"{name}.example", "--status", "active"])
    subset("its user", show(site, f"u@{name}.example"), {"effective_status": "hold"})
    expect(site, ["domain", "delete", f"{name}.example"], TEMPFAIL)
    expect(site, ["domain", "delete", f"{name}-two.example"])
    expect(site, ["domain", "show", f"{name}-two.example"], NOHOST, "no such domain")
    expect(site, ["domain", "add", f"bücher-{name}.example"])
    idn = [row["domain"] for row in rows(site, "domain", "list") if row["domain"].startswith("xn--")]
    same("A-labels", len(idn), 1)
    subset("IDN", rows(site, "domain", "show", f"BÜCHER-{name}.example")[0], {"domain": idn[0]})
    expect(site, ["domain", "delete", f"bücher-{name}.example"])


def check_alias(site, name):
    expect(site, ["alias", "add", name, "anna", "bert@EXAMPLE.org"])
    expect(site, ["alias", "add", f"{name}-one", f"{name},anna"])
    want = {"address": f"{name}@example.org", "status": "active", "targets": ["anna@example.org", "bert@example.org"]}
    same("show", rows(site, "alias", "show", name), [want])
    same("list", [row["address"] for row in rows(site, "alias", "list", f"{name}*")],
         [f"{name}-one@example.org", f"{name}@example.org"])
    same("list", rows(site, "alias", "list", f"{name}@*"), [want])
    same("list", rows(site, "alias", "list", "no-such-alias"), [])
    expect(site, ["alias", "set", name, "--status", "disabled", "--targets", "anna"])
    same("set", rows(site, "alias", "show", name), [{**want, "status": "disabled", "targets": ["anna@example.org"]}])
    subset("its user", {"has": f"{name}@example.org" in show(site, "anna")["addresses"]}, {"has": True})
    expect(site, ["alias", "set", name, "--targets", f"{name}-one"], DATA)  # a circle
    expect(site, ["alias", "add", "@example.org", "anna"])
    same("catch-all", rows(site, "alias", "show", "@EXAMPLE.org")[0]["targets"], ["anna@example.org"])
    expect(site, ["alias", "add", "@example.org", "bert"], CANTCREAT)
    for address in ("@example.org", f"{name}-one", name):
        expect(site, ["alias", "delete", address])
        expect(site, ["alias", "show", address], NOUSER, "no such alias")
    same("its user", f"{name}@example.org" in show(site, "anna")["addresses"], False)


def check_domains_and_aliases(site):
    both_ways(site, lambda s, way: check_domain(s, f"dom-{way}"))
    both_ways(site, lambda s, way: check_alias(s, f"alias-{way}"))


OTHER_REFUSALS = (
    (("domain", "add"), USAGE, "one domain"),
    (("domain", "add", "example.org"), CANTCREAT, "example.org"),
    (("domain", "add", "a b"), DATA, ""),
    (("domain", "add", "x@example.net"), DATA, ""),
    (("domain", "add", "new.example", "--alias-of", "nowhere.example"), NOHOST, "nowhere.example"),
    (("domain", "add", "new.example", "--status", "active"), USAGE, "unrecognized"),
    (("domain", "set", "example.org"), USAGE, "--status"),
    (("domain", "set", "example.org", "--status", "asleep"), USAGE, "asleep"),
    (("domain", "set", "nowhere.example", "--status", "active"), NOHOST, "nowhere.example"),
    (("domain", "delete", "example.org"), TEMPFAIL, ""),
    (("domain", "delete", "nowhere.example"), NOHOST, "nowhere.example"),
    (("domain", "list", "x"), USAGE, "no argument"),
    (("domain", "show", "nowhere.example"), NOHOST, "no such domain"),
    (("domain", "show", "a b"), DATA, ""),
    (("alias", "add", "new"), USAGE, "targets"),
    (("alias", "add", "anna", "bert"), CANTCREAT, "anna"),
    (("alias", "add", "new", "new"), DATA, ""),
    (("alias", "add", "new", "a b"), DATA, ""),
    (("alias", "add", "new", "anna,,bert"), USAGE, "empty target"),
    (("alias", "add", "new", "x@example.com"), UNAVAILABLE, "example.com"),
    (("alias", "add", "new@nowhere.example", "anna"), NOHOST, "nowhere.example"),
    (("alias", "add", "@nowhere.example", "anna"), NOHOST, "nowhere.example"),
    (("alias", "add", "new", ",".join(["anna"] * 1001)), USAGE, "1000"),
    (("alias", "set", "new"), USAGE, "--status"),
    (("alias", "set", "new", "--targets"), USAGE, "which"),
    (("alias", "set", "new", "anna", "--status", "active"), USAGE, "behind --targets"),
    (("alias", "set", "new", "--status", "active"), NOUSER, "new"),
    (("alias", "set", "anna", "--status", "active"), NOUSER, "anna"),
    (("alias", "delete", "new"), NOUSER, "new"),
    (("alias", "delete", "anna"), NOUSER, "anna"),
    (("alias", "show", "anna"), NOUSER, "no such alias"),
    (("alias", "show", ""), DATA, ""),
    (("alias", "list", "a", "b"), USAGE, "one pattern"),
    (("directory", "verify", "x"), USAGE, "no argument"),
)


def check_other_refusals(site):
    before = [expect(site, [what, "list"]).stdout for what in ("user", "domain", "alias")]
    for words, code, pattern in OTHER_REFUSALS:
        expect(site, words, code, pattern)
    same("rows", [expect(site, [what, "list"]).stdout for what in ("user", "domain", "alias")], before)


# -- import

def import_text(site, text, code=OK, *options, patterns=()):
    """The counts of the last line; standard error."""
    done = expect(site, ["user", "import", "-", *options, "-o", "json"], code, *patterns, input=text)
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None, done.stderr


def counts(added=0, updated=0, skipped=0, bad=0, dry_run="no"):
    return {"added": str(added), "updated": str(updated), "skipped": str(skipped), "bad": str(bad), "dry_run": dry_run}


CSV = f"""\ufefflogin,name,password_hash,quota,aliases,forwards,send_as,keep,status,password
imp1,"One, ""the"" first",{HASH},1 GiB,i.one;one.i@example.org,,,,,
imp2,Two,{HASH},,,"imp1 anna@example.org","@example.com,x@example.com",no,disabled,

imp3@new.example,Three,,2048,,,,,,plain password
imp4,,,,,,,,,
"""


def check_import_csv(site):
    same("dry run", import_text(site, CSV, OK, "--dry-run")[0], counts(added=4, dry_run="yes"))
    same("nothing written", logins(site, "-u", "imp*"), [])
    same("counts", import_text(site, CSV)[0], counts(added=4))
    subset("imp1", show(site, "imp1"), {"name": "One, \"the\" first", "quota": str(1 << 30), "has_password": "yes",
                                        "addresses": ["i.one@example.org", "one.i@example.org"], "forwards": []})
    subset("imp2", show(site, "imp2"), {"forwards": ["imp1@example.org", "anna@example.org"], "keep": "no", "status": "disabled",
                                        "send_as": ["@example.com", "x@example.com"]})
    subset("imp4", show(site, "imp4"), {"has_password": "no"})
    for login, password in (("imp1", HASH_PASSWORD), ("imp3@new.example", "plain password")):
        same(f"login of {login}", can_log_in(site, login, password), True)
    same("mail", deliver(site, "i.one@example.org", "to-an-alias"), 250)
    _, errors = import_text(site, CSV, DATA)
    same("lines", [line.split(":")[1] for line in errors.splitlines()], ["2", "3", "5", "6"])
    same("skipped", import_text(site, CSV, OK, "--skip-existing")[0], counts(skipped=4))


def check_import_update(site):
    text = CSV.replace("1 GiB,i.one", "3 GiB,i.1;i.one").replace(",2048,", ",4096,") + "imp5,,,,,,,,,\n"
    same("counts", import_text(site, text, OK, "--update")[0], counts(added=1, updated=4))
    subset("imp1", show(site, "imp1"), {"quota": str(3 << 30), "name": "One, \"the\" first",
                                        "addresses": ["i.1@example.org", "i.one@example.org", "one.i@example.org"]})
    subset("imp3", show(site, "imp3@new.example"), {"quota": "4096", "has_password": "yes"})
    subset("imp4", show(site, "imp4"), {"has_password": "no"})
    done, errors = import_text(site, "login,aliases,name\nimp4,i.one,changed\nimp5,,changed\n", DATA, "--update")
    same("a taken alias", (done, errors.split(":")[1]), (counts(updated=1, bad=1), "2"))
    subset("imp4", show(site, "imp4"), {"name": ""})
    subset("imp5", show(site, "imp5"), {"name": "changed"})


BAD_JSON = """{"login":"bad1","quota":"much"}
{"login":"good1","quota":1000,"aliases":["g.one"],"keep":true,"admin":true,"name":"Gr\\u00fc\\u00dfe"}
{"login":"bad2","quota":"1 GiB"
{"login":"a b"}
{"login":"good1"}
{"login":"bad3","password":"x","password_hash":"$6$a$b"}
{"login":"bad4","forwards":["out@example.com"]}
{"login":"bad5","aliases":["fresh","anna"]}
{"login":"bad6","shell":"/bin/sh"}
{"login":"bad7","partition":"nowhere"}
{"login":"bad8","name":"\\ud800"}
{"login":"anna"}
{"login":"good2","send_as":"@example.com","quota":null}
[]
{"login":"g.one"}
{"login":"bad9","password":""}
"""


def check_import_bad(site):
    for options in (("--all-or-nothing",), ("--dry-run",), ()):
        done, errors = import_text(site, BAD_JSON, DATA, *options)
        lines = [int(line.split(":")[1]) for line in errors.splitlines() if line.startswith("standard input:")]
        same(f"bad lines {options}", sorted(lines), [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16])
        added = 0 if "--all-or-nothing" in options else 2
        same(f"counts {options}", done, counts(added=added, bad=14, dry_run="yes" if "--dry-run" in options else "no"))
        same(f"written {options}", len(logins(site, "-u", "good*")), 0 if options else 2)
    same("none of the bad", logins(site, "-u", "bad*"), [])
    expect(site, ["alias", "show", "fresh"], NOUSER)  # went with its user
    subset("good1", show(site, "good1"), {"name": "Grüße", "quota": "1000", "addresses": ["g.one@example.org"], "admin": "yes"})
    for text, code, pattern in (("", DATA, "nothing"), ("login,uid\nx,1\n", DATA, "uid"), ("name\nx\n", DATA, "login"),
                                ("[{\"login\":\"x\"}]", DATA, "one object a line"), ("login,\"name\nx,y\n", DATA, "quote")):
        import_text(site, text, code, patterns=(pattern,))
    expect(site, ["user", "import", str(site.folder)], 74)  # a folder
    done, _ = import_text(site, "login,name\n" + "many%d,\"\n" % 1 + "x" * 70000 + "\nmany2,ok\n", DATA)
    same("a long record", done, counts(added=1, bad=2))
    done, _ = import_text(site, "login\n" + "".join(f"batch{i}\n" for i in range(25)), OK, "--batch", "10")
    same("batches", (done, len(logins(site, "-u", "batch*"))), (counts(added=25), 25))
    done, errors = import_text(site, "login\nonce\nonce\nOnce@example.org\n", OK, "--skip-existing")
    same("twice in a file", done, counts(added=1, skipped=2))
    done, errors = import_text(site, "login\ngood1\ng.one\n", DATA, "--skip-existing")
    same("a login that is an alias", done, counts(skipped=1, bad=1))


def check_import_plain(site):
    n = 60
    text = "".join(json.dumps({"login": f"plain{i}", "password": f"word {i}"}) + "\n" for i in range(n))
    done, errors = import_text(site, text, OK, "--progress", "--batch", "20")
    same("counts", done, counts(added=n))
    for i in (0, n - 1):
        same("login", can_log_in(site, f"plain{i}", f"word {i}"), True)
    same("login", can_log_in(site, "plain0", "word 1"), False)
    text = "".join(json.dumps({"login": f"more{i}", "password": f"word {i}"}) + "\n" for i in range(400))
    begun = time.monotonic()
    _, errors = import_text(site, text, OK, "--progress")
    seconds = time.monotonic() - begun
    if seconds > 3 and not re.search(r"(?m)^line \d+: .* hashed of a batch$", errors):
        raise RuntimeError(f"{seconds:.1f} s without a word: {errors!r}")
    return f"{400 / seconds:.0f} plain passwords a second"


class Delivering:
    """Mail to one user over LMTP until it is stopped; every message answered 250."""

    def __init__(self, site):
        self.site, self.sent, self.problem, self.on = site, 0, None, True
        self.longest = 0.0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            with self.site.lmtp() as client:
                while self.on:
                    begun = time.monotonic()
                    client.sendmail("a@example.net", ["anna@example.org"], message(f"during-{self.sent}"))
                    self.longest = max(self.longest, time.monotonic() - begun)
                    self.sent += 1
        except Exception as error:  # noqa: BLE001: whatever it is, the test fails with it
            self.problem = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.on = False
        self.thread.join(30)


def check_big_import(site, users):
    path = site.folder / "big.csv"
    with open(path, "w", encoding="utf-8") as f:
        f.write("login,password_hash,name,quota,aliases\n")
        for i in range(users):
            f.write(f"big{i:06},{HASH},\"User {i}, of many\",1 GiB,{f'b.{i}' if i % 10 == 0 else ''}\n")
    with Delivering(site) as load:
        wait_for(lambda: load.sent > 3 or load.problem)
        before, begun = load.sent, time.monotonic()
        done = expect(site, ["user", "import", path, "-o", "json"])
        seconds = time.monotonic() - begun
        during = load.sent - before
    if load.problem:
        raise RuntimeError(f"delivery during the import: {load.problem!r}")
    same("counts", json.loads(done.stdout), counts(added=users))
    if seconds > IMPORT_SECONDS:
        raise RuntimeError(f"{users} users took {seconds:.1f} s")
    if during == 0:
        raise RuntimeError("no mail was delivered during the import")
    last = f"big{users - 1:06}"
    same("login", can_log_in(site, last, HASH_PASSWORD), True)
    same("mail", deliver(site, "b.0@example.org", "to-a-big-alias"), 250)
    same("listed", len(logins(site, "-u", "big*")), users)
    begun = time.monotonic()
    same("again", import_text(site, path.read_text(), OK, "--skip-existing")[0], counts(skipped=users))
    again = time.monotonic() - begun
    expect(site, ["directory", "verify"], OK, "no problems")
    return (f"{users} users with ready-made hashes in {seconds:.1f} s, {during} messages delivered meanwhile, the slowest in "
            f"{load.longest * 1000:.0f} ms; skipped again in {again:.1f} s")


def check_writers(site):
    """Two imports at once: both get everything in."""
    texts = ["login\n" + "".join(f"{name}{i}\n" for i in range(3000)) for name in ("left", "right")]
    running_ = [subprocess.Popen([site.binary, "user", "import", "-", "--batch", "100", "-c", str(site.config)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in texts]
    threads = [threading.Thread(target=lambda p=p, t=t: p.communicate(t, timeout=120)) for p, t in zip(running_, texts)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same("exit codes", [p.returncode for p in running_], [0, 0])
    same("users", [len(logins(site, "-u", f"{name}*")) for name in ("left", "right")], [3000, 3000])
    expect(site, ["directory", "verify"], OK, "no problems")


def check_killed(site):
    """kill -9 in the middle: whole batches are there, nothing of the others."""
    batch, users = 200, 40000
    for attempt in range(3):
        name = f"kill{attempt}x"
        process = subprocess.Popen([site.binary, "user", "import", "-", "--batch", str(batch), "-c", str(site.config)],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        text = "login\n" + "".join(f"{name}{i}\n" for i in range(users))
        writer = threading.Thread(target=write_quietly, args=(process.stdin, text))
        writer.start()
        reached = batch * (10 * attempt + 1)
        wait_for(lambda: len(logins(site, "-u", f"{name}*", "--limit", str(reached))) == reached)
        process.send_signal(signal.SIGKILL)
        process.wait()
        writer.join()
        n = len(logins(site, "-u", f"{name}*"))
        if not 0 < n < users or n % batch:
            raise RuntimeError(f"{n} users of batches of {batch}")
        expect(site, ["directory", "verify"], OK, "no problems")
    # A writer that dies between its commit and the note of it in the lock file leaves a batch that only the next writer sees.
    rest = import_text(site, text, OK, "--skip-existing")[0]
    there = int(rest["skipped"])
    same("the rest", (rest, there - n in (0, batch)), (counts(added=users - there, skipped=there), True))


def write_quietly(stream, text):
    """As far as it gets; the end is left open, so that the reader waits for more."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        pass


def check_no_directory(site):
    """A command that finds no directory makes none."""
    site.stop()
    folder, aside = site.folder / "directory", site.folder / "aside"
    folder.rename(aside)
    folder.mkdir()
    try:
        for words in (("user", "list"), ("user", "add", "x", "--no-password"), ("domain", "list"), ("alias", "delete", "x"),
                      ("user", "import", "-"), ("directory", "verify")):
            expect(site, words, UNAVAILABLE, "directory.mdb holds no directory", input="login\nx\n")
        same("files", list(folder.iterdir()), [])
    finally:
        shutil.rmtree(folder)
        aside.rename(folder)
        site.start()


def check_verify_finds(site):
    """A changed byte in the directory's file is reported; the user it belongs to is not "unknown"."""
    expect(site, ["user", "add", "hurt", "--no-password", "--name", "unmistakable name"])
    site.stop()
    path = site.folder / "directory/directory.mdb"
    data = bytearray(path.read_bytes())
    at = data.find(b"unmistakable name")
    while at >= 0:  # older copies of the page too
        data[at] ^= 1
        at = data.find(b"unmistakable name")
    path.write_bytes(data)
    done = expect(site, ["directory", "verify"], DATA, "problems")
    if not done.stdout.strip():
        raise RuntimeError("verify names nothing")
    expect(site, ["user", "show", "hurt"], DATA, "damaged")
    site.start()
    code = deliver(site, "hurt@example.org", "damaged")
    same("mail for the damaged entry is temporary trouble", 400 <= code < 500, True)
    same("mail for others", deliver(site, "anna@example.org", "others"), 250)
    return done.stdout.splitlines()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--users", type=int, default=100000)
    options = parser.parse_args()
    binary = pathlib.Path(options.binary).resolve()
    tap = Tap()
    with running(binary, sets=("store.purge_interval=500ms",)) as site:
        tap.run("user add, set, passwd, delete, restore, rename, show", check_users, site)
        tap.run("user app-password add, list, delete", check_app_passwords, site)
        tap.run("user refuses", check_user_refusals, site)
        tap.run("user list", check_list, site)
        tap.run("a changed password", check_password, site)
        tap.run("a changed status", check_status, site)
        tap.run("a renamed user keeps his mail", check_rename, site)
        tap.run("user delete --now", check_delete_now, site)
        tap.run("domain and alias", check_domains_and_aliases, site)
        tap.run("domain, alias and directory refuse", check_other_refusals, site)
        tap.run("import of CSV", check_import_csv, site)
        tap.run("import --update", check_import_update, site)
        tap.run("import of bad lines", check_import_bad, site)
        tap.run("import of plain passwords", check_import_plain, site)
        tap.run("two imports at once", check_writers, site)
        tap.run("an import that is killed", check_killed, site)
        tap.run(f"import of {options.users} users during deliveries", check_big_import, site, options.users)
        tap.run("no directory", check_no_directory, site)
        tap.run("directory verify finds damage", check_verify_finds, site)
    return tap.end()


sys.exit(main())
