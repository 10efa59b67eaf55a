#!/usr/bin/env python3
"""sendmail and its relatives by their names, with the server up, down, and killed: what exits 0 arrives.

usage: sendmail.py BINARY [--messages N] [--parallel N]

effect: server.maildrop
"""
import argparse
import collections
import concurrent.futures
import email
import os
import pathlib
import stat
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "oracle")]
import maildrop  # noqa: E402
from msite import running, wait_for  # noqa: E402
from tap import Skip, Tap, same  # noqa: E402

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 67, 69, 75, 78
NOBODY = 65534
BIG = 30 << 20


def names(site):
    """Links with the names by which programs call it."""
    folder = site.folder.parent / "bin"
    if not folder.exists():
        folder.mkdir()
        for name in ("sendmail", "mailq", "newaliases"):
            (folder / name).symlink_to(pathlib.Path(site.binary).resolve())
    return folder


def call(site, *args, data=b"", name="sendmail", uid=None, config=True, timeout=120):
    env = dict(os.environ)
    env.pop("NAME", None)
    if config:
        env["MAILSERVERD_CONFIG"] = str(site.config)
    more = {"user": uid, "group": uid, "extra_groups": []} if uid is not None else {}
    return subprocess.run([names(site) / name, *map(str, args)], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=env, timeout=timeout, **more)


def expect(done, code, *words):
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != code:
        raise RuntimeError(f"{done.args}: exit {done.returncode}, not {code}: {text}")
    for word in words:
        if word not in text:
            raise RuntimeError(f"{done.args}: {word!r} is not in: {text}")
    return done


def folder_of(site):
    return site.folder / "maildrop"


def files(site, prefix="m."):
    return sorted(p for p in folder_of(site).iterdir() if p.name.startswith(prefix))


def find(site, what, user="anna", seconds=20):
    """The one message that holds these bytes; waits for it."""
    found = wait_for(lambda: [m for m in site.inbox(user) if what in m], seconds, 0.1)
    if len(found or []) != 1:
        raise RuntimeError(f"{user}: {len(found or [])} messages with {what!r}: {site.tail()}")
    return found[0]


def text_of(message):
    return message.partition(b"\r\n\r\n")[2]


def log_of(site):
    return site.log.read_text(errors="replace")


# -- a server that runs

def check_simple(site):
    expect(call(site, "anna@example.org", data=b"Subject: simple one\n\nline\n"), EX_OK)
    got = find(site, b"simple one")
    mail = email.message_from_bytes(got)
    same("text", text_of(got), b"line\r\n")
    if not (mail["Date"] and mail["Message-ID"] and "root@example.org" in mail["From"]):
        raise RuntimeError(f"fields are missing: {got!r}")
    trace = mail["Received"].split(" id ")[1].split(";")[0].strip()
    if "from userid 0" not in mail["Received"] or "-m" not in trace or mail["Return-Path"] != "<root@example.org>":
        raise RuntimeError(f"trace: {got!r}")
    if files(site):
        raise RuntimeError(f"the file is still there: {files(site)}")
    lines = [line for line in site.logged(f"event=maildrop.taken trace={trace}", f"event=delivery.sent trace={trace}").splitlines()
             if f"trace={trace}" in line]
    if not any("maildrop.taken" in line for line in lines) or not any("delivery.sent" in line for line in lines):
        raise RuntimeError(f"log: {lines}")


def check_fast(site):
    """The running server is told by the folder itself."""
    begun = time.monotonic()
    expect(call(site, "anna@example.org", data=b"Subject: fast one\n\n"), EX_OK)
    if not wait_for(lambda: not files(site), 5, 0.002):
        raise RuntimeError("not picked up")
    took = time.monotonic() - begun
    if took > 2:
        raise RuntimeError(f"picked up after {took:.1f} s")
    return f"{took * 1000:.0f} ms"


def check_header_recipients(site):
    expect(call(site, "-t", "-oi", "bert@example.org", data=b"To: Anna <anna@example.org>\nBcc: carl@example.org,\n bert\n"
                b"Subject: secret one\n\ntext\n"), EX_OK)
    for user in ("anna", "bert", "carl"):
        got = find(site, b"secret one", user)
        if b"carl" in got.lower() or b"bcc" in got.lower():
            raise RuntimeError(f"{user} sees who got it in secret: {got!r}")


