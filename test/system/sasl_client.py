"""The client's side of SASL for system tests: mechanisms as generators, and what carries them over IMAP and SMTP."""
import base64
import hashlib
import hmac
import os
import socket
import ssl


def plain(user, password, authzid=""):
    yield f"{authzid}\0{user}\0{password}".encode()


def login(user, password):
    yield user.encode()
    yield password.encode()


def external(authzid=""):
    yield authzid.encode()


def oauthbearer(token, authzid=""):
    zid = f"a={authzid}" if authzid else ""
    refused = yield f"n,{zid},\1host=x\1port=143\1auth=Bearer {token}\1\1".encode()
    if refused is not None:
        yield b"\1"


def xoauth2(token, user):
    refused = yield f"user={user}\1auth=Bearer {token}\1\1".encode()
    if refused is not None:
        yield b""


def scram(user, password, authzid="", digest="sha256"):
    """RFC 5802, 7677; holds the server's last message against its own."""
    def mac(key, text):
        return hmac.new(key, text, digest).digest()

    nonce = base64.b64encode(os.urandom(15)).decode()
    quoted = [text.replace("=", "=3D").replace(",", "=2C") for text in (user, authzid)]
    header = f"n,{'a=' + quoted[1] if authzid else ''},"
    bare = f"n={quoted[0]},r={nonce}"
    first = yield (header + bare).encode()
    fields = dict(part.split("=", 1) for part in first.decode().split(","))
    if not fields["r"].startswith(nonce) or len(fields["r"]) < len(nonce) + 16:
        raise RuntimeError(f"nonce of {first}")
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    without = f"c={base64.b64encode(header.encode()).decode()},r={fields['r']}"
    signed = f"{bare},{first.decode()},{without}".encode()
    key = mac(salted, b"Client Key")
    proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.new(digest, key).digest(), signed)))
    last = yield f"{without},p={base64.b64encode(proof).decode()}".encode()
    if last != b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), signed)):
        raise RuntimeError(f"the server's signature: {last}")
    yield b""


class Lines:
    """A connection of lines; source: the address it comes from."""
    def __init__(self, port, context=None, source=None, timeout=60):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout, (source, 0) if source else None)
        self.file = self.sock.makefile("rb")
        self.context = context

    def wrap(self, context, name="mail.example.org"):
        self.sock = context.wrap_socket(self.sock, server_hostname=name)
        self.file = self.sock.makefile("rb")

    def line(self):
        text = self.file.readline()
        if not text:
            raise EOFError("closed")
        return text.rstrip(b"\r\n")

    def send(self, text):
        self.sock.sendall((text if isinstance(text, bytes) else text.encode()) + b"\r\n")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Imap(Lines):
    """context: TLS from the first octet."""
    def __init__(self, port, context=None, **options):
        super().__init__(port, **options)
        if context:
            self.wrap(context)
        self.greeting = self.line().decode()
        self.tag = 0

    def command(self, text):
        self.tag += 1
        self.send(f"t{self.tag} {text}")
        return self.answer()

    def answer(self):
        while True:
            line = self.line()
            if line.startswith(b"t%d " % self.tag):
                return line.split(b" ", 1)[1].decode()

    def capabilities(self):
        self.tag += 1
        self.send(f"t{self.tag} CAPABILITY")
        words = self.line().decode().split()[2:]
        self.answer()
        return words

    def literals(self, verb, *texts):
        """verb and its arguments as literals that do not wait."""
        self.tag += 1
        out = f"t{self.tag} {verb}".encode()
        for text in texts:
            data = text if isinstance(text, bytes) else text.encode()
            out += b" {%d+}\r\n" % len(data) + data
        self.send(out)
        return self.answer()

    def authenticate(self, name, mech, initial=True):
        self.tag += 1
        sent = next(mech)
        head = f"t{self.tag} AUTHENTICATE {name}"
        if initial and name != "LOGIN":
            self.send(f"{head} {base64.b64encode(sent).decode() or '='}")
            sent = None
        else:
            self.send(head)
        while True:
            line = self.line()
            if line.startswith(b"t%d " % self.tag):
                return line.split(b" ", 1)[1].decode()
            if not line.startswith(b"+"):
                continue
            if sent is None:
                sent = mech.send(base64.b64decode(line[2:]))
            self.send(base64.b64encode(sent))
            sent = None


class Smtp(Lines):
    """context: TLS by STARTTLS."""
    def __init__(self, port, context=None, **options):
        super().__init__(port, **options)
        self.reply()
        self.ehlo = self.command("EHLO client.example")
        if context:
            if not self.command("STARTTLS").startswith("220"):
                raise RuntimeError("STARTTLS")
            self.wrap(context)
            self.ehlo = self.command("EHLO client.example")

    def reply(self):
        text = []
        while True:
            line = self.line().decode()
            text.append(line)
            if line[3:4] != "-":
                return "\n".join(text)

    def command(self, text):
        self.send(text)
        return self.reply()

    def authenticate(self, name, mech, initial=True):
        sent = next(mech)
        if initial and name != "LOGIN":
            line = self.command(f"AUTH {name} {base64.b64encode(sent).decode() or '='}")
            sent = None
        else:
            line = self.command(f"AUTH {name}")
        while line.startswith("334"):
            if sent is None:
                sent = mech.send(base64.b64decode(line[4:]))
            line = self.command(base64.b64encode(sent).decode())
            sent = None
        return line


def context(cert=None, key=None):
    made = ssl._create_unverified_context()
    if cert:
        made.load_cert_chain(cert, key)
    return made
