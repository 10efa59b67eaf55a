"""The log and the index of a partition, read as mailserverd-formats(5) describes them and from nothing else.

Log      the segments of a folder as one sequence of records, and bytes by position
State    what an index says: filled by read_index here, or by replay.py from the log
"""
import dataclasses
import mmap
import pathlib
import re
import struct

import lmdb

HEADER_BYTES, DATA_OFFSET, RECORD_BYTES, PAYLOAD_MAX = 512, 8192, 48, 3 << 20
PIECE = 1 << 20
RECOVERED, FILLER, PART, SKIP, OPS = 1, 2, 3, 4, 16
RECOVERY = 1  # flag of a segment


class Broken(Exception):
    """The bytes are not what the page says."""


# -- CRC-32C

def _tables():
    """One for a byte, two for the halves of a word."""
    byte = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        byte.append(value)
    ahead = [byte]  # ahead[n]: a byte with n zero bytes behind it
    for _ in range(3):
        ahead.append([byte[v & 255] ^ v >> 8 for v in ahead[-1]])
    return (byte, [ahead[3][i & 255] ^ ahead[2][i >> 8] for i in range(65536)],
            [ahead[1][i & 255] ^ ahead[0][i >> 8] for i in range(65536)])


BYTE, LOW, HIGH = _tables()


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    view = memoryview(data)
    words = len(view) & ~3
    for word in view[:words].cast("I"):
        word ^= crc
        crc = LOW[word & 0xFFFF] ^ HIGH[word >> 16]
    for byte in view[words:]:
        crc = BYTE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


# -- the log

def space(length):
    return length + 7 & ~7


@dataclasses.dataclass
class Record:
    position: int
    end: int
    kind: int
    version: int
    crc: int
    batch: int
    time: int
    epoch: int
    payload: bytes


class Segment:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        head = next((h for h in (self.map[0:512], self.map[4096:4608]) if self.is_good(h)), None)
        if head is None:
            raise Broken("no header")
        (self.version, self.flags, self.partition, self.timeline, self.epoch, self.number, salt, self.start,
         self.prev_number, self.prev_end, self.prev_epoch, self.prev_crc, _, self.prev_time, _, _) = struct.unpack_from(
             "<HH16sQQQ8sQQQQIIQQQ", head, 4)
        if self.version != 1 or int(path.stem, 16) != self.number:
            raise Broken(f"{path}: version {self.version}, number {self.number}")
        self.seed = crc32c(struct.pack("<Q", self.epoch) + salt)
        self.room = self.start + (len(self.map) - DATA_OFFSET & ~7)
        self.end = None  # as a newer segment says

    @staticmethod
    def is_good(head):
        return len(head) == HEADER_BYTES and head[:4] == b"MSEG" and crc32c(head[:508]) == int.from_bytes(head[508:], "little")

    def bytes_at(self, position, length):
        at = DATA_OFFSET + position - self.start
        return self.map[at:at + length]

    def header(self, at, limit):
        """(bytes, kind, version, crc, batch, prev_crc, payload_crc, time) of a good header there, or None."""
        raw = self.bytes_at(at, RECORD_BYTES)
        if at + RECORD_BYTES > limit or raw[:4] != b"MSJL":
            return None
        _, length, kind, version, crc, position, batch, prev, payload, time = struct.unpack("<IIHHIQQIIQ", raw)
        if position != at or kind == 0 or not RECORD_BYTES <= length <= RECORD_BYTES + PAYLOAD_MAX:
            return None
        if at + space(length) > limit or not self.start <= batch <= at:
            return None
        return (length, kind, version, crc, batch, prev, payload, time) if crc == crc32c(
            raw[:12] + bytes(4) + raw[16:], self.seed) else None

    def find_header(self, at, limit):
        """The next good header at or behind `at`: its place, or limit."""
        offset = DATA_OFFSET + at - self.start
        while offset < len(self.map):  # in pieces: mmap.find of some Pythons reads behind the end
            piece, hit = self.map[offset:offset + PIECE], -1
            while (hit := piece.find(b"MSJL", hit + 1)) >= 0:
                at = offset + hit - DATA_OFFSET + self.start
                if at >= limit:
                    return limit
                if at % 8 == 0 and self.header(at, limit):
                    return at
            offset += PIECE  # a header lies on a multiple of 8, so none is cut
        return limit

    def greatest_batch(self, at, limit, batch):
        while (at := self.find_header(at, limit)) < limit:
            head = self.header(at, limit)
            batch = max(batch, head[4])
            at += space(head[0])
        return batch

    def records(self, damage, durable=0, limit=None):
        """Good records; damage(from, to). self.found is where the segment ends."""
        known, sealed = self.end is not None, self.end
        limit = min(sealed if known else self.room, self.room if limit is None else limit)
        at, prev, batch = self.start, self.prev_crc, -1
        while at < limit:
            head = self.header(at, limit)
            if head:
                batch = max(batch, head[4])
                payload = self.bytes_at(at + RECORD_BYTES, head[0] - RECORD_BYTES)
                if prev in (None, head[5]) and crc32c(payload) == head[6]:
                    end = at + space(head[0])
                    yield Record(at, end, head[1], head[2], head[3], head[4], head[7], self.epoch, payload)
                    at, prev = end, head[3]
                    continue
            to = at + space(head[0]) if head else self.find_header(at + 8, limit)
            prev = head[3] if head else None
            if not known:
                batch = self.greatest_batch(at, limit, batch)
                flushed = durable > batch
                if batch < 0 or (at >= batch and not flushed) or (to >= limit and not head):
                    break
                if not flushed and to > batch:
                    to, prev = batch, None
            damage(at, to)
            at = to
        self.found = max(at, sealed) if known else at

    def is_complete(self):
        """Opened by a recovery: did that finish?"""
        for rec in self.records(lambda *_: None):
            if rec.kind == RECOVERED and rec.batch == self.start:
                return True
        return self.greatest_batch(self.start, self.room, -1) > self.start


