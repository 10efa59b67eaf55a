"""A strict reader of IMAP responses (RFC 3501 9, RFC 9051 9 and the extensions): what does not follow the grammar is an error.

read_response(reader) takes one whole response from a stream, parse(raw) gives a Response. Written without a look at the server's
own emitter, so that both cannot share a mistake.
"""
import asyncio
import re


class Malformed(Exception):
    """A response that the grammar does not allow."""


class Response:
    """kind: cont, tagged, status, exists, recent, expunge, fetch, vanished, flags, search, esearch, list, lsub, statusbox,
    capability, enabled, id, namespace. The other attributes by kind."""

    def __init__(self, kind, **values):
        self.kind = kind
        self.__dict__.update(values)

    def __repr__(self):
        return f"<{self.kind} {self.__dict__}>"


NUMBER = re.compile(rb"0|[1-9][0-9]*")
ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
FLAG_PERM = re.compile(rb"\\\*|\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+")
TEXT = re.compile(rb"[^\x00\r\n]+\Z")
QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
LITERAL = re.compile(rb"(~?)\{(0|[1-9][0-9]*)\}\r\n")
SEQSET = re.compile(rb"[1-9][0-9]*(?::[1-9][0-9]*)?(?:,[1-9][0-9]*(?::[1-9][0-9]*)?)*")
DATE_TIME = re.compile(rb'"([ 0-3][0-9])-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-([0-9]{4}) '
                       rb'([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-][0-9]{4})"')
SECTION = re.compile(rb"\[((?:[1-9][0-9]*(?:\.[1-9][0-9]*)*)?(?:\.?(?:HEADER\.FIELDS(?:\.NOT)? \([^()\r\n]+\)|HEADER|TEXT|MIME))?)\]"
                     rb"(?:<(0|[1-9][0-9]*)>)?")
OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
STATUS_ITEM = re.compile(rb"MESSAGES|RECENT|UIDNEXT|UIDVALIDITY|UNSEEN|DELETED|SIZE|HIGHESTMODSEQ|APPENDLIMIT|MAILBOXID")
LINE_LITERAL = re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n\Z")
FETCH_FAST = re.compile(rb"\* ([1-9][0-9]*) FETCH \((?:UID ([1-9][0-9]*) )?FLAGS \(([^()\r\n\"{]*)\)(?: MODSEQ \(([1-9][0-9]*)\))?\)"
                        rb"\r\n\Z")


def ranges(raw):
    """[(low, high)] of a sequence set without *."""
    out = []
    for part in raw.split(b","):
        low, _, high = part.partition(b":")
        low, high = int(low), int(high or low)
        if low > 0xFFFFFFFF or high > 0xFFFFFFFF:
            raise Malformed(f"number above 32 bits in {raw!r}")
        out.append((min(low, high), max(low, high)))
    return out


def expand(raw):
    out = []
    for low, high in ranges(raw):
        out.extend(range(low, high + 1))
    return out


class Scanner:
    def __init__(self, raw):
        self.raw = raw
        self.at = 0

    def fail(self, what):
        raise Malformed(f"{what} expected at byte {self.at} of {self.raw[:600]!r}")

    def take(self, pattern, what):
        m = pattern.match(self.raw, self.at)
        if not m:
            self.fail(what)
        self.at = m.end()
        return m

    def skip(self, text):
        if self.raw.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def word(self, text):
        if not self.skip(text):
            self.fail(repr(text))

    def peek(self):
        return self.raw[self.at:self.at + 1]

    def number(self, bits=32, nz=False):
        value = int(self.take(NUMBER, "number").group())
        if value >= 1 << bits or (nz and value == 0):
            self.fail(f"number of {bits} bits" + (", not zero" if nz else ""))
        return value

    def atom(self):
        return self.take(ATOM, "atom").group()

    def string(self, binary=False):
        if self.peek() == b'"':
            raw = self.take(QUOTED, "quoted string").group(1)
            return re.sub(rb"\\(.)", rb"\1", raw) if b"\\" in raw else raw
        m = self.take(LITERAL, "string")
        if m.group(1) and not binary:
            self.fail("literal, not literal8,")
        end = self.at + int(m.group(2))
        if end > len(self.raw):
            self.fail("literal as long as it says")
        value = self.raw[self.at:end]
        if b"\0" in value and not m.group(1):
            self.fail("no NUL in a literal")
        self.at = end
        return value

    def nstring(self, binary=False):
        return None if self.skip(b"NIL") else self.string(binary)

    def astring(self):
        return self.string() if self.peek() in (b'"', b"{") else self.take(TAG, "astring").group()

    def flag_list(self, pattern=FLAG):
        self.word(b"(")
        out = []
        while not self.skip(b")"):
            if out:
                self.word(b" ")
            out.append(self.take(pattern, "flag").group().decode())
        lower = [f.lower() for f in out]
        if len(set(lower)) != len(lower):
            self.fail("no flag twice")
        return lower

    def seqset(self):
        return self.take(SEQSET, "sequence set").group()

    def listed(self, item):
        self.word(b"(")
        out = [item()]
        while not self.skip(b")"):
            self.word(b" ")
            out.append(item())
        return out

    def end(self):
        self.word(b"\r\n")
        if self.at != len(self.raw):
            self.fail("end of the response")


