"""One IMAP session: its connection, its commands under way, and what it may know of the selected mailbox (the view).

Every response that comes is checked here against the view and the oracle, before the client that waits sees it.
"""
import asyncio
import bisect
import collections
import socket
import time

from imap_stress_oracle import Difference
from imap_stress_wire import Malformed, parse, read_response

TRANSCRIPT_LINES = 200
STREAM_BYTES = 128 << 10


class Lost(Exception):
    """The connection is gone, and that was to be expected."""


class Literal:
    def __init__(self, data, sync=True, binary=False):
        self.data = data
        self.sync = sync
        self.binary = binary


class Command:
    def __init__(self, tag, name, ops, own, left_out):
        self.tag = tag
        self.name = name
        self.ops = ops
        self.own = own  # Ops that have happened before its untagged answers (STORE)
        self.left_out = left_out  # of an OK: the Ops that did not happen
        self.copyuid = None
        self.start = ops[0].start if ops else time.monotonic()
        self.end = None
        self.answer = None
        self.fetches = []  # (uid or None, items, time)
        self.others = []
        self.idling = False
        self.future = asyncio.get_running_loop().create_future()

    @property
    def no_expunge(self):  # RFC 3501 7.4.1, RFC 9051 7.5.1
        return self.name in ("FETCH", "STORE", "SEARCH")


class View:
    """What a session knows of the mailbox it has selected."""

    def __init__(self, readonly, since):
        self.box = None
        self.readonly = readonly
        self.since = since  # when SELECT was sent
        self.uids = []  # by sequence number; None: not known yet
        self.at = {}  # UID -> known
        self.flags = {}
        self.modseqs = {}
        self.gone = set()
        self.uidnext = None
        self.selected_highest = None  # what SELECT named
        self.highest = None  # HIGHESTMODSEQ up to which flags and uids are complete
        self.nomodseq = False
        self.news = 0.0  # last EXISTS that grew
        self.waiting = None  # since when an idle session should have heard of a message

    def complete(self):
        return None not in self.uids and all(u in self.flags for u in self.uids)

    def known(self):
        return [u for u in self.uids if u is not None]

    def learn(self, index, uid):
        before = self.uids[index - 1] if index else 0
        after = next((u for u in self.uids[index + 1:] if u is not None), None)
        if before is None:
            before = max((u for u in self.uids[:index] if u is not None), default=0)
        if uid <= before or (after is not None and uid >= after):
            raise Difference(f"number {index + 1} has UID {uid}, its neighbours {before} and {after}")
        if uid in self.gone:
            raise Difference(f"UID {uid} was expunged in this session and is used again")
        rec = self.box.rec(uid)
        if rec.gone is not None and rec.gone < self.since:
            raise Difference(f"UID {uid} was gone {self.since - rec.gone:.3f} s before the mailbox was selected")
        self.uids[index] = uid
        self.at[uid] = True

    def gap(self, uid):
        """Index of an unknown UID that this one may be; None: there is none."""
        first = max((i + 1 for i, u in enumerate(self.uids) if u is not None and u < uid), default=0)
        return first if first < len(self.uids) and self.uids[first] is None else None

    def drop(self, uid):
        self.at.pop(uid, None)
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)
        self.gone.add(uid)


