"""The real scalers against real servers: killed in the middle, nothing is scaled down; started again, all goes on."""
import socket

from stack import wait_for
from worlds import autoscaler, objects, world

CPU = "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}"


def redis(port, *words):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return s.recv(1000)


def test_the_bundle_killed_with_kill_9_and_started_again(stack):
    port = stack.start_redis()
    redis(port, "RPUSH", "jobs", *["job"] * 60)
    trigger = f"{{type: redis, metadata: {{address: \"127.0.0.1:{port}\", listName: jobs, listLength: \"10\"}}}}"
    worker = autoscaler("worker", trigger={}).replace("{type: stub, metadata: {}}", trigger)
    # 50 requests per second at 20m are 1 core: 4 pods at 250m.
    web = autoscaler("web", metrics=CPU)
    stack.start_playground(stack.path("world.yaml", world(["web", "worker"], replicas=4, cpu=50)),
                           [stack.path("objects.yaml", objects(web, worker))])
    stack.start_scalers()
    stack.start_neapd()
    wait_for(lambda: stack.replicas("shop", "worker") == 6, 60, "worker to have 6 replicas")
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 60, "web to be active")

    stack.scalers.kill()
    redis(port, "DEL", "jobs")  # what it would scale down on, could it read it
    for name in ("web", "worker"):
        wait_for(lambda: stack.condition("shop", name, "ScalingActive").get("status") == "False", 60,
                 f"{name} to be without its metric")
    before = stack.scale_writes()
    decisions = sum(v for k, v in stack.neapd_metrics().items() if k.startswith("neap_decisions_total"))
    wait_for(lambda: sum(v for k, v in stack.neapd_metrics().items() if k.startswith("neap_decisions_total")) >= decisions + 20,
             60, "20 more decisions without a scaler")
    assert stack.scale_writes() == before
    assert all(to >= 4 for _, _, _, to in before), before

    stack.start_scalers()
    wait_for(lambda: stack.replicas("shop", "worker") == 1, 60, "worker to scale down once its metric is back")
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 60, "web to be active again")
