#!/usr/bin/env python3
"""Section mappings: every wrong entry is told at its place, and `mapping test` shows what a table makes of a probe.

usage: mapping_cli.py BINARY      effect: mappings.entries
"""
import json
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import Site  # noqa: E402
from tap import Tap, expect  # noqa: E402

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CONFIG = 0, 64, 65, 66, 78
GOOD = r"""
mappings:
  PORT_ACCESS:
    - "TCP|*|*|$<10.0.0.0/8>|*  $U$C$0|again"
    - "*|again                  $D$N300|$0$ $:A$Y"
    - "*                        $|INTERNAL_IP;$0|"
    - "*                        $Etext$\twith\\ttab$$"
  INTERNAL_IP:
    entries:
      - "127.0.0.1 $Yloop"
      - "* $N"
  EMPTY:
  CIRCLE: "* $R$0"
"""
# ^ marks, in the line below it, the column of the mistake.
BAD = """
mappings:
  GOOD: ["a $Y"]
  ONE:
    - "a $Y"
#     ^ template is missing
    - lonely
    - "b $Y"
#     ^ bits behind the first 8
    - '$<10.1.0.0/8> $Y'
#     ^ there is no table "GONE"
    - "* $|GONE;$0|$|GOOD;x|"
#       ^ no such form
  TWO: ["$Q* $Y", "x $Y",
#     ^ built
      "y $]ldap://x[" ]
# ^ name of a table
  "a b": ["x $Y"]
"""


def check_places(site):
    lines, expected = site.config.read_text().splitlines(), []
    for line in BAD.splitlines():
        mark = re.match(r"#\s*\^", line)
        if mark:
            expected.append([len(lines) + 1, mark.end(), line[mark.end():].strip()])
        else:
            lines.append(line)
    bad = site.folder / "bad.yaml"
    bad.write_text("\n".join(lines) + "\n")
    done = site.run("config", "check", "-c", bad, check=False)
    reports = done.stderr.splitlines()
    if done.returncode != EX_CONFIG or len(reports) != len(expected):
        raise RuntimeError(f"exit {done.returncode}: {done.stderr}")
    for (line, column, words), report in zip(expected, reports):
        if f"bad.yaml:{line}:{column}: error: " not in report or words not in report:
            raise RuntimeError(f"{line}:{column} {words}: {report}")


def rows(site, *words):
    done = site.command("mapping", "test", *words, "-o", "json")
    expect(done, EX_OK)
    parsed = [json.loads(line) for line in done.stdout.splitlines()]
    return [(r["table"], int(r["entry"]), r["flags"], r["output"], r["next"]) for r in parsed[:-1]], parsed[-1]


def check_probes(site):
    steps, result = rows(site, "PORT_ACCESS", "TCP|192.0.2.1|25|10.1.1.1|9", "--flags", "A,T")
    if [s[:3] + s[4:] for s in steps] != [("PORT_ACCESS", 1, "U", "continue"), ("PORT_ACCESS", 2, "DNY", "end")]:
        raise RuntimeError(steps)
    if result != {"matched": "yes", "flags": "DNUY", "output": "300|192.0.2.1 "}:
        raise RuntimeError(result)
    steps, result = rows(site, "PORT_ACCESS", "127.0.0.1")
    if result["output"] != "loop" or [s[0] for s in steps] != ["INTERNAL_IP", "PORT_ACCESS"]:
        raise RuntimeError((steps, result))
    steps, result = rows(site, "PORT_ACCESS", "10.9.9.9")
    if [s[4] for s in steps] != ["end", "failed", "end"] or result["output"] != "text\twith\\ttab$":
        raise RuntimeError((steps, result))
    if rows(site, "EMPTY", "x") != ([], {"matched": "no", "flags": "", "output": ""}):
        raise RuntimeError("the empty table")
    if rows(site, "INTERNAL_IP", "")[1]["flags"] != "N":
        raise RuntimeError("the empty probe")


def check_text(site):
    done = site.command("mapping", "test", "INTERNAL_IP", "127.0.0.1")
    expect(done, EX_OK, r"table=INTERNAL_IP  entry=1  pattern=127\.0\.0\.1  flags=Y  output=loop  next=end")
    expect(done, EX_OK, r"matched=yes  flags=Y  output=loop")


def check_refusals(site):
    expect(site.command("mapping", "test", "port_access", "x"), EX_NOINPUT, "port_access")
    expect(site.command("mapping", "test", "CIRCLE", "x"), EX_DATAERR, "limit")
    expect(site.command("mapping", "test", "EMPTY", "x" * 2049), EX_DATAERR, "limit")
    for words in ((), ("EMPTY",), ("EMPTY", "x", "y"), ("EMPTY", "x", "--flags", "A1"), ("EMPTY", "x", "--flag"), ("EMPTY", "x", "--no")):
        expect(site.command("mapping", "test", *words), EX_USAGE)
    expect(site.run("mapping", "test", "EMPTY", "x", "-c", site.folder / "bad.yaml", check=False), EX_CONFIG, "template is missing")


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="mapping-") as work:
        site = Site(pathlib.Path(work) / "site", binary).init()
        tap.run("every wrong entry is told at its place", check_places, site)
        with open(site.config, "a") as config:
            config.write(GOOD)
        tap.run("probes", check_probes, site)
        tap.run("probes for people", check_text, site)
        tap.run("refusals", check_refusals, site)
    return tap.end()


sys.exit(main())
