#!/usr/bin/env python3
"""Listening sockets that the service manager passes to the server, and keeps over its restart.

usage: process_sockets.py BINARY
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import free_port_base, running, wait_for  # noqa: E402
from standin import Manager  # noqa: E402
from tap import Skip, Tap, need, same  # noqa: E402

FIRST = 3  # of the descriptors that are passed
# Puts the descriptors named in its arguments at 3, 4, ... as a service manager does, says so, and becomes the server.
PASS = """
import fcntl, os, sys
fds, names, pid, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3], sys.argv[4:]
kept = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in fds if fd]
for at, fd in enumerate(kept):
    os.dup2(fd, 3 + at, inheritable=True)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(len(kept)), LISTEN_PID=pid if pid else str(os.getpid()), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


def serve_with(site, fds, names, env=None, pid=""):
    """Starts the site's server with these descriptors."""
    full = {**os.environ, **(env or {})}
    with open(site.log, "ab") as log:
        site.process = subprocess.Popen(
            [sys.executable, "-c", PASS, ",".join(map(str, fds)), ":".join(names), pid, site.binary, "serve", "-c",
             str(site.config)], stdout=subprocess.PIPE, stderr=log, env=full, pass_fds=fds)
    site.wait_ready()


def listener(port, kind=socket.SOCK_STREAM, backlog=64):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        s.listen(backlog)
    return s


def inodes(pid):
    found = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:
            pass
    return found


def inode(s):
    return f"socket:[{os.fstat(s.fileno()).st_ino}]"


def log_of(site):
    """Its lines up to the last start; they come by a thread of their own."""
    starts = site.log.read_text().count("event=server.stopping") + 1
    wait_for(lambda: site.log.read_text().count("event=server.ready") >= starts)
    return site.log.read_text()


def greeting(port, timeout=30):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.settimeout(timeout)
        return s.recv(200)


def passed(binary):
    """Those of our addresses are taken, whatever their names; the rest is closed and logged."""
    base = free_port_base()
    with running(binary, start=False, base=base) as site:
        imap, smtp = listener(base + 143), listener(base + 25)
        stray, udp, plain = listener(0), listener(0, socket.SOCK_DGRAM), open(os.devnull)
        waiting = socket.create_connection(("127.0.0.1", base + 143), timeout=30)  # before there is a server
        serve_with(site, [s.fileno() for s in (stray, imap, udp, smtp, plain)], ["stray", "a", "", "b"])
        open_now = inodes(site.process.pid)
        need(inode(imap) in open_now and inode(smtp) in open_now, "a socket of ours is not used")
        need(inode(stray) not in open_now and inode(udp) not in open_now, "a socket of nobody's is still open")
        log = log_of(site)
        need(log.count("event=dispatch.adopted") == 2, "adopted: " + log)
        need(log.count("event=dispatch.not_adopted") == 3, "not adopted: " + log)
        need(waiting.recv(100).startswith(b"* OK"), "who came first was not served")
        need(greeting(base + 25).startswith(b"220 ") and greeting(base + 587).startswith(b"220 "), "greetings")
        same("exit status", site.stop(), 0)
        after = socket.create_connection(("127.0.0.1", base + 143), timeout=10)  # ours is open still
        for s in (imap, smtp, stray, udp, waiting, after):
            s.close()
        plain.close()


def for_another(binary):
    """LISTEN_PID names another process: its descriptors are none of ours."""
    base = free_port_base()
    with running(binary, start=False, base=base) as site:
        other = listener(0)
        serve_with(site, [other.fileno()], ["other"], pid="1")
        log = log_of(site)
        need("adopted" not in log, log)
        need(greeting(base + 25).startswith(b"220 "), "greeting")
        same("exit status", site.stop(), 0)
        other.close()


def unix_path(binary):
    """A unix socket that the manager keeps stays reachable when the server stops."""
    with running(binary, start=False) as site:
        path = site.folder / "run/lmtp.sock"
        text = site.config.read_text().replace(f"127.0.0.1:{site.base + 24}", f"unix:{path}")
        site.config.write_text(text)
        manager = Manager()
        try:
            site.start(manager.env())
            manager.wait("FDSTORE")
            wait_for(lambda: "lmtp-0" in manager.store, 10)
            same("exit status", site.stop(), 0)
            with socket.socket(socket.AF_UNIX) as waiting:
                waiting.settimeout(30)
                waiting.connect(str(path))
                serve_with(site, *stored(manager), env=manager.env())
                need(waiting.recv(100).startswith(b"220 "), "who waited was not served")
            same("exit status", site.stop(), 0)
        finally:
            manager.close()


