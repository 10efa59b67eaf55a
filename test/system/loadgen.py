"""Clients that load a site over LMTP, SMTP and IMAP and note every answer, and what must hold afterwards."""
import threading
import time

from msite import list_mailbox, message

USERS = ("u1", "u2", "u3", "u4")


class Load:
    """What clients asked and heard: facts with the number of the operation after which they were known."""

    def __init__(self, site, counter, rnd):
        self.site, self.counter, self.rnd = site, counter, rnd
        self.until = 0
        self.lock = threading.Lock()
        self.asked = {}      # test id -> (user, mailbox) ever sent
        self.answered = []   # (number, kind, user, test id, uid or None)
        self.refused = set()
        self.serial = 0
        self.problems = []

    def next_id(self, user, kind):
        with self.lock:
            self.serial += 1
            test_id = f"{kind}-{user}-{self.serial}"
            self.asked[test_id] = user
            return test_id

    def note(self, kind, user, test_id, uid=None, extra=None):
        number = self.counter.number()
        with self.lock:
            self.answered.append((number, kind, user, test_id, uid, extra))

    def body(self):
        size = self.rnd.choice((10, 400, 4000, 40000, 300000) if self.rnd.random() < 0.3 else (10, 400, 4000))
        line = "x" * 70 + "\r\n"
        return (line * (size // 72 + 1))[:size] + "\r\n"

    def run_lmtp(self):
        client = self.site.lmtp()
        while time.monotonic() < self.until:
            user = self.rnd.choice(USERS)
            test_id = self.next_id(user, "lmtp")
            bad = self.rnd.random() < 0.05
            try:
                if bad:  # bare LF: refused, must never appear
                    client.ehlo_or_helo_if_needed()
                    client.docmd("MAIL", "FROM:<load@example.net>")
                    client.docmd("RCPT", f"TO:<{user}@example.org>")
                    client.docmd("DATA")
                    client.send(message(test_id).replace(b"hello\r\n", b"hel\nlo\r\n") + b".\r\n")
                    code, _ = client.getreply()
                    with self.lock:
                        self.refused.add(test_id)
                    if code < 400:
                        self.problems.append(f"{test_id}: bare LF was accepted with {code}")
                    continue
                client.sendmail("load@example.net", [f"{user}@example.org"], message(test_id, body=self.body()))
            except OSError:
                return
            except Exception as e:  # the server was killed, or said no
                if "closed" in str(e).lower() or "reset" in str(e).lower():
                    return
                self.problems.append(f"lmtp: {e!r}")
                return
            self.note("deliver", user, test_id)

    def run_smtp(self):
        client = self.site.submission("u1")
        while time.monotonic() < self.until:
            user = self.rnd.choice(USERS)
            test_id = self.next_id(user, "smtp")
            try:
                client.sendmail("u1@example.org", [f"{user}@example.org"], message(test_id, "u1@example.org", self.body()))
            except Exception:
                return
            self.note("deliver", user, test_id)

    def run_imap(self, user):
        client = self.site.imap(user)
        client.select("INBOX")
        mine = []
        while time.monotonic() < self.until:
            try:
                what = self.rnd.random()
                if what < 0.5 or not mine:
                    test_id = self.next_id(user, "append")
                    status, data = client.append("INBOX", "(\\Seen)", None, message(test_id, body=self.body()))
                    if status == "OK":
                        uid = int(data[0].decode().split("APPENDUID ")[1].split("]")[0].split()[1])
                        mine.append((uid, test_id))
                        self.note("append", user, test_id, uid)
                elif what < 0.8:
                    uid, test_id = self.rnd.choice(mine)
                    flag = self.rnd.choice(("\\Flagged", "\\Answered", "kw1", "kw2"))
                    self.note("flag-asked", user, test_id, uid, flag)
                    status, _ = client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({flag})")
                    if status == "OK":
                        self.note("flag", user, test_id, uid, flag)
                else:
                    uid, test_id = mine.pop(self.rnd.randrange(len(mine)))
                    self.note("expunge-asked", user, test_id, uid)
                    client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)")
                    status, _ = client.uid("EXPUNGE", str(uid))
                    if status == "OK":
                        self.note("expunge", user, test_id, uid)
            except Exception:
                return

    @staticmethod
    def guarded(job):
        try:
            job()
        except OSError:
            pass  # the server is gone
        except Exception as e:
            if type(e).__module__ not in ("smtplib", "imaplib"):
                raise

    def run(self, seconds):
        """Until the time is over or the server is gone; may be called again."""
        self.until = time.monotonic() + seconds
        jobs = [self.run_lmtp, self.run_lmtp, self.run_smtp] + [lambda u=u: self.run_imap(u) for u in USERS[:2]]
        threads = [threading.Thread(target=self.guarded, args=(job,)) for job in jobs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


class Expect:
    """What must and may hold after a cut at `number`."""

    def __init__(self, load, number):
        self.must = {}     # test id -> user
        self.gone = set()  # expunged for sure
        self.maybe_gone = set()
        self.flags = {}
        self.uids = {}     # (user, uid) -> test id
        self.load = load
        for at, kind, user, test_id, uid, extra in load.answered:
            if kind == "expunge-asked":
                # Asked at `at`: it may have been done by any operation after that.
                if at <= number:
                    self.maybe_gone.add(test_id)
                continue
            if at > number:
                continue
            if kind in ("deliver", "append"):
                self.must[test_id] = user
            if kind == "append":
                self.uids[user, uid] = test_id
                self.flags.setdefault(test_id, set()).add("\\Seen")
            if kind == "flag":
                self.flags.setdefault(test_id, set()).add(extra)
            if kind == "expunge":
                self.gone.add(test_id)

    def check(self, found):
        """found: user -> (rows, uidvalidity, uidnext). A list of what is wrong."""
        wrong = []
        seen = {}
        for user, (rows, _, uidnext) in found.items():
            for uid, test_id, flags in rows:
                if test_id in seen:
                    wrong.append(f"{test_id} is there twice: {seen[test_id]} and {(user, uid)}")
                seen[test_id] = (user, uid)
                if self.load.asked.get(test_id) != user:
                    wrong.append(f"{test_id} is in the mailbox of {user}: nobody sent that")
                if test_id in self.load.refused:
                    wrong.append(f"{test_id} was refused and is there")
                if test_id in self.gone:
                    wrong.append(f"{test_id} was expunged and is there")
                if self.uids.get((user, uid), test_id) != test_id:
                    wrong.append(f"UID {uid} of {user} was {self.uids[user, uid]} and is {test_id}")
                missing = self.flags.get(test_id, set()) - flags
                if missing:
                    wrong.append(f"{test_id} lost its flags {missing}")
            for (owner, uid), test_id in self.uids.items():
                if owner == user and uid >= uidnext:
                    wrong.append(f"UIDNEXT of {user} is {uidnext}, but {test_id} had UID {uid}")
        for test_id, user in self.must.items():
            if test_id not in seen and test_id not in self.maybe_gone:
                wrong.append(f"{test_id} was acknowledged and is missing in the mailbox of {user}")
        return wrong


def read_all(site, expect, seconds=20):
    """Mailboxes; waits until what was submitted has come out of the queue."""
    end = time.monotonic() + seconds
    while True:
        found = {}
        for user in USERS:
            client = site.imap(user)
            status, _ = client.select("INBOX", readonly=True)
            found[user] = list_mailbox(client) if status == "OK" else ([], 0, 0)
            client.logout()
        have = {test_id for rows, _, _ in found.values() for _, test_id, _ in rows}
        late = [t for t in expect.must if t.startswith("smtp-") and t not in have and t not in expect.maybe_gone]
        if not late or time.monotonic() > end:
            return found
        time.sleep(0.05)


def probe_uid(site, found, load):
    """A message delivered now gets a UID above all that were ever seen."""
    wrong = []
    for user in USERS[:1]:
        probe = load.next_id(user, "probe")
        with site.lmtp() as client:
            client.sendmail("load@example.net", [f"{user}@example.org"], message(probe))
        client = site.imap(user)
        rows, _, _ = list_mailbox(client)
        client.logout()
        new = [uid for uid, test_id, _ in rows if test_id == probe]
        if len(new) != 1 or new[0] < found[user][2]:
            wrong.append(f"probe of {user} got UID {new}, UIDNEXT was {found[user][2]}")
    return wrong
