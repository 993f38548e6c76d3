"""neapd as its users meet it: the HPA's five sources, objects from a directory, bad input, stopping."""
import json
import os
import signal
import subprocess
import time

import pytest

from stack import fetch, wait_for
from worlds import autoscaler, objects, world

WORLD = """seed: 1
metrics: {window: 2s, every: 1s}
namespaces: [shop]
deployments:
""" + "".join(f"""- name: {name}
  namespace: shop
  replicas: 2
  requests: {{cpu: 100m}}
  cpu: {{perRequest: 10m}}
  startup: {{running: [100ms, 200ms], ready: [100ms, 200ms]}}
  load: {{constant: 40}}
""" for name in ("resource", "container", "pods", "object", "external")) + """queues:
- {name: jobs, namespace: shop, waiting: 60}
externalMetrics:
- {name: jobs_waiting, namespace: shop, labels: {queue: jobs}, from: {queue: jobs}}
customMetrics:
- {name: requests_per_second, namespace: shop, pods: pods, from: {deployment: pods, quantity: ratePerPod}}
- name: hits
  namespace: shop
  object: {apiVersion: apps/v1, kind: Deployment, name: object}
  from: {deployment: object}
"""

# 40 requests per second at 10m are 400m: at 50 % of 100m requested, 8 pods.
SOURCES = {
    "resource": "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}",
    "container": "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: AverageValue, "
                 "averageValue: 50m}}}",
    "pods": "{type: Pods, pods: {metric: {name: requests_per_second}, target: {type: AverageValue, averageValue: \"5\"}}}",
    "object": "{type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: apps/v1, kind: Deployment, "
              "name: object}, target: {type: AverageValue, averageValue: \"5\"}}}",
    "external": "{type: External, external: {metric: {name: jobs_waiting, selector: {matchLabels: {queue: jobs}}}, "
                "target: {type: AverageValue, averageValue: \"7500m\"}}}",
}


def test_the_five_sources_of_the_hpa(stack):
    texts = [autoscaler(n, metrics=m) for n, m in SOURCES.items()]
    stack.start_playground(stack.path("world.yaml", WORLD), [stack.path("objects.yaml", objects(*texts))])
    stack.start_scalers()
    stack.start_neapd()
    for name in SOURCES:
        # CPU is rounded up to whole millicores per pod, so that the HPA's arithmetic may ask for one more.
        wait_for(lambda: stack.replicas("shop", name) in (8, 9), 90, f"{name} to have 8 replicas")
    kubectl = subprocess.run(["kubectl", "--kubeconfig", stack.kubeconfig, "get", "autoscalers", "-n", "shop"], text=True,
                             capture_output=True)
    assert kubectl.returncode == 0 and "resource" in kubectl.stdout, kubectl.stdout + kubectl.stderr


def test_objects_from_a_directory(stack):
    stack.start_playground(stack.path("world.yaml", world(["web", "other"])))
    stack.start_stub_scaler()
    os.mkdir(stack.path("objects"))
    good = autoscaler("web", trigger={"key": "web", "target": "10", "value": "30"})
    stack.path("objects/web.yaml", good)
    stack.path("objects/bad.yaml", autoscaler("other", trigger={"key": "other"}).replace("maxReplicas", "maxReplicaz"))
    stack.start_neapd("--source", "dir:" + stack.path("objects"))
    stack.neapd.wait_log(r"bad\.yaml:\d+.*maxReplicaz.*maxReplicas")
    wait_for(lambda: stack.replicas("shop", "web") == 3, 30, "web to have 3 replicas")

    stack.path("objects/web.yaml", good.replace("minReplicas: 1", "minReplicas: 6"))
    wait_for(lambda: stack.replicas("shop", "web") == 6, 30, "the changed file to count")
    stack.path("objects/web.yaml", "spec: [")
    stack.neapd.wait_log(r"web\.yaml:\d+")
    stack.path("objects/bad.yaml", autoscaler("other", trigger={"key": "other", "target": "10", "value": "20"}))
    wait_for(lambda: stack.replicas("shop", "other") == 2, 30, "the mended file to count")
    assert stack.replicas("shop", "web") == 6  # a file that became bad removes and changes nothing


def test_a_bad_object_is_told_in_its_condition_and_stops_no_other(stack):
    bad = autoscaler("bad", trigger={"key": "bad"}).replace("type: stub", "type: stubb")
    good = autoscaler("web", trigger={"key": "web", "target": "10", "value": "30"})
    stack.start_playground(stack.path("world.yaml", world(["web", "bad"])), [stack.path("objects.yaml", objects(bad, good))])
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: stack.replicas("shop", "web") == 3, 30, "web to have 3 replicas")

    def told():
        conditions = (stack.autoscaler("shop", "bad").get("status") or {}).get("conditions") or []
        return [c for c in conditions if c["status"] == "False" and "stubb" in c["message"]]
    assert wait_for(told, 30, "the unknown trigger type to be named")
    assert stack.replicas("shop", "bad") == 5


