"""Shared by the end-to-end tests: one control plane for all tests of a file; for each test a namespace, neapd and scalers of its own.

A test sees NEAP_BIN's neapd and neap-scalers as a cluster would: through the API server alone, as users with the roles of roles.yaml.
"""
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from cluster import ROOT, Cluster, Missing, Stack, wait_for  # noqa: E402
from local_pods import LocalPods  # noqa: E402

# One metric, External, that asks for value / 10 replicas.
LOAD = "{type: External, external: {metric: {name: load, selector: {matchLabels: {of: NAME}}}, target: {type: AverageValue, averageValue: \"10\"}}}"

AT_ONCE = "{scaleUp: {policies: [{type: Pods, value: 100, periodSeconds: 1}]}, scaleDown: {stabilizationWindowSeconds: 0}}"

GROUPS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "ReplicaSet": "apps/v1", "ReplicationController": "v1", "Ring": "e2e.neap.dev/v1"}


def lacks(missing):
    """What a test needs and the machine has not: CI may skip nothing."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(missing))


@pytest.fixture(scope="module")
def cluster():
    try:
        it = Cluster(os.environ["NEAP_BIN"])
    except Missing as missing:
        lacks(missing)
    with it:
        it.install_crd()
        with open(os.path.join(HERE, "roles.yaml")) as f:
            it.create(f.read())
        yield it


@pytest.fixture(scope="module")
def machine():
    """A control plane in which the pods of neap-system are real processes, for tests that install the chart."""
    helm = subprocess.run([os.path.join(ROOT, "tools", "go-tools"), "helm"], text=True, stdout=subprocess.PIPE)
    try:
        if helm.returncode != 0:
            raise Missing("helm can't be built, see above")
        if os.getuid() != 0:
            raise Missing("the chart's pods need root, for mount namespaces")
        it = Cluster(os.environ["NEAP_BIN"])
    except Missing as missing:
        lacks(missing)
    with it:
        yield Machine(it, helm.stdout.strip())


class Machine:
    """Whose commands are run: helm and kubectl in the PATH, a home of its own."""

    def __init__(self, cluster, helm):
        self.cluster = cluster
        self.pods = cluster.pods.local["neap-system"] = LocalPods(cluster, "neap-system", os.environ["NEAP_BIN"])
        for folder in ("bin", "home"):
            os.mkdir(cluster.path(folder))
        os.symlink(helm, cluster.path("bin", "helm"))
        os.symlink(cluster.asset("kubectl"), cluster.path("bin", "kubectl"))
        self.env = {**os.environ, "PATH": cluster.path("bin") + ":" + os.environ["PATH"], "KUBECONFIG": cluster.kubeconfig, "HOME": cluster.path("home")}

    def helm(self, *arguments):
        done = subprocess.run(["helm", *arguments], cwd=ROOT, env=self.env, text=True, capture_output=True, timeout=180)
        if done.returncode != 0:
            self.print_logs()
            raise RuntimeError(f"helm {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def print_logs(self):
        for child in list(self.pods.processes.values()):
            print(f"---- {child.name}\n{child.log()[-4000:]}")


def namespace_of(request):
    return re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")


@pytest.fixture
def shop(cluster, request):
    it = Shop(cluster, namespace_of(request))
    with it.stack:
        yield it
        if hasattr(request.node, "failed_call"):
            for child in it.stack.children + cluster.stack.children:
                print(f"---- {child.name}\n{child.log()[-4000:]}")
            print(cluster.kubectl("get", "all,autoscalers", "-n", it.namespace, "-o", "wide", check=False).stdout)
        if cluster.apiserver.running():
            it.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        item.failed_call = True


class Shop:
    """A namespace with workloads, and the neapd that serves it."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.api = cluster.api
        self.stack = Stack(os.environ["NEAP_BIN"])
        self.stack.kubeconfig = cluster.kubeconfig_of("neap-scalers")
        cluster.create(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}")
        wait_for(lambda: self.api.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), 30, "the namespace's account")

    def remove(self):
        for kind in ("autoscalers", "deployments", "statefulsets", "replicasets"):
            root = "neap.dev/v1alpha1" if kind == "autoscalers" else "apps/v1"
            self.api.delete(f"/apis/{root}/namespaces/{self.namespace}/{kind}")
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")

    def start_neapd(self, *flags, scalers="bundle", kubeconfig=None):
        """neapd for this namespace, with the bundle or with the stub scaler of the tests."""
        if scalers == "bundle":
            self.stack.start_scalers()
        else:
            self.stack.start_stub_scaler()
        return self.stack.start_neapd("--namespaces", self.namespace, *flags, kubeconfig=kubeconfig or self.cluster.kubeconfig_of("neapd"))

    def workload(self, name, kind="Deployment", replicas=1, requests="{cpu: 100m, memory: 100Mi}"):
        template = f"""
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, image: none, resources: {{requests: {requests}}}}}]}}"""
        selector = f"{{app: {name}}}" if kind == "ReplicationController" else f"{{matchLabels: {{app: {name}}}}}"
        extra = "\n  serviceName: none" if kind == "StatefulSet" else ""
        if kind == "Ring":
            template, selector = "", f"\"app={name}\""
        self.cluster.create(f"""apiVersion: {GROUPS[kind]}
kind: {kind}
metadata: {{name: {name}, namespace: {self.namespace}}}
spec:
  replicas: {replicas}
  selector: {selector}{extra}{template}
""")

    def autoscaler(self, name, metric=LOAD, trigger=None, kind="Deployment", **spec):
        """An Autoscaler of the workload of that name: on LOAD, on another metric (YAML), or on a trigger (YAML). Without the HPA's limits."""
        spec = {"maxReplicas": 20, "period": "1s", "behavior": AT_ONCE, **spec}
        lines = ["apiVersion: neap.dev/v1alpha1", "kind: Autoscaler", f"metadata: {{name: {name}, namespace: {self.namespace}}}", "spec:",
                 f"  scaleTargetRef: {{apiVersion: {GROUPS[kind]}, kind: {kind}, name: {name}}}"]
        lines += [f"  {key}: {value}" for key, value in spec.items()]
        lines += [f"  triggers: [{trigger}]"] if trigger else [f"  metrics: [{metric.replace('NAME', name)}]"]
        self.cluster.create("\n".join(lines))

    def stub(self, name, value, **spec):
        """An Autoscaler on the stub scaler's trigger: it asks for value / 10 replicas."""
        self.autoscaler(name, trigger=f"{{type: stub, metadata: {{key: {name}, target: \"10\", value: \"{value}\"}}}}", **spec)

    def load(self, name, value):
        """What LOAD of that name says from now on."""
        self.cluster.metrics.set_external(self.namespace, "load", str(value), of=name)

    def patch(self, name, **spec):
        self.api.merge(f"/apis/neap.dev/v1alpha1/namespaces/{self.namespace}/autoscalers/{name}", {"spec": spec})

    def replicas(self, name, kind="Deployment"):
        return self.cluster.replicas(self.namespace, kind, name, GROUPS[kind])

    def condition(self, name, kind):
        return self.cluster.condition(self.namespace, name, kind)

    def ready_pods(self, name):
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))
                   for p in self.cluster.pods.pods(self.namespace, name))

    def scales_to(self, name, count, kind="Deployment", seconds=30):
        wait_for(lambda: self.replicas(name, kind) == count, seconds, f"{kind} {name} to have {count} replicas")

    def writes(self, name):
        """The audit log's successful writes of a scale: (user, replicas), in order."""
        found = []
        for entry in self.cluster.audit():
            ref = entry.get("objectRef", {})
            if ref.get("namespace") == self.namespace and ref.get("name") == name and ref.get("subresource") == "scale" and \
                    entry["verb"] in ("patch", "update") and entry["responseStatus"]["code"] == 200:
                body = entry.get("requestObject")
                spec = body[-1]["value"] if isinstance(body, list) else (body or {}).get("spec", {})
                found.append((entry["user"]["username"], spec.get("replicas", 0)))
        return found

    def wrote(self, name, *counts):
        """Waits for the audit log, which is a moment behind, to show these writes of neapd's and no others: their counts."""
        wait_for(lambda: [n for _, n in self.writes(name)] == list(counts), 10, f"the writes of {name} to be {counts}")
