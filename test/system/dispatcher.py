#!/usr/bin/env python3
"""Workers of a service as semantics 2.7 has them (D1 to D9), by real connections, read from `dispatcher status`.

usage: dispatcher.py BINARY
"""
import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running, wait_for  # noqa: E402
from stopped import stopped  # noqa: E402
from tap import Tap, expect, need  # noqa: E402

LMTP = "dispatcher.services.lmtp."


def must(what, seconds=10):
    """What becomes true in time."""
    value = wait_for(what, seconds)
    need(value, "it did not happen")
    return value


def sample(**over):
    """The sample file of the reference: 0/5 procs, 5/20 conns, life 100."""
    values = {"min_procs": 0, "max_procs": 5, "min_conns": 5, "max_conns": 20, "max_life_conns": 100}
    values.update(over)
    return [f"{LMTP}{key}={value}" for key, value in values.items()]


def rows(site, kind, service="lmtp"):
    """Rows of `dispatcher status`."""
    found = []
    for line in site.command("dispatcher", "status", "-o", "json").stdout.splitlines():
        fields = {k: int(v) if v.isdigit() else v for k, v in json.loads(line).items()}
        if fields["row"] == kind and fields["service"] == service:
            found.append(fields)
    return found


def workers(site):
    """{id: fields} of the lmtp service."""
    return {row["worker"]: row for row in rows(site, "worker")}


def loads(site):
    """Connections of each running worker in the order of ids; nothing is on its way."""
    def settled():
        found = workers(site)
        return sum(w["pending"] for w in found.values()) == 0 and (found or True)
    found = must(settled)
    return [w["active"] for _, w in sorted(found.items()) if w["state"] == "running"] if found is not True else []


def connect(site, greeted=True):
    s = socket.create_connection(("127.0.0.1", site.base + 24), timeout=10)
    if greeted:
        need(s.recv(200).startswith(b"220"), "greeting")
    return s


def quit_all(sockets):
    for s in sockets:
        s.sendall(b"QUIT\r\n")
        while s.recv(200):
            pass
        s.close()


def spread(site):
    """D1 to D6, and the slot that a session's end gives back."""
    open_ones = []

    def until(count):
        while len(open_ones) < count:
            open_ones.append(connect(site))

    need(loads(site) == [], f"workers before any connection: {loads(site)}")
    until(1)
    need(loads(site) == [1], f"D1 {loads(site)}")
    until(5)
    need(loads(site) == [5, 0], f"D2 {loads(site)}")
    until(6)
    need(loads(site) == [5, 1], f"D3 {loads(site)}")
    for count, want in ((10, [5, 5, 0]), (15, [5, 5, 5, 0]), (20, [5, 5, 5, 5, 0]), (25, [5] * 5)):
        until(count)
        need(loads(site) == want, f"D4 at {count}: {loads(site)}")
    until(26)
    need(loads(site) == [6, 5, 5, 5, 5], f"D5 {loads(site)}")
    until(100)
    need(loads(site) == [20] * 5, f"D5 {loads(site)}")
    late = connect(site, greeted=False)
    late.settimeout(0.5)
    try:
        raise RuntimeError(f"D6: connection 101 heard {late.recv(200)!r}")
    except TimeoutError:
        pass
    quit_all([open_ones.pop()])
    late.settimeout(10)
    need(late.recv(200).startswith(b"220"), "D6: a slot was free")
    quit_all(open_ones + [late])


def check_spread(binary):
    with running(binary, sets=sample()) as site:
        spread(site)


