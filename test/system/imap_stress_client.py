"""The clients: each does one thing after another, as the dice say, and checks its answers against the oracle."""
import asyncio
import random
import time

from imap_stress_oracle import BOTH, FLAGS, NO, SPELLED, YES, Difference, Op, Transfer
from imap_stress_session import Literal, Lost, Session, View

NAME_ITEM = "BODY.PEEK[HEADER.FIELDS (X-STRESS-ID)]"
FIXED = ("INBOX", "Alpha", "Beta")
VOLATILE = ("Vol", "VolRenamed")
MODES = ("rev1", "condstore", "qresync", "rev2")
MESSAGES_AIM = 60  # of a mailbox


def set_text(numbers):
    """A sequence set of ascending numbers, with ranges."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in out)


def spelled(flags):
    return "(" + " ".join(SPELLED.get(f, f) for f in flags) + ")"


class Client:
    def __init__(self, run, number, user):
        self.run = run
        self.oracle = run.oracle
        self.number = number
        self.user = user
        self.rnd = random.Random(f"{run.seed}/{number}")
        self.mode = MODES[number % len(MODES)]
        self.session = None
        self.sessions = 0
        self.messages = 0
        self.cache = None  # for QRESYNC: (mailbox name, UIDVALIDITY, HIGHESTMODSEQ, {uid: (flags, modseq)})
        self.name = None
        self.doing = ""

    # -- session
    def has(self, capability):
        if self.mode == "rev1" and capability in ("CONDSTORE", "ESEARCH", "SEARCHRES"):
            return False  # such a client knows nothing of it
        return capability in self.session.capabilities

    async def connect(self):
        self.sessions += 1
        s = self.session = Session(self.run, f"c{self.number}s{self.sessions}", self.user)
        await s.open(small_buffers=self.number % 10 == 7)
        await s.login()
        wanted = {"condstore": ("CONDSTORE", "CONDSTORE"), "qresync": ("QRESYNC", "QRESYNC"), "rev2": ("IMAP4REV2", "IMAP4rev2")}
        need, word = wanted.get(self.mode, (None, None))
        if need and self.has(need) and self.has("ENABLE"):
            cmd = await s.command("ENABLE", word)
            if need not in s.enabled:
                raise Difference(f"ENABLE {word}: {[r.words for r in cmd.others if r.kind == 'enabled']}")
            self.run.count("enabled " + word)

    async def ready(self):
        if self.session is None or self.session.lost:
            await self.connect()
        v = self.session.view
        if v is None or (v.box.deleted and v.box.deleted.certain):
            await self.select()
        await self.learn()

    def keep(self):
        """What a client with QRESYNC keeps over a lost connection."""
        s = self.session
        v = s.view if s else None
        if v and v.box and v.highest and "QRESYNC" in s.enabled and self.name in FIXED:
            end = v.uids.index(None) if None in v.uids else len(v.uids)  # below it nothing is unknown
            if any(u not in v.flags for u in v.uids[:end]):
                return  # it is not sure what they have: what was kept before is as good as ever
            kept = {u: (v.flags[u], v.modseqs.get(u, 0)) for u in v.uids[:end]}
            self.cache = (self.name, v.box.validity, v.highest, kept)

    # -- the way of a client
    async def live(self):
        actions = ((self.do_store, 16), (self.do_fetch_flags, 8), (self.do_fetch_bytes, 8), (self.do_append, 10), (self.do_copy, 7),
                   (self.do_move, 8), (self.do_search, 10), (self.do_idle, 8), (self.do_expunge, 6), (self.do_noop, 8),
                   (self.do_status, 4), (self.do_select, 4), (self.do_pipeline, 5), (self.do_slow, 2), (self.do_cut, 2),
                   (self.do_cut_literal, 2), (self.do_logout, 1), (self.do_close, 2), (self.do_changedsince, 4), (self.do_shrink, 6))
        functions, weights = zip(*actions)
        while not self.run.over:
            await self.run.gate.wait()
            if self.run.over:
                return
            self.run.busy += 1
            try:
                await self.ready()
                act = self.rnd.choices(functions, weights)[0]
                self.doing = act.__name__
                if await act() is not False:  # False: there was nothing to do it with
                    self.run.count(act.__name__[3:])
            except Lost:
                self.keep()
                await asyncio.sleep(0.05)
            except Difference as e:
                self.run.fail(self.session, e)
            except Exception as e:
                self.run.fail(self.session, e, fault=True)
            finally:
                self.run.busy -= 1
            await asyncio.sleep(self.rnd.random() * self.run.pause)

    # -- what is known
    def view(self):
        return self.session.view

    def named(self):
        """[(sequence number, UID, Rec)] of messages that may be acted on."""
        v = self.view()
        return [(i + 1, u, v.box.rec(u)) for i, u in enumerate(v.uids) if u is not None and u not in v.box.dead
                and v.box.rec(u).name is not None]

    def choose(self, most):
        have = self.named()
        if not have:
            return []
        count = self.rnd.randrange(1, min(len(have), most) + 1)
        if self.rnd.random() < 0.5:
            at = self.rnd.randrange(len(have) - count + 1)
            return have[at:at + count]
        return sorted(self.rnd.sample(have, count))

    def named_set(self, chosen):
        """(prefix, set): by number or by UID."""
        if self.rnd.random() < 0.5:
            return "", set_text(n for n, _, _ in chosen)
        return "UID ", set_text(u for _, u, _ in chosen)

    async def learn(self):
        """UIDs, flags and names of what is new."""
        s, v = self.session, self.view()
        for _ in range(20):
            if v.uids and None in v.uids:
                first, count = v.uids.index(None) + 1, len(v.uids)
                cmd = await s.command("FETCH", f"{first}:* (UID FLAGS{self.modseq_item()} {NAME_ITEM})")
                if None in v.uids[:count]:
                    raise Difference(f"{cmd.tag} FETCH {first}:* says nothing of number {v.uids.index(None) + 1} of {count}")
                continue
            lacking = [u for u in v.uids if u not in v.flags or v.box.rec(u).name is None]
            if not lacking:
                break
            if all(v.box.may_be_gone(v.box.rec(u)) for u in lacking):
                await s.command("NOOP")
            cmd = await s.command("UID FETCH", f"{set_text(lacking)} (FLAGS{self.modseq_item()} {NAME_ITEM})")
        else:
            raise Difference(f"UIDs {lacking} are in the mailbox, but their flags or names cannot be fetched")
        if v.selected_highest and not v.highest:
            v.highest = v.selected_highest

    def modseq_item(self):
        return " MODSEQ" if "CONDSTORE" in self.session.enabled else ""

    def check_all_told(self, cmd, uids):
        """A FETCH answers for every message of its set, unless somebody may have removed it."""
        told = {u for u, _, _ in cmd.fetches}
        box = self.view().box
        for uid in uids:
            if uid not in told and (uid is None or not box.may_be_gone(box.rec(uid))):
                raise Difference(f"{cmd.tag} {cmd.name} says nothing of UID {uid}")

    # -- SELECT
    def any_name(self):
        return self.rnd.choice(VOLATILE) if self.rnd.random() < 0.15 else self.rnd.choice(FIXED)

    async def do_select(self):
        self.keep()
        await self.select()

    async def select(self):
        while True:
            name = self.cache[0] if self.cache and self.rnd.random() < 0.7 else self.any_name()
            if await self.select_name(name, self.rnd.random() < 0.1):
                return

    async def select_name(self, name, readonly):
        s = self.session
        cached, known, option = None, "", ""
        if self.cache and self.cache[0] == name and "QRESYNC" in s.enabled:
            cached, self.cache = self.cache, None
            known = f" {set_text(cached[3])}" if cached[3] and self.rnd.random() < 0.6 else ""
            option = f" (QRESYNC ({cached[1]} {cached[2]}{known}))"
        elif self.mode == "condstore" and self.has("CONDSTORE") and self.rnd.random() < 0.3:
            option = " (CONDSTORE)"
            s.enabled.add("CONDSTORE")
        fixed = self.oracle.fixed.get((self.user, name))
        floor = self.oracle.mailboxes[fixed].floor_uid() if fixed else 0
        s.leave()
        s.view = v = View(readonly, time.monotonic())
        cmd = await s.command("EXAMINE" if readonly else "SELECT", name + option, ok=name in FIXED)
        if cmd.answer.status != "OK":
            return False
        if v.box is None or v.uidnext is None:
            raise Difference("SELECT without UIDVALIDITY or UIDNEXT")
        if cmd.answer.code != ("READ-ONLY" if readonly else "READ-WRITE"):
            raise Difference(f"SELECT: {cmd.answer.code}")
        self.oracle.named(self.user, name, v.box.validity)
        if v.uidnext <= floor:
            raise Difference(f"UIDNEXT {v.uidnext}, but UID {floor} was seen before")
        if "CONDSTORE" in s.enabled and v.selected_highest is None and not v.nomodseq:
            raise Difference("SELECT without HIGHESTMODSEQ")
        self.name = name
        if cached and cached[1] == v.box.validity:
            await self.resync(cmd, cached, bool(known))
        await self.learn()
        v.box.check_view(set(v.uids), cmd.start, cmd.name)
        return True

    async def resync(self, cmd, cached, with_known):
        """RFC 7162 3.2.5: what was kept, and what SELECT told, are the whole mailbox; a full FETCH must say the same."""
        v = self.view()
        vanished = [r for o in cmd.others if o.kind == "vanished" for r in o.ranges]
        told = {u: items for u, items, _ in cmd.fetches}
        for uid, items in told.items():
            if uid is None or not {"FLAGS", "MODSEQ"} <= set(items):
                raise Difference(f"QRESYNC: FETCH of UID {uid} with {sorted(items)} only")
        left = {u: f for u, f in cached[3].items() if not any(a <= u <= b for a, b in vanished)}
        uids = sorted(set(left) | set(told))
        if with_known and not set(told) <= set(cached[3]):
            raise Difference(f"QRESYNC: told of UIDs {sorted(set(told) - set(cached[3]))}, which were not named as known")
        if len(uids) > len(v.uids) or (not with_known and len(uids) < len(v.uids)):
            raise Difference(f"QRESYNC from {cached[2]}: EXISTS {len(v.uids)}, resynchronised are {len(uids)}: {uids}; "
                             f"vanished {vanished}, told {sorted(told)}, kept {sorted(cached[3])}")
        for i, uid in enumerate(v.uids[:len(uids)]):
            if uid is not None and uid != uids[i]:
                raise Difference(f"QRESYNC: number {i + 1} is UID {uid}, resynchronised {uids[i]}")
        for i, uid in enumerate(uids):
            if v.uids[i] is None:
                v.uids[i] = uid
                v.at[uid] = True
            if uid not in v.flags:
                v.flags[uid], v.modseqs[uid] = left[uid]
        modseqs, flags = dict(v.modseqs), dict(v.flags)
        full = await self.session.command("UID FETCH", "1:* (FLAGS MODSEQ)")
        for uid, items, _ in full.fetches:
            if uid not in flags or "FLAGS" not in items or items["MODSEQ"] > v.selected_highest:
                continue  # told of as new, or changed since
            if items["FLAGS"] - {"\\recent"} != flags[uid] or max(modseqs.get(uid, 0), cached[2]) < items["MODSEQ"]:
                raise Difference(f"QRESYNC from {cached[2]} to {v.selected_highest}: UID {uid} has {items}, resynchronised "
                                 f"{sorted(flags[uid])} at {modseqs.get(uid)}")
        self.run.count("resync")

    async def do_logout(self):
        self.keep()
        self.session.closing = True
        cmd = await self.session.command("LOGOUT")
        self.session.cut()
        return cmd

    async def do_close(self):
        v, s = self.view(), self.session
        if self.has("UNSELECT") and self.rnd.random() < 0.4:
            self.keep()
            await s.command("UNSELECT")
            return
        op = Op()
        uids = [u for u in v.uids if u is not None]
        if not v.readonly:
            v.box.expunges.append((op, None))
        cmd = await s.command("CLOSE", ops=[op])
        if not v.readonly:
            self.expunged(v, uids, cmd, False)

    # -- looks
    async def do_noop(self):
        v = self.view()
        cmd = await self.session.command(self.rnd.choice(("NOOP", "CHECK")) if "IMAP4REV2" not in self.session.enabled else "NOOP")
        if None not in v.uids:
            v.box.check_view(set(v.uids), cmd.start, cmd.name)

    async def do_fetch_flags(self):
        v = self.view()
        uid = self.rnd.choice(("", "UID "))
        if not v.uids:
            return
        uids = list(v.uids)
        cmd = await self.session.command(uid + "FETCH", "1:* " + self.rnd.choice(("(FLAGS)", "FLAGS", "FAST", "(UID FLAGS INTERNALDATE" + self.modseq_item() + ")")))
        self.check_all_told(cmd, uids)

    async def do_fetch_bytes(self):
        await self.fetch_bytes(self.choose(12))

    async def fetch_bytes(self, chosen):
        if not chosen:
            return
        v = self.view()
        prefix, numbers = self.named_set(chosen)
        kind = self.rnd.randrange(5)
        ops, start, length = [], self.rnd.randrange(3000), self.rnd.randrange(1, 3000)
        item = ("BODY.PEEK[]", "BODY[]", f"BODY.PEEK[]<{start}.{length}>", "(ENVELOPE BODYSTRUCTURE RFC822.SIZE UID)",
                "(BODY.PEEK[TEXT] INTERNALDATE BODY)")[kind]
        if kind == 1 and not v.readonly:
            ops = [Op()]
            for _, _, rec in chosen:
                rec.add("\\seen", ops[0], YES)
        cmd = await self.session.command(prefix + "FETCH", f"{numbers} {item}", ops, ok=False)
        if cmd.answer.status == "NO" and not any(v.box.may_be_gone(rec) for _, _, rec in chosen):
            raise Difference(f"{cmd.tag} FETCH: NO {cmd.answer.text}")
        if cmd.answer.status == "OK":
            self.check_all_told(cmd, [u for _, u, _ in chosen])
        for uid, items, _ in cmd.fetches:
            rec = v.box.recs.get(uid)
            if rec and rec.name in self.oracle.messages and self.oracle.digests.get(rec.name) == self.oracle.messages[rec.name].digest:
                self.check_part(uid, rec, items, start, length)

    def check_part(self, uid, rec, items, start, length):
        m = self.oracle.messages[rec.name]
        part = items.get(f"BODY[<{start}>")
        if part is not None and part != m.bytes[start:start + length]:
            raise Difference(f"UID {uid}: BODY[]<{start}.{length}> is not that part of {rec.name}")
        if items.get("BODY[TEXT") is not None and items["BODY[TEXT"] != m.text:
            raise Difference(f"UID {uid}: BODY[TEXT] is not the text of {rec.name}")

    async def do_slow(self):
        """Reads nothing for a while, with much to read."""
        v, s = self.view(), self.session
        if not v.uids:
            return
        uids = list(v.uids)
        s.paused.clear()
        try:
            cmd = await s.begin("UID FETCH", "1:* (FLAGS BODY.PEEK[])")
            await asyncio.sleep(self.rnd.random())
        finally:
            s.paused.set()
        await s.finish(cmd)
        self.check_all_told(cmd, uids)

    async def do_status(self):
        name = self.rnd.choice(FIXED)
        box = self.oracle.mailboxes[self.oracle.fixed[self.user, name]]
        floor, since = box.floor_uid(), time.monotonic()
        items = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN"
        if self.has("CONDSTORE"):
            items += " HIGHESTMODSEQ"
            self.session.enabled.add("CONDSTORE")
        cmd = await self.session.command("STATUS", f"{name} ({items})")
        values = [o for o in cmd.others if o.kind == "statusbox"][0].values
        least = sum(box.is_there(rec, since) for rec in box.recs.values())
        if set(values) != set(items.split()) or values["UIDVALIDITY"] != box.validity or values["UIDNEXT"] <= floor or \
                values["MESSAGES"] < least:
            raise Difference(f"STATUS {name}: {values}, known are UID {floor}, {least} messages")

    async def do_changedsince(self):
        v = self.view()
        if not self.has("CONDSTORE") or not v.modseqs:
            return False
        since = self.rnd.choice(sorted(v.modseqs.values()))
        self.session.enabled.add("CONDSTORE")
        cmd = await self.session.command("UID FETCH", f"1:* (FLAGS) (CHANGEDSINCE {since})")
        for uid, items, _ in cmd.fetches:
            if "FLAGS" in items and items.get("MODSEQ", since) <= since:
                raise Difference(f"CHANGEDSINCE {since} tells of UID {uid} with {items}")
        told = {u for u, _, _ in cmd.fetches}
        for uid in v.known():
            if v.modseqs.get(uid, 0) > since and uid not in told and not v.box.may_be_gone(v.box.rec(uid)):
                raise Difference(f"CHANGEDSINCE {since} does not tell of UID {uid} with MODSEQ {v.modseqs[uid]}")

    # -- SEARCH
    def key(self, depth=0):
        """(text, function of (rec, number, start, end) -> NO, YES or BOTH)"""
        r = self.rnd
        kind = r.randrange(9 if depth < 2 else 6)
        if kind == 0:
            flag = r.choice(FLAGS[:5])
            on = r.random() < 0.5
            return ("" if on else "UN") + flag[1:].upper(), lambda rec, n, s, e: flip(rec.possible(flag, s, e), on)
        if kind == 1:
            flag = r.choice(FLAGS[5:])
            on = r.random() < 0.5
            return ("" if on else "UN") + "KEYWORD " + SPELLED.get(flag, flag), \
                lambda rec, n, s, e: flip(rec.possible(flag, s, e), on)
        if kind == 2:
            word = f"w{r.randrange(200)}"
            return f"SUBJECT {word}", lambda rec, n, s, e: yes(word in self.oracle.messages[rec.name].subject)
        if kind == 3:
            word = f"s{r.randrange(20)}@"
            return f'FROM "{word}"', lambda rec, n, s, e: yes(("<" + self.oracle.messages[rec.name].sender).find(word) >= 0)
        if kind == 4:
            have = self.named()
            name = r.choice(have)[2].name if have else "none"
            return f"HEADER X-Stress-Id {name}", lambda rec, n, s, e: yes(name in rec.name)
        if kind == 5:
            numbers = [n for n, _, _ in self.choose(20)] or [1]
            if not self.view().uids:
                return "ALL", lambda rec, n, s, e: YES
            return set_text(numbers), lambda rec, n, s, e: yes(n in numbers)
        if kind == 6:
            text, f = self.key(depth + 1)
            return "NOT " + text, lambda rec, n, s, e: flip(f(rec, n, s, e), False)
        (text_a, a), (text_b, b) = self.key(depth + 1), self.key(depth + 1)
        if kind == 7:
            return f"OR {text_a} {text_b}", lambda rec, n, s, e: flip(both(flip(a(rec, n, s, e), False), flip(b(rec, n, s, e), False)), False)
        return f"({text_a} {text_b})", lambda rec, n, s, e: both(a(rec, n, s, e), b(rec, n, s, e))

    async def do_search(self):
        v, s = self.view(), self.session
        text, match = self.key()
        uid = self.rnd.random() < 0.5
        options = ""
        if self.has("ESEARCH") and self.rnd.random() < 0.5:
            options = "RETURN (" + " ".join(self.rnd.sample(("MIN", "MAX", "COUNT", "ALL"), self.rnd.randrange(5))) + ") "
        save = self.has("SEARCHRES") and self.has("ESEARCH") and self.rnd.random() < 0.3
        if save:
            options = "RETURN (SAVE) "
        uids = list(v.uids)
        cmd = await s.command(("UID " if uid else "") + "SEARCH", options + text)
        if save:
            await self.use_saved(cmd, {uids[n - 1] for n in self.found(v, uids, match, cmd, True)[0]})
            return
        for careful in (False, True):  # what somebody may have removed is looked for only when it matters
            sure, may = [{uids[n - 1] if uid else n for n in numbers} for numbers in self.found(v, uids, match, cmd, careful)]
            try:
                return self.check_search(cmd, options, text, uid, sure, may)
            except Difference:
                if careful:
                    raise

    def found(self, v, uids, match, cmd, careful):
        """Numbers of the messages that SEARCH surely finds, and that it may find."""
        sure, may = set(), set()
        for number, uid in enumerate(uids, 1):
            rec = v.box.recs.get(uid)
            if rec is None or rec.name is None or (careful and v.box.may_be_gone(rec)):
                mask = BOTH
            else:
                mask = match(rec, number, cmd.start, cmd.end)
            if mask & YES:
                may.add(number)
            if mask == YES:
                sure.add(number)
        return sure, may

    def check_search(self, cmd, options, text, uid, sure, may):
        answers = [o for o in cmd.others if o.kind in ("search", "esearch")]
        if len(answers) != 1:
            raise Difference(f"{cmd.tag} SEARCH {text}: {len(answers)} answers")
        answer = answers[0]
        what = f"{cmd.tag} SEARCH {options}{text}"
        if answer.kind == "esearch":
            if answer.uid != uid or answer.tag != cmd.tag:
                raise Difference(f"{what}: {answer}")
            wanted = set(options[8:-2].split()) or {"ALL"}
            values = answer.values
            if not set(values) <= wanted | {"MODSEQ"} or ("COUNT" in wanted) != ("COUNT" in values):
                raise Difference(f"{what}: {values}")
            if sure and not wanted <= set(values):
                raise Difference(f"{what}: {values}, surely found are {sorted(sure)}")
            if not len(sure) <= values.get("COUNT", len(sure)) <= len(may):
                raise Difference(f"{what}: {values}, {len(sure)} to {len(may)} are found")
            for item, best in (("MIN", min), ("MAX", max)):
                if item in values and (values[item] not in may or (sure and best(values[item], best(sure)) != values[item])):
                    raise Difference(f"{what}: {values}, sure {sorted(sure)}, possible {sorted(may)}")
            if "ALL" not in values:
                return
            found = values["ALL"]
        else:
            if options:
                raise Difference(f"{what}: SEARCH, not ESEARCH")
            found = answer.numbers
        if len(set(found)) != len(found):
            raise Difference(f"{what}: a number twice in {found}")
        if not sure <= set(found) <= may:
            raise Difference(f"{what}: lacks {sorted(sure - set(found))}, has {sorted(set(found) - may)} too much")

    async def use_saved(self, saved, sure):
        v = self.view()
        cmd = await self.session.command("UID FETCH", "$ (FLAGS)")
        told = {u for u, items, _ in cmd.fetches}
        lost = {u for u in sure if u in v.at and not v.box.may_be_gone(v.box.rec(u))} - told
        if lost:
            raise Difference(f"{saved.tag} saved UIDs {sorted(sure)}, FETCH $ lacks {sorted(lost)}")
        self.run.count("saved")

    # -- changes
    async def do_store(self):
        await self.store(self.choose(25))

    async def store(self, chosen, flags=None, how=None):
        v, s = self.view(), self.session
        if not chosen or v.readonly:
            return
        if flags is None:
            flags = self.rnd.sample([f for f in FLAGS if f != "\\deleted"], self.rnd.randrange(4))
            how = self.rnd.choices(("+", "-", ""), (5, 4, 1))[0]
        silent = self.rnd.random() < 0.4
        since = max(v.modseqs.values(), default=0) if self.has("CONDSTORE") and self.rnd.random() < 0.3 else 0
        prefix, numbers = self.named_set(chosen)
        start = time.monotonic()
        ops = {u: Op(start) for _, u, _ in chosen}
        for _, u, rec in chosen:
            for flag in FLAGS if how == "" else flags:
                rec.add(flag, ops[u], YES if flag in flags and how != "-" else NO)
        text = f"{numbers} " + (f"(UNCHANGEDSINCE {since}) " if since else "") + f"{how}FLAGS{'.SILENT' if silent else ''} {spelled(flags)}"
        if since:
            s.enabled.add("CONDSTORE")
        cmd = await s.command(prefix + "STORE", text, list(ops.values()), own=() if since else set(ops.values()), ok=False,
                              left_out=lambda cmd: [ops[u] for u in self.modified(cmd, chosen)])
        self.stored(cmd, v, chosen, ops, flags, how, silent, since)

    @staticmethod
    def modified(cmd, chosen):
        """UIDs that a conditional STORE has left as they were."""
        if cmd.answer.code != "MODIFIED":
            return set()
        uid = cmd.name.startswith("UID")
        return {u for n, u, _ in chosen if (u if uid else n) in cmd.answer.argument}

    def stored(self, cmd, v, chosen, ops, flags, how, silent, since):
        if cmd.answer.status == "NO":
            if not since and not any(v.box.may_be_gone(rec) for _, _, rec in chosen):
                raise Difference(f"{cmd.tag} STORE: NO {cmd.answer.text}")
            for _, u, _ in chosen:
                v.flags.pop(u, None)
            return
        told = {u for u, items, _ in cmd.fetches if "FLAGS" in items}
        modified = self.modified(cmd, chosen)
        if modified and not since:
            raise Difference(f"{cmd.tag} STORE: MODIFIED without UNCHANGEDSINCE")
        self.run.count("modified", len(modified))
        for _, u, rec in chosen:
            if u in modified:
                if u not in told:
                    v.flags.pop(u, None)
            elif not silent and u not in told and not v.box.may_be_gone(rec):
                raise Difference(f"{cmd.tag} STORE says nothing of UID {u}")
            elif silent and u not in told and v.box.may_be_gone(rec):
                v.flags.pop(u, None)  # one that has gone is not changed, and shown as it was
            elif silent and u not in told and u in v.flags:
                old = v.flags[u]
                v.flags[u] = frozenset(flags) if how == "" else old | set(flags) if how == "+" else old - set(flags)
                if "CONDSTORE" in self.session.enabled and not any(f == u and "MODSEQ" in items for f, items, _ in cmd.fetches) \
                        and v.flags[u] != old and not v.box.may_be_gone(rec):
                    raise Difference(f"{cmd.tag} STORE.SILENT does not tell the MODSEQ of UID {u}")

    def expunged(self, v, uids, cmd, selected):
        """After the OK of EXPUNGE: what surely had \\Deleted is gone."""
        for uid in uids:
            rec = v.box.recs.get(uid)
            if rec is None or rec.possible("\\deleted", cmd.start, cmd.end) != YES:
                continue
            if selected and uid in v.at:
                raise Difference(f"{cmd.tag} EXPUNGE: UID {uid} had \\Deleted and is still there")
            if rec.gone is None:
                rec.gone = cmd.end

    async def do_expunge(self):
        v, s = self.view(), self.session
        if v.readonly:
            return
        op = Op()
        if self.has("UIDPLUS") and self.rnd.random() < 0.4:
            chosen = self.choose(30)
            if not chosen:
                return
            uids = {u for _, u, _ in chosen}
            v.box.expunges.append((op, uids))
            cmd = await s.command("UID EXPUNGE", set_text(uids), [op], ok=False)
        else:
            uids = v.known()
            v.box.expunges.append((op, None))
            cmd = await s.command("EXPUNGE", "", [op], ok=False)
        if cmd.answer.status == "OK":
            self.expunged(v, uids, cmd, True)
        elif not v.box.deleted:
            raise Difference(f"{cmd.tag} EXPUNGE: NO {cmd.answer.text}")

    async def do_shrink(self):
        if len(self.view().uids) > MESSAGES_AIM or self.rnd.random() < 0.1:
            await self.store(self.choose(20), ["\\deleted"], "+")
            await self.do_expunge()

    def target(self, not_selected):
        names = [n for n in FIXED if not (not_selected and n == self.name)]
        return self.rnd.choice(VOLATILE) if self.rnd.random() < 0.1 else self.rnd.choice(names)

    def fixed_box(self, name):
        validity = self.oracle.fixed.get((self.user, name))
        return self.oracle.mailboxes[validity] if validity else None

    def new_message(self):
        self.messages += 1
        r = self.rnd
        size = r.randrange(1500) if r.random() < 0.9 else r.randrange(60000) if r.random() < 0.9 else r.randrange(200000)
        return self.oracle.message(f"m{self.run.seed}-{self.number}-{self.messages}", size)

    async def do_append(self):
        v, r = self.view(), self.rnd
        name = self.target(False)
        box = self.fixed_box(name)
        if box and len(box.recs) > 3 * MESSAGES_AIM:
            return
        several = r.randrange(2, 5) if self.has("MULTIAPPEND") and r.random() < 0.3 else 1
        messages, parts, wants, ops = [], [f"{name}"], [], []
        start = time.monotonic()
        for _ in range(several):
            m = self.new_message() if r.random() < 0.9 or not messages else messages[-1]
            messages.append(m)
            flags = r.sample([f for f in FLAGS if f != "\\deleted"], r.randrange(3))
            date = f"{r.randrange(1, 29):2d}-Jan-{r.randrange(1990, 2026)} 0{r.randrange(10)}:11:12 +0{r.randrange(10)}00" \
                if r.random() < 0.3 else None
            text = " " + (spelled(flags) + " " if flags or r.random() < 0.3 else "") + (f'"{date}" ' if date else "")
            parts += [text, Literal(m.bytes, r.random() < 0.5, self.has("BINARY") and r.random() < 0.2)]
            wants.append((flags, date))
            op = Op(start)
            ops.append(op)
            if box:
                box.make(m.name, op)
        if box and several > 1:
            self.oracle.transfers.append(Transfer(ops, box, [m.name for m in messages]))
        floor = box.floor_uid() if box else 0
        cmd = await self.session.command("APPEND", parts, ops, ok=name in FIXED)
        if cmd.answer.status != "OK":
            return
        self.appended(cmd, v, name, box, floor, messages, wants, ops)

    def made(self, name, validity, box, floor, uids, names, ops):
        """Checks of APPENDUID and COPYUID; the target."""
        if box and box.validity != validity:
            raise Difference(f"{name}: UIDVALIDITY {validity}, known is {box.validity}")
        if not box:
            box = self.oracle.mailbox(validity, self.user)
            for n, op in zip(names, ops):
                box.make(n, op)
        if uids != sorted(set(uids)) or uids[0] <= floor:
            raise Difference(f"{name}: new UIDs {uids}, UID {floor} was there before")
        self.run.announce(box, ops[0])
        return box

    def check_arrived(self, v, box, uids, cmd):
        if v is self.view() and v.box is box and None not in v.uids:
            for uid in uids:
                if uid not in v.at and not box.may_be_gone(box.rec(uid)):
                    raise Difference(f"{cmd.tag} {cmd.name}: UID {uid} is in the selected mailbox, without EXISTS")

    def appended(self, cmd, v, name, box, floor, messages, wants, ops):
        if cmd.answer.code != "APPENDUID" or len(cmd.answer.argument[1]) != len(messages):
            raise Difference(f"{cmd.tag} APPEND of {len(messages)}: {cmd.answer.code} {cmd.answer.argument}")
        validity, uids = cmd.answer.argument
        box = self.made(name, validity, box, floor, uids, [m.name for m in messages], ops)
        for uid, m, (flags, date), op in zip(uids, messages, wants, ops):
            rec = box.born(uid, m.name, op, {None: NO, **{f: YES for f in flags}})
            for slot, value in (("size", len(m.bytes)), ("date", date)):
                if value is not None and getattr(rec, slot) not in (None, value):
                    raise Difference(f"UID {uid}: {slot} {getattr(rec, slot)}, appended with {value}")
                if value is not None:
                    setattr(rec, slot, value)
        self.check_arrived(v, box, uids, cmd)

    async def do_copy(self):
        return await self.transfer(False)

    async def do_move(self):
        if not self.has("MOVE") or self.view().readonly:
            return False
        return await self.transfer(True)

    async def transfer(self, move):
        v = self.view()
        name = self.target(move)
        chosen = self.choose(15)
        box = self.fixed_box(name)
        if not chosen or (not move and box and len(box.recs) > 2 * MESSAGES_AIM) or (move and name == self.name):
            return False
        prefix, numbers = self.named_set(chosen)
        start = time.monotonic()
        ops = [Op(start) for _ in chosen]
        floor = box.floor_uid() if box else 0
        names = [rec.name for _, _, rec in chosen]
        for op, (_, _, rec) in zip(ops, chosen):
            if box:
                box.make(rec.name, op)
            if move:
                rec.moves.append(op)
        if box:
            self.oracle.transfers.append(Transfer(ops, box, names, v.box if move else None, [rec for _, _, rec in chosen]))
        cmd = await self.session.command(
            prefix + ("MOVE" if move else "COPY"), f"{numbers} {name}", ops, ok=False, left_out=lambda cmd: [
                op for op, (_, u, _) in zip(ops, chosen) if not cmd.copyuid or u not in cmd.copyuid[1]])
        if cmd.answer.status == "NO":
            if name in FIXED and not any(v.box.may_be_gone(rec) for _, _, rec in chosen):
                raise Difference(f"{cmd.tag} {cmd.name}: NO {cmd.answer.text}")
            return
        self.transferred(cmd, v, name, box, floor, chosen, ops, move)

    def transferred(self, cmd, v, name, box, floor, chosen, ops, move):
        validity, sources, uids = cmd.copyuid or (None, [], [])
        if len(sources) != len(uids) or len(set(sources)) != len(sources) or not set(sources) <= {u for _, u, _ in chosen}:
            raise Difference(f"{cmd.tag} {cmd.name}: COPYUID {sources} {uids}, asked for {[u for _, u, _ in chosen]}")
        to = dict(zip(sources, uids))
        for op, (_, u, rec) in zip(ops, chosen):
            if u not in to and not v.box.may_be_gone(rec):
                raise Difference(f"{cmd.tag} {cmd.name}: UID {u} ({rec.name}) was left out")
        done = [(op, u, rec) for op, (_, u, rec) in zip(ops, chosen) if u in to]
        if not done:
            return
        box = self.made(name, validity, box, floor, sorted(uids), [rec.name for _, _, rec in done], [op for op, _, _ in done])
        for op, u, rec in done:
            new = box.born(to[u], rec.name, op, {None: rec.base, **{f: rec.possible(f, cmd.start, cmd.end) for f in FLAGS}})
            for slot in ("size", "date"):
                a, b = getattr(rec, slot), getattr(new, slot)
                if a is not None and b not in (None, a):
                    raise Difference(f"{cmd.tag} {cmd.name}: {slot} {a} became {b}")
            if move:
                if u in v.at and self.view() is v:
                    raise Difference(f"{cmd.tag} MOVE: UID {u} is still in the view")
                rec.gone = cmd.end if rec.gone is None else rec.gone
        self.check_arrived(v, box, uids, cmd)

    # -- IDLE, pipelines, going away
    async def do_idle(self):
        s = self.session
        if not self.has("IDLE"):
            return
        s.continuation = asyncio.get_running_loop().create_future()
        cmd = await s.begin("IDLE")
        await s.wait(s.continuation, "continuation of IDLE")
        end = time.monotonic() + 0.1 + 2.5 * self.rnd.random() ** 2
        while time.monotonic() < end and self.run.gate.is_set() and not s.lost:
            await asyncio.sleep(0.05)
        s.send(b"DONE\r\n")
        await s.finish(cmd)

    async def do_pipeline(self):
        s, v = self.session, self.view()
        commands = []
        if self.rnd.random() < 0.5 and v.uids:  # by number: only commands in which numbers stay
            for _ in range(self.rnd.randrange(2, 6)):
                commands.append(await s.begin("FETCH", f"{self.rnd.randrange(1, len(v.uids) + 1)}:* (FLAGS UID)"))
            commands.append(await s.begin("NOOP"))
        else:
            for _ in range(self.rnd.randrange(2, 8)):
                name, text = self.rnd.choice((("NOOP", ""), ("UID FETCH", "1:* (FLAGS)"), ("UID SEARCH", "ALL"),
                                              ("STATUS", f"{self.rnd.choice(FIXED)} (MESSAGES)")))
                commands.append(await s.begin(name, text))
        for cmd in commands:
            await s.finish(cmd)

    async def do_cut(self):
        """Sends a change and does not wait."""
        s = self.session
        act = self.rnd.choice((self.do_store, self.do_append, self.do_copy, self.do_move, self.do_expunge, self.do_fetch_bytes))
        task = asyncio.create_task(act())
        await asyncio.sleep(self.rnd.choice((0, 0, 0.001, 0.005, 0.02)))
        self.keep()
        s.cut()
        try:
            await task
        except Lost:
            pass

    async def do_cut_literal(self):
        """Goes away in the middle of a message: it must not be there."""
        s, r = self.session, self.rnd
        m = self.new_message()
        box = self.fixed_box(r.choice(FIXED))
        op = Op()
        op.refused(op.start)
        box.make(m.name, op)
        part = m.bytes[:r.randrange(len(m.bytes) + 1)]  # all bytes, but not the end of the line: no command yet
        name = next(n for (u, n), val in self.oracle.fixed.items() if val == box.validity)
        s.send(f"{s.label}.cut APPEND {name} {{{len(m.bytes)}+}}\r\n".encode() + part)
        await s.writer.drain()
        await asyncio.sleep(r.choice((0, 0.01, 0.05)))
        self.keep()
        s.cut()


def yes(condition):
    return YES if condition else NO


def flip(mask, keep):
    return mask if keep or mask == BOTH else BOTH ^ mask


def both(a, b):
    """AND of two masks."""
    return (YES if a & b & YES else 0) | (NO if (a | b) & NO else 0)
