"""charts/neap: what it renders with many values, what it grants, what it refuses."""
import itertools
import json
import os
import re
import subprocess

import pytest
import yaml

import render as chart
from render import CHART, ROOT, container, one, pod_spec, render, rules, some

EXTRA = {"extra": [{"name": "kafka", "image": "example.com/kafka-scaler:1.2", "env": [{"name": "A", "value": "b"}]},
                   {"name": "tickets", "address": "tickets.support.svc:9090"}]}

# Each is a whole use of the chart; the tests below run over all of them.
CASES = {
    "defaults": {},
    "dry run": {"dryRun": True},
    "namespaces": {"namespaces": ["shop", "billing"], "rbac": {"aggregate": False}},
    "shadow": {"dryRun": True, "shadowHpas": True},
    "dry run in namespaces": {"namespaces": ["shop"], "dryRun": True},
    "three replicas": {"replicas": 3, "shards": 32},
    "dry run without the bundle": {"dryRun": True, "replicas": 2, "scalers": {"bundle": {"enabled": False}}},
    "without the bundle": {"scalers": {"bundle": {"enabled": False}, **EXTRA}},
    "other scalers, TLS": {"scalers": {**EXTRA, "tls": {"enabled": True, "secretName": "scaler-tls", "clientCertificate": True}}},
    "custom targets": {"targets": {"extra": [{"apiGroup": "argoproj.io", "resources": ["rollouts"]}]}},
    "all targets": {"targets": {"any": True}},
    "secrets of the cluster": {"secrets": {"access": "cluster"}},
    "secrets of namespaces": {"namespaces": ["shop"], "secrets": {"access": "namespaces", "names": ["redis-auth"]}},
    "everything on": {
        "replicas": 2, "journal": {"enabled": True}, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True},
        "networkPolicy": {"enabled": True, "ingressFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
                          "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]},
        "image": {"registry": "registry.example.com", "repository": "tools/neap", "digest": "sha256:" + "0" * 64, "pullSecrets": ["pull"]},
        "neapd": {"syncPeriod": "5s", "downscaleStabilization": "1m", "cpuInitializationPeriod": "1m30s", "initialReadinessDelay": "10s",
                  "tolerance": 0, "writeQps": 50, "logDecisions": True, "extraArgs": ["--shutdown-timeout=4s"],
                  "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], "port": 9000},
        "podAnnotations": {"a": "b"}, "podLabels": {"team": "scaling"}, "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [{"key": "control", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "topologySpreadConstraints": [], "service": {"annotations": {"prometheus.io/scrape": "true"}}},
    "journal on a claim": {"journal": {"enabled": True, "existingClaim": "neap-journal", "maxSize": "1Gi"}},
    "accounts of others": {"serviceAccount": {"create": False, "name": "mine"}, "scalersServiceAccount": {"create": False, "name": "theirs"},
                           "rbac": {"create": False}},
}


@pytest.fixture(scope="module")
def rendered():
    """{case: objects}"""
    return {name: render(values) for name, values in CASES.items()}


def workloads(objects):
    return some(objects, "Deployment") + some(objects, "Pod")


def test_lint_is_clean():
    for name, values in CASES.items():
        out = chart.run_helm("lint", CHART, "--strict", values=values)
        assert "1 chart(s) linted, 0 chart(s) failed" in out and "[WARNING]" not in out and "[ERROR]" not in out, f"{name}: {out}"


def test_the_chart_has_neaps_version():
    with open(os.path.join(CHART, "Chart.yaml"), encoding="utf-8") as f:
        meta = yaml.safe_load(f)
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as f:
        version = re.search(r"project\(neap VERSION ([0-9.]+)", f.read())[1]
    assert meta["appVersion"] == version
    assert container(one(render(), "Deployment"), "neapd")["image"] == f"neap:{version}"


def test_objects_hold_together(rendered):
    """Each object once; what a pod names is there; selectors find the pods that they mean, and not the test pod."""
    for case, objects in rendered.items():
        keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
        assert len(keys) == len(set(keys)), f"{case}: {keys}"
        for kind, namespace, name in keys:
            assert (namespace is None) == (kind in ("ClusterRole", "ClusterRoleBinding")), f"{case}: {kind} {name}: {namespace}"
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9:]*[a-z0-9])?", name) and len(name) <= (63 if ":" not in name else 253), f"{case}: {name}"
        deployment = one(objects, "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selectors = [deployment["spec"]["selector"]["matchLabels"], one(objects, "Service")["spec"]["selector"]]
        selectors += [o["spec"]["selector"]["matchLabels"] for o in some(objects, "PodDisruptionBudget")]
        selectors += [o["spec"]["podSelector"]["matchLabels"] for o in some(objects, "NetworkPolicy")]
        selectors += [c["labelSelector"]["matchLabels"] for c in pod_spec(deployment)["topologySpreadConstraints"]]
        for selector in selectors:
            assert selector.items() <= labels.items(), case
            assert not selector.items() <= one(objects, "Pod")["metadata"]["labels"].items(), case
        for monitor in some(objects, "ServiceMonitor"):
            assert monitor["spec"]["selector"]["matchLabels"].items() <= one(objects, "Service")["metadata"]["labels"].items()
        config_maps = {o["metadata"]["name"] for o in some(objects, "ConfigMap")} | {"kube-root-ca.crt"}
        for workload in workloads(objects):
            spec = pod_spec(workload)
            volumes = {v["name"] for v in spec.get("volumes", [])}
            mounted = {m["name"] for c in spec["containers"] for m in c.get("volumeMounts", [])}
            assert mounted == volumes, f"{case}: {workload['kind']}"
            for volume in spec.get("volumes", []):
                if "configMap" in volume:
                    assert volume["configMap"]["name"] in config_maps, f"{case}: {volume}"
            for c in spec["containers"]:
                paths = [m["mountPath"] for m in c.get("volumeMounts", [])]
                assert len(paths) == len(set(paths)), case
        accounts = {o["metadata"]["name"] for o in some(objects, "ServiceAccount")}
        if case != "accounts of others":
            assert pod_spec(deployment)["serviceAccountName"] in accounts, case


def test_long_names_are_cut():
    """Helm allows 53 letters for a release; an object's name has 63 at most, and neapd adds to the Leases' more than Helm to others."""
    objects = render({"dashboard": {"enabled": True}}, name="r" * 53)
    assert f"--lease-name={'r' * 40}" in container(one(objects, "Deployment"), "neapd")["args"]
    for o in objects:
        assert len(o["metadata"]["name"].split(":")[-1]) <= 63 and not o["metadata"]["name"].endswith("-"), o["metadata"]["name"]


def test_notes_tell_the_next_command():
    for values, words in (({}, ["kubectl -n neap-system rollout status deployment/neap", "namespace: default"]),
                          ({"namespaces": ["shop"], "dryRun": True}, ["namespaces shop", "no permission to scale", "namespace: shop"])):
        notes = chart.notes(values)
        for word in words:
            assert word in notes, notes
        example = re.search(r"<<EOF\n(.*?)\n  EOF", notes, re.S)[1]
        autoscaler = yaml.safe_load("\n".join(line[2:] for line in example.splitlines()))
        done = subprocess.run([os.path.join(os.environ["NEAP_BIN"], "neapctl"), "validate", "-"], input=yaml.safe_dump(autoscaler), text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
    assert "kubectl apply --server-side" in chart.notes(upgrade=True) and "kubectl apply --server-side" not in chart.notes()


def test_helm_test_asks_the_service(rendered):
    for objects in rendered.values():
        service, pod = one(objects, "Service"), one(objects, "Pod")
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        c = container(pod, "test")
        name, namespace, port = service["metadata"]["name"], service["metadata"]["namespace"], service["spec"]["ports"][0]["port"]
        assert [*c["command"], *c["args"]] == ["/usr/bin/neapctl", "ready", f"http://{name}.{namespace}.svc:{port}", "--wait", "60s"]


def check_restricted(case, spec):
    """Pod Security Standards, level `restricted` (which includes `baseline`), for the fields that a pod here may have."""
    assert not any(spec.get(f) for f in ("hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers")), case
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True and pod["runAsUser"] != 0 and pod["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost"), case
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        assert kinds <= {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}, case
    for c in spec["containers"]:
        context = c["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}, f"{case}: {c['name']}"
        assert not context.get("privileged") and context.get("runAsNonRoot", True) and context.get("runAsUser", 1) != 0, case
        assert not any(p.get("hostPort") for p in c.get("ports", [])), case
        assert context["readOnlyRootFilesystem"] is True, f"{case}: {c['name']}"  # not of the standard: ours


def test_pods_pass_the_restricted_level(rendered):
    for case, objects in rendered.items():
        assert len(workloads(objects)) == 2
        for workload in workloads(objects):
            check_restricted(case, pod_spec(workload))


def test_containers_have_resources_and_fixed_images(rendered):
    for case, objects in rendered.items():
        for workload in workloads(objects):
            for c in pod_spec(workload)["containers"]:
                assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", c["image"]) and not c["image"].endswith(":latest"), f"{case}: {c['image']}"
                if c["image"].startswith("example.com/"):
                    continue  # another's scaler: its resources are the user's to say
                assert {"cpu", "memory"} <= set(c["resources"]["requests"]) and "memory" in c["resources"]["limits"], f"{case}: {c['name']}"
    expected = "registry.example.com/tools/neap@sha256:" + "0" * 64
    assert container(one(rendered["everything on"], "Deployment"), "scalers")["image"] == expected


def test_tokens_are_not_mounted_by_themselves(rendered):
    """neapd's own token lies in its container alone; the bundle's is in memory, and only neapd may write it."""
    for case, objects in rendered.items():
        for account in some(objects, "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False, case
        for workload in workloads(objects):
            assert pod_spec(workload)["automountServiceAccountToken"] is False, case
        spec = pod_spec(one(objects, "Deployment"))
        volumes = {v["name"]: v for v in spec["volumes"]}
        with_token = [c["name"] for c in spec["containers"]
                      if any("serviceAccountToken" in source for m in c["volumeMounts"]
                             for source in volumes[m["name"]].get("projected", {}).get("sources", []))]
        assert with_token == ["neapd"], case
        mounts = {c["name"]: m for c in spec["containers"] for m in c["volumeMounts"] if m["name"] == "scalers-token"}
        if "scalers" not in [c["name"] for c in spec["containers"]]:
            assert mounts == {} and "scalers-token" not in volumes, case
            continue
        assert set(mounts) == {"neapd", "scalers"} and mounts["scalers"]["readOnly"] is True and "readOnly" not in mounts["neapd"], case
        assert volumes["scalers-token"]["emptyDir"]["medium"] == "Memory", case
        token = next(a for a in container(one(objects, "Deployment"), "neapd")["args"] if a.startswith("--scalers-token-file=")).split("=")[1]
        assert os.path.dirname(token) == mounts["neapd"]["mountPath"] == mounts["scalers"]["mountPath"], case
        env = {e["name"]: e["value"] for e in container(one(objects, "Deployment"), "scalers")["env"]}
        assert env["NEAP_TOKEN_FILE"] == token and os.path.dirname(env["NEAP_CA_FILE"]) in [
            m["mountPath"] for m in container(one(objects, "Deployment"), "scalers")["volumeMounts"]], case


def everything_granted(objects, account):
    return {(where, group, resource, verb) for where, rule in rules(objects, account) for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]}


OWN = "neap-system"
READS = {("neap.dev", "autoscalers", v) for v in ("get", "list", "watch")} | \
        {("apps", r, v) for r in ("deployments", "replicasets", "statefulsets") for v in ("get", "list", "watch")} | \
        {("", "pods", v) for v in ("list", "watch")} | \
        {("autoscaling", "horizontalpodautoscalers", v) for v in ("list", "watch")} | \
        {("apps", r + "/scale", "get") for r in ("deployments", "replicasets", "statefulsets")} | {("", "replicationcontrollers/scale", "get")}
HPAS = {("autoscaling", "horizontalpodautoscalers", v) for v in ("list", "watch")}
WRITES = HPAS | {("apps", r + "/scale", "patch") for r in ("deployments", "replicasets", "statefulsets")} | \
         {("", "replicationcontrollers/scale", "patch"), ("neap.dev", "autoscalers/status", "patch"), ("", "events", "create"), ("", "events", "patch")}


TOKEN = (OWN, "", "serviceaccounts/token", "create")
OWN_RIGHTS = {(OWN, "coordination.k8s.io", "leases", v) for v in ("list", "create", "patch", "delete")} | \
    {(OWN, "", "configmaps", v) for v in ("get", "list", "create", "patch")} | {TOKEN}


def test_neapd_may_do_exactly_this(rendered):
    """Whoever widens the chart's rights changes this test, too."""
    def at(where, rights):
        return {(where, *right) for right in rights}

    granted = {case: everything_granted(objects, "neap") for case, objects in rendered.items()}
    assert granted["defaults"] == at("", READS | WRITES) | OWN_RIGHTS
    assert granted["dry run"] == at("", READS) | {TOKEN}
    both = at("shop", READS | WRITES) | at("billing", READS | WRITES)
    assert granted["namespaces"] == both | OWN_RIGHTS
    assert granted["custom targets"] - granted["defaults"] == {("", "argoproj.io", "rollouts/scale", v) for v in ("get", "patch")}
    assert granted["all targets"] - granted["defaults"] == {("", "*", "*/scale", v) for v in ("get", "patch")}
    assert granted["secrets of the cluster"] - granted["defaults"] == {("", "", "secrets", "get")}
    assert granted["secrets of namespaces"] == at("shop", READS | WRITES) | OWN_RIGHTS | {("shop", "", "secrets", "get")}
    assert granted["shadow"] == at("", READS | HPAS) | {TOKEN}
    assert "--shadow-hpas" in container(one(rendered["shadow"], "Deployment"), "neapd")["args"]
    assert granted["dry run without the bundle"] == at("", READS)
    assert granted["without the bundle"] == granted["defaults"] - {TOKEN}
    named = [rule for _, rule in rules(rendered["secrets of namespaces"], "neap") if "secrets" in rule["resources"]]
    assert [rule["resourceNames"] for rule in named] == [["redis-auth"]]
    tokens = [rule for _, rule in rules(rendered["defaults"], "neap") if "serviceaccounts/token" in rule["resources"]]
    assert [rule["resourceNames"] for rule in tokens] == [["neap-scalers"]]


def test_a_dry_run_can_patch_nothing(rendered):
    for case, objects in rendered.items():
        deployment = one(objects, "Deployment")
        if "--dry-run" not in container(deployment, "neapd")["args"]:
            continue
        granted = everything_granted(objects, "neap")
        assert not any(verb in ("patch", "*") for *_, verb in granted), case
        assert all(verb in ("get", "list", "watch") for *_, verb in granted - {TOKEN}), case
        assert "--leases=false" in container(deployment, "neapd")["args"], case  # it could take none


def test_scalers_may_only_read_metrics(rendered):
    expected = {("", "metrics.k8s.io", "pods", "list")} | \
        {("", g, "*", v) for g in ("custom.metrics.k8s.io", "external.metrics.k8s.io") for v in ("get", "list")}
    assert everything_granted(rendered["defaults"], "neap-scalers") == expected
    assert {(group, resource, verb) for _, group, resource, verb in everything_granted(rendered["namespaces"], "neap-scalers")} == \
        {right[1:] for right in expected}
    assert {where for where, *_ in everything_granted(rendered["namespaces"], "neap-scalers")} == {"shop", "billing"}


def test_an_installation_in_namespaces_needs_nothing_of_the_cluster(rendered):
    kinds = {o["kind"] for o in rendered["namespaces"]}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    assert "--namespaces=shop,billing" in container(one(rendered["namespaces"], "Deployment"), "neapd")["args"]


def test_autoscalers_belong_to_the_clusters_own_roles(rendered):
    roles = {o["metadata"]["name"]: o for o in some(rendered["defaults"], "ClusterRole")}
    view, edit = roles["neap-system:neap-view"], roles["neap-system:neap-edit"]
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    assert {k for k in view["metadata"]["labels"] if k.startswith(aggregated)} == {aggregated + r for r in ("view", "edit", "admin")}
    assert {k for k in edit["metadata"]["labels"] if k.startswith(aggregated)} == {aggregated + r for r in ("edit", "admin")}
    assert set(view["rules"][0]["verbs"]) == {"get", "list", "watch"}
    assert set(edit["rules"][0]["verbs"]) == {"create", "update", "patch", "delete", "deletecollection"}


def test_releases_do_not_meet():
    """Two in two namespaces with one name, and two of two names for other namespaces: no object of both."""
    installs = [render({"namespaces": ["shop"]}, namespace="a"), render({}, namespace="b"), render({}, name="second", namespace="c"),
                render({"namespaces": ["shop"]}, namespace="d")]
    keys = [{(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects} for objects in installs]
    for one_install, other in itertools.combinations(keys, 2):
        assert not one_install & other


def test_processes_of_a_release_share_its_work(rendered):
    args = container(one(rendered["three replicas"], "Deployment"), "neapd")["args"]
    assert {"--leases=true", "--lease-name=neap", "--shards=32"} <= set(args)
    assert not any(a.startswith("--shards") for a in container(one(rendered["defaults"], "Deployment"), "neapd")["args"])
    assert one(rendered["three replicas"], "Deployment")["spec"]["replicas"] == 3


def test_optional_parts(rendered):
    kinds = {case: {o["kind"] for o in objects} for case, objects in rendered.items()}
    optional = {"ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"}
    assert not kinds["defaults"] & optional and optional <= kinds["everything on"]
    assert "PodDisruptionBudget" in kinds["three replicas"]
    objects = rendered["everything on"]
    with open(os.path.join(CHART, "files", "rules.yaml"), encoding="utf-8") as f:
        assert one(objects, "PrometheusRule")["spec"] == yaml.safe_load(f)  # the templates in its texts are Prometheus', not Helm's
    dashboard = one(objects, "ConfigMap", "neap-dashboard")
    assert json.loads(dashboard["data"]["neap.json"])["uid"] == "neap" and dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert one(objects, "ServiceMonitor")["spec"]["endpoints"][0]["honorLabels"] is True
    policy = one(objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == [{"ports": [{"port": 53, "protocol": "UDP"}]}]
    only_ingress = one(render({"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]
    assert only_ingress["policyTypes"] == ["Ingress"] and "egress" not in only_ingress
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"] == []
    default = pod_spec(one(rendered["defaults"], "Deployment"))["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in default] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]


def test_probes_ask_what_neapd_serves(rendered):
    c = container(one(rendered["everything on"], "Deployment"), "neapd")
    assert {k: c[k]["httpGet"]["path"] for k in ("livenessProbe", "readinessProbe", "startupProbe")} == \
        {"livenessProbe": "/healthz", "readinessProbe": "/readyz", "startupProbe": "/healthz"}
    assert c["ports"][0]["containerPort"] == 9000 and "--listen-address=:9000" in c["args"]
    assert one(rendered["everything on"], "Service")["spec"]["ports"][0]["port"] == 9000


def test_other_scalers(rendered):
    deployment = one(rendered["other scalers, TLS"], "Deployment")
    args = container(deployment, "neapd")["args"]
    assert [a for a in args if a.startswith("--scalers=")] == \
        [f"--scalers={a}" for a in ("unix:///run/neap/sockets/scalers.sock", "unix:///run/neap/sockets/kafka.sock", "tickets.support.svc:9090")]
    assert "--scaler-tls-cert-file=/etc/neap/scaler-tls/tls.crt" in args
    kafka = container(deployment, "kafka")
    assert kafka["args"] == ["--listen=unix:///run/neap/sockets/kafka.sock"] and [m["name"] for m in kafka["volumeMounts"]] == ["sockets"]


REFUSED = [
    ({"replica": 3}, "replica"),
    ({"replicas": -1}, "replicas"),
    ({"replicas": "three"}, "replicas"),
    ({"fullnameOverride": "a-name-of-more-than-forty-letters-has-no-room"}, "fullnameOverride"),
    ({"shards": 0}, "shards"),
    ({"image": {"tag": "latest"}}, "image"),
    ({"image": {"digest": "sha256:12"}}, "digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"dryRun": "yes"}, "dryRun"),
    ({"namespaces": "shop"}, "namespaces"),
    ({"namespaces": ["Shop"]}, "namespaces"),
    ({"namespaces": ["shop", "shop"]}, "namespaces"),
    ({"secrets": {"access": "all"}}, "access"),
    ({"secrets": {"access": "namespaces"}}, "secrets.namespaces"),
    ({"secrets": {"access": "cluster"}, "namespaces": ["shop"]}, "secrets.access"),
    ({"neapd": {"syncPeriod": 15}}, "syncPeriod"),
    ({"neapd": {"syncPeriod": "15 s"}}, "syncPeriod"),
    ({"neapd": {"tolerance": -0.1}}, "tolerance"),
    ({"neapd": {"writeQps": 0}}, "writeQps"),
    ({"neapd": {"port": 80}}, "port"),
    ({"neapd": {"resource": {}}}, "resource"),
    ({"neapd": {"extraArgs": ["dry-run"]}}, "extraArgs"),
    ({"neapd": {"extraEnv": [{"value": "x"}]}}, "extraEnv"),
    ({"journal": {"maxSize": "lots"}}, "maxSize"),
    ({"journal": {"enabled": True, "existingClaim": "c"}, "replicas": 2}, "journal.existingClaim"),
    ({"targets": {"extra": [{"resources": ["rollouts"]}]}}, "apiGroup"),
    ({"targets": {"extra": [{"apiGroup": "argoproj.io", "resources": ["rollouts/scale"]}]}}, "resources"),
    ({"scalers": {"extra": [{"name": "kafka"}]}}, "extra"),
    ({"scalers": {"extra": [{"name": "kafka", "image": "k:1", "address": "k:1"}]}}, "extra"),
    ({"scalers": {"extra": [{"name": "kafka", "image": "kafka"}]}}, "image"),
    ({"scalers": {"extra": [{"name": "kafka", "address": "kafka"}]}}, "address"),
    ({"scalers": {"extra": [{"name": "scalers", "image": "k:1"}]}}, "scalers.extra"),
    ({"scalers": {"extra": [{"name": "k", "image": "k:1"}, {"name": "k", "image": "k:1"}]}}, "scalers.extra"),
    ({"serviceAccount": {"name": "one"}, "scalersServiceAccount": {"name": "one"}}, "scalersServiceAccount.name"),
    ({"podDisruptionBudget": {"maxUnavailable": "many"}}, "maxUnavailable"),
    ({"serviceMonitor": {"interval": "often"}}, "interval"),
    ({"networkPolicy": {"ingressFrom": [{"pods": {}}]}}, "ingressFrom"),
    ({"terminationGracePeriodSeconds": 3}, "terminationGracePeriodSeconds"),
    ({"podLabels": {"a": 1}}, "podLabels"),
]


@pytest.mark.parametrize("values, field", REFUSED, ids=[json.dumps(v) for v, _ in REFUSED])
def test_wrong_values_are_refused_by_name(values, field):
    with pytest.raises(chart.Refused) as refused:
        render(values)
    assert field in str(refused.value)


def schema_keys(schema):
    return {k: schema_keys(v) for k, v in schema.get("properties", {}).items()}


def test_every_value_is_in_the_schema_and_the_other_way_round():
    with open(os.path.join(CHART, "values.yaml"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(CHART, "values.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)

    def compare(values, part, where):
        if part.get("type") != "object" or "properties" not in part:
            return
        assert part["additionalProperties"] is False, where
        if part.get("properties") and isinstance(values, dict) and values and where.split(".")[-1] not in ("resources", "affinity"):
            assert set(values) == set(part["properties"]) - {"global"}, where
            for key, value in values.items():
                compare(value, part["properties"][key], f"{where}.{key}")

    compare(yaml.safe_load(text), schema, "values")


def test_no_image_is_the_latest():
    """In no file of the repository that names images."""
    for folder in (CHART, os.path.join(ROOT, "Dockerfile"), os.path.join(ROOT, "docs")):
        paths = [folder] if os.path.isfile(folder) else [os.path.join(d, f) for d, _, files in os.walk(folder) for f in files]
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as f:
                assert not re.search(r":latest\b", f.read()), path
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as f:
        bases = re.findall(r"^FROM (\S+)", f.read(), re.M)
    assert all(":" in base or base == "scratch" for base in bases), bases


def test_kube_state_metrics_paths_are_fields_of_the_crd():
    with open(os.path.join(CHART, "files", "kube-state-metrics.yaml"), encoding="utf-8") as f:
        resource = yaml.safe_load(f)["spec"]["resources"][0]
    with open(os.path.join(CHART, "crds", "autoscalers.neap.dev.yaml"), encoding="utf-8") as f:
        crd = yaml.safe_load(f)["spec"]
    kind = resource["groupVersionKind"]
    version = next(v for v in crd["versions"] if v["name"] == kind["version"])
    assert (kind["group"], kind["kind"]) == (crd["group"], crd["names"]["kind"])
    schema = version["schema"]["openAPIV3Schema"]

    def find(path, start):
        if path[0] == "metadata":
            assert path[1] in ("name", "namespace", "generation") and len(path) == 2, path
            return {}
        for name in path:
            assert name in start.get("properties", {}), f"{path}: {name}"
            start = start["properties"][name]
        return start.get("items", start)

    for path in resource["labelsFromPath"].values():
        find(path, schema)
    names = [m["name"] for m in resource["metrics"]]
    assert len(names) == len(set(names))
    for metric in resource["metrics"]:
        each = metric["each"]
        body = each[each["type"].lower()]
        inner = find(body["path"], schema) if "path" in body else schema
        for path in [*body.get("labelsFromPath", {}).values(), *([body["valueFrom"]] if "valueFrom" in body else [])]:
            find(path, inner)
