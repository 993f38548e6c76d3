#!/usr/bin/env python3
"""Neap and the upstream HPA controller on one control plane, side by side.

  tests/e2e/side_by_side.py [--minutes 30] [--pairs 10] [--objects 1000] [--save FILE] [--bin build/release/bin]

(a) decisions: what the HPA controller was given and did, from the API server's audit log and the metrics server's answers, is fed to
    Neap's decision code (neapctl conformance): count, status, conditions and events of every reconciliation must be the same.
(b) reaction: twin Deployments on the same External series, Neap at `period: 1s`, the HPA at its default of 15 s: the time from a change
    of the metric to the write of the scale, by the API server's clock.
(c) cost: API requests of each per target and minute; and, with --objects, CPU and memory for so many objects of each, both at 15 s.

Prints the tables. The exit code is 1 when a decision differs.
"""
import argparse
import collections
import concurrent.futures
import datetime
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cluster import HPA_USER, ROOT, Cluster, Stack, wait_for  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
NAMESPACE = "twins"
SYNC = 15.0  # the HPA's own period

# What the HPAs of (a) scale on; `TARGET` becomes the name. The first is what twins scale on.
SOURCES = {
    "external": {"type": "External", "external": {"metric": {"name": "load", "selector": {"matchLabels": {"of": "TARGET"}}},
                                                  "target": {"type": "AverageValue", "averageValue": "10"}}},
    "value": {"type": "External", "external": {"metric": {"name": "load", "selector": {"matchLabels": {"of": "TARGET"}}},
                                               "target": {"type": "Value", "value": "30"}}},
    "object": {"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "TARGET"},
                                            "target": {"type": "AverageValue", "averageValue": "10"}}},
    "pods": {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
    "resource": {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
}
BEHAVIORS = [
    {"scaleDown": {"stabilizationWindowSeconds": 0}},
    {},
    {"scaleDown": {"stabilizationWindowSeconds": 45, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]},
     "scaleUp": {"stabilizationWindowSeconds": 20, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}},
]


def of(source, name):
    return json.loads(json.dumps(source).replace("TARGET", name))


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Twins:
    """The workloads of one run, and what drives their metrics."""

    def __init__(self, cluster, pairs, seed):
        self.cluster, self.random = cluster, random.Random(seed)
        cluster.create(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}")
        wait_for(lambda: cluster.api.find(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"), 30, "the namespace's account")
        self.steps = []       # (wall time, series, from, to)
        self.asked = {}       # series -> replicas that it asks for now
        self.pairs = [f"pair{i}" for i in range(pairs)]
        self.watched = []     # names of HPAs whose decisions are compared
        self.varied = [f"{kind}{i}" for kind in SOURCES for i in range(len(BEHAVIORS))]
        for name in self.pairs + self.varied:
            self.step(name, 2)
        deployments = [f"{name}-{who}" for name in self.pairs for who in ("hpa", "neap")] + self.varied
        for name in deployments:
            self.deployment(name, 2)
        # Metrics have values from the first reconciliation on.
        wait_for(lambda: all(self.ready(name) == 2 for name in deployments), 60, "the pods to be ready")
        for name in self.pairs:
            metric = of(SOURCES["external"], name)
            self.hpa(name + "-hpa", metric, BEHAVIORS[0])
            cluster.api.post(f"/apis/neap.dev/v1alpha1/namespaces/{NAMESPACE}/autoscalers", {
                "apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": name + "-neap"},
                "spec": {"scaleTargetRef": self.target(name + "-neap"), "maxReplicas": 50, "period": "1s", "metrics": [metric],
                         "behavior": BEHAVIORS[0]}})
        for kind, source in SOURCES.items():
            for i, behavior in enumerate(BEHAVIORS):
                self.hpa(f"{kind}{i}", of(source, f"{kind}{i}"), behavior)

    def ready(self, name):
        return self.cluster.object(NAMESPACE, "Deployment", name)["status"].get("readyReplicas", 0)

    @staticmethod
    def target(name):
        return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}

    def deployment(self, name, replicas):
        self.cluster.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "none", "resources": {"requests": {"cpu": "100m"}}}]}}}})

    def hpa(self, name, metric, behavior):
        self.watched.append(name)
        self.cluster.api.post(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers", {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
            "spec": {"scaleTargetRef": self.target(name), "minReplicas": 1, "maxReplicas": 50, "metrics": [metric], "behavior": behavior}})

    def step(self, name, replicas):
        """From now on the series asks for so many replicas (where it is absolute)."""
        metrics = self.cluster.metrics
        before, self.asked[name] = self.asked.get(name), replicas
        metrics.set_object(NAMESPACE, "deployments.apps", name, "hits", str(replicas * 10))
        metrics.set_pods(NAMESPACE, name, "hits", f"{self.random.randint(5000, 15000)}m")
        metrics.set_usage(NAMESPACE, name, cpu=f"{self.random.randint(25, 75)}m")
        if before is not None:
            self.steps.append((time.time(), name, before, replicas))
        metrics.set_external(NAMESPACE, "load", str(replicas * 10), of=name)

    def drive(self, minutes, progress):
        """Each series steps once a minute at a time of its own, at least 60 s apart."""
        end = time.monotonic() + minutes * 60
        due = {name: time.monotonic() + 20 + self.random.uniform(0, 20) for name in self.pairs + self.varied}
        while time.monotonic() < end:
            name = min(due, key=due.get)
            time.sleep(max(0.0, min(due[name], end) - time.monotonic()))
            if due[name] > end - SYNC - 5:  # the HPA must have had its turn
                due[name] = float("inf")
                if min(due.values()) == float("inf"):
                    time.sleep(max(0.0, end - time.monotonic()))
                continue
            # Beyond the tolerance of 10 %.
            self.step(name, self.random.choice([n for n in range(2, 12) if abs(n / self.asked[name] - 1) > 0.15]))
            due[name] = time.monotonic() + 60 + self.random.uniform(0, SYNC)
            progress(f"{(end - time.monotonic()) / 60:.1f} minutes left, {len(self.steps)} steps")


