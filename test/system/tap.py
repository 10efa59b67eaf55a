"""Small TAP writer for the system tests, and what they claim with."""
import re
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def need(condition, text):
    if not condition:
        raise RuntimeError(text)


def same(what, got, want):
    need(got == want, f"{what}: {str(got)[:1500]!r}, not {str(want)[:1500]!r}")


def expect(done, code, *patterns):
    """A command that has ended: its exit status, and what it printed."""
    text = done.stdout + done.stderr
    need(done.returncode == code, f"{done.args}: exit {done.returncode}, not {code}: {text[-2000:]}")
    for pattern in patterns:
        need(re.search(pattern, text), f"{done.args}: {pattern!r} is not in: {text[-2000:]}")
    return done


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def run(self, name, function, *args):
        self.count += 1
        try:
            detail = function(*args)
        except Skip as e:
            print(f"ok {self.count} - {name} # SKIP {e}")
        except Exception as e:
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print(f"# {e}")
        else:
            print(f"ok {self.count} - {name}" + (f": {detail}" if detail else ""))
        sys.stdout.flush()

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed or not self.count else 0
