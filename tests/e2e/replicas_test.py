"""One and three replicas of the chart on a real API server, with its rights: Leases say which of them decides what, ConfigMaps what
the one before knew. One is killed, all are replaced, one is left: no count changes that the metrics did not ask for, and no window
ends early.
"""
import calendar
import os
import sys
import time

import pytest

from cluster import ROOT, wait_for
from conftest import Shop, namespace_of

sys.path.append(os.path.join(ROOT, "tests", "integration"))
from shards import LEASE, RETRY, SHARDS, shard_of  # noqa: E402

FLAGS = [f"--lease-duration={LEASE}s", "--lease-renew-deadline=1400ms", f"--lease-retry-period={int(RETRY * 1000)}ms"]
PERIOD = 1
# What it may take beyond a lease and a period: to notice (a retry period), to take the lease and read the histories, to ask the
# scaler, and a machine that does the work of a cluster meanwhile.
SLACK = RETRY + 3
ACCOUNT = "system:serviceaccount:neap-system:neap"

UP_AT_ONCE = "scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 100, periodSeconds: 1}]}"
HOLDS = f"{{{UP_AT_ONCE}, scaleDown: {{stabilizationWindowSeconds: 3600}}}}"


def one_per(seconds):
    return (f"{{{UP_AT_ONCE}, scaleDown: {{stabilizationWindowSeconds: 0, policies: [{{type: Pods, value: 1, "
            f"periodSeconds: {seconds}}}]}}}}")


class Installed:
    """The release `neap` in neap-system with a number of replicas."""

    def __init__(self, machine):
        self.machine, self.pods, self.api = machine, machine.pods, machine.cluster.api
        self.round = 0

    def deploy(self, replicas, anew=False):
        """Brings the release to so many replicas, which share the shards; with `anew` each is replaced, as by an upgrade."""
        self.round += anew
        for pod in list(self.pods.lost):
            self.replace(pod)
        self.machine.helm("upgrade", "--install", "neap", "charts/neap", "--namespace", "neap-system", "--create-namespace",
                          "--set", f"replicas={replicas},shards={SHARDS},neapd.extraArgs={{{','.join(FLAGS)}}}",
                          "--set-string", f"podAnnotations.round={self.round}", "--wait", "--timeout", "60s")
        self.await_shared(replicas)

    def replace(self, lost):
        """A new pod in the place of one whose node is lost."""
        self.machine.cluster.kubectl("delete", "pod", lost, "-n", "neap-system", "--wait=false")

    def replicas(self):
        return self.pods.running("neapd")

    def metrics(self, child):
        """Of one neapd; {} while it starts or ends."""
        try:
            return self.machine.cluster.stack.neapd_metrics(child)
        except (OSError, RuntimeError):
            return {}

    def held(self):
        """How many shards each decides, by its own word."""
        return [self.metrics(child).get("neap_shards_held", 0) for child in self.replicas().values()]

    def await_shared(self, count, seconds=60):
        """Each shard is decided by one of `count`, and each of these has its part."""
        def shared():
            held = self.held()
            return len(held) == count and all(held) and sum(held) == SHARDS
        wait_for(shared, seconds, f"{count} neapd to share {SHARDS} shards")

    def holders(self):
        """{shard: pod} as the Leases say."""
        leases = self.api.get("/apis/coordination.k8s.io/v1/namespaces/neap-system/leases")["items"]
        return {int(lease["metadata"]["name"].rpartition("-")[2]): lease["spec"].get("holderIdentity", "").rpartition("-")[0]
                for lease in leases if lease["metadata"]["name"].startswith("neap-shard-")}

    def kept(self):
        """uids of the Autoscalers whose histories lie in ConfigMaps."""
        items = self.api.get("/api/v1/namespaces/neap-system/configmaps?labelSelector=neap.dev%2Fhistory%3Dneap")["items"]
        return {uid for item in items for uid in item.get("binaryData") or {}}


@pytest.fixture(scope="module")
def installed(machine):
    return Installed(machine)


@pytest.fixture
def shop(installed, request):
    it = Shop(installed.machine.cluster, namespace_of(request))
    with it.stack:
        yield it
        if hasattr(request.node, "failed_call"):
            installed.machine.print_logs()
            print(it.cluster.kubectl("get", "deployments,autoscalers", "-n", it.namespace, "-o", "wide", check=False).stdout)
        it.remove()


def make(shop, behaviors, replicas):
    """Workloads whose metrics ask for what they have; {name: uid of the Autoscaler}."""
    for name, behavior in behaviors.items():
        shop.workload(name, replicas=replicas)
        shop.load(name, 10 * replicas)
        shop.autoscaler(name, behavior=behavior)
    return {name: shop.cluster.object(shop.namespace, "Autoscaler", name)["metadata"]["uid"] for name in behaviors}


