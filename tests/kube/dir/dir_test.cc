// Objects from a directory, scan by scan, with a clock that the test moves.
#include "autoscaler/kube/dir/dir.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace neap::kube::dir {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

std::string Object(const std::string& name, int max, const std::string& more = "") {
  return "apiVersion: neap.dev/v1alpha1\nkind: Autoscaler\nmetadata: {name: " + name +
         ", namespace: shop}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, "
         "name: " +
         name + "}\n  maxReplicas: " + std::to_string(max) +
         "\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, "
         "averageUtilization: 60}}}]\n" +
         more;
}

class DirTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "neap-dir-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
    directory_ = std::make_unique<Directory>(DirectoryOptions{.path = path_, .decode = {}});
  }
  void TearDown() override { fs::remove_all(path_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(fs::path(path_) / name) << text;
  }
  // Errors without the directory's path.
  Strings Local(const Strings& lines) const {
    Strings out;
    for (std::string line : lines) {
      for (size_t at; (at = line.find(path_ + "/")) != std::string::npos;) {
        line.erase(at, path_.size() + 1);
      }
      out.push_back(line);
    }
    return out;
  }

  // One scan, a second after the last. What it gave as text: "all a=5 b=7", "change a=5/2" (max and
  // generation), "gone a", without the ViewHeard, which is counted.
  Strings Scan() {
    now_ += absl::Seconds(1);
    last_ = directory_->Scan(now_);
    Strings out;
    heard_ = 0;
    const auto name = [](const std::string& uid) { return uid.substr(uid.rfind('/') + 1); };
    const auto text = [&](const control::SpecChange& c) {
      EXPECT_EQ(c.uid, c.spec->uid);
      return name(c.uid) + "=" + std::to_string(c.spec->max_replicas) + "/" +
             std::to_string(c.spec->generation);
    };
    for (const control::Message& message : last_.messages) {
      if (const auto* all = std::get_if<control::SpecsReplaced>(&message)) {
        EXPECT_EQ(all->source, "dir:" + path_);
        std::string line = "all";
        for (const auto& c : all->all) line += " " + text(c);
        out.push_back(line);
      } else if (const auto* change = std::get_if<control::SpecChange>(&message)) {
        out.push_back("change " + text(*change));
      } else if (const auto* gone = std::get_if<control::SpecGone>(&message)) {
        out.push_back("gone " + name(gone->uid));
      } else if (const auto* heard = std::get_if<control::ViewHeard>(&message)) {
        EXPECT_EQ(heard->view, control::View::kSpecs);
        EXPECT_EQ(heard->scope, "dir:" + path_);
        ++heard_;
      }
    }
    return out;
  }
  // Two scans: what a change takes to be seen.
  Strings ScanTwice() {
    Strings out = Scan();
    for (const std::string& line : Scan()) out.push_back(line);
    return out;
  }

  std::string path_;
  std::unique_ptr<Directory> directory_;
  absl::Time now_ = absl::FromUnixSeconds(1767225600);
  Scanned last_;
  int heard_ = 0;
};

TEST_F(DirTest, FirstScanGivesEverything) {
  Write("b.yaml", Object("web", 5) + "---\n" + Object("api", 7));
  Write("a.yml", Object("job", 1));
  Write("c.json",
        R"({"apiVersion": "neap.dev/v1alpha1", "kind": "Autoscaler", "metadata": {"name": "json"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "A", "name": "a"}, "maxReplicas": 3,
                     "triggers": [{"type": "x"}]}})");
  Write("readme.txt", "not read");
  Write(".hidden.yaml", "not: [read");
  EXPECT_EQ(Scan(), Strings{"all json=3/1 api=7/1 job=1/1 web=5/1"});
  EXPECT_EQ(heard_, 1);
  EXPECT_EQ(last_.errors, Strings{});
  EXPECT_EQ(last_.modes.size(), 4u);
  EXPECT_EQ(directory_->object_count(), 4u);
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(heard_, 1);  // also when nothing changed
}

TEST_F(DirTest, AnEmptyDirectoryIsAWholeView) {
  EXPECT_EQ(Scan(), Strings{"all"});
  EXPECT_EQ(heard_, 1);
}

