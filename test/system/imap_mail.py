"""What a mailbox holds, for tests of programs that move mail: filling one, reading one, comparing two; and a relay that listens to what
the server refuses; programs that must not complain."""
import datetime
import hashlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import threading

import odd_mail
from imap_wire import Wire, parse
from msite import PASSWORD
from tap import Skip

# Kinds that a program with Maildir and mbox behind it keeps as they are.
KINDS = (odd_mail.plain, odd_mail.folded, odd_mail.words, odd_mail.addresses, odd_mail.nested, odd_mail.rfc822, odd_mail.digest, odd_mail.eight_bit,
         odd_mail.charsets, odd_mail.encodings, odd_mail.params2231)
COMPLAINTS = re.compile(r"warn|error|fail|invalid|unexpected|malformed|retry|traceback", re.I)
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")


def odd_message(number):
    """A message that is not like the others, with its number in the header; ends with a line end."""
    r = odd_mail.random.Random(f"mail/{number}")
    octets = f"X-Test-Id: {number}\r\n".encode() + KINDS[number % len(KINDS)](r)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def flags_of(number):
    return {flag for bit, flag in enumerate(FLAGS) if number >> bit & 1}


def date_of(number):
    """Seconds since 1970, and the text for APPEND."""
    when = datetime.datetime(2015, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=37 * number)
    return int(when.timestamp()), when.strftime("%d-%b-%Y %H:%M:%S +0000")


def fill(port, user, mailbox, numbers, flags=flags_of, window=50):
    """Appends without waiting for each answer."""
    client = Wire(port, user, PASSWORD)
    tags = []

    def settle(left):
        while len(tags) > left:
            said = client.until(tags.pop(0))[1]
            if not said.startswith(b"OK"):
                raise RuntimeError(f"APPEND: {said}")
    for number in numbers:
        octets = odd_message(number)
        tags.append(client.start(f'APPEND "{mailbox}" ({" ".join(sorted(flags(number)))}) "{date_of(number)[1]}" {{{len(octets)}+}}\r\n'.encode() + octets))
        settle(window)
    settle(0)
    client.logout()


def literal_flags(items):
    return frozenset(flag.decode() for flag in items if flag.lower() != b"\\recent")


