"""docs/quickstart-kubernetes.md, as it stands: each block of commands is run by bash, with Helm, kubectl and the chart's defaults. The
pods of neap-system are real processes (local_pods.py). What a cluster has and a control plane alone has not stands in: pods of the
other namespaces run nothing, so that the Redis of the page is a server on loopback, at whose address `redis.default.svc:6379` is,
and `kubectl exec deploy/redis -- redis-cli` asks it.
"""
import os
import re
import subprocess

from cluster import ROOT

PAGE = os.path.join(ROOT, "docs", "quickstart-kubernetes.md")

PROLOGUE = """set -euo pipefail
kubectl() {
  if [[ "$*" == "exec deploy/redis -- redis-cli "* ]]; then shift 4; redis-cli -p "$REDIS_PORT" "$@"; else command kubectl "$@"; fi
}
"""


def blocks():
    """(heading, commands) of the page."""
    with open(PAGE) as f:
        parts = re.split(r"^## (.*)$", f.read(), flags=re.M)
    return [(parts[i], block) for i in range(1, len(parts), 2) for block in re.findall(r"^```sh\n(.*?)^```", parts[i + 1], re.M | re.S)]


def test_every_command_of_the_page(machine):
    cluster, env = machine.cluster, {**machine.env, "REDIS_PORT": str(machine.cluster.stack.start_redis())}
    headings = []
    for heading, commands in blocks():
        commands = commands.replace("redis.default.svc:6379", "127.0.0.1:" + env["REDIS_PORT"])
        done = subprocess.run(["bash", "-c", PROLOGUE + commands], cwd=ROOT, env=env, text=True, capture_output=True, timeout=180)
        print(f"---- {heading}\n{commands}\n{done.stdout}{done.stderr}")
        if done.returncode:
            machine.print_logs()
        assert done.returncode == 0, heading
        headings.append(heading)
        if "lastDecision" in commands:
            assert "redis" in done.stdout and "propose" in done.stdout, done.stdout
    assert len(headings) >= 7 and headings[-1] == "Remove it"
    assert cluster.api.find("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/autoscalers.neap.dev") is None
    assert machine.pods.processes == {}
