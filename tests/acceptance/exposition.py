"""Prometheus' text form, read strictly: what a scraper would only shrug at is an error.

    metrics = parse(text)
    metrics["leasehold_leases"].value()
    metrics["leasehold_contexts"].value(state="open")
"""

import math
import re

from harness import Failed, equal, expect

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
UNITS = ("_seconds", "_bytes", "_total", "_info", "_size")

# As `promtool check metrics` has them.
BASE_UNITS = ("amperes", "bytes", "celsius", "grams", "joules", "kelvin", "kelvins", "meters",
              "metres", "moles", "seconds", "volts")
OTHER_UNITS = ("minutes", "hours", "days", "weeks", "kelvin", "fahrenheit", "rankine", "inches",
               "yards", "miles", "bits", "calories", "pounds", "ounces")
PREFIXES = ("pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi",
            "mega", "mibi", "mebi", "giga", "gibi", "tera", "tebi", "peta", "pebi")
ABBREVIATIONS = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "kib", "mib",
                 "gib", "m", "h", "d")
KINDS = ("counter", "gauge", "histogram", "summary", "untyped")

# Series of one metric, without its buckets. A hundred tenants and the rest have a few of
# each; what had one for each instance or peer would soon have more.
SERIES_MAX = 2_000
LABEL_BYTES_MAX = 128


class Metric:
    def __init__(self, name, text):
        self.name, self.help, self.kind = name, text, None
        self.samples = {}  # By (suffix, labels).

    def matching(self, suffix="", **labels):
        """Those samples that have these labels, perhaps among others."""
        wanted = set(labels.items())
        return {key[1]: value for key, value in self.samples.items()
                if key[0] == suffix and wanted <= key[1]}

    def value(self, suffix="", **labels):
        """The sum of them; 0 if there are none."""
        return sum(self.matching(suffix, **labels).values())

    def values(self, label, suffix=""):
        """What that label says."""
        return {dict(key[1])[label] for key in self.samples if key[0] == suffix}

    @property
    def labels(self):
        return {name for _, labels in self.samples for name, _ in labels} - {"le"}


def _labels(text):
    labels, at = [], 0
    while at < len(text):
        found = LABEL.match(text, at)
        expect(found, f"labels {text!r} from {at} on")
        value = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], found[2])
        labels.append((found[1], value))
        at = found.end()
        expect(at == len(text) or text[at] == ",", f"labels {text!r} at {at}")
        at += 1
    expect(len({name for name, _ in labels}) == len(labels), f"a label is twice in {text!r}")
    return frozenset(labels)


def _number(text):
    if text in ("+Inf", "Nan", "NaN"):
        return math.inf if text == "+Inf" else math.nan
    expect(re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text), f"number {text!r}")
    return float(text)


def _check_histogram(metric):
    groups = {}
    for (suffix, labels), value in metric.samples.items():
        own = frozenset(pair for pair in labels if pair[0] != "le")
        group = groups.setdefault(own, {"buckets": {}})
        if suffix == "_bucket":
            group["buckets"][_number(dict(labels)["le"])] = value
        else:
            group[suffix] = value
    for labels, group in groups.items():
        where = f"{metric.name}{dict(labels)}"
        buckets = sorted(group["buckets"].items())
        equal(buckets[-1][0], math.inf, f"last bucket of {where}")
        counts = [count for _, count in buckets]
        equal(counts, sorted(counts), f"buckets of {where}")
        equal(counts[-1], group["_count"], f"count of {where}")
        expect(group["_sum"] >= 0, f"sum of {where}")


