"""What the chart has for Prometheus and Grafana, against what a running neapd exports: every metric and label that the alert
rules and the dashboard name is there, and a real Prometheus evaluates every query. When the alerts fire is in rules_test.yaml.
"""
import json
import os
import re
import subprocess
import urllib.parse

import pytest
import stack as neap_stack
import yaml
from stack import fetch, free_port, program, wait_for

from render import CHART, ROOT

RULES = os.path.join(CHART, "files", "rules.yaml")
DASHBOARD = os.path.join(CHART, "files", "dashboard.json")
VARIABLES = {"namespace": "shop", "autoscaler": "web", "__rate_interval": "1m", "datasource": "any"}


def alerts():
    with open(RULES, encoding="utf-8") as f:
        return [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]


def dashboard():
    with open(DASHBOARD, encoding="utf-8") as f:
        return json.load(f)


def panels():
    return [p for p in dashboard()["panels"] if p["type"] != "row"]


def filled(text):
    """Grafana's variables, as it fills them in; one that is not defined is an error."""
    return re.sub(r"\$\{?(\w+)\}?", lambda m: VARIABLES[m[1]], text)


def queries():
    """[(where, PromQL)] of all."""
    out = [(rule["alert"], rule["expr"]) for rule in alerts()]
    return out + [(p["title"], filled(t["expr"])) for p in panels() for t in p["targets"]]


def selectors(expr):
    """[(metric, labels of its matchers)]"""
    return [(name, re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers or ""))
            for name, matchers in re.findall(r"\b((?:neap|process)_\w+)\s*(\{[^}]*\})?", expr)]


def grouping(expr):
    return {label.strip() for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr) for label in labels.split(",")}


OBJECTS = """apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: %s, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  minReplicas: 1
  maxReplicas: 20
  period: 1s
  triggers:
  - {type: stub, metadata: {key: %s, target: "10", value: "50"}}
"""
WORLD = """seed: 1
namespaces: [shop, neap]
deployments:
- {name: web, namespace: shop, replicas: 4, requests: {cpu: 500m}}
- {name: lying, namespace: shop, replicas: 4, requests: {cpu: 500m}}
"""
SHARDS = 4


@pytest.fixture(scope="module")
def prometheus():
    """A Prometheus with the rules that scrapes two neapd which share the targets by Leases and have met success, a failing
    scaler and a failing API server."""
    with neap_stack.Stack(os.environ["NEAP_BIN"]) as stack:
        objects = stack.path("objects.yaml", "---\n".join(OBJECTS % (n, n, n) for n in ("web", "lying")))
        stack.start_playground(stack.path("world.yaml", WORLD), [objects])
        stack.start_stub_scaler()
        stack.set_stub("fault", key="lying", kind="nan")  # not a number: against the contract
        leases = ["--leases=true", "--lease-namespace", "neap", "--shards", str(SHARDS), "--lease-duration", "2s",
                  "--lease-renew-deadline", "1400ms", "--lease-retry-period", "400ms"]
        replicas = [stack.start_neapd(*leases, "--identity", name, "--journal-dir", stack.path("journal-" + name), name=name) for name in ("a", "b")]

        def shared():
            held = [stack.neapd_metrics(child).get("neap_shards_held", 0) for child in replicas]
            return all(held) and sum(held) == SHARDS
        wait_for(shared, 30, "the two to share the shards")
        wait_for(lambda: stack.replicas("shop", "web") == 5, 30, "web to be scaled")
        wait_for(lambda: stack.condition("shop", "lying", "ScalingActive").get("status") == "False", 30, "lying to fail")
        stack.fault(fault="error", code=500, path="/apis/apps", method="PATCH", count=2)
        stack.set_stub("set", key="web", value=90)
        wait_for(lambda: stack.replicas("shop", "web") == 9, 30, "web to be scaled again")
        port = free_port()
        config = stack.path("prometheus.yml", yaml.safe_dump({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": [RULES],
            "scrape_configs": [{"job_name": "neap", "honor_labels": True,
                                "static_configs": [{"targets": [stack.neapd_address(child).split("://")[1] for child in replicas],
                                                    "labels": {"namespace": "neap"}}]}]}))  # as the operator labels what it scrapes
        child = stack.start("prometheus", [program("prometheus", "prometheus"), f"--config.file={config}",
                                           f"--storage.tsdb.path={stack.path('tsdb')}", f"--web.listen-address=127.0.0.1:{port}"])
        url = f"http://127.0.0.1:{port}"

        def ask(path, **query):
            status, text = fetch(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}")
            answer = json.loads(text)
            assert status == 200 and answer["status"] == "success", f"{query}: {text}"
            return answer["data"]

        def scraped():
            assert child.running(), child.log()
            return neap_stack.can_connect(port) and fetch(url + "/-/ready")[0] == 200 and \
                len(ask("query", query="count_over_time(neap_build_info[1m]) > 2")["result"]) == len(replicas)  # enough for a rate

        wait_for(scraped, 30, "Prometheus to have scraped neapd")
        yield ask


