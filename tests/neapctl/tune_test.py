"""neapctl tune: a search on one part of a trace, a verdict on the other."""
import json

import yaml

from support import neapctl
from trials import HPA, STEP, TAXI, WORKER, write


def tune(*arguments, **named):
    return neapctl("tune", *arguments, **named)


def test_what_is_recommended_meets_the_objective_on_both_parts_and_is_cheaper(tmp_path):
    path = write(tmp_path, "# a comment\n" + WORKER)
    arguments = [path, "--trace", TAXI, "--per-step", "--duration", "24h", "--capacity", 5, "--objective", "p99 wait < 60s",
                 "--runs", 40]
    done = tune(*arguments, "-o", "json", "--report", tmp_path / "t.html", "--csv", tmp_path / "csv")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    given, = [p for p in document["points"] if p["asGiven"]]
    best, = [p for p in document["points"] if p["recommended"]]
    assert best["searched"]["meets"] and best["heldOut"]["meets"]
    assert best["searched"]["cost"] <= given["searched"]["cost"]
    assert len(document["points"]) <= 40
    # The patch is the object's, and valid: the patched object is what was simulated.
    patched = yaml.safe_load(path.read_text())
    for part, value in document["patch"].get("spec", {}).items():
        patched["spec"][part] = value
    again = neapctl("validate", write(tmp_path, yaml.safe_dump(patched), "patched.yaml"))
    assert again.returncode == 0, again.stderr
    # The same search gives the same points.
    repeated = json.loads(tune(*arguments, "-o", "json").stdout)
    assert repeated["points"] == document["points"]
    text = tune(*arguments).stdout
    assert "The front of cost against objective" in text and "recommended" in text
    if document["patch"]:
        assert "kubectl patch" in text and 'listLength: "' in text


def test_what_misses_the_objective_where_nobody_searched_is_not_recommended(tmp_path):
    """The rest of the trace has a load that no policy with these bounds can serve."""
    trace = write(tmp_path, "time,rate\n0,20\n1200,40\n2400,20\n3000,900\n3600,20\n", "day.csv")
    done = tune(write(tmp_path, HPA), "--trace", trace, "--capacity", 10, "--objective", "failed < 1%", "--runs", 12)
    assert done.returncode == 1, done.stderr
    text = " ".join(done.stdout.split())
    assert ("Nothing is recommended: what meets failed < 1% on the searched part misses it on the part that was held out, "
            "or with another seed") in text
    assert "kubectl patch" not in text


def test_what_nothing_meets_is_said(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    done = tune(write(tmp_path, HPA), "--trace", trace, "--capacity", 1, "--objective", "failed < 0.1%", "--runs", 8)
    assert done.returncode == 1, done.stderr
    text = " ".join(done.stdout.split())
    assert "Nothing is recommended: none of 8 points meets failed < 0.1% on the searched part; the nearest has a failed" in text


def test_what_may_change(tmp_path):
    """Every target but memory's, which follows no load here; what the user forbade stays forbidden."""
    text = HPA + """\
  - type: Resource
    resource: {name: memory, target: {type: AverageValue, averageValue: 300Mi}}
  - type: Object
    object:
      metric: {name: http_requests}
      describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}
      target: {type: Value, value: 10k}
  behavior:
    scaleDown: {selectPolicy: Disabled}
"""
    done = tune(write(tmp_path, text), "--trace", write(tmp_path, STEP, "day.csv"), "--objective", "failed < 50%", "--runs", 3,
                "-o", "json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["points"][0]["parameters"].items()) == [
        ("metrics[0].resource.target.averageUtilization", "60"),
        ("metrics[2].object.target.value", "10k"),
        ("behavior.scaleDown.stabilizationWindowSeconds", "300"),
        ("behavior.scaleUp.stabilizationWindowSeconds", "0"),
        ("behavior.scaleUp.policies", "as given"),
    ]


def test_what_is_refused(tmp_path):
    path, trace = write(tmp_path, HPA), write(tmp_path, STEP, "day.csv")
    good = ["--objective", "p99 wait < 1s"]
    cases = [
        ((path, "--trace", "-", *good), "--trace: standard input can be read once, and each run reads the trace: name a file\n"),
        ((path, *good), "--trace: a recorded load is needed\n"),
        ((path, "--trace", trace), '--objective: what is to be met, such as "p99 wait < 1s"\n'),
        ((path, "--trace", trace, "--objective", "wait < 1s"),
         '--objective: "wait < 1s" says when a request is late, not how many may be: add a share or a percentile, such as '
         '"and late < 1%" or "p99 wait < 1s"\n'),
        ((path, "--trace", trace, "--duration", "2m", *good),
         f"{trace}: 2m0s is too short to search 70 % of it and to check on the rest: each part needs a minute\n"),
    ]
    for arguments, message in cases:
        done = tune(*arguments, stdin=STEP)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
