// Directory: Autoscaler objects from the files of one directory (*.yaml, *.yml, *.json, several
// documents each), for `--source=dir:PATH`. Made and called by app on one thread, which calls Scan
// about once a second and hands the messages to the controller.
//
// A bad file never stops the others: what can be read of it is applied, nothing that it held before
// is removed, and every problem is named with file, line and field. A file is read anew when its
// size, time or inode differ and have been the same in two scans, so that one that is just being
// written is not taken for its beginning; a file counts as removed when it was missing for
// kGoneAfter, so that an editor's way of saving removes nothing. Objects are Autoscalers; other
// objects in the files (a Deployment beside its Autoscaler) are passed over.
//
//   dir::Directory directory({.path = "/etc/neap/autoscalers"});
//   dir::Scanned scanned = directory.Scan(clock.Now());
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/control/messages.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::kube::dir {

inline constexpr absl::Duration kGoneAfter = absl::Seconds(2);
inline constexpr int64_t kMaxFileBytes = int64_t{16} << 20;

struct DirectoryOptions {
  std::string path;
  objects::DecodeOptions decode;
  size_t max_objects = 100000;
};

struct Scanned {
  // The first scan that can read the directory gives SpecsReplaced; later ones a SpecChange or
  // SpecGone per object. Each scan that could read it gives a ViewHeard.
  std::vector<control::Message> messages;
  // By uid, for the objects in `messages`: whether their scale may be written. To be applied before
  // the messages are handed on.
  std::vector<std::pair<std::string, objects::Mode>> modes;
  // All problems as they stand now, one line each, in a fixed order. `problems_changed`: since the
  // last scan, so that they are logged once.
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  bool problems_changed = false;
};

// One thread only.
class Directory {
 public:
  explicit Directory(DirectoryOptions options);
  ~Directory();

  Scanned Scan(absl::Time now);

  const std::string& source() const { return source_; }  // "dir:PATH"
  size_t object_count() const { return objects_.size(); }

 private:
  struct Stamp;
  struct File;
  struct Object;

  absl::Status List(absl::Time now);
  void Read(const std::string& name, File& file);
  void Collect(Scanned& out);

  const DirectoryOptions options_;
  const std::string source_;
  std::map<std::string, std::unique_ptr<File>> files_;  // by name
  std::map<std::string, Object> objects_;               // by uid: what was last handed out
  bool replaced_ = false;                               // SpecsReplaced was given
  std::vector<std::string> errors_;
  std::vector<std::string> warnings_;
};

// The uid of an object from a file: the same as long as namespace and name are.
std::string UidOf(const core::ObjectKey& key);

}  // namespace neap::kube::dir
