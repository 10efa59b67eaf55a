"""A stand-in for a service manager: its notification socket, and its store of descriptors."""
import array
import os
import pathlib
import select
import socket
import tempfile
import threading
import time


class Manager:
    """Reads notifications in a thread of its own. messages: [(seconds, {name: value})]; store: {fdname: [fd]}."""

    def __init__(self, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.folder = None
        if abstract:
            self.address = "@mailserverd-test-" + os.urandom(8).hex()
            self.socket.bind("\0" + self.address[1:])
        else:
            self.folder = tempfile.TemporaryDirectory(prefix="notify-")
            self.address = str(pathlib.Path(self.folder.name) / "notify")
            self.socket.bind(self.address)
        self.messages = []
        self.store = {}
        self.lock = threading.Lock()
        self.ends = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def env(self, watchdog_usec=None, pid=None):
        env = {"NOTIFY_SOCKET": self.address}
        if watchdog_usec is not None:
            env["WATCHDOG_USEC"] = str(watchdog_usec)
        if pid is not None:
            env["WATCHDOG_PID"] = str(pid)
        return env

    def _read(self):
        while not self.ends:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            fds = array.array("i")
            text, ancillary, _, _ = self.socket.recvmsg(8192, socket.CMSG_SPACE(16 * fds.itemsize))
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
            fields = dict(line.split("=", 1) for line in text.decode().split("\n") if line)
            with self.lock:
                self._keep(fields, list(fds))
                self.messages.append((time.monotonic(), fields))

    def _keep(self, fields, fds):
        name = fields.get("FDNAME", "stored")
        if fields.get("FDSTOREREMOVE") == "1":
            for fd in self.store.pop(name, []):
                os.close(fd)
        for fd in fds:
            same = [os.fstat(f) for f in sum(self.store.values(), [])]
            if fields.get("FDSTORE") != "1" or os.fstat(fd) in same:
                os.close(fd)  # nobody asked, or it is there already
            else:
                self.store.setdefault(name, []).append(fd)

    def all(self, name):
        """[(seconds, value)] of every notification with that name."""
        with self.lock:
            return [(when, fields[name]) for when, fields in self.messages if name in fields]

    def names(self):
        """Names in the order of their first notification."""
        with self.lock:
            return list(dict.fromkeys(name for _, fields in self.messages for name in fields))

    def wait(self, name, count=1, seconds=30):
        end = time.monotonic() + seconds
        while len(self.all(name)) < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{name} came {len(self.all(name))} times, not {count}: {self.messages}")
            time.sleep(0.01)
        return self.all(name)

    def close(self):
        self.ends = True
        self.thread.join()
        self.socket.close()
        for fd in sum(self.store.values(), []):
            os.close(fd)
        if self.folder:
            self.folder.cleanup()
