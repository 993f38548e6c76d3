"""Model against measurement: the same world and objects in real time (playground, neapd, scalers: real processes) and in
virtual time (neapctl simulate) must scale alike: the same counts in the same order, at the same times.

How exactly the times agree is found and not guessed. When a target falls due within its period depends on its uid and on the
clock, so a change comes up to one period later in one run than in another, and later still where one change follows another.
The simulator is therefore run at ten phases of the period: their earliest and latest time of each change are what the model
allows. What lies outside was added by this machine's scheduling: an API server, a scaler and a controller on cores that
others use as well. NOISE is for that alone: of four runs on two cores that eight other
processes used, too, the largest was 0.14 s.
"""
import datetime
import json
import subprocess

from stack import wait_for
from worlds import objects

NOISE = 1.0    # seconds
PERIOD = 2     # of the objects, seconds
PHASES = 10
DURATION = 90  # seconds of the world

# Loads that stand still before the first step, so that nothing depends on when neapd is there. Policies that allow so few pods
# per time that a half measured window of CPU changes nothing. Windows and policy periods that are no multiple of the period:
# else what was recommended just one window ago still counts or not by the millisecond, and the change comes a period later.
WORLD = """seed: 5
metrics: {window: 2s, every: 1s}
namespaces: [shop]
deployments:
- name: external
  namespace: shop
  replicas: 2
  startup: {running: [100ms, 200ms], ready: [100ms, 200ms]}
  load: {steps: [{at: 0s, rate: 18}, {at: 25s, rate: 68}, {at: 45s, rate: 26}]}
- name: cpu
  namespace: shop
  replicas: 2
  requests: {cpu: 200m}
  cpu: {perRequest: 10m}
  startup: {running: [100ms, 200ms], ready: [100ms, 200ms]}
  load: {steps: [{at: 0s, rate: 20}, {at: 30s, rate: 80}, {at: 55s, rate: 30}]}
externalMetrics:
- {name: load, namespace: shop, from: {deployment: external}}
"""

OBJECT = """apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {{name: {name}, namespace: shop}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  minReplicas: 1
  maxReplicas: 20
  period: {period}s
  metrics:
  - {metric}
  behavior:
    scaleUp: {{stabilizationWindowSeconds: 0, policies: [{{type: Pods, value: 3, periodSeconds: 5}}]}}
    scaleDown: {{stabilizationWindowSeconds: 7, policies: [{{type: Pods, value: 2, periodSeconds: 5}}]}}
"""
METRICS = {
    "external": "{type: External, external: {metric: {name: load}, target: {type: AverageValue, averageValue: \"10\"}}}",
    "cpu": "{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}",
}


def simulated(stack, start):
    """{name: [(seconds since the world began, from, to)]} of the changes that were applied in virtual time."""
    # kubeletEvery 0: the CPU of pods as the playground serves it, and not by way of a metrics-server.
    scenario = stack.path("scenario.yaml", WORLD + f"""objects: [objects.yaml]
duration: {DURATION}s
start: {start.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
pipeline: {{kubeletEvery: 0s}}
""")
    out = stack.path("result.json")
    done = subprocess.run([stack.binary("neapctl"), "simulate", scenario, "--json", out], capture_output=True, text=True,
                          cwd=stack.directory, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(out) as f:
        result = json.load(f)
    return {target["object"].split("/")[-1]: [(d["at"], d["current"], d["desired"]) for d in target["decisions"] if d["applied"]]
            for target in result["results"][0]["targets"]}


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def measured(stack):
    """The same of the real processes."""
    stack.start_playground(stack.path("world.yaml", WORLD), [stack.path("objects.yaml")])
    world = stack.get("/world")
    start = seconds(world["time"]) - world["elapsedSeconds"]
    stack.start_scalers()
    stack.start_neapd()
    for name in METRICS:
        wait_for(lambda: stack.condition("shop", name, "ScalingActive").get("status") == "True", 20, f"{name} to be active")
    assert stack.get("/world")["elapsedSeconds"] < 25, "this machine is too slow: the load changed before neapd was there"
    wait_for(lambda: stack.get("/world")["elapsedSeconds"] > DURATION, 2 * DURATION, "the world to end")
    out = {name: [] for name in METRICS}
    for write in stack.get("/writes")["writes"]:
        if write.get("to") is not None and write["code"] == 200:
            out[write["name"]].append((seconds(write["time"]) - start, write["from"], write["to"]))
    return out


def counts(changes):
    return [(before, after) for _, before, after in changes]


def test_the_playground_in_real_time_scales_as_the_simulator_in_virtual_time(stack):
    stack.path("objects.yaml", objects(*[OBJECT.format(name=n, period=PERIOD, metric=m) for n, m in METRICS.items()]))
    start = datetime.datetime(2026, 1, 1)
    runs = [simulated(stack, start + datetime.timedelta(seconds=PERIOD * i / PHASES)) for i in range(PHASES)]
    real = measured(stack)
    worst = 0.0
    for name in METRICS:
        for run in runs[1:]:  # else the scenario is no measure
            assert counts(run[name]) == counts(runs[0][name]), f"{name}: the phase decides what is decided"
        assert counts(real[name]) == counts(runs[0][name]), f"{name}: measured {real[name]}, simulated {runs[0][name]}"
        ups = sum(after > before for before, after in counts(real[name]))
        assert ups >= 2 and len(real[name]) - ups >= 2, f"{name}: {real[name]} tries too little"
        for i, (at, before, after) in enumerate(real[name]):
            times = [run[name][i][0] for run in runs]
            outside = max(min(times) - at, at - max(times), 0)
            worst = max(worst, outside)
            print(f"{name}: {before} -> {after} at {at:.2f} s, simulated {min(times):.2f} to {max(times):.2f} s")
            assert outside <= NOISE, f"{name}: {before} -> {after} at {at:.2f} s, simulated {min(times):.2f} to {max(times):.2f} s"
    print(f"largest deviation beyond the phases: {worst:.2f} s")
