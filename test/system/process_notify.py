#!/usr/bin/env python3
"""What the service manager is told: a stand-in listens at NOTIFY_SOCKET.

usage: process_notify.py BINARY
"""
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from standin import Manager  # noqa: E402
from stopped import stopped  # noqa: E402
from tap import Tap  # noqa: E402


def life(binary, abstract):
    manager = Manager(abstract)
    try:
        with running(binary, start=False) as site:
            site.start(manager.env(), wait=False)
            ready = manager.wait("READY")[0]
            for port in (24, 143, 587):  # every listener is open by then
                socket.create_connection(("127.0.0.1", site.base + port), timeout=10).close()
            site.wait_ready()
            first = manager.all("EXTEND_TIMEOUT_USEC")[0]
            if first[0] > ready[0] or int(first[1]) < 1_000_000:
                raise RuntimeError("the replay did not ask for time before READY")
            if manager.all("WATCHDOG") or manager.all("STOPPING"):
                raise RuntimeError(f"too much was said: {manager.messages}")
            if site.stop() != 0:
                raise RuntimeError("exit status")
            stopping = manager.wait("STOPPING")
            if len(stopping) != 1 or len(manager.all("READY")) != 1:
                raise RuntimeError(f"said more than once: {manager.messages}")
            if len(manager.all("STATUS")) < 3:
                raise RuntimeError("no status for people")
            return " ".join(manager.names())
    finally:
        manager.close()


def watchdog(binary):
    """WATCHDOG=1 comes by itself, not while one loop does not turn, and again when it does."""
    manager = Manager()
    try:
        with running(binary, start=False, sets=["server.loops=2"]) as site:
            site.start(manager.env(watchdog_usec=400_000))
            manager.wait("WATCHDOG", 4)
            with stopped(site.process.pid, "loop2"):
                if not wait_for(lambda: "server.watchdog_withheld" in site.log.read_text(), 30):
                    raise RuntimeError("a loop that stands still was not noticed")
                before = len(manager.all("WATCHDOG"))
                time.sleep(2)  # five periods
                if len(manager.all("WATCHDOG")) != before:
                    raise RuntimeError("a sign of life although a loop stands still")
            manager.wait("WATCHDOG", before + 3)
            return f"{before} signs of life, none while a loop stood still, then again"
    finally:
        manager.close()


def no_watchdog(binary, env):
    manager = Manager()
    try:
        with running(binary, start=False) as site:
            site.start({**manager.env(), **env})
            manager.wait("READY")
            time.sleep(0.5)
            site.stop()
            manager.wait("STOPPING")
            if manager.all("WATCHDOG"):
                raise RuntimeError("WATCHDOG=1 without being asked")
    finally:
        manager.close()


def nobody(binary, address):
    """A manager that is not there, or no address at all, keeps nobody from serving."""
    with running(binary, start=False) as site:
        site.start({"NOTIFY_SOCKET": address})
        site.imap("anna").logout()
        if site.stop() != 0:
            raise RuntimeError("exit status")
        told = "server.notify_failed" in site.log.read_text()  # the server has ended: all is written
        if told != (address[:1] in "/@" and len(address) > 1):
            raise RuntimeError(f"logged: {told}")


def main():
    binary = sys.argv[1]
    tap = Tap()
    tap.run("extend, ready, stopping", life, binary, False)
    tap.run("the same at an abstract address", life, binary, True)
    tap.run("the watchdog is tied to every loop", watchdog, binary)
    tap.run("no watchdog for another process", no_watchdog, binary, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    tap.run("no watchdog by half a number", no_watchdog, binary, {"WATCHDOG_USEC": "100000x"})
    for address in ("/nonexistent/notify", "@nobody-" + os.urandom(8).hex(), "@", "relative", "x" * 300):
        tap.run(f"nobody listens at {address[:20]}", nobody, binary, address)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