def check_life(binary):
    """D7: with its last connection, and no earlier; others serve meanwhile."""
    # effect: dispatcher.services.*.max_life_conns
    with running(binary, sets=sample(max_life_conns=10, min_conns=20, max_procs=2, max_shutdown=1)) as site:
        stay = [connect(site) for _ in range(3)]
        for _ in range(7):
            quit_all([connect(site)])
        rows = must(lambda: [w for w in workers(site).values() if w["state"] == "terminating"])
        need(len(rows) == 1 and rows[0]["active"] == 3 and rows[0]["life"] == 10, f"D7: {workers(site)}")
        # effect: dispatcher.services.*.max_shutdown: one ends at a time, so the second one goes on past its limit
        more = [connect(site) for _ in range(3)]
        for _ in range(25):
            quit_all([connect(site)])
        rows = workers(site)
        need([w["state"] for w in rows.values()].count("terminating") == 1, f"{rows}")
        need(max(w["life"] for w in rows.values()) > 10, f"none went on: {rows}")
        for s in stay:
            s.sendall(b"NOOP\r\n")
            need(s.recv(200).startswith(b"250"), "a session of a worker that ends is served")
        quit_all(stay)
        must(lambda: min(workers(site)) > 1)  # the first one has ended, and the next may
        must(lambda: [w for w in workers(site).values() if w["state"] == "terminating" and w["active"]])
        quit_all(more)
        must(lambda: not [w for w in workers(site).values() if w["state"] == "terminating"])


def check_age(binary):
    # effect: dispatcher.services.*.max_life_time
    # effect: dispatcher.services.*.historical_time
    with running(binary, sets=sample(min_procs=1, max_life_time="2s", historical_time="1m")) as site:
        first = min(workers(site))
        stay = connect(site)
        must(lambda: workers(site)[first]["state"] == "terminating", 10)
        need(any(w["state"] == "running" for w in workers(site).values()), "nobody took its place")
        time.sleep(1.5)
        stay.sendall(b"NOOP\r\n")
        need(stay.recv(200).startswith(b"250"), "the session was cut off")
        quit_all([stay])
        row = must(lambda: (w := workers(site)[first])["state"] == "ended" and w)
        need(row["life"] == 1 and row["age"] >= 2, f"{row}")
        closed = must(lambda: rows(site, "connection"))
        need(len(closed) == 1 and closed[0]["worker"] == first and closed[0]["peer"].startswith("127.0.0.1:"), f"{closed}")
        need(closed[0]["life"] >= 1, f"{closed}")


def check_memory(binary):
    """Nothing is told of what ended longer ago."""
    with running(binary, sets=sample(min_procs=1, historical_time="2s")) as site:
        quit_all([connect(site) for _ in range(3)])
        need(len(must(lambda: len(r := rows(site, "connection")) == 3 and r)) == 3, "closed connections")
        must(lambda: not rows(site, "connection"), 20)
        need(not rows(site, "connection", "imap"), "connections of nobody")


def check_kill(binary):
    """D9: what an operator ends is replaced at once where min_procs wants it, else with the next connection."""
    with running(binary, sets=sample(min_procs=3, min_conns=20)) as site:
        stay = connect(site)
        held = must(lambda: next((i for i, w in workers(site).items() if w["active"]), None))
        before = set(workers(site))
        need(len(before) == 3, f"{before}")
        expect(site.command("dispatcher", "kill-worker", held), 0)
        found = workers(site)
        need(found[held]["state"] == "terminating", f"{found}")
        need([w["state"] for w in found.values()].count("running") == 3, f"no other in its place: {found}")
        stay.sendall(b"NOOP\r\n")
        need(stay.recv(200).startswith(b"250"), "its session was cut off")
        quit_all([stay])
        must(lambda: held not in workers(site))
        # with --now its sessions end, too
        stay = connect(site)
        held = must(lambda: next((i for i, w in workers(site).items() if w["active"]), None))
        expect(site.command("dispatcher", "kill-worker", held, "--now"), 0)
        need(b"421" in stay.recv(200) and stay.recv(10) == b"", "it hears goodbye")
        stay.close()
        must(lambda: held not in workers(site) and len(workers(site)) == 3)
        for worker in (held, 999999):
            expect(site.command("dispatcher", "kill-worker", worker), 66, "no worker")
    with running(binary, sets=sample(min_procs=0)) as site:
        stay = connect(site)
        (held,) = workers(site)
        expect(site.command("dispatcher", "kill-worker", held, "--now"), 0)
        must(lambda: not workers(site))
        stay.close()
        quit_all([connect(site)])
        need(len(workers(site)) == 1, "the service is disabled")
        for words in ((), ("x",), ("1", "2"), ("-1",), ("--now",)):
            expect(site.command("dispatcher", "kill-worker", *words), 64)
        site.stop()
        expect(site.command("dispatcher", "kill-worker", "1"), 69, "does not run")


