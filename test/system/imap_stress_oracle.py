"""What must be true of all mailboxes together: every change that a client was told of, and those whose answer it never saw.

Commands of many sessions overlap, so a value is not known but bounded. An operation has an interval, from the moment it was sent to
the moment its answer was read. What a reader may see at a time in [s, e] are the values of all operations that began before e and
were not surely overwritten: no answered operation on the same flag began after they had ended and ended before s.
"""
import hashlib
import random
import time

INF = float("inf")
NO, YES = 1, 2  # a flag is not set, is set: bits of a mask of what is possible
BOTH = NO | YES
SYSTEM = ("\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft")
KEYWORDS = ("$forwarded", "$junk", "k1", "k2", "k3", "k4")
FLAGS = SYSTEM + KEYWORDS
SPELLED = {"\\answered": "\\Answered", "\\flagged": "\\Flagged", "\\deleted": "\\Deleted", "\\seen": "\\Seen",
           "\\draft": "\\Draft", "$forwarded": "$Forwarded", "$junk": "$Junk"}


class Difference(Exception):
    """The server and the model do not agree."""


class Op:
    """A change on its way: open until answered, then done or refused; doubt when the answer never came."""
    __slots__ = ("start", "end", "certain", "dropped")

    def __init__(self, start=None, end=INF, certain=False):
        self.start = time.monotonic() if start is None else start
        self.end = end
        self.certain = certain
        self.dropped = False

    def done(self, end):
        self.end = end
        self.certain = True

    def refused(self, end):
        self.end = end
        self.dropped = True
        self.certain = False