# -- status responses
NO_ARGUMENT = {"ALERT", "PARSE", "READ-ONLY", "READ-WRITE", "TRYCREATE", "NOMODSEQ", "CLOSED", "UIDNOTSTICKY", "ALREADYEXISTS",
               "NONEXISTENT", "NOPERM", "LIMIT", "OVERQUOTA", "EXPUNGEISSUED", "INUSE", "CANNOT", "SERVERBUG", "CLIENTBUG",
               "CORRUPTION", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN",
               "UNAVAILABLE", "NOTSAVED", "HASCHILDREN", "TOOBIG", "UNKNOWN-CTE"}


def status_code(sc):
    """What stands between [ and ]."""
    name = sc.atom().decode()
    if name in NO_ARGUMENT:
        return name, None
    if name == "BADCHARSET":
        return name, sc.listed(sc.astring) if sc.skip(b" ") else None
    sc.word(b" ")
    if name in ("UIDVALIDITY", "UIDNEXT", "UNSEEN"):
        return name, sc.number(nz=True)
    if name == "HIGHESTMODSEQ":
        return name, sc.number(63, nz=True)
    if name == "PERMANENTFLAGS":
        return name, sc.flag_list(FLAG_PERM)
    if name == "MODIFIED":
        return name, expand(sc.seqset())
    if name == "APPENDUID":
        validity = sc.number(nz=True)
        sc.word(b" ")
        return name, (validity, expand(sc.seqset()))
    if name == "COPYUID":
        validity = sc.number(nz=True)
        sc.word(b" ")
        source = expand(sc.seqset())
        sc.word(b" ")
        return name, (validity, source, expand(sc.seqset()))
    if name == "CAPABILITY":
        return name, [a.decode() for a in spaced(sc, sc.atom, b"]")]
    if name == "MAILBOXID":
        return name, sc.listed(lambda: sc.take(OBJECT_ID, "object id").group())[0]
    raise Malformed(f"unknown response code {name} in {sc.raw!r}")


def spaced(sc, item, stop):
    out = [item()]
    while sc.peek() != stop:
        sc.word(b" ")
        out.append(item())
    return out


def status_text(sc):
    """resp-text: (code, argument, text)."""
    code = argument = None
    if sc.skip(b"["):
        code, argument = status_code(sc)
        sc.word(b"] ")
    text = sc.raw[sc.at:-2]
    if not TEXT.match(text):
        sc.fail("text")
    sc.at += len(text)
    sc.end()
    return code, argument, text.decode()


# -- FETCH
def envelope(sc):
    def address():
        sc.word(b"(")
        out = []
        for i in range(4):
            if i:
                sc.word(b" ")
            out.append(sc.nstring())
        sc.word(b")")
        return out

    def addresses():
        if sc.skip(b"NIL"):
            return None
        sc.word(b"(")
        out = []
        while not sc.skip(b")"):
            out.append(address())
        if not out:
            sc.fail("address")
        return out

    sc.word(b"(")
    out = {}
    for i, (name, item) in enumerate((("date", sc.nstring), ("subject", sc.nstring), ("from", addresses), ("sender", addresses),
                                      ("reply-to", addresses), ("to", addresses), ("cc", addresses), ("bcc", addresses),
                                      ("in-reply-to", sc.nstring), ("message-id", sc.nstring))):
        if i:
            sc.word(b" ")
        out[name] = item()
    sc.word(b")")
    return out


