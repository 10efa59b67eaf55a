#!/usr/bin/env python3
"""Structure tests: layers, owners of third-party libraries, banned functions, companions of a module. TAP output.

The layer table is read from src/README.md ("| L | module | may use | ..."), and must be the one the build uses.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
OWNERS = {  # header -> modules that may include it (architecture: a third-party library has one owner)
    "uv.h": {"loop", "net"},
    "lmdb.h": {"db"},
    "mbedtls/": {"crypt", "net"},
    "psa/": {"crypt", "net"},
    "crypt.h": {"crypt"},
    "openssl/": {"crypt"},
    "jansson.h": {"auth"},
    "yaml.h": {"conf"},
    "ldns/": {"dns"},
    "xxhash.h": {"base"},
    "utf8proc.h": {"base"},
    "idn2.h": {"base"},
}
BANNED = ["strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "atol", "getaddrinfo", "gets", "alloca"]
HEAP = ["malloc", "calloc", "realloc", "free", "strdup", "strndup"]
FUNCTION_LINES_MAX = 90


def layer_table():
    table = {}
    for line in (ROOT / "src/README.md").read_text().splitlines():
        m = re.match(r"\|\s*(\d+)\s*\|\s*([^|]+?)\s*\|\s*([^|]*?)\s*\|", line)
        if m:
            row = set() if m[3] in ("–", "-", "") else set(m[3].split())
            for module in re.split(r"\s*·\s*", m[2]):
                table[module] = (int(m[1]), row)
    return table


def build_table():
    text = re.search(r"^rows = \{(.*?)^\}", (ROOT / "src/meson.build").read_text(), re.M | re.S)[1]
    return {m[1]: set(re.findall(r"'(\w+)'", m[2])) for m in re.finditer(r"^  '(\w+)': \[([^\]]*)\]", text, re.M)}


def code(path):
    """The file without comments and the insides of strings."""
    text = path.read_text(errors="replace")
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def sources():
    for folder in sorted((ROOT / "src").iterdir()):
        if folder.is_dir():
            for path in sorted(folder.rglob("*.[ch]")):
                yield folder.name, path


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(errors="replace"), re.M)


def header_module(name):
    parts = name[len("ms/"):].split("/")
    stem = parts[0] if len(parts) > 1 else parts[0].rsplit(".", 1)[0]
    return "obs" if stem in ("obs_events", "obs_counters", "obs_families") else stem


def check_layers(table):
    problems = []
    for module, path in sources():
        if module == "app":
            continue
        if module not in table:
            problems.append(f"{module}: not in the layer table")
            continue
        for name in includes(path):
            if name.startswith("ms/"):
                used = header_module(name)
                if used != module and used not in table[module][1]:
                    problems.append(f"{path.relative_to(ROOT)} includes {name}: {used} is not in the row of {module}")
    for path in sorted((ROOT / "include/ms").rglob("*.h")):
        module = header_module(str(path.relative_to(ROOT / "include")))
        if module not in table:
            problems.append(f"{path.relative_to(ROOT)}: module {module} not in the layer table")
            continue
        for name in includes(path):
            if name.startswith("ms/"):
                used = header_module(name)
                if used != module and used not in table[module][1]:
                    problems.append(f"{path.relative_to(ROOT)} includes {name}")
    return problems


def check_acyclic(table):
    return [f"{module} (layer {layer}) may use {used} (layer {table[used][0]})"
            for module, (layer, row) in table.items() for used in row
            if used in table and table[used][0] >= layer]


def check_build(table):
    built = build_table()
    problems = [f"{m}: the build links {sorted(built[m])}, the table says {sorted(table[m][1])}"
                for m in built if m in table and built[m] != table[m][1]]
    problems += [f"{m}: in the build, not in the table" for m in built if m not in table]
    problems += [f"src/{p.name}: a module folder that the build does not know" for p in (ROOT / "src").iterdir()
                 if p.is_dir() and p.name not in built and p.name != "app"]
    return problems


def check_owners():
    problems = []
    for module, path in sources():
        for name in includes(path):
            for header, owners in OWNERS.items():
                if (name.startswith(header) if header.endswith("/") else name == header) and module not in owners:
                    problems.append(f"{path.relative_to(ROOT)} includes {name}")
    return problems


def check_banned():
    problems = []
    for module, path in sources():
        names = BANNED + ([] if module == "base" else HEAP)
        pattern = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
        for number, line in enumerate(code(path).splitlines(), 1):
            m = pattern.search(line)
            if m:
                problems.append(f"{path.relative_to(ROOT)}:{number}: {m[1]}()")
    return problems


def check_companions():
    problems = []
    for folder in sorted((ROOT / "src").iterdir()):
        if not folder.is_dir():
            continue
        readme = folder / "README.md"
        if not readme.exists():
            problems.append(f"src/{folder.name}: no README.md")
        elif len(readme.read_text().splitlines()) > 40:
            problems.append(f"src/{folder.name}/README.md: more than 40 lines")
        if folder.name != "app" and not list((ROOT / "test/unit" / folder.name).glob("test_*.c")):
            problems.append(f"src/{folder.name}: no unit tests")
    return problems


def check_shape():
    problems = []
    for module, path in sources():
        if path.suffix != ".c":
            continue
        start = name = None
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if re.match(r"^[A-Za-z_].*\)\s*$", line):
                name = line
            elif line.startswith("{"):
                start = number
            elif line.startswith("}") and start:
                if number - start > FUNCTION_LINES_MAX:
                    problems.append(f"{path.relative_to(ROOT)}:{start}: function of {number - start} lines: {name}")
                start = None
            if len(line) > 120:
                problems.append(f"{path.relative_to(ROOT)}:{number}: line of {len(line)} characters")
    return problems


def shown_options():
    """Names behind "effect:" in the tests: section.key, to the end of that comment."""
    names = set()
    for path in (ROOT / "test").rglob("*"):
        if not path.is_file() or path.suffix not in (".py", ".c", ".sh", ".script") or "arch" in path.parts:
            continue
        for m in re.finditer(r"effect:((?:[^*\n]|\*(?!/))*(?:\n \*(?!/)[^\n]*)*)", path.read_text(errors="replace")):
            names.update(word.rstrip(".").rsplit(".", 1)[-1] for word in re.findall(r"[\w.*]+", m[1]))
    return names


def check_option_rows():
    """Every row of an option table has help and, for numbers, a range; and a test that shows its effect names it."""
    shown = shown_options()
    problems = []
    for module, path in sources():
        text = re.sub(r"/\*.*?\*/", "", path.read_text(errors="replace"), flags=re.S)
        if not path.name.endswith("_conf.c"):
            continue
        for row in re.split(r"\{\s*\.key\s*=", text)[1:]:
            key = re.match(r'\s*"([^"]+)"', row)[1]
            row = row[:row.index(".help") + 5] if ".help" in row else row
            where = f"{path.relative_to(ROOT)}: {key}"
            if ".help" not in row:
                problems.append(f"{where}: no help")
            if re.search(r"CONF_(INT|SIZE|DURATION)\b", row) and (".min" not in row or ".max" not in row):
                problems.append(f"{where}: no range")
            if key not in shown:
                problems.append(f"{where}: no test says 'effect: ...{key}'")
    return problems


def main():
    table = layer_table()
    tests = [
        ("the layer table has no cycle", lambda: check_acyclic(table)),
        ("the build links the rows of the table", lambda: check_build(table)),
        ("includes keep to the layer table", lambda: check_layers(table)),
        ("third-party headers are included by their owner", check_owners),
        ("no banned function", check_banned),
        ("every module has a README and unit tests", check_companions),
        ("functions and lines keep their size", check_shape),
        ("every option row has help, range and a test of its effect", check_option_rows),
    ]
    print(f"1..{len(tests)}")
    bad = 0
    for number, (name, run) in enumerate(tests, 1):
        problems = run() if table else ["no layer table in src/README.md"]
        print(("not ok" if problems else "ok"), number, "-", name)
        for problem in problems:
            print("#", problem)
        bad += bool(problems)
    return 1 if bad else 0


sys.exit(main())
