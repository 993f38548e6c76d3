"""kubectl neap: neapctl by its plugin's name, against the playground and against a scripted API server."""
import datetime
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.request

import pytest
import yaml

from support import BIN

WORLD = """\
namespaces: [shop, blog]
deployments:
- {name: checkout, namespace: shop, replicas: 2}
- {name: site, namespace: blog, replicas: 1}
"""
OBJECTS = "\n---\n".join(
    f"""apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {{name: {name}, namespace: {ns}}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  {more}
  metrics:
  - type: Resource
    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 60}}}}
""" for ns, name, more in [("shop", "checkout", "maxReplicas: 9"), ("blog", "site", "{min}")]).replace(
        "{min}", "minReplicas: 2\n  maxReplicas: 5\n  mode: DryRun")


class Ground:
    """A playground, and kubectl-neap with its kubeconfig."""

    def __init__(self, directory):
        self.directory = directory
        self.plugin = directory / "kubectl-neap"
        os.symlink(os.path.join(BIN, "neapctl"), self.plugin)
        (directory / "world.yaml").write_text(WORLD)
        (directory / "objects.yaml").write_text(OBJECTS)
        self.process = subprocess.Popen(
            [os.path.join(BIN, "neapctl"), "playground", "--world", directory / "world.yaml", "--objects",
             directory / "objects.yaml", f"--kubeconfig={directory}/kubeconfig"], stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.process.stdout.readline())[0]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def run(self, *arguments, kubeconfig=None):
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig or self.directory / "kubeconfig")}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        done = subprocess.run([self.plugin, *arguments], capture_output=True, text=True, env=environment, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def call(self, path, method="GET", body=None, content_type="application/json"):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def autoscaler(self, ns, name):
        return self.call(f"/apis/neap.dev/v1alpha1/namespaces/{ns}/autoscalers/{name}")


@pytest.fixture
def ground(tmp_path):
    it = Ground(tmp_path)
    yield it
    it.stop()


STATUS = {
    "metrics": "cpu: 45%/60%", "currentReplicas": 2, "desiredReplicas": 3,
    "conditions": [
        {"type": "AbleToScale", "status": "False", "reason": "TargetScaledByHPA", "message": "HPA web scales it"},
        {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "fine"},
        {"type": "ScalingLimited", "status": "True", "reason": "HeldCrashLoop", "message": "held"},
        {"type": "Accepted", "status": "True", "reason": "ValidWithWarnings", "message": "spec.x: unknown field"}],
}


def test_status(ground):
    ground.call("/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/checkout/status", "PATCH", {"status": STATUS},
                "application/merge-patch+json")
    assert ground.run("status", "-n", "shop") == (0, """\
NAME       TARGET                METRICS        MIN   MAX   REPLICAS   DESIRED   MODE   ABLE                      ACTIVE                  LIMITED
checkout   Deployment/checkout   cpu: 45%/60%   1     9     2          3         Live   False TargetScaledByHPA   True ValidMetricFound   True HeldCrashLoop

checkout: AbleToScale False (TargetScaledByHPA): HPA web scales it
checkout: Accepted True (ValidWithWarnings): spec.x: unknown field
""", "")
    code, text, _ = ground.run("status", "-A")
    assert code == 0
    assert [line.split()[:3] for line in text.splitlines()[:3]] == [
        ["NAMESPACE", "NAME", "TARGET"], ["blog", "site", "Deployment/site"], ["shop", "checkout", "Deployment/checkout"]]
    assert re.search(r"^blog +site +Deployment/site +<unknown> +2 +5 +DryRun", text, re.M), text
    assert "shop/checkout: AbleToScale False (TargetScaledByHPA): HPA web scales it\n" in text
    # The namespace of the context, which says none.
    assert ground.run("status") == (0, "no Autoscalers found in namespace default\n", "")
    rows = json.loads(ground.run("status", "-n", "shop", "-o", "json")[1])["autoscalers"]
    assert [(r["name"], r["mode"], r["conditions"][0]["reason"]) for r in rows] == [("checkout", "Live", "TargetScaledByHPA")]


def test_pause_and_resume(ground):
    assert ground.run("pause", "site", "-n", "blog") == (
        0, "blog/site paused (it was DryRun); its replicas stay as they are\n", "")
    paused = ground.autoscaler("blog", "site")
    assert paused["spec"]["mode"] == "Paused"
    assert paused["metadata"]["annotations"] == {"neap.dev/mode-before-pause": "DryRun"}
    assert ground.run("pause", "site", "-n", "blog") == (0, "blog/site is paused already\n", "")
    assert ground.run("resume", "site", "-n", "blog") == (0, "blog/site resumed: it is DryRun again\n", "")
    resumed = ground.autoscaler("blog", "site")
    assert resumed["spec"]["mode"] == "DryRun" and not resumed["metadata"].get("annotations")
    assert ground.run("resume", "site", "-n", "blog") == (0, "blog/site is not paused, it is DryRun\n", "")
    # Paused by other means.
    ground.call("/apis/neap.dev/v1alpha1/namespaces/blog/autoscalers/site", "PATCH", {"spec": {"mode": "Paused"}},
                "application/merge-patch+json")
    assert ground.run("resume", "site", "-n", "blog") == (
        0, "blog/site resumed: it is Live (it was not paused by kubectl neap)\n", "")


def test_what_is_no_autoscaler(ground):
    ground.call("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers", "POST", {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}, "maxReplicas": 3}})
    for verb in ("pause", "resume"):
        assert ground.run(verb, "web", "-n", "shop") == (1, "", (
            f"kubectl neap: shop/web is a HorizontalPodAutoscaler: its own controller scales, Neap can't {verb} it\n"))
        assert ground.run(verb, "nobody", "-n", "shop") == (2, "", "kubectl neap: there is no Autoscaler shop/nobody\n")


