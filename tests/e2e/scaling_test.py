"""Scaling on a real control plane: every metric type, every kind of target, and what others do meanwhile."""
import socket

import pytest

from cluster import ApiError, wait_for

RING = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rings.e2e.neap.dev}
spec:
  group: e2e.neap.dev
  scope: Namespaced
  names: {kind: Ring, plural: rings}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {
      spec: {type: object, properties: {replicas: {type: integer}, selector: {type: string}, owner: {type: string}}},
      status: {type: object, properties: {replicas: {type: integer}, selector: {type: string}}}}}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
"""

# Each asks for 4 pods where one has 100m cpu and 100Mi memory requested, whatever the count is (absolute) or from 1 pod up.
METRICS = {
    "resource": "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}",
    "memory": "{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 50Mi}}}",
    "container": "{type: ContainerResource, containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 50}}}",
    "pods": "{type: Pods, pods: {metric: {name: hits}, target: {type: AverageValue, averageValue: \"10\"}}}",
    "object": "{type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: apps/v1, kind: Deployment, name: NAME}, "
              "target: {type: AverageValue, averageValue: \"10\"}}}",
    "external": "{type: External, external: {metric: {name: load, selector: {matchLabels: {of: NAME}}}, "
                "target: {type: AverageValue, averageValue: \"10\"}}}",
}


def share(shop, name, total, unit=""):
    """A metric of each pod, by which they share a total, as a load does: what the HPA's relative metrics are made for."""
    return f"{max(1, round(total / max(1, shop.ready_pods(name))))}{unit}"


def test_every_metric_type(shop):
    metrics = shop.cluster.metrics
    for name, metric in METRICS.items():
        shop.workload(name)
        shop.autoscaler(name, metric=metric)
    shop.start_neapd()
    ns = shop.namespace

    def loaded(total):  # millicores, and the same in the other metrics' units
        metrics.set_usage(ns, "resource", cpu=share(shop, "resource", total, "m"), memory="1Mi")
        metrics.set_usage(ns, "memory", cpu="1m", memory=share(shop, "memory", total, "Mi"))
        metrics.set_usage(ns, "container", cpu=share(shop, "container", total, "m"), memory="1Mi")
        metrics.set_usage(ns, "container", "sidecar", cpu="900m", memory="1Mi")  # not asked for
        metrics.set_pods(ns, "pods", "hits", share(shop, "pods", total / 5))
        metrics.set_object(ns, "deployments.apps", "object", "hits", str(total // 5))
        shop.load("external", total // 5)

    def all_have(count):
        loaded(count * 50)
        return all(shop.replicas(n) == count and shop.ready_pods(n) == count for n in METRICS)
    wait_for(lambda: all_have(4), 90, "every workload to have 4 replicas")
    wait_for(lambda: all_have(2), 90, "every workload to have 2 replicas")
    for name in METRICS:
        current = shop.cluster.object(ns, "Autoscaler", name)["status"]["currentMetrics"]
        assert len(current) == 1 and current[0]["type"] == {"memory": "Resource", "container": "ContainerResource"}.get(name, name.capitalize()), current


def test_a_metrics_api_that_fails_never_scales_down(shop):
    shop.workload("web", replicas=6)
    shop.load("web", 60)
    shop.autoscaler("web")
    shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    for status in (503, 403, 404, 500):
        shop.cluster.metrics.fail("external.metrics.k8s.io", status)
        wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "False", 60, f"{status} to be told")
        assert "FailedGetExternalMetric" == shop.condition("web", "ScalingActive")["reason"]
        assert shop.replicas("web") == 6
        shop.cluster.metrics.fail("external.metrics.k8s.io")
        wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 60, f"it to work again after {status}")
    shop.cluster.metrics.set_external(shop.namespace, "load", None, of="web")  # no series is no zero
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "False", 60, "a metric without a series to be told")
    assert shop.writes("web") == []


def test_a_redis_list(shop):
    shop.workload("worker")
    port = shop.stack.start_redis()
    shop.autoscaler("worker", trigger=f"{{type: redis, metadata: {{address: \"127.0.0.1:{port}\", listName: jobs, listLength: \"5\"}}}}",
                    minReplicas=0)
    shop.start_neapd()

    def redis(command):
        with socket.create_connection(("127.0.0.1", port), 5) as it:
            it.sendall(command.encode() + b"\r\n")
            return it.recv(1000).decode()
    assert redis("RPUSH jobs " + " ".join(["job"] * 25)) == ":25\r\n"
    shop.scales_to("worker", 5)
    wait_for(lambda: shop.ready_pods("worker") == 5, 30, "5 ready pods")
    redis("LTRIM jobs 0 9")
    shop.scales_to("worker", 2)
    redis("DEL jobs")
    shop.scales_to("worker", 0)
    shop.wrote("worker", 5, 2, 0)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"])
