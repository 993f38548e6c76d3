"""MetricsServer: metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io, with the values that tests set. It is what
metrics-server and an adapter are to a cluster: a TLS server that the API server's aggregation layer forwards to, registered by
APIServices over a Service without a cluster's network (ExternalName localhost). Threads of its own; setters are for any thread.
"""
import base64
import datetime
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from stack import wait_for

NAMESPACE = "e2e-metrics"
GROUPS = {
    "metrics.k8s.io": ("v1beta1", [("pods", "PodMetrics", True), ("nodes", "NodeMetrics", False)]),
    "custom.metrics.k8s.io": ("v1beta2", []),
    "external.metrics.k8s.io": ("v1beta1", []),
}


class MetricsServer:
    def __init__(self, api, authority):
        self.api = api
        self.lock = threading.Lock()
        self.usage = {}     # (namespace, app) -> {container: {resource: quantity}}, of each running pod with that label
        self.of_pods = {}   # (namespace, metric, app) -> quantity, of each such pod
        self.of_objects = {}  # (namespace, resource, name, metric) -> quantity
        self.external = {}  # (namespace, metric) -> [({label: value}, quantity)]
        self.failing = {}   # group -> HTTP status of every answer
        self.answers = []   # (seconds since the epoch, who asked, path with query, status, body)
        certificate = authority.issue("metrics-server", "/CN=metrics-server", [f"DNS:metrics.{NAMESPACE}.svc", "IP:127.0.0.1"])
        with open(authority.certificate, "rb") as f:
            self.authority = f.read()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, body = server.answer(self.path)
                text = json.dumps(body).encode()
                if "/namespaces/" in self.path:
                    with server.lock:
                        server.answers.append((time.time(), self.headers.get("X-Remote-User"), self.path, status, body))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # who left in the middle
                pass

        self.http = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate + ".crt", certificate + ".key")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def register(self, cluster):
        """Announces the three groups and waits until the API server forwards to them."""
        port = self.http.server_address[1]
        api = cluster.api
        api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        api.post(f"/api/v1/namespaces/{NAMESPACE}/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]}})
        for group, (version, _) in GROUPS.items():
            api.post("/apis/apiregistration.k8s.io/v1/apiservices", {
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"{version}.{group}"},
                "spec": {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
                         "caBundle": base64.b64encode(self.authority).decode(),
                         "service": {"namespace": NAMESPACE, "name": "metrics", "port": port}}})
        for group, (version, _) in GROUPS.items():
            wait_for(lambda: api.send("GET", f"/apis/{group}/{version}")[0] == 200, 30, f"{group} to be available")

    # ---- what it says

    def set_usage(self, namespace, app, container="app", **amounts):
        with self.lock:
            self.usage[namespace, app] = {**self.usage.get((namespace, app), {}), container: amounts}

    def set_pods(self, namespace, app, metric, quantity):
        with self.lock:
            self.of_pods[namespace, metric, app] = quantity

    def set_object(self, namespace, resource, name, metric, quantity):
        with self.lock:
            self.of_objects[namespace, resource, name, metric] = quantity

    def set_external(self, namespace, metric, quantity, **labels):
        with self.lock:
            series = [s for s in self.external.get((namespace, metric), []) if s[0] != labels]
            self.external[namespace, metric] = series + ([(labels, quantity)] if quantity is not None else [])

    def fail(self, group, status=None):
        """Every answer of a group is that status; None: it works again."""
        with self.lock:
            self.failing[group] = status

    # ---- answers

    def answer(self, target):
        path, _, query = target.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        parts = [urllib.parse.unquote(p) for p in path.strip("/").split("/")]
        if parts == ["apis"]:
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self.group(g) for g in GROUPS]}
        if parts[0] != "apis" or len(parts) < 2 or parts[1] not in GROUPS:
            return self.problem(404, f"no such path: {path}")
        group, version = parts[1], GROUPS[parts[1]][0]
        if len(parts) == 2:
            return 200, self.group(group)
        if len(parts) == 3:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}", "resources": [
                {"name": n, "singularName": "", "kind": k, "namespaced": spaced, "verbs": ["get", "list"]} for n, k, spaced in GROUPS[group][1]]}
        if self.failing.get(group):
            return self.problem(self.failing[group], f"{group} was told to fail")
        namespace, rest = parts[4], parts[5:]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if group == "metrics.k8s.io":
            return self.pod_metrics(namespace, query, now)
        if group == "external.metrics.k8s.io":
            return self.external_metrics(namespace, rest[0], query, now)
        if rest[0] == "pods" and rest[1] == "*":
            return self.pods_metric(namespace, rest[2], query, now)
        return self.object_metric(namespace, *rest[:3], now)

    @staticmethod
    def group(name):
        version = {"groupVersion": f"{name}/{GROUPS[name][0]}", "version": GROUPS[name][0]}
        return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": [version], "preferredVersion": version}

    @staticmethod
    def problem(status, message):
        return status, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": message,
                        "reason": {404: "NotFound", 403: "Forbidden", 503: "ServiceUnavailable"}.get(status, "InternalError")}

    def running_pods(self, namespace, query):
        selector = f"?labelSelector={urllib.parse.quote(query['labelSelector'])}" if query.get("labelSelector") else ""
        return [p for p in self.api.get(f"/api/v1/namespaces/{namespace}/pods{selector}")["items"] if p["status"].get("phase") == "Running"]

    def pod_metrics(self, namespace, query, now):
        items = []
        for pod in self.running_pods(namespace, query):
            labels = pod["metadata"].get("labels", {})
            with self.lock:
                usage = self.usage.get((namespace, labels.get("app")))
            if usage is not None:
                items.append({"metadata": {"name": pod["metadata"]["name"], "namespace": namespace, "labels": labels, "creationTimestamp": now},
                              "timestamp": now, "window": "1s", "containers": [{"name": c, "usage": u} for c, u in usage.items()]})
        return 200, {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}

    @staticmethod
    def custom(items):
        return 200, {"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "metadata": {}, "items": items}

    def pods_metric(self, namespace, metric, query, now):
        items = []
        for pod in self.running_pods(namespace, query):
            with self.lock:
                quantity = self.of_pods.get((namespace, metric, pod["metadata"].get("labels", {}).get("app")))
            if quantity is not None:
                items.append({"describedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": namespace, "name": pod["metadata"]["name"]},
                              "metric": {"name": metric}, "timestamp": now, "value": quantity})
        if not items:
            return self.problem(404, f"no pod has the metric {metric}")
        return self.custom(items)

    def object_metric(self, namespace, resource, name, metric, now):
        with self.lock:
            quantity = self.of_objects.get((namespace, resource, name, metric))
        if quantity is None:
            return self.problem(404, f"{resource} {name} has no metric {metric}")
        return self.custom([{"describedObject": {"kind": resource, "namespace": namespace, "name": name}, "metric": {"name": metric},
                             "timestamp": now, "value": quantity}])

    def external_metrics(self, namespace, metric, query, now):
        wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if "=" in pair)
        with self.lock:
            series = [s for s in self.external.get((namespace, metric), []) if all(s[0].get(k) == v for k, v in wanted.items())]
        return 200, {"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": [
            {"metricName": metric, "metricLabels": labels, "timestamp": now, "value": quantity} for labels, quantity in series]}
