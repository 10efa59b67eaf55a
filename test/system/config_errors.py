#!/usr/bin/env python3
"""A configuration with ten different mistakes reports ten, each with its line and column, exits 78 and changes nothing.

usage: config_errors.py BINARY
"""
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site, running  # noqa: E402
from tap import Tap, need  # noqa: E402

EX_CONFIG = 78
LINE = re.compile(r"(.*):(\d+):(\d+): error: (.+)")

# ^ marks, in the line below it, the column of the mistake; the text after it must be in the report (letters only, any case).
BAD = """\
server:
  hostname: mail.example.org
  default_domain: example.org
# ^ unknown key; did you mean loops
  lops: 2
#               ^ unit
  stop_timeout: 30
log:
#        ^ debug
  level: loud
auth:
#                  ^ boolean true
  allow_plaintext: perhaps
directory:
#               ^ range
  hash_threads: 1000
dispatcher:
  services:
    lmtp:
#             ^ list
      listen: {}
      protocol: lmtp
    imap:
      listen: ["127.0.0.1:10143"]
#               ^ imap
      protocol: pop3
job_controller:
  pools:
    STORE: {job_limit: 2}
channels:
#                              ^ pool
  store: {driver: store, pool: SOTRE}
store:
  partitions:
    primary:
      path: store/primary
#                   ^ size
      segment_size: 4 apples
#     ^ twice
      path: store/again
"""


def split_marks(text):
    """The file without its marks, and [(line, column, words)] of the mistakes."""
    lines, expected, pending = [], [], None
    for line in text.splitlines():
        mark = re.match(r"#\s*\^", line)
        if mark:
            pending = (mark.end(), line[mark.end():].split())
            continue
        lines.append(line)
        if pending:
            expected.append((len(lines), pending[0], pending[1]))
            pending = None
    return "\n".join(lines) + "\n", expected


def snapshot(folder):
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_size) for p in pathlib.Path(folder).rglob("*")}


def check_ten(site, command):
    text, expected = split_marks(BAD)
    if len(expected) != 10:
        raise RuntimeError(f"the test has {len(expected)} mistakes")
    bad = site.folder / "bad.yaml"
    bad.write_text(text)
    before = snapshot(site.folder)
    done = site.run(*command, "-c", bad, check=False)
    if done.returncode != EX_CONFIG:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
    if snapshot(site.folder) != before:
        raise RuntimeError("something on disk changed")
    reports = [LINE.fullmatch(line) for line in done.stderr.splitlines()]
    if len(reports) != 10 or None in reports or done.stdout:
        raise RuntimeError(f"not ten errors:\n{done.stderr}{done.stdout}")
    for (line, column, words), report in zip(expected, reports):
        if report[1] != str(bad) or (int(report[2]), int(report[3])) != (line, column):
            raise RuntimeError(f"expected {line}:{column}, got {report[0]}")
        missing = [word for word in words if word.strip(";").lower() not in report[4].lower()]
        if missing:
            raise RuntimeError(f"{report[0]}: nothing about {missing}")


def check_one(site, text, *patterns, reports=1):
    """A file of one mistake: one line, exit 78."""
    bad = site.folder / "one.yaml"
    bad.write_text(text)
    done = site.run("config", "check", "-c", bad, check=False)
    if done.returncode != EX_CONFIG or len(done.stderr.splitlines()) != reports:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
    for pattern in patterns:
        if not re.search(pattern, done.stderr):
            raise RuntimeError(f"{pattern!r} is not in {done.stderr}")


def check_old_names(site, good):
    """Names of the reference, in any case of letters: what they are now, or that they are not needed."""
    driver = "    driver: store\n"
    for key, hint in (("MAX_LIFE_AGE: 5", r"channels.store.MAX_LIFE_AGE; its name is max_life_time"), ("max_life_conns: 5", "max_life_entries"),
                      ("max_life_askwork: 5", "max_life_entries"), ("JOB_LIMIT: 5", r"maxjobs .*job_controller\.pools"),
                      ("maxfiles: 5", "leave it out"), ("immnonurgent:", "leave it out: all mail is tried at once"),
                      ("periodic: yes", "tried at once"), ("multiple: yes", "single_sys"), ("master: yes", "driver"),
                      ("MAX_MESSAGES: 5", "job_controller"), ("thread_depth: 5", "did you mean threaddepth")):
        need(driver in good, good)
        check_one(site, good.replace(driver, f"{driver}    {key}\n", 1), r"unknown key .*" + hint)
        check_one(site, good.replace("channels:\n", f"channels:\n  defaults: {{{key.rstrip(':')}}}\n" if ": " in key
                                     else f"channels:\n  defaults:\n    {key}\n", 1), r"unknown key .*" + hint.replace("store", "defaults"))
    for key, hint in (("JOB_LIMIT: 5", r"each pool has one: job_controller\.pools"), ("MAX_LIFE_AGE: 5", r"channels\.defaults"),
                      ("max_life_conns: 5", "max_life_entries"), ("idle_timeout: 5", r"channels\.defaults"), ("SYNCH_TIME: 5m", "did you mean synch_time"),
                      ("DEBUG: 5", r"log\.level"), ("SECRET: x", "admin socket"), ("MAX_MESSAGES: 500", "did you mean max_messages")):
        check_one(site, good.replace("job_controller:\n", f"job_controller:\n  {key}\n", 1), r"unknown key .*" + hint)