def test_kinds_of_targets(shop, kind):
    shop.workload("web", kind)
    shop.load("web", 30)
    shop.autoscaler("web", kind=kind, minReplicas=0)
    shop.start_neapd()
    shop.scales_to("web", 3, kind)
    wait_for(lambda: shop.ready_pods("web") == 3, 30, "3 ready pods")
    shop.load("web", 0)
    shop.scales_to("web", 0, kind, 60)
    shop.load("web", 50)  # 0 that Neap wrote is no switch, as the 0 of somebody else is
    shop.scales_to("web", 5, kind, 60)
    shop.wrote("web", 3, 0, 5)
    assert {user for user, _ in shop.writes("web")} == {"neapd"}


def test_a_custom_resource(shop):
    if not shop.api.find("/apis/e2e.neap.dev/v1"):
        shop.cluster.create(RING)
        shop.cluster.wait_served("/apis/e2e.neap.dev/v1/rings")
    shop.workload("web", "Ring", replicas=2)
    path = f"/apis/e2e.neap.dev/v1/namespaces/{shop.namespace}/rings/web"
    shop.api.merge(path, {"spec": {"owner": "somebody"}})

    def operated():  # what the resource's operator would do
        shop.api.merge(path + "/status", {"status": {"replicas": shop.replicas("web", "Ring"), "selector": "app=web"}})
        return shop.replicas("web", "Ring")
    operated()
    shop.load("web", 60)
    shop.autoscaler("web", kind="Ring", minReplicas=0)
    shop.start_neapd()
    wait_for(lambda: operated() == 6, 60, "the ring to have 6 replicas")
    shop.load("web", 0)
    wait_for(lambda: operated() == 0, 60, "the ring to have none")
    shop.load("web", 10)
    wait_for(lambda: operated() == 1, 60, "the ring to have 1")
    assert shop.api.get(path)["spec"]["owner"] == "somebody"  # a scale touches nothing else
    shop.wrote("web", 6, 0, 1)


@pytest.mark.parametrize("kind", ["Deployment", "Ring"])
def test_the_precondition_of_a_write_holds_on_the_server(shop, kind):
    """What kube/scale_writer.h relies on: the very patch of neapd, with a spec or uid that is no longer so, changes nothing."""
    if kind == "Ring" and not shop.api.find("/apis/e2e.neap.dev/v1"):
        shop.cluster.create(RING)
        shop.cluster.wait_served("/apis/e2e.neap.dev/v1/rings")
    shop.workload("web", kind, replicas=2)
    root = f"/apis/{'apps/v1' if kind == 'Deployment' else 'e2e.neap.dev/v1'}/namespaces/{shop.namespace}/"
    path = root + ("deployments" if kind == "Deployment" else "rings") + "/web/scale"
    scale = shop.api.get(path)

    def patch(uid, spec, replicas):
        return shop.api.send("PATCH", path, [{"op": "test", "path": "/metadata/uid", "value": uid}, {"op": "test", "path": "/spec", "value": spec},
                                             {"op": "replace", "path": "/spec", "value": {"replicas": replicas}}], "application/json-patch+json")
    uid = scale["metadata"]["uid"]
    for wrong in ((uid, {"replicas": 3}), ("00000000-0000-0000-0000-000000000000", {"replicas": 2})):
        status, body = patch(*wrong, 9)
        assert status == 422 and not body.get("details"), (status, body)
        assert shop.replicas("web", kind) == 2
    status, body = patch(uid, {"replicas": 2}, 0)
    assert status == 200 and shop.replicas("web", kind) == 0, (status, body)
    zero = shop.api.get(path)["spec"]
    assert not zero.get("replicas"), zero
    status, body = patch(uid, {}, 3)
    assert status == 200 and shop.replicas("web", kind) == 3, (status, body, zero)


def test_bounds_change(shop):
    shop.workload("web", replicas=3)
    shop.load("web", 30)
    shop.autoscaler("web", maxReplicas=10)
    shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    shop.patch("web", minReplicas=6)
    shop.scales_to("web", 6)
    wait_for(lambda: shop.condition("web", "ScalingLimited").get("reason") == "TooFewReplicas", 30, "the limit to be told")
    shop.patch("web", minReplicas=1, maxReplicas=2)
    shop.scales_to("web", 2)
    wait_for(lambda: shop.condition("web", "ScalingLimited").get("reason") == "TooManyReplicas", 30, "the limit to be told")
    shop.patch("web", maxReplicas=10)
    shop.scales_to("web", 3)


def test_somebody_elses_change(shop):
    shop.workload("web", replicas=3)
    shop.load("web", 30)
    shop.autoscaler("web", behavior="{scaleDown: {stabilizationWindowSeconds: 3600}}")
    shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    shop.cluster.kubectl("scale", "deploy", "web", "-n", shop.namespace, "--replicas", "8")
    # What a person wants is above what the metric asks for, and no recommendation: it goes back, as with the HPA, by a decision that says so.
    wait_for(lambda: shop.writes("web") == [("admin", 8), ("neapd", 3)], 30, "it to be seen and decided")
    shop.cluster.kubectl("scale", "deploy", "web", "-n", shop.namespace, "--replicas", "0")
    wait_for(lambda: shop.condition("web", "ScalingActive").get("reason") == "ScalingDisabled", 30, "0 to switch it off, as with the HPA")
    assert shop.replicas("web") == 0
    shop.cluster.kubectl("scale", "deploy", "web", "-n", shop.namespace, "--replicas", "1")
    shop.scales_to("web", 3)