def stored(manager):
    with manager.lock:
        rows = [(fd, name) for name, fds in manager.store.items() for fd in fds]
    return [fd for fd, _ in rows], [name for _, name in rows]


class Clients(threading.Thread):
    """Connects all the time, one after the other; each has to get its greeting."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.served, self.slowest, self.trouble, self.ends = port, 0, 0.0, [], False

    def run(self):
        while not self.ends:
            begun = time.monotonic()
            try:
                if greeting(self.port, 60):
                    self.served += 1
                else:
                    self.trouble.append("closed without a greeting")
            except OSError as e:
                self.trouble.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - begun)
            time.sleep(0.002)


def restart(binary, rounds):
    """The store of a manager over restarts: no client is refused, none is cut off before its greeting."""
    manager = Manager()
    try:
        with running(binary, start=False, sets=["server.stop_timeout=10s"]) as site:
            site.start(manager.env())
            services = ("smtp", "lmtp", "submission", "submissions", "imap", "imaps")
            if not wait_for(lambda: {f"{s}-0" for s in services} <= set(manager.store), 10):
                raise RuntimeError(f"stored: {sorted(manager.store)}")
            need(set(manager.store) == {f"{s}-0" for s in services}, f"stored: {sorted(manager.store)}")
            clients = [Clients(site.base + 25), Clients(site.base + 143)]
            for c in clients:
                c.start()
            for i in range(rounds):
                have = [c.served for c in clients]
                wait_for(lambda: all(c.served > n + 20 for c, n in zip(clients, have)), 30)
                need(site.stop() == 0, "exit status: " + site.tail())
                fds, names = stored(manager)
                serve_with(site, fds, names, env=manager.env())
                need(wait_for(lambda: len(manager.all("READY")) == i + 2 and len(stored(manager)[0]) == len(services), 10),
                     f"stored after a restart: {manager.store}")
            have = [c.served for c in clients]
            need(wait_for(lambda: all(c.served > n + 20 for c, n in zip(clients, have)), 30), "clients are not served again")
            for c in clients:
                c.ends = True
            for c in clients:
                c.join(90)
                need(not c.trouble, f"{len(c.trouble)} clients were not served: {c.trouble[:3]}")
            need("not_adopted" not in site.log.read_text(), "a stored socket was not used")
            same("exit status", site.stop(), 0)
            return f"{rounds} restarts, {sum(c.served for c in clients)} clients, the slowest {max(c.slowest for c in clients):.2f} s"
    finally:
        manager.close()


def real_tool(binary):
    tool = shutil.which("systemd-socket-activate")
    if not tool:
        raise Skip("no systemd-socket-activate here")
    base = free_port_base()
    with running(binary, start=False, base=base) as site:
        with open(site.log, "ab") as log:
            site.process = subprocess.Popen([tool, "-l", f"127.0.0.1:{base + 143}", "-l", f"127.0.0.1:{base + 25}", "--fdname=x:y",
                                             site.binary, "serve", "-c", str(site.config)], stdout=subprocess.PIPE, stderr=log)
        end = time.monotonic() + 30
        while True:  # it listens soon; the first connection starts the server and is served by it
            try:
                need(greeting(base + 143).startswith(b"* OK"), "greeting")
                break
            except ConnectionRefusedError:
                need(time.monotonic() < end, "systemd-socket-activate does not listen")
                time.sleep(0.05)
        site.wait_ready()
        need(log_of(site).count("event=dispatch.adopted") == 2, site.log.read_text())
        same("exit status", site.stop(), 0)


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("sockets that are passed", passed, binary)
    tap.run("sockets for another process", for_another, binary)
    tap.run("a unix socket in the store", unix_path, binary)
    tap.run("restarts under load", restart, binary, 3)
    tap.run("systemd-socket-activate", real_tool, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
