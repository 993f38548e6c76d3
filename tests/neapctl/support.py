"""Runs the real neapctl; NEAP_BIN says where it is."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ["NEAP_BIN"]


def neapctl(*arguments, stdin="", cwd=ROOT, timeout=120):
    return subprocess.run([os.path.join(BIN, "neapctl"), *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          cwd=cwd, timeout=timeout)
