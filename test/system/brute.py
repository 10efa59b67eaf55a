#!/usr/bin/env python3
"""Guessing at passwords: 1,000 addresses against one account, then one address against 1,000 accounts, over IMAP and submission.
Meanwhile its owner logs in from where he was before, and another user from where he never was: at once. Few guesses are looked at,
the others are slowed and refused, and the server's memory stays what it was.

And who does not guess: however many log in at once from one address, many users or one, all are served. Who hangs up before he is
answered has guessed all the same.

Guessers live in processes of their own; every load is bounded in number and time.

usage: brute.py BINARY [--addresses N] [--accounts N] [--users N]
"""
import argparse
import base64
import concurrent.futures
import contextlib
import multiprocessing
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sasl_client as sasl  # noqa: E402
from msite import PASSWORD, running  # noqa: E402
from tap import Tap, need, same  # noqa: E402

THREADS = 24           # guesses at a time, in each of two processes
FREE, MOST = 3, 10     # auth.failures_free, auth.failures_max
DELAY = 0.3            # auth.delay_max
FACTOR = 10            # AUTH_ACCOUNT_FACTOR
SERVED_SECONDS = 1.0   # the median must keep it
WORST_SECONDS = 15.0   # and on the busiest machine nobody waits longer
MEMORY_BYTES = 48 << 20
ONE_USER = 100
OWNER, OTHER = "127.201.1.1", "127.202.1.1"


def resident(site):
    for line in pathlib.Path(f"/proc/{site.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("no VmRSS")


def guess(base, source, user):
    """One wrong password; the seconds it took."""
    begun = time.monotonic()
    if hash(source + user) % 2:
        with sasl.Imap(base + 143, source=source) as c:
            begun = time.monotonic()
            answer = c.command(f"LOGIN {user} wrong")
            need(answer == "NO [AUTHENTICATIONFAILED] Authentication failed.", answer)
    else:
        with sasl.Smtp(base + 587, source=source) as c:
            begun = time.monotonic()
            answer = c.authenticate("PLAIN", sasl.plain(user, "wrong"))
            need(answer.startswith("535 5.7.8"), answer)
    return time.monotonic() - begun


def guesser(base, work, results):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(guess, base, *pair) for pair in work]
        try:
            results.put([f.result() for f in done])
        except Exception as e:  # told, not lost
            results.put(e)


@contextlib.contextmanager
def guessing(site, work):
    """Two processes work through it; yields what tells whether they still do, and gives what each guess took."""
    results = multiprocessing.Queue()
    took = []
    processes = [multiprocessing.Process(target=guesser, args=(site.base, work[i::2], results), daemon=True) for i in range(2)]
    for p in processes:
        p.start()
    try:
        yield lambda: any(p.is_alive() for p in processes) and results.qsize() < 2, took
        for _ in processes:
            part = results.get(timeout=300)
            if isinstance(part, Exception):
                raise part
            took += part
    finally:
        for p in processes:
            p.join(20)
            p.kill()


def served(site, user, source):
    begun = time.monotonic()
    with sasl.Imap(site.base + 143, source=source) as c:
        answer = c.command(f"LOGIN {user} {PASSWORD}")
        need(answer.startswith("OK"), f"{user} from {source}: {answer}")
    return time.monotonic() - begun


def probe_while(site, busy, users):
    times = []
    while busy() or len(times) < 8:
        for user, source in users:
            times.append(served(site, user, source))
        time.sleep(0.1)
    need(statistics.median(times) <= SERVED_SECONDS and max(times) <= WORST_SECONDS,
         f"{len(times)} logins: median {statistics.median(times):.2f} s, longest {max(times):.2f} s")
    return f"{len(times)} logins meanwhile, median {statistics.median(times) * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms"


def looked_at(site):
    lines = [l for l in site.log.read_text(errors="replace").splitlines() if "event=auth.failed " in l]
    return sum("reason=backed_off" not in l for l in lines), sum("reason=backed_off" in l for l in lines)


def attack(site, work, users, most):
    """most: guesses that may be looked at, besides those that are forgiven meanwhile."""
    before, memory, begun = looked_at(site)[0], resident(site), time.monotonic()
    with guessing(site, work) as (busy, took):
        text = probe_while(site, busy, users)
    grown, seconds = resident(site) - memory, time.monotonic() - begun
    looked, refused = looked_at(site)
    looked -= before
    need(most - FREE <= looked <= most + 2 + seconds * most / 900, f"{looked} of {len(work)} guesses were looked at, not {most}")
    need(refused > 0, "no refusal is in the log")
    slow = sum(t >= DELAY for t in took)
    need(slow >= len(work) - most, f"only {slow} of {len(work)} guesses were slowed")
    need(grown < MEMORY_BYTES, f"the server grew by {grown >> 20} MiB")
    return f"{looked} of {len(work)} guesses looked at; {text}; {grown >> 10} KiB more"


