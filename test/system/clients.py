#!/usr/bin/env python3
"""Ordinary mail programs against the real server: curl, smtplib, imaplib, swaks, mutt, mbsync, fetchmail, msmtp. Each must do its
work without a warning; one that is not installed is skipped.

usage: clients.py BINARY
"""
import email
import mailbox
import os
import pathlib
import shutil
import socket
import smtplib
import imaplib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, PASSWORD, message, running, wait_for  # noqa: E402
from tap import Skip, Tap  # noqa: E402

PULLED = 200
COMPLAINTS = ("warning", "error", "fail", "invalid", "unexpected", "malformed")


class Client:
    """A program, with a home of its own."""

    def __init__(self, site, name):
        self.path = shutil.which(name)
        if not self.path:
            raise Skip(f"{name} is not installed")
        self.site = site
        self.home = site.folder.parent / f"home-{name}"
        self.home.mkdir(exist_ok=True)
        self.cert = site.folder / "tls/cert.pem"

    def run(self, *words, text=None, env=None):
        """Its output; any exit but 0 and any complaint is an error."""
        done = subprocess.run([self.path, *map(str, words)], input=text, capture_output=True, timeout=120,
                              env={**os.environ, "HOME": str(self.home), "TERM": "dumb", "LC_ALL": "C.UTF-8", **(env or {})})
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0:
            raise RuntimeError(f"{words}: exit {done.returncode}: {said[-2000:]}")
        complaints = [line for line in done.stderr.decode(errors="replace").splitlines()
                      if any(word in line.lower() for word in COMPLAINTS) and "Running as root" not in line]
        if complaints:
            raise RuntimeError(f"{words}: {complaints[:5]}")
        return said

    def file(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path


def bodies_of(site, user):
    """test id -> message, over IMAP."""
    client = site.imap(user)
    count = int(client.select("INBOX", readonly=True)[1][0])
    found = {}
    if count:
        for item in client.fetch("1:*", "(BODY.PEEK[])")[1]:
            if isinstance(item, tuple):
                found[email.message_from_bytes(item[1])["X-Test-Id"]] = item[1]
    client.logout()
    return found


def arrived(site, test_id, sent, user="bert"):
    got = wait_for(lambda: bodies_of(site, user).get(test_id), 20, 0.1)
    if not got:
        raise RuntimeError(f"{test_id} did not arrive")
    if not got.endswith(sent):
        raise RuntimeError(f"{test_id} came back different: {got!r}")


def curl(site):
    c = Client(site, "curl")
    sent = message("by-curl", "anna@example.org")
    c.file("mail", sent.decode())
    c.run("--no-progress-meter", "--ssl-reqd", "--cacert", c.cert, "--user", f"anna:{PASSWORD}", "--mail-from", "anna@example.org",
          "--mail-rcpt", "bert@example.org", "--upload-file", c.home / "mail", f"smtp://localhost:{site.base + 587}/c.example.org")
    arrived(site, "by-curl", sent)
    c.run("--no-progress-meter", "--cacert", c.cert, "--user", f"anna:{PASSWORD}", "--mail-from", "anna@example.org",
          "--mail-rcpt", "bert@example.org", "--upload-file", c.home / "mail", f"smtps://localhost:{site.base + 465}/c.example.org")
    url = f"imaps://localhost:{site.base + 993}"
    common = ("--no-progress-meter", "--cacert", c.cert, "--user", f"bert:{PASSWORD}")
    listed = c.run(*common, url + "/")
    if "INBOX" not in listed:
        raise RuntimeError(f"LIST: {listed}")
    found = c.run(*common, url + "/INBOX", "--request", "UID SEARCH SUBJECT by-curl")
    uid = found.split("SEARCH")[1].split()[0]
    text = c.run(*common, f"{url}/INBOX;UID={uid}")
    if "X-Test-Id: by-curl" not in text:
        raise RuntimeError(f"FETCH: {text}")
    flags = c.run(*common, url + "/INBOX", "--request", f"UID STORE {uid} +FLAGS (\\Flagged)")
    if "\\Flagged" not in flags:
        raise RuntimeError(f"STORE: {flags}")
    c.run("--no-progress-meter", "--ssl-reqd", "--cacert", c.cert, "--user", f"bert:{PASSWORD}", "--upload-file", c.home / "mail",
          f"imap://localhost:{site.base + 143}/INBOX")


def python(site):
    """smtplib and imaplib over TLS with the certificate verified."""
    context = site.tls_context()
    sent = message("by-python", "anna@example.org")
    with smtplib.SMTP("localhost", site.base + 587, CLIENT_NAME, timeout=30) as client:
        client.starttls(context=context)
        client.login("anna@example.org", PASSWORD)
        client.sendmail("anna@example.org", ["bert@example.org"], sent)
    with smtplib.SMTP_SSL("localhost", site.base + 465, CLIENT_NAME, timeout=30, context=context) as client:
        client.login("anna", PASSWORD)
        client.sendmail("anna@example.org", ["bert@example.org"], message("by-python-2", "anna@example.org"))
    arrived(site, "by-python", sent)
    with imaplib.IMAP4_SSL("localhost", site.base + 993, ssl_context=context, timeout=30) as client:
        client.login("bert", PASSWORD)
        client.create("Archive")
        client.select("INBOX")
        uids = client.uid("SEARCH", "SUBJECT", "by-python")[1][0].split()
        if not uids or client.uid("COPY", uids[0].decode(), "Archive")[0] != "OK":
            raise RuntimeError(f"SEARCH {uids}, COPY")
        if client.select("Archive")[1] != [b"1"]:
            raise RuntimeError("the copy")
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        client.close()
        client.delete("Archive")
    client = imaplib.IMAP4("localhost", site.base + 143, timeout=30)
    client.starttls(ssl_context=context)
    client.login("bert", PASSWORD)
    client.logout()


def swaks(site):
    c = Client(site, "swaks")
    common = ("--server", "localhost", "--from", "anna@example.org", "--to", "bert@example.org", "--suppress-data")
    tls = subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True).returncode == 0
    verified = ("--tls-verify", "--tls-ca-path", c.cert)
    said = c.run(*common, "--port", site.base + 587, *(("--tls", *verified) if tls else ()),
                 "--auth", "PLAIN", "--auth-user", "anna@example.org",
                 "--auth-password", PASSWORD, "--header", "X-Test-Id: by-swaks", "--body", "from swaks\n.\n..\n")
    c.run(*common, *(("--port", site.base + 465, "--tls-on-connect", *verified) if tls else ("--port", site.base + 587)),
          "--auth", "PLAIN", "--auth-user", "anna", "--auth-password", PASSWORD, "--header", "X-Test-Id: by-swaks-2")
    c.run("--server", "localhost", "--port", site.base + 24, "--protocol", "LMTP", "--from", "x@example.net", "--suppress-data",
          "--to", "anna@example.org,bert@example.org", "--header", "X-Test-Id: by-swaks-3")
    if "<** " in said:  # how swaks marks a refusal
        raise RuntimeError(said)
    if not wait_for(lambda: {"by-swaks", "by-swaks-2", "by-swaks-3"} <= set(bodies_of(site, "bert")), 20, 0.1):
        raise RuntimeError(f"{sorted(map(str, bodies_of(site, 'bert')))}")


