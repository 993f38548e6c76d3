"""tools/image: what the image holds, that it is the same each time, and that the programs run in it, alone in its root."""
import ctypes
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tarfile

import pytest
from stack import wait_for

from render import ROOT, container, one, render

TOOL = os.path.join(ROOT, "tools", "image")
BINARIES = os.environ.get("NEAP_BIN", "")
PROGRAMS = {"usr/bin/neapd", "usr/bin/neap-scalers", "usr/bin/neapctl"}


def build(out, *more, env=None, binaries=BINARIES):
    done = subprocess.run([TOOL, "--binaries", binaries, "--out", str(out), *more], text=True, capture_output=True, env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """img: the layout; neap.tar: the archive; printed: what the tool said; root: the layers unpacked in order."""
    at = tmp_path_factory.mktemp("image")
    (at / "printed").write_text(build(at / "img", "--archive", str(at / "neap.tar")))
    for data in layers(at / "img"):
        with tarfile.open(data) as tar:
            tar.extractall(at / "root", filter="tar") if hasattr(tarfile, "tar_filter") else tar.extractall(at / "root")
    yield at
    shutil.rmtree(at, ignore_errors=True)


def blob(layout, digest):
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def load(layout):
    index = json.loads((layout / "index.json").read_text())
    assert len(index["manifests"]) == 1
    manifest = json.loads(blob(layout, index["manifests"][0]["digest"]).read_text())
    return index, manifest, json.loads(blob(layout, manifest["config"]["digest"]).read_text())


def layers(layout):
    return [blob(layout, entry["digest"]) for entry in load(layout)[1]["layers"]]


def members(layout):
    """{path: TarInfo}, all layers"""
    out = {}
    for data in layers(layout):
        with tarfile.open(data) as tar:
            out |= {m.name: m for m in tar.getmembers()}
    return out


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_layout_is_what_it_says(folder):
    layout = folder / "img"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index, manifest, config = load(layout)
    named = [index["manifests"][0], manifest["config"], *manifest["layers"]]
    assert {os.path.basename(blob(layout, d["digest"])) for d in named} == set(os.listdir(layout / "blobs" / "sha256"))
    for descriptor in named:
        data = blob(layout, descriptor["digest"]).read_bytes()
        assert (sha256(data), len(data)) == (descriptor["digest"], descriptor["size"])
    assert config["os"] == "linux" and config["rootfs"]["diff_ids"] == [
        sha256(subprocess.run(["gzip", "-dc", data], capture_output=True, check=True).stdout) for data in layers(layout)]
    user = config["config"]["User"].split(":")
    assert user[0] == user[1] and int(user[0]) >= 1000
    assert index["manifests"][0]["digest"] in (folder / "printed").read_text()
    assert "latest" not in (layout / "index.json").read_text()


def test_the_archive_holds_the_same_layers(folder):
    _, _, config = load(folder / "img")
    with tarfile.open(folder / "neap.tar") as tar:
        entry, = json.load(tar.extractfile("manifest.json"))
        assert [sha256(tar.extractfile(name).read()) for name in entry["Layers"]] == config["rootfs"]["diff_ids"]
        assert json.load(tar.extractfile(entry["Config"])) == config
    tag, = entry["RepoTags"]
    assert tag == container(one(render(), "Deployment"), "neapd")["image"]  # the chart's default finds what `docker load` brings


def test_the_same_programs_give_the_same_digest(folder, tmp_path):
    copies = tmp_path / "bin"  # other times of files, another folder, another mask
    copies.mkdir()
    for name in PROGRAMS:
        shutil.copyfile(os.path.join(BINARIES, os.path.basename(name)), copies / os.path.basename(name))
        os.chmod(copies / os.path.basename(name), 0o700)
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "again", "--archive", str(tmp_path / "again.tar"), binaries=str(copies))
    finally:
        os.umask(before)
    assert again.replace(str(tmp_path / "again"), "") == (folder / "printed").read_text().replace(str(folder / "img"), "")
    assert (tmp_path / "again" / "index.json").read_bytes() == (folder / "img" / "index.json").read_bytes()
    assert (tmp_path / "again.tar").read_bytes() == (folder / "neap.tar").read_bytes()


