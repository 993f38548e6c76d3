"""A dry run writes nothing, and its journal holds what is needed to decide again."""
import json
import subprocess

from stack import fetch, wait_for
from worlds import autoscaler, objects, world

CPU = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}"


def start(stack, *flags, **spec):
    # 100 requests per second at 20m are 2 cores: 400m for each of 5 pods, 80 % of the request.
    texts = [autoscaler("web", metrics=CPU, **spec),
             autoscaler("jobs", trigger={"key": "jobs", "target": "10", "value": "20"}, **spec)]
    stack.start_playground(stack.path("world.yaml", world(["web", "jobs"], cpu=100)),
                           [stack.path("objects.yaml", objects(*texts))])
    stack.scalers_address = f"unix://{stack.directory}/bundle.sock"
    stack.start_scalers("bundle")
    bundle = stack.scalers_address
    stack.scalers_address = f"unix://{stack.directory}/stub.sock"
    stack.start_stub_scaler()
    stack.start_neapd("--scalers", bundle, "--journal-dir", stack.path("journal"), *flags)


def decisions(stack):
    return sum(v for k, v in stack.neapd_metrics().items() if k.startswith("neap_decisions_total"))


def test_not_one_write_reaches_the_server(stack):
    start(stack, "--dry-run")
    wait_for(lambda: decisions(stack) >= 20, 60, "20 decisions")
    assert stack.get("/writes")["total"] == 0
    assert stack.replicas("shop", "web") == 5 and stack.replicas("shop", "jobs") == 5

    stack.neapd.stop()
    neapctl = stack.binary("neapctl")
    replay = subprocess.run([neapctl, "replay", stack.path("journal"), "-o", "json"], text=True, capture_output=True)
    assert replay.returncode == 0, replay.stdout + replay.stderr
    counts = json.loads(replay.stdout)
    assert counts["decisions"] >= 20 and counts["different"] == 0, counts
    explain = subprocess.run([neapctl, "explain", stack.path("journal"), "--object", "shop/jobs"], text=True,
                             capture_output=True)
    assert explain.returncode == 0 and "scale from 5 to 2" in explain.stdout, explain.stdout + explain.stderr


def test_mode_dry_run_reports_and_never_scales(stack):
    start(stack, mode="DryRun")
    wait_for(lambda: stack.condition("shop", "jobs", "DryRun").get("status") == "True", 30, "condition DryRun")
    wait_for(lambda: (stack.autoscaler("shop", "jobs").get("status") or {}).get("desiredReplicas") == 2, 30,
             "the status to say what it would do")
    assert stack.scale_writes() == []
    assert all(w["path"].endswith("/status") or "/events" in w["path"] for w in stack.get("/writes")["writes"])

    # Live from now on: the same object scales.
    status, text = fetch(stack.url + "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/jobs")
    live = json.loads(text)
    live["spec"]["mode"] = "Live"
    status, text = fetch(stack.url + "/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers/jobs", "PUT", json.dumps(live))
    assert status == 200, text
    wait_for(lambda: stack.replicas("shop", "jobs") == 2, 30, "jobs to scale once it is live")
    assert stack.replicas("shop", "web") == 5
