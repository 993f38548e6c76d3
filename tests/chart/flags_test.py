"""The programs of this build take the flags that the chart gives them."""
import os
import subprocess

from chart_test import CASES
from render import container, one, pod_spec, render


def test_neapd_takes_the_flags():
    """The real programs parse what the chart gives them."""
    binaries = os.environ["NEAP_BIN"]
    rendered = {case: render(values) for case, values in CASES.items()}
    for case, objects in rendered.items():
        c = container(one(objects, "Deployment"), "neapd")
        assert c["command"] == ["/usr/bin/neapd"]
        done = subprocess.run([os.path.join(binaries, "neapd"), *c["args"], "--check-config"], text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, ""), f"{case}: {done.stderr}"
    for c in pod_spec(one(rendered["defaults"], "Deployment"))["containers"]:
        program, arguments = c["command"][0], c["args"]
        if program == "/usr/bin/neap-scalers":
            done = subprocess.run([os.path.join(binaries, "neap-scalers"), *arguments, "--version"], text=True, capture_output=True)
            assert done.returncode == 0 and done.stdout.startswith("neap-scalers "), done.stderr
