"""Nothing in the daemon grows with time, and no period is missed: 1,000 targets at 1 s.

NEAP_SOAK says how long (default 2m; tools/test --soak 30m). Memory may grow while tables fill (windows, journal buffers),
so it is compared over the second half: its end against its middle.
"""
import os
import re
import statistics
import time

from stack import wait_for

TARGETS = 1000
WARM_UP = 30  # seconds until tables and allocator have filled


def seconds():
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", os.environ.get("NEAP_SOAK", "2m")).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def test_a_thousand_targets_at_one_second(stack):
    world = f"""seed: 1
tick: 1s
namespaces: [shop]
deployments:
- name: web
  namespace: shop
  count: {TARGETS}
  replicas: 2
  requests: {{cpu: 100m}}
  startup: {{running: [100ms, 500ms], ready: [100ms, 500ms]}}
"""
    texts = [f"""apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {{name: web-{i}, namespace: shop}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web-{i}}}
  minReplicas: 1
  maxReplicas: 3
  period: 1s
  triggers:
  - {{type: stub, metadata: {{key: "k{i}", target: "10", value: "20"}}}}
  behavior: {{scaleDown: {{stabilizationWindowSeconds: 10}}}}
""" for i in range(TARGETS)]
    stack.start_playground(stack.path("world.yaml", world), [stack.path("objects.yaml", "---\n".join(texts))])
    stack.start_stub_scaler()
    stack.start_neapd("--journal-dir", stack.path("journal"), "--journal-max-size", "64Mi")

    def count(name):
        return sum(v for k, v in stack.neapd_metrics().items() if re.match(name + r"(\{|$)", k))
    wait_for(lambda: count("neap_decisions_total") >= TARGETS, 60, "each target to be decided")

    duration = seconds()
    began, cpu, memory, wave = time.monotonic(), stack.neapd.cpu_seconds(), [], 0
    decisions, late = count("neap_decisions_total"), count("neap_late_periods_total")
    while time.monotonic() - began < duration:
        # A tenth of the targets is scaled up and down all the time.
        wave += 1
        for i in range(wave % 10, TARGETS, 100):
            stack.set_stub("set", key=f"k{i}", value=30 if wave % 20 < 10 else 20)
        next_at = began + wave
        while time.monotonic() < next_at:
            time.sleep(0.05)
        if time.monotonic() - began >= min(WARM_UP, duration / 2):
            memory.append(stack.neapd.resident_bytes())
    took = time.monotonic() - began
    made = count("neap_decisions_total") - decisions
    third = max(1, len(memory) // 3)
    before, after = statistics.mean(memory[:third]), statistics.mean(memory[-third:])
    print(f"\n{took:.0f} s: {made:.0f} decisions, resident {before / 2**20:.1f} -> {after / 2**20:.1f} MiB "
          f"({100 * (after / before - 1):+.2f} %), CPU {100 * (stack.neapd.cpu_seconds() - cpu) / took:.1f} % of a core, "
          f"{len(stack.scale_writes())} scale writes in the server's log")
    assert after <= before * 1.02
    assert count("neap_late_periods_total") == late
    assert made >= 0.98 * TARGETS * (took - 2)
