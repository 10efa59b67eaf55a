#!/usr/bin/env python3
"""Removal of users: within store.user_keep everything comes back, behind it nothing is left, whatever was interrupted.

usage: user_removal.py BINARY
"""
import imaplib
import pathlib
import smtplib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "oracle")]
import reader  # noqa: E402
from faultload import transact  # noqa: E402
from formats import read_index  # noqa: E402
from msite import CLIENT_NAME, list_mailbox, message, running, wait_for  # noqa: E402
from replay import read_log  # noqa: E402
from tap import Tap, need  # noqa: E402

ANNA, BERT = "anna@example.org", "bert@example.org"
FOLDERS = ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")


def sets(keep):
    return (f"store.user_keep={keep}", "store.purge_interval=200ms", "store.expunge_keep=1s",
            "store.partitions.primary.ballast=1MiB", "store.partitions.primary.min_free=1MiB")


def deliver(site, test_id, user=ANNA):
    with site.lmtp() as client:
        return transact(client, "a@example.net", user, message(test_id))


def make_folders(site, user, count):
    client = site.imap(user)
    for i in range(count):
        status, data = client.create(f"work/{i}")
        need(status == "OK", f"CREATE: {data}")
    client.logout()


def mail_of(site, user):
    """Mailbox name -> (UIDVALIDITY, messages), for all that hold any."""
    client = site.imap(user)
    status, lines = client.list()
    need(status == "OK", f"LIST: {lines}")
    found = {}
    for line in lines:
        name = line.decode().split(' "/" ')[1].strip('"')
        rows, validity, _ = list_mailbox(client, f'"{name}"')
        if rows:
            found[name] = (validity, [(uid, test_id, flags - {"\\Recent"}) for uid, test_id, flags in rows])
    client.logout()
    return found


def fill(site):
    """Three messages in INBOX, one of them also in a folder of the user's own."""
    for i in range(3):
        need(deliver(site, f"a{i}")[0] == 250, "delivery to anna")
        need(deliver(site, f"b{i}", BERT)[0] == 250, "delivery to bert")
    client = site.imap(ANNA)
    client.create("work/kept")
    client.select("INBOX")
    client.store("2", "+FLAGS.SILENT", "(\\Flagged $Forwarded)")
    status, data = client.copy("2", "work/kept")
    need(status == "OK", f"COPY: {data}")
    client.logout()
    return mail_of(site, ANNA)


def remove(site, user=ANNA):
    done = site.command("user", "delete", user)
    need(done.returncode == 0, f"user delete: {done.stderr}")


def is_listed(site, user=ANNA):
    return user in site.run("user", "list", "-c", site.config).stdout


def is_shut_out(site):
    try:
        site.imap(ANNA)
        return False
    except imaplib.IMAP4.error:
        pass
    with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=30) as client:
        client.ehlo()
        client.mail("a@example.net")
        code, text = client.rcpt(ANNA)
        need(code == 550 and text.startswith(b"5.1.1"), f"RCPT: {code} {text}")
    return True


def verified(site):
    """Stops the server; the store is sound, and Python finds the same in log and index."""
    need(site.stop() == 0, "the server did not stop well")
    done = site.command("store", "verify")
    need(done.returncode == 0, f"store verify: {done.stdout}{done.stderr}")
    found = reader.compare(site.partition)
    need(not found, f"index and log: {found[:5]}")
    return read_index(site.partition / "index.mdb")


def check_restore(binary):
    """effect: store.user_keep"""
    with running(binary, sets("1h")) as site:
        before = fill(site)
        need(set(before) == {"INBOX", "work/kept"} and len(before["INBOX"][1]) == 3, f"{before}")
        remove(site)
        need(is_shut_out(site), "a removed user logged in")
        time.sleep(1.5)  # some looks of the janitor
        need(is_listed(site), "the entry went within user_keep")
        site.kill()
        site.start()
        need(is_shut_out(site), "a removed user logged in after a restart")
        done = site.command("user", "restore", ANNA)
        need(done.returncode == 0, f"user restore: {done.stderr}")
        need(mail_of(site, ANNA) == before, "the mail is not what it was")
        need(deliver(site, "again")[0] == 250, "delivery after the restore")
        need(len(mail_of(site, ANNA)["INBOX"][1]) == 4, "what came after the restore")
        verified(site)


def check_gone(binary):
    """effect: store.user_keep"""
    with running(binary, sets("1s")) as site:
        fill(site)
        berts = mail_of(site, BERT)
        make_folders(site, ANNA, 20)
        session = site.imap(ANNA)
        session.select("INBOX")
        begun = time.monotonic()
        remove(site)
        need(wait_for(lambda: not is_listed(site), 20, 0.05), "the entry is still there")
        seconds = time.monotonic() - begun
        need(seconds >= 0.9, f"gone after {seconds:.1f} s")
        try:  # the open session has lost its mailbox
            status, data = session.select("INBOX")
            need(status == "NO", f"SELECT: {status} {data}")
        except imaplib.IMAP4.abort:
            pass
        need(is_shut_out(site), "login without an entry")
        need(wait_for(lambda: site.stats()["blobs"] == 3, 20, 0.1), f"{site.stats()['blobs']} blobs are left")
        need(mail_of(site, BERT) == berts, "another user's mail changed")
        done = site.run("user", "add", ANNA, "--password-file", "-", "-c", site.config, input="secret\n")
        need(done.returncode == 0, f"user add: {done.stderr}")
        need(mail_of(site, ANNA) == {}, "a new user of that name finds mail")
        time.sleep(4)  # the empty mailboxes go one by one
        state = verified(site)
        owners = sorted(account.owner.decode() for account in state.account.values())
        need(owners == [ANNA, BERT], f"accounts {owners}")
        need(len(state.mailbox) == 2 * len(FOLDERS), f"{len(state.mailbox)} mailboxes")
        return f"entry gone after {seconds:.1f} s"


def names_left(site):
    """Names of anna's account by the log alone, as a start would find it; None: no account."""
    state = read_log(site.partition / "journal")
    left = [a.names for a in state.account.values() if a.owner == ANNA.encode()]
    return left[0] if left else None


def check_killed(binary):
    """More names than three ops take, killed with -9 again and again, a little later each time, until all is gone."""
    with running(binary, sets("0s")) as site:
        fill(site)
        make_folders(site, ANNA, 3500)
        site.kill()
        every = names_left(site)
        seen, between = {every}, 0
        site.run("user", "delete", ANNA, "-c", site.config)
        for n in range(80):
            site.start()
            time.sleep(0.19 + 0.004 * n)
            site.kill()
            left = names_left(site)
            need(left is None or left <= min(n for n in seen if n is not None), f"{left} names after {seen}")
            between += left is not None and 0 < left < every
            seen.add(left)
            if left is None and not is_listed(site):
                break
        site.start()
        need(wait_for(lambda: not is_listed(site), 30, 0.05), "the entry is still there")
        need(wait_for(lambda: site.stats()["blobs"] == 3, 30, 0.1), f"{site.stats()['blobs']} blobs are left")
        need(between, f"no kill came in the middle: {seen}")
        state = verified(site)
        need([account.owner for account in state.account.values()] == [BERT.encode()], "accounts that are left")
        live = [box for box in state.mailbox.values() if not box.gone]
        need(len(live) == len(FOLDERS), f"{len(live)} mailboxes are left")
        return f"{between} kills in the middle"


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("within user_keep a removed user comes back with everything", check_restore, binary)
    tap.run("behind user_keep nothing is left", check_gone, binary)
    tap.run("killed in the middle", check_killed, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