def await_kept(installed, uids):
    """What was decided before the first record is there, nobody can go on from."""
    wait_for(lambda: set(uids.values()) <= installed.kept(), 30, "every target's history to be in a ConfigMap")


def deployments(shop):
    return {d["metadata"]["name"]: d for d in shop.api.get(f"/apis/apps/v1/namespaces/{shop.namespace}/deployments")["items"]}


def counts(shop, names):
    now = deployments(shop)
    return {name: now[name]["spec"]["replicas"] for name in names}


def generations(shop, names):
    """Which grow with every change of a spec, also one that was taken back."""
    now = deployments(shop)
    return {name: now[name]["metadata"]["generation"] for name in names}


def all_have(shop, names, count, seconds=30):
    wait_for(lambda: counts(shop, names) == dict.fromkeys(names, count), seconds, f"{', '.join(names)} to have {count} replicas")


def scale_writes(shop):
    """The audit log's successful writes of scales in the namespace: (name, pod of the neapd that sent it, seconds since the epoch)."""
    found = []
    for entry in shop.cluster.audit():
        ref = entry.get("objectRef", {})
        if ref.get("namespace") == shop.namespace and ref.get("subresource") == "scale" and entry["verb"] in ("patch", "update") and \
                entry["responseStatus"]["code"] == 200:
            assert entry["user"]["username"] == ACCOUNT, entry
            whole, _, fraction = entry["requestReceivedTimestamp"].rstrip("Z").partition(".")
            at = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (fraction or "0"))
            found.append((ref["name"], entry["userAgent"].partition("(")[2].rstrip(")").rpartition("-")[0], at))
    return found


def decided_again(installed, shop, names, times=2, seconds=30):
    """Waits until whoever holds them has decided each of `names` so often from now on."""
    def last():
        out = {}
        for child in installed.replicas().values():
            for series, value in installed.metrics(child).items():
                if series.startswith("neap_autoscaler_last_decision_timestamp_seconds") and f'namespace="{shop.namespace}"' in series:
                    out[series] = max(value, out.get(series, 0))
        return {name: max([v for s, v in out.items() if f'"{name}"' in s], default=0) for name in names}
    for _ in range(times):
        began = time.time()
        wait_for(lambda: min(last().values()) > began, seconds, f"{', '.join(names)} to be decided")


def nothing_was_forbidden(installed):
    for child in installed.replicas().values():
        assert "forbidden" not in child.log(), [line for line in child.log().splitlines() if "forbidden" in line]


def test_what_one_of_three_leaves_the_others_decide_with_its_history(installed, shop):
    """kill -9 after each target has spent the one scale-down that it has in half an hour."""
    installed.deploy(3)
    names = [f"web{i}" for i in range(12)]
    uids = make(shop, dict.fromkeys(names, one_per(1800)), replicas=4)
    await_kept(installed, uids)
    for name in names:
        shop.load(name, 10)
    all_have(shop, names, 3)

    holders = installed.holders()
    of = {name: holders[shard_of(uid)] for name, uid in uids.items()}
    lost = max(set(of.values()), key=list(of.values()).count)
    left = [name for name in names if of[name] == lost]
    assert 1 < len(left) < len(names), of
    up, down = left[::2], left[1::2]
    before = generations(shop, names)
    done = len(scale_writes(shop))
    killed = time.time()
    installed.pods.lose(lost)
    for name in up:
        shop.load(name, 60)
    all_have(shop, up, 6)
    wait_for(lambda: len(scale_writes(shop)) >= done + len(up), 10, "the audit log to have them")
    log = scale_writes(shop)[done:]
    took = {name: at - killed for name, _, at in log}
    print("decided by others after", {name: round(seconds, 2) for name, seconds in took.items()})
    assert sorted(name for name, _, _ in log) == sorted(up) and all(pod in installed.replicas() for _, pod, _ in log), log
    assert max(took.values()) <= LEASE + PERIOD + SLACK, took

    installed.await_shared(2)
    wait_for(lambda: {m.get("neap_lease_members") for m in map(installed.metrics, installed.replicas().values())} == {2}, 30, "two members")
    # Whoever decides the rest now knows of the scale-down after which half an hour has to pass; so does who comes in its place.
    decided_again(installed, shop, down)
    installed.replace(lost)
    installed.await_shared(3)
    decided_again(installed, shop, names)
    rest = [name for name in names if name not in up]
    assert generations(shop, rest) == {name: before[name] for name in rest}
    assert counts(shop, up) == dict.fromkeys(up, 6)
    nothing_was_forbidden(installed)