class Message:
    """What the test wrote: the same text every time for the same name."""

    def __init__(self, name, size):
        rnd = random.Random(name)
        words = [f"w{rnd.randrange(200)}" for _ in range(6)]
        lines = []
        while sum(map(len, lines)) < size:
            lines.append(" ".join(f"b{rnd.randrange(10 ** rnd.randrange(1, 7))}" for _ in range(rnd.randrange(1, 10))) + "\r\n")
        text = "".join(lines).encode()
        kind, end = "text/plain; charset=us-ascii", ""
        if rnd.random() < 0.2:
            kind = f'multipart/mixed; boundary="{name}"'
            cut = sum(map(len, lines[:len(lines) // 2]))
            text = (f"--{name}\r\nContent-Type: text/plain\r\n\r\n".encode() + text[:cut] +
                    f"\r\n--{name}\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=\"{name}.html\"\r\n\r\n"
                    .encode() + text[cut:])
            end = f"\r\n--{name}--\r\n"
        text += end.encode()
        self.name = name
        self.subject = f"{name} {' '.join(words)}"
        self.words = words
        self.sum = hashlib.sha256(text).hexdigest()
        self.sender = f"s{rnd.randrange(20)}@example.net"
        head = (f"From: <{self.sender}>\r\nTo: <someone@example.org>\r\nSubject: {self.subject}\r\nX-Stress-Id: {name}\r\n"
                f"X-Stress-Sum: {self.sum}\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{name}@example.net>\r\n"
                f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n")
        self.text = text
        self.bytes = head.encode() + text
        self.digest = hashlib.sha256(self.bytes).digest()


def own_checksum(raw):
    """Name of a message as fetched; the text must have the checksum that its header names."""
    head, _, text = raw.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line.startswith("X-Stress-"))
    if hashlib.sha256(text).hexdigest() != fields.get("X-Stress-Sum"):
        raise Difference(f"message {fields.get('X-Stress-Id')}: its text has another checksum than its header says")
    return fields["X-Stress-Id"]


class Rec:
    """A message in a mailbox, for ever: its UID is never used again."""
    __slots__ = ("uid", "name", "base", "flags", "born", "moves", "gone", "size", "digest", "date")

    def __init__(self, uid, name=None, base=BOTH, born=None):
        self.uid = uid
        self.name = name
        self.base = base  # mask of flags that have no history
        self.flags = {}  # flag -> [(op, mask)]
        self.born = born  # Op that made it; None: only seen
        self.moves = []  # Ops of MOVE that named it
        self.gone = None  # time from which nobody may find it
        self.size = None
        self.digest = None
        self.date = None

    def add(self, flag, op, mask):
        if flag not in self.flags:
            self.flags[flag] = [(Op(-INF, -INF, True), self.base)]
        self.flags[flag].append((op, mask))

    def possible(self, flag, start, end, own=()):
        """own: operations that have surely happened before the look."""
        history = self.flags.get(flag)
        if history is None:
            return self.base
        last = -INF
        for op, _ in history:
            if op.start > last and (op.certain and op.end < start or op in own):
                last = op.start
        mask = 0
        for op, value in history:
            if not op.dropped and op.start <= end and op.end >= last:
                mask |= value
        return mask

    def settle(self, flags, now):
        """All is quiet: what is there is the truth."""
        self.base = NO
        self.flags = {f: [(Op(-INF, -INF, True), YES)] for f in flags}
        self.moves = []


class Mailbox:
    def __init__(self, validity, user):
        self.validity = validity
        self.user = user
        self.recs = {}
        self.dead = {}  # UID -> name, of what was gone at a quiet point
        self.dead_count = {}  # name -> how many
        self.expunges = []  # (Op, set of UIDs or None for all)
        self.made = {}  # name -> [Op] of what was to make a message of that name here
        self.made_before = {}  # name -> messages ever seen up to the last quiet point
        self.deleted = None  # Op of DELETE
        self.modseq_flags = {}  # (uid, modseq) -> flags: the same for every session
        self.floors = []  # (time, MODSEQ seen), ascending: HIGHESTMODSEQ never falls below
        self.recent = {}  # uid -> session that had it as \Recent
        self.sessions = set()

    def __repr__(self):
        return f"mailbox {self.validity} of {self.user}"

    def rec(self, uid, name=None):
        rec = self.recs.get(uid)
        if rec is None and uid in self.dead:
            raise Difference(f"{self}: UID {uid} was {self.dead[uid]}, expunged, and is there again")
        if rec is None:
            rec = self.recs[uid] = Rec(uid)
        if name is not None:
            if rec.name is not None and rec.name != name:
                raise Difference(f"{self}: UID {uid} was {rec.name} and is {name}")
            rec.name = name
        return rec

    def expunged_by(self, rec):
        """An EXPUNGE, or the removal of the mailbox, may have taken it."""
        if self.deleted and not self.deleted.dropped:
            return True
        for op, uids in self.expunges:
            if not op.dropped and (uids is None or rec.uid in uids) and rec.possible("\\deleted", op.start, op.end) & YES:
                return True
        return False

    def may_be_gone(self, rec):
        return rec.gone is not None or any(not op.dropped for op in rec.moves) or self.expunged_by(rec)

    def see_gone(self, uid, now):
        """A session was told that it is gone: there must be a reason, and it stays so."""
        rec = self.rec(uid)
        if not self.may_be_gone(rec):
            raise Difference(f"{self}: UID {uid} ({rec.name}) was expunged, but nobody asked for it")
        if rec.gone is None:
            rec.gone = now

    def see_flags(self, uid, flags, modseq, start, end, own=()):
        rec = self.rec(uid)
        if rec.gone is not None and rec.gone < start:
            return  # what was stored since had no effect
        for flag in flags:
            if flag != "\\recent" and flag not in FLAGS:
                raise Difference(f"{self}: UID {uid} has flag {flag}, which nobody has ever set")
        plain = flags - {"\\recent"}
        if modseq is not None:
            known = self.modseq_flags.setdefault((uid, modseq), plain)
            if known != plain:
                raise Difference(f"{self}: UID {uid} at MODSEQ {modseq} had {sorted(known)} and has {sorted(plain)}")
        for flag in FLAGS:
            if not rec.possible(flag, start, end, own) & (YES if flag in plain else NO) and not self.may_be_gone(rec):
                raise Difference(f"{self}: UID {uid} ({rec.name}) {'has' if flag in plain else 'lacks'} {flag}, which cannot be: "
                                 f"history {history_text(rec, flag)}, seen at {start:.4f}-{end:.4f}")

    def see_modseq(self, now, modseq):
        if not self.floors or self.floors[-1][1] < modseq:
            self.floors.append((now, modseq))

    def make(self, name, op):
        self.made.setdefault(name, []).append(op)

    def born(self, uid, name, op, base):
        """The answer named its UID."""
        rec = self.rec(uid, name)
        if rec.born is not None and rec.born is not op:
            raise Difference(f"{self}: UID {uid} was given twice")
        rec.born = op
        if rec.base == BOTH:  # others may have seen and changed it before the answer was read
            rec.base = base.get(None, NO)
            for flag in FLAGS:
                mask = base.get(flag)
                if flag in rec.flags:
                    rec.flags[flag][0] = (Op(op.start, op.end, True), mask or rec.base)
                elif mask is not None:
                    rec.flags[flag] = [(Op(op.start, op.end, True), mask)]
        return rec

    def floor_uid(self):
        """No message that comes now may have a UID up to here."""
        return max(max(self.recs, default=0), max(self.dead, default=0))

    def is_there(self, rec, since):
        """It was surely there before `since`, and nobody may have removed it."""
        return rec.born is not None and rec.born.certain and rec.born.end < since and not self.may_be_gone(rec)

    def check_view(self, uids, since, what):
        """A session that looked at the mailbox after `since` has these UIDs."""
        for uid in uids:
            rec = self.recs.get(uid)
            if rec and rec.gone is not None and rec.gone < since:
                raise Difference(f"{what}: UID {uid} ({rec.name}) of {self} is back; it was gone {since - rec.gone:.3f} s before")
        for uid, rec in self.recs.items():
            if uid not in uids and self.is_there(rec, since):
                raise Difference(f"{what}: UID {uid} ({rec.name}) of {self} is missing; it came {since - rec.born.end:.3f} s before")

    # -- quiet points
    def settle(self, truth, now, doubtful):
        """truth: uid -> (name, flags, modseq). doubtful: makes of a name may be anywhere (mailboxes that are renamed)."""
        for uid, (name, flags, modseq) in truth.items():
            self.rec(uid, name)
            self.see_flags(uid, flags, modseq, now, now)
        for uid, rec in self.recs.items():
            if uid in truth:
                if rec.gone is not None:
                    raise Difference(f"{self}: UID {uid} ({rec.name}) was expunged and is there again")
            elif not self.may_be_gone(rec):
                raise Difference(f"{self}: UID {uid} ({rec.name}) is lost")
        self.count_makes(doubtful)
        for uid, rec in self.recs.items():
            if uid in truth:
                rec.settle(truth[uid][1], now)
        for uid in [u for u in self.recs if u not in truth]:
            rec = self.recs.pop(uid)
            self.dead[uid] = rec.name
            self.dead_count[rec.name] = self.dead_count.get(rec.name, 0) + 1
        self.floors = self.floors[-1:]
        self.expunges = []
        live = {(u, t[2]) for u, t in truth.items()}
        self.modseq_flags = {k: v for k, v in self.modseq_flags.items() if k in live}

    def count_ever(self):
        count = dict(self.dead_count)
        for rec in self.recs.values():
            if rec.name is not None:
                count[rec.name] = count.get(rec.name, 0) + 1
        return count

    def count_makes(self, doubtful):
        """As many messages of a name as were made: with an answer, or without one."""
        ever = self.count_ever()
        for name, count in ever.items():
            ops = self.made.get(name, [])
            new = count - self.made_before.get(name, 0)
            sure = sum(op.certain for op in ops)
            may = sum(not op.certain and not op.dropped for op in ops)
            if new < sure or (new > sure + may and not doubtful):
                uids = [(u, r.gone) for u, r in self.recs.items() if r.name == name]
                raise Difference(f"{self}: {new} new messages {name}, {sure} were made and {may} perhaps; makers "
                                 f"{[(op.start, op.end, op.certain) for op in ops]}, UIDs {uids}, before {self.made_before.get(name)}")
        for name, ops in self.made.items():
            if name not in ever and any(op.certain for op in ops):
                raise Difference(f"{self}: message {name} was acknowledged and never seen")
        self.made_before = ever
        self.made = {}


def history_text(rec, flag):
    return [(round(op.start, 4), round(op.end, 4), {NO: "unset", YES: "set", BOTH: "any"}[mask],
             "sure" if op.certain else "refused" if op.dropped else "doubt") for op, mask in rec.flags.get(flag, [])] or rec.base


class Transfer:
    """A COPY, MOVE or APPEND of several messages whose answer never came: all of it happened or nothing."""

    def __init__(self, ops, target, names, source=None, recs=()):
        self.ops = ops  # one a message
        self.target = target  # Mailbox
        self.names = names
        self.source = source  # Mailbox of a MOVE
        self.recs = recs  # what was to be copied or moved

    def check(self, truth):
        """Before the mailboxes are settled. truth: Mailbox -> {uid: ...}. True: it could be judged."""
        if any(op.certain or op.dropped for op in self.ops) or self.target not in truth:
            return False
        ever = self.target.count_ever()
        done = set()
        for i, name in enumerate(self.names):
            others = [op for op in self.target.made.get(name, []) if op is not self.ops[i]]
            if any(not op.certain and not op.dropped for op in others) or self.names.count(name) > 1:
                return False
            if self.recs and (self.recs[i].possible("\\deleted", self.ops[i].start, INF) & YES or self.recs[i].gone is not None):
                return False  # others may have removed the one or the other before anybody saw it
            new = ever.get(name, 0) - self.target.made_before.get(name, 0) - sum(op.certain for op in others)
            done.add(new)
            if self.source is not None and self.source in truth and len(self.recs[i].moves) == 1:
                here = self.recs[i].uid in truth[self.source]
                if here == (new == 1):
                    raise Difference(f"MOVE of {name} from {self.source} to {self.target} without an answer: "
                                     f"{'in both' if here else 'in neither'}")
        if len(done) > 1:
            raise Difference(f"{self.names} into {self.target} without an answer: a part of it happened")
        return True


class Oracle:
    def __init__(self):
        self.mailboxes = {}  # UIDVALIDITY -> Mailbox: the server uses none twice
        self.messages = {}  # name -> Message
        self.digests = {}  # name -> digest of the bytes: the same in every mailbox
        self.transfers = []
        self.fixed = {}  # (user, name) -> UIDVALIDITY of mailboxes that are never renamed
        self.latency = []
        self.counts = {}

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def mailbox(self, validity, user):
        box = self.mailboxes.get(validity)
        if box is None:
            box = self.mailboxes[validity] = Mailbox(validity, user)
        if box.user != user:
            raise Difference(f"UIDVALIDITY {validity} belongs to {box.user} and {user}")
        return box

    def named(self, user, name, validity):
        """A session found this mailbox under this name."""
        if (user, name) in self.fixed and self.fixed[user, name] != validity:
            raise Difference(f"{name} of {user} had UIDVALIDITY {self.fixed[user, name]} and has {validity}")
        return self.mailbox(validity, user)

    def message(self, name, size):
        m = self.messages[name] = Message(name, size)
        self.digests[name] = m.digest
        return m

    def see_bytes(self, raw):
        """A whole message as fetched: its name."""
        name = own_checksum(raw)
        m = self.messages.get(name)
        if m is None:
            raise Difference(f"message {name}, which nobody has written")
        digest = hashlib.sha256(raw).digest()
        if name not in self.digests:
            self.digests[name] = digest  # LMTP: the server puts fields in front
            if not raw.endswith(m.bytes):
                raise Difference(f"message {name} does not end with the bytes that were delivered")
        if self.digests[name] != digest:
            raise Difference(f"message {name}: other bytes than before")
        return name
