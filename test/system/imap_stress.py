#!/usr/bin/env python3
"""Many IMAP sessions on a few users' mailboxes, each with a model of what it may know; deliveries by LMTP, kill -9, restarts and
SIGTERM beside them. Every response is checked (imap_stress_session), and at quiet points all views are compared with each other,
with what a new session sees and with what was acknowledged (imap_stress_oracle).

usage: imap_stress.py BINARY [--seed N] [--seconds S] [--clients N] [--users N] [--patience S] [--set key=value]
       [--without CAPABILITY]
"""
import argparse
import asyncio
import datetime
import os
import pathlib
import random
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from imap_stress_client import FIXED, NAME_ITEM, VOLATILE, Client  # noqa: E402
from imap_stress_oracle import BOTH, NO, YES, Difference, Op, Oracle, Rec  # noqa: E402
from imap_stress_session import Lost, Session, View  # noqa: E402
from imap_stress_wire import Malformed, parse  # noqa: E402
from msite import Site  # noqa: E402
from tap import Tap  # noqa: E402

ROUND_SECONDS = 10
LATENCY_SECONDS_MAX = 10
FAILURES_SHOWN = 3
LOG_LINES_SHOWN = 60


class Run:
    """What all clients share."""

    def __init__(self, site, args):
        self.site = site
        self.seed = args.seed
        self.patience = args.patience
        self.without = {w.upper() for w in args.without}
        self.rnd = random.Random(f"{args.seed}/run")
        self.oracle = Oracle()
        self.begun = time.monotonic()
        self.epoch = 0  # starts of the server
        self.down = False
        self.over = False
        self.failed = []
        self.gate = asyncio.Event()  # open: work
        self.busy = 0
        self.pause = args.clients * 0.001
        self.users = [f"u{i}" for i in range(args.users)]
        self.clients = [Client(self, i, self.users[i % args.users]) for i in range(args.clients)]
        self.checkers = {}
        self.quiet_points = 0
        self.judged = 0

    def count(self, what, n=1):
        self.oracle.count(what, n)

    def fail(self, session, error, fault=False):
        text = [f"{type(error).__name__}: {error}"]
        if fault:
            text += traceback.format_exception(error)
        if session:
            text += [f"-- session {session.label} of {session.user}", *session.transcript]
            text += ["-- log", *self.log_lines(session)]
        if len(self.failed) < FAILURES_SHOWN:
            self.failed.append("\n".join(text))
        self.over = True
        self.gate.set()

    def log_lines(self, session):
        """The server's lines of this session: its login is found by user and time."""
        try:
            lines = self.site.log.read_text(errors="replace").splitlines()
        except OSError:
            return []
        before, after = session.login_wall
        stamp = [datetime.datetime.fromtimestamp(t, datetime.timezone.utc).isoformat() for t in (before - 0.002, after + 0.002)]
        mine = [line for line in lines if "event=auth.login " in line and f"user={session.user}@" in line
                and stamp[0] <= line.removeprefix("ts=") <= stamp[1]]
        traces = {word for line in mine for word in line.split() if word.startswith("trace=")}
        return [line for line in lines if traces & set(line.split()) or " level=error " in line or " level=warn" in line
                ][-LOG_LINES_SHOWN:]

    def announce(self, box, op):
        """A message is in: idle sessions must hear of it without asking."""
        for s in box.sessions:
            cmd = s.inflight[0] if s.inflight else None
            if cmd and cmd.idling and cmd.start < op.start and s.view.box is box and s.view.waiting is None:
                if s.view.news >= op.start:
                    self.oracle.latency.append(0.0)
                else:
                    s.view.waiting = op.end

    # -- the server comes and goes
    async def strike(self, how):
        self.down = True
        self.epoch += 1
        if how == "kill":
            await asyncio.to_thread(self.site.kill)
        else:
            status = await asyncio.to_thread(self.site.stop)
            if status != 0:
                self.fail(None, Difference(f"exit status {status} after SIGTERM: {self.site.tail()}"))
                return
        await asyncio.to_thread(self.site.start)
        self.down = False
        self.count(how)

    # -- a session of the test itself
    async def checker(self, user):
        s = self.checkers.get(user)
        if s is None or s.lost:
            s = self.checkers[user] = Session(self, f"check-{user}-{self.epoch}", user)
            await s.open()
            await s.login()
        return s

    async def prepare(self):
        for user in self.users:
            s = await self.checker(user)
            for name in FIXED:
                if name != "INBOX":
                    await s.command("CREATE", name)
                cmd = await s.command("STATUS", f"{name} (UIDVALIDITY)")
                validity = cmd.others[0].values["UIDVALIDITY"]
                self.oracle.fixed[user, name] = validity
                self.oracle.mailbox(validity, user)

    # -- quiet points
    async def quiet(self):
        self.gate.clear()
        end = time.monotonic() + 3 * self.patience
        while self.busy and not self.failed:
            if time.monotonic() > end:
                stuck = [c for c in self.clients if c.session and c.session.inflight]
                self.fail(stuck[0].session if stuck else None, Difference(f"{len(stuck)} clients do not come to rest"))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # what was cut off has been read by now
        if self.failed:
            return
        try:
            await asyncio.gather(*(self.catch_up(c) for c in self.clients))
            await self.compare()
        except Lost as e:
            self.fail(None, Difference(f"connection lost at a quiet point: {e}"))
        except Difference as e:
            self.fail(None, e)
        except Exception as e:
            self.fail(None, e, fault=True)
        self.quiet_points += 1
        if not self.failed:
            self.gate.set()

    async def catch_up(self, client):
        s = client.session
        if s is None or s.lost or s.view is None:
            return
        try:
            await s.command("NOOP")
            await client.learn()
        except Difference as e:
            self.fail(s, e)

    async def compare(self):
        truth = {}
        for user in self.users:
            s = await self.checker(user)
            try:
                truth.update(await self.truth(s, user))
            except Difference as e:
                self.fail(s, e)
                return
        for box, messages in truth.items():
            for uid, (name, flags, modseq) in messages.items():
                box.rec(uid, name)
        self.judged += sum(t.check(truth) for t in self.oracle.transfers)
        self.oracle.transfers = []
        for client in self.clients:
            self.compare_view(client, truth)
        now = time.monotonic()
        for validity, box in list(self.oracle.mailboxes.items()):
            fixed = validity in self.oracle.fixed.values()
            if box in truth:
                box.settle(truth[box], now, not fixed)
            elif box.deleted is None:
                raise Difference(f"{box} is lost")
            else:
                box.deleted.done(now)

    async def truth(self, s, user):
        """{Mailbox: {UID: (name, flags, modseq)}} as a new session sees it."""
        out = {}
        cmd = await s.command("LIST", '"" *')
        names = {o.name for o in cmd.others if o.kind == "list"}
        if not set(FIXED) <= names:
            raise Difference(f"LIST of {user}: {sorted(names)}")
        for name in FIXED + tuple(n for n in VOLATILE if n in names):
            cmd = await s.command("STATUS", f"{name} (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
            status = [o for o in cmd.others if o.kind == "statusbox"][0].values
            s.leave()
            s.view = v = View(True, time.monotonic())
            await s.command("EXAMINE", name)
            self.oracle.named(user, name, v.box.validity)
            everything = self.quiet_points % 3 == 2
            if v.uids:
                await s.command("FETCH", f"1:* (UID FLAGS RFC822.SIZE {'BODY.PEEK[]' if everything else NAME_ITEM}"
                                + (" MODSEQ)" if "CONDSTORE" in s.capabilities else ")"))
            out[v.box] = {u: (v.box.rec(u).name, v.flags[u], v.modseqs.get(u)) for u in v.uids}
            unseen = sum("\\seen" not in f for f in v.flags.values())
            if status != {"MESSAGES": len(v.uids), "UNSEEN": unseen, "UIDNEXT": v.uidnext, "UIDVALIDITY": v.box.validity}:
                raise Difference(f"STATUS {name}: {status}, EXAMINE shows {len(v.uids)} messages, {unseen} unseen, {v.uidnext}")
        return out

    def compare_view(self, client, truth):
        s = client.session
        if s is None or s.lost or s.view is None:
            return
        v = s.view
        messages = truth.get(v.box)
        try:
            if messages is None:
                if v.uids:
                    raise Difference(f"{v.box} is deleted, and {len(v.uids)} messages are still in the view")
                return
            if v.uids != sorted(messages):
                raise Difference(f"view of {v.box}: UIDs lacking {sorted(set(messages) - set(v.uids))}, "
                                 f"too many {sorted(set(v.uids) - set(messages))}")
            for uid, (name, flags, _) in messages.items():
                if uid in v.flags and v.flags[uid] != flags - {"\\recent"}:
                    raise Difference(f"UID {uid} ({name}) of {v.box}: this session knows {sorted(v.flags[uid])}, "
                                     f"a new one sees {sorted(flags)}")
        except Difference as e:
            self.fail(s, e)


async def deliver(run, number):
    """LMTP: one message after another into some INBOX."""
    rnd = random.Random(f"{run.seed}/lmtp{number}")
    count = 0
    reader = writer = None
    while not run.over:
        await run.gate.wait()
        run.busy += 1
        op = None
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", run.site.base + 24)
                await lmtp_answer(run, reader, b"220")
                await lmtp_say(run, reader, writer, b"LHLO test", b"250")
            user = rnd.choice(run.users)
            box = run.oracle.mailboxes[run.oracle.fixed[user, "INBOX"]]
            if len(box.recs) < 150:
                count += 1
                m = run.oracle.message(f"d{run.seed}-{number}-{count}", rnd.randrange(4000))
                del run.oracle.digests[m.name]  # fields are put in front
                await lmtp_say(run, reader, writer, b"MAIL FROM:<a@example.net>", b"250")
                await lmtp_say(run, reader, writer, f"RCPT TO:<{user}@example.org>".encode(), b"250")
                await lmtp_say(run, reader, writer, b"DATA", b"354")
                op = Op()
                box.make(m.name, op)
                await lmtp_say(run, reader, writer, m.bytes + b".", b"250")
                op.done(time.monotonic())
                run.announce(box, op)
                run.count("lmtp")
        except (OSError, asyncio.IncompleteReadError):
            if writer:
                writer.close()
            writer = None
            await asyncio.sleep(0.1)
        except Difference as e:
            if run.down:
                writer.close()
                writer = None
            else:
                run.fail(None, e)
        finally:
            run.busy -= 1
        await asyncio.sleep(rnd.random() * 0.2)


async def lmtp_answer(run, reader, code):
    while True:
        line = await asyncio.wait_for(reader.readline(), run.patience)
        if not line:
            raise asyncio.IncompleteReadError(b"", 1)
        if line.startswith(b"421 4.3.2 "):  # the server stops: nothing of this transaction was taken
            raise ConnectionResetError(line)
        if line[3:4] != b"-":
            if not line.startswith(code):
                raise Difference(f"LMTP: {line!r}, {code!r} expected")
            return


async def lmtp_say(run, reader, writer, text, code):
    writer.write(text + b"\r\n")
    await lmtp_answer(run, reader, code)


class Manager:
    """Makes, renames and deletes a mailbox that others have selected."""

    def __init__(self, run, user):
        self.run = run
        self.user = user
        self.rnd = random.Random(f"{run.seed}/manager/{user}")
        self.session = None
        self.ever = set()
        self.name = None  # under which it is there now
        self.validity = None
        self.connections = 0

    async def live(self):
        while not self.run.over:
            await self.run.gate.wait()
            self.run.busy += 1
            try:
                if self.session is None or self.session.lost:
                    await self.connect()
                await self.act()
            except Lost:
                pass
            except Difference as e:
                self.run.fail(self.session, e)
            except Exception as e:
                self.run.fail(self.session, e, fault=True)
            finally:
                self.run.busy -= 1
            await asyncio.sleep(0.2 + self.rnd.random())

    async def connect(self):
        self.connections += 1
        self.session = Session(self.run, f"manager-{self.user}-{self.connections}", self.user)
        await self.session.open()
        await self.session.login()
        cmd = await self.session.command("LIST", '"" Vol*')
        there = [o.name for o in cmd.others if o.kind == "list"]
        if len(there) > 1:
            raise Difference(f"both of {there}")
        known, self.name = self.validity, there[0] if there else None
        self.validity = await self.read_validity(self.name) if there else None
        box = self.run.oracle.mailboxes.get(known)
        if box and known != self.validity and not box.deleted:
            raise Difference(f"{box} is lost")
        if box and known == self.validity and box.deleted:
            if box.deleted.certain:
                raise Difference(f"{box} was deleted and is there again")
            box.deleted = None

    async def read_validity(self, name):
        cmd = await self.session.command("STATUS", f"{name} (UIDVALIDITY)")
        return cmd.others[0].values["UIDVALIDITY"]

    async def act(self):
        s = self.session
        if self.name is None:
            name = self.rnd.choice(VOLATILE)
            await s.command("CREATE", name)
            self.name, self.validity = name, await self.read_validity(name)
            if self.validity in self.ever:
                raise Difference(f"UIDVALIDITY {self.validity} of {name} was used before")
            self.ever.add(self.validity)
            self.run.oracle.mailbox(self.validity, self.user)
        elif self.rnd.random() < 0.6:
            other = VOLATILE[1 - VOLATILE.index(self.name)]
            await s.command("RENAME", f"{self.name} {other}")
            self.name = other
            if await self.read_validity(other) != self.validity:
                raise Difference(f"RENAME to {other} changed UIDVALIDITY {self.validity}")
        else:
            box = self.run.oracle.mailbox(self.validity, self.user)
            box.deleted = op = Op()
            await s.command("DELETE", self.name, [op])
            self.name = self.validity = None
        self.run.count("manage")


async def work(run, seconds):
    run.begun = time.monotonic()
    await run.prepare()
    tasks = [asyncio.create_task(c.live()) for c in run.clients]
    tasks += [asyncio.create_task(Manager(run, u).live()) for u in run.users]
    tasks += [asyncio.create_task(deliver(run, i)) for i in range(2)]
    end = time.monotonic() + seconds
    number = 0
    run.gate.set()
    while time.monotonic() < end and not run.failed:
        length = min(ROUND_SECONDS, seconds / 4)
        strike = ("", "kill", "kill", "term")[number % 4]
        before = length * (0.3 + 0.4 * run.rnd.random()) if strike else length
        await nap(run, before)
        if strike and not run.failed:
            await run.strike(strike)
            await nap(run, length - before)
        if not run.failed:
            await run.quiet()
        number += 1
    run.over = True
    run.gate.set()
    await asyncio.wait(tasks, timeout=2 * run.patience)
    for s in [c.session for c in run.clients] + list(run.checkers.values()):
        if s:
            s.cut()


async def nap(run, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not run.failed:
        await asyncio.sleep(0.05)


def stress(binary, args):
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        site = Site(pathlib.Path(folder) / "site", binary, [f"u{i}" for i in range(args.users)], args.set).init()
        try:
            site.start()
            run = Run(site, args)
            asyncio.run(work(run, args.seconds))
            if not run.failed and site.stop() != 0:
                raise RuntimeError("exit status after SIGTERM: " + site.tail())
            check_log(site)
        finally:
            site.kill()
    if run.failed:
        for text in run.failed:
            print("\n".join("# " + line for line in text.splitlines()))
        raise RuntimeError(f"seed {args.seed}: " + run.failed[0].splitlines()[0])
    return report(run)


def check_log(site):
    """Nothing that a sanitizer or an assertion says gets lost."""
    for line in site.log.read_text(errors="replace").splitlines():
        if any(word in line for word in ("runtime error", "Sanitizer", "level=critical", "event=imapd.sync_failed")):
            raise RuntimeError("log: " + line)


def report(run):
    o = run.oracle
    if not o.counts.get("kill") or not o.counts.get("store") or run.quiet_points < 2:
        raise RuntimeError(f"too little happened: {o.counts}")
    delays = sorted(o.latency)
    if delays and delays[-1] > LATENCY_SECONDS_MAX:
        raise RuntimeError(f"an idle session heard of a message after {delays[-1]:.1f} s")
    counts = ", ".join(f"{n} {what}" for what, n in sorted(o.counts.items()))
    print(f"# {counts}; {run.judged} unanswered transfers judged")
    if delays:
        print(f"# IDLE heard of {len(delays)} messages after p50 {delays[len(delays) // 2] * 1e3:.1f} ms, "
              f"p99 {delays[len(delays) * 99 // 100] * 1e3:.1f} ms (the test's own delay included)")
    return f"seed {run.seed}, {len(run.clients)} clients, {run.quiet_points} quiet points, {o.counts['kill']} kills"


GOOD = (b"* 3 FETCH (UID 4 FLAGS (\\Seen $X) MODSEQ (5))\r\n", b"a OK [COPYUID 4 1:3,9 5:8] done\r\n", b"* SEARCH\r\n",
        b"* SEARCH 2 3 (MODSEQ 9)\r\n", b'* ESEARCH (TAG "a") UID COUNT 0\r\n', b"* VANISHED (EARLIER) 1:4,7\r\n", b"+ \r\n",
        b"* 1 FETCH (BODY[1.TEXT]<0> {3}\r\na)\n UID 3)\r\n", b'* LIST (\\Noselect) NIL ""\r\n', b"* STATUS a (MESSAGES 0 SIZE 9)\r\n",
        b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 3 1))\r\n', b"* OK [PERMANENTFLAGS (\\*)] text\r\n")
BAD = (b"* 0 EXPUNGE\r\n", b"* 03 EXISTS\r\n", b"* 3 EXISTS \r\n", b"* 3 exists\n", b"* 1 FETCH ()\r\n", b"* 1 FETCH (UID 0)\r\n",
       b"* 1 FETCH (UID 1 UID 1)\r\n", b"* 1 FETCH (FLAGS (\\Seen \\seen))\r\n", b"* 1 FETCH (FLAGS (\\Seen  $X))\r\n",
       b"* 1 FETCH (MODSEQ 5)\r\n", b"* 1 FETCH (BODY[] {5}\r\nabc)\r\n", b"* 1 FETCH (BODY[] {3}\r\na\0b)\r\n", b"* SEARCH 1 \r\n",
       b"* SEARCH 0\r\n", b"* SEARCH 4294967296\r\n", b"* ESEARCH UID ALL\r\n", b"* VANISHED \r\n", b"* VANISHED 1:*\r\n",
       b"a OK\r\n", b"a OK \r\n", b"a OK [COPYUID 4 1:3] done\r\n", b"a OK [UIDNEXT 0] x\r\n", b"a OK [NOSUCHCODE] x\r\n", b"a YES x\r\n",
       b"* STATUS a (MESSAGES)\r\n", b'* LIST () "/" \r\n', b'* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 3))\r\n',
       b'* 1 FETCH (INTERNALDATE "1-Jan-2026 00:00:00 +0000")\r\n', b"* FLAGS (\\*)\r\n", b"* 1 FETCH (UID 1) \r\n")


def check_parser():
    for raw in GOOD:
        parse(raw)
    for raw in BAD:
        try:
            parse(raw)
        except Malformed:
            continue
        raise RuntimeError(f"taken for well-formed: {raw!r}")
    return f"{len(BAD)} bad responses refused"


def check_bounds():
    """What a reader may see, of operations that overlap and that do not."""
    rec = Rec(1, "m", NO)
    first, second, doubt = Op(1, 2, True), Op(3, 5, True), Op(6)
    rec.add("k1", first, YES)
    rec.add("k1", second, NO)
    rec.add("k1", doubt, YES)
    for start, end, want in ((0, 0.5, NO), (1.5, 1.6, BOTH), (2.5, 2.6, YES), (2.5, 4, BOTH), (4, 4, BOTH), (5.5, 5.6, NO), (7, 9, BOTH)):
        if rec.possible("k1", start, end) != want:
            raise RuntimeError(f"at {start}-{end}: {rec.possible('k1', start, end)}, not {want}")
    if rec.possible("k1", 4, 4, {second}) != NO:
        raise RuntimeError("an operation of one's own is not seen")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    p.add_argument("--seconds", type=float, default=24)
    p.add_argument("--clients", type=int, default=30)
    p.add_argument("--users", type=int, default=4)
    p.add_argument("--patience", type=float, default=30)
    p.add_argument("--set", action="append", default=[])
    p.add_argument("--without", action="append", default=[], metavar="CAPABILITY", help="as if the server did not offer it")
    args = p.parse_args()
    print(f"# seed {args.seed}")
    tap = Tap()
    tap.run("the parser is strict", check_parser)
    tap.run("what may be seen when", check_bounds)
    tap.run(f"{args.clients} sessions for {args.seconds:.0f} s, with a model each", stress, args.binary, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
