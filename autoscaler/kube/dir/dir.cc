#include "autoscaler/kube/dir/dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "autoscaler/base/status.h"

namespace neap::kube::dir {
namespace {

bool IsObjectFile(std::string_view name) {
  if (name.starts_with('.')) return false;  // also the "..data" of a mounted ConfigMap
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return base::Unavailable("{}: {}", path, std::strerror(errno));
  std::string text;
  char buffer[65536];
  ssize_t n = 0;
  while ((n = read(fd, buffer, sizeof(buffer))) > 0 &&
         text.size() <= static_cast<size_t>(kMaxFileBytes)) {
    text.append(buffer, static_cast<size_t>(n));
  }
  const int error = errno;
  close(fd);
  if (n < 0) return base::Unavailable("{}: {}", path, std::strerror(error));
  return text;
}

}  // namespace

// What tells one state of a file from another.
struct Directory::Stamp {
  int64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  uint64_t device = 0;
  bool operator==(const Stamp&) const = default;
};

struct Directory::Object {
  std::shared_ptr<const core::AutoscalerSpec> spec;
  objects::Mode mode = objects::Mode::kLive;
};

struct Directory::File {
  struct Entry {
    core::AutoscalerSpec spec;  // uid and generation are set when it is handed out
    objects::Mode mode = objects::Mode::kLive;
    int line = 0;
  };

  std::optional<Stamp> seen;  // at the last scan
  std::optional<Stamp> read;  // when `entries` were read
  absl::Time missing_since = absl::InfiniteFuture();
  std::map<std::string, Entry> entries;  // by uid: the last good ones
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

Directory::Directory(DirectoryOptions options)
    : options_(std::move(options)), source_("dir:" + options_.path) {}

Directory::~Directory() = default;

std::string UidOf(const core::ObjectKey& key) { return "dir:" + key.Text(); }

// Brings files_ up to date with the directory.
absl::Status Directory::List(absl::Time now) {
  DIR* dir = opendir(options_.path.c_str());
  if (dir == nullptr) return base::Unavailable("{}: {}", options_.path, std::strerror(errno));
  std::set<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    if (IsObjectFile(entry->d_name)) names.insert(entry->d_name);
    errno = 0;
  }
  const int error = errno;
  closedir(dir);
  if (error != 0) return base::Unavailable("{}: {}", options_.path, std::strerror(error));

  std::set<std::string> there;
  for (const std::string& name : names) {
    const std::string path = options_.path + "/" + name;
    struct stat info = {};
    // A link to nowhere, or what went away since the listing, is as if it were not there.
    if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    there.insert(name);
    const Stamp stamp{.size = info.st_size,
                      .mtime_ns = info.st_mtim.tv_sec * int64_t{1000000000} + info.st_mtim.tv_nsec,
                      .ctime_ns = info.st_ctim.tv_sec * int64_t{1000000000} + info.st_ctim.tv_nsec,
                      .inode = info.st_ino,
                      .device = info.st_dev};
    std::unique_ptr<File>& file = files_[name];
    if (file == nullptr) file = std::make_unique<File>();
    // At the first scan there is nothing that a half-written file could take away.
    const bool steady = !replaced_ || file->seen == stamp;
    file->seen = stamp;
    file->missing_since = absl::InfiniteFuture();
    if (steady && file->read != stamp) {
      Read(name, *file);
      file->read = stamp;
    }
  }
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = *at->second;
    const bool missing = !there.contains(at->first);
    if (missing) {
      file.seen.reset();
      file.read.reset();
      file.missing_since = std::min(file.missing_since, now);
    }
    at = missing && now - file.missing_since >= kGoneAfter ? files_.erase(at) : std::next(at);
  }
  return absl::OkStatus();
}

