"""neapctl playground: serves, writes the kubeconfig, stops when told, and names what is wrong with its files."""
import json
import os
import re
import signal
import subprocess
import urllib.request

import yaml

from support import BIN, neapctl

WORLD = """\
deployments:
- name: checkout
  namespace: shop
  replicas: 2
  load: {constant: 20}
"""


def start(*arguments):
    process = subprocess.Popen([os.path.join(BIN, "neapctl"), "playground", *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, re.search(r"http://127\.0\.0\.1:\d+", line)[0] if line else process.stderr.read()


def test_serves_until_it_is_stopped(tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD)
    process, url = start("--world", tmp_path / "world.yaml", f"--kubeconfig={tmp_path}/kubeconfig")
    try:
        with urllib.request.urlopen(f"{url}/apis/apps/v1/namespaces/shop/deployments/checkout/scale", timeout=30) as answer:
            assert json.load(answer)["spec"]["replicas"] == 2
        config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
        assert config["clusters"][0]["cluster"]["server"] == url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_stops_by_itself(tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD)
    process, _ = start("--world", tmp_path / "world.yaml", "--for=200ms")
    assert process.wait(30) == 0


def test_bad_files_and_flags(tmp_path):
    (tmp_path / "world.yaml").write_text(WORLD.replace("replicas", "replica"))
    done = neapctl("playground", "--world", tmp_path / "world.yaml")
    assert done.returncode == 2
    assert f"{tmp_path}/world.yaml:4: " in done.stderr and 'did you mean "replicas"?' in done.stderr, done.stderr
    (tmp_path / "world.yaml").write_text(WORLD)
    assert neapctl("playground", "--world", tmp_path / "none.yaml").returncode == 2
    done = neapctl("playground", "--world", tmp_path / "world.yaml", "--for=soon")
    assert (done.returncode, "--for" in done.stderr) == (2, True)
    assert neapctl("playground", "--world", tmp_path / "world.yaml", "--port=70000").returncode == 2
