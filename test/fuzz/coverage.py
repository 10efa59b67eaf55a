#!/usr/bin/env python3
"""Line coverage of each parser from its fuzz corpus alone; fails below 80 %.

usage: coverage.py [--tap] [--lines] [--keep FOLDER] SOURCE-ROOT [TARGET...]

Builds the replay binaries with clang's source coverage in a folder of its own, runs each over test/fuzz/corpus/<target>
and asks llvm-cov about the files below. --lines shows what was not reached; --keep reuses a build folder.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PERCENT_MIN = 80.0
PARSERS = {  # target -> what its input is read by
    "conf_yaml": ["src/conf/conf_yaml.c", "src/conf/conf_apply.c", "src/conf/conf_value.c", "src/conf/conf_unit.c"],
    "mime": ["src/mime/mime_address_parse.c", "src/mime/mime_content_parse.c", "src/mime/mime_date_parse.c",
             "src/mime/mime_header_parse.c", "src/mime/mime_parser.c", "src/mime/mime_tree.c", "src/mime/mime_param.c",
             "src/mime/mime_words.c"],
    "mime_cache": ["src/mime/mime_cache_parse.c"],
    "smtp": ["src/smtp/smtp_cmd_parse.c", "src/smtp/smtp_data_parse.c", "src/smtp/smtp_eol.c", "src/smtp/smtp_line.c",
             "src/smtp/smtp_param_parse.c", "src/smtp/smtp_path_parse.c"],
    "httpd": ["src/httpd/httpd_parse.c"],
    "imap": ["src/imap/imap_cmd_parse.c", "src/imap/imap_date_parse.c", "src/imap/imap_feed.c",
             "src/imap/imap_fetch_parse.c", "src/imap/imap_list_parse.c", "src/imap/imap_parse.c",
             "src/imap/imap_search_parse.c", "src/imap/imap_seqset.c"],
    "journal": ["src/journal/journal_head.c", "src/journal/journal_scan.c"],
    "part_record": ["src/partition/part_source.c"],
    "part_row": ["src/partition/part_blobrow.c"],
    "store_row": ["src/store/store_op_parse.c", "src/store/store_rows.c"],
    "queue_row": ["src/queue/queue_op_parse.c", "src/queue/queue_rows.c"],
    "mbox": ["src/app/mbx_bytes.c", "src/app/mbx_lines.c", "src/app/mbx_mbox.c"],
    "uidlist": ["src/app/mbx_maildir_name.c", "src/app/mbx_uidlist.c"],
    "simulate_load": ["src/app/simulate_load.c"],
    "account_row": ["src/account/account_list.c", "src/account/account_row.c"],
    "account_name": ["src/account/account_name.c", "src/base/unicode.c"],
}


def run(args, **kw):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace")[-4000:])
        raise SystemExit(f"{args[0]}: exit status {done.returncode}")


def build(root, folder, targets):
    env = dict(os.environ, CC="clang")
    if not (folder / "build.ninja").exists():
        run(["meson", "setup", str(folder), str(root), "--buildtype=debug", "-Dfuzzers=false",
             "-Dc_args=-fprofile-instr-generate -fcoverage-mapping", "-Dc_link_args=-fprofile-instr-generate"], env=env)
    run(["ninja", "-C", str(folder)] + [f"test/fuzz/replay_{t}" for t in targets], env=env)


def emitters(path):
    """Line numbers of the functions that write (x_emit): they share a file with their reader, but are not it."""
    inside, lines = False, set()
    for number, text in enumerate(path.read_text().splitlines(), 1):
        inside = inside or re.match(r"\w.*_emit\(", text) is not None
        if inside:
            lines.add(number)
        inside = inside and not re.match(r"}|\w.*;$", text)
    return lines


def coverage(root, folder, target, show_missed):
    """-> [(file, lines, lines covered)]"""
    exe = folder / "test/fuzz" / f"replay_{target}"
    raw, merged = folder / f"{target}.profraw", folder / f"{target}.profdata"
    run([str(exe), "--whole", str(root / "test/fuzz/corpus" / target)], env=dict(os.environ, LLVM_PROFILE_FILE=str(raw)))
    run(["llvm-profdata", "merge", "-sparse", str(raw), "-o", str(merged)])
    out = subprocess.run(["llvm-cov", "show", f"-instr-profile={merged}", str(exe)], stdout=subprocess.PIPE, check=True,
                         text=True).stdout
    rows, current = {name: [0, 0] for name in PARSERS[target]}, None
    for line in out.splitlines():
        parts = line.split("|", 2)
        if line.startswith("/"):
            current = next((f for f in rows if line == f"{root / f}:"), None)
            skip = emitters(root / current) if current else None
        elif current and len(parts) == 3 and parts[1].strip() and int(parts[0]) not in skip:
            hit = parts[1].strip() != "0"
            rows[current][0] += 1
            rows[current][1] += hit
            if show_missed and not hit:
                print(f"{current}:{parts[0].strip()}: {parts[2]}")
    return [(name, *row) for name, row in rows.items()]


def report(number, target, rows, tap):
    lines, covered = sum(r[1] for r in rows), sum(r[2] for r in rows)
    percent = 100.0 * covered / lines if lines else 0.0
    good = percent >= PERCENT_MIN and all(r[1] for r in rows)
    print(f"{'ok' if good else 'not ok'} {number} - {target}: {percent:.1f} % of {lines} lines" if tap else
          f"{target:12} {percent:5.1f} % of {lines} lines{'' if good else '   BELOW ' + str(PERCENT_MIN)}")
    for name, count, hit in rows:
        print(f"{'# ' if tap else '    '}{100.0 * hit / count if count else 0:5.1f} %  {hit:4}/{count:<4}  {name}")
    return good


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--tap", action="store_true")
    args.add_argument("--lines", action="store_true")
    args.add_argument("--keep", type=pathlib.Path)
    args.add_argument("root", type=pathlib.Path)
    args.add_argument("targets", nargs="*")
    args = args.parse_args()
    root = args.root.resolve()
    targets = args.targets or [t for t in PARSERS if (root / "test/fuzz" / f"fuzz_{t}.c").exists()]
    good = True
    with tempfile.TemporaryDirectory() as temp:
        folder = args.keep or pathlib.Path(temp)
        build(root, folder, targets)
        if args.tap:
            print(f"1..{len(targets)}")
        for number, target in enumerate(targets, 1):
            good = report(number, target, coverage(root, folder, target, args.lines), args.tap) and good
    return 0 if good else 1


sys.exit(main())
