#!/usr/bin/env python3
"""Options of the store and its partition: each shows its effect on the running server.

usage: options_store.py BINARY SHIM
"""
import pathlib
import smtplib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from faultload import transact  # noqa: E402
import powerlog  # noqa: E402
from msite import CLIENT_NAME, message, running, wait_for  # noqa: E402
from shmem import Shm  # noqa: E402
from tap import Tap, need  # noqa: E402

PARTITION = "store.partitions.primary."
MIB = 1 << 20


def deliver(site, test_id="m", size=100):
    with site.lmtp() as client:
        return transact(client, "a@example.net", "anna@example.org", message(test_id, body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * (size // 72)))


def expunge_all(site):
    client = site.imap("anna")
    client.select("INBOX")
    status, data = client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
    need(status == "OK", f"STORE: {data}")
    status, data = client.expunge()
    client.logout()
    need(status == "OK", f"EXPUNGE: {data}")


def blobs_after(binary, sets, seconds):
    """Blobs left some time after everything was expunged."""
    with running(binary, sets) as site:
        for i in range(5):
            need(deliver(site, f"m{i}")[0] == 250, "delivery")
        need(site.stats()["blobs"] == 5, f"{site.stats()['blobs']} blobs")
        expunge_all(site)
        begun = time.monotonic()
        wait_for(lambda: site.stats()["blobs"] == 0, seconds, 0.1)
        return site.stats()["blobs"], time.monotonic() - begun


def check_purge(binary):
    gone, seconds = blobs_after(binary, ("store.expunge_keep=1s", "store.purge_interval=100ms"), 10)
    need(gone == 0 and seconds >= 0.8, f"{gone} blobs after {seconds:.1f} s")
    # effect: store.expunge_keep
    kept, _ = blobs_after(binary, ("store.expunge_keep=1h", "store.purge_interval=100ms"), seconds + 1)
    need(kept == 5, f"{kept} of 5 blobs within expunge_keep")
    # effect: store.purge_interval
    kept, _ = blobs_after(binary, ("store.expunge_keep=1s", "store.purge_interval=1d"), seconds + 1)
    need(kept == 5, f"{kept} of 5 blobs within purge_interval")
    return f"gone after {seconds:.1f} s"


def mailboxes_with_details(binary, value):
    """Messages in INBOX, work and Junk after mail to anna, anna+work, anna+Junk, anna+none."""
    with running(binary, (f"store.detail_mailbox={value}",)) as site:
        need(deliver(site)[0] == 250, "delivery")
        with site.imap("anna") as imap, site.lmtp() as client:
            need(imap.create("work")[0] == "OK", "CREATE")
            for detail in ("work", "Junk", "none"):
                code, text = transact(client, "a@example.net", f"anna+{detail}@example.org", message(detail))
                need(code == 250, f"{detail}: {code} {text}")
            return [int(imap.select(name, readonly=True)[1][0]) for name in ("INBOX", "work", "Junk")]


def check_details(binary):
    # effect: store.detail_mailbox
    for value, wanted in (("no", [4, 0, 0]), ("yes", [2, 1, 1])):
        found = mailboxes_with_details(binary, value)
        need(found == wanted, f"{value}: {found}, not {wanted}")


def index_mapping(site):
    """Bytes of address space of the index."""
    total = 0
    for line in pathlib.Path(f"/proc/{site.process.pid}/maps").read_text().splitlines():
        if line.endswith("/primary/index.mdb"):
            begin, end = line.split()[0].split("-")
            total += int(end, 16) - int(begin, 16)
    return total


def check_sizes(binary):
    sets = (PARTITION + "path=store/elsewhere", PARTITION + "segment_size=8MiB", PARTITION + "map_size=32MiB", PARTITION + "ballast=3MiB",
            PARTITION + "min_free=0")
    with running(binary, sets, start=False) as site:
        site.start()
        need(deliver(site)[0] == 250, "delivery")
        folder = site.folder / "store/elsewhere"
        # effect: store.partitions.*.path
        need((folder / "index.mdb").exists() and not site.partition.exists(), "folder of the partition")
        # effect: store.partitions.*.segment_size
        need(wait_for(lambda: 8 * MIB in sizes(folder / "journal"), 20, 0.1), f"segments: {sizes(folder / 'journal')}")
        need(max(sizes(folder / "journal")) == 8 * MIB, f"segments: {sizes(folder / 'journal')}")
        # effect: store.partitions.*.ballast
        need(wait_for(lambda: (folder / "ballast").stat().st_size == 3 * MIB, 10, 0.1), "ballast")
        need((folder / "ballast").stat().st_blocks * 512 >= 3 * MIB, "ballast is not of real blocks")
    with running(binary, (PARTITION + "map_size=32MiB",)) as site:
        # effect: store.partitions.*.map_size
        need(index_mapping(site) == 32 * MIB, f"{index_mapping(site)} bytes mapped")


def sizes(folder):
    return {p.stat().st_size for p in folder.iterdir()}


def checkpoints(site):
    return sorted(p.name for p in (site.partition / "checkpoints").glob("*.mdb") if p.name != "tmp.mdb")


def check_checkpoints(binary):
    with running(binary, (PARTITION + "checkpoint_size=1MiB", PARTITION + "checkpoint_interval=30d")) as site:
        deliver(site)
        time.sleep(2.2)  # two rounds of upkeep
        small = checkpoints(site)
        need(deliver(site, "big", 2 * MIB)[0] == 250, "delivery")
        # effect: store.partitions.*.checkpoint_size
        need(wait_for(lambda: len(checkpoints(site)) > len(small), 20, 0.1), "no checkpoint after checkpoint_size")
    with running(binary, (PARTITION + "checkpoint_interval=1s",)) as site:
        before = checkpoints(site)
        need(deliver(site)[0] == 250, "delivery")
        # effect: store.partitions.*.checkpoint_interval
        need(wait_for(lambda: checkpoints(site) != before, 20, 0.1), "no checkpoint after checkpoint_interval")
    need(not small, f"checkpoints before their time: {small}")


def check_min_free(binary):
    with running(binary) as site:
        for i in range(3):
            need(deliver(site, f"m{i}")[0] == 250, "delivery")
        site.stop()
        text = site.config.read_text()
        need("path: store/primary" in text, text)
        indent = text[:text.index("path: store/primary")].rpartition("\n")[2]
        site.config.write_text(text.replace("path: store/primary", f"path: store/primary\n{indent}min_free: 1 TiB"))
        site.start()
        # effect: store.partitions.*.min_free
        code, reply = deliver(site, "too-much")
        need(code == 452, f"new mail on a full disk: {code} {reply}")
        client = smtplib.SMTP("127.0.0.1", site.base + 587, CLIENT_NAME, timeout=20)
        client.login("anna@example.org", "secret")
        code, reply = transact(client, "anna@example.org", "bert@example.org", message("too-much-2"))
        need(400 <= code < 500, f"submission on a full disk: {code} {reply}")
        client = site.imap("anna")
        client.select("INBOX")
        need(client.append("INBOX", None, None, message("too-much-3"))[0] == "NO", "APPEND on a full disk")
        client.logout()
        expunge_all(site)
        client = site.imap("anna")
        need(client.select("INBOX")[1][0] == b"0", "EXPUNGE on a full disk")


def flushes(binary, shim, flush):
    """Flushes of the log that one delivery makes."""
    with running(binary, (PARTITION + f"flush={flush}",), start=False) as site:
        shm, oplog = Shm(site.folder.parent / "shm"), site.folder.parent / "oplog"
        site.start(shm.env(shim, site.folder, oplog))
        deliver(site, "first")
        time.sleep(0.5)  # segments are being prepared meanwhile
        before = shm.number()
        for i in range(20):
            need(deliver(site, f"m{i}")[0] == 250, "delivery")
        after = shm.number()
        site.kill()
        files, writes, syncs = {}, 0, 0
        for op in powerlog.read_log(oplog):
            if op.kind in (powerlog.CREATE, powerlog.OPEN):
                files[op.file] = op.path
            elif before < op.number <= after and "/journal/" in files.get(op.file, ""):
                writes += op.kind == powerlog.WRITE and not op.flags & powerlog.FLAG_ZERO
                syncs += op.kind == powerlog.SYNC_END
        return writes, syncs


def check_flush(binary, shim):
    # effect: store.partitions.*.flush
    writes, syncs = flushes(binary, shim, "yes")
    need(writes >= 20 and syncs >= 20, f"flush=yes: {writes} writes, {syncs} flushes for 20 deliveries")
    writes, none = flushes(binary, shim, "no")
    need(writes >= 20 and none < 20, f"flush=no: {writes} writes, {none} flushes for 20 deliveries")
    return f"{syncs} flushes, {none} without"


def main():
    binary, shim = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    tap = Tap()
    tap.run("expunge_keep, purge_interval", check_purge, binary)
    tap.run("path, sizes", check_sizes, binary)
    tap.run("checkpoints", check_checkpoints, binary)
    tap.run("min_free", check_min_free, binary)
    tap.run("detail_mailbox", check_details, binary)
    tap.run("flush", check_flush, binary, shim)
    return tap.end()


sys.exit(main())
