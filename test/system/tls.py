#!/usr/bin/env python3
"""TLS of the real server against OpenSSL: choice of certificates, versions, resumption, client certificates, what an attacker puts
behind STARTTLS, handshakes that never end, a storm of them, memory of idle sessions.

usage: tls.py BINARY [--sessions N]
"""
import argparse
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from tap import Tap, need, same  # noqa: E402

IMPLICIT = {"smtps": 465, "imaps": 993}
STARTTLS = {"smtp": (25, "smtp"), "submission": (587, "smtp"), "imap": (143, "imap")}


def openssl(*words, **options):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60, **options)


class Certs:
    """Certificates in a folder: NAME.pem and NAME.key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def make(self, name, kind, cn, san, ca=None):
        new = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1") if kind == "ec" else ("rsa:2048",)
        words = ["req", "-x509", "-newkey", *new, "-nodes", "-days", "30", "-subj", f"/CN={cn}", "-keyout", self.key(name), "-out",
                 self.cert(name)]
        if san:
            words += ["-addext", f"subjectAltName={san}"]
        if ca:
            words += ["-CA", self.cert(ca), "-CAkey", self.key(ca)]
        done = openssl(*words)
        need(done.returncode == 0, done.stderr)
        return self

    def cert(self, name):
        return self.folder / f"{name}.pem"

    def key(self, name):
        return self.folder / f"{name}.key"


def make_all(folder):
    c = Certs(folder)
    c.make("ec", "ec", "ec", "DNS:mail.example.org,DNS:localhost")
    c.make("rsa", "rsa", "rsa", "DNS:mail.example.org")
    c.make("wild", "ec", "wild", "DNS:*.example.net")
    c.make("www", "rsa", "www", "DNS:www.example.net")
    c.make("ca", "ec", "ca", None)
    c.make("anna", "ec", "Anna", "email:anna@example.org", "ca")
    return c


def sets_of(certs, *names, extra=()):
    rows = [f"tls.certificate={certs.cert(names[0])}", f"tls.key={certs.key(names[0])}"]
    for name in names[1:]:
        rows += [f"tls.certificates.{name}.certificate={certs.cert(name)}", f"tls.certificates.{name}.key={certs.key(name)}"]
    return (*rows, *extra)


def s_client(port, *words, starttls=None, give="", name="mail.example.org"):
    sni = ["-servername", name] if name else ["-noservername"]
    more = ["-starttls", starttls] if starttls else []
    return openssl("s_client", "-connect", f"127.0.0.1:{port}", *sni, *more, *words, input=give)


def subject(done):
    found = re.search(r"^subject=.*?CN ?= ?(\S+)", done.stdout, re.M)
    return found[1] if found else None


def version(done):
    """Of the session, whatever this openssl calls it."""
    found = re.search(r"^\s*Protocol\s*: (TLSv[\d.]+)|^New, (TLSv[\d.]+)|^Reused, (TLSv[\d.]+)", done.stdout, re.M)
    return next((g for g in found.groups() if g), None) if found else None


def speaks_13(site):
    """The library decides: mbedTLS 3.6 does, 2.28 does not."""
    return "Protocol version: TLSv1.3" in s_client(site.base + 993, "-brief").stderr


# -- certificates and versions

def check_services(site):
    n = 0
    for port in IMPLICIT.values():
        done = s_client(site.base + port)
        same(f"port {port}", subject(done), "ec")
        n += 1
    for name, (port, proto) in STARTTLS.items():
        done = s_client(site.base + port, starttls=proto)
        same(name, subject(done), "ec")
        n += 1
    return f"{n} services, {'TLS 1.3' if speaks_13(site) else 'TLS 1.2'}"


def check_choice(site):
    rows = [
        ("mail.example.org", (), "ec"),
        ("mail.example.org", ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "rsa"),
        ("mail.example.org", ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsa"),
        ("mail.example.org", ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"), "ec"),
        ("imap.example.net", (), "wild"),
        ("www.example.net", (), "www"),
        ("a.b.example.net", (), "ec"),
        ("nobody.example", (), "ec"),
        (None, (), "ec"),
        (None, ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsa"),
    ]
    for name, words, want in rows:
        for port, proto in ((993, None), (587, "smtp"), (143, "imap")):
            done = s_client(site.base + port, *words, name=name, starttls=proto)
            same(f"{name} {words} {port}", subject(done), want)
    # effect: tls.certificates.certificate, tls.certificates.key  (the handshake is signed with it)
    context = ssl.create_default_context(cafile=str(site.certs.cert("wild")))
    with socket.create_connection(("127.0.0.1", site.base + 993), timeout=20) as raw:
        with context.wrap_socket(raw, server_hostname="imap.example.net") as s:
            need(s.recv(100).startswith(b"* OK"), "greeting behind TLS")
    return f"{len(rows)} ways on 3 ports"


def check_refused(site):
    for words in (("-tls1",), ("-tls1_1",), ("-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA"),
                  ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256")):
        done = s_client(site.base + 993, *words, "-cipher", "ALL:@SECLEVEL=0") if len(words) == 1 else s_client(site.base + 993, *words)
        need("Cipher is (NONE)" in done.stdout or done.returncode != 0, f"{words}: {done.stdout}")
        need(subject(done) is None or "Cipher is (NONE)" in done.stdout, f"{words}: {done.stdout}")


def check_resumption(site):
    """Each connection goes to some loop of three: the session is good on all."""
    versions = ["-tls1_2"] + (["-tls1_3"] if speaks_13(site) else [])
    for word in versions:
        with tempfile.NamedTemporaryFile() as session:
            # the session of TLS 1.3 comes behind the handshake
            first = openssl("s_client", "-connect", f"127.0.0.1:{site.base + 993}", word, "-sess_out", session.name, "-quiet",
                            "-servername", "mail.example.org", "-ign_eof", input="a LOGOUT\r\n")
            need("BYE" in first.stdout, first.stderr)
            for _ in range(12):
                done = s_client(site.base + 993, word, "-sess_in", session.name)
                need("Reused" in done.stdout, f"{word}: {done.stdout}")
    return " and ".join(v.replace("-tls", "TLS ").replace("_", ".") for v in versions) + ", 12 connections over 3 loops each"


def check_min_version(binary, certs):
    sets = sets_of(certs, "ec", extra=("tls.min_version=1.3",))
    with running(binary, sets, start=False) as site:
        # effect: tls.min_version
        try:
            site.start()
        except RuntimeError:
            need("TLS 1.3 needs mbedTLS 3.6" in site.log.read_text(), site.tail())
            return "refused at start: this library has no TLS 1.3"
        need("Cipher is (NONE)" in s_client(site.base + 993, "-tls1_2").stdout, "TLS 1.2 is refused")
        need("TLSv1.3" in s_client(site.base + 993).stdout, "TLS 1.3")
    return "1.3 only"


def check_tickets_off(binary, certs):
    with running(binary, sets_of(certs, "ec", extra=("tls.ticket_life=none",))) as site, tempfile.NamedTemporaryFile() as session:
        # effect: tls.ticket_life
        s_client(site.base + 993, "-tls1_2", "-sess_out", session.name)
        done = s_client(site.base + 993, "-tls1_2", "-sess_in", session.name)
        need("New" in done.stdout and "Reused" not in done.stdout, done.stdout)


def check_client_certificate(binary, certs):
    sets = sets_of(certs, "ec", extra=(f"tls.client_ca={certs.cert('ca')}",))
    with running(binary, sets) as site:
        # effect: tls.client_ca
        done = s_client(site.base + 993, "-cert", certs.cert("anna"), "-key", certs.key("anna"))
        need("Requested Signature Algorithms" in done.stdout, done.stdout)
        same("with a certificate", subject(done), "ec")
        same("without", subject(s_client(site.base + 993)), "ec")
    with running(binary, sets_of(certs, "ec")) as site:
        need("Requested Signature Algorithms" not in s_client(site.base + 993).stdout, "nobody is asked without client_ca")


def check_errors(binary, certs):
    """Every wrong file is named at once."""
    sets = (f"tls.certificate={certs.cert('ec')}", f"tls.key={certs.key('rsa')}",
            f"tls.certificates.a.certificate={certs.folder / 'missing.pem'}", f"tls.certificates.a.key={certs.key('rsa')}",
            f"tls.certificates.b.certificate={certs.cert('wild')}", f"tls.certificates.b.key={certs.folder / 'none.key'}",
            f"tls.client_ca={certs.key('ca')}")
    with running(binary, sets, start=False) as site:
        done = site.command("serve")
        same("exit", done.returncode, 78)
        for what in ("rsa.key does not belong", "tls.certificates.a: certificate .*missing.pem", "tls.certificates.b: key .*none.key",
                     "tls.client_ca: .*ca.key"):
            need(re.search(what, done.stderr), f"{what}: {done.stderr}")


# -- STARTTLS

def read_until(s, what, seconds=20):
    s.settimeout(seconds)
    got = b""
    try:
        while what not in got:
            piece = s.recv(65536)
            if not piece:
                break
            got += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return got


def until_end(s, seconds=20):
    """Everything to the end; None in the last place when it does not end."""
    s.settimeout(seconds)
    got = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return got, True
            got += piece
    except ConnectionResetError:
        return got, True
    except TimeoutError:
        return got, False


INJECTIONS = [
    ("smtp", 25, [b"EHLO x\r\n"], b"STARTTLS\r\n", b"MAIL FROM:<inject@example.net>\r\n"),
    ("smtp", 25, [b"EHLO x\r\n"], b"STARTTLS\r\n", b"N"),
    ("smtp", 25, [b"EHLO x\r\n"], b"STARTTLS\r\n", b"\r\n"),
    ("submission", 587, [b"EHLO x\r\n"], b"STARTTLS\r\n", b"NOOP\r\nNOOP\r\n"),
    ("submission", 587, [b"EHLO x\r\n"], b"NOOP\r\nSTARTTLS\r\n", b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n"),
    ("imap", 143, [], b"a STARTTLS\r\n", b"b LOGIN anna secret\r\n"),
    ("imap", 143, [], b"x NOOP\r\na STARTTLS\r\n", b"b CREATE injected\r\n"),
    ("imap", 143, [], b"a STARTTLS\r\n", b"b"),
]


def inject_at_once(site, row):
    """Behind the command in the same packet: refused, the connection ends, nothing is answered."""
    name, port, before, command, behind = row
    with socket.create_connection(("127.0.0.1", site.base + port), timeout=20) as s:
        need(read_until(s, b"\n"), "greeting")
        for line in before:
            s.sendall(line)
            need(b"STARTTLS" in read_until(s, b"250 "), f"{name} offers STARTTLS")
        s.sendall(command + behind)
        got, ended = until_end(s)
        need(ended, f"{name} {behind!r}: the connection stays: {got!r}")
        need(b"injected" not in got and b"b OK" not in got and b"235" not in got, f"{name}: {got!r}")


def inject_between(site, row):
    """Behind the answer, in clear, before the handshake: no record of TLS, the connection ends."""
    name, port, before, command, behind = row
    with socket.create_connection(("127.0.0.1", site.base + port), timeout=20) as s:
        need(read_until(s, b"\n"), "greeting")
        for line in before:
            s.sendall(line)
            read_until(s, b"250 ")
        s.sendall(command)
        need(read_until(s, b"220 " if port != 143 else b"a OK"), f"{name}: STARTTLS")
        s.sendall(behind * (1 if len(behind) > 5 else 20))
        got, ended = until_end(s)
        need(ended, f"{name} {behind!r}: the connection stays: {got!r}")
        need(b"250" not in got and b"b OK" not in got and b"235" not in got, f"{name}: {got!r}")


def inject_and_shake(site, row):
    """The attacker's line, then a client that knows nothing of it: its handshake fails, so it does not go on."""
    name, port, before, command, behind = row
    with socket.create_connection(("127.0.0.1", site.base + port), timeout=20) as s:
        read_until(s, b"\n")
        for line in before:
            s.sendall(line)
            read_until(s, b"250 ")
        context = ssl._create_unverified_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="mail.example.org")
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        s.sendall(command + behind + outgoing.read())
        got, ended = until_end(s)
        need(ended, f"{name}: the connection stays")
        need(b"\x16\x03" not in got, f"{name}: the server went into the handshake: {got!r}")


