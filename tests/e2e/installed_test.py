"""The chart as it is installed, with its defaults: its containers as processes with their arguments, volumes, user and tokens
(local_pods.py). What it may do is enough, and one right less is told; an upgrade changes no count.
"""
import http.client
import os
import ssl

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


def test_a_token_that_is_revoked(installed, shop):
    """As when it expires: neapd, which looks at its file once a minute, meets a refusal, reads the file again, and goes on with the token
    that is there by then, or as soon as it is."""
    cluster, (name, neapd) = installed.cluster, installed.pods.process("neapd")
    with open(os.path.join(installed.pods.folders[name], "token", "token")) as f:
        of_the_pod = f.read()

    def bound_to(secret):  # a token that is good while that Secret is there
        root = "/api/v1/namespaces/neap-system"
        shop.api.post(root + "/secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}})
        return shop.api.post(root + "/serviceaccounts/neap/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {
                "expirationSeconds": 3600, "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret}}})["status"]["token"]

    def revoke(secret, token):
        shop.api.delete(f"/api/v1/namespaces/neap-system/secrets/{secret}")

        context = ssl.create_default_context(cafile=cluster.authority.certificate)

        def refused():  # the server remembers for ten seconds that it was good
            connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=10)
            connection.request("GET", "/api/v1/namespaces/neap-system/configmaps", headers={"Authorization": f"Bearer {token}"})
            status = connection.getresponse().status
            connection.close()
            return status == 401
        wait_for(refused, 30, f"the token of {secret} to be refused")

    def refusals():
        return sum(value for series, value in cluster.stack.neapd_metrics(neapd).items()
                   if series.startswith("neap_api_requests_total") and 'code="401"' in series)

    tokens = {secret: bound_to(secret) for secret in ("first", "second")}
    shop.workload("web")
    shop.load("web", 20)
    shop.autoscaler("web")
    installed.pods.write_token(name, tokens["first"])
    neapd.kill()  # its pod starts it anew, with that token
    shop.scales_to("web", 2, seconds=60)
    assert refusals() == 0

    installed.pods.write_token(name, tokens["second"])
    revoke("first", tokens["first"])
    shop.load("web", 40)
    shop.scales_to("web", 4, seconds=20)  # long before a minute is over
    met = refusals()
    assert met > 0, "the file was read before the token was refused: nothing was tested"

    revoke("second", tokens["second"])
    shop.load("web", 60)
    met = refusals()
    wait_for(lambda: refusals() > met, 60, "neapd to be refused")
    assert shop.replicas("web") == 4
    installed.pods.write_token(name, of_the_pod)
    shop.scales_to("web", 6, seconds=20)
    assert [count for _, count in shop.writes("web")] == [2, 4, 6] and neapd.running()
