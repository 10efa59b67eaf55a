"""A thread of the server that stands still for a while, without its knowing: by ptrace."""
import contextlib
import ctypes
import os
import pathlib

from tap import Skip

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000


def thread_of(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise RuntimeError(f"no thread {name}")


@contextlib.contextmanager
def stopped(pid, name):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    tid = thread_of(pid, name)
    if libc.ptrace(PTRACE_ATTACH, tid, None, None) != 0:
        raise Skip(f"cannot stop a thread: {os.strerror(ctypes.get_errno())}")
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)
