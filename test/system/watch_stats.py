#!/usr/bin/env python3
"""stats: once for scripts, a view on a terminal (a pty), which is given back however it ends.

usage: watch_stats.py BINARY
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, running  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402

BEGIN, END, HOME = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H\x1b[2J"


class Terminal:
    """stats on a terminal of its own."""

    def __init__(self, site, *words, rows=50, columns=120):
        self.master, slave = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([site.binary, "stats", "-c", str(site.config), *words], stdin=slave, stdout=slave,
                                        stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = ""

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, until, seconds=30):
        """Until the condition holds for the text so far."""
        end = time.monotonic() + seconds
        while not until(self.text):
            need(time.monotonic() < end, repr(self.text[-3000:]))
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.master, 65536).decode()
                except OSError:
                    break
        return self.text

    def frames(self):
        return self.text.split(HOME)[1:]

    def end(self, code):
        """It has ended; everything it wrote; the terminal is as it was."""
        end = time.monotonic() + 30
        while self.process.poll() is None or select.select([self.master], [], [], 0)[0]:
            need(time.monotonic() < end, "it does not end")
            if select.select([self.master], [], [], 0.2)[0]:
                self.text += os.read(self.master, 65536).decode()
        same("exit", self.process.returncode, code)
        same("begins", self.text.count(BEGIN), 1)
        same("ends", self.text.count(END), 1)
        need(self.text.index(END) > self.text.rindex(HOME), "the screen is given back last")
        same("settings", termios.tcgetattr(self.slave), self.before)
        os.close(self.master)
        os.close(self.slave)
        return self.text


def check_once(site):
    """Not a terminal: once, name=value; JSON is one object, TSV two columns; the same names."""
    lines = expect(site.command("stats"), 0).stdout.splitlines()
    need(all(re.fullmatch(r"[a-z0-9_]+_total=\d+", line) for line in lines) and len(lines) > 50, lines)
    rows = expect(site.command("stats", "-o", "json"), 0).stdout.splitlines()
    same("one object", len(rows), 1)
    values = json.loads(rows[0])
    same("names", list(values), [line.split("=")[0] for line in lines])
    need(all(isinstance(v, int) for v in values.values()), values)
    tsv = [line.split("\t") for line in expect(site.command("stats", "-o", "tsv"), 0).stdout.splitlines()]
    same("columns", [row[0] for row in tsv], list(values))
    for words in (("--interval", "0"), ("--interval", "x"), ("--count", "0"), ("x",)):
        same(f"stats {words}", site.command("stats", *words).returncode, 64)


def check_plain(site):
    """--count without a terminal: frames without any control sequence."""
    done = expect(site.command("stats", "--count", "2", "--interval", "0.2"), 0)
    same("frames", len(re.findall(r"^mailserverd  ", done.stdout, re.M)), 2)
    need("\x1b" not in done.stdout, repr(done.stdout))
    need(re.search(r"^imaps +0 +\d+$", done.stdout, re.M), done.stdout)
    need(re.search(r"^store +0 +0 +0 +- +0/\d+ *$", done.stdout, re.M), done.stdout)
    need(re.search(r"^job controller +0 of \d+ entries in memory, 0 jobs$", done.stdout, re.M), done.stdout)
    need(re.search(r"^lag of loop1 ", done.stdout, re.M), done.stdout)


def check_view(site):
    """Frames follow each other and show traffic; Ctrl-C gives the terminal back."""
    view = Terminal(site, "--interval", "0.2")
    view.read(lambda text: text.count(HOME) >= 3)
    imap = site.imap("anna")

    def shows_traffic(text):
        with site.lmtp() as client:
            client.sendmail("a@example.net", ["anna@example.org"], message("x"))
        return (re.search(r"messages in +[0-9.]*[1-9][0-9.]*/s", text) and re.search(r"\nimap +1 ", text.replace("\r", "")) and
                re.search(r"commits +[0-9.]+/s +mean +[0-9.]+ [um]?s +99 % within", text))
    view.read(shows_traffic)
    os.kill(view.process.pid, signal.SIGINT)
    view.end(0)
    imap.logout()


def check_resize(site):
    """A frame is never larger than the screen, also after that has changed."""
    view = Terminal(site, "--interval", "3600", rows=12, columns=40)
    view.read(lambda text: HOME in text and text.count("\n") >= 11)
    first = view.frames()[0].split("\r\n")
    need(len(first) <= 12 and max(map(len, first)) <= 40, first)
    view.size(30, 100)
    view.read(lambda text: text.count(HOME) >= 2 and view.frames()[-1].count("\n") >= 20)  # at once, not in an hour
    last = view.frames()[-1].split("\r\n")
    need(len(last) > 12 and max(map(len, last)) > 40, last)
    os.kill(view.process.pid, signal.SIGTERM)
    view.end(0)


def check_count(site):
    view = Terminal(site, "--count", "2", "--interval", "0.2")
    same("frames", view.end(0).count(HOME), 2)


def check_gone(binary):
    """The server goes away: the terminal is given back, then the reason is said."""
    with running(binary) as site:
        view = Terminal(site, "--interval", "0.2")
        view.read(lambda text: text.count(HOME) >= 2)
        site.stop()
        text = view.end(69)
        need("the server has gone" in text[text.index(END):], repr(text[-500:]))
        expect(site.command("stats"), 69, "does not run")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    with running(binary) as site:
        tap.run("stats for scripts", check_once, site)
        tap.run("frames without a terminal", check_plain, site)
        tap.run("the view", check_view, site)
        tap.run("another size", check_resize, site)
        tap.run("so many frames", check_count, site)
    tap.run("the server goes away", check_gone, binary)
    return tap.end()


sys.exit(main())
