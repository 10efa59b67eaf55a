#!/usr/bin/env python3
"""One message of 10 MB to 50 local recipients is kept once: it adds less than 1.3 times its size to the log and the index together,
counted from outside: 4 KiB blocks of the segments that hold anything, and pages that the index uses. Each recipient has flags of
his own and gets the message back equal.

usage: single_copy.py BINARY      needs python3-lmdb
"""
import pathlib
import random
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import message, running, wait_for  # noqa: E402
from tap import Skip, Tap  # noqa: E402

try:
    import lmdb
except ImportError:
    lmdb = None

USERS = [f"u{i:02}" for i in range(50)]
MESSAGE_BYTES = 10_000_000
FACTOR_MAX = 1.3
SMALL_MESSAGES = 1000
RECIPIENT_BYTES_MAX = 400
BLOCK = 4096
SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Draft", "\\Seen")


def journal_bytes(site):
    """Blocks with a byte that is not zero: segments are zeroed ahead of need."""
    blocks, zero = 0, bytes(BLOCK)
    for path in (site.partition / "journal").iterdir():
        try:
            with open(path, "rb") as f:
                while True:
                    piece = f.read(1 << 20)
                    if not piece:
                        break
                    blocks += sum(piece[at:at + BLOCK] != zero[:len(piece) - at] for at in range(0, len(piece), BLOCK))
        except FileNotFoundError:  # a prepared segment that got its name meanwhile
            return journal_bytes(site)
    return blocks * BLOCK


def index_bytes(site):
    """Pages of all databases in use: not the size of the file, not its free pages."""
    env = lmdb.open(str(site.partition / "index.mdb"), subdir=False, readonly=True, map_size=1 << 40, max_dbs=64)
    try:
        with env.begin() as txn:
            names = [bytes(key) for key, _ in txn.cursor()]
            stats = [txn.stat(env.open_db(name, txn=txn, create=False)) for name in names]
            stats.append(txn.stat())
            return sum(st["branch_pages"] + st["leaf_pages"] + st["overflow_pages"] for st in stats) * env.stat()["psize"]
    finally:
        env.close()


def used_bytes(site):
    return journal_bytes(site) + index_bytes(site)


def big_message(test_id, seed):
    """Lines of random letters: nothing that compression or luck could make small."""
    rnd = random.Random(seed)
    line_count = MESSAGE_BYTES // 78
    letters = rnd.randbytes(MESSAGE_BYTES).translate(bytes(97 + i % 26 for i in range(256)))
    body = b"\r\n".join(letters[at * 76:at * 76 + 76] for at in range(line_count))
    return message(test_id) + body + b"\r\n"


def send_lmtp(site, data):
    """One transaction; one reply for each recipient."""
    with site.lmtp(120) as client:
        client.ehlo_or_helo_if_needed()
        steps = ["MAIL FROM:<big@example.net>"] + [f"RCPT TO:<{u}@example.org>" for u in USERS] + ["DATA"]
        for step in steps:
            code, text = client.docmd(step)
            if code not in (250, 354):
                raise RuntimeError(f"{step}: {code} {text}")
        client.send(smtplib._quote_periods(data) + b".\r\n")
        replies = [client.getreply() for _ in USERS]
    if any(code != 250 for code, _ in replies):
        raise RuntimeError(f"replies: {replies}")


def send_submission(site, data):
    with site.submission("u00", 120) as client:
        refused = client.sendmail("u00@example.org", [f"{u}@example.org" for u in USERS], data)
    if refused:
        raise RuntimeError(f"refused: {refused}")


def count_of(client):
    status, data = client.select("INBOX")
    return int(data[0]) if status == "OK" else 0


def wait_delivered(clients, count):
    for user, client in clients.items():
        if not wait_for(lambda c=client: count_of(c) >= count, 60, 0.1):
            raise RuntimeError(f"{user} has {count_of(client)} messages, not {count}")


def measure(site, clients, send, number):
    data = big_message(f"big-{number}", number)
    before = used_bytes(site)
    send(site, data)
    wait_delivered(clients, number)
    added = used_bytes(site) - before
    if added >= FACTOR_MAX * len(data):
        raise RuntimeError(f"{added} bytes added for a message of {len(data)}")
    if added < len(data):
        raise RuntimeError(f"{added} bytes added for a message of {len(data)}: the count misses something")
    return f"{added / len(data):.3f} times the message"


