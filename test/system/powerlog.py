"""What a disk may hold after a power cut: rebuilt from the operations that shim.c recorded.

    disk = Disk(start_folder)          # everything in it counts as flushed
    for op in read_log(path): disk.apply(op)
    disk.image(folder, random)         # one permitted state: flushed data, any 512-byte pieces of the rest, and per
                                       # folder any prefix of its changes since it was flushed
"""
import os
import pathlib
import random as random_module
import struct

CREATE, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, LINK, MKDIR, RMDIR, DIRSYNC, OPEN = range(1, 13)
FLAG_DSYNC, FLAG_ZERO = 1, 2
HEAD = struct.Struct("<IBBHIQQQ")
SECTOR = 512


class Op:
    __slots__ = ("kind", "flags", "file", "number", "a", "b", "path", "data")


def read_log(path):
    """Operations in order; a torn last record (the process was killed while writing it) ends the log."""
    with open(path, "rb") as f:
        while True:
            head = f.read(HEAD.size)
            if len(head) < HEAD.size:
                return
            size, kind, flags, path_len, file, number, a, b = HEAD.unpack(head)
            rest = f.read(size - HEAD.size)
            if len(rest) < size - HEAD.size:
                return
            op = Op()
            op.kind, op.flags, op.file, op.number, op.a, op.b = kind, flags, file, number, a, b
            op.path = rest[:path_len].decode()
            op.data = rest[path_len:]
            yield op


class File:
    """Flushed bytes, and what was written since: ("write", offset, bytes) or ("size", n)."""

    def __init__(self, data=b""):
        self.durable = bytearray(data)
        self.pending = []
        self.syncs = {}

    @staticmethod
    def put(data, change):
        if change[0] == "size":
            size = change[1]
            if size < len(data):
                del data[size:]
            else:
                data.extend(bytes(size - len(data)))
            return
        _, offset, piece = change
        if offset > len(data):
            data.extend(bytes(offset - len(data)))
        data[offset:offset + len(piece)] = piece

    def settle(self, count):
        for change in self.pending[:count]:
            self.put(self.durable, change)
        del self.pending[:count]
        for key in self.syncs:
            self.syncs[key] = max(0, self.syncs[key] - count)

    def torn(self, rnd, keep):
        """Flushed bytes with a random part of the pending changes, in 512-byte pieces."""
        data = bytearray(self.durable)
        for change in self.pending:
            if change[0] == "size":
                if rnd.random() < keep:
                    self.put(data, change)
                continue
            _, offset, piece = change
            at = 0
            while at < len(piece):
                end = min(len(piece), (offset + at) // SECTOR * SECTOR + SECTOR - offset)
                if rnd.random() < keep:
                    self.put(data, ("write", offset + at, piece[at:end]))
                at = end
        return data


class Disk:
    def __init__(self, start=None):
        self.files = {}       # id of the recording process -> File
        self.names = {}       # path -> File: as the process sees it
        self.folders = {""}   # made folders
        self.entries = {}     # folder -> changes since it was flushed: (path, File or None)
        self.durable = {}     # path -> File: flushed entries
        self.durable_folders = {""}
        self.number = 0
        self.ids = {}
        if start is not None:
            start = pathlib.Path(start)
            for path in sorted(start.rglob("*")):
                rel = str(path.relative_to(start))
                if path.is_dir():
                    self.folders.add(rel)
                    self.durable_folders.add(rel)
                elif not rel.endswith("-lock"):
                    self.names[rel] = self.durable[rel] = File(path.read_bytes())

    def new_process(self):
        """The next log comes from a new process: its file ids begin again."""
        self.ids = {}

    def change(self, *changes):
        """Directory entries that change as one (a rename); in another folder they may arrive apart."""
        groups = {}
        for path, file in changes:
            if file is None:
                self.names.pop(path, None)
            else:
                self.names[path] = file
            groups.setdefault(os.path.dirname(path), []).append((path, file))
        for folder, group in groups.items():
            self.entries.setdefault(folder, []).append(group)

    def apply(self, op):
        self.number = op.number
        if op.kind in (CREATE, OPEN):
            file = self.names.get(op.path)
            if file is None or op.kind == CREATE:
                file = File()
                self.change((op.path, file))
            self.ids[op.file] = file
        elif op.kind == WRITE:
            file = self.ids[op.file]
            data = bytes(op.b) if op.flags & FLAG_ZERO else op.data
            change = ("write", op.a, data)
            if op.flags & FLAG_DSYNC:  # this range is on the disk when the call returns
                file.put(file.durable, change)
            else:
                file.pending.append(change)
        elif op.kind == TRUNCATE:
            self.ids[op.file].pending.append(("size", op.a))
        elif op.kind == SYNC_BEGIN:
            file = self.ids[op.file]
            file.syncs[op.number] = len(file.pending)
        elif op.kind == SYNC_END:
            file = self.ids[op.file]
            file.settle(file.syncs.pop(op.a))
        elif op.kind == RENAME:
            file = self.names.get(op.path)
            target = op.data.decode()
            if file is not None:
                self.change((target, file), (op.path, None))
            else:
                self.rename_folder(op.path, target)
        elif op.kind == LINK:
            self.change((op.data.decode(), self.names[op.path]))
        elif op.kind == UNLINK:
            self.change((op.path, None))
        elif op.kind == MKDIR:
            self.folders.add(op.path)
            self.durable_folders.add(op.path)  # a folder that vanishes with what was flushed in it is not modelled
        elif op.kind == RMDIR:
            self.folders.discard(op.path)
        elif op.kind == DIRSYNC:
            self.settle_folder(self.durable, op.path, None)

    def rename_folder(self, source, target):
        for table in (self.names, self.durable):
            for path in [p for p in table if p.startswith(source + "/")]:
                table[target + path[len(source):]] = table.pop(path)
        self.durable_folders.add(target)

    def settle_folder(self, table, folder, count):
        changes = self.entries.get(folder, [])
        for group in changes[:count]:
            for path, file in group:
                if file is None:
                    table.pop(path, None)
                else:
                    table[path] = file
        if table is self.durable:
            self.entries[folder] = []

    def image(self, folder, rnd=random_module, keep=None):
        """Writes one permitted state into an empty folder."""
        if keep is None:
            keep = rnd.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        folder = pathlib.Path(folder)
        for made in sorted(self.durable_folders):
            (folder / made).mkdir(parents=True, exist_ok=True)
        table = dict(self.durable)
        for name, changes in self.entries.items():
            self.settle_folder(table, name, rnd.randint(0, len(changes)))
        done = {}
        for path, file in table.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if id(file) in done:
                os.link(done[id(file)], target)
                continue
            done[id(file)] = target
            write_sparse(target, file.torn(rnd, keep))


def write_sparse(path, data):
    """Zero blocks become holes: segments are mostly zeros."""
    block = 65536
    with open(path, "wb") as f:
        for at in range(0, len(data), block):
            piece = data[at:at + block]
            if piece.count(0) != len(piece):
                f.seek(at)
                f.write(piece)
        f.truncate(len(data))
