#!/usr/bin/env python3
"""The running server is confined: every thread, its files, its user.

usage: process_sandbox.py BINARY
"""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site, list_mailbox, message, running, wait_for  # noqa: E402
from tap import Skip, Tap  # noqa: E402

UID, GID = 64999, 64998  # without a name anywhere


def threads(pid):
    """{field: set of its values} over all threads."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key, set()).add(" ".join(value.split()))
    return found


def sandbox_line(site):
    wait_for(lambda: "event=server.ready" in site.log.read_text())
    lines = [line for line in site.log.read_text().splitlines() if "event=server.sandbox" in line]
    return dict(word.partition("=")[::2] for word in lines[-1].split())


def round_trip(site):
    with site.lmtp() as lmtp:
        lmtp.sendmail("load@example.net", ["anna@example.org"], message("confined"))
    client = site.imap("anna")
    wait_for(lambda: any(row[1] == "confined" for row in list_mailbox(client)[0]))
    if not any(row[1] == "confined" for row in list_mailbox(client)[0]):
        raise RuntimeError("the message did not arrive")
    client.logout()


def confined(binary, mode):
    """effect: server.sandbox"""
    with running(binary, sets=[f"server.sandbox={mode}"], start=False) as site:
        site.start(wait=False)
        try:
            site.wait_ready()
        except RuntimeError:
            if mode == "on" and "server.sandbox is on, but" in site.tail():
                raise Skip(site.tail(1))
            raise
        line = sandbox_line(site)
        seen = threads(site.process.pid)
        if mode == "auto" and line["reason"] != '""':
            raise Skip(line["reason"])
        if int(line["landlock"]) < 2 or line["seccomp"] != "yes" or line["mode"] != mode:
            raise RuntimeError(f"{line}")
        if seen["Seccomp"] != {"2"} or seen["NoNewPrivs"] != {"1"}:
            raise RuntimeError(f"a thread is free: {seen['Seccomp']} {seen['NoNewPrivs']}")
        round_trip(site)
        if site.stop() != 0:
            raise RuntimeError("exit status")
        return f"landlock {line['landlock']}, {len(seen['Pid'])} threads filtered"


def free(binary):
    with running(binary, sets=["server.sandbox=off"]) as site:
        line = sandbox_line(site)
        seen = threads(site.process.pid)
        if line["landlock"] != "0" or line["seccomp"] != "no" or seen["Seccomp"] & {"2"}:
            raise RuntimeError(f"off, but {line}")
        round_trip(site)


def refused(binary, sets, words):
    """A configuration that cannot be had ends the start with its reason."""
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        site = Site(pathlib.Path(work) / "site", binary, sets=sets).init()
        done = subprocess.run([site.binary, "serve", "-c", str(site.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60)
        if done.returncode not in (77, 78) or words not in done.stderr:
            raise RuntimeError(f"exit {done.returncode}: {done.stderr}")


def give(folder, uid, gid):
    for at, folders, files in os.walk(folder):
        for name in [at] + [os.path.join(at, f) for f in files]:
            os.chown(name, uid, gid, follow_symlinks=False)


def low_base():
    """Some of the ports are below 1024: only root can bind them."""
    for base in range(30, 900, 7):
        try:
            for port in (24, 25, 143, 465, 587, 993):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
    raise Skip("no free ports")


def as_user(binary):
    """effect: server.user effect: server.group"""
    if os.geteuid() != 0:
        raise Skip("needs root")
    sets = [f"server.user={UID}", f"server.group={GID}", "server.run_dir=made/run"]
    with running(binary, sets=sets, start=False, base=low_base()) as site:
        os.chmod(site.folder.parent, 0o755)
        give(site.folder, UID, GID)
        os.chown(site.folder / "tls/key.pem", 0, 0)  # only root can read the key
        (site.folder / "tls/key.pem").chmod(0o600)
        site.start()
        seen = threads(site.process.pid)
        if seen["Uid"] != {" ".join([str(UID)] * 4)} or seen["Gid"] != {" ".join([str(GID)] * 4)} or seen["Groups"] != {""}:
            raise RuntimeError(f"{seen['Uid']} {seen['Gid']} {seen['Groups']}")
        if any(int(caps, 16) & ~(1 << 10) for caps in seen["CapPrm"] | seen["CapEff"]):
            raise RuntimeError(f"capabilities are left: {seen['CapPrm']}")
        owner = (site.folder / "made/run").stat()
        if (owner.st_uid, owner.st_gid) != (UID, GID):
            raise RuntimeError("the folder that was missing is not the user's")
        round_trip(site)
        with socket.create_connection(("127.0.0.1", site.base + 465), timeout=30) as plain:
            with site.tls_context().wrap_socket(plain, server_hostname="localhost") as client:
                if not client.recv(100).startswith(b"220"):
                    raise RuntimeError("no greeting under TLS")
        if site.stop() != 0:
            raise RuntimeError("exit status")


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("sandbox: auto, every thread is confined and mail goes round", confined, binary, "auto")
    tap.run("sandbox: on", confined, binary, "on")
    tap.run("sandbox: off", free, binary)
    tap.run("from root to the server's user", as_user, binary)
    tap.run("an unknown user", refused, binary, ["server.user=no-such-user-here"], "no-such-user-here")
    tap.run("an unknown group", refused, binary, [f"server.user={UID}", "server.group=no-such-group-here"], "no-such-group-here")
    tap.run("a group without a user", refused, binary, [f"server.group={GID}"], "server.group needs server.user")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
