#!/usr/bin/env python3
"""Monitoring: /metrics, /healthz, /readyz of a running server with traffic.

usage: watch.py BINARY SHIM
"""
import errno
import http.client
import imaplib
import json
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import promtext  # noqa: E402
import shmem  # noqa: E402
from msite import Site, message, running, wait_for  # noqa: E402
from tap import Tap, expect, need, same  # noqa: E402


def get(site, path, method="GET"):
    client = http.client.HTTPConnection("127.0.0.1", site.base + 470, timeout=30)
    try:
        client.request(method, path)
        answer = client.getresponse()
        return answer.status, answer.read().decode(), answer
    finally:
        client.close()


def page(site):
    status, text, answer = get(site, "/metrics")
    same("status", status, 200)
    same("type", answer.getheader("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
    return promtext.Page(text)


def check_reader():
    promtext.self_check()


def traffic(site):
    """2 messages by LMTP, one recipient refused, one message by submission, one login."""
    with site.lmtp() as client:
        client.sendmail("a@example.net", ["anna@example.org"], message("one"))
        client.sendmail("a@example.net", ["bert@example.org"], message("two"))
        client.mail("a@example.net")
        need(client.rcpt("nobody@example.org")[0] == 550, "nobody is refused")
        client.rset()
    with site.submission("anna") as client:
        client.sendmail("anna@example.org", ["bert@example.org"], message("three", "anna@example.org"))
    imap = site.imap("bert")
    need(wait_for(lambda: imap.select("INBOX")[1][0] == b"2"), "both are there")
    imap.fetch("1:*", "(FLAGS)")
    return imap


def check_metrics(site):
    before = page(site)
    imap = traffic(site)
    after = page(site)

    def rose(name, by, **labels):
        same(f"{name}{labels}", after.total(name, **labels) - before.total(name, **labels), by)

    rose("smtpd_messages_total", 3)
    rose("smtpd_recipients_refused_total", 1)
    rose("smtpd_commands_rcpt_total", 4)
    rose("auth_logins_total", 2)
    rose("auth_total", 2, result="ok")
    rose("imap_command_fetch_total", 1)
    rose("smtp_commands_total", 4, verb="RCPT")
    rose("smtp_commands_total", 1, verb="RCPT", code="5xx")
    rose("smtp_commands_total", 3, verb="DATA", code="3xx")
    rose("smtp_rejections_total", 1, stage="rcpt", reason="5.1")
    rose("messages_received_total", 2, channel="lmtp")
    rose("messages_received_total", 1, channel="submission")
    rose("message_size_bytes_count", 3)
    rose("smtp_sessions_total", 1, service="lmtp")
    rose("imap_command_seconds_count", 1, cmd="FETCH")
    rose("deliveries_total", 1, channel="store", status="sent")
    rose("delivery_seconds_count", 1, phase="queue")
    need(after.get("store_commit_seconds_count", partition="primary") > 0, "commits")
    need(after.get("store_fsync_seconds_count", partition="primary") > 0, "flushes")
    need(after.get("store_fsync_seconds_sum", partition="primary") > 0, "time of flushes")
    same("selected", after.get("imap_sessions", state="selected"), 1)
    need(after.get("deliveries_sent_total") > before.get("deliveries_sent_total"), "deliveries")
    same("connections", after.get("imap_connections", service="imap"), 1)
    same("build", after.total("build_info"), 1)
    need(time.time() - 600 < after.get("process_start_time_seconds") <= time.time(), "start")
    need(after.get("memory_bytes", pool="resident") > 1 << 20, "memory")
    facts = wait_for(lambda: (lambda p: p.get("store_messages_stored", partition="primary") == 3 and p)(page(site)), 30, 0.2)
    need(facts, "three bodies are stored")
    same("jobs", [after.get(name, channel="store") for name in ("channel_stopped", "channel_incomplete")], [0, 0])
    need(after.get("pool_job_limit", pool="STORE") > 0 and after.get("channel_maxjobs", channel="store") > 0, "limits")
    for kind in ("log", "index", "index_free"):
        need(facts.get("store_bytes", partition="primary", kind=kind) is not None, kind)
    need(facts.get("lmdb_free_pages", partition="primary") is not None, "free pages")
    same("queue", facts.total("queue_messages"), 0)
    for loop in ("control", "loop1"):
        need(facts.get("loop_lag_seconds_count", loop=loop) > 0, loop)
    ends = [value for (name, _), value in facts.samples.items() if name == "mailserverd_cert_not_after_seconds"]
    need(len(ends) == 1 and ends[0] > time.time() + 86400, ends)
    imap.logout()
    need(wait_for(lambda: page(site).get("imap_connections", service="imap") == 0), "the connection is gone")
    same("no session", page(site).total("imap_sessions"), 0)
    return f"{len(after.samples)} series"


def check_queue(site):
    """Entries that wait are counted by channel and state."""
    done = site.command("user", "set", "bert", "--mail-status", "hold")
    need(done.returncode == 0, done.stderr)
    with site.submission("anna") as client:
        for i in range(3):
            client.sendmail("anna@example.org", ["bert@example.org"], message(f"held{i}", "anna@example.org"))

    def counted():
        p = page(site)
        return p.get("queue_messages", channel="store", state="held") == 3 and p
    p = wait_for(counted, 60, 0.2)
    need(p, page(site).samples)
    need(0 <= p.get("queue_oldest_seconds", channel="store") < 600, "age")
    same("the job controller has none of them", (p.total("channel_entries"), p.get("channel_oldest_seconds", channel="store")), (0, 0))
    need(0 <= p.get("queue_scanned_seconds") < 600, "age of the count")


def known_events(site):
    """{event: (level, keys)} as the program itself lists them."""
    text = expect(site.command("log", "man"), 0).stdout
    rows = re.findall(r"^\.It Li (\S+) Pq (\w+)\n(.*?)(?=^\.(?:It|El))", text, re.M | re.S)
    found = {}
    for name, level, rest in rows:
        keys = re.search(r"^Keys: (.*)\.$", rest, re.M)
        found[name] = (level, keys[1].split() if keys else [])
    need(len(found) == text.count(".It Li "), "every row is understood")
    return found


ORDER = ["trace", "qid", "svc", "peer", "user", "from", "to", "size"]


def check_rows(site):
    """The keys every row declares: those that all share come first, in one order."""
    for name, (_, keys) in known_events(site).items():
        shared = [key for key in keys if key in ORDER]
        same(f"{name}: {keys}", keys[:len(shared)], sorted(shared, key=ORDER.index))
        same(f"{name}: twice", len(set(keys)), len(keys))


def logfmt(line):
    """One line in logfmt, read by its own rules."""
    pairs, at = [], 0
    one = re.compile(r'([a-z_]+)=(?:"((?:[^"\\]|\\(?:["\\]|x[0-9a-f]{2}))*)"|([^\s"=]+))(?: |$)')
    while at < len(line):
        m = one.match(line, at)
        need(m, f"at {at}: {line!r}")
        pairs.append((m[1], m[2] if m[2] is not None else m[3]))
        at = m.end()
    return pairs


def check_lines(site, lines, events):
    seen = set()
    for pairs in lines:
        keys = [key for key, _ in pairs]
        need(len(set(keys)) == len(keys), f"a key twice: {pairs}")
        same("front", keys[:3], ["ts", "level", "event"])
        values = dict(pairs)
        need(values["event"] in events, f"unknown event: {pairs}")
        level, declared = events[values["event"]]
        same(f"level of {pairs}", values["level"], level)
        rest = [key for key in keys[3:] if key != "cut"]
        if rest[:1] == ["trace"] and "trace" not in declared:
            rest = rest[1:]
        want = [key for key in declared if key in rest]
        same(f"keys of {values['event']}", rest, want)
        seen.add(values["event"])
    return seen


def check_log(binary, form):
    """effect: log.format. Every line of a run with every kind of traffic is well formed, with the keys its row declares, in order."""
    with running(binary, sets=[f"log.format={form}", "log.level=debug"]) as site:
        events = known_events(site)
        check_rows(site)
        traffic(site).logout()
        client = http.client.HTTPConnection("127.0.0.1", site.base + 143, timeout=30)  # not at all IMAP
        try:
            client.request("GET", "/" + "x" * 3000)
            client.getresponse()
        except (http.client.HTTPException, OSError):
            pass
        client.close()
        imap = imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=60)
        try:
            imap.login("strange=user", "wrong")
        except imaplib.IMAP4.error:
            pass
        expect(site.command("session", "kick", "--user", "nobody"), 0)
        try:
            imap.shutdown()
        except OSError:
            pass
        with site.submission("anna") as smtp:
            need(smtp.mail("bert@example.org")[0] == 553, "another's address")
        same("exit", site.stop(), 0)
        text = site.log.read_text().splitlines()
    text = [line for line in text if line.startswith("{" if form == "json" else "ts=")]
    need(len(text) > 40, f"{len(text)} lines")
    if form == "json":
        lines = [json.loads(line, object_pairs_hook=list) for line in text]
        need(all(isinstance(value, (str, int, bool)) for pairs in lines for _, value in pairs), "plain values")
    else:
        lines = [logfmt(line) for line in text]
    seen = check_lines(site, lines, events)
    need({"server.ready", "smtpd.tx_finished", "delivery.sent", "auth.login", "auth.failed", "smtpd.sender_refused"} <= seen, seen)
    return f"{len(lines)} lines of {len(seen)} events"


def check_http(site):
    same("HEAD", get(site, "/metrics", "HEAD")[1], "")
    same("nothing there", get(site, "/x")[0], 404)
    same("POST", get(site, "/metrics", "POST")[0], 405)
    same("health", get(site, "/healthz")[:2], (200, "ok\n"))
    same("ready", get(site, "/readyz")[:2], (200, "ok\n"))
    with socket.create_connection(("127.0.0.1", site.base + 470)) as s:
        s.settimeout(30)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 20 + b"GET / HTTP/1.1\nHost: h\n\n")
        text = b""
        while True:
            piece = s.recv(65536)
            if not piece:
                break
            text += piece
        same("pipelined", text.count(b"HTTP/1.1 200 OK"), 20)
        same("the mistake", text.count(b"HTTP/1.1 400 "), 1)