def parse(text):
    """By name. HELP and TYPE come first, once, and all samples of a metric together."""
    expect(text.endswith("\n"), "the last line has no end")
    metrics, present = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            expect(name not in metrics, f"{name} comes twice")
            expect(re.fullmatch(NAME, name) and help_text.strip(), line)
            present = metrics[name] = Metric(name, help_text)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            expect(present and name == present.name and present.kind is None, line)
            expect(kind in ("counter", "gauge", "histogram"), line)
            present.kind = kind
        else:
            found = SAMPLE.fullmatch(line)
            expect(found and present, f"line {line!r}")
            expect(found[1].startswith(present.name), f"{line!r} within {present.name}")
            suffix = found[1].removeprefix(present.name)
            expect(suffix in (("_bucket", "_sum", "_count")
                              if present.kind == "histogram" else ("",)), line)
            key = (suffix, _labels(found[2] or ""))
            expect(key not in present.samples, f"twice: {line}")
            present.samples[key] = _number(found[3])
            expect(not math.isnan(present.samples[key]), line)
            if present.kind != "gauge":
                expect(present.samples[key] >= 0, line)
    for metric in metrics.values():
        expect(metric.samples, f"{metric.name} has no sample")
        check_name(metric)
        for complaint in lint(metric):
            raise Failed(complaint)
        if metric.kind == "histogram":
            _check_histogram(metric)
    return metrics


def check_name(metric):
    """As Prometheus wants names: a unit at the end, and `_total` of counters alone."""
    equal(metric.name.endswith("_total"), metric.kind == "counter",
          f"_total of {metric.name}")
    expect(re.fullmatch(r"(leasehold|process)_[a-z0-9_]+", metric.name), metric.name)
    for wrong in ("_ms", "_milliseconds", "_kb", "_mib", "_count", "_sum", "_bucket"):
        expect(not metric.name.endswith(wrong), metric.name)
    if metric.kind == "histogram":
        expect(metric.name.endswith(UNITS), f"{metric.name} has no unit")
    expect("instance_id" not in metric.labels, f"an instance ID is a label of {metric.name}")


def lint(metric):
    """What `promtool check metrics` would say of it, and of labels without a bound."""
    name, words = metric.name, metric.name.split("_")
    if not metric.help.strip():
        yield f"{name} has no help"
    if not metric.help.strip().endswith("."):
        yield f"the help of {name} is no sentence: {metric.help!r}"
    if metric.kind is None:
        yield f"{name} has no type"
    if (metric.kind == "counter") != name.endswith("_total"):
        yield f"{name}, a {metric.kind}: counters end in _total, and nothing else does"
    if metric.kind != "histogram":
        for suffix in ("_bucket", "_count", "_sum"):
            if name.endswith(suffix):
                yield f"{name} ends as a part of a histogram"
        if any("le" in dict(labels) for _, labels in metric.samples):
            yield f"{name} has the label le, which is a histogram's"
    if any("quantile" in dict(labels) for _, labels in metric.samples):
        yield f"{name} has the label quantile, which is a summary's"
    if ":" in name:
        yield f"{name} has a colon, which rules that record are for"
    for word in words:
        if word in KINDS:
            yield f"{name} names its type"
        if word in ABBREVIATIONS:
            yield f"{name} abbreviates a unit: {word}"
        if word in OTHER_UNITS or any(
                word == prefix + unit for prefix in PREFIXES
                for unit in (*BASE_UNITS, *OTHER_UNITS)):
            yield f"{name}: {word} is not a base unit"
    snake = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    for wrong in [each for each in (name, *metric.labels) if not snake.fullmatch(each)]:
        yield f"{wrong} of {name} is not in snake_case"
    series = {labels for suffix, labels in metric.samples if suffix != "_bucket"}
    if len(series) > SERIES_MAX:
        yield f"{name} has {len(series)} series"
    for labels in series:
        for label, value in labels:
            if len(value.encode()) > LABEL_BYTES_MAX:
                yield f"{label} of {name} has {len(value.encode())} bytes"
    names = {frozenset(dict(labels)) - {"le"} for _, labels in metric.samples}
    if len(names) > 1:
        yield f"the series of {name} have different labels: {names}"


def names_in(expression):
    """The metrics that a query names, and what it asks of their labels."""
    found = []
    for match in re.finditer(r"\b((?:leasehold|process)_[a-z0-9_]+)(?:\{([^}]*)\})?", expression):
        matchers = re.findall(r'([a-z_]+)\s*(=~|!=|!~|=)\s*"([^"]*)"', match[2] or "")
        found.append((match[1], matchers))
    return found


def metric_of(name, metrics):
    """That a series of this name belongs to."""
    if name in metrics:
        return metrics[name]
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and base in metrics and metrics[base].kind == "histogram":
            return metrics[base]
    raise Failed(f"no scrape has {name}")
