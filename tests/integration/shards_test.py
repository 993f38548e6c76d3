"""History and shards beyond a process: kill -9 shortens no window, an update of neapd changes no count."""
import time

import pytest

from shards import await_shared, is_scale, last_seq, shards_held, start, writes, SHARDS
from stack import wait_for
from worlds import autoscaler, objects, world

WINDOW = 12  # seconds


def start_world(stack, names, replicas, behavior, **spec):
    texts = [autoscaler(n, trigger={"key": n, "target": "10", "value": str(10 * replicas)}, maxReplicas=50, behavior=behavior,
                        **spec) for n in names]
    text = world(names, replicas).replace("namespaces: [shop]", "namespaces: [shop, neap]")
    stack.start_playground(stack.path("world.yaml", text), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()


@pytest.mark.parametrize("saved", [False, True], ids=["before it is saved", "after it is saved"])
def test_kill_9_does_not_shorten_the_period_of_a_policy(stack, saved):
    """One pod per WINDOW seconds; neapd is killed right after it removed one."""
    start_world(stack, ["web"], 9, "{scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, "
                f"periodSeconds: {WINDOW}}}]}}}}")
    neapd = start(stack, "a")
    wait_for(lambda: shards_held(stack, neapd) == SHARDS, 30, "all shards to be held")
    # Its first record is there (within a second of its first decision); what follows is not, when it is killed at once.
    wait_for(lambda: stack.neapd_metrics(neapd)['neap_history_requests_total{operation="save",outcome="ok"}'] > 0, 30,
             "a first record")
    stack.set_stub("set", key="web", value=10)
    if saved:
        wait_for(lambda: stack.replicas("shop", "web") == 8, 30, "web to lose a pod")
        before = stack.neapd_metrics(neapd)['neap_history_requests_total{operation="save",outcome="ok"}']
        wait_for(lambda: stack.neapd_metrics(neapd)['neap_history_requests_total{operation="save",outcome="ok"}'] > before, 10,
                 "the history to be saved")
    else:
        wait_for(lambda: stack.replicas("shop", "web") == 8, 30, "web to lose a pod")
    neapd.kill()
    neapd.start()
    wait_for(lambda: stack.replicas("shop", "web") == 7, 60, "web to lose another pod")
    first, second = [w["at"] for w in writes(stack) if is_scale(w) and w["code"] == 200]
    assert second - first >= WINDOW, f"{second - first:.1f} s between two scale-downs"


def test_kill_9_does_not_shorten_a_stabilization_window(stack):
    start_world(stack, ["web"], 9, f"{{scaleDown: {{stabilizationWindowSeconds: {WINDOW}}}}}")
    neapd = start(stack, "a")
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 30, "web to be decided")
    began = time.time()
    stack.set_stub("set", key="web", value=30)
    wait_for(lambda: "ScaleDownStabilized" in str(stack.condition("shop", "web", "AbleToScale")), 20, "the window to hold")
    neapd.kill()
    neapd.start()
    wait_for(lambda: stack.replicas("shop", "web") == 3, 60, "web to scale down")
    done = [w["at"] for w in writes(stack) if is_scale(w) and w["code"] == 200]
    assert len(done) == 1 and done[0] - began >= WINDOW, done


def test_a_rolling_update_changes_no_count(stack):
    """Each of two is replaced by a new one while metrics ask for fewer pods, which the window holds."""
    names = [f"web{i}" for i in range(8)]
    start_world(stack, names, 6, "{scaleDown: {stabilizationWindowSeconds: 3600}}")
    running = [start(stack, "a"), start(stack, "b")]
    await_shared(stack, running)
    wait_for(lambda: all(stack.condition("shop", n, "ScalingActive").get("status") == "True" for n in names), 30,
             "every object to be decided")
    for name in names:
        stack.set_stub("set", key=name, value=20)
    before = last_seq(stack)
    for name in ("c", "d"):
        running.append(start(stack, name))
        await_shared(stack, running)
        began = time.monotonic()
        assert running[0].stop() == 0
        assert time.monotonic() - began < 5
        running.pop(0)
        await_shared(stack, running, seconds=5)  # given back: nobody waits for a lease to run out
    log = writes(stack, before)
    assert not [w for w in log if is_scale(w)], log
    # And the new ones act.
    for name in names:
        stack.set_stub("set", key=name, value=70)
    wait_for(lambda: all(stack.replicas("shop", n) == 7 for n in names), 30, "the new ones to scale up")