class Log:
    """The segments of a folder `journal` that are the log. Nothing is written."""

    def __init__(self, folder):
        files = {}
        for path in sorted(pathlib.Path(folder).glob("*.seg")):
            if re.fullmatch("[0-9a-f]{16}", path.stem) and path.stat().st_size > DATA_OFFSET:
                try:
                    segment = Segment(path)
                    files[segment.number] = segment
                except Broken as why:
                    if str(why) != "no header":
                        raise
        self.segments, self.holes = [], []
        number = max((n for n, s in files.items() if not s.flags & RECOVERY or s.is_complete()), default=None)
        newer = None
        while number is not None:
            segment = files[number]
            if newer and newer.prev_number == number:
                segment.end = max(segment.start, newer.prev_end)
                if newer.prev_end != newer.start:
                    self.holes.append((newer.prev_end, newer.start))
            elif newer:
                for _ in segment.records(lambda *_: None, limit=newer.start):
                    pass
                segment.end = segment.found
                self.holes.append((segment.end, newer.start))
            self.segments.insert(0, segment)
            newer = segment
            number = max((n for n, s in files.items() if n <= segment.prev_number and s.start <= segment.start),
                         default=None) if segment.prev_number else None
        first = self.segments[0] if self.segments else None
        self.complete = first is not None and not self.holes and first.start == 0 and first.prev_number == 0
        self.partition = first.partition if first else None

    def records(self, durable=0):
        """In order. What cannot be read goes to self.holes."""
        for segment in self.segments:
            yield from segment.records(lambda start, end: self.holes.append((start, end)), durable)

    def read(self, position, length):
        for segment in reversed(self.segments):
            if segment.start <= position:
                data = segment.bytes_at(position, length)
                if len(data) == length and (segment.end is None or position + length <= segment.end):
                    return data
                break
        raise Broken(f"positions {position}+{length} are not in the log")


# -- what an index says

@dataclasses.dataclass
class Account:
    owner: bytes = b""
    names: int = 0
    bytes: int = 0
    messages: int = 0
    bytes_max: int = 0
    messages_max: int = 0


@dataclasses.dataclass
class Name:
    subscribed: int = 0
    attrs: int = 0
    uidvalidity: int = 0
    mailbox: int = 0


@dataclasses.dataclass
class Mailbox:
    account: int
    uidvalidity: int
    name: bytes
    created: int
    uidnext: int = 1
    modseq: int = 1
    floor: int = 0
    bytes: int = 0
    exists: int = 0
    unseen: int = 0
    deleted: int = 0
    gone: int = 0
    gone_us: int = 0
    keywords: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Message:
    flags: int
    zone: int
    blob: int
    size: int
    modseq: int
    modseq_created: int
    date: int
    saved: int
    email: int
    thread: int
    keywords: int
    prefix: bytes


