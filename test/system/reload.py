#!/usr/bin/env python3
"""Reload: a bad file changes nothing and names all its mistakes; with a good one new sessions see it and old ones go on; listeners come
and go without a connection lost; many reloads under load lose nothing and leak nothing.

usage: reload.py BINARY [--rounds N]
"""
import argparse
import imaplib
import os
import pathlib
import signal
import smtplib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, PASSWORD, free_port_base, list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap  # noqa: E402


def want(condition, what):
    if not condition:
        raise RuntimeError(what)


class Config:
    """The file of a site, with changes; the original is kept."""

    def __init__(self, site):
        self.site = site
        self.text = site.config.read_text()

    def write(self, *changes, more=""):
        text = self.text
        for old, new in changes:
            want(old in text, f"{old!r} is not in the file")
            text = text.replace(old, new)
        self.site.config.write_text(text + more)

    def reload(self, code=0):
        done = self.site.command("reload")
        want(done.returncode == code, f"reload: {done.returncode}, {done.stdout}{done.stderr}")
        return done.stdout + done.stderr


def size_limit(site):
    with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=20) as client:
        client.ehlo()
        return int(client.esmtp_features["size"])


def events(site, name):
    return [line for line in site.log.read_text().splitlines() if f"event={name} " in line + " "]


def bad_file(binary):
    """Also: mistakes of the file, of TLS and of listeners; the server goes on with what it has."""
    with running(binary) as site, socket.socket() as taken:
        config = Config(site)
        before = size_limit(site)
        config.write(more="smtp: {message_size_max: 2 MiB, nonsense: 1}\nimap: {append_max: lots}\nfoo: bar\n")
        text = config.reload(78)
        for part in ("nonsense", "append_max", "foo", "3 errors, nothing was changed"):
            want(part in text, f"{part!r} is not told: {text}")
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config.write(("certificate: tls/cert.pem", "certificate: tls/none.pem"), (f"127.0.0.1:{site.base + 24}", f"127.0.0.1:{port}"),
                     more="smtp: {message_size_max: 2 MiB}\n")
        text = config.reload(78)
        for part in ("none.pem", str(port)):
            want(part in text, f"{part!r} is not told: {text}")
        want(size_limit(site) == before, "a bad file changed something")
        site.lmtp().quit()
        want(wait_for(lambda: len(events(site, "server.reload_failed")) == 2, 10), "server.reload_failed is not in the log")
        site.config.write_text(config.text)
        want("0 changed" in config.reload(), "the old file is not what runs")


def new_and_old(binary):
    """smtp, imap and the name: old sessions keep what they began with."""
    with running(binary) as site:
        config = Config(site)
        old_smtp = smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=20)
        old_smtp.ehlo()
        old_imap = site.imap("anna")
        config.write(("hostname: mail.example.org", "hostname: mx9.example.org"),
                     more="smtp: {message_size_max: 2 MiB}\nimap: {append_max: 2 MiB, search_threads: 3}\n")
        diff = site.command("config", "diff").stdout
        for part in ("server.hostname: mail.example.org -> mx9.example.org\n", "smtp.message_size_max: 64MiB -> 2MiB\n", "imap.search_threads: 2 -> 3 (restart)\n"):
            want(part in diff, f"config diff: {part!r} is not in {diff}")
        want(size_limit(site) != 2 << 20, "config diff has changed something")
        text = config.reload()
        want("of them need a restart" in text and "search_threads: 2 -> 3 (restart)" in text, text)
        want(size_limit(site) == 2 << 20, "new sessions have the old limit")
        with smtplib.SMTP(local_hostname=CLIENT_NAME, timeout=20) as client:
            want(b"mx9.example.org" in client.connect("127.0.0.1", site.base + 25)[1], "the old name greets")
        new_imap = site.imap("anna")
        want("APPENDLIMIT=2097152" in new_imap.capabilities or "APPENDLIMIT=2097152" in str(new_imap.capability()), "imap: old limit")
        want("APPENDLIMIT=2097152" not in str(old_imap.capability()), "an old IMAP session has the new limit")
        old_smtp.ehlo()
        want(int(old_smtp.esmtp_features["size"]) != 2 << 20, "an old SMTP session has the new limit")
        want(b"mail.example.org" in old_smtp.ehlo_resp, "an old SMTP session has the new name")
        want(old_imap.noop()[0] == "OK" and old_smtp.noop()[0] == 250, "an old session is gone")
        want("1 changed, 1 of them need a restart" in config.reload(), "what needs a restart is told again")
        want("search_threads" in site.command("config", "diff").stdout, "config diff forgets what needs a restart")
        want(wait_for(lambda: events(site, "server.reload_restart"), 10), "no event names what needs a restart")
        for client in (new_imap, old_imap):
            client.logout()
        old_smtp.quit()


