#!/usr/bin/env python3
"""session list, session kick: what is shown, goodbyes in the words of each protocol, thousands of sessions.

usage: watch_sessions.py BINARY [--sessions N]
"""
import json
import pathlib
import resource
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402


NO_LIMITS = [f"dispatcher.defaults.max_{what}_per_{whom}=none" for what in ("conns", "rate") for whom in ("address", "network")]


class Line:
    """A connection on which single lines are sent and awaited."""

    def __init__(self, site, port, tls=False):
        self.sock = socket.create_connection(("127.0.0.1", site.base + port), timeout=60)
        if tls:
            self.sock = site.tls_context().wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rwb", buffering=0)
        self.greeting = self.read()

    def read(self):
        return self.file.readline().decode()

    def say(self, text, end=None):
        """Sends a line; the answer, up to the line that begins with end."""
        self.file.write(text.encode() + b"\r\n")
        if end is None:
            return None
        while True:
            line = self.read()
            need(line, f"closed after {text!r}")
            if line.startswith(end):
                return line

    def rest(self):
        text = b""
        try:
            while piece := self.sock.recv(4096):
                text += piece
        except ConnectionResetError:
            pass
        return text.decode()

    def close(self):
        self.file.close()
        self.sock.close()


def sessions(site, *words):
    done = expect(site.command("session", "list", "-o", "json", *words), 0)
    return [json.loads(line) for line in done.stdout.splitlines()]


def login(site, user, port=143, tls=False):
    line = Line(site, port, tls)
    line.say(f"a LOGIN {user} {PASSWORD}", "a OK")
    return line


def check_list(site):
    """Each session with its service, user, state and age; filters; the three forms of output."""
    idle = login(site, "anna", 993, True)
    idle.say("b SELECT INBOX", "b OK")
    idle.say("c IDLE", "+")
    plain = Line(site, 143)
    smtp = Line(site, 25)
    smtp.say("EHLO client.example.net", "250 ")
    smtp.say("MAIL FROM:<a@example.net>", "250")

    def row(**want):
        rows = [r for r in sessions(site) if all(r[k] == v for k, v in want.items())]
        same(f"{want}", len(rows), 1)
        return rows[0]

    def settled():
        return {(r["service"], r["state"]) for r in sessions(site)} == {("imaps", "idling"), ("imap", "noauth"), ("smtp", "envelope")}
    need(wait_for(settled, 20), sessions(site))
    r = row(service="imaps", user="anna@example.org", state="idling", protocol="imap")
    need(r["tls"].startswith("TLSv1."), r)
    need(r["peer"] == "127.0.0.1:%d" % idle.sock.getsockname()[1], r)
    need(int(r["bytes_in"]) > 20 and int(r["bytes_out"]) > 50 and 0 <= int(r["age"]) < 600 and 0 <= int(r["idle"]) < 600, r)
    same("no TLS", row(service="imap")["tls"], "")
    need(int(row(service="smtp")["bytes_in"]) > 30, "bytes of SMTP")
    same("--user", [r["user"] for r in sessions(site, "--user", "ANNA")], ["anna@example.org"])
    same("--user with a domain", len(sessions(site, "--user", "anna@example.org")), 1)
    same("another user", sessions(site, "--user", "ann"), [])
    same("--service", [r["service"] for r in sessions(site, "--service", "smtp")], ["smtp"])
    same("no such service", sessions(site, "--service", "smt"), [])
    same("--fail-if-empty", site.command("session", "list", "--user", "x", "--fail-if-empty").returncode, 1)
    tsv = expect(site.command("session", "list", "-o", "tsv", "--user", "anna"), 0).stdout.splitlines()
    same("fields", len(tsv[-1].split("\t")), 12)
    expect(site.command("session", "list"), 0, r"session=[0-9a-f]+  service=imaps  protocol=imap  peer=127\.0\.0\.1:\d+  user=anna@")
    for line in (idle, plain, smtp):
        line.close()
    need(wait_for(lambda: not sessions(site), 20), "all are gone")


def check_kick_words(site):
    """An idle session ends at once: BYE, and 421."""
    anna, bert = login(site, "anna"), login(site, "bert")
    bert.say("b SELECT INBOX", "b OK")
    bert.say("c IDLE", "+")
    done = expect(site.command("session", "kick", "--user", "anna", "--why", "test of kick", "-o", "json"), 0)
    same("who", [json.loads(line)["user"] for line in done.stdout.splitlines()], ["anna@example.org"])
    same("BYE", anna.rest(), "* BYE Session ended by the operator\r\n")
    same("others stay", [r["user"] for r in sessions(site)], ["bert@example.org"])
    site.logged("event=imapd.kicked trace=", 'why="test of kick"')
    ident = sessions(site)[0]["session"]
    expect(site.command("session", "kick", ident), 0)
    same("BYE in IDLE", bert.rest(), "* BYE Session ended by the operator\r\n")
    smtp = Line(site, 25)
    smtp.say("EHLO client.example.net", "250 ")
    need(wait_for(lambda: sessions(site, "--service", "smtp"), 10), "it is there")
    expect(site.command("session", "kick", sessions(site, "--service", "smtp")[0]["session"]), 0)
    same("421", smtp.rest(), "421 4.7.0 Session ended by the operator\r\n")
    expect(site.command("session", "kick", "ffffff"), 67, "1 of 1 sessions are not there")
    for words in ((), ("0",), ("x",), ("1", "--user", "anna"), ("-1",)):
        same(f"kick {words}", site.command("session", "kick", *words).returncode, 64)


