"""Prometheus text format 0.0.4, read strictly: an independent reader for the tests of /metrics."""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
SAMPLE = re.compile(rf"({NAME})(\{{.*\}})? (\S+)$")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)$|NaN$")
TYPES = {"counter", "gauge", "histogram"}


class Page:
    def __init__(self, text):
        self.types, self.help = {}, {}
        self.samples = {}  # (name, ((label, value), ...)) -> number
        self.family = None
        self.done = set()
        if not text.endswith("\n"):
            raise ValueError("the last line has no end")
        for line in text.split("\n")[:-1]:
            self.line(line)
        for name, kind in self.types.items():
            if not any(self.of(key[0]) == name for key in self.samples):
                raise ValueError(f"{name}: no sample")
            if kind == "histogram":
                self.check_histogram(name)

    def of(self, name):
        """The family a sample belongs to."""
        for suffix in ("_bucket", "_sum", "_count"):
            if name.endswith(suffix) and self.types.get(name[:-len(suffix)]) == "histogram":
                return name[:-len(suffix)]
        return name

    def line(self, line):
        if line.startswith("# HELP "):
            name, _, text = line[7:].partition(" ")
            if not re.fullmatch(NAME, name) or name in self.help or not text:
                raise ValueError(f"HELP: {line}")
            self.help[name] = text
            self.begin(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name in self.types or kind not in TYPES or name not in self.help or self.family != name:
                raise ValueError(f"TYPE: {line}")
            self.types[name] = kind
            if (kind == "counter") != name.endswith("_total"):
                raise ValueError(f"a counter ends with _total, nothing else does: {line}")
        else:
            self.sample(line)

    def begin(self, name):
        if self.family:
            self.done.add(self.family)
        if name in self.done:
            raise ValueError(f"{name}: its lines are not together")
        self.family = name

    def sample(self, line):
        m = SAMPLE.match(line)
        if not m or not NUMBER.match(m[3]):
            raise ValueError(f"no sample: {line!r}")
        if self.family not in self.types or self.of(m[1]) != self.family:
            raise ValueError(f"not behind its TYPE: {line}")
        labels = ()
        if m[2]:
            parts, at = [], 1
            while at < len(m[2]) - 1:
                one = LABEL.match(m[2], at)
                if not one:
                    raise ValueError(f"label: {line!r}")
                value = re.sub(r'\\(.)', lambda e: "\n" if e[1] == "n" else e[1], one[2])
                parts.append((one[1], value))
                at = one.end()
                if m[2][at] not in ",}":
                    raise ValueError(f"label: {line!r}")
                at += m[2][at] == ","
            labels = tuple(parts)
            if len({name for name, _ in labels}) != len(labels):
                raise ValueError(f"a label twice: {line}")
        key = (m[1], tuple(sorted(labels)))
        if key in self.samples:
            raise ValueError(f"twice: {line}")
        value = float(m[3].replace("Inf", "inf"))
        if self.types[self.family] != "gauge" and (value < 0 or math.isnan(value)):
            raise ValueError(f"less than nothing: {line}")
        self.samples[key] = value

    def check_histogram(self, name):
        series = {}
        for (sample, labels), value in self.samples.items():
            if sample == name + "_bucket":
                rest = tuple(pair for pair in labels if pair[0] != "le")
                series.setdefault(rest, []).append((float(dict(labels)["le"].replace("Inf", "inf")), value))
        for rest, buckets in series.items():
            if buckets != sorted(buckets) or [b[1] for b in buckets] != sorted(b[1] for b in buckets):
                raise ValueError(f"{name}{rest}: buckets are not cumulative: {buckets}")
            if buckets[-1][0] != math.inf or buckets[-1][1] != self.samples[(name + "_count", rest)]:
                raise ValueError(f"{name}{rest}: +Inf is not the count")
            if (name + "_sum", rest) not in self.samples:
                raise ValueError(f"{name}{rest}: no sum")

    def get(self, name, **labels):
        """The value of one series; None when it is not there."""
        return self.samples.get(("mailserverd_" + name, tuple(sorted(labels.items()))))

    def total(self, name, **labels):
        """The sum over all series with at least these labels."""
        want = set(labels.items())
        return sum(value for (sample, have), value in self.samples.items()
                   if sample == "mailserverd_" + name and want <= set(have))


def must_fail(text):
    try:
        Page(text)
    except ValueError:
        return
    raise RuntimeError(f"the reader takes {text!r}")


def self_check():
    """What a reader that takes everything would let through."""
    head = "# HELP a_total x\n# TYPE a_total counter\n"
    hist = "# HELP h x\n# TYPE h histogram\n"
    assert Page(head + 'a_total{l="\\"\\\\\\n",m=""} 1e3\n').samples == {("a_total", (("l", '"\\\n'), ("m", ""))): 1000.0}
    Page(hist + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n')
    for bad in ("a_total 1\n" + head, head, head + "a_total 1\na_total 1\n", head + "a_total -1\n", head + "a_total 1",
                head + 'a_total{l="x} 1\n', head + 'a_total{l="\\x"} 1\n', head + "a_total one\n", head + "b_total 1\n",
                "# TYPE a_total counter\na_total 1\n", "# HELP a x\n# TYPE a counter\na 1\n",
                hist + 'h_bucket{le="1"} 3\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n',
                hist + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 3\n',
                hist + 'h_bucket{le="1"} 1\nh_sum 3\nh_count 1\n',
                head + "a_total 1\n# HELP b x\n# TYPE b gauge\nb 1\na_total{l=\"2\"} 1\n"):
        must_fail(bad)
