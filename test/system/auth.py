#!/usr/bin/env python3
"""Logins of the running server: what the log says and what it never says, the fail2ban filter, administrators, app passwords, SCRAM,
and that nobody learns by words or by time which names exist.

usage: auth.py BINARY SOURCE_ROOT
"""
import base64
import configparser
import json
import pathlib
import re
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sasl_client as sasl  # noqa: E402
from msite import PASSWORD, running, wait_for  # noqa: E402
from tap import Tap, need, same  # noqa: E402

TRIES = 30
# Patience: one address makes all these failures.
OPEN = ["auth.failures_free=100", "auth.failures_max=none", "imap.login_failures_max=100", "smtp.errors_soft=1000",
        "smtp.errors_max=1000"]


def imap(site, **options):
    return sasl.Imap(site.base + 143, **options)


def smtp(site, **options):
    return sasl.Smtp(site.base + 587, **options)


def events(site, name, count=1, seconds=10):
    """Lines of the event, once there are so many."""
    def look():
        lines = [l for l in site.log.read_text(errors="replace").splitlines() if f"event={name} " in l or f'"event":"{name}"' in l]
        return lines if len(lines) >= count else None
    lines = wait_for(look, seconds)
    need(lines, f"not {count} lines {name}: {site.tail()}")
    return lines


def keys_of(line):
    return re.findall(r' ([a-z_]+)=(?:"(?:[^"\\]|\\.)*"|\S*)', line)


def value(line, key):
    m = re.search(rf' {key}=("(?:[^"\\]|\\.)*"|\S*)', line)
    return m[1].strip('"') if m else None


# -- the log

def check_lines(binary):
    with running(binary, OPEN) as site:
        with imap(site) as c:
            need(c.command(f"LOGIN anna {PASSWORD}").startswith("OK"), "LOGIN")
        with imap(site, context=None) as c:
            need(c.command("LOGIN anna wrong-word").startswith("NO [AUTHENTICATIONFAILED]"), "wrong password")
        with smtp(site, context=sasl.context()) as c:
            need(c.authenticate("PLAIN", sasl.plain("bert", PASSWORD)).startswith("235"), "AUTH PLAIN")
        with smtp(site) as c:
            need(c.authenticate("LOGIN", sasl.login("ghost", "wrong-word")).startswith("535"), "AUTH LOGIN")
        good, bad = events(site, "auth.login", 2), events(site, "auth.failed", 2)
        for line in good + bad:
            shared = ["svc", "user", "method", "rip", "lip", "tls", "session"]
            same("keys", [k for k in keys_of(line) if k in shared], shared)
            same("rip", value(line, "rip"), "127.0.0.1")
            same("lip", value(line, "lip"), "127.0.0.1")
            need(value(line, "trace").split("-")[1] == value(line, "session"), line)
        same("who", [(value(l, "svc"), value(l, "user"), value(l, "method")) for l in good],
             [("imap", "anna@example.org", "LOGIN"), ("submission", "bert@example.org", "PLAIN")])
        need(value(good[0], "tls") == "" and value(good[1], "tls").startswith("TLSv1."), f"tls: {good}")
        same("why", [(value(l, "user"), value(l, "reason")) for l in bad], [("anna", "wrong_proof"), ("ghost", "unknown_user")])


def check_secrets(binary):
    """Whatever mechanism, whatever the outcome: neither the secret nor its base64 is in the log."""
    secrets = [PASSWORD, "not-the-word"]
    with running(binary, OPEN + ["log.level=debug"]) as site:
        for secret in secrets:
            with imap(site) as c:
                c.literals("LOGIN", "ghost", secret)
                c.literals("LOGIN", secret[::-1], secret)
                c.authenticate("PLAIN", sasl.plain("ghost", secret))
                c.authenticate("LOGIN", sasl.login("anna", secret))
            for mech, digest in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")):
                with smtp(site) as c:
                    c.authenticate(mech, sasl.scram("anna", secret, digest=digest))
            with smtp(site) as c:
                c.authenticate("PLAIN", sasl.plain("anna", secret))
        events(site, "auth.failed", 8)
        site.stop()
        text = site.log.read_text(errors="replace") + "".join(
            p.read_text(errors="replace") for p in site.folder.rglob("history/*.log"))
        need("auth.login" in text and "SCRAM-SHA-1" in text, "the log has the logins")
        for secret in secrets:
            for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="),
                         base64.b64encode(f"\0anna\0{secret}".encode()).decode()):
                need(form not in text, f"{form} is in the log")


