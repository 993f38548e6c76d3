"""neapctl compare: policies side by side, beside the HPA as it is."""
import json

from support import neapctl
from trials import HPA, STEP, WORKER, write


def compare(*arguments, **named):
    return neapctl("compare", *arguments, **named)


def test_policies_and_the_hpa_as_it_is(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    quick = WORKER.replace("maxReplicas: 30", "maxReplicas: 30\n  period: 5s").replace('"20"', '"10"')
    page, data, tables = (tmp_path / name for name in ("c.html", "c.json", "csv"))
    done = compare(write(tmp_path, WORKER, "now.yaml"), write(tmp_path, quick, "then.yaml"), "--trace", trace, "--capacity", 5,
                   "--pod-start", "[5s, 30s]", "--objective", "wait < 10s", "--seeds", 4, "--report", page, "--json", data,
                   "--csv", tables)
    assert done.returncode == 0, done.stderr
    for part in ["HPA as it is", "now", "then", "± ", "4 seeds", "may be chance", "assumed, as nobody said otherwise"]:
        assert part in done.stdout
    document = json.loads(data.read_text())
    assert [policy["name"] for policy in document["policies"]] == ["HPA as it is", "now", "then"]
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert (tables / "comparison.csv").read_text().count("\n") == 1 + 3 * 4


def test_an_hpa_is_the_hpa_as_it_is(tmp_path):
    trace = write(tmp_path, STEP, "day.csv")
    low = HPA.replace("averageUtilization: 60", "averageUtilization: 40")
    done = compare(write(tmp_path, HPA, "a.yaml"), write(tmp_path, low, "b.yaml"), "--trace", trace, "--seeds", 2, "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [policy["name"] for policy in document["policies"]] == ["a", "b"]
    # A lower target has more pods, on the same workload.
    assert [len(document["assumptions"]) > 0] == [True]


def test_without_the_hpa(tmp_path):
    done = compare(write(tmp_path, WORKER), "--trace", write(tmp_path, STEP, "day.csv"), "--seeds", 1, "--no-hpa", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [policy["name"] for policy in json.loads(done.stdout)["policies"]] == ["a"]


def test_one_queue_for_all_when_one_reads_a_queue(tmp_path):
    hpa = HPA.replace("checkout", "worker")
    done = compare(write(tmp_path, hpa, "cpu.yaml"), write(tmp_path, WORKER, "queue.yaml"), "--trace",
                   write(tmp_path, STEP, "day.csv"), "--seeds", 2)
    assert done.returncode == 0, done.stderr
    assert "items that arrive in a queue" in done.stdout


def test_what_is_refused(tmp_path):
    path = write(tmp_path, WORKER)
    done = compare(path, "--trace", "-", stdin=STEP)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--trace: standard input can be read once, and each run reads the trace: name a file\n"
    assert compare(path).stderr == "--trace: a recorded load is needed\n"
    assert compare(path, "--trace", tmp_path / "none.csv").returncode == 2
    done = compare(path, path.parent / "none.yaml", "--trace", write(tmp_path, STEP, "day.csv"))
    assert done.returncode == 2 and "none.yaml" in done.stderr
