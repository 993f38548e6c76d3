"""neapctl validate and explain, and what every command has in common: help, -o, exit codes."""
import json

import pytest
import yaml

from support import neapctl

GOOD = """\
apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: worker, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}
  minReplicas: 1
  maxReplicas: 30
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  triggers:
  - type: redis
    metadata: {address: "redis:6379", listName: jobs, listLength: "20"}
"""
DEPLOYMENT = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\n"
HPA = """\
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: old, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: old}
  maxReplicas: 4
"""
OBSERVATION = """\
---
kind: Observation
scale: {specReplicas: 4, selector: app=worker}
pods:
- {name: worker, count: 4, requests: {cpu: 500m}}
metrics:
- everyPod: 450m
- {value: 90, target: {type: AverageValue, value: 20}}
"""


def write(tmp_path, text, name="a.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


# ---- validate

def test_valid_objects(tmp_path):
    path = write(tmp_path, GOOD + DEPLOYMENT + HPA)
    done = neapctl("validate", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: 2 of 2 objects valid, 1 of other kinds\n"


def test_standard_input(tmp_path):
    done = neapctl("validate", "-", stdin=GOOD)
    assert (done.returncode, done.stdout) == (0, "-: 1 of 1 object valid\n")


BAD = {
    "an unknown field": (GOOD.replace("minReplicas:", "minReplica:"), 6, "spec.minReplica", 'did you mean "minReplicas"?'),
    "min above max": (GOOD.replace("maxReplicas: 30", "maxReplicas: 0"), 7, "spec.maxReplicas", "must be greater than 0"),
    "an unknown trigger type": (GOOD.replace("type: redis", "type: reddis"), 12, "spec.triggers[0].type",
                                'unknown trigger type "reddis" (did you mean "redis"?)'),
    "a missing parameter": (GOOD.replace("listName: jobs, ", ""), 13, "spec.triggers[0].metadata.listName", "missing required"),
    "a parameter of the wrong kind": (GOOD.replace('"20"', '"many"'), 13, "spec.triggers[0].metadata.listLength", "not an integer"),
    "a wrong metric type": (GOOD.replace("- type: redis", "- type: redis\n    metricType: Utilization"), 13,
                            "spec.triggers[0].metricType", "Unsupported value"),
    "a wrong quantity": (GOOD.replace("{type: Utilization, averageUtilization: 60}", "{type: AverageValue, averageValue: 5mm}"), 10,
                         "spec.metrics[0].resource.target.averageValue", "5mm"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_problem_names_file_line_and_field(tmp_path, name):
    text, line, field, words = BAD[name]
    path = write(tmp_path, text)
    done = neapctl("validate", path)
    assert done.returncode == 1
    lines = [x for x in done.stderr.splitlines() if x.startswith(f"{path}:{line}: {field}: ")]
    assert len(lines) == 1 and words in lines[0], done.stderr


def test_what_is_no_yaml_names_line_and_column(tmp_path):
    path = write(tmp_path, GOOD + "  broken: [1,\n")
    done = neapctl("validate", path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}:1"), done.stderr


def test_a_file_without_objects_is_not_called_valid(tmp_path):
    path = write(tmp_path, DEPLOYMENT)
    done = neapctl("validate", path)
    assert done.returncode == 1
    assert done.stderr == f"{path}: holds no Autoscaler and no HorizontalPodAutoscaler\n"


def test_an_unreadable_file_does_not_stop_the_others(tmp_path):
    path = write(tmp_path, GOOD)
    done = neapctl("validate", tmp_path / "none.yaml", path)
    assert done.returncode == 2
    assert f"{tmp_path}/none.yaml: No such file or directory" in done.stderr
    assert f"{path}: 1 of 1 object valid" in done.stdout
    assert neapctl("validate", tmp_path).returncode == 2  # a directory


def test_json_and_yaml_say_the_same(tmp_path):
    path = write(tmp_path, GOOD.replace("minReplicas:", "minReplica:"))
    as_json = json.loads(neapctl("validate", "-o", "json", path).stdout)
    assert as_json == yaml.safe_load(neapctl("validate", "-o", "yaml", path).stdout)
    problem = as_json["files"][0]["objects"][0]["errors"][0]
    assert (as_json["valid"], problem["line"], problem["field"]) == (False, 6, "spec.minReplica")


def test_yaml_quotes_what_would_read_as_something_else(tmp_path):
    text = GOOD.replace("name: worker, namespace: shop", 'name: "123", namespace: "true"')
    done = neapctl("validate", "-o", "yaml", write(tmp_path, text))
    found = yaml.safe_load(done.stdout)["files"][0]["objects"][0]
    assert (found["name"], found["namespace"]) == ("123", "true")


# ---- explain

def test_explain_of_an_observation(tmp_path):
    done = neapctl("explain", write(tmp_path, GOOD + OBSERVATION))
    assert (done.returncode, done.stderr) == (0, "")
    cpu = "cpu resource utilization (percentage of request)"
    assert done.stdout == f"""\
shop/worker: scale from 4 to 6

METRIC                                             VALUE                TARGET       ASKS FOR
{cpu}   90% (0.45 per pod)   60%          6
trigger #1 (redis)                                 90                   20 per pod   5

  propose   Ratio                      4 -> 6  {cpu}: asks for 6 (90% of 60%, ratio 1.5, times 4 pods)
  propose   Ratio                      4 -> 5  trigger #1 (redis): asks for 5 (90 of 20, ratio 1.125)
  combine   Maximum                    4 -> 6  highest of 2 proposals: {cpu}
  stabilise ReadyForNewScale                6  no window holds it
  bounds    DesiredWithinRange              6  within bounds and rates

It would be
  7 when {cpu} is at 91% or more (now 90%)
  5 when {cpu} is at 75% or less (now 90%)
  7 when trigger #1 (redis) is at 121 or more (now 90)
"""


def test_explain_from_two_files_as_json(tmp_path):
    one, two = write(tmp_path, GOOD), write(tmp_path, OBSERVATION, "o.yaml")
    found = json.loads(neapctl("explain", "-o", "json", one, two).stdout)
    assert (found["current"], found["desired"], found["rescale"]) == (4, 6, True)
    assert [s["reason"] for s in found["steps"]][:3] == ["Ratio", "Ratio", "Maximum"]
    assert [m["asksFor"] for m in found["metrics"]] == [6, 5]
    assert found["metrics"][0]["value"] == "90% (0.45 per pod)"
    assert [(w["kind"], w["replicas"], w.get("utilization")) for w in found["whatIf"]] == [
        ("metric", 7, 91), ("metric", 5, 75), ("metric", 7, None)]
    assert (found["whatIf"][2]["value"], found["whatIf"][2]["now"], found["whatIf"][2]["atLeast"]) == (121, 90, True)


def test_explain_holds_on_an_error(tmp_path):
    text = OBSERVATION.replace("everyPod: 450m", "error: no answer").replace("value: 90", "value: 1")
    done = neapctl("explain", write(tmp_path, GOOD + text))
    assert done.stdout.startswith("shop/worker: stay at 4\n")
    assert "no scale-down on what is unknown" in done.stdout
    both = text.replace("value: 1", "error: no answer")
    assert "\nNo single change would give another count now.\n" in neapctl("explain", write(tmp_path, GOOD + both)).stdout
    # The present count is the first recommendation: the others would not scale down now either.
    kept = text + "history: {recommendations: [{replicas: 3, age: 1m}]}\n"
    assert "\n  3 by the metrics that can be read: those that fail forbid it\n" in neapctl(
        "explain", write(tmp_path, GOOD + kept)).stdout


def test_explain_uses_history_and_staleness(tmp_path):
    low = OBSERVATION.replace("450m", "10m").replace("value: 90", "value: 1")
    # Without a history the current count is the first recommendation, as in the HPA.
    assert "stay at 4" in neapctl("explain", write(tmp_path, GOOD + low)).stdout
    kept = low + "history: {recommendations: [{replicas: 3, age: 1m}]}\n"
    assert "scale from 4 to 3" in neapctl("explain", write(tmp_path, GOOD + kept)).stdout
    stale = low.replace("everyPod: 10m", "{everyPod: 10m, age: 5m, staleAfter: 1m}")
    done = neapctl("explain", write(tmp_path, GOOD + stale))
    assert "stay at 4" in done.stdout and "the reading is 5m0s old, its limit is 1m0s" in done.stdout


@pytest.mark.parametrize("text, line, words", [
    (OBSERVATION.replace("everyPod", "everPod"), 20, 'metrics[0].everPod: unknown field (did you mean "everyPod"?)'),
    (OBSERVATION.replace("- everyPod: 450m\n", ""), 19, "metrics: 1 entries for the object's 1 metrics and 1 triggers"),
    (OBSERVATION.replace(", target: {type: AverageValue, value: 20}", ""), 21, "metrics[1].target: Required value"),
    (OBSERVATION.replace("specReplicas: 4, ", ""), 16, "scale.specReplicas: Required value"),
    (OBSERVATION.replace("450m", "450mm"), 20, "metrics[0].everyPod"),
    (OBSERVATION.replace("count: 4", "count: 4, readyFor: soon"), 18, "pods[0].readyFor"),
])
def test_a_bad_observation_names_line_and_field(tmp_path, text, line, words):
    path = write(tmp_path, GOOD + text)
    done = neapctl("explain", path)
    assert done.returncode == 1
    assert any(x.startswith(f"{path}:{line}: ") and words in x for x in done.stderr.splitlines()), done.stderr


def test_explain_says_what_is_missing(tmp_path):
    done = neapctl("explain", write(tmp_path, GOOD))
    assert (done.returncode, "no document of kind Observation" in done.stderr) == (1, True)
    done = neapctl("explain", write(tmp_path, OBSERVATION))
    assert (done.returncode, "no Autoscaler or HorizontalPodAutoscaler" in done.stderr) == (1, True)
    assert neapctl("explain", tmp_path / "none.yaml").returncode == 2
    done = neapctl("explain")
    assert (done.returncode, "name files, a journal with --object, or --server" in done.stderr) == (2, True)


# ---- every command

COMMANDS = [["validate"], ["explain"], ["conformance"], ["playground"], ["scaler", "describe"], ["scaler", "read"], ["replay"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_examples_and_exit_codes(command):
    done = neapctl(*command, "--help")
    assert done.returncode == 0
    assert "Examples:\n  neapctl " + " ".join(command) in done.stdout
    assert "Exit codes: 0 " in done.stdout


@pytest.mark.parametrize("arguments", [[], ["validat"], ["validate"], ["validate", "-o", "xml", "a"], ["explain", "--no-such"],
                                       ["scaler"], ["playground"]], ids=str)
def test_wrong_usage_is_2_and_on_stderr(arguments):
    done = neapctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