def test_times_are_source_date_epoch(folder, tmp_path):
    assert {m.mtime for m in members(folder / "img").values()} == {0}
    build(tmp_path / "later", env={"SOURCE_DATE_EPOCH": "1700000000"})
    assert {m.mtime for m in members(tmp_path / "later").values()} == {1700000000}
    assert load(tmp_path / "later")[2]["created"] == "2023-11-14T22:13:20Z"


def test_no_shell_and_nothing_to_run_but_ours(folder):
    found = members(folder / "img")
    programs = {p for p, m in found.items() if m.isfile() and m.mode & 0o111 and not p.startswith("usr/lib")}
    assert programs == PROGRAMS
    assert not [p for p in found if os.path.basename(p) in ("sh", "bash", "dash", "busybox", "env", "perl", "python3", "apt", "dpkg")]
    for path, m in found.items():
        if m.isdir() and path == "tmp":
            assert m.mode == 0o1777
        elif not m.issym():
            assert not m.mode & 0o6022, f"{path}: {oct(m.mode)}"  # set-id bits, or others may write
        assert (m.uid, m.gid) == ((65532, 65532) if path == "run/neap" else (0, 0)), path
        assert m.isfile() or m.isdir() or m.issym(), path


def test_only_libraries_that_are_used(folder):
    """Each is asked for by a program, or by a library of one."""
    root = folder / "root"
    needed = {os.path.basename(os.path.realpath(p)) for program in PROGRAMS
              for p in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", root / program], text=True, capture_output=True, check=True).stdout)}
    there = {f for d, _, files in os.walk(root / "usr" / "lib") for f in files if not os.path.islink(os.path.join(d, f))}
    assert there == needed and len(there) > 30


def test_the_list_of_packages(folder):
    with open(folder / "root" / "usr" / "share" / "neap" / "packages.txt", encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]
    assert rows == sorted(rows) and all(len(row) == 3 and all(row) for row in rows)
    names = {row[0] for row in rows}
    assert {"libc6", "libstdc++6", "libgrpc++1.51", "libcurl4", "libssl3", "ca-certificates", "tzdata"} <= names
    for name, version, licence in rows:
        assert version == subprocess.run(["dpkg-query", "-W", "-f=${Version}\n", name], text=True, capture_output=True).stdout.splitlines()[0], name
        copyright = folder / "root" / "usr" / "share" / "doc" / name / "copyright"
        assert copyright.stat().st_size > 100, name
        assert licence.startswith("see ") or not licence.startswith("/"), name
    assert "Apache-2.0" in next(row[2] for row in rows if row[0] == "libgrpc++1.51")
    assert (folder / "printed").read_text().startswith("".join("\t".join(row) + "\n" for row in rows))


def test_certificates_are_the_distributions_own(folder):
    """Not those that this machine has been told to trust besides."""
    text = (folder / "root" / "etc" / "ssl" / "certs" / "ca-certificates.crt").read_text()
    found = re.findall(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----", text, re.S)
    listed = subprocess.run(["dpkg", "-L", "ca-certificates"], text=True, capture_output=True, check=True).stdout.split()
    assert len(found) == len([p for p in listed if p.endswith(".crt")]) > 100


libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000


def in_image(folder, argv, **options):
    """Runs a program with the image as its root, as its user where this test is root, else as root of a user namespace."""
    root, as_root = str(folder / "root"), os.geteuid() == 0

    def enter():
        libc.prctl(1, signal.SIGKILL)  # with its parent
        if not as_root and libc.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "a user namespace can't be made")
        os.chroot(root)
        os.chdir("/")
        if as_root:
            os.setgroups([])
            os.setgid(65532)
            os.setuid(65532)

    env = dict(item.split("=", 1) for item in load(folder / "img")[2]["config"]["Env"])
    return subprocess.Popen(argv, preexec_fn=enter, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def said(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def enterable(folder):
    try:
        in_image(folder, ["/usr/bin/neapd", "--version"]).communicate()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"neither root nor a user namespace to enter the image with: {error}")
    return folder


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_programs_run_in_it(enterable, program):
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as f:
        version = re.search(r"project\(neap VERSION ([0-9.]+)", f.read())[1]
    assert said(in_image(enterable, ["/" + program, "--version"])).split() == [os.path.basename(program), version]


def test_scalers_serve_in_it(enterable):
    """The probe of the chart's scalers container, and time zones: both with nothing but the image's files."""
    os.makedirs(enterable / "root" / "run" / "neap" / "sockets", exist_ok=True)
    os.chmod(enterable / "root" / "run" / "neap" / "sockets", 0o777)
    deployment = one(render(), "Deployment")
    scalers = container(deployment, "scalers")
    process = in_image(enterable, [*scalers["command"], *scalers["args"]])
    try:
        socket = enterable / "root" / "run" / "neap" / "sockets" / "scalers.sock"
        wait_for(lambda: socket.exists() or process.poll() is not None, 30, "the scalers to listen")
        assert process.poll() is None, process.stderr.read()
        assert "redis" in said(in_image(enterable, scalers["livenessProbe"]["exec"]["command"]))
        cron = ["/usr/bin/neapctl", "scaler", "read", "unix:///run/neap/sockets/scalers.sock", "--type", "cron", "-m", "timezone=Asia/Tokyo",
                "-m", "start=0 0 * * *", "-m", "end=59 23 * * *", "-m", "desiredReplicas=7"]
        assert "cron" in said(in_image(enterable, cron))
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_files_alone_are_those_of_the_layers(folder, tmp_path):
    done = subprocess.run([TOOL, "--binaries", BINARIES, "--rootfs", str(tmp_path / "rootfs")], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = {os.path.relpath(os.path.join(d, name), tmp_path / "rootfs") for d, folders, files in os.walk(tmp_path / "rootfs") for name in folders + files}
    assert found == set(members(folder / "img"))


def test_the_dockerfile_says_the_same():
    """What can be compared without a daemon: how the image starts, and that tools/image collects its files."""
    loader = importlib.machinery.SourceFileLoader("image_tool", TOOL)
    spec = importlib.util.spec_from_loader("image_tool", loader)
    tool = importlib.util.module_from_spec(spec)
    loader.exec_module(tool)
    with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as f:
        stages = re.split(r"^FROM ", f.read(), flags=re.M)[1:]
    assert stages[-1].startswith("scratch\n")
    lines = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in stages[-1].splitlines()[1:] if line}
    assert lines["COPY"] == "--from=build /rootfs /" and "tools/image --rootfs /rootfs" in stages[0]
    assert {"User": lines["USER"], "Entrypoint": json.loads(lines["ENTRYPOINT"]), "Env": shlex.split(lines["ENV"]), "WorkingDir": lines["WORKDIR"]} == tool.CONFIG
    assert re.search(r"ninja -C build/release (.*?) &&", stages[0])[1].split() == list(tool.PROGRAMS)


@pytest.mark.parametrize("arguments, env, words", [
    (["--binaries", "/nowhere/bin"], {}, "/nowhere/bin/neapd is not built: ninja -C /nowhere neapd neap-scalers neapctl"),
    (["--binaries", BINARIES, "--out", "FULL"], {}, "holds something that is no OCI image layout"),
    (["--binaries", BINARIES, "--rootfs", "FULL"], {}, "is there already"),
    (["--binaries", BINARIES, "--out", "NEW"], {"SOURCE_DATE_EPOCH": "now"}, "SOURCE_DATE_EPOCH: \"now\" is not a number of seconds"),
], ids=["no programs", "not an image", "rootfs is there", "no epoch"])
def test_what_can_not_be_done_is_said(tmp_path, arguments, env, words):
    full = tmp_path / "FULL"
    full.mkdir()
    (full / "letter.txt").write_text("keep me")
    done = subprocess.run([TOOL, *(str(tmp_path / a) if a in ("FULL", "NEW") else a for a in arguments)], text=True, capture_output=True,
                          env={**os.environ, **env})
    assert done.returncode == 1 and words in done.stderr and done.stderr.startswith("image: "), done.stderr
    assert (full / "letter.txt").read_text() == "keep me"
