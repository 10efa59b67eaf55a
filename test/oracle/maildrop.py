"""Reads and writes files of the maildrop from their description in mailserverd-formats(5) alone."""
import struct

from formats import crc32c

HEAD = struct.Struct("<6sHIIQIBBBB")  # magic version bytes crc time uid body ret flags zero


class Damaged(Exception):
    """Why a file is not one."""


def text(raw, at):
    length, = struct.unpack_from("<H", raw, at)
    if at + 2 + length > len(raw):
        raise Damaged("a text is cut")
    return raw[at + 2:at + 2 + length], at + 2 + length


def read(raw):
    """The fields of a file as a dict; message is what was submitted."""
    if len(raw) < HEAD.size + 16:
        raise Damaged("short")
    magic, version, head_bytes, crc, time_us, uid, body, ret, flags, zero = HEAD.unpack_from(raw)
    if magic != b"MSDROP" or version != 1 or zero or flags & ~1:
        raise Damaged("head")
    if crc32c(raw[16:head_bytes], crc32c(raw[:12])) != crc:
        raise Damaged("sum of the head")
    total, end, crc = struct.unpack_from("<Q4sI", raw, len(raw) - 16)
    if total != len(raw) or end != b"DEND" or crc32c(raw[:-16]) != crc:
        raise Damaged("tail")
    mail = {"time_us": time_us, "uid": uid, "body": body, "ret": ret, "smtputf8": bool(flags & 1)}
    at = HEAD.size
    for key in ("sender", "login", "full_name", "envid"):
        mail[key], at = text(raw, at)
    count, = struct.unpack_from("<I", raw, at)
    at += 4
    mail["rcpts"] = []
    for _ in range(count):
        address, at = text(raw, at)
        orcpt, at = text(raw, at)
        mail["rcpts"].append((address, orcpt, raw[at]))
        at += 1
    if at != head_bytes:
        raise Damaged("length of the head")
    mail["message"] = raw[head_bytes:-16]
    return mail


def write(message, rcpts, uid, sender=b"root", time_us=0, version=1, extra=b""):
    """A file; rcpts is a list of addresses."""
    texts = b"".join(struct.pack("<H", len(t)) + t for t in (sender, b"root", b"", b""))
    texts += struct.pack("<I", len(rcpts))
    texts += b"".join(struct.pack("<H", len(a)) + a + b"\0\0\0" for a in rcpts) + extra
    head = HEAD.pack(b"MSDROP", version, HEAD.size + len(texts), 0, time_us, uid, 0, 0, 0, 0)[:12]
    rest = struct.pack("<QIBBBB", time_us, uid, 0, 0, 0, 0) + texts
    head += struct.pack("<I", crc32c(rest, crc32c(head))) + rest
    raw = head + message
    return raw + struct.pack("<Q4sI", len(raw) + 16, b"DEND", crc32c(raw))