def body_extension(sc):
    if sc.peek() == b"(":
        return sc.listed(lambda: body_extension(sc))
    if NUMBER.match(sc.raw, sc.at):
        return sc.number(63)
    return sc.nstring()


def body_params(sc):
    if sc.skip(b"NIL"):
        return None
    values = sc.listed(sc.string)
    if len(values) % 2:
        sc.fail("pairs of body parameters")
    return values


def body_tail(sc, extended):
    """disposition, language, location, extensions: each may be left out from the end."""
    def disposition():
        if sc.skip(b"NIL"):
            return
        sc.word(b"(")
        sc.string()
        sc.word(b" ")
        body_params(sc)
        sc.word(b")")

    def language():
        if sc.peek() == b"(":
            sc.listed(sc.string)
        else:
            sc.nstring()

    for item in (disposition, language, sc.nstring):
        if not sc.skip(b" "):
            return
        if not extended:
            sc.fail("no extension data in BODY")
        item()
    while sc.skip(b" "):
        body_extension(sc)


def body(sc, extended):
    """Number of leaves; what the parts say of lines and bytes must be numbers."""
    sc.word(b"(")
    if sc.peek() == b"(":
        leaves = 0
        while sc.peek() == b"(":
            leaves += body(sc, extended)
        sc.word(b" ")
        sc.string()
        if sc.skip(b" "):
            body_params(sc)
            body_tail(sc, extended)
    else:
        leaves = 1
        kind = sc.string().lower()
        sc.word(b" ")
        kind += b"/" + sc.string().lower()
        sc.word(b" ")
        body_params(sc)
        for item in (sc.nstring, sc.nstring, sc.string):
            sc.word(b" ")
            item()
        sc.word(b" ")
        sc.number()
        if kind in (b"message/rfc822", b"message/global"):
            sc.word(b" ")
            envelope(sc)
            sc.word(b" ")
            body(sc, extended)
        if kind.startswith(b"text/") or kind in (b"message/rfc822", b"message/global"):
            sc.word(b" ")
            sc.number(63)
        if sc.skip(b" "):
            sc.nstring()  # MD5
            body_tail(sc, extended)
    sc.word(b")")
    return leaves


def fetch_item(sc, out):
    def put(name, value):
        if name in out:
            sc.fail(f"{name} only once")
        out[name] = value

    if sc.skip(b"FLAGS "):
        put("FLAGS", frozenset(sc.flag_list()))
    elif sc.skip(b"UID "):
        put("UID", sc.number(nz=True))
    elif sc.skip(b"MODSEQ ("):
        put("MODSEQ", sc.number(63, nz=True))
        sc.word(b")")
    elif sc.skip(b"RFC822.SIZE "):
        put("SIZE", sc.number(63))
    elif sc.skip(b"INTERNALDATE "):
        put("INTERNALDATE", sc.take(DATE_TIME, "date-time").group()[1:-1].decode())
    elif sc.skip(b"ENVELOPE "):
        put("ENVELOPE", envelope(sc))
    elif sc.skip(b"BODYSTRUCTURE "):
        put("BODYSTRUCTURE", body(sc, True))
    elif sc.skip(b"BODY "):
        put("BODY", body(sc, False))
    elif sc.skip(b"EMAILID ("):
        put("EMAILID", sc.take(OBJECT_ID, "object id").group())
        sc.word(b")")
    elif sc.skip(b"THREADID "):
        put("THREADID", None if sc.skip(b"NIL") else sc.listed(lambda: sc.take(OBJECT_ID, "object id").group())[0])
    elif sc.skip(b"SAVEDATE "):
        put("SAVEDATE", None if sc.skip(b"NIL") else sc.take(DATE_TIME, "date-time").group()[1:-1].decode())
    elif sc.skip(b"BINARY.SIZE"):
        section = sc.take(SECTION, "section").group(1).decode()
        sc.word(b" ")
        put("BINARY.SIZE[" + section, sc.number(63))
    elif sc.skip(b"RFC822.HEADER "):
        put("RFC822.HEADER", sc.nstring())
    elif sc.skip(b"RFC822.TEXT "):
        put("RFC822.TEXT", sc.nstring())
    elif sc.skip(b"RFC822 "):
        put("BODY[", sc.nstring())
    else:
        binary = sc.skip(b"BINARY")
        if not binary and not sc.skip(b"BODY"):
            sc.fail("FETCH item")
        m = sc.take(SECTION, "section")
        sc.word(b" ")
        put(("BINARY[" if binary else "BODY[") + m.group(1).decode() + (f"<{m.group(2).decode()}>" if m.group(2) else ""),
            sc.nstring(binary))


