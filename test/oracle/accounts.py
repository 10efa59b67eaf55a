#!/usr/bin/env python3
"""Reads the directory of accounts from its description in mailserverd-formats(5) alone, without mailserverd.

usage: accounts.py FILE      everything in it as JSON; exit 1 when it is not what the page says
"""
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

import lmdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from formats import Broken, crc32c  # noqa: E402

STATUS = ("active", "inactive", "disabled", "deleted", "removed", "hold", "overquota", "unused", "defer")
HASHES = {1: ("SHA-1", 20), 2: ("SHA-256", 32)}
NAMES = ("meta", "user", "name", "domain", "address", "target", "app")
SINCE = {"address": 2, "target": 2, "app": 3}  # format from which a database must be there


class Row:
    """One value: checked, then read from its beginning."""

    def __init__(self, key, raw, versions):
        self.raw, self.at = bytes(raw[:-4]), 1
        if len(raw) < 5 or crc32c(self.raw, crc32c(key)) != struct.unpack("<I", raw[-4:])[0]:
            raise Broken("checksum")
        self.version = self.raw[0]
        if self.version not in versions:
            raise Broken(f"version {self.version}")

    def take(self, length):
        if self.at + length > len(self.raw):
            raise Broken("cut")
        self.at += length
        return self.raw[self.at - length:self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "little")

    def numbers(self, *lengths):
        return [self.number(length) for length in lengths]

    def text(self, most=1 << 16):
        length = self.number(2)
        if length > most:
            raise Broken("a text is too long")
        return self.take(length).decode()

    def list(self, most):
        count = self.number(2)
        if count > most:
            raise Broken("a list is too long")
        items = [self.text(255) for _ in range(count)]
        if not all(items):
            raise Broken("an empty text in a list")
        return items

    def status(self):
        return STATUS[self.number(1)]

    def end(self):
        if self.at != len(self.raw):
            raise Broken("something behind the row")


def keys_of(row):
    keys, last = [], 0
    for _ in range(row.number(1)):
        kind, iterations, salt = row.numbers(1, 4, 1)
        if kind <= last or kind not in HASHES or not 0 < iterations <= 1_000_000 or not 0 < salt <= 16:
            raise Broken("a key")
        name, length = HASHES[kind]
        keys.append({"hash": name, "iterations": iterations, "salt": row.take(salt).hex(), "stored": row.take(length).hex(),
                     "server": row.take(length).hex()})
        last = kind
    return keys


def user(key, raw):
    row = Row(key, raw, (1, 2, 3))
    if row.version == 1:
        created, quota, messages = row.numbers(8, 8, 8)
        out = {"created": created, "changed": created, "removed": 0, "quota": quota, "quota_messages": messages, "message_max": 0,
               "recipients_max": 0, "status": "active", "mail_status": "active", "keep": True, "admin": False, "login": row.text(255),
               "hash": row.text(383), "partition": row.text(64), "name": "", "forwards": [], "send_as": [], "keys": []}
    else:
        names = ("created", "changed", "removed", "quota", "quota_messages", "message_max", "recipients_max")
        out = dict(zip(names, row.numbers(8, 8, 8, 8, 8, 8, 4)))
        out["status"], out["mail_status"], flags = row.status(), row.status(), row.number(1)
        if flags & ~(3 if row.version == 3 else 1):
            raise Broken("flags")
        out.update(keep=bool(flags & 1), admin=bool(flags & 2), login=row.text(255), hash=row.text(383), partition=row.text(64),
                   name=row.text(128), forwards=row.list(32), send_as=row.list(64))
        out["keys"] = keys_of(row) if row.version == 3 else []
    row.end()
    return {"id": struct.unpack(">Q", key)[0], "version": row.version, **out}


def name(key, raw):
    row = Row(key, raw, (1, 2))
    kind, account = row.numbers(1, 8)
    out = {"name": key.decode(), "kind": {1: "user", 2: "alias"}[kind], "account": account}
    if kind == 2:
        if row.version == 1:
            raise Broken("an alias of version 1")
        out.update(status=row.status(), created=row.number(8), changed=row.number(8), targets=row.list(1000))
        if not out["targets"]:
            raise Broken("an alias without target")
    row.end()
    return out


def domain(key, raw):
    row = Row(key, raw, (1, 2))
    out = {"domain": key.decode(), "created": row.number(8)}
    out.update({"changed": out["created"], "status": "active", "mail_status": "active", "canonical": ""} if row.version == 1 else
               {"changed": row.number(8), "status": row.status(), "mail_status": row.status(), "canonical": row.text(255)})
    row.end()
    return out


def mark(key, raw):
    Row(key, raw, (2,)).end()


