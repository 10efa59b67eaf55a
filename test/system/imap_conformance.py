#!/usr/bin/env python3
"""The tables of mailserverd-imap(7): what is offered or asked for by the standards -> the protocol scripts that prove it.

A script names capabilities and sections in lines at its head:

    # capability: MOVE UIDPLUS
    # rfc: 3501 6.4.8, 9051 6.4.9 7.1, 6851 3.1

Commands, FETCH items, SEARCH keys, STATUS items and response codes are found in the lines a script sends and expects.
Fails when something has no script, when a script names what there is not, and when the page is not what this makes.

usage: imap_conformance.py SOURCE_ROOT [--update]
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tap import Tap  # noqa: E402

BEGIN, END = '.\\" begin tables: made by test/system/imap_conformance.py\n', '.\\" end tables\n'
SHOWN_MAX = 6  # scripts named for one row

SECTIONS = {
    "3501": """6.1.1 CAPABILITY|6.1.2 NOOP|6.1.3 LOGOUT|6.2.1 STARTTLS|6.2.2 AUTHENTICATE|6.2.3 LOGIN|6.3.1 SELECT|6.3.2 EXAMINE
        |6.3.3 CREATE|6.3.4 DELETE|6.3.5 RENAME|6.3.6 SUBSCRIBE|6.3.7 UNSUBSCRIBE|6.3.8 LIST|6.3.9 LSUB|6.3.10 STATUS|6.3.11 APPEND
        |6.4.1 CHECK|6.4.2 CLOSE|6.4.3 EXPUNGE|6.4.4 SEARCH|6.4.5 FETCH|6.4.6 STORE|6.4.7 COPY|6.4.8 UID|7.1 Status responses
        |7.1.5 BYE response|7.2.1 CAPABILITY response|7.2.2 LIST response|7.2.3 LSUB response
        |7.2.4 STATUS response|7.2.5 SEARCH response|7.2.6 FLAGS response|7.3.1 EXISTS response|7.3.2 RECENT response
        |7.4.1 EXPUNGE response|7.4.2 FETCH response|7.5 Continuation request""",
    "9051": """6.1.1 CAPABILITY|6.1.2 NOOP|6.1.3 LOGOUT|6.2.1 STARTTLS|6.2.2 AUTHENTICATE|6.2.3 LOGIN|6.3.1 ENABLE|6.3.2 SELECT
        |6.3.3 EXAMINE|6.3.4 CREATE|6.3.5 DELETE|6.3.6 RENAME|6.3.7 SUBSCRIBE|6.3.8 UNSUBSCRIBE|6.3.9 LIST|6.3.10 NAMESPACE
        |6.3.11 STATUS|6.3.12 APPEND|6.3.13 IDLE|6.4.1 CLOSE|6.4.2 UNSELECT|6.4.3 EXPUNGE|6.4.4 SEARCH|6.4.4.1 SAVE
        |6.4.5 FETCH|6.4.6 STORE|6.4.7 COPY|6.4.8 MOVE|6.4.9 UID|7.1 Status responses|7.1.5 BYE response
        |7.2.1 ENABLED response|7.2.2 CAPABILITY response|7.3.1 LIST response|7.3.2 NAMESPACE response|7.3.3 STATUS response
        |7.3.4 ESEARCH response|7.3.5 FLAGS response|7.4.1 EXISTS response|7.5.1 EXPUNGE response|7.5.2 FETCH response
        |7.6 Continuation request""",
}
COMMANDS = """CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN ENABLE SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE
    LIST LSUB NAMESPACE STATUS APPEND IDLE CHECK CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE ID""".split()
FETCH_ITEMS = ["ALL", "FAST", "FULL", "BINARY[", "BINARY.PEEK[", "BINARY.SIZE[", "BODY", "BODY[]", "BODY.PEEK[", "BODYSTRUCTURE", "ENVELOPE",
               "FLAGS", "INTERNALDATE", "RFC822", "RFC822.HEADER", "RFC822.SIZE", "RFC822.TEXT", "UID", "HEADER", "HEADER.FIELDS",
               "HEADER.FIELDS.NOT", "MIME", "TEXT", "MODSEQ", "EMAILID", "THREADID", "SAVEDATE", "CHANGEDSINCE", "VANISHED"]
SEARCH_KEYS = """ALL ANSWERED BCC BEFORE BODY CC DELETED DRAFT FLAGGED FROM HEADER KEYWORD LARGER NEW NOT OLD ON OR RECENT SEEN
    SENTBEFORE SENTON SENTSINCE SINCE SMALLER SUBJECT TEXT TO UID UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNKEYWORD UNSEEN OLDER
    YOUNGER MODSEQ SAVEDBEFORE SAVEDON SAVEDSINCE SAVEDATESUPPORTED EMAILID THREADID CHARSET RETURN MIN MAX COUNT SAVE""".split()
STATUS_ITEMS = "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ MAILBOXID APPENDLIMIT".split()
CODES = """ALREADYEXISTS APPENDUID AUTHENTICATIONFAILED AUTHORIZATIONFAILED BADCHARSET CANNOT CAPABILITY CLIENTBUG CLOSED CORRUPTION COPYUID
    EXPUNGEISSUED HASCHILDREN HIGHESTMODSEQ INUSE LIMIT MAILBOXID MODIFIED NONEXISTENT NOPERM NOTSAVED OVERQUOTA PERMANENTFLAGS
    PRIVACYREQUIRED READ-ONLY READ-WRITE SERVERBUG TOOBIG TRYCREATE UIDNEXT UIDVALIDITY UNAVAILABLE UNKNOWN-CTE UNSEEN
    USEATTR""".split()
# Codes of the standards that this server has no occasion for.
NOT_SENT = {
    "ALERT": "nothing is said to a user through a mail program",
    "CONTACTADMIN": "logged instead",
    "EXPIRED": "passwords do not expire",
    "INUSE": "no mailbox is ever locked",
    "NOMODSEQ": "every mailbox has modification sequences",
    "PARSE": "a header that cannot be parsed is shown as far as it goes",
    "UIDNOTSTICKY": "UIDs are kept",
    "CLIENTBUG": "said as BAD",
    "SERVERBUG": "the partition goes offline: UNAVAILABLE",
    "NOTSAVED": "only for results of more than 65,536 ranges: test/unit/imapd/test_search.c",
}


class Script:
    def __init__(self, path):
        self.name = path.stem
        text = path.read_text(errors="surrogateescape")
        self.capabilities, self.sections = set(), set()
        for line in text.splitlines():
            if line.startswith("# capability:"):
                self.capabilities |= set(line.split(":", 1)[1].replace(",", " ").split())
            elif line.startswith("# rfc:"):
                self.take_sections(line.split(":", 1)[1])
        # "C:" lines, also with a session number in front of the colon
        self.sent = [m[1] for m in re.finditer(r"^C\d*[:<+]? ?(.*)$", text, re.M)]
        self.got = [m[1] for m in re.finditer(r"^S\d*[:<+]? ?(.*)$", text, re.M)]

    def take_sections(self, text):
        rfc = None
        for word in text.replace(",", " ").split():
            if re.fullmatch(r"\d{4}", word):
                rfc = word
            else:
                self.sections.add((rfc, word))

    def sends(self, command, pattern=None):
        for line in self.sent:
            m = re.match(r"\S+ (?:UID )?(\S+)(.*)$", line, re.I)
            if m and m[1].upper() == command and (pattern is None or re.search(pattern, m[2], re.I)):
                return True
        return False

    def expects(self, pattern):
        return any(re.search(pattern, line) for line in self.got)


def word(text):
    return r"(?<![A-Z0-9.])" + re.escape(text) + r"(?![A-Z0-9.])" if text[-1] != "[" else re.escape(text)


def fetch_word(item):
    if item == "BODY":
        return r"(?<![A-Z0-9.])BODY(?![A-Z0-9.\[])"
    if item == "RFC822":
        return r"(?<![A-Z0-9.])RFC822(?![A-Z0-9.])"
    if item == "BODY[]":
        return r"BODY\[\]"
    return word(item)


def capabilities_of(root):
    text = (root / "src/imapd/imapd_capability.c").read_text()
    return list(dict.fromkeys(re.findall(r'^    \{"([^"]+)", OFFER_', text, re.M)))


def table(title, rows):
    """rows: (what, scripts) -> mdoc"""
    out = [f".Ss {title}\n", ".Bl -column \"RFC 9051 6.3.10 NAMESPACE\" \"scripts\"\n"]
    for what, names in rows:
        shown = sorted(names)[:SHOWN_MAX] + (["..."] if len(names) > SHOWN_MAX else [])
        cell = what.replace("\\", "\\e")
        out.append(f".It {quote(cell)} Ta {', '.join(shown)}\n")
    out.append(".El\n")
    return "".join(out)


def quote(text):
    """A cell that no macro and no delimiter changes."""
    return '"' + text.replace('"', "\\(dq") + '"'


def all_rows(root, scripts):
    def names(test):
        return [s.name for s in scripts if test(s)]

    yield "Capabilities", [(c, names(lambda s: c in s.capabilities)) for c in capabilities_of(root)]
    for rfc, text in SECTIONS.items():
        rows = []
        for item in text.split("|"):
            section, title = item.strip().split(" ", 1)
            rows.append((f"RFC {rfc} {section} {title}", names(lambda s: (rfc, section) in s.sections)))
        yield f"Sections of RFC {rfc}", rows
    yield "Commands", [(c, names(lambda s: s.sends(c) or (c == "IDLE" and s.sends("IDLE")))) for c in COMMANDS]
    yield "FETCH items", [(i.rstrip("["), names(lambda s: s.sends("FETCH", fetch_word(i)))) for i in FETCH_ITEMS]
    yield "SEARCH keys", [(k, names(lambda s: s.sends("SEARCH", word(k)))) for k in SEARCH_KEYS]
    yield "STATUS items", [(i, names(lambda s: s.sends("STATUS", word(i)))) for i in STATUS_ITEMS]
    sent = [c for c in CODES if c not in NOT_SENT]
    yield "Response codes", [(c, names(lambda s: s.expects(r"\[" + re.escape(c) + r"[ \]]"))) for c in sent]


def made(root, scripts):
    text = "".join(table(title, rows) for title, rows in all_rows(root, scripts))
    text += ".Ss Response codes that are not sent\n.Bl -tag -width AUTHORIZATIONFAILED -compact\n"
    text += "".join(f".It {code}\n{why}\n" for code, why in sorted(NOT_SENT.items()))
    return text + ".El\n"


def check_rows(rows):
    missing = [what for what, names in rows if not names]
    if missing:
        raise RuntimeError("no script in test/proto/imap for: " + ", ".join(missing))


def check_capabilities_exist(root, scripts):
    known = set(capabilities_of(root))
    for s in scripts:
        strange = s.capabilities - known
        if strange:
            raise RuntimeError(f"{s.name}.script names what is not offered: {' '.join(sorted(strange))}")


def check_capabilities_once(root):
    text = (root / "src/imapd/imapd_capability.c").read_text()
    names = re.findall(r'^    \{"([^"]+)", OFFER_', text, re.M)
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise RuntimeError(f"offered twice: {' '.join(sorted(twice))}")


def check_not_sent(scripts):
    for code in NOT_SENT:
        if any(s.expects(r"\[" + re.escape(code) + r"[ \]]") for s in scripts):
            raise RuntimeError(f"{code} is sent after all")


def check_page(root, scripts, update):
    path = root / "man/mailserverd-imap.7"
    head, rest = path.read_text().split(BEGIN)
    old, tail = rest.split(END)
    want = made(root, scripts)
    if update:
        path.write_text(head + BEGIN + want + END + tail)
    elif old != want:
        raise RuntimeError("the tables of man/mailserverd-imap.7 are old; run with --update")


def main():
    root = pathlib.Path(sys.argv[1])
    scripts = [Script(p) for p in sorted((root / "test/proto/imap").glob("*.script"))]
    tap = Tap()
    tap.run("the page has the tables of this tree", check_page, root, scripts, "--update" in sys.argv)
    for title, rows in all_rows(root, scripts):
        tap.run(f"{title}: each has a script", check_rows, rows)
    tap.run("scripts name capabilities that are offered", check_capabilities_exist, root, scripts)
    tap.run("no capability is offered twice", check_capabilities_once, root)
    tap.run("codes that are not sent are expected nowhere", check_not_sent, scripts)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