def refused(site, port=24):
    try:
        socket.create_connection(("127.0.0.1", site.base + port), timeout=10).close()
        return False
    except ConnectionRefusedError:
        return True


def check_services(binary):
    """stop and start of one service and of all; the others go on."""
    with running(binary, sets=sample(min_procs=1)) as site:
        stay = connect(site)
        imap = socket.create_connection(("127.0.0.1", site.base + 143), timeout=10)
        need(imap.recv(200).startswith(b"* OK"), "imap")
        expect(site.command("dispatcher", "stop", "lmtp"), 0)
        need(refused(site), "it listens")
        need(b"421" in stay.recv(200) and stay.recv(10) == b"", "its session hears goodbye")
        stay.close()
        must(lambda: not workers(site))
        (row,) = rows(site, "service")
        need(row["state"] == "stopped" and row["listen"] == "", f"{row}")
        imap.sendall(b"a NOOP\r\n")
        need(b"a OK" in imap.recv(200), "another service was stopped, too")
        time.sleep(1.5)
        need(not workers(site), "a stopped service made workers")
        expect(site.command("dispatcher", "stop", "lmtp"), 0)  # it is
        expect(site.command("dispatcher", "start", "lmtp"), 0)
        expect(site.command("dispatcher", "start", "lmtp"), 0)
        quit_all([connect(site)])
        need(rows(site, "service")[0]["state"] == "open" and len(workers(site)) == 1, "started")
        # all of them; the commands that are IMAP clients of ours have a door of their own
        expect(site.command("dispatcher", "stop"), 0)
        need(refused(site) and refused(site, 143) and refused(site, 587), "they listen")
        need(b"BYE" in imap.recv(200), "imap says goodbye")
        expect(site.command("mailbox", "list", "anna"), 0, "INBOX")
        # an address that somebody else took meanwhile: all of the service stays stopped, the others start
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", site.base + 24))
            thief.listen()
            expect(site.command("dispatcher", "start"), 74, "lmtp.*in use|in use")
            need(rows(site, "service")[0]["state"] == "stopped", "half of it")
            need(not refused(site, 143), "imap did not start")
        expect(site.command("dispatcher", "start"), 0)
        quit_all([connect(site)])
        for verb in ("stop", "start", "restart"):
            expect(site.command("dispatcher", verb, "nosuch"), 66, "no service")
            expect(site.command("dispatcher", verb, "lmtp", "imap"), 64)


def check_restart(binary):
    """Clients come all the time: none is refused, and none waits for a second."""
    with running(binary, sets=sample(min_procs=2)) as site:
        before = set(workers(site))
        begun = time.monotonic()
        count = 0
        for _ in range(5):
            expect(site.command("dispatcher", "restart", "lmtp"), 0)
            for _ in range(20):
                with connect(site):
                    count += 1
        must(lambda: not before & set(workers(site)))
        need(len([w for w in workers(site).values() if w["state"] == "running"]) >= 2, f"{workers(site)}")
    return f"{count} clients in {time.monotonic() - begun:.1f} s beside five restarts"


def check_old_names(binary):
    """semantics 2.1: they warn, and do nothing."""
    with running(binary) as site:
        for words, now in ((("start", "smtp"), "dispatcher start smtp"), (("stop", "smtp"), "dispatcher stop smtp"),
                           (("restart", "smtp"), "dispatcher restart smtp"), (("restart",), "dispatcher restart"), (("start",), "serve")):
            expect(site.command(*words), 64, f"warning: .*mailserverd {now}")
        quit_all([connect(site)])


