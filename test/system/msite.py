"""A site of the real server for system tests: made with `init`, started, killed, asked over its real protocols."""
import contextlib
import imaplib
import os
import pathlib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

READY_SECONDS = 30
PASSWORD = "secret"
# Of PASSWORD, SHA-512 of crypt(5): a site of many users is not made to wait for as many hashes of its own kind.
READY_HASH = "$6$manyusers$U3dcqaPvCUWOoPGDCwvlnroR7.nV6xibKyf49JCg606jlTdMuAQnv/6aORSjOYhRH25jNiFNLn/xODxqQGG0c1"
CLIENT_NAME = "client.example.net"  # smtplib asks the DNS for a name where it is given none: seconds, on some machines


PORTS = (24, 25, 26, 143, 465, 470, 587, 993)  # what `init` and the tests add to a base
# Bases are multiples of a number that divides no difference of two ports: two of them never mean the same port.
STEP = next(step for step in range(2, 1000) if all((a - b) % step for a in PORTS for b in PORTS if a > b))
claims = []


def claim(base):
    """Nobody else has this base: a name that ends with this process, for all tests that run at the same time."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0mailserverd-test-ports-{base}")
    except OSError:
        mark.close()
        return False
    claims.append(mark)
    return True


def free_port_base():
    """A base for which the ports that `init` uses are free now, and are nobody else's while this process runs."""
    for _ in range(200):
        base = 10000 + int.from_bytes(os.urandom(2), "big") % (21000 // STEP) * STEP  # below the ports that clients are given
        if not claim(base):
            continue
        try:
            for port in PORTS:
                with socket.socket() as s:
                    s.bind(("127.0.0.1", base + port))
            return base
        except OSError:
            claims.pop().close()
    raise RuntimeError("no free ports")


class Site:
    def __init__(self, folder, binary, users=("anna", "bert"), sets=(), base=None,
                 plaintext=True):
        self.folder = pathlib.Path(folder)
        self.binary = str(binary)
        self.users = list(users)
        self.sets = list(sets)
        self.base = base or free_port_base()
        self.plaintext = plaintext
        self.ready_line = ""
        self.process = None
        self.config = self.folder / "mailserverd.yaml"
        self.log = self.folder.parent / (self.folder.name + ".log")

    def run(self, *words, check=True, **options):
        done = subprocess.run([self.binary, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=300, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def init(self):
        words = ["init", self.folder, "--domain", "example.org", "--listen", "127.0.0.1", "--port-base", self.base]
        if self.plaintext:
            words.append("--allow-plaintext-auth")
        for user in self.users:
            words += ["--user", f"{user}:{PASSWORD}"]
        for item in self.sets:
            words += ["--set", item]
        self.run(*words)
        return self

    def import_users(self, names):
        rows = "".join(f"{name},{READY_HASH}\n" for name in names)
        self.run("user", "import", "-", "-c", self.config, input="login,password_hash\n" + rows)

    def start(self, env=None, wait=True):
        full = dict(os.environ)
        full.update(env or {})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", "-c", str(self.config)], stdout=subprocess.PIPE, stderr=log,
                                            env=full)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        """Seconds from now to the ready line."""
        begun = time.monotonic()
        os.set_blocking(self.process.stdout.fileno(), False)
        text = b""
        while time.monotonic() - begun < READY_SECONDS:
            text += self.process.stdout.read() or b""
            if b"ready" in text and text.endswith(b"\n"):
                self.ready_line = text.decode()
                return time.monotonic() - begun
            if self.process.poll() is not None:
                raise RuntimeError(f"server ended with {self.process.returncode}: {self.tail()}")
            time.sleep(0.002)
        raise RuntimeError(f"not ready in {READY_SECONDS} s: {self.tail()}")

    def tail(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def logged(self, *words, count=1, seconds=10):
        """The log, once each of the words is in it so often: it is written by a thread of its own, so a line may come after the
        answer that a client has, and a kill takes lines with it."""
        end = time.monotonic() + seconds
        while True:
            text = self.log.read_text(errors="replace")
            missing = [w for w in words if text.count(w) < count]
            if not missing:
                return text
            if time.monotonic() > end:
                raise RuntimeError(f"not {count} times in the log: {missing}\n{self.tail()}")
            time.sleep(0.02)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self, seconds=40):
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self.wait(seconds)

    def wait(self, seconds=40):
        if not self.process:
            return None
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not stop: " + self.tail())
        self.process.stdout.close()
        self.process = None
        return status

    def command(self, *words, **options):
        """A command with this site's configuration; may fail."""
        return self.run(*words, "-c", self.config, check=False, **options)

    def stats(self):
        """`store stats` as a dict; numbers are ints."""
        done = self.run("store", "stats", "-c", self.config)
        pairs = (line.partition("=") for line in done.stdout.splitlines())
        return {k.strip(): int(v) if v.isdigit() else v for k, _, v in pairs}

    def counter(self, name):
        """A number of `stats`."""
        return int(re.search(rf"^{name}=(\d+)$", self.command("stats").stdout, re.M)[1])

    @property
    def partition(self):
        return self.folder / "store/primary"

    # -- clients
    def lmtp(self, timeout=30):
        return smtplib.LMTP("127.0.0.1", self.base + 24, CLIENT_NAME, timeout=timeout)

    def submission(self, user, timeout=30):
        client = smtplib.SMTP("127.0.0.1", self.base + 587, CLIENT_NAME, timeout=timeout)
        client.ehlo()
        client.login(f"{user}@example.org", PASSWORD)
        return client

    def imap(self, user, timeout=30):
        imaplib._MAXLINE = 10_000_000
        client = imaplib.IMAP4("127.0.0.1", self.base + 143, timeout=timeout)
        client.login(user, PASSWORD)
        return client

    def inbox(self, user):
        """Every message of INBOX, as bytes."""
        client = self.imap(user)
        try:
            _, data = client.select("INBOX", readonly=True)
            if not int(data[0]):
                return []
            _, data = client.fetch("1:*", "(BODY.PEEK[])")
            return [item[1] for item in data if isinstance(item, tuple)]
        finally:
            client.logout()

    def tls_context(self):
        return ssl.create_default_context(cafile=str(self.folder / "tls/cert.pem"))


def read_line(sock):
    """What is there until the end of a line, or of the connection."""
    text = b""
    while not text.endswith(b"\n"):
        some = sock.recv(4096)
        if not some:
            break
        text += some
    return text


def anonymous(pid):
    """Bytes of anonymous memory of a process."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.M)[1]) * 1024


def settled(pid):
    """The same when nothing moves any more, or after ten seconds."""
    before = anonymous(pid)
    for _ in range(50):
        time.sleep(0.2)
        now = anonymous(pid)
        if now == before:
            break
        before = now
    return now


def can_log_in(site, user, password):
    client = imaplib.IMAP4("127.0.0.1", site.base + 143, timeout=20)
    try:
        client.login(user, password)
        client.logout()
        return True
    except imaplib.IMAP4.error:
        client.shutdown()
        return False


def message(test_id, sender="load@example.net", body="hello\r\n", extra=""):
    return (f"From: <{sender}>\r\nTo: someone@example.org\r\nSubject: test {test_id}\r\nX-Test-Id: {test_id}\r\n"
            f"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{test_id}@example.net>\r\n{extra}\r\n{body}").encode()


def list_mailbox(client, mailbox="INBOX"):
    """[(uid, test id, flags)] of a mailbox, and its UIDVALIDITY and UIDNEXT."""
    status, data = client.status(mailbox, "(UIDVALIDITY UIDNEXT MESSAGES)")
    if status != "OK":
        raise RuntimeError(f"STATUS {mailbox}: {data}")
    words = data[0].decode().replace("(", " ").replace(")", " ").split()
    fields = {words[i]: int(words[i + 1]) for i in range(len(words) - 1) if words[i + 1].isdigit()}
    status, data = client.select(mailbox, readonly=True)
    if status != "OK":
        raise RuntimeError(f"EXAMINE {mailbox}: {data}")
    rows = []
    if int(data[0]):
        status, data = client.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-TEST-ID)])")
        if status != "OK":
            raise RuntimeError(f"FETCH {mailbox}: {data}")
        for item in data:
            if not isinstance(item, tuple):
                continue
            head = item[0].decode()
            uid = int(head.split("UID ")[1].split()[0].rstrip(")"))
            flags = set(head.split("FLAGS (")[1].split(")")[0].split())
            test_id = item[1].decode().partition(":")[2].strip()
            rows.append((uid, test_id, flags))
    return rows, fields["UIDVALIDITY"], fields["UIDNEXT"]


@contextlib.contextmanager
def running(binary, sets=(), users=("anna", "bert"), start=True, env=None, **options):
    """A site of its own in a temporary folder, started, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        site = Site(pathlib.Path(work) / "site", binary, users, sets, **options).init()
        try:
            if start:
                site.start(env)
            yield site
        finally:
            site.kill()


def wait_for(what, seconds=10, step=0.02):
    """The first true value of what(); bounded."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)
