"""HorizontalPodAutoscalers beside Neap: shadowed, and never fought with. The test is their controller."""
import datetime
import json
import re
import subprocess
import urllib.request

from stack import fetch, wait_for
from worlds import autoscaler, world

HPAS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
CPU = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}"


def hpa(name, target):
    return json.dumps({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, "minReplicas": 1,
                 "maxReplicas": 20, "metrics": [{"type": "Resource", "resource": {
                     "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})


def create(stack, body):
    status, text = fetch(stack.url + HPAS, "POST", body)
    assert status == 201, text


def start(stack, *flags, objects=()):
    # 100 requests per second at 20m are 2 cores: 400m for each of 5 pods, 80 % of the request. 8 pods are wanted.
    stack.start_playground(stack.path("world.yaml", world(["web"], cpu=100)),
                           [stack.path(f"{i}.yaml", text) for i, text in enumerate(objects)])
    stack.start_scalers()
    return flags


def shadow(stack, *flags):
    return subprocess.run([stack.binary("neapctl"), "shadow", "--server", stack.neapd_address(), *flags], text=True,
                          capture_output=True, timeout=60)


def row(stack):
    rows = json.loads(shadow(stack, "-o", "json").stdout or "{}").get("shadows") or [{}]
    return rows[0]


def merge(stack, path, patch):
    request = urllib.request.Request(stack.url + path, method="PATCH", data=json.dumps(patch).encode(),
                                     headers={"Content-Type": "application/merge-patch+json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def hpa_scales(stack, name, before, after):
    """As the HPA controller does: first the workload, then its own status."""
    merge(stack, "/apis/apps/v1/namespaces/shop/deployments/web/scale", {"spec": {"replicas": after}})
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    merge(stack, f"{HPAS}/{name}/status",
          {"status": {"currentReplicas": before, "desiredReplicas": after, "lastScaleTime": now}})


def test_an_hpa_is_shadowed(stack):
    start(stack)
    create(stack, hpa("web-hpa", "web"))
    stack.start_neapd("--shadow-hpas", "--horizontal-pod-autoscaler-sync-period=1s")
    wait_for(lambda: row(stack).get("neapDesired") == 8, 60, "Neap to want 8")
    # Its controller sits still for more than its sync period: that counts.
    wait_for(lambda: row(stack).get("different", 0) > 0, 30, "the difference to count")
    text = shadow(stack).stdout
    assert re.search(r"^NAMESPACE +HPA +TARGET +REPLICAS +HPA WANTS +NEAP WANTS +COMPARED +EQUAL +DIFFERENT +FOR +LAST DIFFERENCE$",
                     text, re.M), text
    assert re.search(r"^shop +web-hpa +Deployment/web +5 +0 +8 +\d+ +0 +\d+ +\S+ +\S+ ago: Neap 8, HPA 5: cpu resource "
                     r"utilization \(percentage of request\) above target$", text, re.M), text
    assert shadow(stack, "-n", "blog").stdout.startswith("no HorizontalPodAutoscaler is shadowed\n")

    hpa_scales(stack, "web-hpa", 5, 8)
    wait_for(lambda: row(stack).get("equal", 0) > 2, 60, "the two to agree")
    last = row(stack)
    assert (last["replicas"], last["hpaDesired"], last["neapDesired"]) == (8, 8, 8) and "differsSince" not in last, last
    metrics = stack.neapd_metrics()
    labels = 'namespace="shop",horizontalpodautoscaler="web-hpa"'
    assert metrics[f'neap_shadow_decisions_total{{{labels},result="equal"}}'] >= 2
    assert metrics[f'neap_shadow_decisions_total{{{labels},result="different"}}'] >= 1
    # Neap wrote nothing at all: one scale is the test's.
    writes = stack.get("/writes")["writes"]
    assert all(w["path"].startswith(HPAS) or w["path"].endswith("/web/scale") for w in writes), writes
    assert stack.scale_writes() == [("shop", "web", 5, 8)]


def test_an_autoscaler_does_not_fight_an_hpa(stack):
    flags = start(stack, objects=[autoscaler("web", metrics=CPU)])
    create(stack, hpa("web-hpa", "web"))
    stack.start_neapd(*flags)
    wait_for(lambda: stack.condition("shop", "web", "AbleToScale").get("status") == "False", 60, "AbleToScale to be False")
    able = stack.condition("shop", "web", "AbleToScale")
    assert able["reason"] == "TargetScaledByHPA", able
    assert able["message"] == ("HorizontalPodAutoscaler web-hpa scales Deployment web too: Neap does not write until it is "
                               "gone or has another target"), able
    wait_for(lambda: (stack.autoscaler("shop", "web").get("status") or {}).get("desiredReplicas") == 8, 60,
             "the status to say what it would do")
    assert stack.condition("shop", "web", "DryRun")["status"] == "True"
    assert stack.scale_writes() == []

    status, text = fetch(stack.url + HPAS + "/web-hpa", "DELETE")
    assert status == 200, text
    wait_for(lambda: stack.scale_writes() == [("shop", "web", 5, 8)], 60, "Neap to take over")
    wait_for(lambda: stack.condition("shop", "web", "AbleToScale").get("status") == "True", 60, "AbleToScale to be True")
    assert stack.condition("shop", "web", "DryRun")["status"] == "False"


def test_hpas_that_may_not_be_read_stop_nothing(stack):
    start(stack, objects=[autoscaler("web", metrics=CPU)])
    stack.fault(fault="error", code=403, path="/apis/autoscaling")
    stack.start_neapd()
    wait_for(lambda: stack.replicas("shop", "web") == 8, 60, "web to be scaled")
    assert stack.neapd.log().count("HorizontalPodAutoscalers can't be read") == 1, stack.neapd.log()


def test_shadows_are_asked_for(stack):
    start(stack)
    stack.start_neapd()
    done = shadow(stack)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"neapctl: {stack.neapd_address()}: 404 neapd runs without --shadow-hpas\n", done.stderr