def test_deletion_of_the_target_in_flight(shop):
    shop.workload("web", replicas=3)
    shop.load("web", 30)
    shop.autoscaler("web")
    neapd = shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    shop.load("web", 50)
    shop.cluster.kubectl("delete", "deploy", "web", "-n", shop.namespace, "--wait=false")
    wait_for(lambda: shop.condition("web", "AbleToScale").get("reason") == "FailedGetScale", 30, "the absence to be told")
    assert neapd.running()
    shop.workload("web", replicas=1)  # another object of the same name
    shop.scales_to("web", 5)


def test_deletion_of_the_autoscaler_stops_it(shop):
    shop.workload("web", replicas=3)
    shop.load("web", 30)
    shop.autoscaler("web")
    shop.start_neapd("--journal-dir", shop.stack.path("journal"))
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    shop.cluster.kubectl("delete", "autoscaler", "web", "-n", shop.namespace)
    wait_for(lambda: shop.stack.neapd_metrics()["neap_horizontal_pod_autoscalers"] == 0, 30, "neapd to have no object")
    shop.load("web", 90)
    shop.workload("other")  # the same neapd is alive: it scales another
    shop.load("other", 40)
    shop.autoscaler("other")
    shop.scales_to("other", 4)
    assert shop.replicas("web") == 3


def test_two_autoscalers_on_one_target(shop):
    shop.workload("web", replicas=3)
    shop.load("web", 30)
    shop.load("second", 90)
    shop.autoscaler("web")
    shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    body = shop.cluster.object(shop.namespace, "Autoscaler", "web")
    body["metadata"] = {"name": "second", "namespace": shop.namespace}
    body["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"]["of"] = "second"
    shop.api.post(f"/apis/neap.dev/v1alpha1/namespaces/{shop.namespace}/autoscalers", body)
    for name in ("web", "second"):
        wait_for(lambda: shop.condition(name, "ScalingActive").get("reason") == "AmbiguousSelector", 30, f"{name} to be ambiguous")
    assert shop.writes("web") == []


def test_no_ready_pods_never_scales_down_and_crash_loops_do_not_feed_up(shop):
    shop.workload("web", replicas=4)
    shop.autoscaler("web", metric=METRICS["resource"])
    shop.cluster.metrics.set_usage(shop.namespace, "web", cpu="50m", memory="1Mi")
    shop.start_neapd()
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 60, "web to be active")
    shop.cluster.pods.crash(shop.namespace, "web")
    wait_for(lambda: shop.ready_pods("web") == 0, 30, "no pod to be ready")
    shop.cluster.metrics.set_usage(shop.namespace, "web", cpu="1m", memory="1Mi")
    # Twenty decisions of one a second would have taken it to 1.
    before = decisions(shop)
    wait_for(lambda: decisions(shop) >= before + 20, 60, "20 decisions")
    assert shop.replicas("web") == 4 and shop.writes("web") == []
    shop.cluster.pods.mend(shop.namespace, "web")
    shop.scales_to("web", 1, seconds=60)


def decisions(shop):
    return sum(v for k, v in shop.stack.neapd_metrics().items() if k.startswith("neap_decisions_total"))


def test_events_tell_what_was_done(shop):
    shop.workload("web")
    shop.load("web", 30)
    shop.autoscaler("web")
    shop.start_neapd()
    shop.scales_to("web", 3)

    def told():
        return [e for e in shop.api.get(f"/api/v1/namespaces/{shop.namespace}/events")["items"]
                if e["involvedObject"].get("kind") == "Autoscaler" and e["reason"] == "SuccessfulRescale"]
    event = wait_for(told, 30, "the event SuccessfulRescale")[0]
    assert event["message"].startswith("New size: 3; reason: "), event
    assert event["involvedObject"]["name"] == "web"
    assert "SuccessfulRescale" in shop.cluster.kubectl("describe", "autoscaler", "web", "-n", shop.namespace)


def test_without_the_right_to_patch_it_is_told(shop):
    """A neapd that may read all and write nothing."""
    shop.cluster.kubectl("create", "rolebinding", "reader", "--clusterrole=view", "--user=reader", "-n", shop.namespace)
    shop.cluster.kubectl("create", "role", "autoscalers", "--verb=get,list,watch", "--resource=autoscalers.neap.dev", "-n", shop.namespace)
    shop.cluster.kubectl("create", "rolebinding", "autoscalers", "--role=autoscalers", "--user=reader", "-n", shop.namespace)
    shop.workload("web")
    shop.load("web", 30)
    shop.autoscaler("web")
    neapd = shop.start_neapd(kubeconfig=shop.cluster.kubeconfig_of("reader"))
    neapd.wait_log(r"reader.*cannot patch.*deployments/scale", 60)
    assert shop.replicas("web") == 1 and neapd.running()
    with pytest.raises(ApiError) as refused:
        shop.cluster.api_as("reader").merge(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments/web/scale", {"spec": {"replicas": 3}})
    assert refused.value.status == 403