def test_an_etcd_that_stands_still_longer_than_a_lease(installed, shop):
    """Again and again nobody can renew: nobody decides meanwhile, and then each change comes once. A write that etcd had when it stopped
    is done late, and is the same."""
    installed.deploy(3)
    rising, spent = [f"rising{i}" for i in range(4)], [f"spent{i}" for i in range(4)]
    uids = make(shop, {**dict.fromkeys(rising, HOLDS), **dict.fromkeys(spent, one_per(1800))}, replicas=4)
    await_kept(installed, uids)
    for name in spent:
        shop.load(name, 10)
    all_have(shop, spent, 3)
    before, rounds = generations(shop, rising + spent), 3
    for wanted in range(5, 5 + rounds):
        shop.cluster.pause(shop.cluster.etcd)
        try:
            for name in rising:
                shop.load(name, 10 * wanted)
            wait_for(lambda: not any(installed.held()), 30, "every lease to be lost")
        finally:
            shop.cluster.resume(shop.cluster.etcd)
        began = time.monotonic()
        installed.await_shared(3)
        shared = time.monotonic() - began
        all_have(shop, rising, wanted)
        print(f"shared again after {shared:.1f} s, scaled after {time.monotonic() - began:.1f} s")
    for name in rising:
        shop.load(name, 10)
    decided_again(installed, shop, rising + spent)
    assert generations(shop, rising + spent) == {name: before[name] + (rounds if name in rising else 0) for name in before}, scale_writes(shop)


def replace_all(installed, shop, replicas):
    """Each pod is replaced by a new one, in windows that hold what the metrics ask for."""
    installed.deploy(replicas)
    spent, held = [f"spent{i}" for i in range(4)], [f"held{i}" for i in range(4)]
    names = spent + held
    uids = make(shop, {**dict.fromkeys(spent, one_per(1800)), **dict.fromkeys(held, HOLDS)}, replicas=4)
    await_kept(installed, uids)
    for name in names:
        shop.load(name, 10)
    all_have(shop, spent, 3)
    wait_for(lambda: all(shop.condition(n, "AbleToScale").get("reason") == "ScaleDownStabilized" for n in held), 30, "the windows to hold")
    before, old, done = generations(shop, names), set(installed.replicas()), len(scale_writes(shop))
    began = time.monotonic()
    installed.deploy(replicas, anew=True)
    new = set(installed.replicas())
    print(f"{replicas} replaced in {time.monotonic() - began:.1f} s")
    assert len(new) == replicas and not new & old
    decided_again(installed, shop, names)
    assert generations(shop, names) == before, scale_writes(shop)[done:]
    # And the new ones act.
    for name in names:
        shop.load(name, 50)
    all_have(shop, names, 5)
    wait_for(lambda: len(scale_writes(shop)) >= done + len(names), 10, "the audit log to have them")
    log = scale_writes(shop)[done:]
    assert sorted(name for name, _, _ in log) == sorted(names) and all(pod in new for _, pod, _ in log), log
    nothing_was_forbidden(installed)


def test_an_update_of_three_changes_no_count(installed, shop):
    replace_all(installed, shop, 3)


def test_an_update_of_one_changes_no_count(installed, shop):
    replace_all(installed, shop, 1)


def test_kill_9_of_the_only_one_shortens_no_window(installed, shop):
    """One pod in so many seconds; right after it removed one, the process is killed, and its pod starts it anew."""
    seconds = 10
    installed.deploy(1)
    uids = make(shop, {"web": one_per(seconds), "held": HOLDS}, replicas=4)
    await_kept(installed, uids)
    before = generations(shop, ["held"])
    shop.load("held", 10)
    wait_for(lambda: shop.condition("held", "AbleToScale").get("reason") == "ScaleDownStabilized", 30, "the window to hold")
    shop.load("web", 20)
    shop.scales_to("web", 3)
    installed.pods.process("neapd")[1].kill()
    shop.scales_to("web", 2, seconds=90)  # each time that a busy server lets a lease run out the time may begin anew
    wait_for(lambda: len(scale_writes(shop)) >= 2, 10, "the audit log to have both")
    log = scale_writes(shop)
    assert [name for name, _, _ in log] == ["web", "web"], log
    print(f"{log[1][2] - log[0][2]:.2f} s between two scale-downs")
    assert log[1][2] - log[0][2] >= seconds
    decided_again(installed, shop, ["held"])
    assert generations(shop, ["held"]) == before
