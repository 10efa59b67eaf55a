#!/usr/bin/env python3
"""The commands: user, store, init, --help; what they print and their exit codes, with the server up and down.

usage: cli.py BINARY
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site, can_log_in, message, running  # noqa: E402
from tap import Tap, expect  # noqa: E402

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 66, 69, 73, 75, 78
COMMANDS = ("init", "serve", "stop", "config check", "config show", "config sample", "config man", "user add", "user set", "user passwd",
            "user rename", "user delete", "user restore", "user list", "user show", "user import", "domain add", "domain set",
            "domain delete", "domain list", "domain show", "alias add", "alias set", "alias delete", "alias list", "alias show",
            "directory verify",
            "store verify", "store rebuild", "store stats", "store dump", "store skip-op", "dispatcher status", "dispatcher kill-worker",
            "dispatcher stop", "dispatcher start", "dispatcher restart", "start", "restart", "jobs status",
            "session list", "session kick", "metrics man", "log man",
            "dns lookup", "mapping test", "queue list", "queue show", "queue hold", "queue release", "queue run", "queue return",
            "queue delete", "queue shape", "queue explain", "channel list", "channel stop", "channel start", "jobs simulate", "mailq")
LOCKED = ("store verify", "store rebuild", "store dump", "store skip-op")


def deliver(site, test_id, user="anna"):
    with site.lmtp() as client:
        client.sendmail("a@example.net", [f"{user}@example.org"], message(test_id))


def add_user(site, name, password):
    expect(site.command("user", "add", name, "--password-file", "-", input=password + "\n"), EX_OK)


def check_user_add(site):
    """Running: usable at once, without a restart; stopped: usable after the start."""
    add_user(site, "carl", "of carl")
    if not can_log_in(site, "carl", "of carl") or can_log_in(site, "carl", "wrong"):
        raise RuntimeError("carl")
    deliver(site, "for-carl", "carl")
    site.stop()
    add_user(site, "dora@example.org", "of: dora")
    secret = site.folder / "password"
    secret.write_text("of emil\nsecond line\n")
    expect(site.command("user", "add", "emil", "--password-file", secret, "--quota", "1 MiB"), EX_OK)
    site.start()
    if not can_log_in(site, "dora", "of: dora") or not can_log_in(site, "emil", "of emil"):
        raise RuntimeError("dora, emil")


def check_user_refusals(site):
    for _ in range(2):
        expect(site.command("user", "add", "anna", "--password-file", "-", input="x\n"), EX_CANTCREAT, "anna|exist")
        expect(site.command("user", "add", "a b", "--password-file", "-", input="x\n"), EX_DATAERR, "usable")
        expect(site.command("user", "add", "fred", "--password-file", "/nowhere/pw"), EX_NOINPUT, "/nowhere/pw")
        expect(site.command("user", "add", "fred", "--password-file", "-", input=""), EX_DATAERR, "password")
        expect(site.command("user", "add", "fred", "--password-file", "-", input="\n"), EX_DATAERR, "password")
        expect(site.command("user", "add", "fred"), EX_USAGE, "password-file")
        expect(site.command("user", "add", "--password-file", "-", input="x\n"), EX_USAGE, "login")
        expect(site.command("user", "add", "fred", "--quota", "much", "--password-file", "-", input="x\n"), EX_USAGE, "quota")
        if site.process:
            site.stop()
    site.start()


def check_user_list(site):
    for _ in range(2):
        human = expect(site.command("user", "list"), EX_OK).stdout.splitlines()
        rows = [json.loads(line) for line in expect(site.command("user", "list", "-o", "json"), EX_OK).stdout.splitlines()]
        table = [line.split("\t") for line in expect(site.command("user", "list", "-o", "tsv"), EX_OK).stdout.splitlines()]
        logins = [row["login"] for row in rows]
        if sorted(logins) != [f"{u}@example.org" for u in ("anna", "bert", "carl", "dora", "emil")]:
            raise RuntimeError(f"users: {logins}")
        if [list(row.values()) for row in rows] != table:
            raise RuntimeError(f"json and tsv differ: {rows}, {table}")
        if {tuple(row) for row in rows} != {("id", "login", "quota", "partition", "status", "mail_status")} or len(human) != len(rows):
            raise RuntimeError(f"{rows}, {human}")
        if [row["quota"] for row in rows if row["login"].startswith("emil")] != [str(1 << 20)]:
            raise RuntimeError(f"quota: {rows}")
        if site.process:
            site.stop()
    site.start()


def check_store_running(site):
    """Only stats work beside the server; the others say why not."""
    deliver(site, "one")
    stats = site.stats()
    if stats["partition"] != "primary" or stats["blobs"] < 1 or stats["log_end"] < stats["applied"]:
        raise RuntimeError(f"{stats}")
    for command in LOCKED:
        expect(site.command(*command.split()), EX_TEMPFAIL, "in use|locked")


def rows(site):
    """The index as text, without the place where it was applied: each start adds a record to the log."""
    text = expect(site.command("store", "dump", "--index"), EX_OK).stdout
    return "".join(line for line in text.splitlines(True) if not line.startswith("meta "))


def check_store_stopped(site):
    client = site.imap("anna")
    before = client.select("INBOX")[1][0]
    stats = site.stats()
    client.logout()
    site.stop()
    expect(site.command("store", "verify"), EX_OK, "^no problems")
    log = expect(site.command("store", "dump", "--log"), EX_OK).stdout
    dump = expect(site.command("store", "dump"), EX_OK).stdout
    index = rows(site)
    if not log or not index or not dump.startswith(log) or index not in dump:
        raise RuntimeError(f"dump: {len(dump)} is not log {len(log)} + index {len(index)}")
    if "deliver" not in log or "anna@example.org" not in log + index:
        raise RuntimeError("dump does not name the delivery")
    if site.stats()["blobs"] != stats["blobs"]:
        raise RuntimeError("stats of the stopped server differ")
    (site.partition / "index.mdb").unlink()
    rebuilt = expect(site.command("store", "rebuild"), EX_OK, r"replayed=\d+ damaged=0 lost=0")
    if int(re.search(r"replayed=(\d+)", rebuilt.stdout)[1]) < 1:
        raise RuntimeError(rebuilt.stdout)
    expect(site.command("store", "verify"), EX_OK, "^no problems")
    if rows(site) != index:
        raise RuntimeError("the rebuilt index is another one")
    done = site.command("store", "skip-op")  # nothing crashed: there is nothing to skip
    if done.returncode != EX_NOINPUT or "mailserverd: no op" not in done.stderr:
        raise RuntimeError(f"skip-op: exit {done.returncode}, {done.stderr}")
    expect(site.command("store", "skip-op", "--position", "x"), EX_USAGE)
    expect(site.command("store", "dump", "--from", "x"), EX_USAGE)
    expect(site.command("store", "dump", "more"), EX_USAGE)
    site.start()
    client = site.imap("anna")
    if client.select("INBOX")[1][0] != before:
        raise RuntimeError("the mailbox differs after the rebuild")
    client.logout()


def check_verify_finds(site):
    """A changed byte of a message is reported by name: exit 65, the rest is served."""
    marker = b"X-Test-Id: damaged-on-disk"
    deliver(site, "damaged-on-disk")
    deliver(site, "not-damaged")
    site.stop()
    for path in (site.partition / "journal").iterdir():
        data = path.read_bytes()
        at = data.find(marker)
        if at >= 0:
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(b"Y")
            break
    else:
        raise RuntimeError("the message is not in the log")
    done = site.command("store", "verify")
    expect(done, EX_DATAERR)
    if len(done.stdout.splitlines()) < 1:
        raise RuntimeError("verify names nothing")
    site.start()
    deliver(site, "after-damage")
    return done.stdout.splitlines()[0]


def check_help(binary):
    def run(*words):
        return subprocess.run([str(binary), *words], capture_output=True, text=True, timeout=30)
    top = expect(run("--help"), EX_OK).stdout
    for command in COMMANDS:
        if not re.search(rf"(?m)^  {command}$", top):
            raise RuntimeError(f"--help does not list {command}")
        expect(run(*command.split(), "--help"), EX_OK, rf"^usage: mailserverd {command}", r"\n\n\w+")
    expect(run("--version"), EX_OK, r"^mailserverd \d+\.\d+")
    for words in ((), ("nothing",), ("store",), ("store", "nothing"), ("config", "check", "-c"), ("user", "list", "-o", "xml"),
                  ("init",), ("init", "/tmp/x"), ("serve", "more"), ("config", "check", "more.yaml"), ("config", "sample", "more"),
                  ("config", "schema", "--more"), ("config", "man", "more")):
        expect(run(*words), EX_USAGE)
    # An object without its verb lists what it has; options that getopt refuses are told like all others.
    for words, code in ((("channel",), EX_USAGE), (("channel", "--help"), EX_OK)):
        listed = expect(run(*words), code)
        shown = re.findall(r"(?m)^  (\S.*)$", listed.stderr if code else listed.stdout)
        if shown != ["channel list", "channel stop", "channel start"]:
            raise RuntimeError(shown)
    expect(run("channel", "pause"), EX_USAGE, r'^mailserverd: no command "channel pause" ')
    for words in (("jobs", "status", "--channels"), ("jobs", "status", "--channel"), ("queue", "shape", "--rows"), ("user", "list", "--all")):
        expect(run(*words), EX_USAGE, "^mailserverd: .*option")
    expect(subprocess.run([str(binary), "config", "check"], capture_output=True, text=True, timeout=30,
                          env={"MAILSERVERD_CONFIG": "/nowhere/m.yaml"}), EX_CONFIG, "/nowhere/m.yaml")


def check_old_names(binary):
    """Commands of the reference name those that took their place."""
    for words, now in (("qm stop store", "channel stop CHANNEL"), ("qm start store", "channel start CHANNEL"), ("qm jobs", "jobs status"),
                       ("qm dir -held", "queue list"), ("qm", "queue list"), ("qm summarize", "queue shape"), ("cache -view", "queue list"),
                       ("cache -change -global -max_messages=5", "reload"), ("cache -sync", "jobs status"), ("process", "jobs status"),
                       ("run store", "queue run --channel CHANNEL"), ("counters show", "stats"), ("refresh", "reload"), ("shutdown", "stop"),
                       ("stop job_controller", "channel stop CHANNEL"), ("start job_controller", "channel start CHANNEL"),
                       ("restart job_controller", "reload"), ("restart dispatcher", "dispatcher restart")):
        done = subprocess.run([str(binary), *words.split()], capture_output=True, text=True, timeout=30)
        expect(done, EX_USAGE, f'^mailserverd: warning: "{" ".join(words.split()[:2])}" is an old name and does nothing; '
                               f"the command is: mailserverd {now}$")
        # what it names is there
        expect(subprocess.run([str(binary), *[w for w in now.split() if w.islower()][:2], "--help"], capture_output=True, text=True, timeout=30),
               EX_OK)


def check_asks(site):
    """Commands that need the server say so when it is down."""
    expect(site.command("dispatcher", "status"), EX_OK, r"row=worker +service=lmtp +worker=\d+ +state=running")
    expect(site.command("jobs", "status"), EX_OK, r"(?m)^store +STORE +started ")
    whole = site.config.read_text()
    site.config.write_text(whole + "\nnonsense: {a: b}\n")  # half edited: what asks the server works all the same
    for command in ("dispatcher status", "jobs status", "session list", "queue list", "stats", "mailbox list anna"):
        expect(site.command(*command.split()), EX_OK)
    expect(site.command("reload"), EX_CONFIG, "nonsense")
    expect(site.command("stop"), EX_OK)
    site.config.write_text(whole)
    if site.wait() != 0:
        raise RuntimeError("exit status of the stopped server")
    for command in ("stop", "dispatcher status", "jobs status"):
        expect(site.command(*command.split()), EX_UNAVAILABLE, "does not run")
    for left in ("run/mailserverd.pid", "run/admin.sock"):
        if (site.folder / left).exists():
            raise RuntimeError(f"{left} is left behind")


def check_init(binary):
    with tempfile.TemporaryDirectory(prefix="init-") as work:
        folder = pathlib.Path(work) / "other"
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
        site = Site(folder, binary)
        for force in ((), ("--force",)):
            expect(site.run("init", folder, "--domain", "example.org", *force, check=False), EX_CANTCREAT, "something else")
        if [p.name for p in folder.iterdir()] != ["thesis.txt"]:
            raise RuntimeError("init wrote into a folder of somebody else")
        mine = Site(pathlib.Path(work) / "mine", binary).init()
        before = mine.config.read_text()
        expect(mine.run("init", mine.folder, "--domain", "example.com", check=False), EX_CANTCREAT, "--force")
        if mine.config.read_text() != before:
            raise RuntimeError("init without --force changed a site")
        expect(mine.run("init", mine.folder, "--domain", "example.com", "--force"), EX_OK)
        if "example.com" not in mine.config.read_text():
            raise RuntimeError("init --force wrote nothing")
        bad = pathlib.Path(work) / "bad"
        for words in (("--user", "nopassword"), ("--port-base", "many"), ("--user", "a:b:c")):
            expect(site.run("init", bad, "--domain", "example.org", *words, check=False), EX_USAGE)
        if bad.exists():
            raise RuntimeError("init wrote something before it knew all")


def check_second_server(site):
    done = site.command("serve")
    expect(done, EX_TEMPFAIL, "in use")
    if "ready" in done.stdout:
        raise RuntimeError(done.stdout)
    deliver(site, "first-server-still-serves")
    if not (site.folder / "run/admin.sock").exists():
        raise RuntimeError("the second server took the admin socket away")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    tap.run("--help, --version, wrong words", check_help, binary)
    tap.run("names of old", check_old_names, binary)
    tap.run("init refuses what is not its own", check_init, binary)
    with running(binary) as site:
        tap.run("user add", check_user_add, site)
        tap.run("user add refuses", check_user_refusals, site)
        tap.run("user list", check_user_list, site)
        tap.run("store commands beside the server", check_store_running, site)
        tap.run("a second server", check_second_server, site)
        tap.run("store commands", check_store_stopped, site)
        tap.run("store verify finds damage", check_verify_finds, site)
        tap.run("stop and status", check_asks, site)
    return tap.end()


sys.exit(main())
