#!/usr/bin/env python3
"""SEARCH on the real server: what is found, against this program's own reading of the same messages; long searches
beside other sessions; searches that end because their client, or the server, does.

usage: imap_search.py BINARY
"""
import base64
import email.header
import os
import pathlib
import random
import re
import socket
import sys
import threading
import time
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import PASSWORD, running, wait_for  # noqa: E402
from tap import Tap, need  # noqa: E402

MESSAGES = 300
QUERIES = 400
LONG_SECONDS = 2.0       # what a long search takes at least
LATENCY_SECONDS = 0.050  # of another session on the same loop meanwhile
LONG_BYTES = 3_000_000   # of each of the messages for it
LONG_MESSAGES = 24
LONG_KEYS = 512          # of one search
LONG_ROUNDS = 20

WORDS = {
    "us-ascii": "alpha Bravo charlie DELTA echo foxtrot golf Hotel".split(),
    "iso-8859-1": "café ÜBER straße naïve Ångström señor".split(),
    "iso-8859-2": "žluťoučký KŮŇ Łódź příliš".split(),
    "koi8-r": "Привет МИР поиск Письмо".split(),
    "windows-1251": "Съешь ещё ЭТИХ булок".split(),
    "gb18030": "你好 世界 邮件 搜索".split(),
    "shift_jis": "テスト 検索 メール".split(),
    "iso-2022-jp": "日本語 手紙".split(),
    "euc-kr": "안녕 세계 편지".split(),
    "utf-8": "ελληνικά ΣΊΓΜΑ 🐟 Ǆ ﬁle émile".split(),
    "utf-7": "schön größe".split(),
}


def mapped(text):
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.casefold()).casefold())


class Client:
    """A plain one: answers are lines."""

    def __init__(self, site, tls=False):
        port = site.base + (993 if tls else 143)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        if tls:
            self.socket = site.tls_context().wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.number = 0
        site.opened = getattr(site, "opened", 0) + 1
        self.do(f"LOGIN anna {PASSWORD}".encode())
        self.do(b"SELECT INBOX")

    def send(self, command):
        self.number += 1
        self.socket.sendall(b"t%d %s\r\n" % (self.number, command))

    def answer(self):
        tag, lines = b"t%d " % self.number, []
        while True:
            line = self.file.readline()
            if not line:
                raise RuntimeError(f"closed behind {lines}")
            if line.startswith(tag):
                return line[len(tag):].strip().decode(), lines
            lines.append(line)

    def do(self, command):
        self.send(command)
        status, lines = self.answer()
        need(status.startswith("OK"), f"{command[:100]}: {status}")
        return lines

    def append(self, message):
        self.do(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message))

    def search(self, keys):
        lines = self.do(b"UID SEARCH " + keys)
        found = [line for line in lines if line.startswith(b"* SEARCH")]
        need(len(found) == 1, f"{keys}: {lines}")
        return {int(n) for n in found[0].split()[2:]}

    def close(self):
        self.socket.close()
        self.file.close()