def check_equal(clients, number):
    """Every recipient's last message is what was sent; only trace fields stand in front."""
    want = big_message(f"big-{number}", number)
    for user, client in clients.items():
        status, parts = client.fetch(str(number), "(BODY.PEEK[])")
        got = parts[0][1] if status == "OK" else b""
        front = got[:len(got) - len(want)]
        if not got.endswith(want) or b"\r\n\r\n" in front:
            raise RuntimeError(f"{user} got {len(got)} bytes for {len(want)}, in front {front[:200]!r}")


def flags_of(i):
    return {f"kw{i}"} | {flag for bit, flag in enumerate(SYSTEM_FLAGS) if i >> bit & 1}


def check_flags(clients):
    """Fifty different sets."""
    for i, client in enumerate(clients.values()):
        status, data = client.store("1", "FLAGS", f"({' '.join(sorted(flags_of(i)))})")
        if status != "OK":
            raise RuntimeError(f"STORE of user {i}: {data}")
    for i, client in enumerate(clients.values()):
        client.noop()
        status, data = client.fetch("1", "(FLAGS)")
        have = set(data[0].decode().split("FLAGS (")[1].split(")")[0].split()) - {"\\Recent"}
        if have != flags_of(i):
            raise RuntimeError(f"user {i} has {have}, not {flags_of(i)}")


def check_appends(binary):
    """Equal APPENDs of two users share one blob; one octet more or less is another; what was expunged by all comes again."""
    with running(binary) as site:
        clients = [site.imap("anna"), site.imap("bert")]
        same, other = message("same", body="x" * 70 + "\r\n"), message("same", body="x" * 69 + "y\r\n")
        for client in clients:
            for text in (same, same, other):
                if client.append("INBOX", None, None, text)[0] != "OK":
                    raise RuntimeError("APPEND refused")
            client.select("INBOX")
            got = [client.fetch(str(n), "(BODY.PEEK[])")[1][0][1] for n in (1, 2, 3)]
            if got != [same, same, other]:
                raise RuntimeError("a message came back as another")
        if site.stats()["blobs"] != 2:
            raise RuntimeError(f"{site.stats()['blobs']} blobs for two different messages")
        for client in clients:
            client.store("1:*", "+FLAGS", "(\\Deleted)")
            client.expunge()
        clients[0].append("INBOX", None, None, same)
        if clients[0].fetch("1", "(BODY.PEEK[])")[1][0][1] != same:
            raise RuntimeError("after the expunge the message came back as another")
        site.stop()
        site.run("store", "verify", "-c", site.config)


def small_bytes(binary, recipients):
    """Log bytes and index pages in use that SMALL_MESSAGES messages to this many recipients each add."""
    with running(binary, users=USERS) as site:
        start = site.stats()
        with site.lmtp(60) as client:
            client.ehlo()
            for i in range(SMALL_MESSAGES):
                client.mail("sender@example.net")
                client.send("".join(f"RCPT TO:<{u}@example.org>\r\n" for u in USERS[:recipients]).encode())
                codes = [client.getreply()[0] for _ in range(recipients)]
                client.docmd("DATA")
                client.send(message(f"small-{i}", body="x" * 70 + "\r\n") + b".\r\n")
                codes += [client.getreply()[0] for _ in range(recipients)]
                if set(codes) != {250}:
                    raise RuntimeError(f"replies: {codes}")
        end = site.stats()
        return end["log_end"] - start["log_end"] + 4096 * (end["index_pages_used"] - start["index_pages_used"])


def check_small(binary):
    """What a further recipient of a message costs, on average."""
    more = len(USERS) - 1
    each = (small_bytes(binary, len(USERS)) - small_bytes(binary, 1)) / (SMALL_MESSAGES * more)
    if not 50 < each <= RECIPIENT_BYTES_MAX:
        raise RuntimeError(f"{each:.0f} bytes")
    return f"{each:.0f} bytes"


def main():
    tap = Tap()
    tap.run("log and index for a further recipient", check_small, pathlib.Path(sys.argv[1]).resolve())
    tap.run("equal APPENDs share a blob", check_appends, pathlib.Path(sys.argv[1]).resolve())
    if lmdb is None:
        def skip():
            raise Skip("python3-lmdb is not installed")
        tap.run("single copy", skip)
        return tap.end()
    with running(pathlib.Path(sys.argv[1]).resolve(), users=USERS) as site:
        clients = {user: site.imap(user, 60) for user in USERS}
        tap.run("one LMTP transaction to 50 recipients", measure, site, clients, send_lmtp, 1)
        tap.run("each copy is equal", check_equal, clients, 1)
        tap.run("one submission to 50 recipients", measure, site, clients, send_submission, 2)
        tap.run("each copy is equal", check_equal, clients, 2)
        tap.run("50 independent sets of flags", check_flags, clients)
    return tap.end()


sys.exit(main())
