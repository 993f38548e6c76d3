"""The chart and what docs/gitops.md says, on a real API server: every object that can be rendered is accepted without an unknown
field, pods are admitted to a namespace that enforces the Pod Security level `restricted`, the cluster's own roles take in
Autoscalers, and the count that Neap writes stays when manifests are applied as the page tells. Rights and running pods are
the end-to-end tests' matter.
"""
import copy
import json
import os
import sys

import pytest
import yaml

import render as chart
from chart_test import CASES
from render import ROOT, one, render, some

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from cluster import Cluster, Missing, path_of, wait_for  # noqa: E402

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
"""


@pytest.fixture(scope="module")
def cluster():
    try:
        it = Cluster(os.environ["NEAP_BIN"])
        it.start()
    except Missing as missing:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(missing))
    try:
        it.install_crd()
        for name, level in (("neap-system", "restricted"), ("shop", "privileged"), ("billing", "privileged")):
            it.create(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{pod-security.kubernetes.io/enforce: {level}}}}}\n")
        yield it
    finally:
        it.stop()


def try_to_create(cluster, item):
    """(status, message) of a strict dry run."""
    path = path_of(item).replace("policys", "policies")
    status, answer = cluster.api.send("POST", f"{path}?dryRun=All&fieldValidation=Strict", item)
    return status, answer.get("message") if isinstance(answer, dict) else answer


def pod_of(deployment):
    spec = copy.deepcopy(deployment["spec"]["template"]["spec"])
    spec["serviceAccountName"] = "default"  # the chart's is not there in a dry run
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "neap", "namespace": "neap-system"}, "spec": spec}


def test_every_object_is_accepted_without_an_unknown_field(cluster):
    accepted = 0
    for case, values in CASES.items():
        for item in render(values):
            if item["kind"] in ("ServiceMonitor", "PrometheusRule"):
                continue  # of the Prometheus operator, which is not here
            status, message = try_to_create(cluster, item)
            assert status == 201, f"{case}: {item['kind']} {item['metadata']['name']}: {message}"
            accepted += 1
    assert accepted > 150
    wrong = one(render(), "Service")  # that the server would say it
    wrong["spec"]["sesionAffinity"] = "None"
    status, message = try_to_create(cluster, wrong)
    assert status == 400 and "sesionAffinity" in message


def test_pods_are_admitted_at_the_restricted_level(cluster):
    for case, values in CASES.items():
        objects = render(values)
        for pod in (pod_of(one(objects, "Deployment")), one(objects, "Pod")):
            status, message = try_to_create(cluster, pod)
            assert status == 201, f"{case}: {message}"
    pod = pod_of(one(render(), "Deployment"))
    del pod["spec"]["containers"][0]["securityContext"]  # that the level is enforced
    status, message = try_to_create(cluster, pod)
    assert status == 403 and "violates PodSecurity \"restricted" in message


def test_view_and_edit_take_in_autoscalers(cluster):
    for role in some(render(), "ClusterRole"):
        if any(label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in role["metadata"]["labels"]):
            cluster.api.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    for user in ("view", "edit", "admin"):
        cluster.create(f"""apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {user}, namespace: shop}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}r}}]
""")

    def may(user, verb, namespace="shop"):
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": user + "r", "resourceAttributes": {
            "namespace": namespace, "group": "neap.dev", "resource": "autoscalers", "verb": verb}}}
        return cluster.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]

    wait_for(lambda: may("view", "list") and may("edit", "create") and may("admin", "delete"), 30, "the roles to be aggregated")
    assert may("edit", "watch") and may("edit", "patch") and may("admin", "deletecollection")
    assert not may("view", "create") and not may("view", "patch") and not may("edit", "list", "billing")


# ---- docs/gitops.md -------------------------------------------------------------------------------------------------

def manifest(replicas=None):
    item = yaml.safe_load(WEB)
    if replicas is None:
        del item["spec"]["replicas"]
    else:
        item["spec"]["replicas"] = replicas
    return item


@pytest.fixture
def web(cluster):
    """The path of a Deployment that is not there, and is removed afterwards."""
    path = DEPLOYMENTS + "/web"
    yield path
    cluster.api.delete(path)
    wait_for(lambda: cluster.api.find(path) is None, 30, "web to be gone")


def count(cluster, path):
    return cluster.api.get(path)["spec"]["replicas"]


def scale_as_neapd(cluster, path, replicas):
    """The PATCH that autoscaler/kube/scale_writer.cc sends, with neapd's User-Agent: the field manager is named by it."""
    connection = cluster.api.connect(30)
    connection.request("PATCH", path + "/scale", json.dumps([{"op": "replace", "path": "/spec/replicas", "value": replicas}]),
                       {"Content-Type": "application/json-patch+json", "User-Agent": "neapd/0.1.0"})
    assert connection.getresponse().status == 200
    connection.close()


