"""The memory that shim.c and a test share: the number of the last file operation, and the fault that is armed."""
import mmap
import struct

WRITE, SYNC, TRUNCATE, OPEN, SHORT = range(1, 6)
FOR_EVER = 0xFFFFFFFF

NUMBER = 0       # offsets in struct shm
FAULT = 8
ERRNO = 12
FAULT_IN = 16
TIMES = 24
HITS = 28
MATCH = 32
MATCH_BYTES = 64


class Shm:
    def __init__(self, path):
        path.write_bytes(bytes(4096))
        self.path = path
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def number(self):
        return struct.unpack_from("<Q", self.map, NUMBER)[0]

    def env(self, shim, root, oplog=None):
        """What a process needs in its environment to run under the shim."""
        env = {"LD_PRELOAD": str(shim), "SHIM_ROOT": str(root), "SHIM_SHM": str(self.path)}
        if oplog:
            env["SHIM_LOG"] = str(oplog)
        return env

    def arm(self, kind, errno, match, at=1, times=FOR_EVER):
        """The at-th operation of this kind on a path with `match` in it fails from now on, and times - 1 after it."""
        self.disarm()
        struct.pack_into(f"<{MATCH_BYTES}s", self.map, MATCH, match.encode())
        struct.pack_into("<I", self.map, ERRNO, errno)
        struct.pack_into("<q", self.map, FAULT_IN, at)
        struct.pack_into("<II", self.map, TIMES, times, 0)
        struct.pack_into("<I", self.map, FAULT, kind)

    def disarm(self):
        struct.pack_into("<I", self.map, FAULT, 0)

    def hits(self):
        return struct.unpack_from("<I", self.map, HITS)[0]