def check_injection(binary, certs):
    with running(binary, sets_of(certs, "ec")) as site:
        for row in INJECTIONS:
            inject_at_once(site, row)
            inject_between(site, row)
            inject_and_shake(site, row)
        client = site.imap("anna")
        same("mailboxes", "injected" in str(client.list()), False)
        client.logout()
        log = site.log.read_text()
        need("inject@example.net" not in log and "smtpd.tx" not in log, "an injected command was executed")
    return f"{len(INJECTIONS) * 3} attempts"


def check_plain_lmtp(site):
    """LMTP is for the machine itself: STARTTLS is not offered there, and so not open to injection."""
    with socket.create_connection(("127.0.0.1", site.base + 24), timeout=20) as s:
        read_until(s, b"\n")
        s.sendall(b"LHLO x\r\n")
        need(b"STARTTLS" not in read_until(s, b"250 "), "not offered")
        s.sendall(b"STARTTLS\r\nNOOP\r\n")
        got = read_until(s, b"250 ")
        need(re.match(rb"5\d\d [^\n]*\r\n250 ", got), got)


# -- handshakes that do not end

def check_slow(binary, certs):
    with running(binary, sets_of(certs, "ec", extra=("tls.handshake_timeout=2s",))) as site:
        # effect: tls.handshake_timeout
        begun = time.monotonic()
        held = []
        for port, first in ((993, b""), (465, b"\x16"), (993, b"\x16\x03\x01\x02\x00\x01\x00")):
            s = socket.create_connection(("127.0.0.1", site.base + port), timeout=60)
            s.sendall(first)
            held.append(s)
        s = socket.create_connection(("127.0.0.1", site.base + 143), timeout=60)
        read_until(s, b"\n")
        s.sendall(b"a STARTTLS\r\n")
        read_until(s, b"a OK")
        held.append(s)
        for s in held:
            got, ended = until_end(s, 40)
            need(ended and not got, f"a handshake that is not finished: {got!r} {ended}")
            s.close()
        need(time.monotonic() - begun >= 2, "not before its time")
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 5000, b"\x16\x03\x01\xff\xff" + b"x" * 70000):
            with socket.create_connection(("127.0.0.1", site.base + 993), timeout=20) as s:
                try:
                    s.sendall(junk)
                except ConnectionError:
                    pass
                need(until_end(s, 40)[1], f"garbage {junk[:10]!r}")
        same("still there", subject(s_client(site.base + 993)), "ec")


