#!/usr/bin/env python3
"""Mail programs that send: swaks, msmtp, curl, Python's smtplib and nodemailer submit with TLS and AUTH (PLAIN and LOGIN, ports 587 and
465), small and big, pipelined and chunked, internationalised; what they sent comes back equal over IMAP. A program that is not
installed is skipped.

usage: submit.py BINARY
"""
import base64
import email.header
import json
import os
import pathlib
import random
import re
import shutil
import smtplib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, PASSWORD, message, running, wait_for  # noqa: E402
from tap import Skip, Tap, need  # noqa: E402

BIG = 5_000_000
LIMIT = 120
FOREIGN = "jörg"  # a login beyond ASCII


def make(serial, size, sender="anna@example.org"):
    body = "hello\r\n"
    if size:
        letters = random.Random(serial).randbytes(size).translate(bytes(97 + i % 26 for i in range(256))).decode()
        body = "".join(letters[at:at + 76] + "\r\n" for at in range(0, size, 76))
    return message(serial, sender, body=body)


def fetch(site, serial, user="bert"):
    client = site.imap(user, 60)
    client.select("INBOX")
    found = wait_for(lambda: client.noop() and client.search(None, "HEADER", "X-Test-Id", serial)[1][0].split(), 30)
    need(found and len(found) == 1, f"{serial} arrived {len(found or ())} times")
    data = client.fetch(found[0].decode(), "(BODY.PEEK[])")[1][0][1]
    client.logout()
    return data


def arrived(site, serial, sent, user="bert"):
    got = fetch(site, serial, user)
    front = re.sub(rb"\r\n[ \t]", b" ", got[:len(got) - len(sent)]).split(b"\r\n")
    need(got.endswith(sent), f"{serial}: {len(got)} octets for {len(sent)}")
    need(all(re.match(rb"(Return-Path|Received): ", f) for f in front if f), f"{serial}: in front: {front}")
    need(b"ESMTPSA" in got or b"UTF8SMTPSA" in got, f"{serial}: no trace of TLS and authentication")


def run(name, *words, text=None, env=None):
    done = subprocess.run([name, *map(str, words)], input=text, capture_output=True, timeout=LIMIT,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
    said = (done.stdout + done.stderr).decode(errors="replace")
    need(done.returncode == 0, f"{words}: exit {done.returncode}: {said[-1500:]}")
    return said


def program(name):
    if not shutil.which(name):
        raise Skip(f"{name} is not installed")
    return name


def file_of(site, serial, data):
    path = site.folder.parent / serial
    path.write_bytes(data)
    return path


def swaks(site):
    program("swaks")
    if subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True).returncode:
        raise Skip("swaks has no TLS module")
    for i, (port, tls, auth, more, size) in enumerate([(587, "--tls", "PLAIN", (), 0), (587, "--tls", "LOGIN", ("--pipeline",), BIG),
                                                       (465, "--tlsc", "LOGIN", ("--pipeline",), 0), (465, "--tlsc", "PLAIN", (), BIG)]):
        serial = f"swaks-{i}"
        sent = make(serial, size)
        run("swaks", "--server", f"localhost:{site.base + port}", tls, "--tls-verify", "--tls-ca-path", site.folder / "tls/cert.pem",
            "--auth", auth, "--auth-user", "anna@example.org", "--auth-password", PASSWORD, "--from", "anna@example.org", "--to",
            "bert@example.org", "--data", "@" + str(file_of(site, serial, sent.replace(b"\r\n", b"\n"))), "--suppress-data", *more)
        got = fetch(site, serial)
        # swaks puts an empty line behind what it is given
        need(sent in got and got.index(sent) > 0 and got[got.index(sent) + len(sent):].strip() == b"", f"{serial} came back changed")


def msmtp(site):
    program("msmtp")
    for i, (port, starttls, auth, size) in enumerate([(587, "on", "plain", 0), (587, "on", "login", BIG), (465, "off", "login", 0)]):
        serial = f"msmtp-{i}"
        sent = make(serial, size)
        rc = file_of(site, f"rc-{i}", f"account default\nhost localhost\nport {site.base + port}\nfrom anna@example.org\nauth {auth}\n"
                     f"user anna\npassword {PASSWORD}\ntls on\ntls_starttls {starttls}\n"
                     f"tls_trust_file {site.folder}/tls/cert.pem\n".encode())
        rc.chmod(0o600)
        run("msmtp", "-C", rc, "bert@example.org", text=sent.replace(b"\r\n", b"\n"))
        arrived(site, serial, sent)