def fetch(sc, number):
    out = {}
    sc.word(b"(")
    fetch_item(sc, out)
    while not sc.skip(b")"):
        sc.word(b" ")
        fetch_item(sc, out)
    sc.end()
    return Response("fetch", n=number, items=out)


def fetch_fast(m):
    flags = m.group(3).lower()
    names = flags.split(b" ") if flags else []
    if any(not FLAG.fullmatch(f) for f in names) or len(set(names)) != len(names):
        raise Malformed(f"bad flags in {m.group()!r}")
    items = {"FLAGS": frozenset(f.decode() for f in names)}
    if m.group(2):
        items["UID"] = int(m.group(2))
    if m.group(4):
        items["MODSEQ"] = int(m.group(4))
    return Response("fetch", n=int(m.group(1)), items=items)


# -- the other untagged responses
def list_response(sc, kind):
    attributes = sc.flag_list()
    sc.word(b" ")
    delimiter = None if sc.skip(b"NIL") else sc.take(QUOTED, "delimiter").group(1)
    sc.word(b" ")
    name = sc.astring()
    extended = []
    if kind == "list" and sc.skip(b" ("):
        while not sc.skip(b")"):
            if extended:
                sc.word(b" ")
            extended.append(sc.astring())
            sc.word(b" ")
            if sc.peek() == b"(":
                sc.listed(sc.astring)
            else:
                sc.astring()
    sc.end()
    return Response(kind, attributes=attributes, delimiter=delimiter, name=name.decode())


def status_response(sc):
    name = sc.astring().decode()
    sc.word(b" (")
    values = {}
    while not sc.skip(b")"):
        if values:
            sc.word(b" ")
        item = sc.take(STATUS_ITEM, "STATUS item").group().decode()
        sc.word(b" ")
        if item == "MAILBOXID":
            values[item] = sc.listed(lambda: sc.take(OBJECT_ID, "object id").group())[0]
        elif item == "APPENDLIMIT" and sc.skip(b"NIL"):
            values[item] = None
        else:
            values[item] = sc.number(63)
    sc.end()
    return Response("statusbox", name=name, values=values)


def search_response(sc):
    numbers, modseq = [], None
    while sc.skip(b" "):
        if sc.skip(b"(MODSEQ "):
            modseq = sc.number(63, nz=True)
            sc.word(b")")
            break
        numbers.append(sc.number(nz=True))
    sc.end()
    return Response("search", numbers=numbers, modseq=modseq)


def esearch_response(sc):
    tag, values = None, {}
    if sc.skip(b" (TAG "):
        tag = sc.string().decode()
        sc.word(b")")
    uid = sc.skip(b" UID")
    while sc.skip(b" "):
        item = sc.atom().decode()
        sc.word(b" ")
        if item in values:
            sc.fail("no item twice")
        if item in ("MIN", "MAX"):
            values[item] = sc.number(nz=True)
        elif item == "COUNT":
            values[item] = sc.number()
        elif item == "MODSEQ":
            values[item] = sc.number(63, nz=True)
        elif item == "ALL":
            values[item] = expand(sc.seqset())
        else:
            sc.fail("known item of ESEARCH")
    sc.end()
    return Response("esearch", tag=tag, uid=uid, values=values)