# -- a storm

def storm(site, stop, counts, at):
    context = ssl._create_unverified_context()
    context.options |= ssl.OP_NO_TICKET
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", site.base + 993), timeout=60) as raw:
                with context.wrap_socket(raw) as s:
                    s.recv(10)
            counts[at] += 1
        except OSError:
            pass


def check_storm(binary, certs):
    """Full handshakes as fast as they go, with the most expensive kind of key; others on the same loop are answered meanwhile."""
    sets = sets_of(certs, "rsa", extra=("server.loops=1",))
    with running(binary, sets) as site:
        # effect: tls.threads
        threads = pathlib.Path(f"/proc/{site.process.pid}/task")
        need(any((t / "comm").read_text().strip().startswith("tls") for t in threads.iterdir()), "threads for handshakes")
        client = site.imap("anna")
        stop, counts = threading.Event(), [0] * 6
        workers = [threading.Thread(target=storm, args=(site, stop, counts, i)) for i in range(len(counts))]
        for w in workers:
            w.start()
        times = []
        end = time.monotonic() + 5
        while time.monotonic() < end:
            begun = time.monotonic()
            client.noop()
            times.append(time.monotonic() - begun)
            time.sleep(0.01)
        stop.set()
        for w in workers:
            w.join(60)
        times.sort()
        need(sum(counts) >= 20, f"{sum(counts)} handshakes")
        need(times[-1] < 2, f"an answer took {times[-1]:.3f} s")
        client.logout()
        return (f"{sum(counts) / 5:.0f} handshakes/s; NOOP beside them: p50 {times[len(times) // 2] * 1000:.1f} ms, "
                f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, longest {times[-1] * 1000:.0f} ms")


# -- renewal

def replace(certs, site_cert, site_key, name, key_of=None):
    """As renewals do: a new file beside the old one, then renamed."""
    for source, target in ((certs.cert(name), site_cert), (certs.key(key_of or name), site_key)):
        new = target.with_suffix(".new")
        new.write_bytes(source.read_bytes())
        new.replace(target)


def served(site):
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", site.base + 993)))


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def check_renewal(binary, work):
    certs = Certs(work)
    for name in ("old", "new"):
        certs.make(f"r-{name}", "ec", name, "DNS:mail.example.org")
    folder = pathlib.Path(work) / "live"
    folder.mkdir()
    cert, key = folder / "cert.pem", folder / "key.pem"
    replace(certs, cert, key, "r-old")
    with running(binary, (f"tls.certificate={cert}", f"tls.key={key}", "server.loops=3")) as site:
        client = site.imap("anna")
        with tempfile.NamedTemporaryFile() as session:
            s_client(site.base + 993, "-tls1_2", "-sess_out", session.name)
            same("at first", served(site), der(certs.cert("r-old")))
            replace(certs, cert, key, "r-new", key_of="r-old")  # half a pair
            need(wait_for(lambda: "event=tls.kept" in site.log.read_text(), 30), "a pair that does not match is told")
            need(re.search(r"event=tls.kept .*key.pem does not belong", site.log.read_text()), site.tail())
            same("the old one stays", served(site), der(certs.cert("r-old")))
            replace(certs, cert, key, "r-new")
            need(wait_for(lambda: served(site) == der(certs.cert("r-new")), 30), "the new one is served")
            need(wait_for(lambda: all(served(site) == der(certs.cert("r-new")) for _ in range(12)), 30), "on every loop")
            need("Reused" in s_client(site.base + 993, "-tls1_2", "-sess_in", session.name).stdout, "tickets go on")
        key.unlink()
        need(wait_for(lambda: site.log.read_text().count("event=tls.kept") >= 2, 30), "a missing file is told")
        same("still the new one", served(site), der(certs.cert("r-new")))
        same("a session of before", client.noop()[0], "OK")
        client.logout()
        same("told once each", site.log.read_text().count("event=tls.loaded"), 1)


# -- idle sessions

def rss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.M)[1]) * 1024