@dataclasses.dataclass
class Plan:
    move: int
    source: int
    target: int
    account: int
    complete: int = 0
    begin: int = 0
    end: int = 0
    time: int = 0


@dataclasses.dataclass
class Blob:
    flags: int
    refs: int
    size: int
    hash: bytes
    cache_at: tuple
    extents: tuple
    cache: bytes


@dataclasses.dataclass
class Entry:
    klass: int
    flags: int
    ret: int
    body: int
    blob: int
    blob_bytes: int
    arrival: int
    due: int
    attempts: int
    count: int
    pending: int
    texts: tuple  # hold reason, channel, host, sender, ENVID, trace
    tried: int = 0
    notices: int = 0


@dataclasses.dataclass
class Recipient:
    state: int
    notify: int
    recorded: int
    texts: tuple  # address, original, ORCPT, reason


class State:
    TABLES = ("blob", "blobext", "digest", "account", "name", "mailbox", "message", "expunged", "change", "delivered", "entry",
              "recipient", "stop", "copy", "plan", "chunk")

    def __init__(self):
        for table in self.TABLES:
            setattr(self, table, {})
        self.uidvalidity = 0
        self.mark = (0, 0, 0)  # position, epoch, crc
        self.log = None

    def bytes_of(self, message):
        """What a user reads."""
        blob = self.blob[message.blob]
        return message.prefix + b"".join(self.log.read(*extent) for extent in blob.extents)


# -- rows of the index

def texts(raw, at, count):
    out = []
    for _ in range(count):
        length, = struct.unpack_from("<H", raw, at)
        out.append(bytes(raw[at + 2:at + 2 + length]))
        at += 2 + length
    if at != len(raw):
        raise Broken("texts do not end with the row")
    return tuple(out)


def row(fmt, raw, version=1):
    """Fields behind the version byte, and the bytes behind them."""
    if raw[0] != version:
        raise Broken(f"row of version {raw[0]}")
    return struct.unpack_from("<" + fmt, raw, 1) + (raw[1 + struct.calcsize("<" + fmt):],)


def need(condition, what):
    if not condition:
        raise Broken(what)


def put_meta(state, key, raw):
    if key == b"format":
        need(row("I", raw)[0] == 1, "format")
    elif key == b"applied":
        *mark, _ = row("QQI", raw)
        state.mark = tuple(mark)
    elif key == b"uidvalidity":
        state.uidvalidity = row("I", raw)[0]
    elif key.startswith(b"copy "):
        move, _, source, target, account, _, runs = row("BHQQQQ", raw)
        state.copy[int(key[5:], 16)] = (move, source, target, account, runs_of(runs))
    elif key.startswith(b"plan ") and len(key) == 21:
        flags, zero, source, target, account, begin, end, seconds, none, rest = row("BHQQQIIII", raw)
        need(not zero and not none and not rest, "plan row")
        state.plan[int(key[5:], 16)] = Plan(flags & 1, source, target, account, flags >> 1, begin, end, seconds)
    elif key.startswith(b"plan "):
        need(raw[:4] == bytes((1, 0, 0, 0)), "chunk row")
        state.chunk[int(key[5:21], 16), int(key[22:], 16)] = runs_of(raw[4:])


def runs_of(raw):
    return tuple(struct.iter_unpack("<II", raw))


def put_blob(state, key, raw):
    flags, count, refs, size, digest, at, length, rest = row("BHIQ16sQI", raw)
    extents = tuple(struct.iter_unpack("<QI", rest[:12 * count]))
    need(sum(e[1] for e in extents) == size and refs > 0, "blob row")
    state.blob[int.from_bytes(key, "big")] = Blob(flags, refs, size, digest, (at, length), extents, rest[12 * count:])


def put_account(state, key, raw):
    _, length, names, size, messages, bytes_max, messages_max, owner = row("BHIQQQQ", raw)
    need(length == len(owner), "account row")
    state.account[int.from_bytes(key, "big")] = Account(owner, names, size, messages, bytes_max, messages_max)


def put_name(state, key, raw):
    state.name[int.from_bytes(key[:8], "big"), key[8:]] = Name(*row("BHIQ", raw)[:-1])