TEST_F(DirTest, ChangesArePickedUp) {
  Write("a.yaml", Object("web", 5));
  Scan();
  Write("a.yaml", Object("web", 6) + "---\n" + Object("api", 7));
  EXPECT_EQ(Scan(), Strings{});  // it may still be being written
  EXPECT_EQ(Scan(), (Strings{"change api=7/1", "change web=6/2"}));
  Write("b.yaml", Object("job", 1));
  EXPECT_EQ(ScanTwice(), Strings{"change job=1/1"});
  Write("a.yaml", Object("web", 6));
  EXPECT_EQ(ScanTwice(), Strings{"gone api"});
  EXPECT_EQ(directory_->object_count(), 2u);
}

TEST_F(DirTest, TouchingAFileChangesNothing) {
  Write("a.yaml", Object("web", 5));
  Scan();
  Write("a.yaml", "# a comment\n" + Object("web", 5));
  EXPECT_EQ(ScanTwice(), Strings{});
}

TEST_F(DirTest, AChangedModeIsToldWithTheObject) {
  Write("a.yaml", Object("web", 5));
  Scan();
  EXPECT_EQ(last_.modes.at(0).second, objects::Mode::kLive);
  Write("a.yaml", Object("web", 5, "  mode: DryRun\n"));
  EXPECT_EQ(ScanTwice(), Strings{"change web=5/2"});
  ASSERT_EQ(last_.modes.size(), 1u);
  EXPECT_EQ(last_.modes[0].first, "dir:shop/web");
  EXPECT_EQ(last_.modes[0].second, objects::Mode::kDryRun);
}

TEST_F(DirTest, ARemovedFileIsGoneAfterAWhile) {
  Write("a.yaml", Object("web", 5));
  Write("b.yaml", Object("api", 7));
  Scan();
  fs::remove(fs::path(path_) / "a.yaml");
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(Scan(), Strings{"gone web"});
}

TEST_F(DirTest, AnEditorsWayOfSavingRemovesNothing) {
  Write("a.yaml", Object("web", 5));
  Scan();
  fs::remove(fs::path(path_) / "a.yaml");
  EXPECT_EQ(Scan(), Strings{});
  Write("a.yaml", Object("web", 6));
  EXPECT_EQ(ScanTwice(), Strings{"change web=6/2"});
  // By rename, as a careful writer does it.
  Write("a.yaml.new", Object("web", 7));
  fs::rename(fs::path(path_) / "a.yaml.new", fs::path(path_) / "a.yaml");
  EXPECT_EQ(ScanTwice(), Strings{"change web=7/3"});
}

TEST_F(DirTest, AFileThatIsBeingWrittenIsNotTakenForItsBeginning) {
  Write("a.yaml", Object("web", 5) + "---\n" + Object("api", 7));
  Scan();
  const std::string whole = Object("web", 6) + "---\n" + Object("api", 8);
  const size_t half = Object("web", 6).size();
  Write("a.yaml", whole.substr(0, half));
  EXPECT_EQ(Scan(), Strings{});
  Write("a.yaml", whole);
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(Scan(), (Strings{"change api=8/2", "change web=6/2"}));
}

TEST_F(DirTest, ABadFileStopsNoOtherAndKeepsItsLastGoodObjects) {
  Write("a.yaml", Object("web", 5));
  Write("b.yaml", Object("api", 7));
  Scan();
  Write("a.yaml", "kind: [\n");
  Write("b.yaml", Object("api", 8));
  EXPECT_EQ(ScanTwice(), Strings{"change api=8/2"});
  ASSERT_EQ(last_.errors.size(), 1u);
  EXPECT_EQ(Local(last_.errors)[0].substr(0, 9), "a.yaml:2:");
  EXPECT_TRUE(last_.problems_changed);
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(last_.errors.size(), 1u);  // still there, to be shown, but nothing new to be logged
  EXPECT_FALSE(last_.problems_changed);
  Write("a.yaml", Object("web", 6));
  EXPECT_EQ(ScanTwice(), Strings{"change web=6/2"});
  EXPECT_EQ(last_.errors, Strings{});
  EXPECT_TRUE(last_.problems_changed);
}

TEST_F(DirTest, ABadObjectStopsNoOtherOfItsFile) {
  Write("a.yaml", Object("web", 5) + "---\n" + Object("api", 7));
  Scan();
  Write("a.yaml", Object("web", 6) + "---\n" + Object("api", 8, "  mnReplicas: 1\n") + "---\n" +
                      Object("job", 1));
  EXPECT_EQ(ScanTwice(), (Strings{"change job=1/1", "change web=6/2"}));
  EXPECT_EQ(Local(last_.errors),
            Strings{"a.yaml:16: spec.mnReplicas: unknown field (did you mean \"minReplicas\"?)"});
}