def mutt(site):
    """Reads a mailbox over imaps and copies all of it into a local mbox."""
    c = Client(site, "neomutt" if shutil.which("neomutt") else "mutt")
    want = bodies_of(site, "bert")
    out = c.home / "copy.mbox"
    rc = c.file("rc", f"""
set folder={c.home} imap_user=bert imap_pass={PASSWORD} ssl_starttls=yes ssl_force_tls=yes certificate_file={c.cert}
set ssl_usesystemcerts=no ssl_ca_certificates_file={c.cert}
set spoolfile="imaps://bert@localhost:{site.base + 993}/INBOX" mbox_type=mbox copy=no confirmcreate=no confirmappend=no
set record="" header_cache="" message_cachedir="" quit=yes delete=no move=no mark_old=no wait_key=no sort=mailbox-order
push "<tag-pattern>~A<enter><tag-prefix><copy-message>{out}<enter><quit>"
""")
    # mutt wants a terminal: script(1) lends it one
    if not shutil.which("script"):
        raise Skip("script is not installed")
    subprocess.run(["script", "-qec", f"{c.path} -n -F {rc}", "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                   env={**os.environ, "HOME": str(c.home), "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    box = mailbox.mbox(out)
    have = {m["X-Test-Id"] for m in box}
    if have != set(want):
        raise RuntimeError(f"mutt copied {len(have)} of {len(want)}")
    return f"{len(box)} messages"


def fill(site, user, count):
    with site.lmtp(60) as client:
        for i in range(count):
            client.sendmail("a@example.net", [f"{user}@example.org"], message(f"pull-{i}", body=f"message {i}\r\n" * (i % 50 + 1)))


def maildir_ids(folder):
    return {m["X-Test-Id"] for m in mailbox.Maildir(folder, create=False)}


def mbsync(site):
    """One-way pull of 200 messages; the second run has nothing to do."""
    c = Client(site, "mbsync")
    fill(site, "carl", PULLED)
    box = c.home / "mail"
    box.mkdir()
    rc = c.file("rc", f"""
IMAPAccount site
Host localhost
Port {site.base + 143}
User carl
Pass {PASSWORD}
SSLType STARTTLS
CertificateFile {c.cert}

IMAPStore far
Account site

MaildirStore near
Path {box}/
Inbox {box}/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
""")
    c.run("-q", "-c", rc, "all")
    ids = maildir_ids(box / "INBOX")
    if ids != {f"pull-{i}" for i in range(PULLED)}:
        raise RuntimeError(f"{len(ids)} of {PULLED} pulled")
    client = site.imap("carl")
    client.select("INBOX")
    client.store("1:10", "+FLAGS", "(\\Seen \\Flagged)")
    client.store("11:20", "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()
    with site.lmtp() as sender:
        sender.sendmail("a@example.net", ["carl@example.org"], message("pull-late"))
    c.run("-q", "-c", rc, "all")
    seen = [m for m in mailbox.Maildir(box / "INBOX", create=False) if "F" in m.get_flags()]
    if "pull-late" not in maildir_ids(box / "INBOX") or len(seen) != 10:
        raise RuntimeError(f"second pull: {len(seen)} flagged")
    return f"{PULLED} messages"


def fetchmail(site):
    """IMAP over TLS into LMTP of the same site: all of a mailbox moves to another user."""
    c = Client(site, "fetchmail")
    fill(site, "dora", 20)
    rc = c.file("rc", f"""
poll localhost service {site.base + 143} protocol IMAP
  user "dora" password "{PASSWORD}" is "emil@example.org" here
  sslproto TLS1.2+ sslcertck sslcertfile "{c.cert}"
  smtphost "127.0.0.1/{site.base + 25}" fetchall no rewrite
""")
    c.run("-f", rc, "--nosyslog", "--nodetach", "--silent", "--idfile", c.home / "ids", "--pidfile", c.home / "pid")
    if not wait_for(lambda: len(bodies_of(site, "emil")) == 20, 20, 0.1):
        raise RuntimeError(f"{len(bodies_of(site, 'emil'))} of 20 arrived")
    if bodies_of(site, "dora"):
        raise RuntimeError("fetchmail left something behind")


def msmtp(site):
    c = Client(site, "msmtp")
    sent = message("by-msmtp", "anna@example.org")
    for port, starttls in ((587, "on"), (465, "off")):
        rc = c.file("rc", f"""
account default
host localhost
port {site.base + port}
from anna@example.org
auth plain
user anna
password {PASSWORD}
tls on
tls_starttls {starttls}
tls_trust_file {c.cert}
""")
        c.run("-C", rc, "bert@example.org", text=sent.replace(b"\r\n", b"\n"))
    arrived(site, "by-msmtp", sent)


def check_log(site):
    """Nothing that a good client does is worth a warning; the ballast of a new site is told as one."""
    loud = [line for line in site.log.read_text().splitlines()
            if "level=error" in line or "level=warning" in line]
    if loud:
        raise RuntimeError(f"{loud[:5]}")


def knows_localhost():
    try:
        return bool(socket.getaddrinfo("localhost", 0))
    except OSError:
        return False


def with_localhost(site):
    raise Skip("localhost does not resolve on this machine (no /etc/hosts), and the certificate is for that name")


def main():
    tap = Tap()
    users = ("anna", "bert", "carl", "dora", "emil")
    with running(pathlib.Path(sys.argv[1]).resolve(), users=users) as site:
        for client in (curl, python, swaks, msmtp, mutt, mbsync, fetchmail):
            tap.run(client.__name__, with_localhost if client is not curl and not knows_localhost() else client, site)
        tap.run("stop", lambda: None if site.stop() == 0 else 1 / 0)
        tap.run("the log has no warning", check_log, site)
    return tap.end()


sys.exit(main())
