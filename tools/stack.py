"""Neap's processes on loopback: playground, scalers, neapd and the servers they read, as children of this process.

The quickstart, the integration tests and the soak test use it. Every child dies with its parent (also when that is
killed), is stopped by its pid, and logs to a file in the stack's directory.

    with Stack(binaries) as stack:
        stack.start_playground("world.yaml", ["objects.yaml"])
        stack.start_scalers()
        stack.start_neapd("--dry-run")
        wait_for(lambda: stack.get("/writes")["scale_writes"], 30, "a scale write")
"""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Missing(Exception):
    """A program that this machine lacks; the text says how to get it."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def can_connect(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, seconds, what):
    """Asks `condition` until it gives something true, and gives that. Fails after `seconds`, naming `what`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def program(name, package):
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is missing: apt-get install {package} (tools/install-deps installs all that Neap needs)")
    return path


class Child:
    """A process with its log; use Stack.start."""

    def __init__(self, name, argv, directory, env=None):
        self.name, self.argv, self.directory, self.env = name, argv, directory, env
        self.log_path = os.path.join(directory, name + ".log")
        self.process = None
        self.start()

    def start(self):
        def with_parent():
            os.setpgid(0, 0)  # Ctrl-C in the terminal is for the parent, which stops the children in order
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.log_path, "a") as log:
            self.log_from = log.tell()  # of an earlier process of that name
            self.process = subprocess.Popen(self.argv, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(self.env or {})}, preexec_fn=with_parent)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def log(self):
        """What it has written since it was started last."""
        with open(self.log_path, errors="replace") as f:
            f.seek(self.log_from)
            return f.read()

    def wait_log(self, pattern, seconds=20):
        """The match of a regular expression in the log; fails at once when the process ends before."""
        def look():
            match = re.search(pattern, self.log())
            if match is None and not self.running():
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}; its log:\n{self.log()[-4000:]}")
            return match
        return wait_for(look, seconds, f"{self.name} to log /{pattern}/ (log: {self.log_path})")

    def stop(self, how=signal.SIGTERM, seconds=10):
        """Ends it and gives its exit code; SIGKILL when it has not ended in time."""
        if self.running():
            os.killpg(self.pid, how)  # what it started itself, too
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
        return self.process.wait()

    def kill(self):
        return self.stop(signal.SIGKILL)

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fetch(url, method="GET", body=None, seconds=10):
    """(status, text) of an HTTP request."""
    request = urllib.request.Request(url, method=method, data=body.encode() if body is not None else None)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


