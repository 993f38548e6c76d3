"""One of several neapd is lost, or stops and wakes again: `tools/test --repeat 100 failover`."""
import os
import signal
import time

from shards import (LEASE, RETRY, SHARDS, await_shared, decisions, holder_of, is_about_targets, is_scale, last_seq, leases, shards_held,
                    shards_of_objects, start, writes)
from stack import wait_for
from worlds import autoscaler, objects, world

PERIOD = 1
# What it may take beyond a lease and a period: to notice (a retry period), to take the lease and read the histories, and a
# machine that is busy with other things.
SLACK = RETRY + 2
ONE_PER_HOUR = ("{scaleUp: {stabilizationWindowSeconds: 0}, scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, "
                "value: 1, periodSeconds: 1800}]}}")


def start_world(stack, names, replicas, behavior):
    texts = [autoscaler(n, trigger={"key": n, "target": "10", "value": str(10 * replicas)}, maxReplicas=50, behavior=behavior)
             for n in names]
    text = world(names, replicas).replace("namespaces: [shop]", "namespaces: [shop, neap]")
    stack.start_playground(stack.path("world.yaml", text), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()


def all_have(stack, wanted):
    counts = {d["name"]: d["replicas"] for d in stack.get("/world")["deployments"]}
    return all(counts[name] == count for name, count in wanted.items())


def test_what_one_of_three_leaves_the_others_decide_with_its_history(stack):
    names = [f"web{i}" for i in range(12)]
    start_world(stack, names, 9, ONE_PER_HOUR)
    children = {name: start(stack, name) for name in ("a", "b", "c")}
    await_shared(stack, children.values())
    # Each target spends the one scale-down that it has in half an hour.
    for name in names:
        stack.set_stub("set", key=name, value=10)
    wait_for(lambda: all_have(stack, dict.fromkeys(names, 8)), 30, "every target to scale down by one")

    holders, shard = leases(stack), shards_of_objects(stack)
    lost = max(children, key=lambda c: sum(holder_of(holders, shard[n]) == c for n in names))
    left = [n for n in names if holder_of(holders, shard[n]) == lost]
    assert left and len(left) < len(names), (holders, shard)
    up, down = left[::2], left[1::2]
    before = last_seq(stack)
    killed = time.time()
    children.pop(lost).kill()
    for name in left:
        stack.set_stub("set", key=name, value=150 if name in up else 11)  # a new amount is a new status
    wait_for(lambda: all_have(stack, dict.fromkeys(up, 15)), 30, f"{up} to be decided by others than {lost}")
    await_shared(stack, children.values())
    log = [w for w in writes(stack, before) if is_scale(w) and w["code"] == 200]
    took = {w["name"]: w["at"] - killed for w in log}
    print("decided by others after", {n: round(t, 2) for n, t in took.items()})
    assert sorted(took) == sorted(up) and all(w["by"] in children for w in log), log
    assert max(took.values()) <= LEASE + PERIOD + SLACK, took

    # Whoever decides the rest now knows of the scale-down after which half an hour has to pass.
    so_far = decisions(stack, children.values())
    wait_for(lambda: decisions(stack, children.values()) >= so_far + 4 * len(names), 30, "every target to be decided again")
    for name in down:  # its status waits for its turn
        wait_for(lambda: any(w["by"] in children for w in writes(stack, before)
                             if w["name"] == name and w["path"].endswith("/status")),
                 20, f"{name} to have a status by another than {lost}")
    assert all_have(stack, {n: 8 for n in names if n not in up}), stack.scale_writes()


def test_who_slept_past_its_lease_sends_nothing(stack):
    names = [f"web{i}" for i in range(8)]
    start_world(stack, names, 5, "{scaleUp: {stabilizationWindowSeconds: 0}, scaleDown: {stabilizationWindowSeconds: 0}}")
    sleeper, other = start(stack, "sleeper"), start(stack, "other")
    await_shared(stack, [sleeper, other])
    holders, shard = leases(stack), shards_of_objects(stack)
    its = [n for n in names if holder_of(holders, shard[n]) == "sleeper"]
    assert its, (holders, shard)

    # A write that is under way when it falls asleep: the server has it, and carries it out late.
    first = its[0]
    stack.fault(fault="delay", delay="10s", method="PATCH", count=1,
                path=f"/apis/apps/v1/namespaces/shop/deployments/{first}/scale")
    stack.set_stub("set", key=first, value=90)
    wait_for(lambda: not stack.get("/faults"), 20, "the server to have the write")
    os.kill(sleeper.pid, signal.SIGSTOP)
    before = last_seq(stack)
    for name in names:
        stack.set_stub("set", key=name, value=100)
    wait_for(lambda: all_have(stack, dict.fromkeys(names, 10)), 30, "the other one to decide all of them")
    assert shards_held(stack, other) == SHARDS
    # What the sleeper knows is old, and asks for a change; it must not come.
    os.kill(sleeper.pid, signal.SIGCONT)
    await_shared(stack, [sleeper, other])
    wait_for(lambda: any(is_scale(w) and w["by"] == "sleeper" for w in writes(stack, before)), 20, "the late write to be answered")

    log = [w for w in writes(stack, before) if w["by"] == "sleeper"]
    late = [w for w in log if is_scale(w)]
    assert [(w["name"], w["code"]) for w in late] == [(first, 422)], late  # not what it observed any more: it had no effect
    taken = set()
    for write in log:
        path = write["path"].partition("?")[0]
        if "/leases/neap-shard-" in path and write["code"] == 200:
            taken.add(int(path.rsplit("-", 1)[1]))
        if is_about_targets(write) and write is not late[0]:
            name = write["name"] or path.rsplit("/", 2)[1]
            assert shard.get(name.partition(".")[0]) in taken, (write, taken)
    assert all_have(stack, dict.fromkeys(names, 10))