TEST_F(DirTest, AnObjectThatIsThereTwiceIsNamed) {
  Write("a.yaml", Object("web", 5));
  Write("b.yaml", Object("web", 6) + "---\n" + Object("web", 7));
  EXPECT_EQ(Scan(), Strings{"all web=5/1"});
  EXPECT_EQ(Local(last_.errors),
            (Strings{"b.yaml:9: Autoscaler shop/web is in line 1, too; that one counts",
                     "b.yaml:1: Autoscaler shop/web is in a.yaml, too; that one counts"}));
}

TEST_F(DirTest, OtherObjectsArePassedOver) {
  Write("a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n" +
                      Object("web", 5) +
                      "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: "
                      "{name: old}\n---\nkind: Autoscaler\n");
  EXPECT_EQ(Scan(), Strings{"all web=5/1"});
  EXPECT_EQ(Local(last_.warnings),
            Strings{"a.yaml:13: HorizontalPodAutoscaler old is passed over: only Autoscalers are "
                    "acted on"});
  EXPECT_EQ(Local(last_.errors),
            Strings{"a.yaml:17: apiVersion: Required value: an object has apiVersion and kind"});
}

TEST_F(DirTest, AnUnreadableDirectoryRemovesNothingAndIsNotHeardOf) {
  Write("a.yaml", Object("web", 5));
  Scan();
  const std::string away = path_ + "-away";
  fs::rename(path_, away);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Scan(), Strings{});
    EXPECT_EQ(heard_, 0);
    ASSERT_EQ(last_.errors.size(), 1u);
    EXPECT_NE(last_.errors[0].find(path_ + ": No such file"), std::string::npos);
  }
  fs::rename(away, path_);
  EXPECT_EQ(Scan(), Strings{});
  EXPECT_EQ(heard_, 1);
  EXPECT_EQ(last_.errors, Strings{});
}

TEST_F(DirTest, ADirectoryThatComesLateIsAWholeViewThen) {
  Directory late({.path = path_ + "/later", .decode = {}});
  EXPECT_TRUE(late.Scan(now_).messages.empty());
  fs::create_directory(path_ + "/later");
  Write("later/a.yaml", Object("web", 5));
  const Scanned scanned = late.Scan(now_ + absl::Seconds(1));
  ASSERT_EQ(scanned.messages.size(), 2u);
  EXPECT_EQ(std::get<control::SpecsReplaced>(scanned.messages[0]).all.size(), 1u);
}

TEST_F(DirTest, MountedConfigMapsAreFollowed) {
  // As the kubelet lays them out: links through a link that is swapped.
  const fs::path root(path_);
  fs::create_directory(root / "..v1");
  fs::create_directory(root / "..v2");
  Write("..v1/a.yaml", Object("web", 5));
  Write("..v2/a.yaml", Object("web", 6));
  fs::create_directory_symlink("..v1", root / "..data");
  fs::create_symlink("..data/a.yaml", root / "a.yaml");
  EXPECT_EQ(Scan(), Strings{"all web=5/1"});
  fs::create_directory_symlink("..v2", root / "..data_tmp");
  fs::rename(root / "..data_tmp", root / "..data");
  EXPECT_EQ(ScanTwice(), Strings{"change web=6/2"});
  fs::remove(root / "..v2" / "a.yaml");  // a link to nowhere
  Scan();
  Scan();
  EXPECT_EQ(Scan(), Strings{"gone web"});
}

TEST_F(DirTest, BoundsAreSaid) {
  Write("big.yaml", std::string(static_cast<size_t>(kMaxFileBytes) + 1, '#'));
  fs::create_directory(fs::path(path_) / "sub.yaml");
  Write("a.yaml", Object("a", 1) + "---\n" + Object("b", 1) + "---\n" + Object("c", 1));
  Directory small({.path = path_, .decode = {}, .max_objects = 2});
  const Scanned scanned = small.Scan(now_);
  EXPECT_EQ(std::get<control::SpecsReplaced>(scanned.messages.at(0)).all.size(), 2u);
  ASSERT_EQ(scanned.errors.size(), 2u);
  EXPECT_EQ(Local(scanned.errors)[0], "big.yaml: larger than 16 MiB");
  EXPECT_NE(scanned.errors[1].find("3 objects, more than 2"), std::string::npos);
}

}  // namespace
}  // namespace neap::kube::dir