def read(port, user, mailbox="INBOX", without=()):
    """{test id: (digest of its octets, flags, date in seconds)}; header lines named in `without` do not count."""
    client = Wire(port, user, PASSWORD)
    count = next(int(said.split()[1]) for said in client.command(f'EXAMINE "{mailbox}"') if said.endswith(b" EXISTS"))
    found = {}
    for first in range(1, count + 1, 500):
        for said in client.command(f"FETCH {first}:{min(first + 499, count)} (FLAGS INTERNALDATE BODY.PEEK[])"):
            head = re.match(rb"\* \d+ FETCH ", said)
            if not head:
                continue
            pairs = parse(said[head.end():])[0]
            item = dict(zip(pairs[::2], pairs[1::2]))
            test_id, digest = known(item[b"BODY[]"], without)
            if test_id in found:
                raise RuntimeError(f"{mailbox} of {user}: message {test_id} is there twice")
            date = datetime.datetime.strptime(item[b"INTERNALDATE"].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
            found[test_id] = (digest, literal_flags(item[b"FLAGS"]), int(date.timestamp()))
    client.logout()
    return found


def known(octets, without=()):
    """(test id, digest) of a message; its number is its first header line but for those of programs."""
    for name in without:
        octets = re.sub(rb"(?im)\A((?:.*\r\n)*?)" + name.encode() + rb":.*\r\n", rb"\1", octets, count=1)
    test_id = re.search(rb"^X-Test-Id: (\S+)", octets, re.M)
    if not test_id:
        raise RuntimeError(f"not one of our messages: {octets[:200]}")
    return test_id[1].decode(), hashlib.sha256(octets).hexdigest()


def same(a, b, what, dates=True):
    """Two results of read(); says what is lost."""
    if a.keys() != b.keys():
        raise RuntimeError(f"{what}: {len(a.keys() - b.keys())} missing ({sorted(a.keys() - b.keys())[:5]}), "
                           f"{len(b.keys() - a.keys())} too many ({sorted(b.keys() - a.keys())[:5]})")
    for test_id, (octets, flags, date) in a.items():
        if b[test_id][0] != octets:
            raise RuntimeError(f"{what}: the octets of {test_id} are others")
        if b[test_id][1] != flags:
            raise RuntimeError(f"{what}: flags of {test_id}: {set(flags)} became {set(b[test_id][1])}")
        if dates and b[test_id][2] != date:
            raise RuntimeError(f"{what}: date of {test_id}: {date} became {b[test_id][2]}")


def expected(numbers, flags=flags_of):
    """What read() must find of messages that nobody touched."""
    return {str(n): (hashlib.sha256(odd_message(n)).hexdigest(), frozenset(flags(n)), date_of(n)[0]) for n in numbers}


class Relay:
    """A port of its own before the server's: counts connections, keeps every NO and BAD."""

    def __init__(self, port):
        self.port, self.refusals, self.connections = port, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listen = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.run, args=(client,), daemon=True).start()

    def run(self, client):
        server = socket.create_connection(("127.0.0.1", self.port))
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with selectors.DefaultSelector() as both:
            both.register(client, selectors.EVENT_READ, server)
            both.register(server, selectors.EVENT_READ, client)
            tail = b""
            try:
                while True:
                    for key, _ in both.select():
                        piece = key.fileobj.recv(1 << 18)
                        if not piece:
                            raise OSError
                        if key.fileobj is server:
                            tail = (tail + piece)[-300:] if len(piece) < 300 else self.listen_to(tail, piece)
                            if len(piece) < 300:
                                self.listen_to(tail[:-len(piece)], piece)
                        key.data.sendall(piece)
            except OSError:
                client.close()
                server.close()

    def listen_to(self, before, piece):
        """Tagged refusals; tags of programs are short, and no test message has such a line."""
        text = before.rpartition(b"\r\n")[2] + piece
        for line in re.findall(rb"(?m)^[A-Za-z0-9.]{1,20} (?:NO|BAD)\b[^\r\n]*", text):
            self.refusals.append(line.decode(errors="replace"))
        return piece[-300:]

    def close(self, connections=None):
        """Raises if anything was refused, or if the program came back more often than `connections`."""
        self.listener.close()
        if self.refusals:
            raise RuntimeError(f"refused: {self.refusals[:5]}")
        if connections and self.connections > connections:
            raise RuntimeError(f"{self.connections} connections, not {connections}")


class Program:
    """A program with a home of its own."""

    def __init__(self, site, name):
        self.path = shutil.which(name)
        if not self.path:
            raise Skip(f"{name} is not installed")
        self.home = site.folder.parent / f"home-{name}"
        self.home.mkdir(exist_ok=True)
        self.cert = site.folder / "tls/cert.pem"

    def run(self, *words, text=None, env=None, ignore=("Password is being sent in the clear",), seconds=3600):
        """Its output; any exit but 0 and any complaint is an error."""
        done = subprocess.run([self.path, *map(str, words)], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                              env={**os.environ, "HOME": str(self.home), "TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})
        said = done.stdout.decode(errors="replace")
        loud = [line for line in said.splitlines() if COMPLAINTS.search(line) and not any(part in line for part in ignore)]
        if done.returncode != 0 or loud:
            raise RuntimeError(f"{words}: exit status {done.returncode}: {loud[:5]} {said[-1500:]}")
        return said

    def terminal(self, *words):
        """For programs that want a terminal: script(1) lends one."""
        if not shutil.which("script"):
            raise Skip("script is not installed")
        line = " ".join(map(str, [self.path, *words]))
        done = subprocess.run(["script", "-qec", line, "/dev/null"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=90, env={**os.environ, "HOME": str(self.home), "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            raise RuntimeError(f"{line}: exit status {done.returncode}: {done.stdout[-1500:]}")

    def file(self, name, text):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        return path
