"""A small IMAP client that keeps everything the server says, as trees: atoms and quoted strings are bytes, NIL is None, a literal is
bytes too, parentheses are lists. For tests that compare what two servers say, or that count every response."""
import re
import socket


class No(Exception):
    """The server said NO or BAD; the text is its line."""


class Wire:
    def __init__(self, port, user=None, password=None, host="127.0.0.1", timeout=120, tls=None, source=None):
        self.sock = socket.create_connection((host, port), timeout, source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.tag = 0
        self.greeting = self.response()
        if user:
            self.command(f'LOGIN "{user}" "{password}"')

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the connection ended: {line!r}")
        return line

    def response(self):
        """One response, complete, with its literals in it."""
        whole = []
        while True:
            line = self.line()
            whole.append(line)
            announced = re.search(rb"~?\{(\d+)\}\r\n$", line)
            if not announced or re.match(rb"\* (OK|NO|BAD) ", whole[0]):
                return b"".join(whole)[:-2]
            whole.append(self.file.read(int(announced[1])))

    def start(self, text):
        self.tag += 1
        tag = b"t%d" % self.tag
        self.sock.sendall(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return tag

    def until(self, tag):
        """(untagged responses, the tagged one)."""
        found = []
        while True:
            said = self.response()
            if said.startswith(tag + b" "):
                return found, said[len(tag) + 1:]
            found.append(said)

    def command(self, text):
        """The untagged responses; raises No."""
        found, said = self.until(self.start(text))
        if not said.startswith(b"OK"):
            raise No(said.decode(errors="replace"))
        self.said = said
        return found

    def append(self, mailbox, octets, flags="", date=None):
        when = f' "{date}"' if date else ""
        tag = self.start(f'APPEND "{mailbox}" ({flags}){when} {{{len(octets)}}}')
        said = self.response()
        if not said.startswith(b"+"):
            raise No(said.decode(errors="replace"))
        self.sock.sendall(octets + b"\r\n")
        _, said = self.until(tag)
        if not said.startswith(b"OK"):
            raise No(said.decode(errors="replace"))
        return said

    def fetch(self, which, items, uid=False):
        """{sequence number: {item: value}}, items in capitals."""
        found = {}
        for said in self.command(f"{'UID ' if uid else ''}FETCH {which} {items}"):
            head = re.match(rb"\* (\d+) FETCH ", said)
            if head:
                pairs = parse(said[head.end():])[0]
                found.setdefault(int(head[1]), {}).update(
                    {name.decode().upper(): value for name, value in zip(pairs[::2], pairs[1::2])})
        return found

    def search(self, text, uid=False):
        for said in self.command(f"{'UID ' if uid else ''}SEARCH " + text if isinstance(text, str) else b"SEARCH " + text):
            if said.startswith(b"* SEARCH"):
                return [int(word) for word in said.split()[2:] if word.isdigit()]
        return None

    def close(self):
        self.file.close()
        self.sock.close()

    def logout(self):
        self.command("LOGOUT")
        self.close()


ATOM = re.compile(rb"(?:[^ ()\[\]\"{\r\n]|\[[^\]]*\])+")
NUMBER = re.compile(rb"~?\{(\d+)\}\r\n")


def parse(data):
    """All values of a response line. BODY[HEADER.FIELDS (A B)] is one atom."""
    at, stack = 0, [[]]
    while at < len(data):
        c = data[at:at + 1]
        if c == b" ":
            at += 1
        elif c == b"(":
            stack.append([])
            at += 1
        elif c == b")":
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif c == b'"':
            end = at + 1
            while data[end:end + 1] != b'"':
                end += 2 if data[end:end + 1] == b"\\" else 1
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", data[at + 1:end], flags=re.S))
            at = end + 1
        elif NUMBER.match(data, at):
            head = NUMBER.match(data, at)
            stack[-1].append(data[head.end():head.end() + int(head[1])])
            at = head.end() + int(head[1])
        else:
            word = ATOM.match(data, at)
            if not word:
                raise ValueError(f"not an IMAP value: {data[at:at + 60]!r}")
            stack[-1].append(None if word[0].upper() == b"NIL" else word[0])
            at = word.end()
    return stack[0]


def show(value):
    """For a message to a person."""
    if isinstance(value, list):
        return "(" + " ".join(map(show, value)) + ")"
    return "NIL" if value is None else repr(value)[1:] if isinstance(value, bytes) else repr(value)