def put_mailbox(state, key, raw):
    (flags, name_len, count, keyword_len, account, uidvalidity, uidnext, modseq, floor, size, exists, unseen, deleted, created,
     gone_us, rest) = row("BHHHQIIQQQIIIIQ", raw)
    need(len(rest) == name_len + keyword_len, "mailbox row")
    keywords, at = [], name_len
    for _ in range(count):
        keywords.append(rest[at + 1:at + 1 + rest[at]])
        at += 1 + rest[at]
    need(at == len(rest), "keywords of a mailbox")
    state.mailbox[int.from_bytes(key, "big")] = Mailbox(account, uidvalidity, rest[:name_len], created, uidnext, modseq, floor,
                                                        size, exists, unseen, deleted, flags & 1, gone_us, keywords)


def put_message(table):
    def put(state, key, raw):
        (_, flags, zone, length, blob, size, modseq, created, date, saved, email, thread, low, high,
         prefix) = row("BHhHQQQQQQQQQQ", raw)
        need(length == len(prefix) and len(key) == 12, "message row")
        mailbox, uid = struct.unpack(">QI", key)
        getattr(state, table).setdefault(mailbox, {})[uid] = Message(flags, zone, blob, size, modseq, created, date, saved, email,
                                                                     thread, high << 64 | low, prefix)
    return put


def put_change(state, key, raw):
    what, _, seconds, runs = row("BHI", raw)
    mailbox, modseq = struct.unpack(">QQ", key)
    state.change.setdefault(mailbox, {})[modseq] = (what, seconds, runs_of(runs))


def put_delivered(state, key, raw):
    _, uid, mailbox, _ = row("3sIQ", raw)
    state.delivered[key[:16], key[16:32], int.from_bytes(key[32:], "big")] = (mailbox, uid)


def put_queue(state, key, raw):
    if len(key) == 16:
        notices, tried = 0, 0
        if raw[0] == 1:
            (klass, flags, ret, body, zeros, blob, size, arrival, due, attempts, count, pending, zero,
             rest) = row("BBBB3sQQQQIIII", raw)
        else:
            (klass, flags, ret, body, notices, zeros, blob, size, arrival, due, attempts, count, pending, zero, tried,
             rest) = row("BBBBB2sQQQQIIIIQ", raw, 2)
        need(not any(zeros) and not zero, "queue entry: zeros")
        state.entry[key] = Entry(klass, flags, ret, body, blob, size, arrival, due, attempts, count, pending, texts(rest, 0, 6),
                                 tried, notices)
    elif len(key) > 20:
        need(key[:20] == b"\xff" * 20 and len(key) <= 84 and 0 not in key[20:] and len(raw) == 9, "stopped channel")
        state.stop[key[20:]] = row("Q", raw)[0]
    else:
        status, notify, flags, rest = row("BBB", raw)
        state.recipient.setdefault(key[:16], {})[int.from_bytes(key[16:], "big")] = Recipient(status, notify, flags,
                                                                                              texts(rest, 0, 4))


def put_blobext(state, key, raw):
    state.blobext[int.from_bytes(key, "big")] = row("Q", raw)[0]


def put_digest(state, key, raw):
    row("", raw)
    state.digest[key[:16], int.from_bytes(key[16:], "big")] = True


DATABASES = {"meta": put_meta, "blob": put_blob, "blobext": put_blobext, "digest": put_digest, "account": put_account,
             "mboxlist": put_name, "mailbox": put_mailbox, "message": put_message("message"),
             "expunged": put_message("expunged"), "change": put_change, "delivered": put_delivered, "queue": put_queue}


def read_index(path, log=None):
    """An index or a checkpoint that nobody has open."""
    state = State()
    path = pathlib.Path(path)
    folder = path.parent.parent if path.parent.name == "checkpoints" else path.parent
    state.log = log or Log(folder / "journal")
    env = lmdb.open(str(path), subdir=False, readonly=True, lock=False, max_dbs=16, readahead=False)
    with env, env.begin() as txn:
        for name, put in DATABASES.items():
            for key, raw in txn.cursor(env.open_db(name.encode(), txn, create=False)):
                try:
                    put(state, key, raw)
                except (struct.error, IndexError) as why:
                    raise Broken(f"{name} {key.hex()}: {why}") from why
    return state
