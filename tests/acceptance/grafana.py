"""A56, continued: the Grafana board, the alert rules and the table of metrics ask for what a
scrape has.
"""

import json
import re

from exposition import metric_of, names_in
from harness import ROOT, check, equal, expect
from metrics import ECHO, encrypted, scrape, temporary
from policies import Guarded

GRAFANA = ROOT / "service/host/grafana"


def expressions_of_board():
    """(where, query) of all panels, also those in rows."""
    board = json.loads((GRAFANA / "leasehold.json").read_text(encoding="utf-8"))
    found = []

    def look(panels):
        for panel in panels:
            for target in panel.get("targets", ()):
                found.append((panel["title"], target["expr"]))
            look(panel.get("panels", ()))
    look(board["panels"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found.append((variable["name"], variable["definition"]))
    return board, found


def alerts():
    """{name: (query, the rest of its lines)} of the alert rules."""
    found, name = {}, None
    for line in (GRAFANA / "alerts.yml").read_text(encoding="utf-8").splitlines():
        entry = re.fullmatch(r"\s+- alert: (\w+)", line)
        if entry:
            name = entry[1]
            expect(name not in found, f"{name} comes twice")
            found[name] = ["", []]
        elif name and line.strip().startswith("expr: "):
            found[name][0] = line.strip().removeprefix("expr: ").strip("'")
        elif name:
            found[name][1].append(line.strip())
    return found


def check_query(where, expression, metrics):
    names = names_in(expression)
    expect(names, f"{where}: no metric in {expression!r}")
    equal(expression.count("("), expression.count(")"), f"{where}: parentheses")
    used = set()
    for name, matchers in names:
        metric = metric_of(name, metrics)
        used.add(metric.name)
        for label, operator, value in matchers:
            if label in ("job", "instance"):  # Prometheus adds these.
                continue
            expect(label in metric.labels, f"{where}: {name} has no label {label}")
            if operator == "=" and "$" not in value:
                expect(value in metric.values(label, "_count" if metric.kind == "histogram"
                                              else ""),
                       f"{where}: {label} of {name} is never {value!r}")
        if metric.kind == "counter":
            expect(re.search(rf"(rate|increase|resets)\((sum[^(]*\()?{name}", expression),
                   f"{where}: the counter {name} without rate()")
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in (part.strip() for part in labels.split(",")):
            known = set().union(*(metrics[name].labels for name in used)) | {
                "le", "job", "instance"}
            expect(label in known, f"{where}: by {label}, which {used} do not have")
    return used


def full_scrape():
    """Of a server on which something of everything has happened."""
    guarded = Guarded("--http-listen=127.0.0.1:0", f"--data={temporary()}",
                      "--overload-delay=50ms", prom="default: viewer",
                      use="acme: user, worker")
    guarded.policy["identities"]["prom"]["server_stats"] = True
    with encrypted() as (server, trust, _):
        secured = scrape(server, tls=trust)
    with guarded as server:
        use = server.as_("use")
        equal(use.code(ECHO, [("instance-id", "a")]), "OK")
        equal(use.code(ECHO, [("instance-id", "a"), ("instance-expect", "new")]),
              "ALREADY_EXISTS")
        equal(use.code("leasehold.v1.Orchestration/Start", name="Ping", instance_id="p"), "OK")
        equal(use.code("leasehold.v1.Orchestration/WaitForCompletion", instance_id="p"), "OK")
        token = f"Authorization: Bearer {server.tokens['prom']}"
        scrape(server.server, token)
        return secured | scrape(server.server, token)


@check("A56.10 each query of the Grafana board and of the alert rules asks for what a scrape has")
def _():
    metrics = full_scrape()
    board, queries = expressions_of_board()
    expect(len(queries) >= 20, f"{len(queries)} queries")
    used = set()
    for where, expression in queries:
        used |= check_query(where, expression, metrics)
    ids = [panel["id"] for panel in board["panels"]]
    equal(len(ids), len(set(ids)), "panels with the same id")
    for panel in board["panels"]:
        place = panel["gridPos"]
        expect(place["x"] + place["w"] <= 24, f"{panel['title']} is too far right")
        if panel["type"] != "row":
            expect(panel["description"], f"{panel['title']} says nothing of itself")
    rules = alerts()
    expect(len(rules) >= 8, f"alerts: {list(rules)}")
    for name, (expression, lines) in rules.items():
        used |= check_query(name, expression, metrics)
        for needed in ("for:", "severity:", "summary:", "description:"):
            expect(any(line.startswith(needed) for line in lines), f"{name} has no {needed}")
    for needed in ("leasehold_calls_total", "leasehold_lease_lateness_seconds",
                   "leasehold_commit_seconds", "leasehold_worker_slots",
                   "leasehold_dispatch_wait_seconds", "leasehold_store_bytes"):
        expect(needed in used, f"nothing shows {needed}")


@check("A56.11 the README's table has each metric of a scrape, with its labels, and no other")
def _():
    metrics = full_scrape()
    text = (ROOT / "service/host/grafana/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", text, re.M)
    table = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    equal(len(table), len(rows), "rows of one name")
    equal(sorted(table), sorted(metrics), "names")
    for name, metric in metrics.items():
        equal(table[name], (metric.kind, metric.labels), f"kind and labels of {name}")