def many_addresses(site, count):
    served(site, "anna", OWNER)
    work = [(f"127.{10 + n // 62500}.{n // 250 % 250}.{1 + n % 250}", "anna") for n in range(count)]
    return attack(site, work, [("anna", OWNER), ("bert", OTHER)], MOST * FACTOR)


def many_accounts(site, count):
    names = [f"user{n}" for n in range(count - 2)] + ["anna", "bert"]
    work = [("127.99.9.9", name) for name in names]
    return attack(site, work, [("anna", OWNER), ("bert", OTHER), ("carl", "127.203.1.1")], MOST)


def stranger(site):
    """The same address, the right password: not looked at. Another one: welcome."""
    with sasl.Imap(site.base + 143, source="127.99.9.9") as c:
        need(c.command(f"LOGIN carl {PASSWORD}").startswith("NO [AUTHENTICATIONFAILED]"), "the guesser got in")
    served(site, "carl", "127.204.1.1")


# -- who is right

def at_once(site, logins, source):
    """All are sent before the first answer is read; the answers that are no OK."""
    clients = []
    try:
        for n in range(len(logins)):
            clients.append(sasl.Imap(site.base + 143, source=source) if n % 2 else sasl.Smtp(site.base + 587, source=source))
        for client, (user, password) in zip(clients, logins):
            token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            client.send(f"t0 LOGIN {user} {password}" if isinstance(client, sasl.Imap) else f"AUTH PLAIN {token}")
        answers = [c.answer() if isinstance(c, sasl.Imap) else c.reply() for c in clients]
        return [a for a in answers if not a.startswith(("OK", "235 "))]
    finally:
        for client in clients:
            client.close()


def crowd(site, users):
    begun = time.monotonic()
    same("of many users", at_once(site, [(u, PASSWORD) for u in users], "127.31.1.1"), [])
    many = time.monotonic() - begun
    same("of one user", at_once(site, [(users[0], PASSWORD)] * ONE_USER, "127.32.1.1"), [])
    same("of one user, again", at_once(site, [(users[0], PASSWORD)] * ONE_USER, "127.32.1.1"), [])
    return f"{len(users)} users in {many:.1f} s"


def mixed(site, users):
    """Every fourth is wrong, and in all they are fewer than are refused for: the others get in."""
    logins = [(u, PASSWORD if n % 4 else "wrong") for n, u in enumerate(users[:4 * (MOST - 1)])]
    same("refused", len(at_once(site, logins, "127.33.1.1")), MOST - 1)


def hang_up(site, users):
    for n in range(4 * MOST):
        with sasl.Imap(site.base + 143, source="127.34.1.1") as c:
            c.send(f"t0 LOGIN {users[n]} wrong")
            time.sleep(0.005 * (n % 4))
    for user in users[4 * MOST:]:
        with sasl.Imap(site.base + 143, source="127.34.1.1") as c:
            if c.command(f"LOGIN {user} {PASSWORD}").startswith("NO [AUTHENTICATIONFAILED]"):
                return
        time.sleep(0.1)
    raise RuntimeError("guesses without waiting for the answer were not counted")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--addresses", type=int, default=1000)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--users", type=int, default=300)
    args = parser.parse_args()
    tap = Tap()
    sets = [f"auth.failures_free={FREE}", f"auth.failures_max={MOST}", "auth.failure_time=15m", f"auth.delay_max={int(DELAY * 1000)}ms"]
    with running(args.binary, sets, users=("anna", "bert", "carl")) as site:
        tap.run(f"{args.addresses} addresses against one account", many_addresses, site, args.addresses)
        tap.run(f"one address against {args.accounts} accounts", many_accounts, site, args.accounts)
        tap.run("who has guessed is not let in, who has not is", stranger, site)
    sets = [f"auth.failures_free={MOST}", f"auth.failures_max={MOST}", "auth.failure_time=1d"]
    users = [f"u{n}" for n in range(args.users)]
    with running(args.binary, sets, users=users) as site:
        tap.run("a crowd behind one address is served", crowd, site, users)
        tap.run("also with some wrong passwords in it", mixed, site, users)
        tap.run("hanging up does not save from being counted", hang_up, site, users)
    return tap.end()


sys.exit(main())
