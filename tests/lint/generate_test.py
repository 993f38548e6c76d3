"""tools/generate in a copy of what it reads: it notices a page that is not up to date, and writes it."""
import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_a_changed_source_makes_the_page_out_of_date(tmp_path):
    for path in ("tools/generate", "docs/scalers.md", "docs/metrics.md", "proto/neap/scaler/v1/scaler.proto", "scalers/redis/manifest.textproto",
                 "autoscaler/base/check.h", "autoscaler/telemetry/metric_list.h", "autoscaler/telemetry/metric_list.cc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(ROOT, path), tmp_path / path)
    tool, page = tmp_path / "tools" / "generate", tmp_path / "docs" / "scalers.md"

    def generate(*arguments):
        return subprocess.run([tool, *arguments], capture_output=True, text=True)

    assert generate().returncode == 0
    assert generate("--check").returncode == 0
    assert "| `listName` | text | metadata | required |" in page.read_text()

    manifest = tmp_path / "scalers" / "redis" / "manifest.textproto"
    manifest.write_text(manifest.read_text().replace('name: "listName"', 'name: "keyName"'))
    checked = generate("--check")
    assert checked.returncode == 1
    assert "docs/scalers.md: is not up to date" in checked.stderr
    assert "+| `keyName` | text | metadata | required |" in checked.stdout
    assert "keyName" not in page.read_text()  # --check writes nothing

    metrics = tmp_path / "autoscaler" / "telemetry" / "metric_list.cc"
    metrics.write_text(metrics.read_text().replace("Always 1; the version is a label.", "Always one."))
    checked = generate("--check")
    assert "docs/metrics.md: is not up to date" in checked.stderr and "Always one." in checked.stdout

    manifest.write_text("trigger_types { nonsense: 1 }")
    broken = generate("--check")
    assert broken.returncode == 1
    assert "scalers/redis/manifest.textproto:" in broken.stderr
