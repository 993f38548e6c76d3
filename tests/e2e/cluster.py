"""A Kubernetes control plane on loopback for end-to-end tests: etcd, kube-apiserver and kube-controller-manager as real
processes, a pod runner in the place of kubelets (pods.py) and a server of the metrics APIs (metrics.py).

    with Cluster(binaries) as cluster:
        cluster.create(yaml_text)
        cluster.kubectl("get", "pods", "-A")
        wait_for(lambda: cluster.replicas("shop", "Deployment", "web") == 3, 30, "web to have 3 replicas")

The programs come from the folder KUBEBUILDER_ASSETS, else from `tools/go-tools controlplane`, which builds them when absent.
Everything listens on loopback at picked ports, logs into a folder of its own, and dies with this process (tools/stack.py).
A Cluster is used by one thread; pod runner and metrics server have their own.

    tests/e2e/cluster.py [--crd]      starts one, prints its kubeconfig, and runs until it is interrupted
"""
import argparse
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from metrics import MetricsServer  # noqa: E402
from pods import PodRunner  # noqa: E402
from stack import Missing, Stack, free_port, wait_for  # noqa: E402

CRD = os.path.join(ROOT, "charts", "neap", "crds", "autoscalers.neap.dev.yaml")
AUTOSCALERS = "/apis/neap.dev/v1alpha1"

# What a controller manager has to do for workloads to have pods and for objects to go with their owners and namespaces.
CONTROLLERS = ("deployment", "replicaset", "statefulset", "replicationcontroller", "job", "garbage-collector", "namespace", "serviceaccount",
               "root-ca-certificate-publisher", "clusterrole-aggregation", "disruption")

HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

# Who asked for what and when it was answered; of the upstream HPA controller also what it was told, which side_by_side.py reads.
AUDIT_POLICY = f"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  users: ["{HPA_USER}"]
  resources: [{{group: apps, resources: ["*/scale"]}}, {{group: autoscaling, resources: [horizontalpodautoscalers/status]}}, {{group: "", resources: [events]}},
              {{group: events.k8s.io, resources: [events]}}]
- {{level: Request, verbs: [patch, update], resources: [{{group: "", resources: ["*/scale"]}}, {{group: apps, resources: ["*/scale"]}},
   {{group: e2e.neap.dev, resources: ["*/scale"]}}]}}
- level: Metadata
  users: [neapd, neap-scalers, "{HPA_USER}"]