# -- fail2ban

def filters(root):
    parser = configparser.ConfigParser()
    parser.read(root / "conf/fail2ban/filter.d/mailserverd.conf")
    made = parser.get("Definition", "failregex").strip().splitlines()
    return [re.compile(line.strip().replace("<HOST>", r"(?P<host>[0-9A-Fa-f:.]+)")) for line in made]


def hosts(regexes, lines):
    found = []
    for line in lines:
        hits = {m["host"] for r in regexes for m in [r.search(line)] if m}
        need(len(hits) <= 1, f"{hits}: {line}")
        found.append(hits.pop() if hits else None)
    return found


NAMES = ["anna", "ghost", "", "two words", 'quo"te', "back\\slash", "rip=203.0.113.9", "x rip=203.0.113.9 reason=wrong_proof",
         'x" method=LOGIN rip=203.0.113.9 lip= tls= session=1 reason=wrong_proof y="', "tab\there", "caf\u00e9", "a" * 250,
         "level=notice event=auth.failed svc=imap user=a method=LOGIN rip=203.0.113.9 lip= tls= session=1 reason=wrong_proof"]


def check_fail2ban(binary, root):
    regexes = filters(root)
    for form in ("logfmt", "json"):
        with running(binary, OPEN + [f"log.format={form}"]) as site:
            for n, name in enumerate(NAMES):
                with imap(site, source=f"127.0.77.{n + 1}") as c:
                    c.literals("LOGIN", name, "wrong")
            with smtp(site, source="127.0.78.1") as c:
                c.authenticate("PLAIN", sasl.plain("ghost", "wrong"))
            with imap(site, source="127.0.79.1") as c:
                c.command(f"LOGIN anna {PASSWORD}")
            with imap(site, source="127.0.80.1") as c:  # the right password of no administrator
                c.literals("LOGIN", "bert*anna", PASSWORD)
            lines = events(site, "auth.failed", len(NAMES) + 2)
            want = [f"127.0.77.{n + 1}" for n in range(len(NAMES))] + ["127.0.78.1", None]
            same(f"{form}: addresses", hosts(regexes, lines), want)
            # as the journal and as fail2ban itself hand them on
            dated = [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "", line, count=1) for line in lines]
            same(f"{form}: without the date", hosts(regexes, dated), want)
            same(f"{form}: journal", hosts(regexes, ["host mailserverd[12]: " + line for line in lines]), want)
            others = [l for l in site.log.read_text(errors="replace").splitlines() if l not in lines]
            need(any("auth.login" in l for l in others), "a login is among the others")
            same(f"{form}: other lines", set(hosts(regexes, others)), {None})


def check_named(binary, root):
    """An address that is backed off is named, but not for each of its tries."""
    with running(binary, ["auth.failures_free=1", "auth.failures_max=2", "auth.delay_max=0s", "auth.failure_time=1d",
                          "imap.login_failures_max=100", "server.loops=1"]) as site:
        with imap(site, source="127.0.81.1") as c:
            for _ in range(60):
                c.command("LOGIN ghost wrong")
        lines = [l for l in events(site, "auth.failed", 3) if "reason=backed_off" in l]
        need(1 <= len(lines) <= 10, f"{len(lines)} lines of 58 tries")
        same("addresses", set(hosts(filters(root), lines)), {"127.0.81.1"})


# -- names cannot be told apart

def timed(action):
    begun = time.monotonic()
    text = action()
    return time.monotonic() - begun, text


