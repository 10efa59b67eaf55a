"""Load that goes on while the disk fails: every answer is one of yes, temporary no, or a closed connection; anything else is wrong."""
import imaplib
import smtplib
import time

from loadgen import Load, USERS
from msite import message

PAUSE = 0.01  # after a refusal: clients that come back at once would only heat the machine
ANSWER_SECONDS = 20


class Wrong(Exception):
    """An answer that no failing disk excuses."""


def transact(client, sender, recipient, data):
    """The code of the step that decided."""
    client.ehlo_or_helo_if_needed()
    for verb, args in (("MAIL", f"FROM:<{sender}>"), ("RCPT", f"TO:<{recipient}>"), ("DATA", "")):
        code, text = client.docmd(verb, args)
        if code >= 400:
            return code, text
    client.send(smtplib._quote_periods(data) + b".\r\n")
    return client.getreply()


class FaultLoad(Load):
    """As Load, but a refusal is noted and the client goes on; a lost connection is made anew."""

    def again(self, session):
        """Runs session(deadline reached?) until the time is over; connections may break."""
        while time.monotonic() < self.until:
            try:
                session()
            except (OSError, imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected):
                time.sleep(PAUSE)
            except (imaplib.IMAP4.error, smtplib.SMTPException) as e:
                self.judge_error(e)
                time.sleep(PAUSE)

    def judge_error(self, e):
        """Refusals at the greeting or the login: a 4xx, or a NO."""
        code = getattr(e, "smtp_code", None)
        if code is not None and not 400 <= code < 500:
            self.problems.append(f"{code} {e}")

    def refuse(self, test_id, code, text):
        if not 400 <= code < 500:
            self.problems.append(f"{test_id}: {code} {text!r} while the disk failed")
        with self.lock:
            self.refused.add(test_id)

    def deliver_many(self, client, kind, sender):
        while time.monotonic() < self.until:
            user = self.rnd.choice(USERS)
            test_id = self.next_id(user, kind)
            code, text = transact(client, sender, f"{user}@example.org", message(test_id, sender, self.body()))
            if code == 250:
                self.note("deliver", user, test_id)
                continue
            if code == -1:
                raise OSError("closed")
            self.refuse(test_id, code, text)
            time.sleep(PAUSE)
            client.rset()

    def run_lmtp(self):
        self.again(lambda: self.deliver_many(self.site.lmtp(ANSWER_SECONDS), "lmtp", "load@example.net"))

    def run_smtp(self):
        self.again(lambda: self.deliver_many(self.site.submission("u1", ANSWER_SECONDS), "smtp", "u1@example.org"))

    def run_imap(self, user):
        self.again(lambda: self.imap_session(user))

    def imap_session(self, user):
        client = self.site.imap(user, ANSWER_SECONDS)
        if client.select("INBOX")[0] != "OK":
            time.sleep(PAUSE)
            return
        mine = []
        while time.monotonic() < self.until:
            if self.rnd.random() < 0.6 or not mine:
                test_id = self.next_id(user, "append")
                status, data = client.append("INBOX", "(\\Seen)", None, message(test_id, body=self.body()))
                if status == "OK":
                    uid = int(data[0].decode().split("APPENDUID ")[1].split("]")[0].split()[1])
                    mine.append((uid, test_id))
                    self.note("append", user, test_id, uid)
                    continue
                with self.lock:
                    self.refused.add(test_id)
            else:
                uid, test_id = self.rnd.choice(mine)
                flag = self.rnd.choice(("\\Flagged", "\\Answered", "kw1", "kw2"))
                status, data = client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({flag})")
                if status == "OK":
                    self.note("flag", user, test_id, uid, flag)
                    continue
            if status != "NO":
                self.problems.append(f"{user}: {status} {data!r} while the disk failed")
            time.sleep(PAUSE)