- level: None
"""


class ApiError(Exception):
    """An answer other than 2xx; `status` is its code, `body` the Status object or text."""

    def __init__(self, method, path, status, body):
        self.status, self.body = status, body
        message = body.get("message") if isinstance(body, dict) else body
        super().__init__(f"{method} {path}: {status} {message}")


def path_of(item):
    """The collection of an object, such as /apis/apps/v1/namespaces/shop/deployments."""
    version = item["apiVersion"]
    kind = item["kind"].lower()
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + ("es" if kind.endswith("s") else "s")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = item["metadata"].get("namespace")
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


class Api:
    """Requests to the API server as one user. Thread-safe: a connection for each thread, kept."""

    def __init__(self, port, authority, certificate):
        self.port = port
        self.context = ssl.create_default_context(cafile=authority)
        self.context.load_cert_chain(certificate + ".crt", certificate + ".key")
        self.local = threading.local()

    def connect(self, seconds):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=seconds)

    def send(self, method, path, body=None, content_type="application/json", seconds=30):
        """(status, what the body holds) of one request; OSError when the server can't be reached."""
        text = json.dumps(body) if body is not None else None
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        while True:
            kept = getattr(self.local, "connection", None)
            connection = kept or self.connect(seconds)
            try:
                connection.request(method, path, text, headers)
                response = connection.getresponse()
                data = response.read().decode(errors="replace")
                self.local.connection = connection
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.local.connection = None
                if kept is None:  # one that was kept may have been closed while it was idle
                    raise error if isinstance(error, OSError) else ConnectionError(str(error)) from error
        try:
            return response.status, json.loads(data)
        except json.JSONDecodeError:
            return response.status, data

    def ask(self, method, path, body=None, content_type="application/json"):
        status, answer = self.send(method, path, body, content_type)
        if not 200 <= status < 300:
            raise ApiError(method, path, status, answer)
        return answer

    def get(self, path):
        return self.ask("GET", path)

    def find(self, path):
        """The object, or None when there is none."""
        status, answer = self.send("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise ApiError("GET", path, status, answer)
        return answer

    def post(self, path, body):
        return self.ask("POST", path, body)

    def delete(self, path, body=None):
        return self.ask("DELETE", path, body)

    def merge(self, path, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def watch(self, path, version, seconds=60):
        """Events (type, object) of a collection from a resourceVersion on, until the server ends it."""
        connection = self.connect(seconds + 10)
        try:
            separator = "&" if "?" in path else "?"
            connection.request("GET", f"{path}{separator}watch=1&resourceVersion={version}&timeoutSeconds={seconds}")
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError("GET", path, response.status, response.read().decode(errors="replace"))
            for line in response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError("GET", path, event["object"].get("code", 0), event["object"])
                yield event["type"], event["object"]
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()


class Authority:
    """A certificate authority of openssl's making, in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate = os.path.join(folder, name + ".crt")
        self.openssl("req", "-x509", *self.new_key(name), "-subj", f"/CN={name}", "-days", "2", "-out", self.certificate)

    @staticmethod
    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}:\n{done.stderr}")

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", os.path.join(self.folder, name + ".key")]

    def issue(self, file, subject, names=()):
        """FILE.crt and FILE.key; the path without its ending. `names` are "DNS:..." and "IP:..." of a server."""
        path = os.path.join(self.folder, file)
        extensions = ["-addext", "extendedKeyUsage=" + ("serverAuth" if names else "clientAuth"), "-addext", "basicConstraints=critical,CA:FALSE"]
        if names:
            extensions += ["-addext", "subjectAltName=" + ",".join(names)]
        self.openssl("req", "-x509", *self.new_key(file), "-subj", subject, "-days", "2", "-CA", self.certificate,
                     "-CAkey", os.path.join(self.folder, self.name + ".key"), *extensions, "-out", path + ".crt")
        return path


class Proxy:
    """Connections to the API server that a test can cut, or hold without a byte passing. Threads of its own."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = set()
        self.held = set()  # sockets on which nothing passes
        self.holding = False
        self.moved = threading.Condition(self.lock)
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.accepted += 1
                self.open |= {near, far}
                if self.holding:
                    self.held |= {near, far}
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                with self.lock:
                    while source in self.held:
                        self.moved.wait()
                sink.sendall(data)
        except OSError:
            pass
        self.close(source, sink)

    def close(self, *sockets):
        for one in sockets:
            with self.lock:
                if one not in self.open:
                    continue
                self.open.remove(one)
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self):
        """Breaks every connection; new ones are taken. How many it were."""
        with self.lock:
            sockets = list(self.open)
            self.held.clear()
            self.moved.notify_all()
        self.close(*sockets)
        return len(sockets) // 2

    def hold(self):
        """No byte passes on any connection that is open or will be."""
        with self.lock:
            self.holding = True
            self.held |= self.open

    def release(self, forget=False):
        """New connections work; those held so far go on, too, unless `forget`."""
        with self.lock:
            self.holding = False
            if not forget:
                self.held.clear()
                self.moved.notify_all()

    def stop(self):
        self.listener.close()
        self.release()
        self.cut()


class Cluster:
    def __init__(self, binaries="", keep=False):
        self.stack = Stack(binaries, keep)
        self.pods = self.metrics = None
        self.proxies = []
        self.assets = self.find_assets()
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
            self.asset(name)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, *_):
        self.stop()

    @staticmethod
    def find_assets():
        folder = os.environ.get("KUBEBUILDER_ASSETS")
        if not folder:
            done = subprocess.run([os.path.join(ROOT, "tools", "go-tools"), "controlplane"], text=True, stdout=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise Missing("the control plane of end-to-end tests can't be built (see above); set KUBEBUILDER_ASSETS to a folder that has one")
            folder = done.stdout.strip()
        return folder

    def asset(self, name):
        path = os.path.join(self.assets, name)
        if not os.path.exists(path):
            raise Missing(f"{self.assets} has no {name} (unset KUBEBUILDER_ASSETS, and tools/go-tools builds one)")
        return path

    # ---- starting

    def start(self):
        os.mkdir(self.path("pki"))
        self.authority = Authority(self.path("pki"), "ca")
        self.front = Authority(self.path("pki"), "front-ca")
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.start_etcd()
        self.start_apiserver()
        self.manager = self.start_controllers()
        self.pods = PodRunner(self.api_as("pod-runner", "system:masters"))
        self.metrics = MetricsServer(self.api_as("metrics-server", "system:masters"), self.authority)
        self.metrics.register(self)

    def path(self, *parts):
        return os.path.join(self.stack.directory, *parts)

    def start_etcd(self):
        client, peer = free_port(), free_port()
        self.etcd_url = f"http://127.0.0.1:{client}"
        peer_url = f"http://127.0.0.1:{peer}"
        self.etcd = self.stack.start("etcd", [
            self.asset("etcd"), "--data-dir", self.path("etcd"), "--listen-client-urls", self.etcd_url, "--advertise-client-urls", self.etcd_url,
            "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}",
            "--unsafe-no-fsync", "--log-level", "error"])

    def start_apiserver(self):
        names = ["IP:127.0.0.1", "IP:10.0.0.1", "DNS:localhost", "DNS:kubernetes.default.svc", "DNS:kubernetes.default"]
        serving = self.authority.issue("apiserver", "/CN=kube-apiserver", names)
        proxy_client = self.front.issue("front-proxy", "/CN=front-proxy")
        key, public = self.path("pki", "accounts.key"), self.path("pki", "accounts.pub")
        Authority.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        Authority.openssl("ec", "-in", key, "-pubout", "-out", public)
        with open(self.path("audit-policy.yaml"), "w") as f:
            f.write(AUDIT_POLICY)
        self.apiserver = self.stack.start("kube-apiserver", [
            self.asset("kube-apiserver"), f"--etcd-servers={self.etcd_url}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", f"--secure-port={self.port}", f"--tls-cert-file={serving}.crt", f"--tls-private-key-file={serving}.key",
            f"--client-ca-file={self.authority.certificate}", "--authorization-mode=RBAC", "--anonymous-auth=false",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged=true",
            "--shutdown-delay-duration=0s", f"--requestheader-client-ca-file={self.front.certificate}", "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User", f"--proxy-client-cert-file={proxy_client}.crt",
            f"--proxy-client-key-file={proxy_client}.key", f"--audit-policy-file={self.path('audit-policy.yaml')}",
            f"--audit-log-path={self.path('audit.log')}", "--audit-log-mode=batch"])
        self.kubeconfig = self.kubeconfig_of("admin", "system:masters")
        self.api = self.api_as("admin", "system:masters")
        self.wait_ready()

    def wait_ready(self, seconds=60):
        def ready():
            if not self.apiserver.running():
                raise RuntimeError(f"kube-apiserver ended with {self.apiserver.process.returncode}; its log ends with:\n{self.apiserver.log()[-3000:]}")
            try:
                return self.api.send("GET", "/readyz", seconds=5)[0] == 200
            except OSError:
                return False
        wait_for(ready, seconds, f"kube-apiserver to be ready (log: {self.apiserver.log_path})")

    def start_controllers(self, name="kube-controller-manager", controllers=CONTROLLERS, flags=()):
        """A controller manager with these controllers alone; several may run."""
        kubeconfig = self.kubeconfig_of("system:kube-controller-manager")
        manager = self.stack.start(name, [
            self.asset("kube-controller-manager"), f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}", "--leader-elect=false", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.path('pki', 'accounts.key')}", f"--root-ca-file={self.authority.certificate}",
            "--kube-api-qps=200", "--kube-api-burst=400", "--controller-start-interval=0s", "--bind-address=127.0.0.1", f"--secure-port={free_port()}",
            "--controllers=" + ",".join(f"{c}-controller" for c in controllers), *flags])

        def works():
            if not manager.running():
                raise RuntimeError(f"{name} ended with {manager.process.returncode}; its log ends with:\n{manager.log()[-3000:]}")
            return self.api.find("/api/v1/namespaces/default/serviceaccounts/default")
        wait_for(works, 60, f"the controllers to work (log: {manager.log_path})")
        return manager

    def stop(self):
        for proxy in self.proxies:
            proxy.stop()
        for part in (self.pods, self.metrics):
            if part is not None:
                part.stop()
        for child in self.stack.children:
            child.kill()  # nothing is worth keeping, and an API server takes its time to end
        self.stack.stop()

    # ---- who asks

    def certificate_of(self, user, *groups):
        file = "user-" + user.replace(":", "-")
        if not os.path.exists(self.path("pki", file + ".crt")):
            self.authority.issue(file, "".join(f"/O={group}" for group in groups) + f"/CN={user}")
        return self.path("pki", file)

    def api_as(self, user, *groups):
        return Api(self.port, self.authority.certificate, self.certificate_of(user, *groups))

    def kubeconfig_of(self, user, *groups, port=None):
        """The path of a kubeconfig of that user, by client certificate; `port` of a Proxy in the place of the server's."""
        certificate = self.certificate_of(user, *groups)
        file = f"{certificate}{f'-{port}' if port else ''}.kubeconfig"
        with open(file, "w") as f:
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
                "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
                "clusters": [{"name": "e2e", "cluster": {"server": f"https://127.0.0.1:{port or self.port}",
                                                         "certificate-authority": self.authority.certificate}}],
                "users": [{"name": user, "user": {"client-certificate": certificate + ".crt", "client-key": certificate + ".key"}}]}, f)
        return file

    def proxy(self):
        """A Proxy before the API server, stopped with the cluster."""
        self.proxies.append(Proxy(self.port))
        return self.proxies[-1]

    # ---- outages

    def stop_apiserver(self):
        self.apiserver.kill()

    def restart_apiserver(self):
        self.apiserver.kill()
        self.apiserver.start()
        self.wait_ready()

    def continue_apiserver(self):
        """After stop_apiserver. The controllers start anew, since after a long outage they take up to half a minute to look again."""
        self.apiserver.start()
        self.wait_ready()
        self.manager.kill()
        self.manager.start()

    @staticmethod
    def pause(child):
        os.kill(child.pid, signal.SIGSTOP)

    @staticmethod
    def resume(child):
        os.kill(child.pid, signal.SIGCONT)

    # ---- objects

    def kubectl(self, *arguments, stdin=None, check=True):
        """What kubectl, as admin, printed; with `check` an error when it failed, else the finished process."""
        done = subprocess.run([self.asset("kubectl"), "--kubeconfig", self.kubeconfig, "--cache-dir", self.path("kubectl-cache"), *arguments],
                              input=stdin, text=True, capture_output=True, timeout=120)
        if not check:
            return done
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def create(self, text):
        """Creates the objects of a YAML text, one after the other."""
        for item in yaml.safe_load_all(text):
            if item:
                self.api.post(path_of(item), item)

    def install_crd(self):
        with open(CRD) as f:
            self.create(f.read())
        self.wait_served(AUTOSCALERS + "/autoscalers")

    def wait_served(self, path):
        """Waits for a new kind to be served (404, then 429 while its storage begins)."""
        wait_for(lambda: self.api.send("GET", path)[0] == 200, 30, f"{path} to be served")

    def object(self, namespace, kind, name, version=None):
        version = version or {"ReplicationController": "v1", "Autoscaler": "neap.dev/v1alpha1", "Pod": "v1"}.get(kind, "apps/v1")
        return self.api.get(path_of({"apiVersion": version, "kind": kind, "metadata": {"namespace": namespace}}) + "/" + name)

    def replicas(self, namespace, kind, name, version=None):
        return self.object(namespace, kind, name, version)["spec"].get("replicas", 0)

    def condition(self, namespace, name, kind):
        """The condition of that type of an Autoscaler, or {}."""
        conditions = (self.object(namespace, "Autoscaler", name).get("status") or {}).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    def audit(self):
        """The audit log's entries so far."""
        try:
            with open(self.path("audit.log")) as f:
                return [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crd", action="store_true", help="with the CRD of Autoscaler")
    options = parser.parse_args()
    try:
        with Cluster() as cluster:
            if options.crd:
                cluster.install_crd()
            print(f"export KUBECONFIG={cluster.kubeconfig} PATH={cluster.assets}:$PATH", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except Missing as missing:
        sys.exit(f"cluster: {missing}")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
