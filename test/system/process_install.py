#!/usr/bin/env python3
"""`meson install` into a DESTDIR: the list of files, the unit's exposure, and the installed tree run by an unprivileged user.

usage: process_install.py BUILD_FOLDER
"""
import imaplib
import json
import os
import pathlib
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, free_port_base, message, wait_for  # noqa: E402
from tap import Skip, Tap  # noqa: E402

UID, OTHER = 65534, 64997
EXPOSURE_MAX = 15  # tenths
PREFIX_FILES = """
bin/mailq bin/newaliases sbin/mailserverd sbin/sendmail
lib/systemd/system/mailserverd.service lib/systemd/system/mailserverd.socket
lib/sysusers.d/mailserverd.conf lib/tmpfiles.d/mailserverd.conf
share/mailserverd/mailserverd.yaml
share/doc/mailserverd/CHANGELOG.md share/doc/mailserverd/LICENSE share/doc/mailserverd/README.md
"""


def options(build):
    rows = json.loads((build / "meson-info/intro-buildoptions.json").read_text())
    return {row["name"]: row["value"] for row in rows}


def install(build, root):
    done = subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--destdir", str(root)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stdout)


def files_below(root):
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()}


def layout(build, root, source):
    install(build, root)
    opts = options(build)
    prefix = pathlib.Path(opts["prefix"]).relative_to("/")
    etc = (pathlib.Path(opts["prefix"]) / opts["sysconfdir"]).relative_to("/")
    want = {str(prefix / name) for name in PREFIX_FILES.split()}
    want |= {str(prefix / "share/man" / f"man{page.suffix[1:]}" / page.name) for page in (source / "man").glob("*.[1-9]")}
    want.add(str(etc / "mailserverd/mailserverd.yaml.sample"))
    if (source / "conf/fail2ban/filter.d/mailserverd.conf").exists():
        want.add(str(etc / "fail2ban/filter.d/mailserverd.conf"))
        want.add(str(prefix / "share/doc/mailserverd/fail2ban-jail.conf"))
    have = files_below(root)
    if have != want:
        raise RuntimeError(f"missing: {sorted(want - have)}; not expected: {sorted(have - want)}")
    for link in ("sbin/sendmail", "bin/mailq", "bin/newaliases"):
        if (root / prefix / link).resolve() != (root / prefix / "sbin/mailserverd").resolve():
            raise RuntimeError(f"{link} leads to {os.readlink(root / prefix / link)}")
    for name in have:
        text = (root / name).read_bytes()
        if name.endswith((".service", ".conf", ".yaml")) and re.search(rb"@\w+@", text):
            raise RuntimeError(f"{name} has a place that was not filled in")
    return f"{len(have)} files below {opts['prefix']} and {opts['sysconfdir']}"


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"no {name} here")
    return path


def unit_of(build, root):
    return root / options(build)["prefix"].lstrip("/") / "lib/systemd/system/mailserverd.service"


