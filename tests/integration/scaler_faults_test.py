"""A scaler that fails never scales anything down."""
import os
import time

from stack import wait_for
from worlds import autoscaler, objects, world

FAULTS = ("error", "hang", "nan")
FAULT_SECONDS = float(os.environ.get("NEAP_FAULT_SECONDS", "300"))


def start(stack, names):
    """One deployment and Autoscaler per name, on a stub trigger of that key with a target of 10 and a value of 50: 5."""
    texts = [autoscaler(n, trigger={"key": n, "target": "10", "value": "50"}) for n in names]
    stack.start_playground(stack.path("world.yaml", world(names)), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: all(stack.condition("shop", n, "ScalingActive").get("status") == "True" for n in names), 30,
             "every Autoscaler to be active")


def test_five_minutes_of_faults_leave_every_count_where_it_was(stack):
    start(stack, FAULTS + ("fine",))
    for kind in FAULTS:
        stack.set_stub("fault", key=kind, kind=kind)
    for kind in FAULTS:
        wait_for(lambda: stack.condition("shop", kind, "ScalingActive").get("status") == "False", 30,
                 f"{kind} to be seen as a failed metric")

    end = time.monotonic() + FAULT_SECONDS
    wanted = 5
    while time.monotonic() < end:
        # A healthy one beside them goes on scaling, so neapd is at work all the time.
        wanted = 12 - wanted
        stack.set_stub("set", key="fine", value=10 * wanted)
        wait_for(lambda: stack.replicas("shop", "fine") == wanted, 30, f"fine to have {wanted} replicas")
        for kind in FAULTS:
            assert stack.replicas("shop", kind) == 5, kind
            assert stack.condition("shop", kind, "ScalingActive").get("status") == "False", kind

    assert {name for _, name, _, _ in stack.scale_writes()} == {"fine"}
    for kind in FAULTS:
        stack.set_stub("set", key=kind, value=80)
        stack.set_stub("fault", key=kind, kind="none")
    for kind in FAULTS:
        wait_for(lambda: stack.replicas("shop", kind) == 8, 30, f"{kind} to scale again")


def test_a_scaler_killed_and_started_again(stack):
    start(stack, ("one", "two"))
    stack.stub.kill()
    for name in ("one", "two"):
        wait_for(lambda: stack.condition("shop", name, "ScalingActive").get("status") == "False", 30,
                 f"{name} to be without its metric")
        assert stack.replicas("shop", name) == 5
    assert stack.scale_writes() == []

    stack.start_stub_scaler()
    stack.set_stub("set", key="one", value=90)
    wait_for(lambda: stack.replicas("shop", "one") == 9, 30, "one to scale up again")
    stack.set_stub("set", key="two", value=20)
    wait_for(lambda: stack.replicas("shop", "two") == 2, 30, "two to scale down again")


def test_a_scaler_that_does_not_exist_and_comes(stack):
    texts = [autoscaler("late", trigger={"key": "late", "target": "10", "value": "30"})]
    stack.start_playground(stack.path("world.yaml", world(["late"])), [stack.path("objects.yaml", objects(*texts))])
    stack.start_neapd()
    why = wait_for(lambda: stack.condition("shop", "late", "ScalingActive"), 30, "a condition")
    assert why["status"] == "False" and "stub" in why["message"], why
    assert stack.replicas("shop", "late") == 5
    stack.start_stub_scaler()
    wait_for(lambda: stack.replicas("shop", "late") == 3, 30, "late to scale when its scaler is there")
