#!/usr/bin/env python3
"""Every message of a folder goes in over LMTP and comes back equal over IMAP.

usage: roundtrip.py BINARY [FOLDER]      default folder: the project's own test/corpus
Files may be single messages or mbox files (*.mbox are split). Equal means: after CRLF line ends are applied, and with the trace
fields that the server puts in front cut off; behind them stands an empty line when the message has no header of its own.
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site  # noqa: E402
from tap import Tap  # noqa: E402

TRACE = re.compile(rb"(?:(?:Return-Path|Received|Delivered-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+\Z")


HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|\r\n|>?From ")


def messages(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if not path.is_file() or path.name == "README.md":
            continue
        data = path.read_bytes()
        parts = re.split(rb"(?m)^From [^\n]*\n", data)[1:] if path.suffix == ".mbox" else [data]
        for number, part in enumerate(parts, 1):
            text = re.sub(rb"\r\n|\r|\n", b"\r\n", part)
            yield f"{path.name}" + (f"#{number}" if len(parts) > 1 else ""), text


def dot_stuffed(text):
    """As it stands on the wire, CRLF at the end."""
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", text) + b".\r\n"


def deliver(site, text):
    with site.lmtp() as client:
        client.ehlo_or_helo_if_needed()
        for verb, args in (("MAIL", "FROM:<corpus@example.net> BODY=8BITMIME"), ("RCPT", "TO:<anna@example.org>"), ("DATA", "")):
            code, reply = client.docmd(verb, args)
            if code not in (250, 354):
                raise RuntimeError(f"{verb}: {code} {reply}")
        client.send(dot_stuffed(text))
        code, reply = client.getreply()
        if code != 250:
            raise RuntimeError(f"end of data: {code} {reply}")


def fetch_last(client):
    status, data = client.select("INBOX", readonly=True)
    status, parts = client.fetch(data[0].decode(), "(BODY.PEEK[] RFC822.SIZE)")
    body = parts[0][1]
    size = int(re.search(rb"RFC822\.SIZE (\d+)", parts[0][0] + parts[1])[1])
    if size != len(body):
        raise RuntimeError(f"RFC822.SIZE {size}, body of {len(body)}")
    return body


def compare(name, sent, got):
    if not sent.endswith(b"\r\n"):
        sent += b"\r\n"
    if not got.endswith(sent):
        raise RuntimeError(f"{name}: {len(sent)} sent, {len(got)} came back, different")
    front = got[:len(got) - len(sent)]
    if not HEADER.match(sent) and front.endswith(b"\r\n\r\n"):
        front = front[:-2]
    if not TRACE.match(front):
        raise RuntimeError(f"{name}: in front stands {front[:200]!r}")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    folder = sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent.parent / "corpus"
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="roundtrip-") as work:
        site = Site(pathlib.Path(work) / "site", binary).init().start()
        try:
            client = site.imap("anna")

            def one(name, text):
                deliver(site, text)
                compare(name, text, fetch_last(client))

            for name, text in messages(folder):
                if b"\0" in text:  # RFC 5321 2.3.8: no NUL in DATA
                    continue
                tap.run(name, one, name, text)
            client.logout()
            tap.run("stop", lambda: None if site.stop() == 0 else 1 / 0)
        finally:
            site.kill()
    return tap.end()


sys.exit(main())