def by_signal(binary):
    with running(binary) as site:
        config = Config(site)
        config.write(more="smtp: {message_size_max: 3 MiB}\n")
        os.kill(site.process.pid, signal.SIGHUP)
        want(wait_for(lambda: size_limit(site) == 3 << 20, 20), "SIGHUP has no effect")
        config.write(more="foo: bar\n")
        os.kill(site.process.pid, signal.SIGHUP)
        want(wait_for(lambda: events(site, "server.reload_failed"), 20), "a bad file is not told of")
        want(size_limit(site) == 3 << 20, "a bad file changed something")


def listeners(binary):
    """Added, removed, given to another service, another protocol under the same name: sessions go on."""
    with running(binary) as site:
        config, base = Config(site), free_port_base()
        old = site.imap("anna")
        lmtp = site.lmtp()
        old_text = f"imap:\n      listen: [127.0.0.1:{site.base + 143}]"
        config.write((old_text, f"imap:\n      listen: [127.0.0.1:{base + 143}]"),
                     (f"lmtp:\n      listen: [127.0.0.1:{site.base + 24}]\n      protocol: lmtp",
                      f"other:\n      listen: [127.0.0.1:{site.base + 24}, 127.0.0.1:{base + 25}]\n      protocol: smtp"))
        config.reload()
        want(old.noop()[0] == "OK", "a session of a listener that moved is gone")
        want(lmtp.noop()[0] == 250, "a session of a service that is gone is gone")
        for port, what in ((base + 143, b"OK"), (base + 25, b"ESMTP"), (site.base + 24, b"ESMTP")):
            with socket.create_connection(("127.0.0.1", port), 20) as s:
                want(what in s.recv(400), f"port {port} does not answer")
        try:
            socket.create_connection(("127.0.0.1", site.base + 143), 5).close()
            raise RuntimeError("an address that is not configured any more is open")
        except ConnectionRefusedError:
            pass
        want(wait_for(lambda: events(site, "dispatch.not_listening"), 10), "no event tells of the closed address")
        lmtp.quit()
        site.config.write_text(config.text)
        config.reload()
        site.lmtp().quit()
        want(old.noop()[0] == "OK", "the old session is gone")
        old.logout()
        want(wait_for(lambda: "removed" not in site.command("dispatcher", "status").stdout, 20), "a service that is gone stays")


def channel_limits(binary):
    with running(binary) as site:
        config = Config(site)
        config.write(("job_limit: 2", "job_limit: 5"), ("pool: STORE", "pool: STORE\n    maxjobs: 3\n    backoff: 10s"))
        text = config.reload()
        for part in ("STORE.job_limit: 2 -> 5", "maxjobs: 100 -> 3", "backoff"):
            want(part in text, f"{part!r} is not in {text}")
        want("(restart)" not in text, text)
        with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=20) as client:
            client.sendmail("a@example.net", ["anna@example.org"], message("after"))
        inbox = site.imap("anna")
        want(wait_for(lambda: int(inbox.select("INBOX")[1][0]) == 1, 20), "nothing is delivered after a change of limits")