class Session:
    def __init__(self, run, label, user):
        self.run = run
        self.label = label
        self.user = user
        self.view = None
        self.enabled = set()
        self.capabilities = set()
        self.transcript = collections.deque(maxlen=TRANSCRIPT_LINES)
        self.inflight = collections.deque()
        self.continuation = None
        self.closing = False
        self.lost = None
        self.tags = 0
        self.last_end = 0.0
        self.login_wall = (0, 0)
        self.epoch = run.epoch
        self.writer = None
        self.task = None
        self.paused = asyncio.Event()
        self.paused.set()

    # -- connection
    async def open(self, small_buffers=False):
        sock = socket.socket()
        sock.setblocking(False)
        if small_buffers:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.epoch = self.run.epoch
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.run.site.base + 143))
            reader, self.writer = await asyncio.open_connection(sock=sock, limit=STREAM_BYTES)
        except OSError as e:
            sock.close()
            self.lost = Lost(str(e))
            raise self.lost
        self.continuation = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self.read(reader))
        await self.wait(self.continuation, "greeting")

    async def login(self):
        before = time.time()
        await self.command("LOGIN", f"{self.user} secret")
        self.login_wall = (before, time.time())
        await self.command("CAPABILITY")

    async def wait(self, future, what):
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.run.patience)
        except asyncio.TimeoutError:
            raise Difference(f"no {what} in {self.run.patience} s")

    def note(self, mark, raw):
        text = raw if len(raw) <= 400 else raw[:300] + f"... {len(raw)} bytes ...".encode() + raw[-60:]
        self.transcript.append(f"{time.monotonic() - self.run.begun:9.4f} {mark} {text.decode('latin-1').rstrip()}")

    async def read(self, reader):
        try:
            while True:
                await self.paused.wait()
                raw = await read_response(reader)
                if not raw:
                    break
                self.note("S:", raw)
                self.handle(parse(raw))
        except (ConnectionError, OSError):
            pass
        except (Difference, Malformed) as e:
            self.run.fail(self, e)
        except Exception as e:  # a fault of the test itself
            self.run.fail(self, e, fault=True)
        self.end(Lost("end of the stream"))

    def end(self, error):
        if self.lost:
            return
        self.lost = error
        if self.writer:
            self.writer.close()
        if not self.closing and self.epoch == self.run.epoch and not self.run.down and not self.run.failed:
            self.run.fail(self, Difference("the server closed the connection"))
        for cmd in self.inflight:
            if not cmd.future.done():
                cmd.future.set_exception(error)
                cmd.future.exception()
        if self.continuation and not self.continuation.done():
            self.continuation.set_exception(error)
            self.continuation.exception()
        if self.view and self.view.box:
            self.view.box.sessions.discard(self)

    def cut(self):
        """Goes away without a word."""
        self.closing = True
        self.note("--", b"cut")
        if self.writer:
            self.writer.transport.abort()
        self.end(Lost("cut"))

    def send(self, data):
        if self.lost:
            raise self.lost
        self.note("C:", data)
        self.writer.write(data)

    async def begin(self, name, parts="", ops=(), own=(), left_out=None):
        """Sends a command; parts: text, or a list of texts and Literals. ops: what it changes."""
        self.tags += 1
        cmd = Command(f"{self.label}.{self.tags}", name, ops, own, left_out)
        self.inflight.append(cmd)
        parts = [parts] if isinstance(parts, str) else parts
        pending = f"{cmd.tag} {name}" + (" " if parts and parts[0] else "")
        for part in parts:
            if isinstance(part, str):
                pending += part
                continue
            pending += ("~" if part.binary else "") + "{" + str(len(part.data)) + ("" if part.sync else "+") + "}\r\n"
            if part.sync:
                self.continuation = asyncio.get_running_loop().create_future()
                self.send(pending.encode())
                done, _ = await asyncio.wait({self.continuation, cmd.future}, timeout=self.run.patience,
                                             return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise Difference(f"no continuation in {self.run.patience} s")
                if cmd.future in done:
                    cmd.future.exception() and await cmd.future
                    return cmd  # refused
                self.continuation.result()
                pending = ""
                self.send(part.data)
            else:
                self.send(pending.encode() + part.data)
                pending = ""
        self.send(pending.encode() + b"\r\n")
        return cmd

    async def finish(self, cmd, ok=True):
        answer = await self.wait(cmd.future, f"answer to {cmd.tag} {cmd.name}")
        if answer.status == "NO" and "Server is shutting down" in str(answer.text):  # a search under way when it stops
            raise Lost("the server stops")
        if answer.status == "BAD" or (ok and answer.status != "OK"):
            raise Difference(f"{cmd.tag} {cmd.name}: {answer.status} {answer.text}")
        return cmd

    async def command(self, name, parts="", ops=(), own=(), ok=True, left_out=None):
        return await self.finish(await self.begin(name, parts, ops, own, left_out), ok)

    # -- what comes
    def handle(self, r):
        now = time.monotonic()
        cmd = self.inflight[0] if self.inflight else None
        if r.kind == "cont":
            if cmd and cmd.name == "IDLE":
                cmd.idling = True
            if self.continuation is None or self.continuation.done():
                raise Difference("a continuation that nobody asked for")
            self.continuation.set_result(r)
        elif r.kind == "tagged":
            self.on_tagged(r, cmd, now)
        elif r.kind == "status":
            self.on_status(r, cmd, now)
        elif r.kind in ("exists", "recent", "expunge", "fetch", "vanished"):
            if self.view is None:
                raise Difference(f"{r.kind} without a selected mailbox")
            getattr(self, "on_" + r.kind)(r, cmd, now)
        elif r.kind == "flags":
            if self.view is None:
                raise Difference("FLAGS without a selected mailbox")
        else:
            if cmd is None:
                raise Difference(f"{r.kind} without a command")
            if r.kind == "search" and "IMAP4REV2" in self.enabled:
                raise Difference("SEARCH after ENABLE IMAP4rev2")
            if r.kind == "esearch" and r.tag not in (None, cmd.tag):
                raise Difference(f"ESEARCH of {r.tag}, under way is {cmd.tag}")
            if r.kind == "capability":
                self.capabilities = {w.upper() for w in r.words} - self.run.without
            if r.kind == "enabled":
                self.enabled |= {w.upper() for w in r.words}
                if "QRESYNC" in self.enabled:
                    self.enabled.add("CONDSTORE")
            cmd.others.append(r)

    def on_tagged(self, r, cmd, now):
        if cmd is None or r.tag != cmd.tag:
            raise Difference(f"answer to {r.tag}, under way is {cmd.tag if cmd else 'nothing'}")
        self.inflight.popleft()
        cmd.end, cmd.answer = now, r
        self.last_end = now
        if r.code == "COPYUID":
            cmd.copyuid = r.argument
        left_out = cmd.left_out(cmd) if cmd.left_out and r.status == "OK" else ()
        for op in cmd.ops:
            if op in left_out:
                op.refused(now)
            elif r.status == "OK":
                op.done(now)
            elif cmd.name.endswith("STORE"):
                op.end = now  # some of it may have happened
            else:
                op.refused(now)
        if r.code == "HIGHESTMODSEQ":
            self.see_highest(r.argument, now)
        if r.status == "OK" and cmd.name in ("CLOSE", "UNSELECT") or cmd.name in ("SELECT", "EXAMINE") and r.status != "OK":
            self.leave()
        if not cmd.future.done():
            cmd.future.set_result(r)

    def leave(self):
        if self.view and self.view.box:
            self.view.box.sessions.discard(self)
        self.view = None

    def on_status(self, r, cmd, now):
        v = self.view
        if r.status == "BYE":
            if not self.closing and self.epoch == self.run.epoch and not self.run.down:
                raise Difference(f"BYE {r.text}")
            self.closing = True
        elif r.status != "OK":
            raise Difference(f"untagged {r.status} {r.text}")
        elif r.code == "UIDVALIDITY" and v:
            if v.box is not None and v.box.validity != r.argument:
                raise Difference(f"UIDVALIDITY changes from {v.box.validity} to {r.argument}")
            v.box = self.run.oracle.mailbox(r.argument, self.user)
            v.box.sessions.add(self)
        elif r.code == "UIDNEXT" and v:
            v.uidnext = r.argument
        elif r.code == "HIGHESTMODSEQ":
            v.selected_highest = r.argument
            self.see_highest(r.argument, now, cmd.start if cmd and cmd.name in ("SELECT", "EXAMINE") else None)
        elif r.code == "NOMODSEQ":
            v.nomodseq = True
        elif r.code == "COPYUID":
            cmd.copyuid = r.argument
        if not self.inflight and self.continuation and not self.continuation.done():
            self.continuation.set_result(r)  # the greeting

    def see_highest(self, value, now, since=None):
        """since: when the command that names it was sent."""
        v = self.view
        if v is None or v.box is None:
            return
        floors = v.box.floors
        if since is not None:
            at = bisect.bisect_left(floors, (since,)) - 1
            if at >= 0 and floors[at][1] > value:
                raise Difference(f"HIGHESTMODSEQ {value}, but MODSEQ {floors[at][1]} was seen before")
        v.box.see_modseq(now, value)
        if since is None and v.complete():
            v.highest = value

    def on_exists(self, r, cmd, now):
        v = self.view
        if r.n < len(v.uids):
            raise Difference(f"EXISTS {r.n} after {len(v.uids)}, without EXPUNGE")
        if r.n > len(v.uids):
            v.news = now
            if v.waiting is not None:
                self.run.oracle.latency.append(now - v.waiting)
                v.waiting = None
        v.uids.extend([None] * (r.n - len(v.uids)))

    def on_recent(self, r, cmd, now):
        if "IMAP4REV2" in self.enabled:
            raise Difference("RECENT after ENABLE IMAP4rev2")
        if r.n > len(self.view.uids):
            raise Difference(f"RECENT {r.n} of {len(self.view.uids)} messages")

    def on_expunge(self, r, cmd, now):
        v = self.view
        if "QRESYNC" in self.enabled:
            raise Difference("EXPUNGE after ENABLE QRESYNC")
        if cmd is None or cmd.no_expunge:
            raise Difference(f"EXPUNGE during {cmd.name if cmd else 'no command'}")
        if r.n > len(v.uids):
            raise Difference(f"EXPUNGE {r.n} of {len(v.uids)}")
        uid = v.uids.pop(r.n - 1)
        if uid is not None:
            v.box.see_gone(uid, now)
            v.drop(uid)

    def on_vanished(self, r, cmd, now):
        v = self.view
        if "QRESYNC" not in self.enabled:
            raise Difference("VANISHED without ENABLE QRESYNC")
        if r.earlier:
            if cmd is None or cmd.name not in ("SELECT", "EXAMINE", "UID FETCH"):
                raise Difference(f"VANISHED (EARLIER) during {cmd.name if cmd else 'no command'}")
            cmd.others.append(r)
            for low, high in r.ranges:
                for uid in v.at:
                    if low <= uid <= high:
                        raise Difference(f"VANISHED (EARLIER) names UID {uid}, which is in the view")
            return
        if cmd is None or cmd.no_expunge:
            raise Difference(f"VANISHED during {cmd.name if cmd else 'no command'}")
        for low, high in r.ranges:
            for uid in range(low, high + 1):
                if uid in v.at:
                    v.uids.remove(uid)
                elif v.gap(uid) is not None:
                    v.uids.pop(v.gap(uid))
                else:
                    raise Difference(f"VANISHED {uid}, which this session never had")
                v.box.see_gone(uid, now)
                v.drop(uid)

    def on_fetch(self, r, cmd, now):
        v, items = self.view, r.items
        if r.n > len(v.uids):
            raise Difference(f"FETCH of number {r.n} of {len(v.uids)}")
        if v.box is None:
            raise Difference("FETCH before UIDVALIDITY")
        uid = items.get("UID")
        known = v.uids[r.n - 1]
        if uid is not None and known is None:
            v.learn(r.n - 1, uid)
        elif uid is not None and uid != known:
            raise Difference(f"number {r.n} is UID {known}, FETCH says {uid}")
        uid = uid if uid is not None else known
        if "UID" not in items and not (cmd and cmd.name in ("FETCH", "UID FETCH")) and self.uid_is_due():
            raise Difference("FETCH without UID")
        if cmd:
            cmd.fetches.append((uid, items, now))
        if uid is not None:
            self.see_message(uid, items, cmd, now)

    def uid_is_due(self):  # RFC 7162 3.2.4, RFC 9051 7.5.2
        return "IMAP4REV2" in self.enabled or ("QRESYNC" in self.capabilities and "CONDSTORE" in self.enabled)

    def see_message(self, uid, items, cmd, now):
        v = self.view
        modseq, flags = items.get("MODSEQ"), items.get("FLAGS")
        if flags is not None and modseq is None and "CONDSTORE" in self.enabled and not v.nomodseq:
            if not (cmd and cmd.name in ("FETCH", "UID FETCH")):
                raise Difference(f"FLAGS of UID {uid} without MODSEQ after CONDSTORE was enabled")
        if modseq is not None:
            old = v.modseqs.get(uid, 0)
            if modseq < old:
                raise Difference(f"MODSEQ of UID {uid} falls from {old} to {modseq}")
            if modseq == old and flags is not None and uid in v.flags and v.flags[uid] != flags - {"\\recent"}:
                raise Difference(f"flags of UID {uid} change without MODSEQ {modseq}")
            if flags is not None:
                v.modseqs[uid] = modseq
            v.box.see_modseq(now, modseq)
        if flags is not None:
            self.see_recent(uid, flags)
            start = cmd.start if cmd else self.last_end
            v.flags[uid] = flags - {"\\recent"}
            v.box.see_flags(uid, flags, modseq, start, now, cmd.own if cmd else ())
        rec = v.box.rec(uid)
        for name in ("SIZE", "INTERNALDATE"):
            if name in items:
                slot = "size" if name == "SIZE" else "date"
                if getattr(rec, slot) not in (None, items[name]):
                    raise Difference(f"UID {uid}: {name} was {getattr(rec, slot)} and is {items[name]}")
                setattr(rec, slot, items[name])
        raw = items.get("BODY[")
        if raw is not None:
            v.box.rec(uid, self.run.oracle.see_bytes(raw))
            if rec.size not in (None, len(raw)):
                raise Difference(f"UID {uid}: RFC822.SIZE {rec.size}, {len(raw)} bytes")
        raw = items.get("BODY[HEADER.FIELDS (X-STRESS-ID)")
        if raw:
            field, _, value = raw.decode().partition(": ")
            if field.lower() != "x-stress-id" or not value.endswith("\r\n\r\n"):
                raise Difference(f"UID {uid}: header field {raw!r}")
            v.box.rec(uid, value.strip())
        if items.get("ENVELOPE") and rec.name in self.run.oracle.messages:
            m = self.run.oracle.messages[rec.name]
            if items["ENVELOPE"]["subject"] != m.subject.encode() or \
                    items["ENVELOPE"]["message-id"] != f"<{m.name}@example.net>".encode():
                raise Difference(f"UID {uid}: ENVELOPE {items['ENVELOPE']} is not that of {rec.name}")

    def see_recent(self, uid, flags):
        """RFC 3501 2.3.2: recent to one session only; EXAMINE takes it from nobody."""
        if "\\recent" not in flags:
            return
        if "IMAP4REV2" in self.enabled:
            raise Difference(r"\Recent after ENABLE IMAP4rev2")
        if not self.view.readonly:
            owner = self.view.box.recent.setdefault(uid, (self, self.view))
            if owner != (self, self.view) and owner[0].epoch == self.epoch:
                raise Difference(rf"UID {uid} is \Recent here and was in session {owner[0].label}")