def test_somebody_elses_change_is_respected(stack):
    texts = [autoscaler("web", trigger={"key": "web", "target": "10", "value": "50"},
                        behavior="{scaleDown: {stabilizationWindowSeconds: 3600}}")]
    stack.start_playground(stack.path("world.yaml", world(["web"])), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 30, "web to be active")
    subprocess.run(["kubectl", "--kubeconfig", stack.kubeconfig, "-n", "shop", "scale", "deploy", "web", "--replicas", "0"],
                   check=True, capture_output=True)
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("reason") == "ScalingDisabled", 30,
             "0 replicas to switch it off, as with the HPA")
    assert stack.replicas("shop", "web") == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stops_cleanly_within_five_seconds(stack, how):
    texts = [autoscaler("web", trigger={"key": "web", "target": "10", "value": "50"})]
    stack.start_playground(stack.path("world.yaml", world(["web"])), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    stack.start_neapd("--journal-dir", stack.path("journal"))
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 30, "web to be active")
    stack.set_stub("fault", key="*", kind="hang")  # also while a poll hangs
    stack.fault(fault="delay", delay="60s")        # and the API server
    began = time.monotonic()
    assert stack.neapd.stop(how, 10) == 0
    assert time.monotonic() - began < 5.5


@pytest.mark.parametrize("flags, says", [
    (["--scalerz", "unix:///x"], "did you mean"),
    (["--source", "file:x"], "--source"),
    (["--horizontal-pod-autoscaler-sync-period", "0s"], "--horizontal-pod-autoscaler-sync-period"),
    (["--kubeconfig", "/does/not/exist"], "/does/not/exist"),
    (["--config", "/does/not/exist"], "/does/not/exist"),
])
def test_wrong_flags_end_it_with_2_and_a_line(stack, flags, says):
    done = subprocess.run([stack.binary("neapd")] + flags, text=True, capture_output=True, timeout=30)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr and len(done.stderr.strip().splitlines()) <= 2, done.stderr


def test_check_config_reads_files_and_objects(stack):
    os.mkdir(stack.path("objects"))
    stack.path("objects/a.yaml", autoscaler("web", trigger={"key": "web"}, minReplicas=9, maxReplicas=3))
    config = stack.path("neapd.yaml", "journal-dirr: /x\n")
    neapd = stack.binary("neapd")
    done = subprocess.run([neapd, "--check-config", "--config", config], text=True, capture_output=True)
    assert done.returncode == 2 and "neapd.yaml:1" in done.stderr and "journal-dir" in done.stderr, done.stderr
    done = subprocess.run([neapd, "--check-config", "--source", "dir:" + stack.path("objects")], text=True, capture_output=True)
    assert done.returncode == 2 and "a.yaml" in done.stderr and "maxReplicas" in done.stderr, done.stderr


def test_the_journal_survives_kill_9(stack):
    texts = [autoscaler("web", trigger={"key": "web", "target": "10", "value": "50"})]
    stack.start_playground(stack.path("world.yaml", world(["web"])), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    neapd = stack.start_neapd("--journal-dir", stack.path("journal"))

    def replayed():
        done = subprocess.run([stack.binary("neapctl"), "replay", stack.path("journal"), "-o", "json"], text=True,
                              capture_output=True)
        return done.returncode == 0 and json.loads(done.stdout)["decisions"]
    wait_for(replayed, 60, "decisions in the journal")
    neapd.kill()
    first = replayed()
    assert first
    neapd.start()
    wait_for(lambda: replayed() > first, 60, "the journal to go on after kill -9")
    neapd.stop()


def test_a_journal_without_room_stops_no_decision(stack):
    texts = [autoscaler("web", trigger={"key": "web", "target": "10", "value": "50"})]
    stack.start_playground(stack.path("world.yaml", world(["web"])), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    # No file of neapd's may be larger than 1 KiB; the write fails as it does on a full disk. Its log is cat's.
    limited = stack.path("neapd-limited", f"#!/bin/sh\n(trap '' XFSZ; ulimit -f 1; exec {stack.binary('neapd')} \"$@\" 2>&1) | cat\n")
    os.chmod(limited, 0o755)
    stack.neapd = stack.start("neapd", [limited, "--kubeconfig", stack.kubeconfig, "--listen-address", "127.0.0.1:0",
                                        "--scalers", stack.scalers_address, "--journal-dir", stack.path("journal")])

    def lost():
        return stack.neapd_metrics().get("neap_journal_lost_records_total", 0)
    wait_for(lambda: lost() > 0, 60, "records to be lost and counted")
    stack.neapd.wait_log("journal: records are being lost")  # it reaches the file a moment after the counter
    stack.set_stub("set", key="web", value=90)
    wait_for(lambda: stack.replicas("shop", "web") == 9, 30, "web to be scaled all the same")


def test_neapd_health_pages(stack):
    stack.start_playground(stack.path("world.yaml", world(["web"])))
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: fetch(stack.neapd_address() + "/readyz")[0] == 200, 30, "/readyz")
    assert fetch(stack.neapd_address() + "/healthz")[0] == 200
    assert any(k.startswith("neap_") for k in stack.neapd_metrics())
