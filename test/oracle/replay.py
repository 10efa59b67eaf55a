"""The log applied to nothing: mailserverd-formats(5), RECORDS OF OPS to OPS OF THE QUEUE, from that page alone.

What is done behind damage (the page's Salvage) is not repeated here: replay says where the log has holes.
"""
import collections
import dataclasses
import struct

from formats import (FILLER, OPS, PART, SKIP, Account, Blob, Broken, Entry, Log, Mailbox, Message, Name, Plan, Recipient, State)

SEEN, DELETED = 1, 8
UIDS_MAX, NAMES_MAX, KEYWORDS_MAX, RENAME_MAX, DELETE_MAX = 1000, 10000, 128, 1364, 1000
INVALID, LIMIT, QUOTA, MISSING = "invalid value", "limit exceeded", "over quota", "not found"
EXISTS, GONE, UNSUPPORTED = "exists already", "referenced data is gone, send it again", "not supported"


class Refused(Exception):
    pass


def refuse_if(condition, reason):
    if condition:
        raise Refused(reason)


class Payload:
    """Reads an op; whatever does not fit refuses it."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, length):
        self.at += length
        refuse_if(self.at > len(self.raw), INVALID)
        return self.raw[self.at - length:self.at]

    def get(self, fmt):
        values = struct.unpack("<" + fmt, self.take(struct.calcsize("<" + fmt)))
        return values if len(values) > 1 else values[0]

    def upto(self, fmt, limit, least=0):
        value = self.get(fmt)
        refuse_if(not least <= value <= limit, INVALID)
        return value

    def text(self, limit, least=0):
        return self.take(self.upto("H", limit, least))

    def keywords(self):
        return [self.text(64, 1) for _ in range(self.upto("H", KEYWORDS_MAX))]

    def runs(self):
        runs = [self.get("II") for _ in range(self.upto("H", 512))]
        refuse_if(any(a > b for a, b in runs) or any(x[1] >= y[0] for x, y in zip([(0, 0)] + runs, runs)), INVALID)
        return runs

    def source(self):
        how = self.get("B")
        if how == 1:
            return Source(existing=self.get("Q"))
        refuse_if(how not in (2, 3), INVALID)
        source = Source()
        if how == 2:
            source.offset = self.upto("I", 3 << 20)
        else:
            source.parts = tuple(self.get("QI") for _ in range(self.upto("H", 8192, 1)))
        source.size, source.hash, source.flags, cache = self.get("Q16sBI")
        source.behind = self.get("I") if cache >> 31 else None
        source.cache_bytes = cache & 0x7FFFFFFF
        refuse_if(source.flags > 1 or source.cache_bytes > (1 << 20 if cache >> 31 else 1900), INVALID)
        source.cache = b"" if cache >> 31 else self.take(cache)
        if how == 2:
            refuse_if(source.size > 3 << 20, INVALID)
        else:
            ends = [0] + [position + length - 1 for position, length in source.parts]
            refuse_if(any(not 1 <= length <= 1 << 17 or position <= end or position >= 1 << 63
                          for (position, length), end in zip(source.parts, ends)), INVALID)
            refuse_if(sum(length for _, length in source.parts) != source.size, INVALID)
        return source

    def done(self):
        refuse_if(self.at != len(self.raw), INVALID)


@dataclasses.dataclass
class Source:
    existing: int = None
    offset: int = None
    parts: tuple = None
    size: int = 0
    hash: bytes = b""
    flags: int = 0
    behind: int = None
    cache_bytes: int = 0
    cache: bytes = b""


def as_runs(uids):
    runs = []
    for uid in uids:
        if runs and runs[-1][1] == uid - 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return tuple(map(tuple, runs))


class Replay:
    def __init__(self):
        self.state = State()
        self.record = None

    # -- records
    def apply(self, record):
        self.record, self.now = record, record.time
        self.settled = {}
        payload = record.payload
        meta, count, zero = struct.unpack_from("<IHH", payload)
        if zero or not count or not 8 <= meta <= min(1 << 20, len(payload)):
            raise Broken(f"record {record.position}: container")
        self.meta, at = meta, 8
        for self.index in range(count):
            kind, version, length = struct.unpack_from("<HHI", payload, at)
            raw = payload[at + 8:at + 8 + length]
            at += 8 + length
            if at > meta or (kind, version) not in self.OPS:
                raise Broken(f"record {record.position}: op {kind} version {version}")
            self.refs, self.fresh = collections.Counter(), {}
            try:
                self.OPS[kind, version](self, Payload(raw))
            except Refused:
                pass
            self.end_blobs()
        if at != meta:
            raise Broken(f"record {record.position}: ops do not fill it")

    # -- blobs
    def blob_of(self, source):
        """(id, size) of what a source names."""
        if source.existing is not None:
            refuse_if(source.existing not in self.state.blob, GONE)
            return source.existing, self.state.blob[source.existing].size
        base = self.record.position + 48 + self.meta
        room = len(self.record.payload) - self.meta
        cache_at = (0, 0)
        if source.behind is not None:
            if source.behind + source.cache_bytes > room:
                raise Broken("cache outside its record")
            cache_at = (base + source.behind, source.cache_bytes)
        if source.parts:
            extents = source.parts
            if extents[-1][0] > self.record.position:
                raise Broken("part behind its op")
        else:
            if source.offset + source.size > room:
                raise Broken("message outside its record")
            extents = ((base + source.offset, source.size),) if source.size else ()
        blob = source.parts[0][0] if source.parts else base + source.offset
        if blob not in self.state.blob:
            self.fresh[blob] = Blob(source.flags, 0, source.size, source.hash, cache_at, extents, source.cache)
        return blob, source.size

    def end_blobs(self):
        for blob, change in self.refs.items():
            row = self.state.blob.get(blob) or self.fresh[blob]
            row.refs += change
            if row.refs < 0:
                raise Broken(f"blob {blob}: fewer than no references")
            self.state.blob[blob] = row
            if row.refs == 0:
                del self.state.blob[blob]

    # -- parts of ops
    def account(self, number):
        refuse_if(number not in self.state.account, MISSING)
        return self.state.account[number]

    def live(self, number):
        box = self.state.mailbox.get(number)
        refuse_if(box is None or box.gone, MISSING)
        return box

    def place(self, account, mailbox):
        box = self.live(mailbox)
        refuse_if(box.account != account, MISSING)
        refuse_if(box.uidnext == 0xFFFFFFFF, LIMIT)
        return self.account(account), box

    @staticmethod
    def limits(account, size, messages, bytes_max, messages_max):
        refuse_if(bytes_max and account.bytes + size > bytes_max, QUOTA)
        refuse_if(messages_max and account.messages + messages > messages_max, QUOTA)

    @staticmethod
    def numbers(known, names, add=True):
        """Bits of keyword names, and the list with those that are new."""
        known, bits = list(known), 0
        lower = {name.lower(): number for number, name in reversed(list(enumerate(known)))}
        for name in names:
            if name.lower() not in lower:
                if not add:
                    continue
                refuse_if(len(known) == KEYWORDS_MAX, LIMIT)
                lower[name.lower()] = len(known)
                known.append(name)
            bits |= 1 << lower[name.lower()]
        return bits, known

    def pick(self, mailbox, runs):
        """(UID, message) that exist in the runs, ascending."""
        there = self.state.message.get(mailbox, {})
        wanted = []
        for first, last in runs:
            if last - first < len(there):
                wanted += [uid for uid in range(first, last + 1) if uid in there]
            else:
                wanted += sorted(uid for uid in there if first <= uid <= last)
        refuse_if(len(wanted) > UIDS_MAX, LIMIT)
        return [(uid, there[uid]) for uid in wanted]

    def count(self, box, message, sign):
        box.exists += sign
        box.unseen += sign * (not message.flags & SEEN)
        box.deleted += sign * bool(message.flags & DELETED)

    def add(self, number, box, message, modseq):
        uid = box.uidnext
        message.modseq = message.modseq_created = box.modseq = modseq
        message.saved = message.saved or self.now
        self.state.message.setdefault(number, {})[uid] = message
        box.uidnext += 1
        box.bytes += message.size
        self.count(box, message, 1)
        account = self.state.account[box.account]
        account.messages += 1
        account.bytes += message.size
        self.refs[message.blob] += 1
        return uid

    def remove(self, number, box, uid, modseq):
        message = self.state.message[number].pop(uid)
        message.modseq = box.modseq = modseq
        self.state.expunged.setdefault(number, {})[uid] = message
        box.bytes -= message.size
        self.count(box, message, -1)
        account = self.state.account[box.account]
        account.messages -= 1
        account.bytes -= message.size

    def enter(self, number, box, what, uids):
        self.state.change.setdefault(number, {})[box.modseq] = (what, self.now // 1000000, as_runs(uids))

    # -- accounts and names
    def make(self, account, name, attrs, subscribed, n=0, wanted=0):
        number = self.record.position + 8 * self.index + 1 + n
        given = wanted or max(self.now // 1000000, self.state.uidvalidity + 1)
        self.state.uidvalidity = max(given, self.state.uidvalidity)
        self.state.account[account].names += (account, name) not in self.state.name
        self.state.name[account, name] = Name(subscribed, attrs, given, number)
        self.state.mailbox[number] = Mailbox(account, given, name, self.now // 1000000)

    def has_mailbox(self, account, name):
        row = self.state.name.get((account, name))
        return row is not None and row.mailbox != 0

    def account_create(self, op):
        account, owner = op.get("Q"), op.text(255)
        folders = [(op.get("H"), op.upto("B", 1), op.text(480, 1)) for _ in range(op.upto("B", 7))]
        op.done()
        row = self.state.account.setdefault(account, Account(owner))
        row.owner = owner or row.owner
        for n, (attrs, subscribed, name) in enumerate(folders):
            if not self.has_mailbox(account, name):
                self.make(account, name, attrs, subscribed, n)

    def account_delete(self, op):
        account = op.get("Q")
        op.done()
        row = self.account(account)
        names = sorted(name for owner, name in self.state.name if owner == account)
        for name in names[:DELETE_MAX]:
            number = self.state.name.pop((account, name)).mailbox
            row.names -= 1
            if number:
                self.mailbox_gone(row, number)
        if len(names) <= DELETE_MAX:
            del self.state.account[account]

    def mailbox_gone(self, row, number):
        box = self.state.mailbox[number]
        box.gone, box.gone_us = 1, self.now
        box.modseq += 1
        self.enter(number, box, 3, ())
        row.messages -= box.exists
        row.bytes -= box.bytes

    def mailbox_create_1(self, op):
        self.mailbox_create(op, False)

    def mailbox_create(self, op, wishes=True):
        account, attrs = op.get("Q"), op.get("H")
        wanted, name = op.upto("I", 0xEFFFFFFF) if wishes else 0, op.text(480, 1)
        op.done()
        row = self.account(account)
        if wanted and self.has_mailbox(account, name):
            listed = self.state.name[account, name]
            box = self.state.mailbox[listed.mailbox]
            refuse_if(box.exists or box.uidnext != 1 or listed.uidvalidity == wanted, EXISTS)
            attrs |= listed.attrs
            self.mailbox_gone(row, listed.mailbox)
            self.state.name[account, name] = Name(subscribed=listed.subscribed)
        self.make_named(account, name, attrs, wanted)

    def make_named(self, account, name, attrs, wanted=0):
        refuse_if(self.has_mailbox(account, name), EXISTS)
        old = self.state.name.get((account, name))
        refuse_if(old is None and self.account(account).names >= NAMES_MAX, LIMIT)
        self.make(account, name, attrs, old.subscribed if old else 0, wanted=wanted)

    def mailbox_delete(self, op):
        account, name = op.get("Q"), op.text(480, 1)
        op.done()
        refuse_if(name == b"INBOX", INVALID)
        row = self.account(account)
        refuse_if(not self.has_mailbox(account, name), MISSING)
        listed = self.state.name[account, name]
        self.mailbox_gone(row, listed.mailbox)
        if listed.subscribed:
            self.state.name[account, name] = Name(subscribed=1)
        else:
            del self.state.name[account, name]
            row.names -= 1

    def mailbox_rename_1(self, op):
        self.mailbox_rename(op, True)

    def mailbox_rename(self, op, takes_subscriptions=False):
        account, source, target = op.get("Q"), op.text(480, 1), op.text(480, 1)
        op.done()
        row = self.account(account)
        if source == b"INBOX":
            refuse_if(not self.has_mailbox(account, source), MISSING)
            refuse_if(self.state.mailbox[self.state.name[account, source].mailbox].exists, UNSUPPORTED)
            return self.make_named(account, target, 0)
        refuse_if(source == target, EXISTS)
        refuse_if(target.startswith(source + b"/"), INVALID)
        names = sorted(n for a, n in self.state.name if a == account and (n == source or n.startswith(source + b"/"))
                       and self.has_mailbox(a, n))
        refuse_if(len(names) > RENAME_MAX, LIMIT)
        refuse_if(not names, MISSING)
        refuse_if(self.has_mailbox(account, target), EXISTS)
        moves = [(name, target + name[len(source):]) for name in names]
        for _, new in moves:
            refuse_if(len(new) > 480 or new.count(b"/") > 31, LIMIT)
            refuse_if(self.has_mailbox(account, new), EXISTS)
        grow = sum(self.state.name[account, old].subscribed and (account, new) not in self.state.name for old, new in moves)
        refuse_if(not takes_subscriptions and row.names + grow > NAMES_MAX, LIMIT)
        for old, new in moves:
            before = self.state.name.get((account, new))
            row.names -= before is not None
            listed = self.state.name.pop((account, old))
            self.state.name[account, new] = listed
            if not takes_subscriptions:  # version 2: a subscription belongs to the name
                if listed.subscribed:
                    self.state.name[account, old] = Name(subscribed=1)
                    row.names += 1
                listed.subscribed = before.subscribed if before else 0
            self.state.mailbox[listed.mailbox].name = new

    def mailbox_attr(self, op):
        account, mask, attrs, subscribed = op.get("Q"), op.upto("B", 3), op.get("H"), op.upto("B", 1)
        name = op.text(480, 1)
        op.done()
        row = self.account(account)
        refuse_if(mask & 1 and not self.has_mailbox(account, name), MISSING)
        there = (account, name) in self.state.name
        listed = self.state.name.get((account, name), Name())
        if not there:
            if not (mask & 2 and subscribed):
                return
            refuse_if(row.names >= NAMES_MAX, LIMIT)
            row.names += 1
            self.state.name[account, name] = listed
        if mask & 1:
            listed.attrs = attrs
        if mask & 2:
            listed.subscribed = subscribed
        if not listed.mailbox and not listed.subscribed:
            del self.state.name[account, name]
            row.names -= 1

    def mailbox_purge(self, op):
        number = op.get("Q")
        op.done()
        refuse_if(number not in self.state.mailbox, MISSING)
        refuse_if(not self.state.mailbox[number].gone, INVALID)
        left = UIDS_MAX - 1
        for table in (self.state.message, self.state.expunged, self.state.change):
            rows = table.get(number, {})
            for key in sorted(rows)[:left]:
                row = rows.pop(key)
                left -= 1
                if table is not self.state.change:
                    self.refs[row.blob] -= 1
        if left:
            del self.state.mailbox[number]

    def quota_set(self, op):
        account, bytes_max, messages_max = op.get("QQQ")
        op.done()
        row = self.account(account)
        row.bytes_max, row.messages_max = bytes_max, messages_max

    # -- messages
    def deliver(self, op):
        source, date, zone = op.source(), op.get("Q"), op.get("h")
        queued = (op.take(16), op.take(16)) if op.upto("B", 1) else None
        targets = [(op.get("QQQQI"), op.upto("H", 31), op.text(255), op.text(480), op.text(1024))
                   for _ in range(op.upto("H", 1000, 1))]
        op.done()
        try:
            blob, size = self.blob_of(source)
        except Refused as why:
            self.settled.update((target[0][4], str(why)) for target in targets)
            return
        modseqs = {}  # mailboxes that this op has been to
        for (account, mailbox, bytes_max, messages_max, recipient), flags, _, _, prefix in targets:
            self.settled[recipient] = ""
            if queued and (*queued, recipient) in self.state.delivered:
                continue
            try:
                row, box = self.place(account, mailbox)
                self.limits(row, size + len(prefix), 1, bytes_max, messages_max)
            except Refused as why:
                self.settled[recipient] = str(why)
                continue
            modseq = modseqs.setdefault(mailbox, box.modseq + 1)
            uid = self.add(mailbox, box, Message(flags, zone, blob, size + len(prefix), 0, 0, date, 0, blob, 0, 0, prefix), modseq)
            if queued:
                self.state.delivered[(*queued, recipient)] = (mailbox, uid)

    def append_1(self, op):
        source, (account, mailbox, date), zone = op.source(), op.get("QQQ"), op.get("h")
        limits, flags, keywords = op.get("QQ"), op.upto("H", 31), op.keywords()
        op.text(255), op.text(480)
        op.done()
        self.append_all(account, mailbox, limits, [(source, date, zone, 0, 0, flags, keywords)])

    def append(self, op):
        (account, mailbox), limits = op.get("QQ"), op.get("QQ")
        op.text(255), op.text(480)
        messages = [(op.source(), op.get("Q"), op.get("h"), op.get("Q"), op.get("I"), op.upto("H", 31), op.keywords())
                    for _ in range(op.upto("H", 256, 1))]
        op.done()
        self.append_all(account, mailbox, limits, messages)

    def append_all(self, account, mailbox, limits, messages):
        blobs = [self.blob_of(message[0]) for message in messages]
        row, box = self.place(account, mailbox)
        uid, uids = box.uidnext, []
        for message in messages:
            refuse_if(message[4] and message[4] < uid, INVALID)
            uid = max(uid, message[4])
            refuse_if(uid == 0xFFFFFFFF, LIMIT)
            uids.append(uid)
            uid += 1
        self.limits(row, sum(size for _, size in blobs), len(messages), *limits)
        known, bits = box.keywords, []
        for message in messages:
            one, known = self.numbers(known, message[6])
            bits.append(one)
        box.keywords, modseq = known, box.modseq + 1
        for (_, date, zone, saved, _, flags, _), (blob, size), uid, keywords in zip(messages, blobs, uids, bits):
            box.uidnext = uid
            self.add(mailbox, box, Message(flags, zone, blob, size, 0, 0, date, saved, blob, 0, keywords, b""), modseq)

    def flags(self, op):
        number, how, flags, since = op.get("Q"), op.upto("B", 2), op.upto("H", 31), op.get("Q")
        keywords, runs = op.keywords(), op.runs()
        op.done()
        box = self.live(number)
        bits, known = self.numbers(box.keywords, keywords, how != 2)
        changed = []
        for uid, message in self.pick(number, runs):
            new = (flags, bits) if how == 0 else (message.flags | flags, message.keywords | bits) if how == 1 else (
                message.flags & ~flags, message.keywords & ~bits)
            if not (since and message.modseq > since) and new != (message.flags, message.keywords):
                changed.append((uid, message, new))
        if not changed:
            return
        box.keywords = known
        box.modseq += 1
        for _, message, new in changed:
            self.count(box, message, -1)
            message.flags, message.keywords = new
            message.modseq = box.modseq
            self.count(box, message, 1)
        self.enter(number, box, 1, [uid for uid, _, _ in changed])

    def expunge(self, op):
        number, all_of_them, runs = op.get("Q"), op.upto("B", 1), op.runs()
        op.done()
        box = self.live(number)
        self.account(box.account)
        uids = [uid for uid, message in self.pick(number, runs) if all_of_them or message.flags & DELETED]
        if uids:
            modseq = box.modseq + 1
            for uid in uids:
                self.remove(number, box, uid, modseq)
            self.enter(number, box, 2, uids)

    def copy(self, op):
        source, target, account = op.get("QQQ")
        move = op.upto("B", 1)
        bytes_max, messages_max, whole_bytes, whole_messages, first = op.get("QQQIQ")
        runs, left = op.runs(), op.runs()
        op.done()
        part = first or self.record.position
        try:
            self.copy_now(source, target, account, move, (bytes_max, messages_max), (whole_bytes, whole_messages), first, runs)
        except Refused:
            if first:
                self.state.copy.pop(first, None)
            raise
        if left:
            self.state.copy[part] = (move, source, target, account, tuple(left))
        elif first:
            self.state.copy.pop(first, None)

    def copy_now(self, source, target, account, move, limits, whole, first, runs):
        box, to, row = self.copy_ends(source, target, account)
        picked = self.pick(source, runs)
        refuse_if(len(picked) > 0xFFFFFFFF - to.uidnext, LIMIT)
        if not first:
            self.copy_room(box, row, account, move, (max(sum(m.size for _, m in picked), whole[0]),
                                                     max(len(picked), whole[1])), limits)
        self.copy_picked(source, target, box, to, move, picked)

    def copy_ends(self, source, target, account):
        box = self.live(source)
        to = self.live(target)
        refuse_if(to.account != account, MISSING)
        self.account(box.account)
        return box, to, self.account(account)

    def copy_room(self, box, row, account, move, whole, limits):
        if whole[1] and not (move and box.account == account):
            self.limits(row, *whole, *limits)

    def copy_picked(self, source, target, box, to, move, picked):
        refuse_if(len(picked) > 0xFFFFFFFF - to.uidnext, LIMIT)
        known, number_of = to.keywords, {}
        if source != target:
            used = 0
            for _, message in picked:
                used |= message.keywords
            for number, name in enumerate(box.keywords):
                if used >> number & 1:
                    number_of[number], known = self.numbers(known, [name])
        if not picked:
            return
        to.keywords = known
        to_modseq = to.modseq + 1
        from_modseq = to_modseq if source == target else box.modseq + 1
        for uid, message in picked:
            bits = message.keywords if source == target else sum(
                {bit for number, bit in number_of.items() if message.keywords >> number & 1})
            self.add(target, to, dataclasses.replace(message, keywords=bits, saved=0), to_modseq)
            if move:
                self.remove(source, box, uid, from_modseq)
        if move:
            self.enter(source, box, 2, [uid for uid, _ in picked])

    def copy_begin(self, op):
        number, flags = op.get("Q"), op.upto("B", 7)
        source, target, account, bytes_max, messages_max, whole_bytes, whole_messages = op.get("QQQQQQI")
        runs = [op.get("II") for _ in range(op.upto("I", 8192))]
        refuse_if(any(a > b for a, b in runs) or any(x[1] >= y[0] for x, y in zip([(0, 0)] + runs, runs)), INVALID)
        op.done()
        plan = number or self.record.position
        if flags & 2:
            refuse_if(number, INVALID)
            refuse_if(plan in self.state.plan, EXISTS)
            box, _, row = self.copy_ends(source, target, account)
            self.copy_room(box, row, account, flags & 1, (whole_bytes, whole_messages), (bytes_max, messages_max))
            made = Plan(flags & 1, source, target, account)
        else:
            refuse_if(plan not in self.state.plan, GONE)
            made = self.state.plan[plan]
        chunks = [tuple(runs[at:at + 512]) for at in range(0, len(runs), 512)]
        refuse_if(made.complete, INVALID)
        refuse_if(made.end + len(chunks) > 2048, LIMIT)
        made.complete = flags >> 2
        self.state.plan[plan] = made
        for chunk in chunks:
            self.state.chunk[plan, made.end] = chunk
            made.end += 1
        made.time = self.now // 1000000

    def copy_step(self, op):
        number, limit = op.get("Q"), op.upto("H", UIDS_MAX)
        op.done()
        plan = number or self.record.position
        refuse_if(plan not in self.state.plan, GONE)
        made = self.state.plan[plan]
        refuse_if(limit and not made.complete, INVALID)
        if limit:
            try:
                box, to, _ = self.copy_ends(made.source, made.target, made.account)
                begin, rest, picked = self.copy_next(plan, made, limit)
                self.copy_picked(made.source, made.target, box, to, made.move, picked)
            except Refused:
                self.drop_plan(plan)
                raise
            for n in range(made.begin, begin):
                del self.state.chunk[plan, n]
            made.begin = begin
            if rest:
                self.state.chunk[plan, begin] = rest
            made.time = self.now // 1000000
        if not limit or made.begin == made.end:
            self.drop_plan(plan)

    def copy_next(self, plan, made, limit):
        """First chunk that is not used up, what is left of it (if less than before), and the messages taken."""
        there, picked = self.state.message.get(made.source, {}), []
        for number in range(made.begin, min(made.end, made.begin + 16)):
            runs = self.state.chunk[plan, number]
            for at, (first, last) in enumerate(runs):
                for uid in sorted(uid for uid in there if first <= uid <= last):
                    if len(picked) == limit:
                        return number, ((uid, last), *runs[at + 1:]), picked
                    picked.append((uid, there[uid]))
        return min(made.end, made.begin + 16), None, picked

    def drop_plan(self, plan):
        for key in [key for key in self.state.chunk if key[0] == plan]:
            del self.state.chunk[key]
        del self.state.plan[plan]

    def purge(self, op):
        number, modseq = op.get("QQ")
        op.done()
        box = self.live(number)
        modseq = min(modseq, box.modseq)
        if modseq <= box.floor:
            return
        changes, expunged, removed = self.state.change.get(number, {}), self.state.expunged.get(number, {}), 0
        for at in sorted(changes):
            what, _, runs = changes[at]
            if at > modseq:
                break
            if removed and removed + 1 + sum(b - a + 1 for a, b in runs) > UIDS_MAX:
                return
            for uid in [u for a, b in runs for u in range(a, b + 1)] if what == 2 else ():
                if uid in expunged:
                    self.refs[expunged.pop(uid).blob] -= 1
                    removed += 1
            del changes[at]
            removed += 1
            box.floor = at
        box.floor = modseq

    def forget_delivered(self, op):
        key = op.take(16), op.take(16), op.get("I")
        op.done()
        refuse_if(key not in self.state.delivered, MISSING)
        del self.state.delivered[key]

    # -- the queue
    def entry(self, name):
        refuse_if(name not in self.state.entry, MISSING)
        return self.state.entry[name]

    def drop(self, name):
        self.refs[self.state.entry.pop(name).blob] -= 1
        del self.state.recipient[name]

    def enqueue(self, op):
        source, name, arrival, due = op.source(), op.take(16), op.get("Q"), op.get("Q")
        klass, flags, ret, body = op.upto("B", 4), op.upto("B", 3), op.upto("B", 2), op.upto("B", 2)
        texts = tuple(op.text(limit) for limit in (512, 64, 255, 512, 512, 64))
        recipients = {}
        for _ in range(op.upto("H", 1000, 1)):
            number, notify = op.upto("I", 0xFFFFFFFE), op.upto("B", 15)
            refuse_if(recipients and number <= max(recipients), INVALID)
            recipients[number] = Recipient(0, notify, 0, (op.text(512), op.text(512), op.text(512), b""))
        op.done()
        refuse_if(name in self.state.entry, EXISTS)
        blob, size = self.blob_of(source)
        self.refs[blob] += 1
        count = len(recipients)
        self.state.entry[name] = Entry(klass, flags, ret, body, blob, size, arrival, due, 0, count, count, texts)
        self.state.recipient[name] = recipients

    def result_1(self, op):
        self.result(op, False)

    def result(self, op, dated=True):
        name, due, count = op.take(16), op.get("Q"), 1
        if dated:
            tried, notices, count = op.get("Q"), op.get("B"), op.upto("B", 1)
        outcomes = [(op.get("I"), op.upto("B", 2), op.upto("B", 3), op.text(512)) for _ in range(op.upto("H", 1000))]
        op.done()
        entry = self.entry(name)
        if not entry.pending:
            return
        entry.attempts += count
        entry.due = due
        if dated:
            entry.tried, entry.notices = tried, notices
        for number, status, flags, reason in outcomes:
            recipient = self.state.recipient[name].get(number)
            if recipient is None or recipient.state:
                continue
            if flags & 2 and status == 1 and (why := self.settled.get(number, MISSING)):
                status, flags = 0, 0
                reason = (("4.2.2 " if why == QUOTA else "4.3.0 ") + why).encode()
            recipient.state, recipient.recorded = status, recipient.recorded | flags & 1
            recipient.texts = recipient.texts[:3] + (reason,)
            entry.pending -= status != 0
        if not entry.pending and not any(r.recorded for r in self.state.recipient[name].values()):
            self.drop(name)

    def forget(self, op):
        name = op.take(16)
        op.done()
        refuse_if(self.entry(name).pending, "busy")
        self.drop(name)

    def hold(self, op):
        name, hold, reason = op.take(16), op.upto("B", 1), op.text(512)
        op.done()
        entry = self.entry(name)
        entry.flags = entry.flags & ~1 | hold
        entry.texts = (reason if hold else b"",) + entry.texts[1:]

    def delete(self, op):
        name = op.take(16)
        op.done()
        self.entry(name)
        self.drop(name)

    def stop(self, op):
        stop, since, name = op.upto("B", 1), op.get("Q"), bytes(op.text(64, 1))
        refuse_if(0 in name, INVALID)
        op.done()
        refuse_if(stop and name in self.state.stop, EXISTS)
        refuse_if(not stop and name not in self.state.stop, MISSING)
        if stop:
            self.state.stop[name] = since
        else:
            del self.state.stop[name]

    def hole(self, op):
        """Damage that a server knew of (the page's Salvage)."""

    OPS = {(kind, 1): apply for kind, apply in {
        1: hole,
        16: account_create, 17: mailbox_create_1, 18: mailbox_delete, 19: mailbox_rename_1, 20: mailbox_attr, 21: mailbox_purge,
        22: deliver, 23: append_1, 24: flags, 25: expunge, 26: copy, 27: purge, 28: quota_set, 29: forget_delivered,
        30: account_delete, 31: copy_begin, 32: copy_step,
        64: enqueue, 65: result_1, 66: forget, 67: hold, 68: delete, 69: stop}.items()} | {(17, 2): mailbox_create, (19, 2): mailbox_rename, (23, 2): append, (65, 2): result}


def read_log(folder, until=None):
    """The state after all records before position `until` (None: all). Needs a log from position 0."""
    log = Log(folder)
    if not log.complete:
        raise Broken(f"{folder}: the log does not begin at 0 or has a hole: {log.holes}")
    records = []
    for record in log.records():
        records.append(record if record.kind != PART else dataclasses.replace(record, payload=b""))
    skips = {int.from_bytes(r.payload[:8], "little") for r in records if r.kind == SKIP}
    replay = Replay()
    replay.state.log = log
    for record in records:
        if until is not None and record.position >= until:
            break
        if record.kind == OPS and record.position not in skips:
            if record.version != 1:
                raise Broken(f"record {record.position}: version {record.version}")
            replay.apply(record)
        elif OPS < record.kind or record.kind == FILLER and any(record.payload):
            raise Broken(f"record {record.position}: kind {record.kind}")
        replay.state.mark = (record.end, record.epoch, record.crc)
    for number, blob in replay.state.blob.items():
        derive(replay.state, number, blob)
    return replay.state


def derive(state, number, blob):
    """Rows that follow from a blob."""
    for position, _ in blob.extents:
        if position != number:
            state.blobext[position] = number
    at, length = blob.cache_at
    if length and (len(blob.extents) > 1 or at != (blob.extents[0][0] if blob.extents else number) + blob.size):
        state.blobext[at] = number
    if blob.flags & 1:
        state.digest[blob.hash, number] = True
