#!/usr/bin/env python3
"""What waits in the queue: retries over restarts, notices, expiry, reports, crashes around a failing delivery.

usage: queue_retry.py BINARY [--crashes N]
Mail gets into the queue of an account that then fails by a detour: the account is put on hold, so that its mail is accepted
and held; then it gets the status that is tested, and the entry is released.
"""
import argparse
import email
import email.policy
import json
import pathlib
import random
import re
import smtplib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import CLIENT_NAME, list_mailbox, message, running, wait_for  # noqa: E402
from tap import Tap, same  # noqa: E402

BERT = "bert@example.org"
ANNA = "anna@example.org"


def status(site, login, value):
    done = site.command("user", "set", login, "--status", value)
    if done.returncode:
        raise RuntimeError(f"user set: {done.stderr}")


def queue(site, held=None):
    """Entries of the queue; held: only those that are (not)."""
    done = site.command("queue", "list", "-o", "json")
    if done.returncode:
        raise RuntimeError(f"queue list: {done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [r for r in rows if held is None or r["held"] == held]


def submit(site, test_id, to=BERT, sender=ANNA, options=(), rcpt_options=()):
    with site.submission(sender.partition("@")[0]) as client:
        client.sendmail(sender, [to], message(test_id, sender), options, rcpt_options)


def receive(site, test_id, sender, to=BERT):
    with smtplib.SMTP("127.0.0.1", site.base + 25, CLIENT_NAME, timeout=30) as client:
        client.ehlo("client.example.net")
        client.sendmail(sender, [to], message(test_id, sender or "nobody@example.net"))


def prepare(site, value, send):
    """A held entry for bert, who then has the status."""
    status(site, BERT, "hold")
    send()
    entries = wait_for(lambda: queue(site, held=True))
    if len(entries) != 1:
        raise RuntimeError(f"held entries: {entries}")
    status(site, BERT, value)
    return entries[0]


def inject(site, value, send):
    """An entry for bert, who then has the status: tried from now on."""
    entry = prepare(site, value, send)
    done = site.command("queue", "release", "--yes", entry["qid"])
    if done.returncode:
        raise RuntimeError(f"queue release: {done.stderr}")
    return entry


def inbox(site, user):
    return [email.message_from_bytes(octets, policy=email.policy.default) for octets in site.inbox(user)]


def ids(site, user):
    client = site.imap(user)
    try:
        return [row[1] for row in list_mailbox(client)[0]]
    finally:
        client.logout()


def empty(site):
    return wait_for(lambda: not queue(site), 15)


def log_lines(site, event):
    return [line for line in site.log.read_text(errors="replace").splitlines() if f" event={event} " in line]


def fields(part):
    """Groups of fields of a delivery-status part."""
    return [dict(group.items()) for group in part.get_payload()]


def check_report(report, action, code, to=ANNA):
    """A report as RFC 3464 wants it; its parts."""
    same("type", report.get_content_type(), "multipart/report")
    same("report-type", report["Content-Type"].params["report-type"], "delivery-status")
    same("Return-Path", str(report["Return-Path"]), "<>")
    same("Auto-Submitted", str(report["Auto-Submitted"]), "auto-replied")
    same("To", str(report["To"]), f"<{to}>" if "<" in str(report["To"]) else to)
    parts = list(report.iter_parts())
    same("parts", [p.get_content_type() for p in parts][:2], ["text/plain", "message/delivery-status"])
    groups = fields(parts[1])
    same("Action", groups[1]["Action"], action)
    same("Status", groups[1]["Status"], code)
    same("Final-Recipient", re.sub(r"\s", "", groups[1]["Final-Recipient"]), f"rfc822;{BERT}")
    if BERT not in parts[0].get_content():
        raise RuntimeError("the text does not name the recipient")
    return parts


# -- the tests

def test_three_failures(binary):
    """Fails three times, over a kill -9; delivers once when the cause is gone."""
    with running(binary, sets=["channels.store.backoff=[1s]"]) as site:
        qid = inject(site, "inactive", lambda: submit(site, "again"))["qid"]
        if not wait_for(lambda: queue(site)[0]["attempts"] >= 2):
            raise RuntimeError(f"no second attempt: {queue(site)}")
        site.logged(" event=delivery.deferred ", count=2)
        site.kill()
        site.start()
        if not wait_for(lambda: queue(site)[0]["attempts"] >= 3, 15):
            raise RuntimeError(f"no third attempt: {queue(site)}")
        reason = queue(site)[0]["recipients"][0]["reason"]
        if not reason.startswith("4.2.1"):
            raise RuntimeError(f"reason: {reason}")
        status(site, BERT, "active")
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        site.logged(" event=delivery.sent ")
        site.kill()
        site.start()
        time.sleep(1.5)
        same("bert has", ids(site, "bert"), ["again"])
        same("anna has", ids(site, "anna"), [])
        check_lines(site, qid, None)


LINE = re.compile(r" event=delivery\.(\w+) trace=(\S+) qid=(\S+) from=(\S+) to=(\S+) (?:orig_to=(\S+) )?"
                  r"relay=store\[\w+\] delay=\d+\.\d\d delays=0/\d+\.\d\d/0/\d+\.\d\d dsn=(\S+) status=(\w+) reply=")


def check_lines(site, qid, original):
    """The delivery lines of an entry: keys in their order, three deferrals and one end."""
    lines = [LINE.search(line) for line in site.log.read_text(errors="replace").splitlines()
             if f"qid={qid}" in line and " event=delivery." in line]
    if not all(lines):
        raise RuntimeError("a delivery line has not the keys that people look for")
    got = [m[8] for m in lines]
    if got[-1] != "sent" or got.count("sent") != 1 or got.count("deferred") < 3:
        raise RuntimeError(f"deliveries: {got}")
    same("one trace", len({m[2] for m in lines}), 1)
    same("from, to, orig_to", {m.group(4, 5, 6) for m in lines}, {(ANNA, BERT, original)})
    same("dsn", {m[7] for m in lines}, {"4.2.1", "2.0.0"})


def test_quota(binary):
    """A full mailbox: the message waits, and goes in when there is room."""
    with running(binary, sets=["channels.store.backoff=[1s]"]) as site:
        receive(site, "first", "x@example.net")
        if not wait_for(lambda: ids(site, "bert") == ["first"]):
            raise RuntimeError("the first did not arrive")
        site.run("user", "set", BERT, "--quota-messages", "1", "-c", site.config)
        inject(site, "active", lambda: receive(site, "second", "x@example.net"))
        if not wait_for(lambda: queue(site) and queue(site)[0]["attempts"] >= 1):
            raise RuntimeError(f"no attempt: {queue(site)}")
        reason = queue(site)[0]["recipients"][0]["reason"]
        if not reason.startswith("4.2.2"):
            raise RuntimeError(f"reason: {reason}")
        site.run("user", "set", BERT, "--quota-messages", "2", "-c", site.config)
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        same("bert has", ids(site, "bert"), ["first", "second"])


def test_alias(binary):
    """An alias: the log lines name it too; the report as well, for that is whom the sender knows."""
    with running(binary) as site:
        site.run("alias", "add", "office@example.org", BERT, "-c", site.config)
        qid = inject(site, "disabled", lambda: submit(site, "alias", "office@example.org"))["qid"]
        if not wait_for(lambda: inbox(site, "anna")):
            raise RuntimeError(f"no report: {site.tail()}")
        text = check_report(inbox(site, "anna")[0], "failed", "5.2.1")[0].get_content()
        if "<office@example.org>" not in text:
            raise RuntimeError(text)
        site.logged(" event=delivery.bounced ")
        line = next(line for line in log_lines(site, "delivery.bounced") if f"qid={qid}" in line)
        same("orig_to", LINE.search(line)[6], "office@example.org")


def test_notice_and_expiry(binary):
    """One delay notice, over a kill -9, and one return when the time is over."""
    with running(binary, sets=["channels.store.backoff=[1s]", 'channels.store.notices="4s 11s"']) as site:
        begun = time.monotonic()
        inject(site, "inactive", lambda: submit(site, "late", options=("ENVID=E-1",),
                                                rcpt_options=("ORCPT=rfc822;Bert@example.org",)))
        if not wait_for(lambda: len(inbox(site, "anna")) == 1, 9):
            raise RuntimeError(f"no notice: {site.tail()}")
        if time.monotonic() - begun < 3.5:
            raise RuntimeError("the notice was early")
        site.kill()
        site.start()
        parts = check_report(inbox(site, "anna")[0], "delayed", "4.2.1")
        if "Will-Retry-Until" not in fields(parts[1])[1]:
            raise RuntimeError("no Will-Retry-Until")
        if not wait_for(lambda: len(inbox(site, "anna")) == 2, 15):
            raise RuntimeError(f"no return: {site.tail()}")
        if time.monotonic() - begun < 10.5:
            raise RuntimeError("the return was early")
        parts = check_report(inbox(site, "anna")[1], "failed", "4.4.7")
        if "delivery time expired: 4.2.1" not in parts[0].get_content():
            raise RuntimeError("the text does not say why")
        groups = fields(parts[1])
        same("ENVID", groups[0]["Original-Envelope-Id"], "E-1")
        same("ORCPT", re.sub(r"\s", "", groups[1]["Original-Recipient"]), "rfc822;Bert@example.org")
        same("returned", parts[2].get_content_type(), "text/rfc822-headers")
        if "X-Test-Id: late" not in parts[2].get_content():
            raise RuntimeError("the header of the message is not there")
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        time.sleep(1.5)
        same("anna has", len(inbox(site, "anna")), 2)
        status(site, BERT, "active")  # or he cannot log in
        same("bert has", ids(site, "bert"), [])


def test_permanent(binary):
    """A permanent failure: one report, to the sender and nowhere else."""
    with running(binary, users=("anna", "bert", "carl")) as site:
        qid = inject(site, "disabled", lambda: submit(site, "no", options=("RET=FULL",)))["qid"]
        if not wait_for(lambda: inbox(site, "anna")):
            raise RuntimeError(f"no report: {site.tail()}")
        parts = check_report(inbox(site, "anna")[0], "failed", "5.2.1")
        same("returned", parts[2].get_content_type(), "message/rfc822")
        same("the message", str(parts[2].get_payload(0)["X-Test-Id"]), "no")
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        time.sleep(0.5)
        same("reports", len(inbox(site, "anna")), 1)
        same("others", ids(site, "carl"), [])
        status(site, BERT, "active")
        same("bert has", ids(site, "bert"), [])
        site.logged(" event=delivery.bounced ")
        bounced = [line for line in log_lines(site, "delivery.bounced") if f"qid={qid}" in line]
        if len(bounced) != 1 or "dsn=5.2.1 status=bounced" not in bounced[0]:
            raise RuntimeError(f"log: {bounced}")
        trace = re.search(r"trace=(\S+)", bounced[0])[1]
        shown = site.command("trace", trace + ".r1").stdout
        if "delivery.sent" not in shown:
            raise RuntimeError(f"trace of the report: {shown}")


def test_null_sender(binary):
    """No report about mail with a null sender; the log tells that nobody was told."""
    with running(binary) as site:
        inject(site, "disabled", lambda: receive(site, "null", ""))
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        if not wait_for(lambda: log_lines(site, "delivery.report_dropped"), 3):
            raise RuntimeError("nothing in the log")
        same("anna has", ids(site, "anna"), [])
        same("reports", log_lines(site, "delivery.report"), [])


def test_notify_never(binary):
    with running(binary) as site:
        inject(site, "disabled", lambda: submit(site, "never", rcpt_options=("NOTIFY=NEVER",)))
        if not empty(site):
            raise RuntimeError(f"left: {queue(site)}")
        time.sleep(0.3)
        same("anna has", ids(site, "anna"), [])


def test_remote_sender(binary):
    """There is no way out yet: the report to a remote sender waits, held, and says why."""
    with running(binary) as site:
        inject(site, "disabled", lambda: receive(site, "far", "x@example.net"))
        entries = wait_for(lambda: [e for e in queue(site, held=True) if e["sender"] == ""])
        same("entries", len(queue(site)), 1)
        entry = entries[0]
        same("to", [r["address"] for r in entry["recipients"]], ["x@example.net"])
        if not entry["hold_reason"]:
            raise RuntimeError("no reason")
        site.kill()
        site.start()
        time.sleep(1)
        same("still", [e["qid"] for e in queue(site, held=True)], [entry["qid"]])
        same("anna has", ids(site, "anna"), [])
        return entry["hold_reason"]


def test_id_of(report):
    """Of the message that the report is about."""
    return list(report.iter_parts())[2].get_content().split("X-Test-Id: ")[1].split()[0]


def test_crashes(binary, crashes):
    """kill -9 around a failing delivery: every message has exactly one report."""
    with running(binary) as site:
        random.seed(3)
        early = 0
        for n in range(crashes):
            qid = prepare(site, "disabled", lambda n=n: submit(site, f"crash-{n}"))["qid"]
            words = [site.binary, "queue", "release", "--yes", qid, "-c", str(site.config)]
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
                time.sleep(random.random() * 0.05)
                site.kill()
            site.start()
            for entry in queue(site, held=True):  # the release came too late
                early += 1
                site.run("queue", "release", "--yes", entry["qid"], "-c", site.config)
            if not empty(site):
                raise RuntimeError(f"left after {n}: {queue(site)}")
        about = sorted(test_id_of(report) for report in inbox(site, "anna"))
        same("reports", about, sorted(f"crash-{n}" for n in range(crashes)))
        site.stop()
        done = site.command("store", "verify")
        if done.returncode:
            raise RuntimeError(f"store verify: {done.stdout}{done.stderr}")
        return f"{crashes} crashes, {early} of them before the release"


def test_hold(binary):
    """Mail for an account on hold is held again when somebody releases it too early."""
    with running(binary) as site:
        entry = inject(site, "hold", lambda: submit(site, "held"))
        if not wait_for(lambda: log_lines(site, "delivery.held"), 5):
            raise RuntimeError(f"not tried: {site.tail()}")
        held = wait_for(lambda: queue(site, held=True))
        same("held", [(e["qid"], e["hold_reason"][:5]) for e in held], [(entry["qid"], "4.2.1")])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--crashes", type=int, default=8)
    args = parser.parse_args()
    binary = pathlib.Path(args.binary).resolve()
    tap = Tap()
    tap.run("three failures over a restart, one delivery", test_three_failures, binary)
    tap.run("a full mailbox, then room", test_quota, binary)
    tap.run("an alias", test_alias, binary)
    tap.run("one delay notice, one return", test_notice_and_expiry, binary)
    tap.run("a permanent failure is reported to the sender alone", test_permanent, binary)
    tap.run("no report for a null sender", test_null_sender, binary)
    tap.run("no report with NOTIFY=NEVER", test_notify_never, binary)
    tap.run("the report to a remote sender waits", test_remote_sender, binary)
    tap.run("released while the account is on hold", test_hold, binary)
    tap.run("crashes around a failing delivery", test_crashes, binary, args.crashes)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
