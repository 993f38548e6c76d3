"""tools/lint on small trees: one that is fine, and one bad tree for each rule, which must be caught with its file and line."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

OPENING = "// A plain value that this test's tree needs in order to have a header; owned by nobody.\n#pragma once\n"
GOOD = {
    "autoscaler/base/a.h": OPENING,
    "autoscaler/base/CMakeLists.txt": "neap_library(base SOURCES a.cc DEPS absl::status fmt::fmt)\n",
    "autoscaler/base/a.cc": '#include "autoscaler/base/a.h"\n',
    "autoscaler/core/c.h": OPENING + '\n#include "autoscaler/base/a.h"\n',
    "autoscaler/core/CMakeLists.txt": "neap_library(core SOURCES c.cc DEPS neap_base)\n",
    "autoscaler/core/c.cc": '#include "autoscaler/core/c.h"\n\n// absl::Now() and rand() in a comment are words.\n'
                            'const char* kText = "std::unordered_map, sleep_for(1)";\n',
    "autoscaler/http/h.cc": "#include <curl/curl.h>\n",
    "autoscaler/http/CMakeLists.txt": "neap_library(http SOURCES h.cc DEPS neap_base CURL::libcurl)\n",
    "autoscaler/telemetry/logging.cc": "#include <glog/logging.h>\n",
    "autoscaler/telemetry/CMakeLists.txt": "neap_library(telemetry SOURCES logging.cc DEPS neap_base glog::glog prometheus-cpp::core)\n",
    "autoscaler/catalog/k.cc": '#include "neap/scaler/v1/scaler.pb.h"\n',
    "scalers/sdk/s.h": OPENING,
    "scalers/sdk/s.cc": "#include <grpcpp/grpcpp.h>\n",
    "scalers/sdk/CMakeLists.txt": "neap_library(sdk SOURCES s.cc DEPS neap_base gRPC::grpc++)\n",
    "scalers/one/one_scaler.cc": '#include "scalers/sdk/s.h"\n',
    "scalers/one/one_scaler_test.cc": '#include "autoscaler/core/c.h"\n',
    "scalers/one/CMakeLists.txt": "neap_scaler(one DEPS neap_http)\n",
    "tools/neapctl/main.cc": '#include "autoscaler/core/c.h"\n',
    "tools/neapctl/CMakeLists.txt": "neap_binary(neapctl SOURCES main.cc DEPS neap_core manifest_one)\n",
    "tests/core/c_test.cc": "#include <grpcpp/grpcpp.h>\n\n#include <random>\n",
}

# name: (file, its text, "file:line: what" that must be said, part of the rule)
BAD = {
    "include upwards": ("autoscaler/base/b.cc", '\n#include "autoscaler/core/c.h"\n',
                        'autoscaler/base/b.cc:2: may not include "autoscaler/core/c.h"', "base may use: nothing of ours"),
    "the longer path wins": ("autoscaler/core/v.cc", '#include "autoscaler/base/value/v.h"\n',
                             'autoscaler/core/v.cc:1: may not include "autoscaler/base/value/v.h"', "core may use: base"),
    "autoscaler uses a scaler": ("autoscaler/core/s.cc", '#include "scalers/sdk/s.h"\n',
                                 'autoscaler/core/s.cc:1: may not include "scalers/sdk/s.h"', "core may use"),
    "code uses tests": ("autoscaler/base/t.cc", '#include "tests/core/c.h"\n',
                        'autoscaler/base/t.cc:1: may not include "tests/core/c.h"', "base may use"),
    "a scaler uses core": ("scalers/one/x.cc", '#include "autoscaler/core/c.h"\n',
                           'scalers/one/x.cc:1: may not include "autoscaler/core/c.h"', "scalers/* may use"),
    "a scaler uses another": ("scalers/two/x.cc", '#include "scalers/one/one_scaler.h"\n',
                              'scalers/two/x.cc:1: may not include "scalers/one/one_scaler.h"', "scalers/* may use"),
    "neapctl uses app": ("tools/neapctl/x.cc", '#include "autoscaler/app/a.h"\n',
                         'tools/neapctl/x.cc:1: may not include "autoscaler/app/a.h"', "all of autoscaler except app"),
    "kube uses scalerhost": ("autoscaler/kube/x.cc", '#include "autoscaler/scalerhost/a.h"\n',
                             'autoscaler/kube/x.cc:1: may not include "autoscaler/scalerhost/a.h"', "kube may use"),
    "core uses the proto": ("autoscaler/core/p.cc", '#include "neap/record/v1/record.pb.h"\n',
                            'autoscaler/core/p.cc:1: may not include "neap/record/v1/record.pb.h"', "core may use"),
    "proto in a header": ("autoscaler/catalog/k.h", OPENING + '\n#include "neap/scaler/v1/scaler.pb.h"\n',
                          'autoscaler/catalog/k.h:4: may not include "neap/scaler/v1/scaler.pb.h"', "catalog may use"),
    "folder without a row": ("autoscaler/misc/x.cc", "",
                             "autoscaler/misc/x.cc:1: autoscaler/misc has no row in the layer table", "ARCHITECTURE.md"),
    "link upwards": ("autoscaler/base/CMakeLists.txt", "neap_library(base SOURCES a.cc\n             DEPS neap_core)\n",
                     "autoscaler/base/CMakeLists.txt:2: may not link neap_core", "base may use"),
    "link by target_link_libraries": ("autoscaler/core/CMakeLists.txt",
                                      "neap_library(core SOURCES c.cc)\ntarget_link_libraries(neap_core PUBLIC neap_http)\n",
                                      "autoscaler/core/CMakeLists.txt:2: may not link neap_http", "core may use"),
    "link of what is not": ("autoscaler/core/CMakeLists.txt", "neap_library(core SOURCES c.cc DEPS neap_bass)\n",
                            "autoscaler/core/CMakeLists.txt:1: links neap_bass, which no folder declares", ""),
    "scaler links core": ("scalers/one/CMakeLists.txt", "neap_scaler(one DEPS neap_core)\n",
                          "scalers/one/CMakeLists.txt:1: may not link neap_core", "scalers/* may use"),
    "gRPC outside": ("autoscaler/control/g.cc", "#include <grpcpp/grpcpp.h>\n",
                     "autoscaler/control/g.cc:1: may not include <grpcpp/grpcpp.h>", "gRPC is used in"),
    "gRPC in a header of the sdk": ("scalers/sdk/g.h", OPENING + "\n#include <grpcpp/grpcpp.h>\n",
                                    "scalers/sdk/g.h:4: may not include <grpcpp/grpcpp.h>", "gRPC is used in"),
    "gRPC linked": ("tools/neapctl/CMakeLists.txt", "neap_binary(neapctl SOURCES main.cc DEPS gRPC::grpc++)\n",
                    "tools/neapctl/CMakeLists.txt:1: may not link gRPC::grpc++", "gRPC is used in"),
    "curl outside": ("scalers/one/c.cc", "#include <curl/curl.h>\n",
                     "scalers/one/c.cc:1: may not include <curl/curl.h>", "curl is used in"),
    "curl linked": ("scalers/one/CMakeLists.txt", "neap_scaler(one DEPS CURL::libcurl)\n",
                    "scalers/one/CMakeLists.txt:1: may not link CURL::libcurl", "curl is used in"),
    "prometheus-cpp outside": ("autoscaler/app/m.cc", "#include <prometheus/counter.h>\n",
                               "autoscaler/app/m.cc:1: may not include <prometheus/counter.h>", "prometheus-cpp is used in"),
    "glog in core": ("autoscaler/core/l.cc", "#include <glog/logging.h>\n",
                     "autoscaler/core/l.cc:1: may not include <glog/logging.h>", "glog is used in"),
    "glog beside logging": ("autoscaler/telemetry/server.cc", "#include <glog/logging.h>\n",
                            "autoscaler/telemetry/server.cc:1: may not include <glog/logging.h>", "glog is used in"),
    "protobuf in control": ("autoscaler/control/p.cc", "#include <google/protobuf/message.h>\n",
                            "autoscaler/control/p.cc:1: may not include <google/protobuf/message.h>", "protobuf is used in"),
    "httplib outside": ("autoscaler/kube/h.cc", "#include <httplib.h>\n",
                        "autoscaler/kube/h.cc:1: may not include <httplib.h>", "cpp-httplib is used in"),
    "wall clock": ("autoscaler/control/n.cc", "\nvoid F() { auto now = absl::Now(); }\n",
                   "autoscaler/control/n.cc:2: absl::Now: a real clock", "banned in autoscaler/control"),
    "clock of the library": ("autoscaler/record/n.cc", "auto t = std::chrono::steady_clock::now();\n",
                             "autoscaler/record/n.cc:1: steady_clock: a real clock", "take `now`"),
    "clock of C": ("autoscaler/core/n.cc", "auto t = time(nullptr);\n", "autoscaler/core/n.cc:1: time(nullptr: a real clock", ""),
    "our own clock": ("autoscaler/sim/n.cc", '#include "autoscaler/base/clock.h"\n',
                      "autoscaler/sim/n.cc:1: autoscaler/base/clock.h: a real clock", ""),
    "sleep": ("autoscaler/sim/s.cc", "void F() { std::this_thread::sleep_for(x); }\n",
              "autoscaler/sim/s.cc:1: sleep_for: a sleep", "nothing here waits"),
    "random": ("autoscaler/core/r.cc", "std::mt19937_64 r;\n", "autoscaler/core/r.cc:1: mt19937_64: randomness", "seeded"),
    "random header": ("autoscaler/sim/r.cc", "#include <random>\n", "autoscaler/sim/r.cc:1: random: randomness", "seeded"),
    "hash container": ("autoscaler/control/u.cc", "std::unordered_map<int, int> m;\n",
                       "autoscaler/control/u.cc:1: unordered_map: a hash container", "base/lookup.h"),
    "hash container of absl": ("autoscaler/core/u.cc", "absl::flat_hash_set<int> m;\n",
                               "autoscaler/core/u.cc:1: flat_hash_set: a hash container", "base/lookup.h"),
    "distribution in sim": ("autoscaler/sim/d.cc", "std::normal_distribution<double> d;\n",
                            "autoscaler/sim/d.cc:1: normal_distribution: a distribution", "sim's own"),
    "transcendental in sim": ("autoscaler/sim/e.cc", "double F(double x) { return std::exp(x); }\n",
                              "autoscaler/sim/e.cc:1: std::exp: a transcendental function", "sim's own"),
    "silent header": ("autoscaler/core/q.h", "// core/q.h\n#pragma once\n",
                      "autoscaler/core/q.h:1: the header does not open with what it is and who uses it", "thread rule"),
    "no pragma once": ("autoscaler/core/q.h", OPENING.replace("#pragma once\n", ""),
                       "autoscaler/core/q.h:1: no #pragma once", ""),
    "machine's path": ("docs/x.md", "first line\nsee /" + "work/main/README.md\n",
                       "docs/x.md:2: /" + "work/: a path of somebody's machine", "relative"),
    "root's home": ("tools/x", "cd /" + "root/neap\n", "tools/x:1: /" + "root/: a path of somebody's machine", "relative"),
    "unfinished": ("autoscaler/core/t.cc", "// TO" + "DO: later\n", "autoscaler/core/t.cc:1: TO" + "DO: unfinished work", "finish"),
    "a broken link": ("docs/x.md", "see [it](y.md#part)\n", "docs/x.md:1: links y.md, which is not there", "documents"),
    "unformatted": ("autoscaler/core/f.cc", "int F();\nint   G( );\n", "autoscaler/core/f.cc:2: is not formatted", "clang-format-19 -i"),
}


def lint(root):
    return subprocess.run([os.path.join(ROOT, "tools", "lint"), str(root)], capture_output=True, text=True)


def write(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)


@pytest.fixture
def tree(tmp_path):
    write(tmp_path, GOOD)
    shutil.copy(os.path.join(ROOT, ".clang-format"), tmp_path)
    # The real tables, without the text around them, which names files that this tree does not have.
    with open(os.path.join(ROOT, "autoscaler", "ARCHITECTURE.md")) as page:
        (tmp_path / "autoscaler" / "ARCHITECTURE.md").write_text("".join(l for l in page if l.startswith("|") and "`" not in l))
    return tmp_path


def test_a_good_tree_passes(tree):
    done = lint(tree)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_tree_is_caught(tree, name):
    path, text, said, rule = BAD[name]
    write(tree, {path: text})
    done = lint(tree)
    lines = [line for line in done.stdout.splitlines() if line.startswith(said)]
    assert done.returncode == 1 and len(lines) == 1, done.stdout + done.stderr
    assert rule in lines[0]
    assert len(done.stdout.splitlines()) == 1, done.stdout  # and nothing else is blamed


def test_a_layer_is_refused_when_the_table_loses_it(tree):
    page = tree / "autoscaler" / "ARCHITECTURE.md"
    page.write_text(page.read_text().replace("| core | base |", "| core | nothing of ours |"))
    done = lint(tree)
    assert done.returncode == 1
    assert 'autoscaler/core/c.h:4: may not include "autoscaler/base/a.h"' in done.stdout
    assert "autoscaler/core/CMakeLists.txt:1: may not link neap_base" in done.stdout


def test_the_page_may_only_name_files_that_are_there(tree):
    page = tree / "autoscaler" / "ARCHITECTURE.md"
    text = page.read_text()
    page.write_text(text + "See `core/c.cc`, `scalers/<name>/<name>_scaler.cc`, `autoscaler/base/a.h` and `core/`.\n")
    assert lint(tree).stdout == ""
    page.write_text(text + "See `core/d.cc` and `nowhere/`.\n")
    number = text.count("\n") + 1
    found = [line.split(" [")[0] for line in lint(tree).stdout.splitlines()]
    assert found == [f"autoscaler/ARCHITECTURE.md:{number}: names {n}, which is not there" for n in ("core/d.cc", "nowhere/")]


def test_without_the_table_nothing_is_called_clean(tree):
    (tree / "autoscaler" / "ARCHITECTURE.md").write_text("# Nothing here\n")
    done = lint(tree)
    assert done.returncode == 2
    assert "ARCHITECTURE.md" in done.stderr