def check_kick_busy(site):
    """In the middle of a message the goodbye waits for its end: nothing that was begun is cut off."""
    smtp = Line(site, 24)
    smtp.say("LHLO client.example.net", "250 ")
    smtp.say("MAIL FROM:<a@example.net>", "250")
    smtp.say("RCPT TO:<anna@example.org>", "250")
    smtp.say("DATA", "354")
    smtp.say("Subject: slow")
    need(wait_for(lambda: [r["state"] for r in sessions(site)] == ["data"], 20), sessions(site))
    expect(site.command("session", "kick", sessions(site)[0]["session"]), 0)
    same("still there", [r["state"] for r in sessions(site)], ["data"])
    need(smtp.say("\r\nbody\r\n.", "250"), "taken")
    same("421", smtp.rest(), "421 4.7.0 Session ended by the operator\r\n")
    imap = login(site, "anna")
    imap.say("b APPEND INBOX {20}", "+")
    need(wait_for(lambda: [r["state"] for r in sessions(site)] == ["append"], 20), sessions(site))
    expect(site.command("session", "kick", "--user", "anna"), 0)
    need(imap.say("Subject: x\r\n\r\nbody\r\n", "b OK"), "appended")
    same("BYE", imap.rest(), "* BYE Session ended by the operator\r\n")


def check_many(binary, count):
    """Thousands of sessions: all of them are told of, once; others are answered meanwhile; a reader that stops is waited for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(count, (hard if hard != resource.RLIM_INFINITY else 1 << 20) - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    sets = ["dispatcher.services.imap.max_conns=20000", "imap.login_timeout=10m", *NO_LIMITS]
    with running(binary, sets=sets) as site:
        lines = [Line(site, 143) for _ in range(count)]
        rows = sessions(site)
        same("sessions", len(rows), count)
        same("each once", len({r["session"] for r in rows}), count)
        same("peers", {r["peer"] for r in rows}, {"127.0.0.1:%d" % line.sock.getsockname()[1] for line in lines})
        begun = time.monotonic()
        expect(site.command("session", "list", "-o", "tsv"), 0)
        took = time.monotonic() - begun
        with socket.socket(socket.AF_UNIX) as slow:  # asks, and does not read; then goes away
            slow.connect(str(site.folder / "run/admin.sock"))
            slow.sendall(b"session-list\t\t\n")
            worst = 0.0
            for _ in range(50):
                begun = time.monotonic()
                same("NOOP", lines[0].say("n NOOP", "n OK")[:4], "n OK")
                worst = max(worst, time.monotonic() - begun)
        done = expect(site.command("session", "kick", "--user", "nobody"), 0)
        same("nobody", done.stdout, "")
        anna = login(site, "anna")
        expect(site.command("session", "kick", "--user", "anna"), 0)
        need(anna.rest().startswith("* BYE"), "one of many")
        same("the others stay", len(sessions(site)), count)
        for line in lines:
            line.close()
        need(wait_for(lambda: not sessions(site), 60, 0.5), "all are gone")
    return f"{count} sessions: {took:.2f} s, longest answer meanwhile {worst * 1000:.1f} ms"


def check_churn(binary, seconds):
    """Sessions and workers that come and go while they are listed and kicked."""
    sets = ["dispatcher.services.imap.max_life_conns=20", *NO_LIMITS]
    with running(binary, sets=sets) as site:
        end = time.monotonic() + seconds
        kicked = listed = made = 0
        lines = []
        while time.monotonic() < end:
            for _ in range(15):
                lines.append(login(site, "anna" if made % 2 else "bert"))
                made += 1
            listed += len(sessions(site))
            if len(lines) > 60:
                kicked += len(expect(site.command("session", "kick", "--user", "anna", "-o", "tsv"), 0).stdout.splitlines())
                for line in lines:
                    line.close()
                lines = []
        need(kicked and listed, f"{kicked} kicked, {listed} listed")
        for line in lines:
            line.close()
        same("exit", site.stop(), 0)
    return f"{made} sessions, {kicked} kicked"


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    count = int(sys.argv[sys.argv.index("--sessions") + 1]) if "--sessions" in sys.argv else 1500
    tap = Tap()
    with running(binary) as site:
        tap.run("session list", check_list, site)
        tap.run("session kick, idle", check_kick_words, site)
        tap.run("session kick, busy", check_kick_busy, site)
        expect(site.command("stop"), 0)
        site.wait()
        tap.run("no server, no sessions", lambda: expect(site.command("session", "list"), 69, "does not run") and None)
    tap.run("many sessions", check_many, binary, count)
    tap.run("sessions and workers that come and go", check_churn, binary, 6)
    return tap.end()


sys.exit(main())