class Load:
    """Deliveries and sessions beside reloads; each connection lives over several of them."""

    def __init__(self, site):
        self.site, self.sent, self.errors, self.stop = site, [], [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(f, i)) for i, f in enumerate((self.lmtp, self.smtp, self.imap))]
        for t in self.threads:
            t.start()

    def run(self, what, number):
        try:
            what(number)
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, RuntimeError) as e:
            self.errors.append(f"{what.__name__}: {e!r}")

    def mail(self, connect, tag):
        n = 0
        while not self.stop.is_set():
            client = connect()
            for _ in range(20):
                n += 1
                client.sendmail("load@example.net", ["anna@example.org"], message(f"{tag}{n}"))
                self.sent.append(f"{tag}{n}")
                time.sleep(0.002)
            client.quit()

    def lmtp(self, number):
        self.mail(self.site.lmtp, "l")

    def smtp(self, number):
        self.mail(lambda: smtplib.SMTP("127.0.0.1", self.site.base + 25, CLIENT_NAME, timeout=60), "s")

    def imap(self, number):
        while not self.stop.is_set():
            client = self.site.imap("bert", timeout=60)
            for _ in range(20):
                want(client.noop()[0] == "OK", "NOOP")
                client.select("INBOX")
                time.sleep(0.005)
            client.logout()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(120)
        want(not any(t.is_alive() for t in self.threads), "a client hangs")


def anonymous_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss_Anon:"))


def under_load(binary, rounds):
    """Half of the files differ, so that limits, listeners and certificates are exchanged; one in ten is wrong."""
    with running(binary) as site:
        config, base = Config(site), free_port_base()
        extra = f"imap:\n      listen: [127.0.0.1:{site.base + 143}, 127.0.0.1:{base + 143}]"
        plain = f"imap:\n      listen: [127.0.0.1:{site.base + 143}]"
        kept = [site.imap("anna") for _ in range(20)]
        load = Load(site)
        marks = []
        for n in range(rounds):
            if n % 10 == 9:
                config.write(more="foo: bar\n")
                config.reload(78)
                continue
            if n % 2:
                config.write((plain, extra), more=f"smtp: {{message_size_max: {10 + n % 7} MiB}}\nimap: {{append_max: 9 MiB}}\n")
            else:
                config.write()
            config.reload()
            if n in (rounds // 2, rounds - 2):
                marks.append((anonymous_kib(site.process.pid), len(os.listdir(f"/proc/{site.process.pid}/fd"))))
        load.end()
        want(not load.errors, f"connections broke: {load.errors[:3]}")
        for client in kept:
            want(client.noop()[0] == "OK", "an old session is gone")
            client.logout()
        inbox = site.imap("anna")
        want(wait_for(lambda: int(inbox.select("INBOX")[1][0]) >= len(load.sent), 60), "mail is missing")
        ids = [row[1] for row in list_mailbox(inbox)[0]]
        want(sorted(ids) == sorted(load.sent), f"{len(load.sent)} sent, {len(ids)} there")
        (kib, fds), (kib_end, fds_end) = marks
        keeps_freed = b"__asan_init" in pathlib.Path(binary).read_bytes()  # then the end of the process tells of leaks
        want(keeps_freed or kib_end - kib < 16384, f"memory grew: {kib} KiB, then {kib_end} KiB")
        want(abs(fds_end - fds) < 40, f"descriptors: {fds}, then {fds_end}")
        inbox.logout()
        want(site.stop() == 0, "the server does not stop")
        print(f"# {rounds} reloads, {len(load.sent)} messages, {kib} then {kib_end} KiB, {fds} then {fds_end} descriptors")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("binary")
    args.add_argument("--rounds", type=int, default=50)
    args = args.parse_args()
    tap = Tap()
    tap.run("a bad file changes nothing and names all its mistakes", bad_file, args.binary)
    tap.run("new sessions see the new file, old ones go on", new_and_old, args.binary)
    tap.run("SIGHUP", by_signal, args.binary)
    tap.run("listeners come, go and move", listeners, args.binary)
    tap.run("limits of channels and pools", channel_limits, args.binary)
    tap.run(f"{args.rounds} reloads under load", under_load, args.binary, args.rounds)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
