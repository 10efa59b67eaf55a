"""Debian's Dovecot 2.3 beside us, for comparison: unpacked by test/dovecot.sh, on loopback ports of its own, never installed.

It keeps its mail in sdbox (its fastest format here for what is compared), logs in to an account of any name with PASSWORD, and reuses
its login and mail processes ("performance mode"). Run by root, its processes are root's and the mail is a plain user's: Dovecot
refuses to open mail as root. Its programs have fixed paths, so it sees its folder laid over /usr, in a mount namespace of its own.
"""
import imaplib
import os
import pathlib
import pwd
import smtplib
import subprocess
import time

from msite import CLIENT_NAME, PASSWORD, free_port_base, wait_for

UNPACK = pathlib.Path(__file__).resolve().parent.parent / "dovecot.sh"

CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_process_limit = 200
default_client_limit = 5000
mail_location = {format}:{home}/mail/%n
mail_uid = {mail_uid}
mail_gid = {mail_gid}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = {fsync}
mail_max_userip_connections = 20000
imap_hibernate_timeout = 0
recipient_delimiter =
auth_mechanisms = plain login
auth_username_format = %n
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={home}/mail/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
  client_limit = 20000
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
  chroot =
  service_count = 0
  process_min_avail = {cores}
  client_limit = 4000
}}
service imap {{
  service_count = 1024
  process_min_avail = {cores}
  process_limit = 2000
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
  service_count = 0
}}
service auth {{
  client_limit = 20000
}}
{more}
"""


class Unavailable(Exception):
    """The packages cannot be had; the text says why."""


def unpack(folder):
    """The folder to give to Dovecot(); raises Unavailable."""
    done = subprocess.run([str(UNPACK), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    if done.returncode:
        raise Unavailable(done.stdout.strip() or f"dovecot.sh: exit status {done.returncode}")
    return pathlib.Path(folder) / "root"


class Dovecot:
    """A server with the parts of msite.Site that clients need: base, imap(), lmtp(), start(), stop(), kill()."""

    def __init__(self, home, root, fsync="optimized", format="sdbox", more="", base=None):
        self.home, self.root, self.fsync, self.format, self.more = pathlib.Path(home), pathlib.Path(root), fsync, format, more
        self.base = base or free_port_base()
        self.process = None

    @property
    def log(self):
        return self.home / "log"

    def init(self):
        """Writes the configuration. Processes of root need a user that is not root for the mail."""
        me = pwd.getpwuid(os.getuid())
        mail = pwd.getpwnam("nobody") if me.pw_uid == 0 else me
        (self.home / "mail").mkdir(parents=True)
        for folder in (self.home, self.home / "mail"):
            folder.chmod(0o755)
        os.chown(self.home / "mail", mail.pw_uid, mail.pw_gid)
        # the mail user has to come through to its folder
        for folder in self.home.parents:
            if os.stat(folder).st_uid == os.getuid() and not os.stat(folder).st_mode & 0o001:
                folder.chmod(os.stat(folder).st_mode | 0o011)
        group = subprocess.run(["id", "-gn"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        (self.home / "conf").write_text(CONFIG.format(
            home=self.home, internal=me.pw_name, internal_group=group,
            login=mail.pw_name, mail_uid=mail.pw_uid, mail_gid=mail.pw_gid, fsync=self.fsync, format=self.format,
            password=PASSWORD, imap=self.base + 143, lmtp=self.base + 24, cores=len(os.sched_getaffinity(0)), more=self.more))
        return self

    def start(self):
        master = ["/usr/sbin/dovecot", "-F", "-c", f"{self.home}/conf"]
        overlay = f"mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr"
        if os.getuid() == 0:
            words = ["unshare", "--mount", "sh", "-c", overlay + ' && exec "$@"', "sh", *master]
        else:
            words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                     overlay + f' && exec unshare --user --map-user={os.getuid()} --map-group={os.getgid()} -- "$@"', "sh", *master]
        with open(self.home / "stderr", "ab") as err:
            self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=err)
        if not wait_for(self.greets, 20, 0.05):
            raise RuntimeError(f"Dovecot does not answer: {self.tail()}")
        return self

    def greets(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Dovecot ended with {self.process.returncode}: {self.tail()}")
        try:
            self.imap("probe").logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def tail(self, lines=20):
        text = "".join(path.read_text(errors="replace") for path in (self.home / "stderr", self.log) if path.exists())
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, seconds=20):
        if self.process and self.process.poll() is None:
            self.process.terminate()
        return self.wait(seconds)

    def wait(self, seconds):
        status = None
        if self.process:
            try:
                status = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = self.process.wait()
        self.process = None
        time.sleep(0.2)  # its children end when the master's pipe closes
        return status

    def kill(self):
        self.stop()

    def imap(self, user, timeout=60):
        imaplib._MAXLINE = 10_000_000
        client = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=timeout)
        client.login(user, PASSWORD)
        return client

    def lmtp(self, timeout=30):
        return smtplib.LMTP("127.0.0.1", self.base + 24, CLIENT_NAME, timeout=timeout)