# ---- (b)

def reactions(twins, audit):
    """{"hpa" and "neap": [seconds from a step to the write that follows it]}, and the steps that were never answered."""
    writes = collections.defaultdict(list)
    for e in audit:
        ref = e.get("objectRef", {})
        if ref.get("subresource") == "scale" and e["verb"] in ("patch", "update") and e["responseStatus"]["code"] == 200:
            writes[ref["name"]].append(seconds(e["stageTimestamp"]))
    found, missed = {"hpa": [], "neap": []}, []
    for name in twins.pairs:
        steps = [s for s in twins.steps if s[1] == name]
        for at, _, before, after in steps:
            later = [s[0] for s in steps if s[0] > at]
            for who in found:
                answer = [w for w in writes[f"{name}-{who}"] if at <= w < (later[0] if later else float("inf"))]
                if answer:
                    found[who].append(answer[0] - at)
                else:
                    missed.append(f"{name}-{who}: {before} to {after}")
    return found, missed


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# ---- (a)

def milli(quantity):
    """A quantity of the metrics server in thousandths."""
    return int(quantity[:-1]) if quantity.endswith("m") else int(quantity) * 1000


def plain(message):
    """An event's text as the controller gave it."""
    return message.removeprefix("(combined from similar events): ")


class Pods:
    """The pods of one label app as they were at a time, from what the pod runner saw."""

    def __init__(self, log, name):
        self.log = [(at, kind, pod) for at, kind, pod in log
                    if pod["metadata"]["namespace"] == NAMESPACE and pod["metadata"].get("labels", {}).get("app") == name]

    def at(self, when):
        pods = {}
        for at, kind, pod in self.log:
            if at > when:
                break
            if kind == "DELETED":
                pods.pop(pod["metadata"]["uid"], None)
            else:
                pods[pod["metadata"]["uid"]] = pod
        return list(pods.values())