def app(key, raw):
    row = Row(key, raw, (3,))
    out = {"account": struct.unpack(">Q", key[:8])[0], "name": key[8:].decode(), "created": row.number(8), "used": row.number(8),
           "salt": row.take(16).hex(), "hash": row.take(32).hex(), "scope": row.list(8)}
    row.end()
    if not 1 <= len(key) - 8 <= 63:
        raise Broken("name of an app password")
    return out


def rows(env, txn, database, read):
    for key, raw in txn.cursor(env.open_db(database.encode(), txn, create=False)):
        try:
            yield read(key, raw)
        except (struct.error, IndexError, KeyError, UnicodeDecodeError, Broken) as why:
            raise Broken(f"{database} {key!r}: {why}") from why


def check(d):
    """References, in both directions."""
    users = {u["id"]: u for u in d["users"]}
    names = {n["name"]: n for n in d["names"]}
    for u in d["users"]:
        if names.get(u["login"], {}).get("account") != u["id"] or u["id"] >= d["next_account"]:
            raise Broken(f"{u['login']}: no name leads there")
        if d["removed"].get(u["id"], 0) != u["removed"]:
            raise Broken(f"{u['login']}: the index of removed users")
    for n in d["names"]:
        if n["kind"] == "user" and users[n["account"]]["login"] != n["name"]:
            raise Broken(f"{n['name']}: leads to somebody else")
    for a in d["apps"]:
        if a["account"] not in users:
            raise Broken(f"app password {a['name']}: of nobody")
    if d["format"] == 1:
        return d
    targets = {t.encode() + b"\0" + n["name"].encode() for n in d["names"] for t in n.get("targets", ())}
    targets |= {f.encode() + b"\0" + u["login"].encode() for u in d["users"] for f in u["forwards"]}
    addresses = {struct.pack(">Q", n["account"]) + n["name"].encode() for n in d["names"] if n["kind"] == "alias" and n["account"]}
    if targets != d["target"] or addresses != d["address"]:
        raise Broken("the indexes are not made from names and users")
    return d


def read(path):
    """Everything, checked, as a dict."""
    env = lmdb.open(str(path), subdir=False, readonly=True, lock=False, max_dbs=16, readahead=False)
    with env, env.begin() as txn:
        there = {key.decode() for key, _ in txn.cursor()}
        meta = dict(txn.cursor(env.open_db(b"meta", txn, create=False)))
        version = meta[b"format"][0]
        if not 1 <= version <= 3 or there - set(NAMES) or any(version >= since and db not in there for db, since in SINCE.items()):
            raise Broken(f"format {version} with {sorted(there)}")
        if (len(meta.get(b"scram_secret", b"")) == 32) != (version >= 3):
            raise Broken("the secret of fake SCRAM keys")
        keys = {db: {key for key, _ in txn.cursor(env.open_db(db.encode(), txn, create=False))} if db in there else set()
                for db in ("address", "target")}
        for db in keys:
            list(rows(env, txn, db, mark) if db in there else ())
        return check({
            "format": version, "next_account": struct.unpack("<Q", meta.get(b"next_account", b"\1" + bytes(7)))[0],
            "removed": {struct.unpack(">Q", k[8:])[0]: struct.unpack("<Q", v)[0] for k, v in meta.items() if k[:8] == b"removed\0"},
            "users": list(rows(env, txn, "user", user)), "names": list(rows(env, txn, "name", name)),
            "domains": list(rows(env, txn, "domain", domain)), "apps": list(rows(env, txn, "app", app)) if "app" in there else [],
            **keys})


def is_secret(row, secret):
    """Is the app password of this row the one whose secret this is?"""
    if not re.fullmatch(r"([a-z2-7]{4}-){6}[a-z2-7]{4}", secret):
        raise Broken(f"{secret}: not the form of a secret")
    return hmac.new(bytes.fromhex(row["salt"]), secret.encode(), hashlib.sha256).hexdigest() == row["hash"]


def is_key(key, password):
    """Is the SCRAM key made from this password (ASCII)? RFC 5802 3."""
    kind = key["hash"].replace("-", "").lower()
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), bytes.fromhex(key["salt"]), key["iterations"])
    client = hmac.new(salted, b"Client Key", kind).digest()
    return (hashlib.new(kind, client).hexdigest() == key["stored"] and
            hmac.new(salted, b"Server Key", kind).hexdigest() == key["server"])


def main():
    try:
        found = read(sys.argv[1])
    except Broken as why:
        print(f"{sys.argv[1]}: {why}", file=sys.stderr)
        return 1
    for db in ("address", "target"):
        found[db] = sorted(key.hex() for key in found[db])
    json.dump(found, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