def check_names(site, good):
    """How many pools and channels there may be, and how long their names: known before a start or a reload."""
    many = "".join(f"    P{i}: {{job_limit: 1}}\n" for i in range(65))
    check_one(site, good.replace("  pools:\n", "  pools:\n" + many, 1), r":\d+:1: error: more than 64 pools \(job_controller\)")
    many = "".join(f"  c{i}: {{driver: store, pool: STORE}}\n" for i in range(257))
    check_one(site, good.replace("channels:\n", "channels:\n" + many, 1), r":\d+:1: error: more than 256 channels")
    name = "x" * 33
    check_one(site, good.replace("  pools:\n", f"  pools:\n    {name}: {{}}\n", 1), rf":\d+:5: error: .*pool has at most 32 .*pools\.{name}\)")
    check_one(site, good.replace("channels:\n", f"channels:\n  {name}: {{driver: store, pool: STORE}}\n", 1),
              rf":\d+:3: error: .*channel has at most 32 .*channels\.{name}\)")


def check_good(site):
    done = site.run("config", "check", "-c", site.config)
    if done.stderr or "no errors" not in done.stdout:
        raise RuntimeError(done.stderr + done.stdout)


def check_sample(site):
    """The sample, with one channel, its pool and one partition named, is a good configuration."""
    text = site.run("config", "sample").stdout
    for place, entry in (("channels", "  store: {driver: store}"), ("  pools", "    DEFAULT: {job_limit: 10}"),
                         ("  partitions", "    primary: {path: store/primary}")):
        if text.count(f"\n{place}:\n") != 1:
            raise RuntimeError(f"the sample has no {place}")
        text = text.replace(f"\n{place}:\n", f"\n{place}:\n{entry}\n")
    sample = site.folder / "sample.yaml"
    sample.write_text(text)
    done = site.run("config", "check", "-c", sample, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def check_unreadable(site):
    for path in (site.folder / "absent.yaml", site.folder):  # nobody, not even root, reads a folder
        for command in (("config", "check"), ("serve",)):
            done = site.run(*command, "-c", path, check=False)
            if done.returncode != EX_CONFIG or str(path) not in done.stderr or len(done.stderr.splitlines()) != 1:
                raise RuntimeError(f"{command} {path}: exit {done.returncode}: {done.stderr}")


def check_set(binary):
    """init --set takes what a file would take, and writes nothing when it does not."""
    with tempfile.TemporaryDirectory(prefix="set-") as work:
        folder = pathlib.Path(work) / "site"
        for item in ("server.lops=2", "server.loops=many", "nothing", "store.partitions.primary.segment_size=1"):
            done = Site(folder, binary).run("init", folder, "--domain", "example.org", "--set", item, check=False)
            if done.returncode not in (EX_CONFIG, 64) or folder.exists():
                raise RuntimeError(f"--set {item}: exit {done.returncode}, {done.stderr}")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    with running(binary, start=False) as site:
        good = site.config.read_text()
        tap.run("config check: ten mistakes, ten reports", check_ten, site, ("config", "check"))
        tap.run("serve: ten mistakes, ten reports, nothing written", check_ten, site, ("serve",))
        tap.run("a good file", check_good, site)
        tap.run("the sample", check_sample, site)
        tap.run("a key with a neighbour", check_one, site, good.replace("hostname:", "hostnam:", 1), r"hostnam", r"did you mean hostname")
        tap.run("names of old", check_old_names, site, good)
        tap.run("pools and channels: how many, their names", check_names, site, good)
        tap.run("a tab", check_one, site, good + "\n\tlog:\n", r":\d+:\d+: error: ")
        tap.run("a required key is missing", check_one, site, re.sub(r"(?m)^ *default_domain:.*\n", "", good), r"default_domain")
        without_tls = re.sub(r"(?ms)^tls:\n(?: .*?\n)+", "", good)
        tap.run("five services want TLS without a certificate", lambda: check_one(
            site, without_tls, r"service imaps wants TLS \(tls.certificate", reports=5))
        tap.run("files that cannot be read", check_unreadable, site)
    tap.run("init --set", check_set, binary)
    return tap.end()


sys.exit(main())
