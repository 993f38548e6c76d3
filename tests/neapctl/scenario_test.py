"""neapctl scenario init: what it writes runs as it is."""
import json

import pytest

from support import neapctl
from trials import write


@pytest.mark.parametrize("kind,target", [("requests", "shop/checkout"), ("queue", "shop/worker"), ("cpu", "shop/checkout")])
def test_what_init_writes_runs_as_it_is(tmp_path, kind, target):
    path = tmp_path / "s.yaml"
    done = neapctl("scenario", "init", "--kind", kind, "-o", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{path} is written; run it: neapctl simulate {path}\n"
    assert neapctl("scenario", "init", "--kind", kind).stdout == path.read_text()
    done = neapctl("simulate", path, "-o", "json")
    assert done.returncode == 0, done.stderr
    result, = json.loads(done.stdout)["results"]
    assert result["targets"][0]["object"] == target
    figures = result["targets"][0]["figures"]
    assert figures["served"] > 100_000 and figures["scale_changes"] > 5


def test_a_file_is_not_overwritten(tmp_path):
    path = write(tmp_path, "mine", "s.yaml")
    done = neapctl("scenario", "init", "-o", path)
    assert (done.returncode, done.stderr) == (2, f"neapctl: {path}: is there already\n")
    assert path.read_text() == "mine"


def test_mistakes_of_a_scenario_are_named_at_once(tmp_path):
    text = neapctl("scenario", "init").stdout
    text = text.replace("duration: 2h", "duratoin: 2h").replace("{what: ScalerError,", "{what: ScalerEror,")
    text = text.replace("pods: checkout\n", "pods: chekout\n")
    path = write(tmp_path, text, "s.yaml")
    done = neapctl("simulate", path)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}:") for line in lines)
    assert 'duratoin: unknown field (did you mean "duration"?)' in done.stderr
    assert 'customMetrics[0].pods: there is no deployment shop/chekout (did you mean "checkout"?)' in done.stderr
    assert "controlFaults[0].what: Unsupported value" in done.stderr


def test_impossible_scenarios_are_refused(tmp_path):
    text = neapctl("scenario", "init").stdout
    path = write(tmp_path, text.replace("maxReplicas: 20", "maxReplicas: 1"), "s.yaml")
    assert "spec.maxReplicas: Invalid value" in neapctl("simulate", path).stderr
    path = write(tmp_path, text + "nodePools: [{name: small, cpu: 500m, max: 1}]\n", "s.yaml")
    done = neapctl("simulate", path)
    assert done.returncode == 2
    assert done.stderr == (f"{path}: deployment shop/checkout: at least 2 pods, but all nodes together can never hold more "
                           "than 1\n")