def series_of(cluster, name, audit, answers):
    """The HPA `name`'s reconciliations as one line of tests/conformance/FORMAT.md. The target is called ns/web there, its pods app=web."""
    mine = [e for e in audit if e["user"]["username"] == HPA_USER and "objectRef" in e]
    times = []
    for e in mine:
        ref = e["objectRef"]
        if ref.get("name") == name and ref.get("subresource") == "scale" and e["verb"] == "get" and e["responseStatus"]["code"] == 200:
            times.append((seconds(e["stageTimestamp"]), e))
    hpa = cluster.api.get(f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{name}")
    pods = Pods(cluster.pods.log, name)
    t0 = int(times[0][0]) - 1
    moved = {}  # a time in a status -> what it is taken for
    ms = lambda at: round((at - t0) * 1000)  # noqa: E731
    relative = lambda text: None if text is None else ms(moved.get(text, seconds(text)))  # noqa: E731
    texts = {}  # event's name -> its type, reason, message: a repeated one is patched
    ticks = []
    for i, (at, get) in enumerate(times[:-1]):  # the last may not have ended
        until = times[i + 1][0]
        here = [e for e in mine if at <= seconds(e["stageTimestamp"]) < until]
        puts = [e for e in here if e["objectRef"].get("name") == name and e["objectRef"].get("subresource") == "scale" and e["verb"] == "update"]
        statuses = [e for e in here if e["objectRef"].get("name") == name and e["objectRef"].get("subresource") == "status" and
                    e["verb"] in ("update", "patch") and e["responseStatus"]["code"] == 200]
        events = []
        for e in here:
            if e["objectRef"].get("resource") != "events" or e["verb"] not in ("create", "patch") or e["responseStatus"]["code"] >= 300:
                continue
            event, key = e["requestObject"], e["objectRef"].get("name")
            if e["verb"] == "create":
                key = event["metadata"]["name"]
                about = event.get("involvedObject") or event.get("regarding")
                texts[key] = (about["name"], {k: event.get(k) for k in ("type", "reason")} | {"message": plain(event.get("message") or event.get("note"))})
            elif key in texts and event.get("message"):  # several that are similar become one, whose text changes
                texts[key] = (texts[key][0], texts[key][1] | {"message": plain(event["message"])})
            about, text = texts.get(key, (None, None))
            if about == name:
                events.append(text)
        expect = {"puts": [], "scaledTo": None, "statusWritten": bool(statuses), "events": events,
                  "reconcileError": any(event["type"] == "Warning" for event in events)}
        now = at
        if statuses:
            status = statuses[-1]["requestObject"]["status"]
            transitions = [c["lastTransitionTime"] for c in status.get("conditions", [])] + [status.get("lastScaleTime") or hpa["metadata"]["creationTimestamp"]]
            # Stamped a little after the GET returned, in whole seconds, and maybe on both sides of a full one: that counts as now.
            now = max([at] + [seconds(t) for t in transitions if at - 1 < seconds(t) <= at + 1])
            moved |= {t: int(now) for t in transitions if at - 1 < seconds(t) <= at + 1}
            expect["status"] = {
                "currentReplicas": status.get("currentReplicas", 0), "desiredReplicas": status.get("desiredReplicas", 0),
                "lastScaleTime": relative(status.get("lastScaleTime")), "observedGeneration": status.get("observedGeneration", 0),
                "currentMetrics": status.get("currentMetrics"),
                "conditions": [{**c, "lastTransitionTime": relative(c["lastTransitionTime"])} for c in status.get("conditions", [])]}
        for k, put in enumerate(puts):
            code = put["responseStatus"]["code"]
            asked = put["requestObject"]["spec"].get("replicas", 0)
            expect["puts"].append({"t": ms(now) + 20 * k, "replicas": asked, "resourceVersion": put["requestObject"]["metadata"]["resourceVersion"],
                                   "result": {200: "ok", 409: "conflict"}.get(code, "error")})
            if code == 200:
                expect["scaledTo"] = asked
        scale = get["responseObject"]
        tick = {"i": i, "t": ms(now), "trigger": "period" if i else "create",
                "scale": {"specReplicas": scale["spec"].get("replicas", 0), "statusReplicas": scale["status"].get("replicas", 0), "selector": "app=web",
                          "resourceVersion": scale["metadata"]["resourceVersion"]},
                "podTemplates": [{"containers": [{"name": "app", "requests": {"cpu": "100m"}}]}],
                "pods": [pod_of(p, relative) for p in pods.at(at)],
                "metrics": [metric_of(hpa["spec"]["metrics"][0], name.removesuffix("-hpa"), at, until, answers, relative)], "expect": expect}
        faults = [p["result"] for p in expect["puts"] if p["result"] != "ok"]
        if faults:
            tick["faults"] = {"puts": faults}
        if i == 0:
            spec = {**hpa["spec"], "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}}
            tick["hpa"] = {"generation": 1, "spec": spec}
        ticks.append(tick)
    return {"id": name, "family": "controller", "seed": 0, "upstream": "v1.37.1", "theme": "live",
            "t0": datetime.datetime.fromtimestamp(t0, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "options": {"syncPeriodMs": 15000, "downscaleStabilizationMs": 300000, "tolerance": 0.1, "cpuInitializationPeriodMs": 300000,
                        "initialReadinessDelayMs": 30000, "featureGates": {"HPAScaleToZero": True}}, "ticks": ticks}


def pod_of(pod, relative):
    status = pod.get("status", {})
    ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), None)
    out = {"name": pod["metadata"]["name"], "tpl": 0, "phase": status.get("phase", "Pending")}
    if ready:
        out |= {"ready": ready["status"], "readyAt": relative(ready["lastTransitionTime"])}
    if status.get("startTime"):
        out["start"] = relative(status["startTime"])
    if pod["metadata"].get("deletionTimestamp"):
        out["deleting"] = True
    return out


def metric_of(spec, series, at, until, answers, relative):
    """What the metrics server answered to this HPA in this reconciliation."""
    kind = spec["type"]
    group = {"External": "/external.", "Resource": "/metrics."}.get(kind, "/custom.")
    # of=pair1 or app=pair1 in the query, or the object's name in the path; pair1 is not pair10.
    named = re.compile(rf"[=/]{series}(?![a-z0-9-])")
    for when, user, path, status, body in answers:
        if not at <= when < until or user != HPA_USER or status != 200 or group not in path or not named.search(urllib.parse.unquote(path)):
            continue
        items = body["items"]
        if kind == "External":
            return {"values": [milli(i["value"]) for i in items], "ts": relative(items[0]["timestamp"])}
        if kind == "Object":
            return {"value": milli(items[0]["value"]), "ts": relative(items[0]["timestamp"])}
        if kind == "Pods":
            return {"samples": {i["describedObject"]["name"]: [milli(i["value"]), relative(i["timestamp"]), 60000] for i in items},
                    "ts": relative(items[0]["timestamp"])}
        return {"samples": {i["metadata"]["name"]: [milli(i["containers"][0]["usage"]["cpu"]), relative(i["timestamp"]), 1000] for i in items},
                "ts": relative(items[0]["timestamp"]) if items else 0}
    return {"error": f"{series}: no answer of the metrics server was found"}


def decisions(cluster, twins, audit, binaries, save):
    """(reconciliations compared, those with a write, what neapctl says, whether all agree)."""
    answers = list(cluster.metrics.answers)
    path = save or cluster.path("live.jsonl")
    ticks = writes = 0
    with open(path, "w") as f:
        for name in twins.watched:
            line = series_of(cluster, name, audit, answers)
            ticks += len(line["ticks"])
            writes += sum(t["expect"]["scaledTo"] is not None for t in line["ticks"])
            f.write(json.dumps(line) + "\n")
    done = subprocess.run([os.path.join(binaries, "neapctl"), "conformance", path], text=True, capture_output=True)
    return ticks, writes, done.stdout + done.stderr, done.returncode == 0


# ---- (c)

def requests(audit, since, until, namespace):
    """Of each, in a namespace; long watches are not counted, since they end rarely."""
    counts = collections.Counter()
    for e in audit:
        if since <= seconds(e["stageTimestamp"]) < until and e["stage"] == "ResponseComplete" and f"/namespaces/{namespace}/" in e["requestURI"]:
            counts["hpa" if e["user"]["username"] == HPA_USER else "neap" if e["user"]["username"].startswith("neap") else ""] += 1
    return counts


def many(cluster, stack, manager, count, progress):
    """CPU seconds per minute and growth of memory for `count` objects each, on External series of their own, at 15 s."""
    processes = {"hpa": [manager], "neap": [stack.neapd, stack.scalers]}
    before = {who: sum(p.resident_bytes() for p in ps) for who, ps in processes.items()}
    namespace = "many"
    cluster.create(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}")
    def make(i):
        for who in ("hpa", "neap"):
            name = f"{who}{i}"
            cluster.metrics.set_external(namespace, "load", "10", of=name)
            cluster.api.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", {
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": {"replicas": 1, "paused": True, "selector": {"matchLabels": {"app": name}}, "template": {
                    "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "none"}]}}}})
            spec = {"scaleTargetRef": Twins.target(name), "maxReplicas": 20, "metrics": [of(SOURCES["external"], name)]}
            if who == "hpa":
                cluster.api.post(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", {
                    "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec})
            else:
                cluster.api.post(f"/apis/neap.dev/v1alpha1/namespaces/{namespace}/autoscalers", {
                    "apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": name}, "spec": spec})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(count)))
    progress(f"{count} objects of each are made; they settle")
    time.sleep(60)
    cpu = {who: sum(p.cpu_seconds() for p in ps) for who, ps in processes.items()}
    began = time.time()
    time.sleep(120)
    asked = requests(cluster.audit(), began, began + 115, namespace)
    return {who: {"cpu": (sum(p.cpu_seconds() for p in ps) - cpu[who]) / 2 / count * 1000,
                  "growth": (sum(p.resident_bytes() for p in ps) - before[who]) / count * 1000 / 2**20,
                  "whole": sum(p.resident_bytes() for p in ps) / 2**20, "requests": asked[who] / count / 115 * 60}
            for who, ps in processes.items()}


