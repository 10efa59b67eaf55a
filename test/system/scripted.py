"""A site whose channel `out` is worked by the scripted driver (test/driver/script.h): its script, its queue filled while it is stopped,
what the driver's log says; and a fast way to send many messages."""
import collections
import concurrent.futures
import contextlib
import json
import pathlib
import queue
import socket
import subprocess
import tempfile
import time

from msite import Site, message, wait_for
from tap import need

SETS = ("channels.out.driver=scripted", "job_controller.pools.DEFAULT.job_limit=10", "log.level=warning",
        "dispatcher.defaults.max_rate_per_address=none", "dispatcher.defaults.max_rate_per_network=none")

Event = collections.namedtuple("Event", "us pid job loop kind qid channel host rest")


class Scripted(Site):
    """binary: mailserverd_scripted; filler: queue_fill."""

    def __init__(self, folder, binary, filler, script="* 0 sent\n", sets=(), users=("anna", "bert"), **options):
        super().__init__(folder, binary, users, tuple(SETS) + tuple(sets), **options)
        self.filler = str(filler)
        self.script = self.folder.parent / (self.folder.name + ".script")
        self.attempts = self.folder.parent / (self.folder.name + ".attempts")
        self.script.write_text(script)

    def start(self, env=None, wait=True):
        return super().start({"MAILSERVERD_SCRIPT": str(self.script), "MAILSERVERD_SCRIPT_LOG": str(self.attempts),
                              **(env or {})}, wait)

    def fill(self, entries, **options):
        words = [self.filler, "-c", str(self.config), "--entries", str(entries)]
        for name, value in options.items():
            words += ["--" + name.rstrip("_"), str(value)]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
        need(done.returncode == 0, f"{words}: {done.stderr[-2000:]}")

    def change(self, text):
        """Options from now on, over those of `init`; counts at the next start or reload."""
        folder = self.folder / "conf.d"
        folder.mkdir(exist_ok=True)
        (folder / "test.yaml").write_text(text)

    def reload(self):
        done = self.command("reload")
        need(done.returncode == 0, f"reload: {done.stdout}{done.stderr}")

    def events(self, *kinds):
        """What the driver logged, in the order of the file."""
        found = []
        if not self.attempts.exists():
            return found
        for line in self.attempts.read_text().splitlines():
            us, pid, job, loop, kind, *rest = line.split(" ")
            if not kinds or kind in kinds:
                if kind in ("open", "close"):
                    rest = [None, rest[0], None]
                found.append(Event(int(us), int(pid), int(job), loop, kind, *rest[:3], rest[3:]))
        return found

    def count(self, text):
        """Lines of the log with the text; cheap."""
        return self.attempts.read_bytes().count(text.encode()) if self.attempts.exists() else 0

    def rows(self, *words):
        """Rows of a command as dicts."""
        done = self.command(*words, "-o", "json")
        need(done.returncode == 0, f"{words}: {done.stdout}{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def channel(self, name):
        return next(row for row in self.rows("jobs", "status") if row.get("row") == "channel" and row["channel"] == name)

    def queued(self):
        """Recipients that wait in the queue."""
        return int(self.command("queue", "shape", "-o", "tsv").stdout.splitlines()[0].split("\t")[1])

    def wait_empty(self, seconds):
        need(wait_for(lambda: self.queued() == 0, seconds, 0.1), f"{self.queued()} stay in the queue: {self.tail(5)}")


@contextlib.contextmanager
def scripted(binary, filler, start=True, **options):
    """A site of its own in a temporary folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        site = Scripted(pathlib.Path(work) / "site", binary, filler, **options).init()
        try:
            if start:
                site.start()
            yield site
        finally:
            site.kill()


class Sender:
    """One SMTP connection; whole batches of messages without waiting for answers between (PIPELINING, CHUNKING)."""

    def __init__(self, site, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", site.base + 25), timeout)
        self.file = self.socket.makefile("rb")
        self.reply()
        self.socket.sendall(b"EHLO client.example.net\r\n")
        self.reply()

    def reply(self):
        while True:
            line = self.file.readline()
            if not line:
                raise OSError("the connection was closed")
            if line[3:4] != b"-":
                need(line[:1] == b"2", f"answer: {line}")
                return line

    def send(self, messages):
        """[(recipients, bytes)]; returns when all are accepted."""
        parts, replies = [], 0
        for rcpts, data in messages:
            parts.append(b"MAIL FROM:<load@example.net>\r\n")
            parts += [b"RCPT TO:<%s>\r\n" % rcpt.encode() for rcpt in rcpts]
            parts.append(b"BDAT %d LAST\r\n" % len(data) + data)
            replies += 2 + len(rcpts)
        self.socket.sendall(b"".join(parts))
        for _ in range(replies):
            self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def bulk(site, prefix, count, rcpts_of, extra="", first=0, connections=16, batch=50):
    """`count` messages from PREFIX<first> on, for rcpts_of(number), over several connections since each waits for its message to be durable."""
    batches = queue.SimpleQueue()
    for at in range(first, first + count, batch):
        batches.put(range(at, min(first + count, at + batch)))

    def run():
        sender = Sender(site)
        with contextlib.suppress(queue.Empty):
            while True:
                sender.send([(rcpts_of(n), message(f"{prefix}{n}", extra=extra)) for n in batches.get_nowait()])
        sender.close()

    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        for done in [pool.submit(run) for _ in range(connections)]:
            done.result()


def now_us():
    return time.time_ns() // 1000