def exposure(build, root):
    unit = unit_of(build, root)
    done = subprocess.run([tool("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager",
                           str(unit)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    level = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    if not level:
        raise Skip(f"it cannot judge units here: {done.stdout[:200]}")
    if done.returncode != 0 or float(level[1]) * 10 > EXPOSURE_MAX:
        raise RuntimeError(done.stdout)
    return f"exposure {level[1]}"


def accounts(build, root):
    """The user and the folders of sysusers.d and tmpfiles.d, made in the tree."""
    prefix = options(build)["prefix"].lstrip("/")
    users = root / prefix / "lib/sysusers.d/mailserverd.conf"
    folders = root / prefix / "lib/tmpfiles.d/mailserverd.conf"
    if os.geteuid() != 0:
        raise Skip("needs root")
    (root / "etc").mkdir(exist_ok=True)
    for command in ([tool("systemd-sysusers"), f"--root={root}", str(users)],
                    [tool("systemd-tmpfiles"), f"--root={root}", "--create", str(folders)]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}")
    row = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("mailserverd:"))
    uid = int(row.split(":")[2])
    var = pathlib.Path(root, re.search(r" (\S+)/spool/mailserverd ", folders.read_text())[1].lstrip("/"))
    for path, mode, owner in ((var / "lib/mailserverd", 0o700, uid), (var / "spool/mailserverd/maildrop", 0o3733, uid),
                              (var / "spool/mailserverd", 0o755, 0), (root / "run/mailserverd", 0o700, uid)):
        st = path.stat()
        if (st.st_mode & 0o7777, st.st_uid) != (mode, owner):
            raise RuntimeError(f"{path}: {st.st_mode:o} {st.st_uid}")
    return f"uid {uid}"


class Installed:
    """The tree with the shipped configuration, moved below a folder and to free ports."""

    def __init__(self, build, root, work):
        opts = options(build)
        self.sbin = root / opts["prefix"].lstrip("/") / opts["sbindir"]
        self.base, self.uid = free_port_base(), UID if os.geteuid() == 0 else None
        self.home = work / "tree"
        for name in ("etc/mailserverd/tls", "var/lib/mailserverd", "run/mailserverd", "var/spool/mailserverd/maildrop"):
            (self.home / name).mkdir(parents=True)
        (self.home / "var/spool/mailserverd/maildrop").chmod(0o3733)
        subprocess.run([self.sbin / "mailserverd", "init", work / "made", "--domain", "example.org"], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(work / "made/tls" / name, self.home / "etc/mailserverd/tls" / name)
        text = (root / opts["prefix"].lstrip("/") / "share/mailserverd/mailserverd.yaml").read_text()
        text = re.sub(r"/\S*?(etc|run|lib|spool)/?(?=mailserverd)",
                      lambda m: f"{self.home}/{'var/' if m[1] in ('lib', 'spool') else ''}{m[1]}/", text)
        text = re.sub(r'"0\.0\.0\.0:(\d+)", "\[::\]:\d+"', lambda m: f'"127.0.0.1:{self.base + int(m[1])}"', text)
        self.config = self.home / "etc/mailserverd/mailserverd.yaml"
        self.config.write_text(text)
        if self.uid is not None:
            for at, folders, files in os.walk(self.home):
                for name in [at] + [os.path.join(at, f) for f in files]:
                    os.chown(name, self.uid, self.uid)
        self.certificate = work / "cert.pem"
        shutil.copy(work / "made/tls/cert.pem", self.certificate)

    def identity(self, uid):
        return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}

    def run(self, *words, stdin="", uid=None, name="mailserverd"):
        done = subprocess.run([self.sbin / name, *words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, env={"MAILSERVERD_CONFIG": str(self.config), "PATH": "/usr/bin:/bin"},
                              **self.identity(self.uid if uid is None else uid))
        if done.returncode != 0:
            raise RuntimeError(f"{name} {words}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def imap_ids(self):
        client = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=30)
        client.starttls(self.context())
        client.login("anna", "secret")
        _, exists = client.select("INBOX", readonly=True)
        found = []
        if int(exists[0]):
            _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-TEST-ID)])")
        client.logout()
        return [row[1].decode().partition(":")[2].strip() for row in found if isinstance(row, tuple)]

    def context(self):
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.check_hostname = False  # it has the name of the shipped configuration
        return context


def start(tree, log):
    process = subprocess.Popen([tree.sbin / "mailserverd", "serve"], stdout=subprocess.PIPE, stderr=log,
                               env={"MAILSERVERD_CONFIG": str(tree.config)}, **tree.identity(tree.uid))
    os.set_blocking(process.stdout.fileno(), False)
    end, text = time.monotonic() + 60, b""
    while b"ready" not in text:
        text += process.stdout.read() or b""
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise RuntimeError(f"the server did not start: {pathlib.Path(log.name).read_text()}")
        time.sleep(0.01)
    return process


def unprivileged(build, root, work):
    tree = Installed(build, root, work)
    tree.run("config", "check")
    with open(work / "log", "ab") as log:
        process = start(tree, log)
    try:
        tree.run("domain", "add", "example.org")
        tree.run("user", "add", "anna", "--password-file", "-", stdin="secret")
        with smtplib.SMTP("127.0.0.1", tree.base + 587, CLIENT_NAME, timeout=30) as client:
            client.starttls(context=tree.context())
            client.login("anna@example.org", "secret")
            client.sendmail("anna@example.org", ["anna@example.org"], message("submitted", sender="anna@example.org"))
        stranger = OTHER if os.geteuid() == 0 else None
        tree.run("anna@example.org", stdin="X-Test-Id: dropped\n\nhello\n", uid=stranger, name="sendmail")
        wait_for(lambda: len(tree.imap_ids()) == 2, 30, 0.2)
        if sorted(tree.imap_ids()) != ["dropped", "submitted"]:
            raise RuntimeError(f"in the mailbox: {tree.imap_ids()}: {(work / 'log').read_text()[-2000:]}")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        if process.wait(60) != 0:
            raise RuntimeError("exit status")
        uid = re.search(r"Uid:\s+(\d+)", status)[1]
        if uid == "0":
            raise RuntimeError("it ran as root")
        return f"uid {uid}, mail by submission and by sendmail of another user"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main():
    build, source = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(__file__).resolve().parents[2]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="install-") as work:
        work = pathlib.Path(work)
        work.chmod(0o755)
        root = work / "root"
        tap.run("the files of an installation", layout, build, root, source)
        tap.run("the unit is closed", exposure, build, root)
        tap.run("the user and the folders", accounts, build, root)
        tap.run("the installed tree serves an unprivileged user", unprivileged, build, root, work)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