def literal(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return b"{%d+}\r\n%s" % (len(raw), raw)


# -- what is found
class Message:
    def __init__(self, rng):
        self.subject = " ".join(rng.choice(WORDS[rng.choice(list(WORDS))]) for _ in range(rng.randint(1, 4)))
        self.texts = []
        head = "Subject: " + self.header(rng) + "\r\nFrom: <a@example.net>\r\n"
        if rng.random() < 0.5:
            self.bytes = head.encode() + self.part(rng)
            return
        mark = "=_%08x" % rng.getrandbits(32)
        parts = b"".join(b"--" + mark.encode() + b"\r\n" + self.part(rng) for _ in range(rng.randint(1, 4)))
        picture = b"--" + mark.encode() + b"\r\nContent-Type: image/png\r\n\r\nalpha Bravo charlie\r\n" if rng.random() < 0.5 else b""
        self.bytes = (head + f'Content-Type: multipart/mixed; boundary="{mark}"\r\n\r\n').encode() + parts + picture + \
            f"--{mark}--\r\n".encode()

    def header(self, rng):
        """Encoded words, each in a charset that has it, sometimes cut in two."""
        out = []
        for word in self.subject.split(" "):
            name = next((n for n, words in WORDS.items() if word in words), "utf-8")
            if name == "us-ascii":
                out.append((word, None))
            else:
                out.append((word, name if name not in ("utf-7", "gb18030") else "utf-8"))
        text, last = "", None
        for i, (word, name) in enumerate(out):
            # a blank between two encoded words belongs to one of them
            if name and last:
                word = " " + word
            if i:
                text += " "
            text += email.header.Header(word, name, maxlinelen=900).encode() if name else word
            last = name
        return text.replace("\n", "\r\n")

    def part(self, rng):
        name = rng.choice(list(WORDS))
        words = [rng.choice(WORDS[name] + WORDS["us-ascii"]) for _ in range(rng.randint(1, 60))]
        text = " ".join(words)
        html = rng.random() < 0.3
        self.texts.append(text)
        shown = "<html><body><p>" + re.sub(r"(\w)(\w)", r"\1<b></b>\2", text, count=3) + "</p></body></html>" if html else text
        raw = shown.encode(name)
        how = rng.choice(["base64", "quoted-printable", "8bit"])
        if how == "base64":
            raw = base64.encodebytes(raw).replace(b"\n", b"\r\n")
        elif how == "quoted-printable":
            raw = b"=\r\n".join(b"".join(b"=%02X" % b if b > 126 or b < 32 or b == 61 else bytes([b]) for b in raw[i:i + 20])
                                for i in range(0, len(raw), 20))
        kind = "html" if html else "plain"
        return f"Content-Type: text/{kind}; charset={name}\r\nContent-Transfer-Encoding: {how}\r\n\r\n".encode() + raw + b"\r\n"


def some_text(rng, message):
    text = message.subject if rng.random() < 0.3 else rng.choice(message.texts)
    at = rng.randrange(len(text))
    piece = text[at:at + rng.randint(1, 12)]
    return rng.choice([str.upper, str.lower, str])(piece.strip() or text[:1])


def check_found(binary):
    seed = int(os.environ.get("MS_SEED", "1"))
    rng = random.Random(seed)
    print(f"# MS_SEED={seed}")
    with running(binary, users=("anna",)) as site:
        client = Client(site)
        messages = [Message(rng) for _ in range(MESSAGES)]
        for m in messages:
            client.append(m.bytes)
        client.do(b"NOOP")
        for _ in range(QUERIES):
            key = some_text(rng, rng.choice(messages))
            what = rng.choice(["BODY", "TEXT", "SUBJECT"])
            want = set()
            for uid, m in enumerate(messages, 1):
                texts = {"BODY": m.texts, "TEXT": m.texts + [m.subject], "SUBJECT": [m.subject]}[what]
                if any(mapped(key) in mapped(t) for t in texts):
                    want.add(uid)
            got = client.search(what.encode() + b" " + literal(key))
            # markup, headers and the like may hold a short key too
            more = got - want
            for uid in more:
                raw = messages[uid - 1].bytes
                need(what != "SUBJECT" and len(key) < 5 and (mapped(key).encode() in mapped(raw.decode("latin1")).encode("utf-8")
                     or b"text/html" in raw), f"{what} {key!r}: {uid} is too much (seed {seed})")
            need(not want - got, f"{what} {key!r}: {sorted(want - got)[:5]} not found (seed {seed})")
        check_ids(client)
        need(site.stop() == 0, "exit status")


def check_ids(client):
    """EMAILID: a copy is the same email, another message is another one."""
    client.do(b"COPY 5 Archive")
    ids = [re.search(rb"EMAILID \((\w+)\)", line)[1] for line in client.do(b"FETCH 1:9 (EMAILID)") if b"EMAILID" in line]
    need(len(set(ids)) == 9, f"ids: {ids}")
    for uid, name in enumerate(ids, 1):
        need(client.search(b"EMAILID " + name) == {uid}, f"EMAILID {name}")
    client.do(b"SELECT Archive")
    need(client.search(b"EMAILID " + ids[4]) == {1}, "a copy has the id of its message")
    need(client.search(b"EMAILID " + ids[0]) == set(), "others have not")


# -- long searches
def fill_long(site):
    client = Client(site)
    line = "Слова и ещё слова без конца 0123456789 ".encode("koi8-r")
    body = b"".join(b"=%02X" % b for b in line) + b"=\r\n"
    message = b"Subject: long\r\nContent-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + \
        body * (LONG_BYTES // len(body))
    keys = 1
    for _ in range(LONG_ROUNDS):  # until it is long on this machine: more keys first, then more messages
        if keys == 1 or keys > LONG_KEYS:
            for _ in range(LONG_MESSAGES):
                client.append(message)
        client.do(b"NOOP")
        began = time.monotonic()
        client.do(b"UID SEARCH " + long_keys(min(keys, LONG_KEYS)))
        seconds = time.monotonic() - began
        if seconds > LONG_SECONDS * 1.5:
            break
        keys *= 2
    client.close()
    need(seconds > LONG_SECONDS, f"no search takes {LONG_SECONDS} s: {seconds:.1f}")
    return long_keys(min(keys, LONG_KEYS))


def long_keys(count):
    return b" ".join(b"NOT BODY nowhere%d" % i for i in range(count))


def latency(site, keys):
    """Worst but one in a hundred of NOOP on the same loop, while a search runs."""
    other, searcher, times = Client(site), Client(site), []
    done = threading.Event()

    def search():
        searcher.do(b"UID SEARCH " + keys)
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not done.is_set():
        began = time.monotonic()
        other.do(b"NOOP")
        times.append(time.monotonic() - began)
        time.sleep(0.002)
    thread.join()
    other.close()
    searcher.close()
    need(len(times) >= 100, f"only {len(times)} NOOPs beside the search")
    return sorted(times)[len(times) * 99 // 100]


def check_beside(site, keys):
    worst = []
    for _ in range(3):  # the machine may have been busy otherwise
        worst.append(latency(site, keys))
        if worst[-1] < LATENCY_SECONDS:
            break
    print("# NOOP beside a search, p99: " + ", ".join(f"{1000 * w:.1f} ms" for w in worst))
    need(worst[-1] < LATENCY_SECONDS, f"others wait {worst} s")


def check_fair(site, keys):
    """A short search behind more long ones than there are threads has its turn."""
    longs = [Client(site) for _ in range(4)]
    for c in longs:
        c.send(b"UID SEARCH " + keys)
    short = Client(site)
    began = time.monotonic()
    need(short.search(b"UID 1 SUBJECT long") == {1}, "a short search")
    seconds = time.monotonic() - began
    for c in longs + [short]:
        c.close()
    need(wait_for(lambda: open_sessions(site) == 0), "sessions stay")
    print(f"# a short search behind four long ones: {seconds:.2f} s")
    need(seconds < LONG_SECONDS, f"a short search waits {seconds} s")


def open_sessions(site):
    """By the log, for the server knows when a session has ended."""
    return site.opened - sum("event=imapd.closed" in line for line in site.log.read_text(errors="replace").splitlines())


def check_client_gone(site, keys, tls):
    need(wait_for(lambda: open_sessions(site) == 0), "sessions stay")
    client = Client(site, tls)
    client.send(b"UID SEARCH " + keys)
    time.sleep(0.3)
    need(open_sessions(site) == 1, "closed too early")
    client.close()
    began = time.monotonic()
    need(wait_for(lambda: open_sessions(site) == 0, seconds=LONG_SECONDS - 0.5), "the search goes on without its client")
    print(f"# the search ended {time.monotonic() - began:.2f} s behind its client")


def check_stop(site, keys):
    client = Client(site)
    client.send(b"UID SEARCH RETURN (SAVE) " + keys)
    time.sleep(0.3)
    began = time.monotonic()
    site.process.terminate()
    status, lines = client.answer()
    need(status.startswith("NO [UNAVAILABLE]"), status)
    need(client.file.readline().startswith(b"* BYE"), "BYE")
    need(site.wait() == 0, "exit status")
    seconds = time.monotonic() - began
    print(f"# stopped in the middle of a search in {seconds:.2f} s")
    need(seconds < LONG_SECONDS + 5, f"the stop took {seconds} s")


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("what is found is what was written", check_found, binary)
    with running(binary, ("server.loops=1", "log.level=debug"), users=("anna",)) as site:
        keys = fill_long(site)
        tap.run("other sessions of the loop are quick beside a long search", check_beside, site, keys)
        tap.run("searches take turns", check_fair, site, keys)
        tap.run("a search ends with its client", check_client_gone, site, keys, False)
        tap.run("a search ends with its client, TLS", check_client_gone, site, keys, True)
        tap.run("a stop ends a search", check_stop, site, keys)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
