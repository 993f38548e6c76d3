"""neapctl scaler describe and read against real scalers in a process of their own."""
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
import yaml

from support import BIN, neapctl


class Queue(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/queue" and self.headers.get("X-Key", "secret") == "secret"
        body = b'{"waiting": 42}' if found else b"who are you?"
        self.send_response(200 if found else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def source():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Queue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/queue"
    server.shutdown()


@pytest.fixture(scope="module")
def scalers(tmp_path_factory):
    """Address of a neap-scalers on a Unix socket."""
    folder = tmp_path_factory.mktemp("scalers")
    address = f"unix://{folder}/s.sock"
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([os.path.join(BIN, "neap-scalers"), "--listen=" + address], stdout=log, stderr=log)
    end = time.monotonic() + 60
    while neapctl("scaler", "describe", address).returncode != 0:
        assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
        time.sleep(0.05)
    yield address
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_describe(scalers):
    done = neapctl("scaler", "describe", scalers)
    assert re.search(r"^redis: Number of elements", done.stdout, re.M)
    assert re.search(r"^  listName +text +required +Key of the list", done.stdout, re.M)
    as_json = json.loads(neapctl("scaler", "describe", "-o", "json", scalers).stdout)
    assert as_json == yaml.safe_load(neapctl("scaler", "describe", "-o", "yaml", scalers).stdout)
    types = {t["type"]: t for t in as_json["triggerTypes"]}
    assert {"cron", "metrics-api", "prometheus", "redis", "hpa-resource"} <= set(types)
    password = next(p for p in types["redis"]["parameters"] if p["name"] == "password")
    assert password["secret"] is True


def test_read_one_trigger(scalers, source):
    flags = ["--type", "metrics-api", "-m", f"url={source}", "-m", "valueLocation=waiting", "-m", "targetValue=10"]
    done = neapctl("scaler", "read", scalers, *flags)
    assert (done.returncode, done.stderr) == (0, "")
    heading, row = done.stdout.splitlines()
    assert heading.split() == ["TRIGGER", "METRIC", "VALUE", "TARGET", "ACTIVE"]
    assert row.split() == ["metrics-api", "metric-api-waiting", "42", "10", "per", "replica", "yes"]
    found = json.loads(neapctl("scaler", "read", "-o", "json", scalers, *flags).stdout)["triggers"][0]["metrics"][0]
    assert (found["value"], found["active"], found["absent"]) == ("42", True, False)


def test_a_secret_from_a_file_and_metric_type(scalers, source, tmp_path):
    (tmp_path / "key").write_text("wrong\n")
    flags = ["--type", "metrics-api", "-m", f"url={source}", "-m", "valueLocation=waiting", "-m", "targetValue=10", "-m",
             "authModes=apiKey", "-m", "method=header", "-m", "keyParamName=X-Key", "--auth", f"apiKey=@{tmp_path}/key",
             "--metric-type", "Value"]
    done = neapctl("scaler", "read", scalers, *flags)
    assert done.returncode == 1
    assert "Denied" in done.stderr and "wrong" not in done.stderr
    (tmp_path / "key").write_text("secret\n")
    done = neapctl("scaler", "read", scalers, *flags)
    assert done.returncode == 0, done.stderr
    assert "42      10" in done.stdout  # the target is of all, not per replica


def test_read_the_triggers_of_a_file(scalers, source, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({
        "apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": "worker", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}, "maxReplicas": 3,
                 "triggers": [{"type": "metrics-api",
                               "metadata": {"url": source, "valueLocation": "waiting", "targetValue": "10"}},
                              {"type": "metrics-api", "name": "broken",
                               "metadata": {"url": source + "s", "valueLocation": "waiting", "targetValue": "10"}}]}}))
    done = neapctl("scaler", "read", scalers, "-f", path)
    assert done.returncode == 1  # one of the two failed, the other is shown
    assert re.search(r"^shop/worker metrics-api +metric-api-waiting +42 ", done.stdout, re.M)
    assert re.search(r"^neapctl: shop/worker broken: Denied: ", done.stderr, re.M), done.stderr


def test_what_the_scaler_refuses_names_the_parameter(scalers):
    done = neapctl("scaler", "read", scalers, "--type", "redis", "-m", "address=127.0.0.1:1", "-m", "listLength=many")
    assert done.returncode == 1
    assert "listName" in done.stderr and "listLength" in done.stderr
    done = neapctl("scaler", "read", scalers, "--type", "reddis")
    assert done.returncode == 1 and "reddis" in done.stderr


def test_usage_and_addresses(scalers):
    assert neapctl("scaler", "read", scalers).returncode == 2
    assert neapctl("scaler", "read", scalers, "--type", "redis", "-m", "address").returncode == 2
    assert neapctl("scaler", "read", scalers, "--type", "redis", "-f", "x.yaml").returncode == 2
    assert neapctl("scaler", "describe", "nonsense").returncode == 2
    done = neapctl("scaler", "describe", "127.0.0.1:1")
    assert done.returncode == 2 and "127.0.0.1:1" in done.stderr
    # Secrets are not sent in the open.
    done = neapctl("scaler", "read", "127.0.0.1:1", "--type", "redis", "--auth", "password=x")
    assert done.returncode == 2 and "127.0.0.1:1" in done.stderr
