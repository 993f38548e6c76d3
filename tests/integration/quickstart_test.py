"""The README's first command, as a user runs it."""
import os
import re
import subprocess
import sys
import tempfile

from conftest import ROOT


def test_quickstart_scales_three_workloads_and_leaves_nothing_behind():
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run([os.path.join(ROOT, "tools", "quickstart"), "--for", "90s"], text=True, capture_output=True,
                              env={**os.environ, "TMPDIR": scratch}, timeout=600)
        print(done.stdout[-6000:], done.stderr, file=sys.stderr)
        assert done.returncode == 0
        for name in ("checkout", "worker", "api"):
            up, down = map(int, re.search(rf"^{name} +up (\d+), down (\d+):", done.stdout, re.M).groups())
            assert up >= 1 and down >= 1
        assert os.listdir(scratch) == []
        assert not processes_naming(scratch)


def processes_naming(text):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if text.encode() in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found
