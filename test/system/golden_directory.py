#!/usr/bin/env python3
"""Golden directories: the directory of every format that was ever written is read as it was, served, and changed.

usage: golden_directory.py BINARY FOLDER            checks every FOLDER/*.mdb.gz
       golden_directory.py BINARY FOLDER --make N   writes a new one (for a released format: never again)
Each stands beside what the independent reader (test/oracle/accounts.py) says of it, and the secrets that must fit.
"""
import gzip
import imaplib
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "oracle"))
import accounts  # noqa: E402
from msite import PASSWORD, Site, can_log_in, wait_for  # noqa: E402
from tap import Tap, same  # noqa: E402

FILE = "directory/directory.mdb"


def seen(path):
    """As JSON keeps it."""
    found = accounts.read(path)
    return json.loads(json.dumps({key: value for key, value in found.items() if key not in ("address", "target")}))


def grown(site, version):
    """Commands that a program of this format has."""
    def run(*words, text=""):
        return site.run(*words, "-c", site.config, input=text)

    secrets = {}
    run("user", "add", "carl", "--password-file", "-", "--quota", "1 GiB", text="other\n")
    if version >= 2:
        run("domain", "add", "example.net", "--alias-of", "example.org")
        run("domain", "add", "mail.example.com")
        run("domain", "set", "mail.example.com", "--mail-status", "hold")
        run("user", "add", "dora@mail.example.com", "--no-password", "--name", "Döra", "--quota-messages", "9", "--message-max", "1 MiB",
            "--recipients-max", "7", "--partition", "primary", "--status", "inactive")
        run("user", "set", "bert", "--forward", "anna@example.org", "--keep", "yes", "--send-as", "@example.com")
        run("alias", "add", "info@example.org", "anna@example.org", "bert@example.org")
        run("alias", "add", "a.a@example.org", "anna@example.org")
        run("alias", "add", "@mail.example.com", "carl@example.org")
        run("user", "delete", "carl")
    if version >= 3:
        run("user", "set", "bert", "--admin", "yes")
        for login, options in (("anna", ("--scope", "imap,submission")), ("bert", ())):
            made = run("user", "app-password", "add", login, "Gerät", *options, "-o", "json").stdout
            secrets[login] = json.loads(made)["password"]
    return secrets


def make(binary, folder, version):
    with tempfile.TemporaryDirectory(prefix="golden-") as work:
        site = Site(pathlib.Path(work) / "site", binary).init()
        secrets = grown(site, version)
        path = site.folder / FILE
        found = seen(path)
        same("format", found["format"], version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{version}.mdb.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        (folder / f"{version}.json").write_text(json.dumps({"secrets": secrets, "rows": found}, indent=1) + "\n")


def show(site, login):
    return json.loads(site.run("user", "show", login, "-o", "json", "-c", site.config).stdout)


def yes(value):
    return "yes" if value else "no"


def check_show(site, user):
    """What the reader says of a user, the program says too."""
    got = show(site, user["login"])
    want = {"id": str(user["id"]), "login": user["login"], "name": user["name"], "mail_status": user["mail_status"],
            "status": "removed" if user["removed"] else user["status"], "has_password": yes(user["hash"]), "admin": yes(user["admin"]),
            "scram": [key["hash"] for key in user["keys"]], "partition": user["partition"], "forwards": user["forwards"],
            "send_as": user["send_as"], "keep": yes(user["keep"] or not user["forwards"])}
    want.update({key: str(user[key]) for key in ("quota", "quota_messages", "message_max", "recipients_max")})
    same(user["login"], {key: got[key] for key in want}, want)


def check_logins(site, secrets, was):
    """The old password serves; SCRAM keys are made of it where there were none."""
    same("password", can_log_in(site, "anna", PASSWORD), True)
    same("wrong password", can_log_in(site, "anna", PASSWORD + "x"), False)
    same("removed or not", can_log_in(site, "carl", "other"), not was["carl@example.org"]["removed"])
    if not wait_for(lambda: show(site, "anna")["scram"] == ["SHA-1", "SHA-256"], 30, 0.1):
        raise RuntimeError("no SCRAM keys")
    for login, secret in secrets.items():
        same(f"app password of {login}", can_log_in(site, login, secret), True)
        same("another's", can_log_in(site, "carl", secret), False)


def check(binary, folder, version):
    golden = json.loads((folder / f"{version}.json").read_text())
    rows, secrets = golden["rows"], golden["secrets"]
    was = {user["login"]: user for user in rows["users"]}
    with tempfile.TemporaryDirectory(prefix="golden-") as work:
        site = Site(pathlib.Path(work) / "site", binary).init()
        path = site.folder / FILE
        path.write_bytes(gzip.decompress((folder / f"{version}.mdb.gz").read_bytes()))
        pathlib.Path(f"{path}-lock").unlink(missing_ok=True)
        same("the reader", seen(path), rows)
        site.run("directory", "verify", "-c", site.config)
        for user in rows["users"]:
            check_show(site, user)
        same("to look changes nothing", seen(path), rows)
        with_server(site, secrets, was)
        now = seen(path)
        same("format", now["format"], 3)
        changed = {user["login"]: user for user in now["users"]}
        for login, user in was.items():
            same(login, {k: v for k, v in changed[login].items() if k not in ("version", "keys", "changed")},
                 {k: v for k, v in {**user, **({"quota": 5 << 20} if login == "bert@example.org" else {})}.items()
                  if k not in ("version", "keys", "changed")})
        for key in changed["anna@example.org"]["keys"]:
            same("key of the password", accounts.is_key(key, PASSWORD), True)
        for login, secret in secrets.items():
            same("hash of the secret", [accounts.is_secret(app, secret) for app in now["apps"]
                                        if app["account"] == was[f"{login}@example.org"]["id"]], [True])
        site.run("directory", "verify", "-c", site.config)
        return f"{len(rows['users'])} users, {len(rows['names'])} names, {len(rows['apps'])} app passwords"


def with_server(site, secrets, was):
    site.start()
    try:
        check_logins(site, secrets, was)
        site.run("user", "set", "bert", "--quota", "5 MiB", "-c", site.config)
    finally:
        site.stop()


def main():
    binary, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    if "--make" in sys.argv:
        make(binary, folder, int(sys.argv[sys.argv.index("--make") + 1]))
        return 0
    tap = Tap()
    for path in sorted(folder.glob("*.mdb.gz")):
        tap.run(f"golden directory of format {path.name[0]}", check, binary, folder, int(path.name[0]))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