def check_public(binary):
    """effect: admin.metrics_listen. init writes an address of this machine only; none switches it off."""
    with running(binary, sets=["admin.metrics_listen=none"]) as site:
        need("metrics_listen: none" in site.config.read_text(), "the file")
        try:
            get(site, "/healthz")
            raise RuntimeError("something listens")
        except ConnectionRefusedError:
            pass
    with running(binary, start=False) as site:
        need(f"metrics_listen: 127.0.0.1:{site.base + 470}" in site.config.read_text().replace('"', ""), site.config.read_text())
        text = site.config.read_text()
        site.config.write_text(text.replace(f"127.0.0.1:{site.base + 470}", "nonsense"))
        expect(site.command("config", "check"), 78, "not an address with a port .admin.metrics_listen;")


def check_taken(binary):
    """An address that somebody else has does not keep the server from its work."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with running(binary, sets=[f"admin.metrics_listen=127.0.0.1:{s.getsockname()[1]}"]) as site:
            need(wait_for(lambda: "event=server.no_metrics" in site.log.read_text(), 20), site.tail())
            site.imap("anna").logout()


def check_drain(binary):
    """From the first word of a stop on, /readyz says no; the process is healthy meanwhile."""
    with running(binary, sets=["server.stop_timeout=60s"]) as site:
        client = site.lmtp()  # in the middle of its data: the stop waits for it
        client.ehlo("client.example.net")
        client.mail("a@example.net")
        client.rcpt("anna@example.org")
        client.docmd("DATA")
        client.send(b"Subject: slow\r\n")
        os.kill(site.process.pid, signal.SIGTERM)
        need(wait_for(lambda: get(site, "/readyz")[:2] == (503, "stopping\n"), 20), get(site, "/readyz")[:2])
        same("health", get(site, "/healthz")[:2], (200, "ok\n"))
        client.send(b"\r\n.\r\n")
        same("the message", client.getreply()[0], 250)
        same("goodbye", client.getreply()[0], 421)
        client.close()
        same("exit", site.wait(), 0)


def check_store(binary, shim):
    """The log cannot be flushed: the partition stops serving, and /readyz says so; the process is healthy."""
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        site = Site(pathlib.Path(work) / "site", binary).init()
        shm = shmem.Shm(pathlib.Path(work) / "shm")
        site.start(shm.env(shim, site.folder))
        try:
            same("before", get(site, "/readyz")[:2], (200, "ok\n"))
            shm.arm(shmem.SYNC, errno.EIO, "journal")
            client = site.lmtp()
            client.ehlo("client.example.net")
            client.mail("a@example.net")
            client.rcpt("anna@example.org")
            client.docmd("DATA")
            client.send(message("x") + b".\r\n")
            need(wait_for(lambda: get(site, "/readyz")[0] == 503, 60, 0.1), site.tail())
            same("why", get(site, "/readyz")[1], "partition primary does not serve\n")
            same("health", get(site, "/healthz")[:2], (200, "ok\n"))
            client.close()
        finally:
            site.kill()


def check_stalled(binary):
    """A process that does nothing does not answer; when it goes on it does."""
    with running(binary) as site:
        os.kill(site.process.pid, signal.SIGSTOP)
        try:
            with socket.create_connection(("127.0.0.1", site.base + 470)) as s:
                s.settimeout(1)
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                try:
                    raise RuntimeError(s.recv(100))
                except socket.timeout:
                    pass
        finally:
            os.kill(site.process.pid, signal.SIGCONT)
        need(wait_for(lambda: get(site, "/healthz")[:2] == (200, "ok\n"), 30), "it answers again")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    tap.run("the reader of metrics refuses what is wrong", check_reader)
    with running(binary) as site:
        tap.run("counters rise with traffic, gauges are there", check_metrics, site)
        tap.run("entries of the queue are counted", check_queue, site)
        tap.run("the HTTP server is strict", check_http, site)
    for form in ("json", "logfmt"):
        tap.run(f"every line of the log, {form}", check_log, binary, form)
    tap.run("metrics are never public by default, and can be switched off", check_public, binary)
    tap.run("an address that is taken does no harm", check_taken, binary)
    tap.run("readiness ends with the stop, health does not", check_drain, binary)
    tap.run("readiness ends with the store", check_store, binary, pathlib.Path(sys.argv[2]).resolve())
    tap.run("a stopped process does not answer", check_stalled, binary)
    return tap.end()


sys.exit(main())