def test_contexts_and_kubeconfigs(ground):
    config = yaml.safe_load((ground.directory / "kubeconfig").read_text())
    name = config["contexts"][0]["name"]
    config["contexts"].append({"name": "blog", "context": {**config["contexts"][0]["context"], "namespace": "blog"}})
    other = ground.directory / "other"
    other.write_text(yaml.safe_dump(config))
    code, text, _ = ground.run("status", "--context", "blog", kubeconfig=other)
    assert code == 0 and "site" in text and "checkout" not in text, text
    assert ground.run("status", "--context", name, "--kubeconfig", str(other), kubeconfig="/none")[0] == 0
    code, _, error = ground.run("status", "--context", "nowhere", kubeconfig=other)
    assert code == 2 and "nowhere" in error, error
    code, _, error = ground.run("status", "--kubeconfig", "/none")
    assert code == 2 and "/none" in error, error
    assert ground.run("status", "-A", "-n", "shop")[0] == 2
    code, text, _ = ground.run("--help")
    assert code == 0 and "kubectl neap" in text and "pause" in text and "simulate" not in text, text


class Scripted:
    """An API server that knows answers by path, None hangs up; `asked` is what it was asked, with the query."""

    def __init__(self, directory, answers):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                answer = answers.get(self.path.split("?")[0], (404, "not here\n"))
                if answer is None:
                    self.close_connection = True
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.kubeconfig = directory / "scripted"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}],
            "users": [{"name": "u", "user": {}}]}))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def pod(name, phase="Running", container="neapd"):
    return {"metadata": {"name": name, "namespace": "neap"}, "status": {"phase": phase},
            "spec": {"containers": [{"name": "scalers"}, {"name": container, "ports": [{"name": "http", "containerPort": 8081}]}]}}


def shadows(**rows):
    since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return 200, json.dumps({"shadows": [
        {"namespace": ns, "name": name, "target": f"Deployment/{name}", "replicas": 4, "hpaDesired": 4, "since": since,
         "compared": 10, "equal": 10, "different": 0, **more} for name, (ns, more) in rows.items()]})


@pytest.fixture
def scripted(tmp_path):
    made = []

    def make(answers):
        made.append(Scripted(tmp_path, answers))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_neapds_are_found_behind_the_api_server(tmp_path, scripted):
    plugin = tmp_path / "kubectl-neap"
    os.symlink(os.path.join(BIN, "neapctl"), plugin)
    proxy = "/api/v1/namespaces/neap/pods/{}:8081/proxy"
    pods = {"items": [pod("neap-1"), pod("neap-0"), pod("neap-2", "Pending"), pod("test", container="test")]}
    answers = {
        "/api/v1/pods": (200, json.dumps(pods)),
        "/api/v1/namespaces/elsewhere/pods": (200, json.dumps({"items": []})),
        proxy.format("neap-0") + "/shadow": shadows(web=("shop", {"neapDesired": 4})),
        proxy.format("neap-1") + "/shadow": shadows(
            api=("shop", {"problem": "no answer"}), site=("blog", {"neapDesired": 5})),
        proxy.format("neap-0") + "/records": (404, "shop/web: there is no such object, or it is refused\n"),
        proxy.format("neap-1") + "/records": (504, "shop/web: it was not decided within 1m30s\n"),
    }
    server = scripted(answers)

    def run(*arguments):
        environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        done = subprocess.run([plugin, *arguments], capture_output=True, text=True, env=environment, timeout=60)
        return done.returncode, done.stdout, done.stderr

    # The shards of both, the context's namespace alone.
    code, text, error = run("shadow")
    assert code == 0, error
    lines = [line.split() for line in text.splitlines()]
    assert lines[1][:9] == ["shop", "api", "Deployment/api", "4", "4", "?", "10", "10", "0"], text
    assert lines[1][10:] == ["not", "decided:", "no", "answer"] and lines[1][9].startswith("2h0m"), text
    assert lines[2][:9] == ["shop", "web", "Deployment/web", "4", "4", "4", "10", "10", "0"], text
    assert text.endswith("\n20 decisions compared, 0 different: the difference stood longer than the HPA's sync period.\n")
    assert "blog" not in text
    code, text, _ = run("shadow", "-A")
    assert code == 0 and "Deployment/site" in text
    assert any(path.startswith("/api/v1/pods?labelSelector=app.kubernetes.io%2Fname%3Dneap") for path in server.asked)

    code, text, error = run("explain", "web")
    assert (code, text) == (2, "")
    assert "pod neap/neap-0: 404" in error and "there is no such object" in error, error
    assert "pod neap/neap-1: 504" in error and "not decided within" in error, error
    code, _, error = run("shadow", "--neap-namespace", "elsewhere")
    assert code == 2 and "no running pod with label app.kubernetes.io/name=neap" in error, error
    code, _, error = run("shadow", "--address", "http://127.0.0.1:1")
    assert code == 2 and "127.0.0.1:1" in error, error

    # A list that lacks a neapd's part would be taken for the whole: no list, and who did not answer.
    answers[proxy.format("neap-1") + "/shadow"] = None
    code, text, error = run("shadow")
    assert (code, text) == (2, "") and error.startswith("kubectl neap: pod neap/neap-1: "), (text, error)
    answers[proxy.format("neap-0") + "/shadow"] = (503, "not yet\n")
    code, text, error = run("shadow")
    assert (code, text) == (2, "") and "pod neap/neap-0: 503" in error and "not yet" in error, (text, error)
