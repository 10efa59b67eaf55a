#!/usr/bin/env python3
"""Options of the process, the log, TLS, logging in, the directory and routing: each shows its effect on the running server.

usage: options.py BINARY
"""
import imaplib
import json
import pathlib
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, message, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402


def first_line(port, timeout=20):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s, s.makefile("rb") as f:
        return f.readline().decode()


def threads_named(site, name):
    folder = pathlib.Path(f"/proc/{site.process.pid}/task")
    return sum((t / "comm").read_text().strip().startswith(name) for t in folder.iterdir())


def deliver(site, user="anna", test_id="m"):
    with site.lmtp() as client:
        client.sendmail("a@example.net", [f"{user}@example.org"], message(test_id))


def check_server(binary):
    sets = ("server.hostname=mx7.example.net", "server.loops=3", "server.work_threads=5", "server.run_dir=other/place",
            "imap.search_threads=3")
    with running(binary, sets, start=False) as site:
        (site.folder / "other").mkdir(exist_ok=True)
        site.start()
        # effect: server.hostname
        for port in (25, 24, 587):
            need(first_line(site.base + port).split()[1] == "mx7.example.net", "hostname in the greeting")
        deliver(site)
        client = site.imap("anna")
        client.select("INBOX")
        need(b"by mx7.example.net" in client.fetch("1", "(BODY.PEEK[HEADER])")[1][0][1], "hostname in Received")
        # effect: server.loops
        need("loops=3" in site.ready_line and threads_named(site, "loop") == 3, f"loops: {site.ready_line}")
        # effect: server.work_threads
        need(threads_named(site, "reader") == 5, "work threads")
        # effect: imap.search_threads
        need(threads_named(site, "search") == 3, "search threads")
        # effect: server.run_dir
        need(int((site.folder / "other/place/mailserverd.pid").read_text()) == site.process.pid, "pid file in run_dir")
        need((site.folder / "other/place/admin.sock").is_socket(), "admin socket in run_dir")


def check_default_domain(binary):
    with running(binary, ("server.default_domain=second.example",), users=("anna",)) as site:
        # effect: server.default_domain
        listed = site.command("user", "list", "-o", "tsv").stdout
        need("anna@second.example" in listed, listed)
        imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=20).login("anna", "secret")
        imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=20).login("anna@second.example", "secret")


def seconds_to_stop(binary, limit):
    """A stop while a client is in the middle of DATA and says no more."""
    with running(binary, (f"server.stop_timeout={limit}",)) as site:
        client = site.lmtp()
        client.ehlo_or_helo_if_needed()
        for line in ("MAIL FROM:<a@example.net>", "RCPT TO:<anna@example.org>", "DATA"):
            client.docmd(line)
        client.send(b"Subject: half\r\n\r\nhalf a")
        begun = time.monotonic()
        site.process.terminate()
        need(site.wait(20) == 0, "exit status")
        return time.monotonic() - begun


def check_stop_timeout(binary):
    # effect: server.stop_timeout
    short, longer = seconds_to_stop(binary, "0s"), seconds_to_stop(binary, "2s")
    need(short < 1 and 1.9 < longer < 4, f"stopped after {short:.2f} s and {longer:.2f} s")
    return f"{short:.2f} s, {longer:.2f} s"


def log_of(binary, *sets):
    with running(binary, sets) as site:
        deliver(site)
        try:
            site.imap("anna").login("anna", "wrong")
        except imaplib.IMAP4.error:
            pass
        site.stop()
        return site.log.read_text().splitlines()


def check_log(binary):
    info, debug, error = log_of(binary), log_of(binary, "log.level=debug"), log_of(binary, "log.level=error")
    # effect: log.level
    need(not error, f"lines at error: {error}")
    need(any("smtpd.tx_finished" in line for line in info), "no line of the delivery at info")
    need(not any("smtpd.state" in line for line in info) and any("smtpd.state" in line for line in debug), "debug lines")
    # effect: log.format
    rows = [json.loads(line) for line in log_of(binary, "log.format=json")]
    need(rows and any("smtpd.tx_finished" in row.values() for row in rows), f"json: {rows[:2]}")
    need(all(re.search(r"(^| )event=[\w.]+", line) for line in info), f"logfmt: {info[:2]}")


def make_certificate(folder, name):
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem")],
                   check=True, capture_output=True)
    return folder / "c.pem"


def check_tls(binary):
    with tempfile.TemporaryDirectory(prefix="cert-") as work:
        cert = make_certificate(pathlib.Path(work) / "own", "mail.other.example")
        sets = (f"tls.certificate={cert}", f"tls.key={cert.parent / 'k.pem'}")
        with running(binary, sets) as site:
            # effect: tls.certificate
            served = ssl.get_server_certificate(("127.0.0.1", site.base + 993))
            need(ssl.PEM_cert_to_DER_cert(served) == ssl.PEM_cert_to_DER_cert(cert.read_text()), "certificate of imaps")
            # effect: tls.key  (the handshake is signed with it; verified against the certificate and its name)
            context = ssl.create_default_context(cafile=str(cert))
            with socket.create_connection(("127.0.0.1", site.base + 465), timeout=20) as raw:
                with context.wrap_socket(raw, server_hostname="mail.other.example") as s:
                    need(s.version() in ("TLSv1.2", "TLSv1.3"), s.version())
            client = smtplib.SMTP("127.0.0.1", site.base + 587, CLIENT_NAME, timeout=20)
            client._host = "mail.other.example"
            client.starttls(context=context)
            client.login("anna@example.org", "secret")
        other = make_certificate(pathlib.Path(work) / "other", "x.example")
        with running(binary, start=False) as site:
            text = site.config.read_text()
            site.config.write_text(text.replace("tls/key.pem", str(other.parent / "k.pem")))
            done = site.command("serve")
            need(done.returncode == 78 and "key" in done.stderr, f"a key of another certificate: {done}")


