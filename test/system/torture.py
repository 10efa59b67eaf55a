#!/usr/bin/env python3
"""Messages at the edges: each goes in by SMTP (DATA or BDAT) and LMTP and comes back equal over IMAP, but for the trace fields in front.

usage: torture.py BINARY
"""
import imaplib
import pathlib
import random
import re
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

HEAD = b"From: <a@example.net>\r\nTo: <anna@example.org>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n"


def head(serial, more=b""):
    return HEAD + b"Message-ID: <" + serial + b"@example.net>\r\nX-Test-Id: " + serial + b"\r\n" + more


def letters(count, seed):
    return random.Random(seed).randbytes(count).translate(bytes(97 + i % 26 for i in range(256)))


def lines_of(text, width):
    return b"".join(text[at:at + width] + b"\r\n" for at in range(0, len(text), width))


def huge(serial):
    return head(serial) + b"\r\n" + lines_of(letters(30_000_000, 1), 76)


def many_parts(serial):
    part = b"--b\r\nContent-Type: text/plain; name=part-%d\r\n\r\ntext of %d\r\n"
    return (head(serial, b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n") + b"\r\n" +
            b"".join(part % (i, i) for i in range(5000)) + b"--b--\r\n")


def deep_parts(serial):
    text = head(serial, b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n") + b"\r\n"
    for i in range(1, 300):
        text += b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (i - 1, i)
    return text + b"--b299\r\n\r\nx\r\n"


MESSAGES = [  # name, message, only by BDAT
    ("30 MB", huge, False),
    ("5,000 parts", many_parts, False),
    ("300 levels", deep_parts, False),
    ("lines of 998 octets", lambda s: head(s) + b"\r\n" + lines_of(letters(99_800, 2), 998), False),
    ("lines of 999, 1,000 and 100,000 octets",
     lambda s: head(s) + b"\r\n" + b"".join(letters(n, n) + b"\r\n" for n in (999, 1000, 1001, 100_000)), False),
    ("a line of 5 MB", lambda s: head(s) + b"\r\n" + letters(5_000_000, 3) + b"\r\n", False),
    ("8-bit header fields", lambda s: head(s, "Subject: Grüße aus Köln\r\nX-Latin: ".encode() + b"\xe4\xf6\xfc\r\n") + b"\r\nx\r\n", False),
    ("8-bit body that is no UTF-8", lambda s: head(s) + b"\r\n" + bytes(range(128, 256)) * 20 + b"\r\n", False),
    ("empty body", lambda s: head(s) + b"\r\n", False),
    ("header only, without the empty line", head, False),
    ("a header of 100 KB", lambda s: head(s, b"".join(b"X-Field-%d: %s\r\n" % (i, letters(60, i)) for i in range(1400))) + b"\r\nx\r\n",
     False),
    ("one field of 100 KB", lambda s: head(s, b"X-Long: " + b"\r\n ".join(letters(70, i) for i in range(1400)) + b"\r\n") + b"\r\nx\r\n",
     False),
    ("lines that begin with dots", lambda s: head(s) + b"\r\n.\r\n..\r\n.x\r\n\r\n.\r\n", False),
    ("no final CRLF", lambda s: head(s) + b"\r\nlast line", True),
    ("NUL", lambda s: head(s) + b"\r\nnul \0 here\r\n", True),
    ("every octet", lambda s: head(s) + b"\r\n" + bytes(range(256)) * 50 + b"\r\n", True),
]


def expect(client, code, *line):
    got, text = client.docmd(*line) if line else client.getreply()
    need(got == code, f"{line}: {got} {text}")


def envelope(client, options=""):
    client.ehlo()
    expect(client, 250, f"MAIL FROM:<a@example.net>{options}")
    expect(client, 250, "RCPT TO:<anna@example.org>")


def by_data(client, data):
    envelope(client, " BODY=8BITMIME" if max(data) > 127 else "")
    expect(client, 354, "DATA")
    client.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
    expect(client, 250)


def by_bdat(client, data, chunk=1_000_003):
    envelope(client, " BODY=BINARYMIME")
    pieces = [data[at:at + chunk] for at in range(0, len(data), chunk)]
    for i, piece in enumerate(pieces):
        last = " LAST" if i == len(pieces) - 1 else ""
        client.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
    for _ in pieces:
        expect(client, 250)


def fetch(site, serial):
    client = site.imap("anna", 60)
    client.select("INBOX")
    found = wait_for(lambda: client.noop() and client.search(None, "HEADER", "X-Test-Id", serial.decode())[1][0].split(), 30)
    need(found, f"{serial} did not arrive")
    need(len(found) == 1, f"{serial} arrived {len(found)} times")
    data = client.fetch(found[0].decode(), "(BODY.PEEK[])")[1][0][1]
    client.fetch(found[0].decode(), "(ENVELOPE BODYSTRUCTURE)")
    client.store(found[0].decode(), "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()
    return data


def compare(got, sent, serial):
    front = got[:len(got) - len(sent)]
    need(got.endswith(sent), f"{serial}: {len(got)} octets came back for {len(sent)}: {got[-200:]!r}")
    fields = re.sub(rb"\r\n[ \t]", b" ", front).split(b"\r\n")
    need(all(re.match(rb"(Return-Path|Received): ", f) for f in fields if f), f"{serial}: in front: {front!r}")


def round_trip(site, name, make, only_bdat):
    ways = [("smtp-bdat", smtplib.SMTP, 25, by_bdat), ("lmtp-bdat", smtplib.LMTP, 24, by_bdat)]
    if not only_bdat:
        ways += [("smtp", smtplib.SMTP, 25, by_data), ("lmtp", smtplib.LMTP, 24, by_data)]
    for way, kind, port, send in ways:
        serial = re.sub(r"\W", "-", f"{way}-{name}").encode()
        sent = make(serial)
        with kind("127.0.0.1", site.base + port, timeout=120) as client:
            send(client, sent)
        # RFC 3501 4.3.1: no literal holds NUL, so it is shown as 0x80; BINARY would tell
        compare(fetch(site, serial), sent.replace(b"\0", b"\x80"), serial)


def refuse_nul(site):
    """What only BDAT may carry is refused in DATA, and the session goes on."""
    for kind, port in ((smtplib.SMTP, 25), (smtplib.LMTP, 24)):
        with kind("127.0.0.1", site.base + port, timeout=30) as client:
            for body in (b"nul \0 here\r\n", b"bare \n here\r\n", b"bare \r here\r\n"):
                envelope(client)
                expect(client, 354, "DATA")
                client.send(head(b"refused") + b"\r\n" + body + b".\r\n")
                expect(client, 554)
            envelope(client, " BODY=BINARYMIME")
            expect(client, 503, "DATA")
            expect(client, 250, "RSET")
            by_data(client, head(b"behind-" + str(port).encode()) + b"\r\nx\r\n")
    for port in (25, 24):
        fetch(site, b"behind-" + str(port).encode())
    client = site.imap("anna")
    client.select("INBOX")
    need(client.search(None, "HEADER", "X-Test-Id", "refused")[1] == [b""], "a refused message is there")


def main():
    imaplib._MAXLINE = 100_000_000
    tap = Tap()
    with running(pathlib.Path(sys.argv[1]).resolve()) as site:
        for name, make, only_bdat in MESSAGES:
            tap.run(name, round_trip, site, name, make, only_bdat)
        tap.run("NUL, bare CR and LF in DATA are refused", refuse_nul, site)
        tap.run("stop", lambda: need(site.stop() == 0, "exit status"))
        tap.run("store verify", lambda: site.run("store", "verify", "-c", site.config) and None)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
