"""neapctl conformance over everything in tests/conformance, and that it can fail. The rows of KEDA's parsing are asked of a
running neap-scalers, which neapctl starts itself."""
import collections
import glob
import gzip
import json
import os
import subprocess

from support import BIN, ROOT, neapctl

PARSE = os.path.join(ROOT, "tests", "conformance", "keda", "parse.jsonl.gz")
FORMULA = os.path.join(ROOT, "tests", "conformance", "keda", "formula.jsonl.gz")
BUILT = {"prometheus", "redis", "metrics-api", "cron", "cpu", "memory"}


def rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def run(*arguments):
    done = neapctl("conformance", "-o", "json", *arguments)
    return done, json.loads(done.stdout)["families"] if done.stdout else {}


def write_rows(path, found):
    path.write_text("".join(json.dumps(r) + "\n" for r in found))
    return path


def test_everything_that_is_recorded_agrees():
    files = sorted(glob.glob(os.path.join(ROOT, "tests", "conformance", "**", "*.jsonl.gz"), recursive=True))
    assert len(files) == 4
    done, families = run(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: (f["passed"], f["failed"], f["skipped"]) for name, f in families.items()}
    types = collections.Counter(r["type"] for r in rows(PARSE))
    built = sum(types[t] for t in BUILT)
    assert built == 142
    assert counts == {"calculator": (3000, 0, 0), "controller": (400, 0, 0), "parse": (built, 0, 1614 - built),
                      "formula": (0, 0, 1158)}
    assert families["parse"]["skips"] == {f"trigger type {t} is not built": n for t, n in types.items() if t not in BUILT}


def test_differences_on_purpose_are_named_with_their_reason():
    done = neapctl("conformance", PARSE)
    assert "on purpose: redis/" not in done.stdout
    assert "on purpose: cron/mt-bogus: a metricType outside" in done.stdout
    assert done.returncode == 0


def test_nothing_is_left_behind(tmp_path):
    done = subprocess.run([os.path.join(BIN, "neapctl"), "conformance", PARSE], env={**os.environ, "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


def test_a_row_that_disagrees_is_shown(tmp_path):
    wrong = [r for r in rows(PARSE) if r["id"] in ("redis/base", "cpu/avg", "redis/db")]
    for row in wrong:
        if row["id"] != "redis/db":
            row["expect"]["metrics"][0]["target"] += 1000
    path = write_rows(tmp_path / "a.jsonl", wrong)
    done, families = run(path)
    assert done.returncode == 1
    assert (families["parse"]["passed"], families["parse"]["failed"]) == (1, 2)
    found = {d["id"]: d for d in families["parse"]["firstDifferences"]}
    assert found["redis/base"]["expected"] == "accepted [External redis-l1 AverageValue 6000]"
    assert found["redis/base"]["actual"] == "accepted [External redis-l1 AverageValue 5000]"
    assert found["cpu/avg"]["actual"] == "accepted [Resource cpu AverageValue 500]"
    text = neapctl("conformance", path).stdout
    assert "redis/base answer\n  expected accepted [External redis-l1 AverageValue 6000]\n  actual   accepted" in text


def test_a_row_that_ought_to_be_refused_and_is_not_is_shown(tmp_path):
    row = next(r for r in rows(PARSE) if r["id"] == "redis/base")
    row["expect"] = {"ok": False, "stage": "parse", "error": "made up"}
    done, families = run(write_rows(tmp_path / "a.jsonl", [row]))
    assert (done.returncode, families["parse"]["firstDifferences"][0]["expected"]) == (1, "refused")


def test_a_listed_difference_that_agrees_is_a_failure(tmp_path):
    row = next(r for r in rows(PARSE) if r["id"] == "cron/base")
    row["id"] = "cron/mt-bogus"
    done, families = run(write_rows(tmp_path / "a.jsonl", [row]))
    assert done.returncode == 1
    assert families["parse"]["firstDifferences"][0]["field"] == "listed in keda_differences.txt, but agrees"


def test_the_family_is_told_by_the_fields_not_by_the_name(tmp_path):
    path = write_rows(tmp_path / "calculator.jsonl", rows(FORMULA)[:3])
    done, families = run(path)
    assert done.returncode == 0
    assert list(families) == ["formula"] and families["formula"]["skipped"] == 3


def test_bad_files(tmp_path):
    assert neapctl("conformance", tmp_path / "none.jsonl").returncode == 2
    for text, words in (("", "no vectors"), ("{}\n", "a.jsonl:1: no known family"), ("\n[1]\n", "a.jsonl:2: not a JSON object"),
                        ('{"family": "calculator", "expect": {}}\n', "a.jsonl:1: ")):
        (tmp_path / "a.jsonl").write_text(text)
        done = neapctl("conformance", tmp_path / "a.jsonl")
        assert (done.returncode, done.stdout) == (2, "") and words in done.stderr, (text, done)


def test_scalers_that_do_not_answer_are_no_agreement(tmp_path):
    done = neapctl("conformance", "--scalers", f"unix://{tmp_path}/none.sock", PARSE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "none.sock" in done.stderr
