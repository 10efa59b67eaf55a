"""Programs that keep a Maildir and a mailbox the same: mbsync and offlineimap. Parts of imap_clients.py."""
import email.policy
import os
import re

from imap_mail import Program, Relay, date_of, fill, flags_of, known, odd_message, read, same
from imap_wire import Wire
from msite import PASSWORD

MADE_BY_MBSYNC = ("X-TUID",)
MAILDIR_FLAGS = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft"}


def read_maildir(folder, without=MADE_BY_MBSYNC):
    """As imap_mail.read(); line ends are those of a file there."""
    found = {}
    for path in [*folder.glob("cur/*"), *folder.glob("new/*")]:
        test_id, digest = known(path.read_bytes().replace(b"\n", b"\r\n"), without)
        if test_id in found:
            raise RuntimeError(f"{folder}: message {test_id} is there twice")
        letters = path.name.partition(":2,")[2]
        found[test_id] = (digest, frozenset(MAILDIR_FLAGS[c] for c in letters if c in MAILDIR_FLAGS), int(path.stat().st_mtime))
    return found


def maildir_paths(folder):
    return {known(path.read_bytes())[0]: path for path in [*folder.glob("cur/*"), *folder.glob("new/*")]}


def add_to_maildir(folder, number):
    letters = "".join(c for c, flag in sorted(MAILDIR_FLAGS.items()) if flag in flags_of(number))
    path = folder / "cur" / f"{date_of(number)[0]}.{number}.test:2,{letters}"
    path.write_bytes(odd_message(number).replace(b"\r\n", b"\n"))
    os.utime(path, (date_of(number)[0],) * 2)


def reflag(path, letters):
    path.rename(path.parent.parent / "cur" / f"{path.name.partition(':')[0]}:2,{letters}")


# -- mbsync

MBSYNC = """
IMAPAccount site
Host 127.0.0.1
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account site

MaildirStore near
Path {box}/
Inbox {box}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
Sync All
SyncState *
"""


def mbsync(site, count):
    """Pull, changes on both sides, nothing to do, then all of it pushed to another account."""
    c = Program(site, "mbsync")
    port, box = site.base + 143, c.home / "mail"
    box.mkdir()
    numbers = list(range(count))
    fill(port, "carl", "INBOX", numbers[: count * 9 // 10])
    client = site.imap("carl")
    client.create("Projects/2015")
    client.logout()
    fill(port, "carl", "Projects/2015", numbers[count * 9 // 10:])

    def sync(user):
        relay = Relay(port)
        c.run("-q", "-c", c.file(f"rc-{user}", MBSYNC.format(port=relay.listen, user=user, password=PASSWORD, box=box)), "all")
        relay.close(1)
    sync("carl")
    both = (("INBOX", box / "INBOX"), ("Projects/2015", box / "Projects/2015"))
    for name, folder in both:
        same(read(port, "carl", name), read_maildir(folder), f"pulled {name}")
    gone = change_both(port, box, count)
    sync("carl")
    for name, folder in both:
        far = read(port, "carl", name, MADE_BY_MBSYNC)
        same(far, read_maildir(folder), f"after changes, {name}")
        if gone & far.keys():
            raise RuntimeError(f"{name}: deleted messages are there again: {sorted(gone & far.keys())[:5]}")
    before = {path: path.stat().st_mtime_ns for path in box.rglob("*") if path.is_file() and not path.name.startswith(".")}
    sync("carl")
    if {path: path.stat().st_mtime_ns for path in box.rglob("*") if path.is_file() and not path.name.startswith(".")} != before:
        raise RuntimeError("a sync without changes changed something")
    for state in box.rglob(".mbsync*"):
        state.unlink()
    for path in [*box.rglob("cur/*"), *box.rglob("new/*")]:  # the UIDs of the other account
        path.rename(path.parent / re.sub(r",U=\d+", "", path.name))
    for path in [*box.rglob(".uidvalidity"), *box.rglob(".isyncuidmap.db")]:
        path.unlink()
    sync("dora")
    for name, folder in both:
        same(read(port, "carl", name, MADE_BY_MBSYNC), read(port, "dora", name, MADE_BY_MBSYNC), f"pushed {name}")
    return f"{count} messages pulled and pushed"


def change_both(port, box, count):
    """A tenth changes on either side; the test ids that go."""
    part = max(4, count // 40)
    paths = maildir_paths(box / "INBOX")
    for number in range(part):
        reflag(paths[str(number)], "FS")
    for number in range(part, 2 * part):
        paths[str(number)].unlink()
    for number in range(count, count + part):
        add_to_maildir(box / "INBOX", number)
    client = Wire(port, "carl", PASSWORD)
    client.command("SELECT INBOX")
    client.command(f"STORE {2 * part + 1}:{3 * part} FLAGS (\\Answered)")
    client.command(f"STORE {3 * part + 1}:{4 * part} +FLAGS.SILENT (\\Deleted)")
    client.command("EXPUNGE")
    client.logout()
    fill(port, "carl", "INBOX", range(count + part, count + 2 * part))
    return {str(number) for number in [*range(part, 2 * part), *range(3 * part, 4 * part)]}


# -- offlineimap

OFFLINEIMAP = """
[general]
accounts = site
ui = basic
fsync = False

[Account site]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {box}
sep = /
utime_from_header = no

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = emil
remotepass = {password}
ssl = yes
sslcacertfile = {cert}
maxconnections = 2
"""


def survives_python(number):
    """offlineimap writes every message anew with Python's email package, which changes odd ones itself."""
    policy = email.policy.default.clone(cte_type="8bit", utf8=True, refold_source="none", linesep="\r\n")
    octets = odd_message(number)
    try:
        return email.message_from_bytes(octets, policy=policy).as_bytes(policy=policy) == octets
    except (UnicodeError, AttributeError, LookupError):
        return False


def offlineimap(site, count):
    c = Program(site, "offlineimap")
    box = c.home / "mail"
    port = site.base + 143
    numbers = [number for number in range(2 * count) if survives_python(number)]
    new = numbers[-2:]
    fill(port, "emil", "INBOX", numbers[:-2])
    rc = c.file("rc", OFFLINEIMAP.format(box=box, port=site.base + 993, password=PASSWORD, cert=c.cert))

    def sync():
        c.run("-c", rc, "-o")
    sync()
    same(read(port, "emil"), read_maildir(box / "INBOX", ()), "pulled", dates=False)  # Maildir of offlineimap keeps no dates
    paths = maildir_paths(box / "INBOX")
    marked, gone = str(numbers[1]), str(numbers[2])
    reflag(paths[marked], "FRS")
    paths[gone].unlink()
    add_to_maildir(box / "INBOX", new[0])
    fill(port, "emil", "INBOX", [new[1]])
    sync()
    far = read(port, "emil", without=("X-OfflineIMAP",))
    if far[marked][1] != {"\\Flagged", "\\Answered", "\\Seen"} or gone in far or str(new[0]) not in far:
        raise RuntimeError(f"changes did not arrive: {far[marked]}, {gone in far}, {str(new[0]) in far}")
    same(far, read_maildir(box / "INBOX", ("X-OfflineIMAP",)), "after changes", dates=False)
    sync()
    same(far, read(port, "emil", without=("X-OfflineIMAP",)), "a sync without changes")
    return f"{len(numbers)} messages"