def namespace_response(sc):
    def one():
        sc.word(b"(")
        sc.string()
        sc.word(b" ")
        sc.nstring()
        sc.word(b")")

    for i in range(3):
        if i:
            sc.word(b" ")
        if not sc.skip(b"NIL"):
            sc.word(b"(")
            one()
            while not sc.skip(b")"):
                one()
    sc.end()
    return Response("namespace")


def words_response(sc, kind):
    words = []
    while sc.skip(b" "):
        words.append(sc.atom().decode())
    sc.end()
    return Response(kind, words=words)


def id_response(sc):
    sc.word(b" ")
    if not sc.skip(b"NIL"):
        values = sc.listed(sc.nstring)
        if len(values) % 2:
            sc.fail("pairs of ID")
    sc.end()
    return Response("id")


def untagged(sc):
    if NUMBER.match(sc.raw, sc.at):
        number = sc.number()
        sc.word(b" ")
        if sc.skip(b"EXISTS\r\n"):
            return Response("exists", n=number)
        if sc.skip(b"RECENT\r\n"):
            return Response("recent", n=number)
        if number == 0:
            sc.fail("number of a message")
        if sc.skip(b"EXPUNGE\r\n"):
            return Response("expunge", n=number)
        sc.word(b"FETCH ")
        return fetch(sc, number)
    name = sc.atom().decode()
    if name in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
        sc.word(b" ")
        code, argument, text = status_text(sc)
        return Response("status", status=name, code=code, argument=argument, text=text)
    if name == "FLAGS":
        sc.word(b" ")
        flags = sc.flag_list()
        sc.end()
        return Response("flags", flags=flags)
    if name in ("LIST", "LSUB"):
        sc.word(b" ")
        return list_response(sc, name.lower())
    if name == "STATUS":
        sc.word(b" ")
        return status_response(sc)
    if name == "SEARCH":
        return search_response(sc)
    if name == "ESEARCH":
        return esearch_response(sc)
    if name == "VANISHED":
        earlier = sc.skip(b" (EARLIER)")
        sc.word(b" ")
        raw = sc.seqset()
        sc.end()
        return Response("vanished", earlier=earlier, ranges=ranges(raw))
    if name in ("CAPABILITY", "ENABLED"):
        return words_response(sc, name.lower())
    if name == "NAMESPACE":
        sc.word(b" ")
        return namespace_response(sc)
    if name == "ID":
        return id_response(sc)
    raise Malformed(f"unknown response {sc.raw[:200]!r}")


def parse(raw):
    m = FETCH_FAST.match(raw)
    if m:
        return fetch_fast(m)
    sc = Scanner(raw)
    if sc.skip(b"* "):
        return untagged(sc)
    if sc.skip(b"+ "):
        text = raw[2:-2]
        if text and not TEXT.match(text):
            sc.fail("text")
        return Response("cont", text=text)
    tag = sc.take(TAG, "tag").group().decode()
    sc.word(b" ")
    status = sc.atom().decode()
    if status not in ("OK", "NO", "BAD"):
        sc.fail("OK, NO or BAD")
    sc.word(b" ")
    code, argument, text = status_text(sc)
    return Response("tagged", tag=tag, status=status, code=code, argument=argument, text=text)


def is_text_line(line):
    """Only a FETCH, LIST and their like may hold literals: a text that ends with {1} is none."""
    return not line.startswith(b"* ") or re.match(rb"\* (?:OK|NO|BAD|BYE|PREAUTH) ", line) is not None


async def read_response(reader):
    """Bytes of one response, b'' at the end of the stream."""
    try:
        raw = await reader.readuntil(b"\r\n")
        if is_text_line(raw):
            return raw
        pieces = [raw]
        m = LINE_LITERAL.search(raw)
        while m:
            pieces.append(await reader.readexactly(int(m.group(1))))
            line = await reader.readuntil(b"\r\n")
            pieces.append(line)
            m = LINE_LITERAL.search(line)
        return b"".join(pieces)
    except asyncio.IncompleteReadError:
        return b""
    except asyncio.LimitOverrunError as e:
        raise Malformed(f"a line of more than {e.consumed} bytes")
