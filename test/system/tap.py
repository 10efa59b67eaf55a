"""Small TAP writer for the system tests."""
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


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
