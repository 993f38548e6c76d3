"""The CRD on a real API server: what it refuses and in which words, its defaults, and how kubectl shows it."""
import copy
import glob
import os
import re

import pytest
import yaml

from cluster import AUTOSCALERS, CRD, ROOT, ApiError, wait_for

EXTERNAL = {"type": "External", "external": {"metric": {"name": "load"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
GOOD = {
    "apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": "web", "namespace": "default"},
    "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5, "metrics": [EXTERNAL]}}


def source(kind, **fields):
    """An entry of metrics of one source."""
    return [{"type": kind, kind[0].lower() + kind[1:]: fields}]


BOTH = {"type": "Utilization", "averageUtilization": 50, "averageValue": "1"}
NEITHER = {"type": "Value"}
HIT = {"kind": "Service", "name": "web"}

# (what of the spec, to what, the words of the refusal). One for each rule of the CRD, and for each kind of bound of its schema.
BAD = [
    ("minReplicas", 6, "maxReplicas must be greater than or equal to minReplicas"),
    ("metrics", [], "must specify at least one metric or trigger"),
    ("period", "500ms", "period must be between 1s and 1h"),
    ("period", "2h", "period must be between 1s and 1h"),
    ("pollingInterval", "25h", "pollingInterval must be between 1s and 24h"),
    ("pollingInterval", "100ms", "pollingInterval must be between 1s and 24h"),
    ("zeroPolicy", "Activation", "Activation is not supported yet"),
    ("triggers", [{"type": "redis", "authenticationRef": {"name": "a"}}], "authenticationRef is not supported yet"),
    ("metrics", source("External", metric={"name": "m"}, target={"type": "Value", "value": "0"}), "value must be positive"),
    ("metrics", source("External", metric={"name": "m"}, target={"type": "AverageValue", "averageValue": "-1"}), "averageValue must be positive"),
    ("minReplicas+metrics", (0, source("Resource", name="cpu", target={"type": "Utilization", "averageUtilization": 50})),
     "scaling to zero replicas needs an Object or External metric or a trigger other than cpu and memory"),
    ("triggers", [{"type": "redis", "name": "a"}, {"type": "redis", "name": "a"}], "names of triggers must be unique"),
    ("triggers", [{"type": "cpu"}], "metricType of a cpu or memory trigger must be Utilization or AverageValue"),
    ("triggers", [{"type": "hpa-resource"}], "types beginning with hpa- are reserved: write an entry of metrics"),
    ("scaleTargetRef", {"kind": "Deployment", "name": "web"}, "apiVersion must specify API group"),
    ("metrics", [{**EXTERNAL, "type": "Pods"}], "must populate information for the given metric source only"),
    ("metrics", source("Resource", name="cpu", target=BOTH), "must set either a target raw value or a target utilization, not both"),
    ("metrics", source("ContainerResource", name="cpu", container="app", target=BOTH),
     "must set either a target raw value or a target utilization, not both"),
    ("metrics", source("Pods", metric={"name": "m"}, target=NEITHER), "must specify a positive target averageValue"),
    ("metrics", source("Object", metric={"name": "m"}, describedObject=HIT, target=NEITHER), "must set either a target value or averageValue"),
    ("metrics", source("External", metric={"name": "m"}, target=NEITHER), "must set either a target value for metric or a per-pod target, not both"),
    # the schema's own bounds
    ("maxReplicas", 0, "spec.maxReplicas: Invalid value: 0: spec.maxReplicas in body should be greater than or equal to 1"),
    ("maxReplicas", None, "spec.maxReplicas: Required value"),
    ("maxReplicas", 2**31, "spec.maxReplicas"),
    ("mode", "Lively", 'spec.mode: Unsupported value: "Lively": supported values: "Live", "DryRun", "Paused"'),
    ("period", "soon", "spec.period"),
    ("behavior", {"scaleDown": {"stabilizationWindowSeconds": 3601}}, "spec.behavior.scaleDown.stabilizationWindowSeconds"),
    ("behavior", {"scaleUp": {"policies": []}}, "spec.behavior.scaleUp.policies"),
    ("behavior", {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1}]}}, "spec.behavior.scaleUp.policies[0].value"),
    ("metrics", [EXTERNAL] * 33, "spec.metrics: Too many: 33: must have at most 32 items"),
    ("metrics", source("External", metric={"name": "a/b"}, target={"type": "Value", "value": 1}), "spec.metrics[0].external.metric.name"),
    ("scaleTargetRef", {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x" * 254}, "spec.scaleTargetRef.name: Too long"),
]


def changed(field, value):
    item = copy.deepcopy(GOOD)
    for name, one in zip(field.split("+"), value if "+" in field else [value]):
        if one is None:
            del item["spec"][name]
        else:
            item["spec"][name] = one
    return item


@pytest.mark.parametrize("field, value, words", BAD, ids=[f"{i}-{b[0]}" for i, b in enumerate(BAD)])
def test_a_bad_object_is_refused_by_the_api_server(cluster, field, value, words):
    with pytest.raises(ApiError) as refused:
        cluster.api.post(f"{AUTOSCALERS}/namespaces/default/autoscalers?dryRun=All", changed(field, value))
    assert refused.value.status == 422 and words in refused.value.body["message"], refused.value


def test_every_rule_of_the_crd_has_a_bad_object():
    with open(CRD) as f:
        messages = set(re.findall(r"^ +message: '?(.*?)'?$", f.read(), re.M))
    messages.discard("")  # the status' field of that name
    assert len(messages) > 10 and messages <= {words for _, _, words in BAD}, messages - {words for _, _, words in BAD}


def test_a_good_object_gets_its_defaults_and_unknown_fields_are_told(cluster):
    item = copy.deepcopy(GOOD)
    item["spec"]["maxReplicaz"] = 3
    with pytest.raises(ApiError) as refused:
        cluster.api.post(f"{AUTOSCALERS}/namespaces/default/autoscalers?dryRun=All&fieldValidation=Strict", item)
    assert 'unknown field "spec.maxReplicaz"' in refused.value.body["message"], refused.value
    made = cluster.api.post(f"{AUTOSCALERS}/namespaces/default/autoscalers?dryRun=All", GOOD)
    assert made["spec"]["minReplicas"] == 1 and made["spec"]["mode"] == "Live", made["spec"]


def test_examples_of_the_documents_are_accepted(cluster):
    """Every YAML block of docs/ that is an Autoscaler."""
    found = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "*.md"))) + [os.path.join(ROOT, "README.md")]:
        with open(path) as f:
            blocks = re.findall(r"^```yaml\n(.*?)^```", f.read(), re.M | re.S)
        for item in [i for b in blocks if "kind: Autoscaler" in b for i in yaml.safe_load_all(b)]:
            if isinstance(item, dict) and item.get("kind") == "Autoscaler":
                cluster.api.post(f"{AUTOSCALERS}/namespaces/default/autoscalers?dryRun=All&fieldValidation=Strict",
                                 {**item, "metadata": {**item["metadata"], "namespace": "default"}})
                found += 1
    assert found >= 1