class Result:
    pass


def run(binaries, minutes, pairs, objects, seed, save=None, progress=print):
    """One run; its figures."""
    result = Result()
    with Cluster(binaries) as cluster, Stack(binaries) as stack:
        cluster.install_crd()
        with open(os.path.join(HERE, "roles.yaml")) as f:
            cluster.create(f.read())
        manager = cluster.start_controllers("hpa-controller", ["horizontal-pod-autoscaler"])
        twins = Twins(cluster, pairs, seed)
        stack.kubeconfig = cluster.kubeconfig_of("neap-scalers")
        stack.start_scalers()
        stack.start_neapd(kubeconfig=cluster.kubeconfig_of("neapd"))
        began = time.time()
        twins.drive(minutes, progress)
        ended = time.time()
        wait_for(lambda: seconds(cluster.audit()[-1]["stageTimestamp"]) > ended, 60, "the audit log to be written")
        audit = cluster.audit()
        result.reactions, result.missed = reactions(twins, audit)
        result.ticks, result.writes, result.report, result.agree = decisions(cluster, twins, audit, binaries, save)
        counts = requests(audit, began + 30, ended, NAMESPACE)
        per = (ended - began - 30) / 60
        result.requests = {"hpa": counts["hpa"] / len(twins.watched) / per, "neap": counts["neap"] / len(twins.pairs) / per}
        result.steps = len([s for s in twins.steps if s[1] in twins.pairs])
        result.objects = objects
        result.many = many(cluster, stack, manager, objects, progress) if objects else None
    return result


