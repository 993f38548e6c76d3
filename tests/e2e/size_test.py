"""2,000 Autoscalers on a real API server: all are scaled within the budgets of writes, also when the server restarts meanwhile."""
import concurrent.futures
import time

from cluster import wait_for

COUNT = 2000
STATUS_PER_SECOND = 20  # docs/operations.md


def make(shop, i):
    name = f"w{i}"
    shop.api.post(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments", {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "paused": True, "template": {  # paused: without pods
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "none"}]}}}})
    shop.api.post(f"/apis/neap.dev/v1alpha1/namespaces/{shop.namespace}/autoscalers", {
        "apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": name},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "maxReplicas": 20,
                 "triggers": [{"type": "stub", "metadata": {"key": name, "target": "10", "value": "20"}}]}})


def test_two_thousand_autoscalers(shop):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: make(shop, i), range(COUNT)))
    began = time.monotonic()
    neapd = shop.start_neapd("--write-qps", "60", scalers="stub")

    def counts():
        items = shop.api.get(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments")["items"]
        return [i["spec"]["replicas"] for i in items]

    def at_two():
        return sum(n == 2 for n in counts())
    wait_for(lambda: at_two() > COUNT / 4, 120, "a quarter of the Deployments to have 2 replicas")
    shop.cluster.restart_apiserver()
    wait_for(lambda: at_two() == COUNT, 180, "every Deployment to have 2 replicas")
    took = time.monotonic() - began
    print(f"{COUNT} scales in {took:.1f} s, {neapd.resident_bytes() >> 20} MiB, {neapd.cpu_seconds():.1f} CPU s")
    assert neapd.running()
    # Each was written once: a restart of the server is no reason to write again.
    applied = [e for e in shop.cluster.audit() if e["verb"] == "patch" and e["objectRef"].get("namespace") == shop.namespace and
               e["objectRef"].get("subresource") == "scale" and e["responseStatus"]["code"] == 200]
    assert len(applied) <= COUNT
    status = [e for e in shop.cluster.audit() if e["verb"] == "patch" and e["objectRef"].get("namespace") == shop.namespace and
              e["objectRef"].get("resource") == "autoscalers"]
    assert len(status) <= STATUS_PER_SECOND * (time.monotonic() - began + 5), len(status)
    shop.stack.set_stub("set", key="w1234", value=50)
    shop.scales_to("w1234", 5, seconds=40)
    assert sorted(counts())[-2] == 2