class Stack:
    """The processes of one run, in a directory of their own that is removed at the end (unless `keep`)."""

    def __init__(self, binaries, keep=False):
        self.binaries = binaries
        self.keep = keep
        self.directory = tempfile.mkdtemp(prefix="neap-")
        self.children = []
        self.url = None         # of the playground
        self.kubeconfig = os.path.join(self.directory, "kubeconfig")
        self.scalers_address = f"unix://{self.directory}/scalers.sock"
        self.playground = self.scalers = self.neapd = self.stub = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()

    def path(self, name, text=None):
        """A path in the stack's directory; with `text` the file is written."""
        path = os.path.join(self.directory, name)
        if text is not None:
            with open(path, "w") as f:
                f.write(text)
        return path

    def binary(self, name):
        path = os.path.join(self.binaries, name)
        if not os.path.exists(path):
            raise Missing(f"{path} is not built: ninja -C {os.path.dirname(self.binaries)} {name}")
        return path

    def start(self, name, argv, env=None):
        child = Child(name, argv, self.directory, env)
        self.children.append(child)
        return child

    def stop(self):
        """Stops all, the last one started first."""
        for child in reversed(self.children):
            child.stop()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start_playground(self, world, objects=(), *flags):
        argv = [self.binary("neapctl"), "playground", "--world", world, "--kubeconfig", self.kubeconfig, *flags]
        for path in objects:
            argv += ["--objects", path]
        self.playground = self.start("playground", argv)
        self.url = self.playground.wait_log(r"(https?://127\.0\.0\.1:\d+)").group(1)
        return self.playground

    def start_scalers(self, name="scalers"):
        """The bundle. It is given the kubeconfig, since some scalers read metrics APIs."""
        address = self.scalers_address if name == "scalers" else f"unix://{self.directory}/{name}.sock"
        child = self.start(name, [self.binary("neap-scalers"), "--listen", address], {"KUBECONFIG": self.kubeconfig})
        wait_for(lambda: os.path.exists(address[len("unix://"):]) or not child.running(), 20, f"{name} to listen")
        self.scalers = child
        return child

    def start_neapd(self, *flags, scalers=True, kubeconfig=None, name="neapd"):
        argv = [self.binary("neapd"), "--kubeconfig", kubeconfig or self.kubeconfig, "--listen-address", "127.0.0.1:0"]
        if scalers:
            argv += ["--scalers", self.scalers_address]
        self.neapd = self.start(name, argv + list(flags))
        return self.neapd

    def start_redis(self):
        port = free_port()
        self.start("redis", [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                             "--appendonly", "no"])
        wait_for(lambda: can_connect(port), 20, "redis-server to listen")
        return port

    def start_prometheus(self, scrape_url):
        """A Prometheus server that scrapes `scrape_url` each second. Its URL."""
        port = free_port()
        target = scrape_url.split("://", 1)[1]
        config = self.path("prometheus.yml", f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: world
  static_configs: [{{targets: ["{target}"]}}]
""")
        self.start("prometheus", [program("prometheus", "prometheus"), f"--config.file={config}",
                                  f"--storage.tsdb.path={self.path('prometheus-data')}",
                                  f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"])
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: can_connect(port) and fetch(url + "/-/ready")[0] == 200, 30, "prometheus to be ready")
        return url

    def get(self, path):
        """JSON of a page of the playground."""
        status, text = fetch(self.url + path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {text[:300]}")
        return json.loads(text)

    def scale_writes(self):
        """The server's own log of scale writes that took effect: (namespace, name, from, to), in order."""
        return [(w["namespace"], w["name"], w["from"], w["to"]) for w in self.get("/writes")["writes"]
                if w.get("to") is not None and w["code"] == 200]

    def replicas(self, namespace, name):
        """What the Deployment is asked to have; from a page that no fault befalls."""
        return next(d["replicas"] for d in self.get("/world")["deployments"]
                    if (d["namespace"], d["name"]) == (namespace, name))

    def neapd_address(self, child=None):
        """http://host:port of neapd's own pages, from its log; of the one started last unless `child` is given."""
        return "http://127.0.0.1:" + (child or self.neapd).wait_log(r"/metrics, .* at port (\d+)").group(1)

    def start_stub_scaler(self):
        """The scaler of the tests, whose values and faults are set at run time (tests/support/stub_scaler.h)."""
        self.stub = self.start("stub-scaler", [self.binary("neap-test-scaler"), "--listen", self.scalers_address])
        self.stub_control = "http://127.0.0.1:" + self.stub.wait_log(r"control (\d+)").group(1)
        return self.stub

    def set_stub(self, page, **parameters):
        query = "&".join(f"{k}={v}" for k, v in parameters.items())
        status, text = fetch(f"{self.stub_control}/{page}?{query}", "POST", "")
        if status != 200:
            raise RuntimeError(f"POST /{page}?{query}: {status} {text}")

    def stub_stats(self):
        return json.loads(fetch(self.stub_control + "/stats")[1])

    def autoscaler(self, namespace, name):
        return self.get(f"/apis/neap.dev/v1alpha1/namespaces/{namespace}/autoscalers/{name}")

    def condition(self, namespace, name, kind):
        """The condition of that type of an Autoscaler, or {}."""
        conditions = (self.autoscaler(namespace, name).get("status") or {}).get("conditions") or []
        return next((c for c in conditions if c["type"] == kind), {})

    def fault(self, **fault):
        status, text = fetch(self.url + "/faults", "POST", json.dumps(fault))
        if status not in (200, 201):
            raise RuntimeError(f"POST /faults: {status} {text}")

    def no_faults(self):
        fetch(self.url + "/faults", "DELETE")

    def neapd_metrics(self, child=None):
        """{series with labels: value} of neapd's /metrics; see neapd_address."""
        status, text = fetch(self.neapd_address(child) + "/metrics", seconds=30)
        if status != 200:
            raise RuntimeError(f"GET /metrics: {status}")
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}