def apply_on_server(cluster, path, item, manager="gitops", force=False):
    """(status, answer) of a server-side apply."""
    return cluster.api.send("PATCH", f"{path}?fieldManager={manager}" + ("&force=true" if force else ""), item, "application/apply-patch+yaml")


def kubectl(cluster, *arguments, item):
    return cluster.kubectl(*arguments, "-f", "-", stdin=json.dumps(item))


def test_a_manifest_with_replicas_fights(cluster, web):
    assert apply_on_server(cluster, web, manifest(2))[0] == 201
    scale_as_neapd(cluster, web, 5)
    owners = [(m["manager"], m.get("subresource")) for m in cluster.api.get(web)["metadata"]["managedFields"]
              if "f:replicas" in m["fieldsV1"].get("f:spec", {})]
    assert owners == [("neapd", "scale")]
    status, answer = apply_on_server(cluster, web, manifest(2))
    assert status == 409 and 'conflict with "neapd" with subresource "scale"' in answer["message"] and count(cluster, web) == 5
    assert apply_on_server(cluster, web, manifest(2), force=True)[0] == 200 and count(cluster, web) == 2


def test_server_side_apply_without_replicas_leaves_the_count(cluster, web):
    assert apply_on_server(cluster, web, manifest())[0] == 201
    scale_as_neapd(cluster, web, 5)
    assert apply_on_server(cluster, web, manifest(), force=True)[0] == 200 and count(cluster, web) == 5


def test_leaving_replicas_out_after_neap_has_scaled_leaves_the_count(cluster, web):
    assert apply_on_server(cluster, web, manifest(2))[0] == 201
    scale_as_neapd(cluster, web, 5)
    assert apply_on_server(cluster, web, manifest())[0] == 200 and count(cluster, web) == 5


def test_leaving_replicas_out_before_is_one_pod_unless_another_manager_holds_it(cluster, web):
    assert apply_on_server(cluster, web, manifest(4))[0] == 201
    held = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 4}}
    assert apply_on_server(cluster, web, held, manager="hand-over")[0] == 200
    assert apply_on_server(cluster, web, manifest())[0] == 200 and count(cluster, web) == 4
    scale_as_neapd(cluster, web, 6)  # takes it from that manager
    assert count(cluster, web) == 6
    assert apply_on_server(cluster, web, manifest(6))[0] == 200  # the same value: shared again
    cluster.api.delete(web)
    wait_for(lambda: cluster.api.find(web) is None, 30, "web to be gone")
    assert apply_on_server(cluster, web, manifest(4))[0] == 201
    assert apply_on_server(cluster, web, manifest())[0] == 200 and count(cluster, web) == 1


def test_kubectl_apply_forgets_replicas_only_when_it_is_told_first(cluster, web):
    kubectl(cluster, "apply", item=manifest(2))
    scale_as_neapd(cluster, web, 5)
    kubectl(cluster, "apply", item=manifest())
    assert count(cluster, web) == 1
    kubectl(cluster, "apply", item=manifest(2))
    scale_as_neapd(cluster, web, 5)
    kubectl(cluster, "apply", "set-last-applied", item=manifest())
    kubectl(cluster, "apply", item=manifest())
    assert count(cluster, web) == 5
    kubectl(cluster, "apply", item=manifest())
    assert count(cluster, web) == 5


def test_helm_sets_what_the_chart_of_the_workload_says(cluster, web, tmp_path):
    def upgrade(item):
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: web, version: 1.0.0}")
        (tmp_path / "templates" / "web.yaml").write_text(json.dumps(item))
        chart.run_helm("upgrade", "--install", "web", str(tmp_path), "--namespace", "shop", kubeconfig=cluster.kubeconfig)

    upgrade(manifest(2))
    scale_as_neapd(cluster, web, 5)
    upgrade(manifest(2))
    assert count(cluster, web) == 2  # though its chart did not change
    scale_as_neapd(cluster, web, 5)
    upgrade(manifest())
    assert count(cluster, web) == 1
    scale_as_neapd(cluster, web, 5)
    upgrade(manifest())
    assert count(cluster, web) == 5


def test_the_upgrade_of_the_crd_that_the_notes_tell(cluster):
    """An older CustomResourceDefinition is brought up to the chart's, and its objects stay."""
    crds = yaml.safe_load(chart.run_helm("show", "crds", chart.CHART))
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/autoscalers.neap.dev"
    old = copy.deepcopy(crds)
    properties = old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert properties["properties"].pop("period") and "period" not in properties.get("required", [])
    properties.pop("x-kubernetes-validations", None)  # its rules may name the field
    old["metadata"]["resourceVersion"] = cluster.api.get(path)["metadata"]["resourceVersion"]
    cluster.api.ask("PUT", path, old)
    kubectl(cluster, "apply", "--server-side", "--force-conflicts", item=crds)
    assert cluster.api.get(path)["spec"]["versions"][0]["schema"] == crds["spec"]["versions"][0]["schema"]
