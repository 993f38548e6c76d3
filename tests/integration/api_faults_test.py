"""What the API server does wrong changes no count, and neapd goes on when it is over."""
import pytest

from stack import wait_for
from worlds import autoscaler, objects, world

FAULTS = [
    {"fault": "garbage"},
    {"fault": "truncate"},
    {"fault": "cut"},
    {"fault": "expire"},
    {"fault": "throttle", "retryAfter": 1},
    {"fault": "error", "code": 400},
    {"fault": "error", "code": 401},
    {"fault": "error", "code": 403},
    {"fault": "error", "code": 404},
    {"fault": "error", "code": 409},
    {"fault": "error", "code": 422},
    {"fault": "error", "code": 500},
]


def name_of(fault):
    return f"{fault['fault']}{fault.get('code', '')}"


def start(stack, names):
    texts = [autoscaler(n, trigger={"key": n, "target": "10", "value": "50"}) for n in names]
    stack.start_playground(stack.path("world.yaml", world(names)), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: all(stack.condition("shop", n, "ScalingActive").get("status") == "True" for n in names), 30,
             "every Autoscaler to be active")


def scales_to(stack, name, replicas):
    stack.set_stub("set", key=name, value=10 * replicas)
    wait_for(lambda: stack.replicas("shop", name) == replicas, 60, f"{name} to have {replicas} replicas")


def test_every_answer_that_is_wrong(stack):
    """One after another; while each is in force the metric asks for more, and afterwards it is scaled."""
    start(stack, ["web"])
    wanted = 5
    for fault in FAULTS:
        stack.fault(**fault)
        before = stack.neapd.log().count("\n")
        wanted = 9 if wanted != 9 else 6
        stack.set_stub("set", key="web", value=10 * wanted)
        # It has run into the fault: something was logged, or a write was tried.
        wait_for(lambda: stack.neapd.log().count("\n") > before, 30, f"{name_of(fault)} to be noticed")
        assert stack.neapd.running(), name_of(fault)
        stack.no_faults()
        wait_for(lambda: stack.replicas("shop", "web") == wanted, 60, f"web to have {wanted} after {name_of(fault)}")
    counts = [to for _, _, _, to in stack.scale_writes()]
    assert set(counts) <= {6, 9}, counts


@pytest.mark.parametrize("fault", [{"fault": "cut"}, {"fault": "error", "code": 500}], ids=name_of)
def test_writes_that_fail_are_decided_anew(stack, fault):
    start(stack, ["web"])
    stack.fault(method="PATCH", path="/apis/apps/v1", **fault)
    stack.set_stub("set", key="web", value=120)
    wait_for(lambda: "web" in stack.neapd.log() and stack.condition("shop", "web", "AbleToScale").get("status") == "False", 60,
             "the failed write to be told in a condition")
    stack.set_stub("set", key="web", value=70)  # what is written afterwards is the new number
    stack.no_faults()
    wait_for(lambda: stack.replicas("shop", "web") == 7, 60, "web to have 7 replicas")
    assert [to for _, _, _, to in stack.scale_writes()][-1] == 7


def test_an_api_server_that_is_gone_for_a_while(stack):
    start(stack, ["web"])
    stack.fault(fault="cut", **{"for": "20s"})
    stack.set_stub("set", key="web", value=20)
    wait_for(lambda: stack.replicas("shop", "web") == 2, 90, "web to scale down after the outage")
    assert [to for _, _, _, to in stack.scale_writes()] == [2]
    scales_to(stack, "web", 8)