def check_words_and_time(binary):
    """Unknown, wrong, switched off, out of scope, backed off: one answer, and the same time."""
    sets = ["auth.failures_free=100", "auth.failures_max=100", "auth.failure_time=7d", "auth.delay_max=0s",
            "auth.trusted_networks=127.0.0.0/8", "imap.login_failures_max=100", "server.loops=1",
            "directory.hash_threads=1", "smtp.errors_soft=1000", "smtp.errors_max=1000"]
    with running(binary, sets, users=("anna", "bert", "carl")) as site:
        site.run("user", "set", "carl", "--status", "disabled", "-c", site.config)
        secret = site.run("user", "app-password", "add", "anna", "phone", "--scope", "submission", "-o", "json", "-c", site.config)
        secret = json.loads(secret.stdout)["password"]
        with imap(site) as c:
            for _ in range(100):
                c.command("LOGIN bert wrong")
        kinds = {"unknown": ("ghost", "wrong"), "wrong": ("anna", "wrong"), "status": ("carl", PASSWORD),
                 "scope": ("anna", secret), "backed off": ("bert", PASSWORD)}
        times, words = {k: [] for k in kinds}, set()
        for _ in range(TRIES):
            with imap(site) as c:
                for kind, (user, password) in kinds.items():
                    took, text = timed(lambda: c.command(f"LOGIN {user} {password}"))
                    times[kind].append(took)
                    words.add(text)
        same("IMAP", words, {"NO [AUTHENTICATIONFAILED] Authentication failed."})
        with smtp(site) as c:
            words = {c.authenticate("PLAIN", sasl.plain(*pair)) for kind, pair in kinds.items() if kind != "scope"}
            same("SMTP", words, {"535 5.7.8 Authentication failed"})
            words = {c.authenticate("SCRAM-SHA-256", sasl.scram(*pair)) for pair in kinds.values()}
            same("SMTP SCRAM", words, {"535 5.7.8 Authentication failed"})
        reasons = {value(l, "reason") for l in events(site, "auth.failed", 100)}
        need({"unknown_user", "wrong_proof", "status", "backed_off"} <= reasons, f"reasons: {reasons}")
    medians = {k: statistics.median(v) for k, v in times.items()}
    text = ", ".join(f"{k} {m * 1000:.1f} ms" for k, m in medians.items())
    # a hash is tens of milliseconds, what would be told by leaving it out
    need(max(medians.values()) <= 1.6 * min(medians.values()) + 0.010, text)
    return text


def check_scram_names(binary):
    """A name that nobody has: salt and count as of a real one, the same each time, and no earlier refusal."""
    with running(binary, OPEN) as site:
        def first(user):
            with imap(site) as c:
                c.tag += 1
                c.send(f"t{c.tag} AUTHENTICATE SCRAM-SHA-256 {base64.b64encode(f'n,,n={user},r=abcdef'.encode()).decode()}")
                fields = base64.b64decode(c.line()[2:]).decode().split(",")
                return fields[1], fields[2]
        for user in ("anna", "ghost"):
            same(f"twice {user}", first(user), first(user))
        need(first("ghost") != first("ghoul"), "one salt for all")
        same("count", first("anna")[1], first("ghost")[1])
        same("length", len(first("anna")[0]), len(first("ghost")[0]))
        with imap(site) as c:
            same("ghost", c.authenticate("SCRAM-SHA-256", sasl.scram("ghost", PASSWORD)),
                 "NO [AUTHENTICATIONFAILED] Authentication failed.")


# -- mechanisms

def check_scram(binary):
    with running(binary, OPEN) as site:
        for mech, digest in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1")):
            for initial in (True, False):
                with imap(site) as c:
                    need(f"AUTH={mech}" in c.capabilities(), mech)
                    answer = c.authenticate(mech, sasl.scram("anna", "wrong", digest=digest), initial)
                    need(answer.startswith("NO [AUTHENTICATIONFAILED]"), answer)
                    answer = c.authenticate(mech, sasl.scram("anna", PASSWORD, digest=digest), initial)
                    need(answer.startswith("OK [CAPABILITY"), answer)
                    need(c.command("SELECT INBOX").startswith("OK"), "SELECT")
                with smtp(site) as c:
                    need(mech in c.ehlo, c.ehlo)
                    answer = c.authenticate(mech, sasl.scram("bert", "wrong", digest=digest), initial)
                    need(answer.startswith("535 5.7.8"), answer)
                    answer = c.authenticate(mech, sasl.scram("bert@example.org", PASSWORD, digest=digest), initial)
                    need(answer.startswith("235 2.7.0"), answer)
                    need(c.command("MAIL FROM:<bert@example.org>").startswith("250"), "MAIL")
        same("methods", {value(l, "method") for l in events(site, "auth.login", 8)}, {"SCRAM-SHA-256", "SCRAM-SHA-1"})


