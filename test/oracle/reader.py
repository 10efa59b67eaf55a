#!/usr/bin/env python3
"""Reads a mailserverd partition that nobody has open, without mailserverd.

usage: reader.py index FILE     what an index (or a checkpoint) says
       reader.py log DIR        the same, from the segments in DIR alone
       reader.py compare DIR    both for the partition in DIR; exit 1 when they differ
"""
import dataclasses
import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from formats import Broken, State, read_index  # noqa: E402
from replay import read_log  # noqa: E402

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
STATES = ("pending", "done", "failed")


def shown(text):
    return '"' + text.decode("utf-8", "backslashreplace").translate({34: '\\"', 92: "\\\\"}) + '"'


@dataclasses.dataclass
class MailboxView:
    account: int
    owner: str
    name: str
    uidvalidity: int
    uidnext: int
    messages: dict  # uid -> MessageView


@dataclasses.dataclass
class MessageView:
    flags: tuple
    keywords: tuple
    modseq: int
    date: int
    zone: int
    size: int
    sha256: str


def view(state):
    """[MailboxView] by account and name: what users see."""
    out = []
    for (account, name), row in sorted(state.name.items()):
        if not row.mailbox:
            continue
        box = state.mailbox[row.mailbox]
        messages = {}
        for uid, m in sorted(state.message.get(row.mailbox, {}).items()):
            keywords = tuple(sorted(k.decode() for bit, k in enumerate(box.keywords) if m.keywords >> bit & 1))
            data = state.bytes_of(m)
            if len(data) != m.size:
                raise Broken(f"{name}: UID {uid} has {len(data)} bytes, not {m.size}")
            messages[uid] = MessageView(tuple(f for bit, f in enumerate(FLAGS) if m.flags >> bit & 1), keywords, m.modseq, m.date,
                                        m.zone, m.size, hashlib.sha256(data).hexdigest())
        out.append(MailboxView(account, state.account[account].owner.decode(), name.decode(), box.uidvalidity, box.uidnext,
                               messages))
    return out


def listing(state):
    """Lines, the same for the same mail wherever it was read."""
    for number, account in sorted(state.account.items()):
        yield f"account {number:016x} owner={shown(account.owner)} messages={account.messages} bytes={account.bytes}"
    for box in view(state):
        yield f"mailbox {box.account:016x} {shown(box.name.encode())} uidvalidity={box.uidvalidity} uidnext={box.uidnext}"
        for uid, m in box.messages.items():
            yield (f"message {uid} flags={','.join(m.flags)} keywords={','.join(m.keywords)} modseq={m.modseq} date={m.date}"
                   f" zone={m.zone} size={m.size} sha256={m.sha256}")
    for name, entry in sorted(state.entry.items()):
        _, channel, host, sender, _, _ = entry.texts
        yield (f"queue {name.hex()} channel={shown(channel)} host={shown(host)} sender={shown(sender)} attempts={entry.attempts}"
               f" due={entry.due} tried={entry.tried} notices={entry.notices} held={entry.flags & 1}")
        for number, rcpt in sorted(state.recipient[name].items()):
            yield f"recipient {number} {shown(rcpt.texts[0])} {STATES[rcpt.state]} {shown(rcpt.texts[3])}"
    for name, since in sorted(state.stop.items()):
        yield f"stopped {shown(name)} since={since}"


def flat(table, path=()):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, path + (key,))
        else:
            yield path + (key,), value


def differences(left, right):
    """Every row that is not the same in both, as text."""
    if left.uidvalidity != right.uidvalidity:
        yield f"uidvalidity: {left.uidvalidity} / {right.uidvalidity}"
    for table in State.TABLES:
        a, b = dict(flat(getattr(left, table))), dict(flat(getattr(right, table)))
        for key in sorted(a.keys() | b.keys()):
            if a.get(key) != b.get(key):
                yield f"{table} {key}: {a.get(key)} / {b.get(key)}"


def compare(folder):
    """Index of the partition / its log alone, up to where the index is: differences as lines."""
    folder = pathlib.Path(folder)
    index = read_index(folder / "index.mdb")
    log = read_log(folder / "journal", until=index.mark[0])
    found = list(differences(index, log))
    if index.mark != log.mark:
        found.append(f"the index stands for {index.mark}, the log has {log.mark}")
    found += [f"listing: {a} / {b}" for a, b in zip(listing(index), listing(log)) if a != b]
    return found


def main(words):
    if len(words) != 2 or words[0] not in ("index", "log", "compare"):
        print(__doc__.strip(), file=sys.stderr)
        return 64
    try:
        if words[0] == "compare":
            found = compare(words[1])
            print("\n".join(found) or "index and log say the same")
            return 1 if found else 0
        for line in listing((read_index if words[0] == "index" else read_log)(words[1])):
            print(line)
        return 0
    except Broken as why:
        print(f"broken: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
