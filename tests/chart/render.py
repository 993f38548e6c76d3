"""The chart as Helm renders it. Other tests import this: the end-to-end tests run what the rendered containers say.

    objects = render({"dryRun": True}, namespace="neap-system")
    deployment = one(objects, "Deployment", "neap")
    container(deployment, "neapd")["args"]

Helm comes from tools/go-tools, which builds it when it is not there.
"""
import functools
import json
import os
import shutil
import subprocess
import tempfile

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART = os.path.join(ROOT, "charts", "neap")


class Refused(Exception):
    """Helm's own words."""


@functools.lru_cache
def helm():
    return subprocess.run([os.path.join(ROOT, "tools", "go-tools"), "helm"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip().splitlines()[-1]


def run_helm(*argv, values=None, kubeconfig=os.devnull):
    """What `helm argv... --values FILE` prints; raises Refused. No cluster but that of `kubeconfig` is looked at, nor the user's own Helm."""
    with tempfile.TemporaryDirectory() as home:
        argv = [helm(), *argv]
        if values is not None:
            path = os.path.join(home, "values.yaml")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(values, f)  # YAML, too
            argv += ["--values", path]
        done = subprocess.run(argv, capture_output=True, text=True, env={
            "PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": kubeconfig})
    if done.returncode != 0:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def render(values=None, *, name="neap", namespace="neap-system", crds=False, upgrade=False, path=CHART):
    """The objects of the release, in Helm's order, without its hooks' special treatment."""
    argv = ["template", name, path, "--namespace", namespace]
    argv += ["--include-crds"] if crds else []
    argv += ["--is-upgrade"] if upgrade else []
    return [o for o in yaml.load_all(run_helm(*argv, values=values or {}), Loader=yaml.CSafeLoader) if o is not None]


def notes(values=None, **options):
    """The text of NOTES.txt. Helm shows it only where there is a cluster: here another template has it as a field."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(CHART, os.path.join(folder, "neap"))
        with open(os.path.join(copy, "templates", "notes.yaml"), "w", encoding="utf-8") as f:
            f.write('kind: Notes\ntext: {{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}\n')
        return next(o["text"] for o in render(values, path=copy, **options) if o["kind"] == "Notes")


def some(objects, kind):
    return [o for o in objects if o["kind"] == kind]


def one(objects, kind, name=None):
    found = [o for o in some(objects, kind) if name is None or o["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {[o['metadata']['name'] for o in some(objects, kind)]}"
    return found[0]


def pod_spec(workload):
    return workload["spec"] if workload["kind"] == "Pod" else workload["spec"]["template"]["spec"]


def container(workload, name):
    return next(c for c in pod_spec(workload)["containers"] if c["name"] == name)


def rules(objects, account, namespace="neap-system"):
    """[(namespace or "" for the cluster, rule)] that an account is granted."""
    out = []
    for binding in some(objects, "RoleBinding") + some(objects, "ClusterRoleBinding"):
        if not any(s["name"] == account and s["namespace"] == namespace for s in binding["subjects"]):
            continue
        where = binding["metadata"].get("namespace", "")
        ref = binding["roleRef"]
        role = next(o for o in objects if o["kind"] == ref["kind"] and o["metadata"]["name"] == ref["name"]
                    and (ref["kind"] == "ClusterRole" or o["metadata"]["namespace"] == where))
        out += [(where, rule) for rule in role["rules"]]
    return out