def curl(site):
    program("curl")
    for i, (scheme, port, auth, size) in enumerate([("smtp", 587, "PLAIN", 0), ("smtp", 587, "LOGIN", BIG), ("smtps", 465, "PLAIN", BIG)]):
        serial = f"curl-{i}"
        sent = make(serial, size)
        run("curl", "--no-progress-meter", "--ssl-reqd", "--cacert", site.folder / "tls/cert.pem", "--user", f"anna:{PASSWORD}",
            "--login-options", f"AUTH={auth}", "--mail-from", "anna@example.org", "--mail-rcpt", "bert@example.org", "--mail-rcpt",
            "anna@example.org", "--upload-file", file_of(site, serial, sent), f"{scheme}://localhost:{site.base + port}/c.example.org")
        arrived(site, serial, sent)
        arrived(site, serial, sent, "anna")


def login(client, mech):
    if mech == "PLAIN":
        code, text = client.docmd("AUTH PLAIN", base64.b64encode(b"\0anna\0" + PASSWORD.encode()).decode())
    else:
        need(client.docmd("AUTH LOGIN")[0] == 334, "AUTH LOGIN")
        need(client.docmd(base64.b64encode(b"anna").decode())[0] == 334, "user name")
        code, text = client.docmd(base64.b64encode(PASSWORD.encode()).decode())
    need(code == 235, f"AUTH {mech}: {code} {text}")


def python(site):
    """smtplib, and over its connection what it has no methods for: pipelined streams and chunks."""
    context = site.tls_context()
    for i, (size, mech, chunk) in enumerate([(0, "PLAIN", 0), (BIG, "LOGIN", 0), (0, "PLAIN", 10), (BIG, "LOGIN", 65_537)]):
        serial = f"python-{i}"
        sent = make(serial, size)
        with smtplib.SMTP("localhost", site.base + 587, CLIENT_NAME, timeout=LIMIT) as client:
            client.starttls(context=context)
            client.ehlo()
            login(client, mech)
            stream = b"MAIL FROM:<anna@example.org> SIZE=%d\r\nRCPT TO:<bert@example.org>\r\n" % len(sent)
            replies = 2
            if chunk:
                pieces = [sent[at:at + chunk] for at in range(0, len(sent), chunk)] + [b""]
                for n, piece in enumerate(pieces):
                    stream += b"BDAT %d%s\r\n" % (len(piece), b" LAST" if n == len(pieces) - 1 else b"") + piece
                replies += len(pieces)
            else:
                stream += b"DATA\r\n"
                replies += 1
            client.send(stream)
            codes = [client.getreply()[0] for _ in range(replies)]
            if not chunk:
                need(codes == [250, 250, 354], codes)
                client.send(re.sub(rb"(?m)^\.", b"..", sent) + b".\r\n")
                codes = [client.getreply()[0]]
            need(set(codes) == {250}, codes)
        arrived(site, serial, sent)


def international(site):
    """SMTPUTF8: an address and header fields beyond ASCII, sent by smtplib's own method."""
    user = f"{FOREIGN}@example.org"
    with smtplib.SMTP("localhost", site.base + 587, CLIENT_NAME, timeout=LIMIT) as client:
        client.starttls(context=site.tls_context())
        client.ehlo()
        need(client.has_extn("smtputf8"), "SMTPUTF8 is offered")
        login(client, "PLAIN")
        text = (f"From: Anna <anna@example.org>\r\nTo: {FOREIGN.upper()} <{user}>\r\nSubject: Grüße → {FOREIGN}\r\n"
                f"X-Test-Id: utf8\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <utf8@example.org>\r\n\r\nтекст\r\n").encode()
        refused = client.sendmail("anna@example.org", [user.upper(), "bert@example.org"], text, ["SMTPUTF8", "BODY=8BITMIME"])
        need(not refused, refused)
        code, said = client.docmd("MAIL FROM:<anna@example.org>")
        need(code == 250, said)
        client.send(f"RCPT TO:<{user}>\r\n".encode())
        code, said = client.getreply()
        need(code in (501, 553), f"an address beyond ASCII without SMTPUTF8: {code} {said}")
    arrived(site, "utf8", text)
    got = wait_for(lambda: "messages=1" in site.run("user", "show", user, "-c", site.config, "-o", "human").stdout or True)
    need(got, "user show")