def test_every_metric_and_label_is_exported(prometheus):
    assert len(queries()) > 40
    for where, expr in queries():
        found = selectors(expr)
        assert found, f"{where}: {expr} names no metric of ours"
        for metric, labels in found:
            assert prometheus("query", query=metric)["result"], f"{where}: {metric} is not there"
            for label in labels:
                assert prometheus("query", query=f'{metric}{{{label}!=""}}')["result"], f"{where}: {metric} has no label {label}"
        for label in grouping(expr):
            assert any(prometheus("query", query=f'{metric}{{{label}!=""}}')["result"] for metric, _ in found), f"{where}: no {label} in {expr}"


def test_prometheus_evaluates_every_query(prometheus):
    for where, expr in queries():
        result = prometheus("query", query=expr)
        assert result["resultType"] == "vector", f"{where}: {expr}"
    # Of the dashboard each shows something for a neapd like this one.
    for panel in panels():
        shown = [prometheus("query", query=filled(t["expr"]).replace("[1m]", "[10m]"))["result"] for t in panel["targets"]]
        if panel["title"] not in ("From a reading to its write", "A write"):
            assert any(shown), f"{panel['title']}: nothing to show"


def series_of(prometheus, title):
    """[({label: value}, value)] of what a panel shows now."""
    panel = next(p for p in panels() if p["title"] == title)
    series = [s for t in panel["targets"] for s in prometheus("query", query=filled(t["expr"]).replace("[1m]", "[10m]"))["result"]]
    return [(s["metric"], float(s["value"][1])) for s in series]


def test_shards_and_histories_are_shown(prometheus):
    shards = series_of(prometheus, "Shards by replica")
    held = [count for labels, count in shards if "instance" in labels]
    assert len(held) == 2 and all(held) and sum(held) == SHARDS, shards
    assert [count for labels, count in shards if not labels] == [SHARDS], shards
    assert {(labels["operation"], labels["outcome"]) for labels, _ in series_of(prometheus, "Histories")} == \
        {(operation, outcome) for operation in ("load", "save") for outcome in ("ok", "error")}
    # The alert compares what the replicas hold with what there is, and finds nothing missing.
    undecided = next(rule["expr"] for rule in alerts() if rule["alert"] == "NeapShardsUndecided")
    left, right = undecided.split(" < ")
    assert [float(s["value"][1]) for side in (left, right) for s in prometheus("query", query=side)["result"]] == [SHARDS, SHARDS]
    assert prometheus("query", query=undecided)["result"] == []


def test_prometheus_evaluates_the_rules(prometheus):
    def evaluated():
        rules = [r for g in prometheus("rules")["groups"] for r in g["rules"]]
        return rules if rules and all(r["health"] != "unknown" for r in rules) else None
    rules = wait_for(evaluated, 30, "the rules to be evaluated")
    assert len(rules) == len(alerts())
    for rule in rules:
        assert rule["health"] == "ok" and not rule.get("lastError"), f"{rule['name']}: {rule.get('lastError')}"


def test_variables_of_the_dashboard(prometheus):
    data = dashboard()
    names = {v["name"] for v in data["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(data["panels"])))
    assert used <= names | {"__rate_interval"}, used
    for variable in data["templating"]["list"]:
        if variable["type"] != "query":
            continue
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        values = {s["metric"][label] for s in prometheus("query", query=filled(selector))["result"]}
        assert VARIABLES[variable["name"]] in values, variable["name"]


def test_panels_do_not_overlap_and_have_their_own_ids():
    taken, ids = set(), [p["id"] for p in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for p in dashboard()["panels"]:
        at = p["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, p["title"]
        taken |= cells


def test_texts_name_labels_that_the_query_keeps():
    """A label in a legend or annotation that an aggregation dropped would be shown as nothing."""
    def kept(expr, label):
        return label in grouping(expr) if re.search(r"\b(sum|max|min|avg|count)\b", expr) else any(label in labels_of(m) for m, _ in selectors(expr))

    def labels_of(metric):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as f:
            row = next(line for line in f if line.startswith(f"| `{metric}` |"))
        return {label.strip() for label in row.split("|")[3].split(",")}

    for rule in alerts():
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert kept(rule["expr"], label), f"{rule['alert']}: {label}"
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert kept(filled(target["expr"]), label), f"{panel['title']}: {label}"


def test_alerts_say_what_and_how_bad():
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert {"summary", "description"} == set(rule["annotations"]), rule["alert"]


@pytest.mark.parametrize("arguments", [("check", "rules", RULES), ("test", "rules", os.path.join(ROOT, "tests", "chart", "rules_test.yaml"))],
                         ids=lambda a: a[0])
def test_promtool(arguments):
    done = subprocess.run([program("promtool", "prometheus"), *arguments], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
