#!/usr/bin/env python3
"""The worked examples of the manual: each is run, and what the page shows of its output is what comes.

usage: man_examples.py MAILSERVERD SOURCE-ROOT

In a page a comment marks the literal display behind it:
    .\\" file NAME    a file
    .\\" run          commands ("$ ..." with \\e at the end when it goes on), each with an excerpt of its output; "..." stands for
                     lines that are left out
The files of a page lie in one folder, where its commands run.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from tap import Tap, need, same

PAGES = {"mailserverd-jobs.1": 8}  # page -> commands it has at least
ESCAPES = (("\\e", "\\"), ("\\&", ""), ("\\-", "-"))


def displays(text):
    """(mark, lines) of each display with a mark."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        mark = re.match(r'\.\\" (file \S+|run)$', line)
        if not mark:
            continue
        need(lines[i + 1].startswith(".Bd -literal"), f"line {i + 2}: no literal display behind {line}")
        end = lines.index(".Ed", i)
        shown = lines[i + 2:end]
        for escape, meant in ESCAPES:
            shown = [s.replace(escape, meant) for s in shown]
        yield mark.group(1), shown


def commands(lines):
    """(command, excerpt) of a display."""
    found = []
    for line in lines:
        if found and found[-1][0].endswith("\\"):
            found[-1][0] = found[-1][0][:-1] + line
        elif line.startswith("$ "):
            found.append([line[2:], []])
        else:
            need(found, f"{line!r} before a command")
            found[-1][1].append(line)
    return found


def is_excerpt(excerpt, output):
    """Every run of lines between "..." is in the output, in this order; a line may begin with ... too."""
    at, is_gap = 0, True
    for line in excerpt:
        if line.strip() == "...":
            is_gap = True
            continue
        while is_gap and at < len(output) and output[at] != line:
            at += 1
        if at == len(output) or output[at] != line:
            return line
        at, is_gap = at + 1, False
    return None


def check_command(binary, folder, command, excerpt):
    words = shlex.split(command)
    same("program", words[0], "mailserverd")
    done = subprocess.run([binary, *words[1:]], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    same("exit status and errors", (done.returncode, done.stderr), (0, ""))
    output = [line.rstrip() for line in done.stdout.splitlines()]
    excerpt = [line.rstrip() for line in excerpt]
    need(any(line.strip() not in ("", "...") for line in excerpt), "nothing is shown")
    missing = is_excerpt(excerpt, output)
    need(missing is None, f"{command}\nnot in the output, or not there: {missing!r}\n" + done.stdout)


def main():
    binary, root = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    tap = Tap()
    for page, least in PAGES.items():
        count = 0
        with tempfile.TemporaryDirectory() as folder:
            for mark, lines in displays((root / "man" / page).read_text()):
                if mark.startswith("file "):
                    (pathlib.Path(folder) / mark[5:]).write_text("\n".join(lines) + "\n")
                    continue
                for command, excerpt in commands(lines):
                    count += 1
                    tap.run(f"{page}, example {count}", check_command, binary, folder, command, excerpt)
        tap.run(f"{page} has its examples", need, count >= least, f"{count} commands, not {least}")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