NODE = r"""
const nodemailer = require('nodemailer'), fs = require('fs');
const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));
(async () => {
  for (const j of jobs) {
    const t = nodemailer.createTransport({host: 'localhost', port: j.port, secure: j.secure, requireTLS: true, authMethod: j.auth,
      auth: {user: 'anna@example.org', pass: j.password}, tls: {ca: fs.readFileSync(j.cert)}, pool: j.pool});
    await t.verify();
    if (j.raw) await t.sendMail({envelope: {from: 'anna@example.org', to: j.to}, raw: fs.readFileSync(j.raw)});
    else await t.sendMail({from: 'Anna Ä <anna@example.org>', to: j.to, subject: j.subject, text: j.text, html: '<p>' + j.text + '</p>',
      headers: {'X-Test-Id': j.id}, attachments: [{filename: 'данные.bin', content: Buffer.alloc(200000, 7)}]});
    t.close();
  }
})().catch(e => { console.error(e); process.exit(1); });
"""


def nodemailer(site):
    program("node")
    env = {"NODE_PATH": "/usr/share/nodejs"}
    if subprocess.run(["node", "-e", "require('nodemailer')"], capture_output=True, env={**os.environ, **env}).returncode:
        raise Skip("nodemailer is not installed")
    jobs = []
    for i, (port, auth, size) in enumerate([(587, "PLAIN", 0), (587, "LOGIN", BIG), (465, "PLAIN", BIG), (465, "LOGIN", 0)]):
        jobs.append({"port": site.base + port, "secure": port == 465, "auth": auth, "id": f"node-{i}", "size": size,
                     "to": ["bert@example.org"], "raw": str(file_of(site, f"node-{i}", make(f"node-{i}", size)))})
    jobs.append({"port": site.base + 587, "secure": False, "auth": "PLAIN", "id": "node-made", "to": ["bert@example.org"],
                 "subject": "Grüße №1", "text": "строка\n" * 50})
    for job in jobs:
        job |= {"password": PASSWORD, "cert": str(site.folder / "tls/cert.pem"), "pool": False}
    run("node", "-e", NODE, text=json.dumps(jobs).encode(), env=env)
    for job in jobs[:-1]:
        arrived(site, job["id"], make(job["id"], job["size"]))
    got = email.message_from_bytes(fetch(site, "node-made"))
    need(str(email.header.make_header(email.header.decode_header(got["Subject"]))) == "Grüße №1", got["Subject"])
    parts = [p for p in got.walk() if not p.is_multipart()]
    need([p.get_content_type() for p in parts] == ["text/plain", "text/html", "application/octet-stream"], parts)
    need(parts[2].get_payload(decode=True) == bytes([7]) * 200_000 and parts[2].get_filename(), "the attachment")


def refusals(site):
    """No way around TLS, AUTH, or one's own name; and no relay."""
    with smtplib.SMTP("localhost", site.base + 587, CLIENT_NAME, timeout=30) as client:
        client.ehlo()
        need("auth" not in client.esmtp_features, "AUTH offered in clear")
        need(client.docmd("AUTH PLAIN", "AGFubmEAc2VjcmV0")[0] == 538, "AUTH in clear")
        need(client.mail("anna@example.org")[0] == 530, "MAIL before AUTH")
        client.starttls(context=site.tls_context())
        client.ehlo()
        need(client.mail("anna@example.org")[0] == 530, "MAIL before AUTH behind TLS")
        login(client, "PLAIN")
        need(client.mail("bert@example.org")[0] == 553, "somebody else's address")
        need(client.mail("anna+lists@example.org")[0] == 250, "an own sub-address")
        need(client.rcpt("x@example.net")[0] == 550, "a recipient outside")
    with smtplib.SMTP("localhost", site.base + 25, CLIENT_NAME, timeout=30) as client:
        client.ehlo()
        client.mail("anna@example.org")
        for who in ("x@example.net", "x%example.net@example.org", "@example.org:x@example.net", "x!y@example.net", "\"x@example.net\"",
                    "x@[127.0.0.1]", "x@example.net@example.org"):
            code, text = client.docmd(f"RCPT TO:<{who}>")
            need(500 <= code < 560, f"relay of {who}: {code} {text}")


def main():
    tap = Tap()
    users = ("anna", "bert", FOREIGN)
    with running(pathlib.Path(sys.argv[1]).resolve(), users=users, plaintext=False) as site:
        # IMAP of the helpers is in clear on loopback: only the submission ports are what is tested here.
        plain = site.imap

        def secure(user, timeout=30):
            import imaplib
            imaplib._MAXLINE = 100_000_000
            client = imaplib.IMAP4_SSL("localhost", site.base + 993, ssl_context=site.tls_context(), timeout=timeout)
            client.login(user, PASSWORD)
            return client
        site.imap = secure
        for client in (swaks, msmtp, curl, python, international, nodemailer, refusals):
            tap.run(client.__name__, client, site)
        site.imap = plain
        tap.run("stop", lambda: need(site.stop() == 0, "exit status"))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
