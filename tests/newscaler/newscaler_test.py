"""A new scaler touches one folder. Adds tests/newscaler/example as scalers/example to a copy of the tree, builds it, and
asks it over gRPC with the neapctl of this build. No other file is touched, and the bundle serves it, too.

Takes seconds with ccache (the copy lies as deep as the checkout, so that the same objects are found) and minutes
without."""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
NEAPCTL = pathlib.Path(os.environ.get("NEAP_BIN", ROOT / "build/release/bin")) / "neapctl"


def copy_tree(to):
    """Everything that a build reads: what git would commit, or the same folders where git does not know the tree."""
    if (ROOT / ".git").exists():
        names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                               capture_output=True, text=True, check=True).stdout.split("\0")
        files = [n for n in names if n and (ROOT / n).is_file()]
    else:
        files = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
                 if p.is_file() and p.relative_to(ROOT).parts[0] not in ("build", ".git")]
    for name in files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=850, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The copy with the example in it, built: its bin folder."""
    tree = tmp_path_factory.mktemp("newscaler") / "tree"
    copy_tree(tree)
    before = {p for p in tree.rglob("*") if p.is_file()}
    shutil.copytree(HERE / "example", tree / "scalers/example")
    added = {p for p in tree.rglob("*") if p.is_file()} - before
    assert added and all(tree / "scalers/example" in p.parents for p in added)
    build = tree / "build/release"  # as deep as in the checkout
    run("cmake", "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release")
    run("ninja", "-C", build, "neap-scaler-example", "neap-scalers", "test_scaler_example")
    yield build / "bin"
    shutil.rmtree(tree)


class Served:
    """A scaler process; its address is what it prints first."""

    def __init__(self, program, listen):
        self.process = subprocess.Popen([program, "--listen", listen], stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, "it prints no address"
        line = self.process.stdout.readline().strip()
        assert line.startswith("listening on "), line
        self.address = line.removeprefix("listening on ")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def types(self):
        answer = json.loads(run(NEAPCTL, "scaler", "describe", self.address, "-o", "json"))
        return [t["type"] for t in answer["triggerTypes"]]

    def read(self, **metadata):
        pairs = [part for name, value in metadata.items() for part in ("-m", f"{name}={value}")]
        return subprocess.run([NEAPCTL, "scaler", "read", self.address, "--type", "example", *pairs, "-o", "json"],
                              capture_output=True, text=True, timeout=60)

    def stop(self):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        return code, time.monotonic() - begin


def test_its_own_test_passes(built):
    run(built / "test_scaler_example", cwd=built.parents[2])


def test_it_serves_by_itself(built, tmp_path):
    queue = tmp_path / "queue"
    queue.write_text("a line\n" * 42)
    with Served(built / "neap-scaler-example", f"unix://{tmp_path}/socket") as scaler:
        assert scaler.types() == ["example"]
        read = scaler.read(path=queue)
        assert read.returncode == 0, read.stderr
        assert "42" in read.stdout, read.stdout
        missing = scaler.read(path=tmp_path / "none")
        assert missing.returncode == 1
        assert "can't be read" in missing.stdout + missing.stderr
        second = subprocess.run([built / "neap-scaler-example", "--listen", f"unix://{tmp_path}/socket"],
                                capture_output=True, text=True, timeout=60)
        assert second.returncode == 1
        assert f"process {scaler.process.pid} serves on" in second.stderr
        code, seconds = scaler.stop()
        assert code == 0
        assert seconds < 5, "an idle scaler stops at once"
        assert not os.listdir(tmp_path) or os.listdir(tmp_path) == ["queue"], "it leaves no file behind"


def test_the_bundle_serves_it_beside_all_others(built, tmp_path):
    queue = tmp_path / "queue"
    queue.write_text("a line\n" * 7)
    others = {t for manifest in (ROOT / "scalers").glob("*/manifest.textproto")
              for t in re.findall(r'^  type: "(.+)"', manifest.read_text(), re.MULTILINE)}
    assert len(others) > 4
    with Served(built / "neap-scalers", "127.0.0.1:0") as bundle:
        types = bundle.types()
        assert others | {"example"} == set(types)
        read = bundle.read(path=queue)
        assert read.returncode == 0, read.stderr
        assert "7" in read.stdout


def test_flags(built):
    program = built / "neap-scaler-example"
    assert "--listen" in run(program, "--help")
    assert run(program, "--version").startswith("neap-scaler-example ")
    for flags, message in [(["--listen", "nowhere"], "--listen nowhere"), (["--what"], "--what"),
                           (["--socket-mode", "rw"], "--socket-mode rw"), (["--shutdown-grace", "5"], "--shutdown-grace")]:
        refused = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 2, flags
        assert message in refused.stderr, refused.stderr
