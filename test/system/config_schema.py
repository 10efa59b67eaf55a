#!/usr/bin/env python3
"""`config schema`: the sample and the file of `init` are good by it, unknown keys and wrong words are not. The checker is our own and knows
the keywords that the schema uses; any other keyword is a mistake.

usage: config_schema.py BINARY
"""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from msite import running  # noqa: E402
from tap import Tap  # noqa: E402

ANNOTATIONS = {"$schema", "title", "description", "default", "x-reload"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name in ("integer", "number"):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def mistakes(schema, value, path=""):
    """Of value by schema, as texts."""
    out = []
    for keyword, rule in schema.items():
        if keyword == "type":
            names = [rule] if isinstance(rule, str) else rule
            if not any(is_type(value, n) for n in names):
                out.append(f"{path}: not {names}")
        elif keyword == "enum":
            if value not in rule:
                out.append(f"{path}: {value!r} is not one of {rule}")
        elif keyword == "pattern":
            if isinstance(value, str) and not re.search(rule, value):
                out.append(f"{path}: {value!r} does not match {rule}")
        elif keyword == "properties":
            for name in set(rule) & set(value or ()) if isinstance(value, dict) else ():
                out += mistakes(rule[name], value[name], f"{path}.{name}")
        elif keyword == "additionalProperties":
            for name in set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else ():
                out += [f"{path}.{name}: unknown"] if rule is False else mistakes(rule, value[name], f"{path}.{name}")
        elif keyword == "required":
            out += [f"{path}.{name}: missing" for name in rule if isinstance(value, dict) and name not in value]
        elif keyword == "items":
            for i, item in enumerate(value) if isinstance(value, list) else ():
                out += mistakes(rule, item, f"{path}[{i}]")
        elif keyword == "maxItems":
            if isinstance(value, list) and len(value) > rule:
                out.append(f"{path}: more than {rule} items")
        elif keyword == "allOf":
            for part in rule:
                out += mistakes(part, value, path)
        elif keyword in ("anyOf", "oneOf"):
            good = sum(not mistakes(part, value, path) for part in rule)
            if good == 0 or (keyword == "oneOf" and good > 1):
                out.append(f"{path}: {good} of {keyword}")
        elif keyword not in ANNOTATIONS:
            out.append(f"{path}: keyword {keyword} is not known to this checker")
    return out


def scalar(text):
    if text[:1] in "\"'" and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else {"true": True, "false": False}.get(text, text)


def split(text):
    """Of the inside of a flow list or mapping, at commas."""
    return [part.strip() for part in re.findall(r"(?:[^,\[\"']|\[[^\]]*\]|\"[^\"]*\"|'[^']*')+", text) if part.strip()]


def value_of(text):
    if text.startswith("[") and text.endswith("]"):
        return [scalar(part) for part in split(text[1:-1])]
    return scalar(text)


def tree_of(text):
    """The block mappings that `init` and `config sample` write; no more of YAML than that."""
    root = {}
    stack = [(-1, root)]
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        key, _, rest = line.strip().partition(":")
        while stack[-1][0] >= indent:
            stack.pop()
        if rest.strip():
            stack[-1][1][key] = value_of(rest.strip())
        else:
            stack[-1][1][key] = {}
            stack.append((indent, stack[-1][1][key]))
    return root


def schema_of(binary):
    return json.loads(subprocess.run([binary, "config", "schema"], stdout=subprocess.PIPE, check=True).stdout)


def good_files(binary):
    schema = schema_of(binary)
    sample = tree_of(subprocess.run([binary, "config", "sample"], stdout=subprocess.PIPE, check=True, text=True).stdout)
    if len(sample) < 10:
        raise RuntimeError("the sample was not read")
    with running(binary, start=False) as site:
        for name, tree in (("sample", sample), ("init", tree_of(site.config.read_text()))):
            found = mistakes(schema, tree)
            if found:
                raise RuntimeError(f"{name}: {found}")


BAD = [
    {"smtp": {"nonsense": 1}}, {"foo": {}}, {"dispatcher": {"services": {"x": {"protocol": "gopher"}}}}, {"log": {"level": "loud"}},
    {"smtp": {"message_size_max": "lots"}}, {"imap": {"idle_timeout": "soon"}}, {"channels": {"x": {"maxjobs": "many"}}},
    {"server": {"hostname": "h"}}, {"auth": {"allow_plaintext": "perhaps"}}, {"smtp": []},
    {"dispatcher": {"services": {"x": {"listen": ["a"] * 17}}}}, {"store": {"partitions": {"p": {"unknown": 1}}}},
]


def bad_trees(binary):
    schema = schema_of(binary)
    for tree in BAD:
        if not mistakes(schema, tree):
            raise RuntimeError(f"{tree} is good by the schema")


def main():
    tap = Tap()
    tap.run("the sample and a file of init are good", good_files, sys.argv[1])
    tap.run("unknown keys, wrong words and types are not", bad_trees, sys.argv[1])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
