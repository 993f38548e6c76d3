"""The chart as it is installed, with its defaults: its containers as processes with their arguments, volumes, user and tokens
(local_pods.py). What it may do is enough, and one right less is told; an upgrade changes no count.
"""
import os

import pytest

from cluster import wait_for
from conftest import GROUPS, Shop, namespace_of

CPU = "{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 50m}}}"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/neap-system:neap"


@pytest.fixture(scope="module")
def installed(machine):
    machine.helm("install", "neap", "charts/neap", "--namespace", "neap-system", "--create-namespace", "--wait", "--timeout", "60s")
    return machine


@pytest.fixture
def shop(installed, request):
    it = Shop(installed.cluster, namespace_of(request))
    with it.stack:
        yield it
        if hasattr(request.node, "failed_call"):
            installed.print_logs()
        it.remove()


def test_its_rights_are_enough(installed, shop):
    """Every kind of target, and the three metrics APIs by the scalers' own account."""
    kinds = [k for k in GROUPS if k != "Ring"]
    for kind in kinds:
        name = kind.lower()
        shop.workload(name, kind)
        shop.load(name, 30)
        shop.autoscaler(name, kind=kind)
    shop.workload("cpu", replicas=2)
    shop.cluster.metrics.set_usage(shop.namespace, "cpu", cpu="100m")
    shop.autoscaler("cpu", metric=CPU, maxReplicas=4)
    shop.workload("pods", replicas=2)
    shop.cluster.metrics.set_pods(shop.namespace, "pods", "hits", "20")
    shop.autoscaler("pods", metric="{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: \"10\"}}}", maxReplicas=4)
    for kind in kinds:
        shop.scales_to(kind.lower(), 3, kind, seconds=60)
    for name in ("cpu", "pods"):
        shop.scales_to(name, 4, seconds=60)
    account = "system:serviceaccount:neap-system:neap"
    assert {user for user, _ in shop.writes("deployment")} == {account}
    asked = {user for _, user, path, _, _ in shop.cluster.metrics.answers if f"/namespaces/{shop.namespace}/" in path}
    assert asked == {account + "-scalers"}, asked
    wait_for(lambda: [e for e in shop.api.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"] if e["reason"] == "SuccessfulRescale"], 30,
             "its events")
    assert shop.condition("cpu", "ScalingActive").get("status") == "True"


@pytest.mark.parametrize("resource, verb", [("deployments/scale", "patch"), ("deployments", "list"), ("pods", "list"), ("autoscalers/status", "patch")])
def test_one_right_less_is_told(installed, shop, resource, verb):
    """And nothing else fails: with the right back, it goes on by itself."""
    shop.workload("web")
    shop.load("web", 30)
    shop.cluster.metrics.set_usage(shop.namespace, "web", cpu="150m")
    role = shop.api.get(ROLE)
    less = [{**rule, "verbs": [v for v in rule["verbs"] if v != verb]} if resource in rule.get("resources", []) else rule for rule in role["rules"]]
    shop.api.merge(ROLE, {"rules": [rule for rule in less if rule["verbs"]]})
    try:
        if verb == "list":  # what is listed already is known
            installed.pods.process("neapd")[1].kill()
        shop.autoscaler("web", maxReplicas=3, **({"metric": CPU} if resource == "pods" else {}))

        def told():
            log = "".join(p.log() for (_, c), p in list(installed.pods.processes.items()) if c == "neapd")
            return any("forbidden" in line and f'{verb} resource "{resource}"' in line for line in log.splitlines())
        wait_for(told, 60, f"the log to name {verb} of {resource}")
        assert shop.replicas("web") == 1 or resource == "autoscalers/status"
    finally:
        shop.api.merge(ROLE, {"rules": role["rules"]})
    shop.scales_to("web", 3, seconds=120)


def test_an_upgrade_changes_no_count(installed, shop):
    """A rolling update in a window of scale-down: the new pod knows what the old one remembered."""
    shop.workload("web", replicas=1)
    shop.load("web", 60)
    shop.autoscaler("web", behavior="{scaleUp: {policies: [{type: Pods, value: 100, periodSeconds: 1}]}, scaleDown: {stabilizationWindowSeconds: 3600}}")
    shop.scales_to("web", 6, seconds=60)
    shop.load("web", 10)
    wait_for(lambda: shop.condition("web", "AbleToScale").get("reason") == "ScaleDownStabilized", 30, "the window to hold")
    before = installed.pods.process("neapd")[0]
    installed.helm("upgrade", "neap", "charts/neap", "--namespace", "neap-system", "--set", "neapd.logDecisions=true", "--wait", "--timeout", "90s")
    wait_for(lambda: installed.pods.process("neapd")[0] != before, 60, "the old pod to be gone")
    wait_for(lambda: "web" in installed.pods.process("neapd")[1].log(), 60, "the new one to decide")
    assert shop.writes("web") == [("system:serviceaccount:neap-system:neap", 6)] and shop.replicas("web") == 6


def test_a_token_that_is_renewed_is_read_again(installed, shop):
    name, _ = installed.pods.process("neapd")
    path = os.path.join(installed.pods.folders[name], "token", "token")
    with open(path) as f:
        good = f.read()
    shop.workload("web")
    shop.load("web", 20)
    shop.autoscaler("web")
    shop.scales_to("web", 2, seconds=60)
    installed.pods.write_token(name, "no.such.token")
    installed.pods.process("neapd")[1].wait_log("(?i)unauthorized|401", 150)  # a file is read once a minute
    shop.load("web", 40)
    installed.pods.write_token(name, good)
    shop.scales_to("web", 4, seconds=120)