def tables(result):
    lines = [f"(a) {result.ticks} reconciliations of the HPA controller, {result.writes} with a write: " +
             ("no decision differs" if result.agree else "DECISIONS DIFFER"), result.report.rstrip(), "",
             f"(b) from a change of the metric to the write of the scale, {result.steps} steps:", "",
             "| | p50 | p99 | max |", "|---|---|---|---|"]
    for who, name in (("hpa", "HPA, 15 s"), ("neap", "Neap, `period: 1s`")):
        r = result.reactions[who]
        lines.append(f"| {name} | {percentile(r, .5):.2f} s | {percentile(r, .99):.2f} s | {max(r):.2f} s |")
    lines += [f"without an answer: {m}" for m in result.missed]
    lines += ["", f"(c) API requests per target and minute: HPA at 15 s {result.requests['hpa']:.1f}, Neap at 1 s {result.requests['neap']:.1f}"]
    if result.many:
        lines += ["", f"{result.objects} objects of each at 15 s, and in all what the pairs need:", "",
                  "| | CPU s per minute and 1,000 objects | memory per 1,000 objects | in all | API requests per target and minute |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {m['cpu']:.2f} | {m['growth']:.1f} MiB | {m['whole']:.0f} MiB | {m['requests']:.1f} |"
                  for name, m in (("HPA controller", result.many["hpa"]), ("neapd and neap-scalers", result.many["neap"]))]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--objects", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", metavar="FILE", help="keep what the HPA was given and did, for neapctl conformance")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    options = parser.parse_args()
    result = run(os.path.abspath(options.bin), options.minutes, options.pairs, options.objects, options.seed, options.save,
                 lambda text: print(text, file=sys.stderr, flush=True))
    print(tables(result))
    return 0 if result.agree and not result.missed else 1


if __name__ == "__main__":
    sys.exit(main())