def check_outputs(binary):
    with running(binary) as site:
        human = site.command("dispatcher", "status").stdout.splitlines()
        tsv = site.command("dispatcher", "status", "-o", "tsv").stdout.splitlines()
        as_json = [json.loads(line) for line in site.command("dispatcher", "status", "-o", "json").stdout.splitlines()]
        need(len(human) == len(tsv) == len(as_json) > 5, "rows")
        for line, cells in zip(as_json, tsv):
            need(list(line.values())[:4] == cells.split("\t")[:4], f"{line} {cells}")
        (lmtp,) = rows(site, "service")
        need(lmtp["listen"] == f"127.0.0.1:{site.base + 24}" and lmtp["state"] == "open" and lmtp["max_procs"] == 8, f"{lmtp}")


def check_idle(binary):
    """D8 and D9."""
    # effect: dispatcher.services.*.max_idle_time
    with running(binary, sets=sample(min_procs=2, min_conns=1, max_idle_time="2s")) as site:
        quit_all([connect(site) for _ in range(5)])
        need(len(workers(site)) == 5, f"{workers(site)}")
        must(lambda: len(workers(site)) == 2, 15)
        time.sleep(3)
        need(len(workers(site)) == 2, f"fewer than min_procs: {workers(site)}")


def check_handoffs(binary):
    # effect: dispatcher.services.*.max_handoffs
    with running(binary, sets=sample(max_handoffs=1, max_procs=1, max_conns=200, min_conns=200)) as site:
        many = [connect(site, greeted=False) for _ in range(150)]
        for s in many:
            need(s.recv(200).startswith(b"220"), "greeting")
        need("dispatch.full" not in site.tail(1000), "a hand-off under way is no full service")
        quit_all(many)


def check_churn(binary):
    """Workers are replaced all the time; every connection is served."""
    with running(binary, sets=sample(min_procs=1, max_life_conns=3, min_conns=2, max_conns=4)) as site:
        for _ in range(60):
            quit_all([connect(site) for _ in range(8)])
        need(max(workers(site)) > 100, f"few workers were replaced: {workers(site)}")


def check_stall(binary):
    """A loop that stands still gets no new connections; its workers are replaced; the operator is told, also when it is back."""
    sets = sample(min_conns=1, max_procs=2) + ["server.loops=2"]
    with running(binary, sets=sets) as site:
        stay = [connect(site), connect(site)]
        need({w["loop"] for w in workers(site).values()} == {"loop1", "loop2"}, "a worker on each loop")
        with stopped(site.process.pid, "loop2"):
            must(lambda: "event=dispatch.loop_stalled loop=loop2" in site.log.read_text(), 40)
            for _ in range(6):
                stay.append(connect(site))  # each is greeted: by the other loop
            found = workers(site)
            need(all(w["loop"] == "loop1" for w in found.values() if w["state"] == "running"), f"{found}")
            need(sum(w["active"] for w in found.values() if w["loop"] == "loop1") == 7, f"{found}")
        must(lambda: "event=dispatch.loop_back loop=loop2" in site.log.read_text(), 40)
        quit_all(stay)
        must(lambda: sum(w["active"] for w in workers(site).values()) == 0)
        need(site.log.read_text().count("event=dispatch.loop_stalled") == 1, "told once")


def main():
    tap = Tap()
    binary = sys.argv[1]
    tap.run("D1 to D6: creation in expectation, even spread, the backlog", check_spread, binary)
    tap.run("D7: connections of a life, workers that end at a time", check_life, binary)
    tap.run("age, and the memory of ended workers", check_age, binary)
    tap.run("D8: idle workers end down to min_procs", check_idle, binary)
    tap.run("what has ended is forgotten in time", check_memory, binary)
    tap.run("D9: a worker ended by an operator", check_kill, binary)
    tap.run("a loop that stands still", check_stall, binary)
    tap.run("services are stopped and started", check_services, binary)
    tap.run("restart under load", check_restart, binary)
    tap.run("names of old", check_old_names, binary)
    tap.run("rows in three forms", check_outputs, binary)
    tap.run("connections on their way", check_handoffs, binary)
    tap.run("workers come and go under connections", check_churn, binary)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
