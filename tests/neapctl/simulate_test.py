"""neapctl simulate: an object and a trace, or a scenario, to an answer."""
import csv
import json
import os
import signal
import subprocess
import time

import pytest

from support import BIN, ROOT, neapctl
from trials import AZURE, CRANE, HPA, STEP, TAXI, WORKER, write


def expected(path, rows, step):
    """What the trace itself says of its first rows."""
    with open(path, newline="") as file:
        return sum(float(row[1]) for row in list(csv.reader(file))[1:rows + 1]) * step


def simulate(*arguments, **named):
    return neapctl("simulate", *arguments, **named)


def figures(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"][0]["targets"][0]["figures"]


def test_one_command_gives_an_answer_with_its_assumptions(tmp_path):
    done = simulate(write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "shop/checkout scales Deployment checkout, 2 to 30 replicas" in done.stdout
    text = " ".join(done.stdout.split())
    for assumed in ["no CPU request given: 500m of each pod",
                    "no capacity given: 5.56/s for a pod, so that the trace's peak of 100/s puts all 30 pods of "
                    "maxReplicas at the target of 60 % of its CPU request",
                    "no CPU per request given: 89.9ms, so that a pod that does all it can uses 100 % of its CPU request",
                    "no pod start given: 20s from creation to ready",
                    "no time-out given: a request that is not answered within 30s fails",
                    "no replicas given: it begins with 6, which the trace's first load needs"]:
        assert assumed in text


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    arguments = [write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"), "--pod-start", "[5s, 40s]",
                 "--service-time", "50ms", "-o", "json"]
    first, again, other = (simulate(*arguments, "--seed", seed) for seed in (7, 7, 8))
    assert first.stdout.replace("--seed 7", "") == again.stdout.replace("--seed 7", "")
    digests = [json.loads(done.stdout)["results"][0]["digest"] for done in (first, other)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize("trace,flags,served", [
    (TAXI, ["--per-step", "--duration", "48h"], expected(TAXI, 96, 1)),
    (CRANE, ["--duration", "24h"], expected(CRANE, 5760, 15)),
    (AZURE, ["--requests"], 19_366),
    (AZURE, ["--requests", "--value-column", "ContextTokens+GeneratedTokens", "--service-time", "1ms",
             "--concurrency", "8"], 19_366),
])
def test_the_recorded_traces_are_read_as_they_are(tmp_path, trace, flags, served):
    done = simulate(write(tmp_path, HPA), "--trace", trace, *flags, "-o", "json")
    got = figures(done)
    assert got["served"] + got["failed"] == pytest.approx(served, rel=0.001)


def test_a_trace_of_requests_is_hinted_at(tmp_path):
    done = simulate(write(tmp_path, HPA), "--trace", AZURE)
    assert "hint: the trace looks like one row per request" in done.stderr
    assert "hint" not in simulate(write(tmp_path, HPA), "--trace", AZURE, "--requests").stderr


def test_single_requests_cost_the_cpu_of_their_work(tmp_path):
    """30 pods at 60 % are what the peak needs by assumption: the mean needs fewer."""
    got = figures(simulate(write(tmp_path, HPA), "--trace", AZURE, "--requests", "-o", "json"))
    assert 15 < got["pod_hours"] < 28


def test_a_queue_trigger_reads_a_queue(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    done = simulate(write(tmp_path, WORKER), "--trace", trace, "--capacity", 5, "--objective", "wait < 30s")
    assert done.returncode == 0, done.stderr
    assert "the trace's load are items that arrive in a queue" in done.stdout
    assert "spec.triggers[0] (redis) reads a queue" in " ".join(done.stdout.split())
    assert "late, over 30 s" in done.stdout


def test_objectives_decide_the_exit_code(tmp_path):
    arguments = [write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"), "--capacity", 5]
    good = simulate(*arguments, "--objective", "failed < 50% and p50 wait < 30s")
    assert good.returncode == 0, good.stderr
    assert "objective failed < 50%: met, it is " in good.stdout
    bad = simulate(*arguments, "--objective", "failed < 50% and p99 wait < 1ms")
    assert bad.returncode == 1
    assert "objective p99 wait < 1ms: missed, it is " in bad.stdout


def test_latencies_are_those_of_single_requests(tmp_path):
    done = simulate(write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"), "--service-time", "50ms", "--objective",
                    "p50 latency < 60ms and p50 latency < 40ms")
    assert done.returncode == 1, done.stderr
    assert "objective p50 latency < 60ms: met, it is " in done.stdout
    assert "objective p50 latency < 40ms: missed, it is " in done.stdout


def test_standard_input_is_a_trace(tmp_path):
    arguments = [write(tmp_path, HPA), "--trace", "-"]
    done = simulate(*arguments, "--capacity", 6, "--cpu-per-request", "83ms", "-o", "json", stdin=STEP)
    assert figures(done)["served"] > 30_000
    refused = simulate(*arguments, stdin=STEP)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == ("--capacity is needed: its default is made from the trace's peak, and standard input can't "
                              "be read twice\n")


def test_files(tmp_path):
    page, data, tables, journal = (tmp_path / name for name in ("r.html", "r.json", "csv", "journal"))
    done = simulate(write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"), "--report", page, "--json", data,
                    "--csv", tables, "--journal", journal)
    assert done.returncode == 0, done.stderr
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert json.loads(data.read_text())["command"].startswith("neapctl simulate ")
    with open(tables / "shop-checkout-series.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["time", "seconds"] and len(rows) > 100
    assert sorted(os.listdir(tables)) == ["figures.csv", "shop-checkout-decisions.csv", "shop-checkout-series.csv"]
    # The journal is one like neapd's.
    replayed = neapctl("replay", journal)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    explained = neapctl("explain", journal, "--object", "shop/checkout")
    assert explained.returncode == 0 and "shop/checkout" in explained.stdout
    refused = simulate(write(tmp_path, HPA), "--trace", tmp_path / "day.csv", "--report", tmp_path / "none" / "r.html")
    assert refused.returncode == 2
    assert refused.stderr == f"neapctl: {tmp_path}/none/r.html: No such file or directory\n"


@pytest.mark.parametrize("flags,message", [
    (["--pod-start", "20"], "--pod-start: "),
    (["--pod-start", "[20s, 10s]"], "--pod-start: the most is less than the least"),
    (["--cpu-per-request", "20m"], "--cpu-per-request: 20m is not between 1ns and 1m0s"),
    (["--capacity", "0"], "--capacity: 0 is not more than 0 and at most 1M"),
    (["--service-time", "0s"], "--service-time: 0s is not between 1ns and 1h0m0s"),
    (["--concurrency", "two"], '--concurrency: "two" is not a whole number of at least 1'),
    (["--seed", "-1"], '--seed: "-1" is not a whole number of at least 0'),
    (["--duration", "0s"], "--duration: 0s is not between 1s and "),
    (["--metric", "cpu"], "--metric cpu: expected NAME=load, loadPerPod, queue, cpu or fixed:NUMBER"),
    (["--metric", "rps=load"], '--metric rps=load: no object has a metric or trigger "rps"'),
    (["--objective", "p99 waits < 1s"],
     '--objective: column 5: expected wait or latency (did you mean "wait"?), found "waits"\n  p99 waits < 1s\n      ^\n'),
    (["--objective", "p99 wait > 1s"], '--objective: column 10: expected "<", found ">"\n'),
    (["--objective", "p99 wait < 1"], '--objective: column 12: expected a time, such as 500ms or 1s, found "1"\n'),
    (["--objective", "failed < 1"], '--objective: column 10: expected a share up to 100%, such as 0.1%, found "1"\n'),
    (["--objective", "late < 1%"],
     '--objective: column 1: late needs its bound: add "and wait < 1s", found "late"\n'),
    (["--objective", "p99 wait < 1s or failed < 1%"], '--objective: column 15: expected "and" or the end, found "or"\n'),
    (["--objective", "latency < 1s"], "--objective: column 1: latency needs a percentile, such as p99, found "),
    (["--objective", "p50 latency < 1s"], "--objective: p50 latency < 1s: there are latencies of single requests alone, "
     "which --service-time (of a scenario: traffic) makes; of other load there are waits\n"),
    (["--objective", "p100 wait < 1s"], "--objective: column 1: expected a percentile from p1 to p99.9, found "),
    (["--objective", ""], ""),
])
def test_bad_flags_are_named(tmp_path, flags, message):
    done = simulate(write(tmp_path, HPA), "--trace", write(tmp_path, STEP, "day.csv"), *flags)
    if flags == ["--objective", ""]:
        assert done.returncode == 0
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


def test_all_bad_flags_are_named_at_once(tmp_path):
    done = simulate(write(tmp_path, HPA), "--trace", "none.csv", "--scale", "-1", "--timeout", "soon")
    assert done.stderr.count("\n") == 2
    assert "--scale: -1 is not more than 0" in done.stderr and "--timeout: " in done.stderr


@pytest.mark.parametrize("trace,message", [
    ("time,rate\n0,1\n60,x\n", ":3"),
    ("time,rate\n0,1\n60,NaN\n", ":3"),
    ("time,rate\n0,1\n60,-5\n", ":3"),
    ("time,rate\n60,1\n0,5\n", ":3"),
    ("time,rate\n0,1\n0,5\n", ":3"),
    ("time,rate\n", "day.csv"),
    ("time,rate\n0,0\n60,0\n", "there is no load in it"),
])
def test_bad_traces_are_named_by_their_line(tmp_path, trace, message):
    path = write(tmp_path, trace, "day.csv")
    done = simulate(write(tmp_path, HPA), "--trace", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path) in done.stderr and message in done.stderr


def test_what_can_not_be_simulated(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    hpa = write(tmp_path, HPA)
    done = simulate(hpa)
    assert done.stderr == (f"{hpa} is an object: --trace names the recorded load to try it on (or write a scenario: "
                           "neapctl scenario init)\n")
    done = simulate(tmp_path / "none.yaml", "--trace", trace)
    assert (done.returncode, done.stderr) == (2, f"neapctl: {tmp_path}/none.yaml: No such file or directory\n")
    done = simulate(hpa, "--trace", tmp_path / "none.csv")
    assert done.returncode == 2 and "none.csv" in done.stderr
    keda = write(tmp_path, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: jobs, namespace: shop}\n",
                 "keda.yaml")
    done = simulate(keda, "--trace", trace)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{keda}:1: ScaledObject shop/jobs: KEDA's objects are not simulated")
    wrong = write(tmp_path, HPA.replace("minReplicas: 2", "minReplicas: 31"), "wrong.yaml")
    done = simulate(wrong, "--trace", trace)
    assert done.returncode == 2 and done.stderr.startswith(f"{wrong}:7: spec.maxReplicas: Invalid value")
    # What the trigger's own scaler says.
    wrong = write(tmp_path, WORKER.replace('"20"', '"many"'), "wrong.yaml")
    done = simulate(wrong, "--trace", trace)
    assert done.returncode == 2 and "listLength" in done.stderr
    done = simulate(write(tmp_path, WORKER.replace("type: redis", "type: cron").replace(
        '{address: "redis:6379", listName: jobs, listLength: "20"}',
        '{timezone: UTC, start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: "10"}'), "cron.yaml"), "--trace", trace)
    assert done.returncode == 2 and "nothing in this world gives it, which knows no calendar" in done.stderr


def test_hints_say_what_can_not_work(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    done = simulate(write(tmp_path, HPA), "--trace", trace, "--capacity", 50, "--cpu-per-request", "5ms")
    assert "this metric never asks for more" in done.stderr
    done = simulate(write(tmp_path, HPA), "--trace", trace, "--capacity", 1)
    assert "hint: the trace's peak of 100/s needs 100 pods of 1/s each, maxReplicas is 30" in done.stderr


def test_ctrl_c_ends_with_a_report_of_what_was_run(tmp_path):
    process = subprocess.Popen([os.path.join(BIN, "neapctl"), "simulate", write(tmp_path, HPA), "--trace", TAXI, "--per-step"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    # Its first line of progress: it runs.
    line = process.stderr.readline()
    assert line.startswith("simulating shop/checkout: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "neapctl: stopped after " in err and "the report is of what was run" in err
    assert "shop/checkout scales Deployment checkout" in out


def test_a_scenario_says_its_load_itself(tmp_path):
    path = tmp_path / "s.yaml"
    assert neapctl("scenario", "init", "-o", path).returncode == 0
    done = simulate(path, "--trace", TAXI)
    assert done.returncode == 2
    assert done.stderr == f"--trace: {path} is a scenario, which says its load and workload itself\n"
    short = simulate(path, "--duration", "10m", "--seed", 3, "-o", "json")
    result = json.loads(short.stdout)["results"][0]
    assert (result["seed"], result["duration"]) == (3, 600)