def check_dots(site):
    expect(call(site, "anna@example.org", data=b"Subject: dot one\n\na\n.\nb\n"), EX_OK)
    same("a dot ends", text_of(find(site, b"dot one")), b"a\r\n")
    for number, option in enumerate(("-i", "-oi", "-Oignoredots=true")):
        expect(call(site, option, "anna@example.org", data=b"Subject: dot two %d\n\na\n.\n..\nb" % number), EX_OK)
        same(option, text_of(find(site, b"dot two %d" % number)), b"a\r\n.\r\n..\r\nb\r\n")


def check_bytes(site):
    body = "grüße €\n".encode() + bytes(range(0x80, 0x100)) + b"\n" + b"x" * 2000 + b"\n"
    expect(call(site, "-B8BITMIME", "anna@example.org", data="Subject: grün one\n\n".encode() + body), EX_OK)
    same("8-bit", text_of(find(site, "grün one".encode())), body.replace(b"\n", b"\r\n"))
    expect(call(site, "anna@example.org", data=b"Subject: crlf one\r\n\r\na\r\nb\r\r\nc\rd\r\n"), EX_OK)
    same("line ends", text_of(find(site, b"crlf one")), b"a\r\nb\r\nc\r\nd\r\n")
    expect(call(site, "anna@example.org", data=b"From x@y Sun Nov 22\nSubject: mbox one\n\n"), EX_OK)
    if b"From x@y" in find(site, b"mbox one"):
        raise RuntimeError("the mbox line is in the message")
    expect(call(site, "anna@example.org", data=b"no header one\n"), EX_OK)
    same("without header", text_of(find(site, b"no header one")), b"no header one\r\n")


def check_senders(site):
    expect(call(site, "-f", "bounce@example.net", "-F", "Jörg \"J\"", "anna@example.org", data=b"Subject: from one\n\n"), EX_OK)
    got = find(site, b"from one")
    mail = email.message_from_bytes(got)
    if mail["Return-Path"] != "<bounce@example.net>" or "bounce@example.net" not in mail["From"]:
        raise RuntimeError(f"{got!r}")
    same("name", str(email.header.make_header(email.header.decode_header(mail["From"]))).split(" <")[0], 'Jörg "J"')
    expect(call(site, "-f", "<>", "anna@example.org", data=b"Subject: null one\n\n"), EX_OK)
    if not find(site, b"null one").startswith(b"Return-Path: <>\r\n"):
        raise RuntimeError("null sender")


def check_usage(site):
    before = len(files(site)) + len(files(site, "tmp."))
    message = b"Subject: nothing\n\n"
    for code, args in [
            (EX_USAGE, []), (EX_USAGE, ["-Z", "anna@example.org"]), (EX_USAGE, ["-f"]), (EX_USAGE, ["-N", "always", "a@b.c"]),
            (EX_USAGE, ["-R", "some", "a@b.c"]), (EX_USAGE, ["-B", "9BIT", "a@b.c"]), (EX_USAGE, ["-bd"]),
            (EX_USAGE, ["-bx"]), (EX_USAGE, ["-ox", "a@b.c"]), (EX_USAGE, ["-O", "novalue", "a@b.c"]),
            (EX_USAGE, ["-V", "", "a@b.c"]), (EX_USAGE, ["-q30m"]), (EX_DATAERR, ["-t"]), (EX_DATAERR, ["a@b..c"]),
            (EX_DATAERR, ["-f", "a b <", "a@b.c"]), (EX_DATAERR, ["-f", "a@b,c@d", "a@b.c"])]:
        expect(call(site, *args, data=message), code)
    expect(call(site, "anna@example.org", data=b"a\0b"), EX_DATAERR, "NUL")
    expect(call(site, "-t", data=b"To: a@b..c\n\n"), EX_DATAERR, "a@b..c")
    expect(call(site, "-C", "/nowhere/x.yaml", "anna@example.org", data=message), EX_CONFIG, "/nowhere/x.yaml")
    if len(files(site)) + len(files(site, "tmp.")) != before:
        raise RuntimeError("something was left behind")


def check_options(site):
    """What scripts give without need is taken."""
    expect(call(site, "-oem", "-oee", "-odb", "-om", "-O", "DeliveryMode=b", "-U", "-A", "c", "-em", "-n", "-m", "-v", "-N",
                "success,delay,failure", "-V", "ENV-1", "-R", "hdrs", "-B", "8BITMIME", "-O", "smtputf8", "-bm", "-i", "--",
                "anna@example.org", data=b"Subject: options one\n\n"), EX_OK, "1 recipients")
    find(site, b"options one")

