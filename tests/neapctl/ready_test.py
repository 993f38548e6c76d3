"""neapctl ready: the readiness of a running neapd as an exit code."""
import http.server
import json
import os
import sys
import threading

import pytest

from support import BIN, ROOT, neapctl

sys.path.insert(0, os.path.join(ROOT, "tools"))
from stack import Stack, free_port  # noqa: E402

WORLD = "seed: 1\nnamespaces: [shop]\ndeployments: []\n"


@pytest.fixture
def stack():
    with Stack(BIN) as it:
        yield it


def test_a_neapd_that_is_not_ready_yet(stack):
    stack.start_playground(stack.path("world.yaml", WORLD))
    stack.fault(fault="error", code=500, path="/apis/neap.dev", method="GET")
    stack.start_neapd(scalers=False)
    url = stack.neapd_address()
    no = neapctl("ready", url)
    assert (no.returncode, no.stdout, no.stderr) == (1, "not ready: autoscalers are not listed from the API server yet\n", "")
    assert json.loads(neapctl("ready", url, "-o", "json").stdout) == {
        "ready": False, "reason": "autoscalers are not listed from the API server yet"}
    stack.no_faults()
    yes = neapctl("ready", url + "/", "--wait", "60s")  # it lists again after a while
    assert (yes.returncode, yes.stdout) == (0, "ready\n"), yes.stderr


def test_it_waits_for_one_that_comes_later(stack):
    port = free_port()
    stack.start_playground(stack.path("world.yaml", WORLD))
    answers = []
    asking = threading.Thread(target=lambda: answers.append(neapctl("ready", f"http://127.0.0.1:{port}", "--wait", "60s")))
    asking.start()
    stack.start("neapd", [stack.binary("neapd"), "--kubeconfig", stack.kubeconfig, "--listen-address", f"127.0.0.1:{port}"])
    asking.join()
    assert (answers[0].returncode, answers[0].stdout) == (0, "ready\n"), answers[0].stderr


def test_nobody_there():
    url = f"http://127.0.0.1:{free_port()}"
    nobody = neapctl("ready", url)
    assert nobody.returncode == 2 and nobody.stdout == "" and url in nobody.stderr


def test_another_server_is_no_neapd():
    class NotFound(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404, "never heard of it")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = neapctl("ready", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert other.returncode == 2 and ": 404 " in other.stderr


@pytest.mark.parametrize("arguments, words", [((), "server is required"), (("http://127.0.0.1:1", "--wait", "a while"), "--wait")])
def test_wrong_usage(arguments, words):
    wrong = neapctl("ready", *arguments)
    assert wrong.returncode == 2 and words in wrong.stderr
