#!/usr/bin/env python3
"""The sample configuration and the option part of mailserverd.yaml(5) are those of the option tables; pages have no mdoc errors.

usage: docs.py BINARY SOURCE_ROOT [--update]
"""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from tap import Tap  # noqa: E402

BEGIN, END = '.\\" begin options: made by `mailserverd config man`\n', '.\\" end options\n'


def made(binary, what):
    return subprocess.run([binary, "config", what], stdout=subprocess.PIPE, check=True, text=True).stdout


def check_sample(binary, root, update):
    path = root / "conf/mailserverd.yaml.sample"
    want = made(binary, "sample")
    if update:
        path.write_text(want)
    if path.read_text() != want:
        raise RuntimeError("conf/mailserverd.yaml.sample is not what `config sample` prints; run with --update")


def check_man(binary, root, update):
    path = root / "man/mailserverd.yaml.5"
    text = path.read_text()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    want = made(binary, "man")
    if update:
        path.write_text(head + BEGIN + want + END + tail)
    elif old != want:
        raise RuntimeError("the option part of man/mailserverd.yaml.5 is old; run with --update")


def check_part(binary, root, update, words):
    """A list between `begin NAME` and `end NAME` that a command prints."""
    page, part, *command = words
    path = root / "man" / page
    begin, end = f'.\\" begin {part}: made by `mailserverd {" ".join(command)}`\n', f'.\\" end {part}\n'
    head, rest = path.read_text().split(begin)
    old, tail = rest.split(end)
    want = subprocess.run([binary, *command], stdout=subprocess.PIPE, check=True, text=True).stdout
    if len(want.splitlines()) < 100:
        raise RuntimeError(f"{command} prints nearly nothing")
    if update:
        path.write_text(head + begin + want + end + tail)
    elif old != want:
        raise RuntimeError(f"the list in man/{page} is old; run with --update")


def check_page(path):
    done = subprocess.run(["man", "-l", "--warnings", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    if done.returncode or done.stderr.strip():
        raise RuntimeError(done.stderr)
    if len(done.stdout.splitlines()) < 20:
        raise RuntimeError("the page is nearly empty")


def main():
    binary, root = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    update = "--update" in sys.argv
    tap = Tap()
    tap.run("conf/mailserverd.yaml.sample is made from the option tables", check_sample, binary, root, update)
    tap.run("mailserverd.yaml(5) has the options of the tables", check_man, binary, root, update)
    for words in (("mailserverd-metrics.7", "metrics", "metrics", "man"), ("mailserverd-log-events.7", "events", "log", "man")):
        tap.run(f"{words[0]} is made from the rows", check_part, binary, root, update, words)
    for page in sorted((root / "man").glob("*.[1-9]")):
        if shutil.which("man"):
            tap.run(f"{page.name} is a clean manual page", check_page, page)
    return tap.end()


sys.exit(main())
