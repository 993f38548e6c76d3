#!/usr/bin/env python3
"""neapd as a process, on the playground with the stub scaler. Build neapd, neapctl and neap-test-scaler first.

  tests/bench/neapd_bench.py push                     a pushed sample to the PATCH in the server's log
  tests/bench/neapd_bench.py fleet 10000 15s          start to the last first decision, memory, CPU

Binaries come from build/release/bin, or from NEAP_BIN. Figures depend on the machine and on what else it does.
"""
import datetime
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tools"), os.path.join(ROOT, "tests", "integration")]
sys.dont_write_bytecode = True
from stack import Stack, wait_for  # noqa: E402
from worlds import autoscaler, objects, world  # noqa: E402


def push(stack, samples=100):
    text = autoscaler("web", trigger={"key": "web", "target": "10", "value": "50"}, period="15s")
    stack.start_playground(stack.path("world.yaml", world(["web"])), [stack.path("objects.yaml", objects(text))])
    stack.start_stub_scaler()
    stack.start_neapd()
    wait_for(lambda: stack.condition("shop", "web", "ScalingActive").get("status") == "True", 30, "web to be active")
    took = []
    for i in range(samples):
        wanted = 7 if i % 2 else 9
        sent = time.time()
        stack.set_stub("set", key="web", value=10 * wanted, push=1)
        wait_for(lambda: stack.replicas("shop", "web") == wanted, 20, "the write")
        written = [w for w in stack.get("/writes")["writes"] if w.get("to") == wanted][-1]
        at = datetime.datetime.fromisoformat(written["time"].replace("Z", "+00:00")).timestamp()
        took.append(1000 * (at - sent))
        time.sleep(0.15)  # two decisions of a target are 100 ms apart
    took.sort()
    print(f"{samples} pushed samples to the PATCH at the server: p50 {statistics.median(took):.1f} ms, "
          f"p99 {took[int(0.99 * samples) - 1]:.1f} ms, most {took[-1]:.1f} ms (with the HTTP request that sets the sample)")


def fleet(stack, targets, period):
    text = f"""seed: 1
namespaces: [shop]
deployments:
- {{name: web, namespace: shop, count: {targets}, replicas: 1, requests: {{cpu: 100m}}}}
"""
    texts = [autoscaler(f"web-{i}", trigger={"key": f"k{i}", "target": "10", "value": "10"}, period=period,
                        behavior="{scaleDown: {stabilizationWindowSeconds: 300}}")
             for i in range(targets)]
    stack.start_playground(stack.path("world.yaml", text), [stack.path("objects.yaml", objects(*texts))])
    stack.start_stub_scaler()
    began = time.monotonic()
    stack.start_neapd()

    def decisions():
        return sum(v for k, v in stack.neapd_metrics().items() if k.startswith("neap_decisions_total"))
    wait_for(lambda: decisions() >= targets, 120, "the first decision of each")
    print(f"{targets} targets: first decision of the last one within {time.monotonic() - began:.1f} s of the start")
    # Windows of 300 s are full, and each status has been written, 20 a second.
    time.sleep(max(320, targets / 20 + 20))
    cpu, made, began = stack.neapd.cpu_seconds(), decisions(), time.monotonic()
    time.sleep(30)
    took = time.monotonic() - began
    print(f"{(decisions() - made) / took:.0f} decisions a second at {100 * (stack.neapd.cpu_seconds() - cpu) / took:.1f} % of "
          f"a core, {stack.neapd.resident_bytes() / 2**20:.1f} MiB resident")


def main():
    with Stack(os.environ.get("NEAP_BIN", os.path.join(ROOT, "build", "release", "bin"))) as stack:
        if sys.argv[1:2] == ["push"]:
            push(stack)
        elif sys.argv[1:2] == ["fleet"] and len(sys.argv) == 4:
            fleet(stack, int(sys.argv[2]), sys.argv[3])
        else:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
