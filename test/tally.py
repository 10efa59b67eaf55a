#!/usr/bin/env python3
"""Adds up the result files of `meson test` (JUnit form) and prints the closing line of ./check.

usage: tally.py FOLDER FAILED_STEPS
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ET


def cases(path):
    """The form knows no control characters, but what a test printed may have some."""
    return ET.fromstring(re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"?", path.read_bytes())).iter("testcase")


def main():
    folder, failed_steps = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    passed = failed = skipped = 0
    for path in sorted(folder.glob("*.xml")):
        for case in cases(path):
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {path.stem}: {case.get('classname')} {case.get('name')}")
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
    steps = folder / "failed-steps"
    if failed == 0 and failed_steps:  # a build that broke has no test cases to count
        failed = failed_steps
        print("failed: " + steps.read_text().strip().replace("\n", ", "))
    if passed == 0 and failed == 0:
        print("no test was run")
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


sys.exit(main())