// Takes what is good in a file. With any problem in it nothing that it held before is removed.
void Directory::Read(const std::string& name, File& file) {
  const std::string path = options_.path + "/" + name;
  file.errors.clear();
  file.warnings.clear();
  if (file.seen->size > kMaxFileBytes) {
    file.errors.push_back(fmt::format("{}: larger than {} MiB", path, kMaxFileBytes >> 20));
    return;
  }
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    file.errors.emplace_back(base::Message(text.status()));
    return;
  }
  const auto documents = value::ParseDocuments(*text, path);
  if (!documents.ok()) {
    file.errors.emplace_back(base::Message(documents.status()));
    return;
  }
  std::map<std::string, File::Entry> entries;
  for (const value::Value* document : objects::Flatten(*documents)) {
    const auto kind = objects::KindOf(*document);
    if (kind.ok() && *kind == core::ObjectKind::kHpa) {
      file.warnings.push_back(fmt::format(
          "{}:{}: HorizontalPodAutoscaler {} is passed over: only Autoscalers are acted on", path,
          document->line(), document->StringAt("metadata.name")));
    }
    if (kind.ok() && *kind != core::ObjectKind::kAutoscaler) continue;
    objects::Decoded decoded = objects::DecodeDocument(*document, options_.decode);
    for (const objects::Problem& problem : decoded.errors) {
      file.errors.push_back(objects::Text(problem, path));
    }
    for (const objects::Problem& problem : decoded.warnings) {
      file.warnings.push_back(objects::Text(problem, path));
    }
    if (!decoded.spec) continue;
    const std::string uid = UidOf(decoded.key);
    const int line = document->line();
    const auto [at, fresh] = entries.try_emplace(
        uid, File::Entry{.spec = *std::move(decoded.spec), .mode = decoded.mode, .line = line});
    if (!fresh) {
      file.errors.push_back(fmt::format("{}:{}: Autoscaler {} is in line {}, too; that one counts",
                                        path, line, decoded.key.Text(), at->second.line));
    }
  }
  if (!file.errors.empty()) entries.merge(file.entries);  // keeps what is new, adds what was lost
  file.entries = std::move(entries);
}

// The difference between what the files hold and what was handed out, as messages.
void Directory::Collect(Scanned& out) {
  std::map<std::string, std::pair<const File::Entry*, const std::string*>> now;  // by uid
  for (const auto& [name, file] : files_) {
    errors_.insert(errors_.end(), file->errors.begin(), file->errors.end());
    warnings_.insert(warnings_.end(), file->warnings.begin(), file->warnings.end());
    for (const auto& [uid, entry] : file->entries) {
      const auto [at, fresh] = now.try_emplace(uid, &entry, &name);
      if (!fresh) {
        errors_.push_back(fmt::format("{}/{}:{}: Autoscaler {} is in {}, too; that one counts",
                                      options_.path, name, entry.line, entry.spec.key.Text(),
                                      *at->second.second));
      }
    }
  }
  if (now.size() > options_.max_objects) {
    errors_.push_back(fmt::format("{}: {} objects, more than {}: those last in order are left out",
                                  options_.path, now.size(), options_.max_objects));
    while (now.size() > options_.max_objects) now.erase(std::prev(now.end()));
  }

  std::vector<control::SpecChange> changes;
  for (const auto& [uid, entry] : now) {
    const File::Entry& from = *entry.first;
    Object& object = objects_[uid];
    core::AutoscalerSpec spec = from.spec;
    spec.uid = uid;
    spec.generation = object.spec == nullptr ? 1 : object.spec->generation;
    const bool same_spec = object.spec != nullptr && *object.spec == spec;
    if (same_spec && object.mode == from.mode) continue;
    if (object.spec != nullptr) ++spec.generation;
    object = {.spec = std::make_shared<const core::AutoscalerSpec>(std::move(spec)),
              .mode = from.mode};
    changes.push_back({.uid = uid, .spec = object.spec, .status = {}});
    out.modes.emplace_back(uid, object.mode);
  }
  std::vector<std::string> gone;
  for (const auto& [uid, object] : objects_) {
    if (!now.contains(uid)) gone.push_back(uid);
  }
  if (!replaced_) {
    out.messages.emplace_back(control::SpecsReplaced{.source = source_, .all = std::move(changes)});
    replaced_ = true;
  } else {
    for (control::SpecChange& change : changes) out.messages.emplace_back(std::move(change));
    for (const std::string& uid : gone) out.messages.emplace_back(control::SpecGone{.uid = uid});
  }
  for (const std::string& uid : gone) objects_.erase(uid);
  out.messages.emplace_back(control::ViewHeard{.view = control::View::kSpecs, .scope = source_});
}

Scanned Directory::Scan(absl::Time now) {
  Scanned out;
  std::vector<std::string> errors_before = std::move(errors_);
  std::vector<std::string> warnings_before = std::move(warnings_);
  errors_.clear();
  warnings_.clear();
  if (const absl::Status listed = List(now); listed.ok()) {
    Collect(out);
  } else {
    // Nothing is removed, and the controller does not hear of this view: it holds scale-downs.
    errors_.emplace_back(base::Message(listed));
  }
  out.errors = errors_;
  out.warnings = warnings_;
  out.problems_changed = errors_ != errors_before || warnings_ != warnings_before;
  return out;
}

}  // namespace neap::kube::dir