def check_allow_plaintext(binary):
    plain = "AUTH PLAIN AGFubmEAc2VjcmV0"
    with running(binary, plaintext=False) as site:
        # effect: auth.allow_plaintext
        client = imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=20)
        need("LOGINDISABLED" in client.capabilities and "AUTH=PLAIN" not in client.capabilities, client.capabilities)
        try:
            client.login("anna", "secret")
            raise RuntimeError("LOGIN worked without TLS")
        except imaplib.IMAP4.error:
            pass
        client.starttls(ssl_context=ssl._create_unverified_context())
        need("LOGINDISABLED" not in client.capability()[1][0].decode(), "LOGINDISABLED under TLS")
        client.login("anna", "secret")
        client = smtplib.SMTP("127.0.0.1", site.base + 587, CLIENT_NAME, timeout=20)
        need(b"AUTH" not in client.ehlo()[1], "AUTH is offered without TLS")
        need(client.docmd(plain)[0] == 538, "AUTH without TLS")
        client.starttls()
        need(b"AUTH PLAIN" in client.ehlo()[1] and client.docmd(plain)[0] == 235, "AUTH under TLS")
    with running(binary) as site:
        client = imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=20)
        need("LOGINDISABLED" not in client.capabilities, client.capabilities)
        client = smtplib.SMTP("127.0.0.1", site.base + 587, CLIENT_NAME, timeout=20)
        client.ehlo()
        need(client.docmd(plain)[0] == 235, "AUTH")


def login_cpu(site):
    """CPU seconds the server spends on a login."""
    def used():
        fields = pathlib.Path(f"/proc/{site.process.pid}/schedstat").read_text()
        tasks = pathlib.Path(f"/proc/{site.process.pid}/task").iterdir()
        return fields and sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9
    before = used()
    site.imap("anna").logout()
    return used() - before


def check_directory(binary):
    sets = ("directory.path=directory/all.mdb", "directory.hash_threads=3", "directory.proven_time=1h")
    with running(binary, sets, start=False) as site:
        # effect: directory.path
        need((site.folder / "directory/all.mdb").stat().st_size > 0, "the directory's file")
        need(not (site.folder / "directory/directory.mdb").exists(), "a second directory")
        site.start()
        few = threads_named(site, "")
        first = login_cpu(site)
        again = min(login_cpu(site) for _ in range(3))
        # effect: directory.proven_time
        need(again < first / 3, f"proven login: {first * 1000:.1f} ms, then {again * 1000:.1f} ms")
        few = max(few, threads_named(site, ""))
    with running(binary, ("directory.hash_threads=9", "directory.proven_time=0s")) as site:
        each = [login_cpu(site) for _ in range(4)]
        need(min(each) > max(each) / 5 and min(each) > again * 2, f"without proven_time: {each}")
        # effect: directory.hash_threads
        need(threads_named(site, "") == few + 6, f"{threads_named(site, '')} threads with 9, {few} with 3")
    return f"{first * 1000:.1f} ms, then {again * 1000:.1f} ms"


def check_route(binary):
    sets = ("route.postmaster=bert@example.org", "route.local_channel=second", "channels.second.driver=store",
            "channels.second.pool=OTHER", "job_controller.pools.OTHER.job_limit=1")
    with running(binary, sets) as site:
        deliver(site, "postmaster", "to-postmaster")
        client = site.imap("bert")
        # effect: route.postmaster
        need(client.select("INBOX")[1][0] == b"1", "mail to postmaster")
        need(site.imap("anna").select("INBOX")[1][0] == b"0", "anna got mail of postmaster")
        # effect: channels.*.pool
        rows = [json.loads(line) for line in site.command("jobs", "status", "channels", "-o", "json").stdout.splitlines()]
        need([row["pool"] for row in rows if row["channel"] == "second"] == ["OTHER"], f"the channel's pool: {rows}")
        with site.submission("anna") as sender:
            sender.sendmail("anna@example.org", ["bert@example.org"], message("by-channel"))
        # effect: channels.*.driver  (store: it ends in the mailbox)
        need(wait_for(lambda: client.select("INBOX")[1][0] == b"2"), "the second channel delivers")
        site.stop()
        # effect: route.local_channel
        log = [line for line in site.command("store", "dump", "--log").stdout.splitlines() if "enqueue" in line]
        need(len(log) == 1 and "second" in log[0], f"the channel of the entry: {log}")
    with running(binary, start=False) as site:
        text = site.config.read_text().replace("driver: store", "driver: pigeon")
        site.config.write_text(text)
        done = site.command("config", "check")
        need(done.returncode == 78 and "driver" in done.stderr, f"an unknown driver: {done}")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    tap.run("server", check_server, binary)
    tap.run("server.default_domain", check_default_domain, binary)
    tap.run("server.stop_timeout", check_stop_timeout, binary)
    tap.run("log", check_log, binary)
    tap.run("tls", check_tls, binary)
    tap.run("auth", check_allow_plaintext, binary)
    tap.run("directory", check_directory, binary)
    tap.run("route, channels", check_route, binary)
    return tap.end()


sys.exit(main())