def idle_session(site, context):
    raw = socket.create_connection(("127.0.0.1", site.base + 993), timeout=60)
    s = context.wrap_socket(raw)
    s.settimeout(60)
    for line in (b"a LOGIN anna secret\r\n", b"b SELECT INBOX\r\n"):
        s.sendall(line)
        read_until(s, line[:1] + b" OK")
    s.sendall(b"c IDLE\r\n")
    need(b"+" in read_until(s, b"+"), "IDLE")
    return s


def check_idle_memory(binary, certs, sessions):
    sets = sets_of(certs, "ec", extra=("server.loops=1",))
    with running(binary, sets) as site:
        context = ssl._create_unverified_context()
        held = [idle_session(site, context) for _ in range(20)]
        time.sleep(1)
        before = rss(site.process.pid)
        begun = time.monotonic()
        held += [idle_session(site, context) for _ in range(sessions)]
        awake = (rss(site.process.pid) - before) / sessions
        counted = wait_for(lambda: (time.monotonic() - begun > 12 and rss(site.process.pid) - before) or None, 60, 0.5)
        time.sleep(6)
        asleep = (rss(site.process.pid) - before) / sessions
        for s in held[:5]:
            s.sendall(b"DONE\r\nd NOOP\r\n")
            need(b"d OK" in read_until(s, b"d OK"), "awake again")
        for s in held:
            s.close()
        need(counted is not None, "memory")
        need(asleep < 40 * 1024, f"{asleep:.0f} bytes an idle session")
        return f"{sessions} idle IMAP sessions over TLS: {asleep / 1024:.1f} KiB each (at first {awake / 1024:.1f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--sessions", type=int, default=100)
    o = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="tls-") as work:
        certs = make_all(work)
        with running(o.binary, sets_of(certs, "rsa", "ec", "wild", "www", extra=("server.loops=3",))) as site:
            site.certs = certs
            tap.run("every service, by command and from the first byte", check_services, site)
            tap.run("certificates by name, ECDSA before RSA", check_choice, site)
            tap.run("old versions and weak suites are refused", check_refused, site)
            tap.run("a session resumes on every loop", check_resumption, site)
            tap.run("LMTP has no STARTTLS", check_plain_lmtp, site)
        tap.run("tls.min_version", check_min_version, o.binary, certs)
        tap.run("tls.ticket_life: none", check_tickets_off, o.binary, certs)
        tap.run("client certificates are asked for with client_ca", check_client_certificate, o.binary, certs)
        tap.run("every wrong file is named", check_errors, o.binary, certs)
        tap.run("nothing behind STARTTLS is taken", check_injection, o.binary, certs)
        tap.run("handshakes that do not end", check_slow, o.binary, certs)
        tap.run("a storm of full handshakes", check_storm, o.binary, certs)
        tap.run("files that change are used at once, when they are good", check_renewal, o.binary, work)
        tap.run("memory of idle sessions", check_idle_memory, o.binary, certs, o.sessions)
    sys.exit(tap.end())


main()
