"""The swarm finds bugs: each planted one of mutations.json is compiled into it in turn, and it must say so; without one, the same
scenarios pass."""
import json
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ["NEAP_BIN"]
SCENARIOS = "400"
with open(os.path.join(HERE, "mutations.json")) as file:
    MUTATIONS = json.load(file)


@pytest.fixture(scope="session", autouse=True)
def mutants():
    build = os.path.dirname(BIN)
    made = subprocess.run(["ninja", "-C", build, "mutants"], capture_output=True, text=True, timeout=900)
    assert made.returncode == 0, made.stdout[-4000:]


def swarm(program):
    return subprocess.run([os.path.join(BIN, program), "--seed", "1", "--runs", SCENARIOS], capture_output=True, text=True,
                          timeout=600)


def test_nothing_is_found_where_nothing_is_planted():
    run = swarm("swarm")
    assert run.returncode == 0, run.stdout
    assert f"{SCENARIOS} scenarios from seed 1 on" in run.stdout


def test_ten_stages_are_tried():
    assert len(MUTATIONS) >= 10
    assert len({m["stage"] for m in MUTATIONS}) >= 10


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m["name"])
def test_finds(mutation):
    run = swarm("mutant_" + mutation["name"])
    print(run.stdout[-2000:], run.stderr[-2000:])
    assert run.returncode != 0, f"not found in {SCENARIOS} scenarios: {mutation['breaks']}"
    # Stopped by a promise that was broken, or by a check of Neap's own: the seed is said in either case.
    assert "seed " in run.stdout, run.stdout + run.stderr
