#!/usr/bin/env python3
"""SIGTERM with clients in every state: who is idle hears goodbye at once, in the words of the protocol; what is under way is finished and
answered first; at the deadline the rest is cut off. What was answered is there after the next start.

usage: drain.py BINARY
"""
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, list_mailbox, running, wait_for  # noqa: E402
from stopped import stopped  # noqa: E402
from tap import Tap, need, same  # noqa: E402


class Line:
    """A connection that speaks in lines."""

    def __init__(self, site, port):
        self.sock = socket.create_connection(("127.0.0.1", site.base + port), timeout=30)
        self.file = self.sock.makefile("rb")
        self.hear()

    def hear(self):
        return self.file.readline().decode(errors="replace").rstrip("\r\n")

    def say(self, text):
        self.sock.sendall(text.encode())

    def ask(self, text):
        """The last line of an SMTP reply."""
        self.say(text + "\r\n")
        while True:
            line = self.hear()
            if line[3:4] != "-":
                return line

    def tagged(self, text):
        self.say(text + "\r\n")
        while True:
            line = self.hear()
            need(line, "closed")
            if line.startswith(text.split()[0] + " "):
                return line

    def ended(self):
        """Lines up to the end of the connection."""
        lines = []
        while True:
            line = self.hear()
            if not line:
                return lines
            lines.append(line)


def in_data(site, port, lhlo=False):
    """In the middle of a message."""
    client = Line(site, port)
    need(client.ask("LHLO x" if lhlo else "EHLO x").startswith("250"), "greeting")
    need(client.ask("MAIL FROM:<a@example.net>").startswith("250"), "MAIL")
    need(client.ask("RCPT TO:<anna@example.org>").startswith("250"), "RCPT")
    need(client.ask("DATA").startswith("354"), "DATA")
    client.say("Subject: x\r\nX-Test-Id: drain-%d\r\n\r\nhello\r\n" % port)
    return client


def logged_in(site, user="anna"):
    client = Line(site, 143)
    need(client.tagged(f"a LOGIN {user} {PASSWORD}").startswith("a OK"), "LOGIN")
    return client


def check_states(binary):
    with running(binary, ("server.loops=2", "server.stop_timeout=20s")) as site:
        smtp, lmtp, fresh = Line(site, 25), Line(site, 24), Line(site, 143)
        need(smtp.ask("EHLO x").startswith("250"), "EHLO")
        need(lmtp.ask("LHLO x").startswith("250"), "LHLO")
        mail, local = in_data(site, 25), in_data(site, 24, lhlo=True)
        idle, selected, append = logged_in(site), logged_in(site), logged_in(site, "bert")
        for client in (idle, selected):
            need(client.tagged("b SELECT INBOX").startswith("b OK"), "SELECT")
        idle.say("c IDLE\r\n")
        need(idle.hear().startswith("+"), "IDLE")
        append.say("d APPEND INBOX {29}\r\n")
        need(append.hear().startswith("+"), "APPEND")
        site.process.terminate()
        began = time.monotonic()
        for name, client, word in (("SMTP", smtp, "421 4.3.2 "), ("LMTP", lmtp, "421 4.3.2 ")):
            lines = client.ended()
            need(len(lines) == 1 and lines[0].startswith(word), f"{name}: {lines}")
        for name, client in (("IMAP, not logged in", fresh), ("IMAP, selected", selected), ("IMAP, IDLE", idle)):
            lines = client.ended()
            need(lines and lines[-1].startswith("* BYE"), f"{name}: {lines}")
        need(time.monotonic() - began < 10, "goodbyes take long")
        need(site.process.poll() is None, "the server went before its messages")
        for port, client in ((25, mail), (24, local)):
            client.say(".\r\n")
            lines = client.ended()
            need(lines[0].startswith("250 ") and lines[-1].startswith("421 4.3.2 "), f"port {port}: {lines}")
        append.say("Subject: x\r\n\r\n%15s\r\n" % "bye")
        lines = append.ended()
        need(any(line.startswith("d OK") for line in lines) and lines[-1].startswith("* BYE"), f"APPEND: {lines}")
        same("exit status", site.wait(), 0)
        site.start()
        with site.imap("anna") as client:
            for _ in range(200):  # the queued one is delivered after the start
                found = sorted(row[1] for row in list_mailbox(client)[0])
                if len(found) == 2:
                    break
                time.sleep(0.1)
            same("mail of anna", found, ["drain-24", "drain-25"])
        with site.imap("bert") as client:
            same("mail of bert", len(list_mailbox(client)[0]), 1)


def check_deadline(binary):
    """One that never ends its message is cut off at the deadline, and gets no answer for it."""
    with running(binary, ("server.loops=1", "server.stop_timeout=2s")) as site:
        mail = in_data(site, 25)
        site.process.terminate()
        began = time.monotonic()
        same("exit status", site.wait(), 0)
        seconds = time.monotonic() - began
        need(1.5 < seconds < 15, f"stopped after {seconds:.1f} s")
        need(not any(line.startswith("250") for line in mail.ended()), "answered")


def check_twice(binary):
    """The second SIGTERM ends at once."""
    with running(binary, ("server.loops=1", "server.stop_timeout=60s")) as site:
        mail = in_data(site, 25)
        site.process.terminate()
        time.sleep(0.5)
        need(site.process.poll() is None, "ended too early")
        site.process.terminate()
        began = time.monotonic()
        site.wait()
        need(time.monotonic() - began < 15, "the second one waits too")
        mail.sock.close()


def threads(pid):
    return {(task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def check_late_loop(binary):
    """A loop that stood still finds messages of parts that have ended meanwhile. Memory that was given back has another content."""
    with running(binary, ("server.loops=2",), env={"MALLOC_PERTURB_": "215"}) as site:
        pid = site.process.pid
        with stopped(pid, "loop2"):
            time.sleep(1.5)  # each second every loop is asked whether it answers
            site.process.terminate()
            need(wait_for(lambda: "event=server.stopping" in site.log.read_text()), "not stopping")
            site.process.terminate()
            need(wait_for(lambda: "loop1" not in threads(pid)), "the other loop has not ended")
        same("exit status", site.wait(), 0)


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("clients in every state", check_states, binary)
    tap.run("the deadline", check_deadline, binary)
    tap.run("twice is at once", check_twice, binary)
    tap.run("a loop that stands still at the end", check_late_loop, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