def check_admin(binary):
    with running(binary, OPEN, users=("anna", "bert", "root")) as site:
        site.run("user", "set", "root", "--admin", "yes", "-c", site.config)
        with imap(site) as c:
            c.command(f"LOGIN bert {PASSWORD}")
            c.command("CREATE of-bert")
        for how in (lambda c: c.literals("LOGIN", "bert*root", PASSWORD),
                    lambda c: c.literals("LOGIN", "bert@example.org*root@example.org", PASSWORD),
                    lambda c: c.authenticate("PLAIN", sasl.plain("root", PASSWORD, "bert@example.org")),
                    lambda c: c.authenticate("LOGIN", sasl.login("bert*root", PASSWORD)),
                    lambda c: c.authenticate("SCRAM-SHA-256", sasl.scram("root", PASSWORD, "bert@example.org"))):
            with imap(site) as c:
                answer = how(c)
                need(answer.startswith("OK"), answer)
                need(c.command("SELECT of-bert").startswith("OK"), "whose mailboxes")
        with smtp(site) as c:
            need(c.authenticate("PLAIN", sasl.plain("root", PASSWORD, "bert")).startswith("235"), "SMTP")
            need(c.command("MAIL FROM:<bert@example.org>").startswith("250"), "as bert")
        for line in events(site, "auth.login", 7)[1:]:
            same("line", (value(line, "user"), value(line, "admin")), ("bert@example.org", "root@example.org"))
        with imap(site) as c:
            same("no such target", c.literals("LOGIN", "ghost*root", PASSWORD),
                 "NO [AUTHORIZATIONFAILED] Acting as another user is not permitted")
            same("no administrator", c.literals("LOGIN", "bert*anna", PASSWORD),
                 "NO [AUTHORIZATIONFAILED] Acting as another user is not permitted")
            for text in (c.literals("LOGIN", "bert*root", "wrong"), c.literals("LOGIN", "bert*anna", "wrong"),
                         c.authenticate("SCRAM-SHA-256", sasl.scram("root", "wrong", "bert@example.org"))):
                same("wrong", text, "NO [AUTHENTICATIONFAILED] Authentication failed.")
        secret = json.loads(site.run("user", "app-password", "add", "root", "tool", "-o", "json", "-c", site.config).stdout)["password"]
        with imap(site) as c:
            need(c.literals("LOGIN", "bert*root", secret).startswith("NO [AUTHORIZATIONFAILED]"), "by app password")
            need(c.literals("LOGIN", "root", secret).startswith("OK"), "himself")


def check_app_password(binary):
    with running(binary, OPEN) as site:
        made = site.run("user", "app-password", "add", "anna", "old phone", "--scope", "imap", "-o", "json", "-c", site.config)
        secret = json.loads(made.stdout)["password"]
        with imap(site) as c:
            need(c.literals("LOGIN", "anna", secret).startswith("OK"), "in scope")
        same("name", value(events(site, "auth.login")[-1], "app_password"), "old phone")
        with smtp(site) as c:
            same("out of scope", c.authenticate("PLAIN", sasl.plain("anna", secret)), "535 5.7.8 Authentication failed")
            need(c.authenticate("PLAIN", sasl.plain("anna", PASSWORD)).startswith("235"), "main password")
        need(secret not in site.log.read_text(), "the secret is in the log")


def check_tls_only(binary):
    """Without TLS no mechanism is there, SCRAM neither."""
    with running(binary, OPEN, plaintext=False) as site:
        for port, context in ((143, None), (993, sasl.context())):
            with sasl.Imap(site.base + port, context) as c:
                offered = [w for w in c.capabilities() if w.startswith("AUTH=")]
                same(f"port {port}", bool(offered), context is not None)
                answer = c.authenticate("SCRAM-SHA-256", sasl.scram("anna", PASSWORD))
                need(answer.startswith("OK" if context else "NO [PRIVACYREQUIRED]"), answer)
        with smtp(site) as c:
            need("AUTH" not in c.ehlo, c.ehlo)
            need(c.authenticate("SCRAM-SHA-256", sasl.scram("anna", PASSWORD)).startswith("538 5.7.11"), "SMTP")


def main():
    binary, root = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    tap = Tap()
    tap.run("a line for each login and failure, keys in order", check_lines, binary)
    tap.run("no secret is in the log", check_secrets, binary)
    tap.run("the fail2ban filter finds the address of every failure, and no other", check_fail2ban, binary, root)
    tap.run("an address that is backed off is named now and then", check_named, binary, root)
    tap.run("names cannot be told apart by words or time", check_words_and_time, binary)
    tap.run("nor by what SCRAM tells first", check_scram_names, binary)
    tap.run("SCRAM, both hashes, both protocols", check_scram, binary)
    tap.run("administrators act as others, nobody else does", check_admin, binary)
    tap.run("app passwords have their scope", check_app_password, binary)
    tap.run("without TLS nothing is offered", check_tls_only, binary)
    return tap.end()


sys.exit(main())
