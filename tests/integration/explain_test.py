"""neapctl and kubectl neap explain of a running neapd, and replay --with of the journal that it wrote."""
import http.server
import json
import re
import subprocess
import threading
import urllib.request

from stack import wait_for
from worlds import autoscaler, objects, world

WINDOW = "{scaleDown: {stabilizationWindowSeconds: 600}}"


def neapctl(stack, *arguments):
    return subprocess.run([stack.binary("neapctl"), *arguments], text=True, capture_output=True, timeout=120)


def start(stack):
    # 20 waiting, 10 for each: it asks for 2, and the window holds the 5 that are there.
    jobs = autoscaler("jobs", trigger={"key": "jobs", "target": "10", "value": "20"}, behavior=WINDOW)
    stack.start_playground(stack.path("world.yaml", world(["jobs"])), [stack.path("objects.yaml", objects(jobs))])
    stack.start_stub_scaler()
    stack.start_neapd("--journal-dir", stack.path("journal"))
    stack.server = stack.neapd_address()


def explain(stack, *flags):
    return neapctl(stack, "explain", "--server", stack.server, "--object", "shop/jobs", *flags)


def test_a_running_neapd_explains_its_last_decision(stack):
    start(stack)
    wait_for(lambda: explain(stack).returncode == 0, 60, "a decision of shop/jobs")
    done = explain(stack)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^shop/jobs, 20\S+Z, because of its period: stay at 5$", done.stdout, re.M), done.stdout
    assert re.search(r"^trigger #1 \(stub\) +20 +10 per pod +2$", done.stdout, re.M), done.stdout
    assert "held by the highest recent recommendation, 5" in done.stdout
    assert re.search(r"^  6 when trigger #1 \(stub\) is at 56 or more \(now 20\)$", done.stdout, re.M), done.stdout
    assert re.search(r"^  2 at \S+, when the recommendation of 5 of \S+ leaves its window, if all else stays$",
                     done.stdout, re.M), done.stdout

    # The journal's record of that moment gives the same explanation.
    served = json.loads(explain(stack, "-o", "json").stdout)
    # Records follow a step's writes; the writer's thread brings them to the file.
    journal = [stack.path("journal"), "--object", "shop/jobs", "--at", served["at"], "-o", "json"]
    wait_for(lambda: json.loads(neapctl(stack, "explain", *journal).stdout or "{}").get("at") == served["at"], 30,
             "the record to be in the journal")
    recorded = json.loads(neapctl(stack, "explain", *journal).stdout)
    for document in (served, recorded):
        del document["journal"]  # file and offset
    assert served == recorded

    # An earlier decision, since the first question.
    earlier = explain(stack, "--at", served["at"], "-o", "json")
    assert json.loads(earlier.stdout)["decision"] == served["decision"], earlier.stderr


def test_what_neapd_cannot_explain_is_said(stack):
    start(stack)
    done = neapctl(stack, "explain", "--server", stack.server, "--object", "shop/nobody")
    assert done.returncode == 2 and "404 shop/nobody: there is no such object" in done.stderr, done.stderr
    done = neapctl(stack, "explain", "--server", stack.server, "--object", "jobs")
    assert done.returncode == 2 and '--object: "jobs" is not NAMESPACE/NAME' in done.stderr, done.stderr
    stack.neapd.stop()
    done = explain(stack)
    assert done.returncode == 2 and stack.server in done.stderr, done.stderr


def test_another_policy_on_the_journal(stack):
    start(stack)
    wait_for(lambda: sum(v for k, v in stack.neapd_metrics().items() if k.startswith("neap_decisions_total")) >= 8, 60,
             "8 decisions")
    stack.neapd.stop()
    eager = stack.path("eager.yaml", autoscaler("jobs", trigger={"key": "jobs", "target": "10", "value": "20"}))
    flags = ["--with", eager, "--scalers", stack.scalers_address]
    done = neapctl(stack, "replay", stack.path("journal"), *flags, "-o", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["decisions"] >= 8 and report["fewer"] == report["decisions"] and report["more"] == 0, report
    assert report["longest"]["recorded"]["least"] == 5 and report["longest"]["other"]["least"] == 2, report
    assert report["longest"]["recorded"]["why"] == "asks for 2, ScaleDownStabilized", report
    text = neapctl(stack, "replay", stack.path("journal"), *flags).stdout
    assert "The replicas and readings are those of the recorded run" in text, text
    assert "Triggers are matched by type and metric name: their parameters are not recorded." in text, text


class Proxy(http.server.BaseHTTPRequestHandler):
    """The API server's proxy to pods, with one neapd behind it."""
    neapd = None
    PATH = "/api/v1/namespaces/neap/pods/neap-0:8080/proxy"

    def do_GET(self):
        if self.path.startswith("/api/v1/pods?"):
            body = json.dumps({"items": [{
                "metadata": {"name": "neap-0", "namespace": "neap"}, "status": {"phase": "Running"},
                "spec": {"containers": [{"name": "neapd", "ports": [{"name": "http", "containerPort": 8080}]}]}}]}).encode()
        else:
            assert self.path.startswith(self.PATH), self.path
            with urllib.request.urlopen(self.neapd + self.path[len(self.PATH):], timeout=100) as answer:
                body = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_kubectl_neap_explains_through_the_api_server(stack):
    start(stack)
    wait_for(lambda: explain(stack).returncode == 0, 60, "a decision of shop/jobs")

    def kubectl_neap(*arguments):
        return subprocess.run([stack.binary("kubectl-neap"), *arguments], text=True, capture_output=True, timeout=120)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("To", (Proxy,), {"neapd": stack.server}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        config = stack.path("proxy-kubeconfig", f"""apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u, namespace: shop}}}}]
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{}}}}]
""")
        done = kubectl_neap("explain", "jobs", "--kubeconfig", config)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert re.search(r"^shop/jobs, 20\S+Z, because of its period: stay at 5$", done.stdout, re.M), done.stdout
    assert "held by the highest recent recommendation, 5" in done.stdout
    # One that is asked without a cluster says the same.
    done = kubectl_neap("explain", "jobs", "-n", "shop", "--address", stack.server)
    assert done.returncode == 0 and "held by the highest recent recommendation, 5" in done.stdout, done.stderr

    # What it wrote into the object, beside it.
    done = kubectl_neap("status", "-n", "shop", "--kubeconfig", stack.kubeconfig, "-o", "json")
    assert done.returncode == 0, done.stderr
    row, = json.loads(done.stdout)["autoscalers"]
    assert (row["name"], row["minReplicas"], row["maxReplicas"], row["replicas"], row["desired"]) == ("jobs", 1, 20, 5, 5)
    assert [c["status"] for c in row["conditions"] if c["type"] == "AbleToScale"] == ["True"], row