def test_kubectl_get_and_explain(shop):
    shop.workload("web")
    shop.load("web", 30)
    shop.autoscaler("web", minReplicas=2)
    shop.start_neapd()
    shop.scales_to("web", 3)
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 30, "web to be active")
    def row():
        """The table's cells by their column; a cell may be empty."""
        lines = shop.cluster.kubectl("get", "autoscalers", "-n", shop.namespace).splitlines()
        starts = [m.start() for m in re.finditer(r"\S+", lines[0])] + [None]
        return {lines[0][i:j].strip(): lines[1][i:j].strip() for i, j in zip(starts, starts[1:])}
    wait_for(lambda: row()["DESIRED"] == row()["REPLICAS"] == "3", 30, "the status to say 3")
    shown = row()
    assert shown["NAME"] == "web" and shown["MIN"] == "2" and shown["MAX"] == "20" and shown["MODE"] == "Live", shown
    assert shown["TARGET"] == "web" or shown["TARGET"].endswith("/web"), shown
    assert shown["AGE"] and shown["REASON"] == "ValidMetricFound", shown
    assert "web" in shop.cluster.kubectl("get", "all", "-n", shop.namespace)  # the category
    text = shop.cluster.kubectl("explain", "autoscalers.spec.scaleTargetRef")
    assert "KIND:" in text and "Autoscaler" in text and "anything with a scale subresource" in " ".join(text.split()), text
    for path in ("spec.behavior.scaleDown.policies", "spec.triggers", "spec.metrics.external.target", "status.conditions"):
        text = shop.cluster.kubectl("explain", f"autoscalers.{path}")
        fields = text[text.index("FIELDS:"):]
        assert "<no description>" not in text, text
        assert fields.count("\n  ") >= 3, text


def test_what_the_server_cant_refuse_becomes_a_condition(shop):
    shop.workload("web", replicas=4)
    shop.autoscaler("web", trigger="{type: rediss, metadata: {listName: jobs}}")
    shop.start_neapd()

    def told():
        conditions = (shop.cluster.object(shop.namespace, "Autoscaler", "web").get("status") or {}).get("conditions") or []
        return [c for c in conditions if c["status"] == "False" and "rediss" in c["message"]]
    assert wait_for(told, 30, "the unknown type of trigger to be named")
    assert shop.replicas("web") == 4