def check_command_form(site):
    done = site.run("sendmail", "-c", site.config, "anna@example.org", input="Subject: object one\n\n", check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    find(site, b"object one")
    done = site.command("sendmail", "anna@example.org", input="Subject: behind one\n\n") # options behind the recipients
    if done.returncode:
        raise RuntimeError(done.stderr)
    find(site, b"behind one")
    expect(call(site, name="newaliases"), EX_OK, "directory")
    expect(call(site, "-bi"), EX_OK)


def check_asks(site):
    expect(call(site, "-bp"), EX_OK, "Mail queue is empty")
    expect(call(site, name="mailq"), EX_OK, "Mail queue is empty")
    expect(call(site, "-q"), EX_OK)
    expect(call(site, "-bv", "anna", "Bert <bert@example.org>"), EX_OK, "anna... deliverable: channel store",
           "user bert@example.org")
    expect(call(site, "-bv", "nobody@example.org"), EX_NOUSER, "undeliverable: 550 5.1.1")
    expect(call(site, "-bv", "x@example.net"), EX_NOUSER, "undeliverable: 550 5.7.1")
    expect(call(site, "-bv"), EX_USAGE)
    expect(call(site, "-bv", "a@b..c"), EX_DATAERR)
    shown = site.run("queue", "list", "--trace", "1-m1", "-c", site.config)
    same("nothing of that trace waits", shown.stdout, "")


def check_big(site):
    body = b"".join(b"%07d %s\n" % (n, b"x" * 120) for n in range(BIG // 129))
    expect(call(site, "bert@example.org", data=b"Subject: big one\n\n" + body), EX_OK)
    got = find(site, b"Subject: big one", "bert", 60)
    same("big", text_of(got), body.replace(b"\n", b"\r\n"))
    done = call(site, "bert@example.org", data=b"Subject: too big\n\n" + b"y" * (65 << 20))
    expect(done, EX_UNAVAILABLE, "larger")


def smtp(site, text):
    done = call(site, "-bs", data=text)
    expect(done, EX_OK)
    return [line.decode() for line in done.stdout.splitlines()]


def check_smtp(site):
    lines = smtp(site, b"NOOP\r\nMAIL FROM:<a@b.c>\r\nEHLO me\r\nRCPT TO:<anna@example.org>\r\nMAIL FROM:<bert@example.org> "
                 b"BODY=8BITMIME RET=HDRS ENVID=x\r\nDATA\r\nRCPT TO:<bad\r\nRCPT TO:<anna@example.org> NOTIFY=NEVER\r\nDATA\r\n"
                 b"Subject: bs one\r\n\r\n..dot\r\n.\r\nRSET\r\nFOO\r\nQUIT\r\nNOOP\r\n")
    codes = [line[:3] for line in lines if line[3:4] != "-"]
    want = "220 250 503 250 503 250 554 501 250 354 250 250 500 221".split()
    if codes != want:
        raise RuntimeError(f"{codes}, not {want}: {lines}")
    got = find(site, b"bs one")
    same("dot stuffing", text_of(got), b".dot\r\n")
    if not got.startswith(b"Return-Path: <bert@example.org>"):
        raise RuntimeError(f"{got!r}")
    lines = smtp(site, b"HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nbare\nlf\r\n.\r\n"
                 b"MAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\nSubject: cut\r\n\r\nno end")
    if not any(line.startswith("5") for line in lines) or files(site, "tmp."):
        raise RuntimeError(f"{lines} {files(site, 'tmp.')}")


def check_parallel(site, count):
    site.run_parallel = count
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        done = list(pool.map(lambda n: call(site, "carl@example.org", data=b"Subject: par %d\n\n" % n), range(count)))
    for one in done:
        expect(one, EX_OK)
    return check_all(site, [b"Subject: par %d\r\n" % n for n in range(count)], "carl", exactly=True)


def check_all(site, wanted, user, exactly, seconds=60, squeeze=False):
    """A message with each of these lines arrives; how many came twice. squeeze: blanks do not count."""
    def counted():
        have = collections.Counter()
        for m in site.inbox(user):
            have.update(set((m.replace(b" ", b"") if squeeze else m).split(b"\r\n")))
        return {w: have[w.removesuffix(b"\r\n")] for w in wanted}

    def arrived():
        counts = counted()
        return (counts,) if all(counts.values()) else None
    found = wait_for(arrived, seconds, 0.3)
    if not found:
        raise RuntimeError(f"missing: {[w for w, n in counted().items() if not n][:10]}; {site.tail()}")
    twice = sum(n - 1 for n in found[0].values())
    if exactly and twice:
        raise RuntimeError(f"{twice} came twice")
    return f"{len(wanted)} messages, {twice} twice"


# -- recipients that are refused

def queue_is_empty(site):
    return wait_for(lambda: not site.run("queue", "list", "-c", site.config).stdout.strip(), 20, 0.2)


def check_refused(site):
    expect(call(site, "-f", "bert@example.org", "-V", "ENV-9", "anna@example.org", "nobody@example.org", "nowhere@example.org",
                "x@example.net", data=b"Subject: refused one\n\n"), EX_OK)
    find(site, b"Subject: refused one")
    reports = wait_for(lambda: (lambda got: got if len(got) == 2 else None)(
        [m for m in site.inbox("bert") if b"refused one" in m]), 20, 0.1)
    text = b"".join(reports or [])
    for word in (b"nobody@example.org", b"nowhere@example.org", b"5.1.1", b"x@example.net", b"5.7.1", b"ENV-9", b"report-type"):
        if word not in text:
            raise RuntimeError(f"{word!r} is not in the reports: {text!r} {site.tail()}")
    if b"anna@example.org" in text.replace(b"To: anna", b"") and b"Final-Recipient: rfc822;anna" in text.replace(b" ", b""):
        raise RuntimeError("a report about a recipient that was taken")
    before = [len(site.inbox(user)) for user in ("anna", "bert", "carl")]
    for args in (["-f", "<>", "nobody@example.org"], ["-f", "bert@example.org", "-N", "never", "nobody@example.org"]):
        expect(call(site, *args, data=b"Subject: refused two\n\n"), EX_OK)
    if not wait_for(lambda: not files(site), 10) or not queue_is_empty(site):
        raise RuntimeError(f"something is left: {site.run('queue', 'list', '-c', site.config).stdout} {files(site)}")
    if [len(site.inbox(user)) for user in ("anna", "bert", "carl")] != before:
        raise RuntimeError("a report that nobody wanted")


def check_circle(site):
    fields = b"".join(b"Received: by host%d\n" % n for n in range(101))
    expect(call(site, "anna@example.org", data=fields + b"Subject: circle one\n\n"), EX_OK)
    folder = folder_of(site) / "refused"
    if not wait_for(lambda: folder.exists() and any(folder.iterdir()), 10):
        raise RuntimeError(site.tail())
    mail = maildrop.read(next(folder.iterdir()).read_bytes())
    if b"circle one" not in mail["message"] or not wait_for(lambda: "maildrop.refused" in log_of(site)):  # lines come in batches
        raise RuntimeError("not kept as it was")
    same("delivered", [m for m in site.inbox("anna") if b"circle one" in m], [])


def check_kill_refused(binary, count):
    """Each has its report, also when the server dies between the entry and its return."""
    with running(binary, users=("anna",)) as site:
        names(site)
        done = threading.Event()
        thread = threading.Thread(target=kill_again, args=(site, done))
        thread.start()
        try:
            for n in range(count):
                expect(call(site, "-f", "anna", "nobody%d@example.org" % n, data=b"Subject: no %d\n\n" % n), EX_OK)
        finally:
            done.set()
            thread.join()
        text = check_all(site, [b"Final-Recipient:rfc822;nobody%d@example.org" % n for n in range(count)], "anna", exactly=False, squeeze=True)
        if not queue_is_empty(site):
            raise RuntimeError(f"the queue holds {site.run('queue', 'list', '-c', site.config).stdout}")
        return text


# -- files that are not ours

def check_strangers(site):
    folder = folder_of(site)
    good = maildrop.write(b"Subject: stranger ok\r\n\r\n", [b"anna@example.org"], os.geteuid())
    flipped = bytearray(good)
    flipped[-30] ^= 1
    number = iter(range(1, 100))

    def name():
        return "m.%032x" % next(number)

    def put(raw):
        path = folder / ("tmp." + name())
        path.write_bytes(raw)
        path.rename(folder / path.name[4:])
        return path.name[4:]
    bad = [put(b""), put(b"MSDROP"), put(b"x" * 500), put(good[:-1]), put(good + b"x"), put(bytes(flipped)),
           put(maildrop.write(b"a\n", [b"anna@example.org"], os.geteuid())),
           put(maildrop.write(b"a\0b\r\n", [b"anna@example.org"], os.geteuid())),
           put(maildrop.write(b"a\r\n", [b"anna@example.org"], os.geteuid(), version=2)),
           put(maildrop.write(b"a\r\n", [b"a\nb"], os.geteuid())),
           put(maildrop.write(b"a\r\n", [b"anna@example.org"], os.geteuid(), extra=b"x"))]
    target = site.folder.parent / "elsewhere"
    target.write_bytes(good)
    bad += [name() for _ in range(4)] + ["some file", "x" * 200]
    os.symlink(target, folder / bad[-6])
    os.mkfifo(folder / bad[-5])
    os.link(target, folder / bad[-4])
    os.mkdir(folder / bad[-3])
    for other in bad[-2:]:
        (folder / other).write_bytes(b"?")
    if os.geteuid() == 0:
        path = folder / "tmp.other"
        path.write_bytes(maildrop.write(b"a\r\n", [b"anna@example.org"], 1234))
        os.chown(path, NOBODY, NOBODY)
        bad.append(name())
        path.rename(folder / bad[-1])
    ours = put(good)
    find(site, b"stranger ok")
    def all_bad():
        return all((folder / (n + ".bad")).exists() or os.path.islink(folder / (n + ".bad")) for n in bad)
    if not wait_for(all_bad, 10, 0.1):
        raise RuntimeError(f"not put aside: {[n for n in bad if not os.path.lexists(folder / (n + '.bad'))]} {site.tail()}")
    if (folder / (ours + ".bad")).exists():
        raise RuntimeError("ours is put aside")
    site.logged("maildrop.put_aside", *bad)
    expect(call(site, "anna@example.org", data=b"Subject: after strangers\n\n"), EX_OK)
    find(site, b"after strangers")
    return f"{len(bad)} put aside"


def check_other_user(site):
    if os.geteuid() != 0:
        raise Skip("needs root")
    for path in (site.folder.parent, site.folder):
        path.chmod(0o755)
    site.config.chmod(0o644)
    mode = folder_of(site).stat().st_mode
    if stat.S_IMODE(mode) != 0o3733:
        raise RuntimeError(f"mode {mode:o}")
    done = call(site, "-f", "someone@example.org", "anna@example.org", data=b"Subject: nobody one\n\n", uid=NOBODY)
    expect(done, EX_OK)
    got = find(site, b"nobody one")
    if b"from userid %d" % NOBODY not in got:
        raise RuntimeError(f"{got!r}")
    listing = subprocess.run(["ls", folder_of(site)], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True)
    if listing.returncode == 0:
        raise RuntimeError("everybody may look into the maildrop")
    site.config.chmod(0o600) # who may not read it takes the folder of an installed system
    done = call(site, "anna@example.org", data=b"Subject: x\n\n", uid=NOBODY)
    if not pathlib.Path("/var/spool/mailserverd/maildrop").exists():
        expect(done, EX_TEMPFAIL, "/var/spool/mailserverd/maildrop")


# -- a server that does not run

def check_down(site):
    expect(call(site, "-f", "bert", "-N", "never", "-V", "E1", "-R", "full", "anna@example.org", "root",
                data=b"Subject: down one\n\nx\n"), EX_OK)
    found = files(site)
    if len(found) != 1 or stat.S_IMODE(found[0].stat().st_mode) not in (0o600, 0o640):
        raise RuntimeError(f"{found}")
    mail = maildrop.read(found[0].read_bytes())
    same("message", mail["message"], b"Subject: down one\r\n\r\nx\r\n")
    same("recipients", mail["rcpts"], [(b"anna@example.org", b"", 1), (b"root", b"", 1)])
    if (mail["sender"], mail["envid"], mail["ret"], mail["uid"]) != (b"bert", b"E1", 1, os.geteuid()):
        raise RuntimeError(f"{mail}")
    for n in range(20):
        expect(call(site, "anna@example.org", data=b"Subject: waits %d\n\n" % n), EX_OK)
    site.start()
    find(site, b"down one")
    check_all(site, [b"Subject: waits %d\r\n" % n for n in range(20)], "anna", exactly=True)


def check_no_folder(site):
    folder = folder_of(site)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    expect(call(site, "anna@example.org", data=b"Subject: lost one\n\n"), EX_TEMPFAIL, "maildrop")
    expect(call(site, "-bv", "anna"), EX_TEMPFAIL, "cannot ask")
    folder.write_text("no folder")
    expect(call(site, "anna@example.org", data=b"Subject: lost two\n\n"), EX_TEMPFAIL, "maildrop")
    folder.unlink()
    site.start() # makes it
    expect(call(site, "anna@example.org", data=b"Subject: found one\n\n"), EX_OK)
    find(site, b"found one")


def check_full(site):
    """A write that fails: nothing is promised and nothing stays."""
    done = subprocess.run(["prlimit", "--fsize=300000", str(names(site) / "sendmail"), "anna@example.org"],
                          input=b"Subject: limit\n\n" + b"x\n" * 400000, capture_output=True,
                          env=dict(os.environ, MAILSERVERD_CONFIG=str(site.config)))
    expect(done, EX_TEMPFAIL)
    if files(site) or files(site, "tmp."):
        raise RuntimeError("left behind")


def check_interrupted(site):
    with subprocess.Popen([names(site) / "sendmail", "anna@example.org"], stdin=subprocess.PIPE,
                          env=dict(os.environ, MAILSERVERD_CONFIG=str(site.config))) as process:
        process.stdin.write(b"Subject: cut\n\n")
        process.stdin.flush()
        if not wait_for(lambda: files(site, "tmp."), 10):
            raise RuntimeError("no temporary file")
        process.terminate()
        process.wait(10)
    if files(site) or files(site, "tmp.") or process.returncode == 0:
        raise RuntimeError(f"left behind; {process.returncode}")


def check_stop(binary, count):
    """An orderly stop in the middle: exactly once."""
    with running(binary, users=("anna",)) as site:
        names(site)
        stopper = threading.Timer(0.25, site.process.terminate)
        stopper.start()
        sent = send_many(site, count)
        stopper.join()
        site.wait()
        site.start()
        return check_all(site, sent, "anna", exactly=True)


def send_many(site, count):
    def one(n):
        return call(site, "anna@example.org", data=b"Subject: many %d\n\n%s\n" % (n, b"z" * (n % 50 * 1000))).returncode
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, range(count)))
    if any(codes):
        raise RuntimeError(f"exit codes {set(codes)}")
    return [b"Subject: many %d\r\n" % n for n in range(count)]


def kill_again(site, done):
    while not done.wait(0.35):
        site.kill()
        site.start()


def check_kill(binary, count):
    with running(binary, users=("anna",)) as site:
        names(site)
        done = threading.Event()
        thread = threading.Thread(target=kill_again, args=(site, done))
        thread.start()
        try:
            sent = send_many(site, count)
        finally:
            done.set()
            thread.join()
        return check_all(site, sent, "anna", exactly=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--parallel", type=int, default=200)
    args = parser.parse_args()
    tap = Tap()
    with running(args.binary, users=("anna", "bert", "carl")) as site:
        names(site)
        tap.run("a message, its fields, its trace", check_simple, site)
        tap.run("picked up at once", check_fast, site)
        tap.run("-t and Bcc", check_header_recipients, site)
        tap.run("dots", check_dots, site)
        tap.run("bytes and line ends", check_bytes, site)
        tap.run("senders and names", check_senders, site)
        tap.run("refused with the right exit code", check_usage, site)
        tap.run("options of scripts", check_options, site)
        tap.run("mailserverd sendmail, newaliases", check_command_form, site)
        tap.run("-bs", check_smtp, site)
        tap.run("-bp, -bv, -q, mailq", check_asks, site)
        tap.run("30 MB, and too large", check_big, site)
        tap.run("processes side by side", check_parallel, site, args.parallel)
        tap.run("recipients that are refused", check_refused, site)
        tap.run("a message that goes in circles", check_circle, site)
        tap.run("files that are not ours", check_strangers, site)
        tap.run("another user", check_other_user, site)
    with running(args.binary, users=("anna", "bert"), start=False) as site:
        names(site)
        tap.run("a write that fails", check_full, site)
        tap.run("an interrupted program", check_interrupted, site)
        tap.run("the server is down", check_down, site)
        site.stop()
        tap.run("no folder", check_no_folder, site)
    tap.run("stop in the middle", check_stop, args.binary, args.messages // 2)
    tap.run("kill -9 in the middle", check_kill, args.binary, args.messages)
    tap.run("kill -9 and refused recipients", check_kill_refused, args.binary, args.messages // 3)
    return tap.end()


sys.exit(main())
