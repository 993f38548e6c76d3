#include "autoscaler/kube/history_store.h"

#include <absl/strings/escaping.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/kube/json_fields.h"

namespace neap::kube {
namespace {

using Json = nlohmann::json;

constexpr char kInstallation[] = "neap.dev/history";  // label
constexpr char kShard[] = "neap.dev/shard";           // label
constexpr char kEpoch[] = "neap.dev/epoch";           // annotation
constexpr int kClaims = 5;                            // attempts against somebody who still writes

// ---- a value: version byte, epoch and sequence (8 bytes each, big-endian), history

constexpr char kVersion = 1;
constexpr size_t kHeader = 17;

void Append(uint64_t number, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(number >> shift));
}
uint64_t NumberAt(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = (number << 8) | static_cast<unsigned char>(bytes[i]);
  return number;
}

struct Value {
  // Of two values the greater is the later.
  std::pair<int64_t, uint64_t> written;  // epoch, sequence
  std::string history;
};

std::string Encode(int64_t epoch, uint64_t sequence, std::string_view history) {
  std::string out(1, kVersion);
  Append(static_cast<uint64_t>(epoch), &out);
  Append(sequence, &out);
  out += history;
  return out;
}

absl::StatusOr<Value> Decode(const Json& json) {
  std::string bytes;
  if (!json.is_string() || !absl::Base64Unescape(json.get_ref<const std::string&>(), &bytes)) {
    return base::DataLoss("not base64");
  }
  if (bytes.empty()) return base::DataLoss("empty");
  if (bytes[0] != kVersion) {
    return base::Unimplemented("of version {}; this neapd knows {}",
                               static_cast<unsigned char>(bytes[0]), int{kVersion});
  }
  if (bytes.size() < kHeader) return base::DataLoss("cut off after {} bytes", bytes.size());
  const std::string_view view = bytes;
  return Value{
      .written = {static_cast<int64_t>(NumberAt(view.substr(1))), NumberAt(view.substr(9))},
      .history = bytes.substr(kHeader)};
}

// ---- a key: letters, digits, '-' and inner '.' as they are, the rest as _xx

std::string KeyOf(std::string_view uid) {
  std::string key;
  for (const char c : uid) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || (c == '.' && !key.empty());
    if (plain) {
      key += c;
    } else {
      key += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return key;
}

std::optional<std::string> UidOf(std::string_view key) {
  std::string uid;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '_') {
      uid += key[i];
      continue;
    }
    unsigned byte = 0;
    const std::string_view hex = key.substr(i + 1, 2);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), byte, 16);
    if (hex.size() != 2 || error != std::errc() || end != hex.data() + 2) return std::nullopt;
    uid += static_cast<char>(byte);
    i += 2;
  }
  return KeyOf(uid) == key ? std::optional(uid) : std::nullopt;
}

constexpr size_t kLongestKey = 253;

// ---- a ConfigMap

struct Stored {
  size_t bytes = 0;  // key and value
  absl::StatusOr<Value> value = absl::UnknownError("");
};
struct PartRead {
  int index = 0;
  std::string version;
  int64_t epoch = 0;
  std::map<std::string, Stored> entries;  // by uid
  std::vector<absl::Status> unreadable;
};

template <typename T>
std::optional<T> WholeNumber(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

}  // namespace

// On the http::Client's thread; kept alive by callbacks under way.
class HistoryStore::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, HistoryStoreOptions options)
      : context_(context), options_(std::move(options)) {}

  void Load(int number, int64_t epoch, OnLoaded done) {
    Forget(number);
    auto shard = std::make_shared<Shard>();
    shard->number = number;
    shard->epoch = epoch;
    shard->loading = std::move(done);
    shards_[number] = shard;
    List(shard);
  }

  void Save(int number, Histories changed, std::vector<std::string> removed, OnSaved done) {
    const auto at = shards_.find(number);
    if (at == shards_.end() || !at->second->loaded) {
      return done(base::FailedPrecondition("histories of shard {} are not loaded", number));
    }
    const auto& shard = at->second;
    absl::Status wrong;
    for (auto& [uid, history] : changed) {
      const absl::Status error = Check(number, uid, history);
      if (error.ok()) {
        shard->unsaved[uid] = std::move(history);
      } else {
        wrong.Update(error);
      }
    }
    for (std::string& uid : removed) shard->unsaved[std::move(uid)] = std::nullopt;
    shard->waiting.push_back([wrong, done = std::move(done)](const absl::Status& status) {
      done(status.ok() ? wrong : status);
    });
    Pump(shard);
  }

  void Forget(int number) {
    const auto at = shards_.find(number);
    if (at == shards_.end()) return;
    const std::shared_ptr<Shard> shard = at->second;
    shards_.erase(at);
    const absl::Status cancelled =
        base::Cancelled("histories of shard {}: the shard was given up", number);
    if (shard->loading) std::exchange(shard->loading, {})(cancelled);
    Tell(shard->saving, cancelled);
    Tell(shard->waiting, cancelled);
  }

  void Close() { closed_ = true; }
  http::Client& http() { return context_.client->http(); }

 private:
  struct Part {
    std::string version;
    bool exists = false;
    bool known = true;  // else it is read before it is written: it may have changed
    size_t bytes = 0;   // keys and values
  };
  struct Entry {
    int part = 0;
    size_t bytes = 0;
  };
  using Change = std::optional<std::string>;  // nullopt: removed
  // What one request writes.
  struct PartWrite {
    int part = 0;
    std::map<std::string, Change> changes;  // by uid
    bool copies = false;                    // it only takes away second copies
  };
  struct Shard {
    int number = 0;
    int64_t epoch = 0;
    uint64_t sequence = 0;  // of the last value written in this epoch
    int claims = 0;
    bool loaded = false;
    OnLoaded loading;     // while it loads
    absl::Status fenced;  // not OK: another epoch has it
    std::map<int, Part> parts;
    std::map<std::string, Entry> entries;  // what is on the server, by uid
    std::map<std::pair<int, std::string>, size_t>
        leftovers;                          // second copies, by part and uid: bytes
    std::map<std::string, Change> unsaved;  // by uid, for the next round
    std::vector<OnSaved> waiting;           // for the next round
    std::vector<OnSaved> saving;            // of the round under way
    bool busy = false;                      // a round is under way
    std::vector<PartWrite> writes;          // still to be sent, last first
  };
  using ShardPtr = std::shared_ptr<Shard>;

  // Whether an answer for it still means something.
  bool Current(const ShardPtr& shard) const {
    const auto at = shards_.find(shard->number);
    return !closed_ && at != shards_.end() && at->second == shard;
  }

  std::string NameOf(const Shard& shard, int part) const {
    return fmt::format("{}-history-{}-{}", options_.name, shard.number, part);
  }
  std::string Where(const Shard& shard, int part) const {
    return fmt::format("ConfigMap {}/{}", options_.ns, NameOf(shard, part));
  }
  std::string Path(const std::string& name = "") const {
    return api::ResourcePath("", "v1", "configmaps", options_.ns, name);
  }

  absl::Status Check(int shard, const std::string& uid, const std::string& history) const {
    const std::string key = KeyOf(uid);
    if (key.empty() || key.size() > kLongestKey) {
      return base::InvalidArgument("histories of shard {}: uid \"{}\" makes no key of a ConfigMap",
                                   shard, uid);
    }
    const size_t bytes = key.size() + kHeader + history.size();
    if (bytes > options_.part_bytes) {
      return base::ResourceExhausted(
          "histories of shard {}: that of {} has {} bytes, and a ConfigMap may have {}", shard, uid,
          bytes, options_.part_bytes);
    }
    return absl::OkStatus();
  }

  // The callbacks may call us.
  static void Tell(std::vector<OnSaved>& whom, const absl::Status& status) {
    for (OnSaved& done : std::exchange(whom, {})) done(status);
  }

  template <typename Done>
  void Send(const ShardPtr& shard, api::Call call, Done done) {
    call.timeout = options_.timeout;
    context_.client->Send(std::move(call),
                          [self = shared_from_this(), shard,
                           done = std::move(done)](absl::StatusOr<api::Reply> reply) mutable {
                            if (self->Current(shard)) done(std::move(reply));
                          });
  }

  // ---- reading

  absl::StatusOr<PartRead> Read(const Shard& shard, const Json& object) const {
    const Json& metadata = Member(object, "metadata");
    const std::string name = TextOf(metadata, "name");
    const std::string where = fmt::format("ConfigMap {}/{}", options_.ns, name);
    const std::string prefix = fmt::format("{}-history-{}-", options_.name, shard.number);
    PartRead out;
    const auto index = name.starts_with(prefix)
                           ? WholeNumber<int>(std::string_view(name).substr(prefix.size()))
                           : std::nullopt;
    if (!index || *index < 0) {
      return base::DataLoss(
          "{}: its label says that it has histories of shard {}, but its name is "
          "not {}<part>",
          where, shard.number, prefix);
    }
    out.index = *index;
    out.version = TextOf(metadata, "resourceVersion");
    if (const std::string text = TextOf(Member(metadata, "annotations"), kEpoch); !text.empty()) {
      const auto epoch = WholeNumber<int64_t>(text);
      if (!epoch)
        return base::DataLoss("{}: annotation {}: \"{}\" is no number", where, kEpoch, text);
      out.epoch = *epoch;
    }
    for (const auto& [key, value] : Member(object, "binaryData").items()) {
      const auto uid = UidOf(key);
      const auto broken = [&](const absl::Status& error) {
        out.unreadable.push_back(base::Annotate(error, fmt::format("{}, key {}", where, key)));
      };
      if (!uid) {
        broken(base::DataLoss("not made from a uid"));
        continue;
      }
      Stored& stored = out.entries[*uid];
      stored.value = Decode(value);
      stored.bytes = key.size() + (stored.value.ok()   ? kHeader + stored.value->history.size()
                                   : value.is_string() ? value.get_ref<const std::string&>().size()
                                                       : 0);
      if (!stored.value.ok()) broken(stored.value.status());
    }
    return out;
  }

  absl::Status Fence(const Shard& shard, const PartRead& part) const {
    if (part.epoch <= shard.epoch) return absl::OkStatus();
    return base::FailedPrecondition(
        "{}: written in epoch {}, which is later than ours, {}: the shard is another's",
        Where(shard, part.index), part.epoch, shard.epoch);
  }

  void List(const ShardPtr& shard) {
    Send(shard,
         {.path = Path(),
          .query = {{"labelSelector", fmt::format("{}={},{}={}", kInstallation, options_.name,
                                                  kShard, shard->number)}}},
         [this, shard](absl::StatusOr<api::Reply> reply) {
           auto parts = ReadList(*shard, reply);
           if (!parts.ok()) return Loaded(shard, parts.status());
           Claim(shard, std::make_shared<std::vector<PartRead>>(*std::move(parts)), 0);
         });
  }

  absl::StatusOr<std::vector<PartRead>> ReadList(const Shard& shard,
                                                 const absl::StatusOr<api::Reply>& reply) const {
    if (!reply.ok()) {
      return base::Annotate(reply.status(), fmt::format("histories of shard {}", shard.number));
    }
    const Json list = Json::parse(reply->body, nullptr, /*allow_exceptions=*/false);
    if (!list.is_object()) return base::DataLoss("{}: not a list", reply->where);
    std::vector<PartRead> parts;
    if (const auto items = list.find("items"); items != list.end() && items->is_array()) {
      for (const Json& item : *items) {
        NEAP_ASSIGN_OR_RETURN(parts.emplace_back(), Read(shard, item));
        NEAP_RETURN_IF_ERROR(Fence(shard, parts.back()));
      }
    }
    return parts;
  }

  // Writes our epoch into one part after the other, so that nothing that a former holder sent can
  // land any more: its resourceVersion is an old one from here.
  void Claim(const ShardPtr& shard, const std::shared_ptr<std::vector<PartRead>>& parts,
             size_t next) {
    while (next < parts->size() && (*parts)[next].epoch == shard->epoch) ++next;
    if (next == parts->size()) return TakeIn(shard, *parts);
    const PartRead& part = (*parts)[next];
    Json patch = {{"metadata", MetadataOf(*shard)}};
    patch["metadata"]["resourceVersion"] = part.version;
    Send(shard,
         {.method = "PATCH",
          .path = Path(NameOf(*shard, part.index)),
          .body = patch.dump(),
          .content_type = api::kMergePatch},
         [this, shard, parts, next](const absl::StatusOr<api::Reply>& reply) {
           PartRead& claimed = (*parts)[next];
           const auto version = VersionOf(*shard, claimed.index, reply);
           const bool changed =
               absl::IsAborted(version.status()) || absl::IsNotFound(version.status());
           if (changed && ++shard->claims < kClaims) return List(shard);
           if (!version.ok()) return Loaded(shard, version.status());
           claimed.version = *version;
           Claim(shard, parts, next + 1);
         });
  }

  void TakeIn(const ShardPtr& shard, std::vector<PartRead>& parts) {
    LoadedHistories out;
    std::map<std::string, std::pair<int64_t, uint64_t>> written;
    for (PartRead& part : parts) {
      Part& known = shard->parts[part.index];
      known = {.version = part.version, .exists = true, .known = true, .bytes = 0};
      std::move(part.unreadable.begin(), part.unreadable.end(), std::back_inserter(out.unreadable));
      for (auto& [uid, stored] : part.entries) {
        known.bytes += stored.bytes;
        const auto at = stored.value.ok() ? stored.value->written : std::pair<int64_t, uint64_t>();
        const Entry entry{.part = part.index, .bytes = stored.bytes};
        const auto before = shard->entries.find(uid);
        if (before != shard->entries.end() && at <= written[uid]) {
          shard->leftovers[{part.index, uid}] = stored.bytes;
          continue;
        }
        if (before != shard->entries.end()) {
          shard->leftovers[{before->second.part, uid}] = before->second.bytes;
        }
        shard->entries[uid] = entry;
        written[uid] = at;
        if (at.first == shard->epoch) shard->sequence = std::max(shard->sequence, at.second);
        if (stored.value.ok()) out.histories[uid] = std::move(stored.value->history);
      }
    }
    shard->loaded = true;
    Loaded(shard, std::move(out));
  }

  void Loaded(const ShardPtr& shard, absl::StatusOr<LoadedHistories> result) {
    const OnLoaded done = std::exchange(shard->loading, {});
    if (!result.ok()) shards_.erase(shard->number);
    done(std::move(result));
  }

  // ---- writing

  Json MetadataOf(const Shard& shard) const {
    return {{"labels", {{kInstallation, options_.name}, {kShard, std::to_string(shard.number)}}},
            {"annotations", {{kEpoch, std::to_string(shard.epoch)}}}};
  }

  // The version of a part after a write; errors say which part.
  absl::StatusOr<std::string> VersionOf(const Shard& shard, int part,
                                        const absl::StatusOr<api::Reply>& reply) const {
    const std::string where = Where(shard, part);
    if (!reply.ok()) {
      absl::Status error = reply.status();
      if (const auto api = api::ApiErrorOf(error)) {
        // By ToStatus they have other codes; ours mean what the header says.
        if (api->code == 409)
          return base::Aborted("{}: somebody else wrote it: {}", where, base::Message(error));
        if (api->code == 422) return base::InvalidArgument("{}: {}", where, base::Message(error));
      }
      return base::Annotate(error, where);
    }
    // The answer is the whole ConfigMap, up to 1.3 MB: no tree of it is made.
    const simdjson::padded_string padded(reply->body);
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    std::string_view version;
    if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
        document["metadata"]["resourceVersion"].get(version) != simdjson::SUCCESS ||
        version.empty()) {
      return base::DataLoss("{}: {}: no resourceVersion", where, reply->where);
    }
    return std::string(version);
  }

  void Pump(const ShardPtr& shard) {
    if (shard->busy || shard->waiting.empty()) return;
    shard->saving = std::exchange(shard->waiting, {});
    shard->busy = true;
    if (shard->fenced.ok()) Plan(*shard);
    WriteNext(shard);
  }

  // Which part each change goes to. Moves come in two writes, the new copy first.
  void Plan(Shard& shard) {
    std::map<int, PartWrite> first;
    std::map<int, PartWrite> then;
    std::map<int, size_t> bytes;
    for (const auto& [index, part] : shard.parts) bytes[index] = part.bytes;
    for (auto& [uid, change] : std::exchange(shard.unsaved, {})) {
      const auto entry = shard.entries.find(uid);
      const bool there = entry != shard.entries.end();
      const size_t before = there ? entry->second.bytes : 0;
      if (!change) {
        if (!there) continue;
        bytes[entry->second.part] -= before;
        first[entry->second.part].changes[uid] = std::nullopt;
        continue;
      }
      const size_t needs = KeyOf(uid).size() + kHeader + change->size();
      int part = there ? entry->second.part : -1;
      if (!there || bytes[part] - before + needs > options_.part_bytes) {
        if (there) then[part].changes[uid] = std::nullopt;
        part = PartFor(bytes, needs);
        bytes[part] += needs;
      } else {
        bytes[part] += needs - before;
      }
      first[part].changes[uid] = std::move(change);
    }
    for (const auto& [copy, size] : shard.leftovers) {
      const auto& [part, uid] = copy;
      if (!first[part].changes.contains(uid)) then[part].changes[uid] = std::nullopt;
    }
    for (auto* writes : {&then, &first}) {
      for (auto& [part, write] : *writes) {
        if (write.changes.empty()) continue;
        write.part = part;
        write.copies = writes == &then;
        shard.writes.push_back(std::move(write));
      }
    }
  }

  int PartFor(const std::map<int, size_t>& bytes, size_t needs) const {
    int next = 0;
    for (const auto& [part, used] : bytes) {
      if (used == 0 || used + needs <= options_.part_bytes / 2) return part;
      next = part + 1;
    }
    return next;
  }

  void WriteNext(const ShardPtr& shard) {
    if (!shard->fenced.ok()) return Finish(shard, shard->fenced);
    if (shard->writes.empty()) return Finish(shard, absl::OkStatus());
    const int index = shard->writes.back().part;
    Part& part = shard->parts[index];
    if (!part.known) return ReadAgain(shard, index);
    const PartWrite& write = shard->writes.back();
    Json body = {{"metadata", MetadataOf(*shard)}};
    for (const auto& [uid, change] : write.changes) {
      Json& value = body["binaryData"][KeyOf(uid)];
      if (change) {
        value = absl::Base64Escape(Encode(shard->epoch, ++shard->sequence, *change));
      } else {
        value = nullptr;
      }
    }
    api::Call call{
        .method = "PATCH", .path = Path(NameOf(*shard, index)), .content_type = api::kMergePatch};
    if (part.exists) {
      body["metadata"]["resourceVersion"] = part.version;
    } else {
      call.method = "POST";
      call.path = Path();
      call.content_type = api::kJson;
      body["apiVersion"] = "v1";
      body["kind"] = "ConfigMap";
      body["metadata"]["name"] = NameOf(*shard, index);
      body["metadata"]["namespace"] = options_.ns;
    }
    call.body = body.dump();
    Send(shard, std::move(call),
         [this, shard](const absl::StatusOr<api::Reply>& reply) { OnWritten(shard, reply); });
  }

  void OnWritten(const ShardPtr& shard, const absl::StatusOr<api::Reply>& reply) {
    const PartWrite write = std::move(shard->writes.back());
    shard->writes.pop_back();
    Part& part = shard->parts[write.part];
    const auto version = VersionOf(*shard, write.part, reply);
    if (!version.ok()) {
      part.known = false;  // what is there now is looked at before the next write
      shard->writes.push_back(write);
      return Finish(shard, version.status());
    }
    part.version = *version;
    part.exists = true;
    for (const auto& [uid, change] : write.changes) {
      // What was there goes, be it the one that counts or a second copy.
      const auto entry = shard->entries.find(uid);
      const bool there = entry != shard->entries.end();
      const bool here = there && entry->second.part == write.part;
      const auto copy = shard->leftovers.find({write.part, uid});
      if (copy != shard->leftovers.end()) {
        part.bytes -= copy->second;
        shard->leftovers.erase(copy);
      } else if (here) {
        part.bytes -= entry->second.bytes;
      }
      if (change) {
        const size_t bytes = KeyOf(uid).size() + kHeader + change->size();
        part.bytes += bytes;
        if (there && !here) shard->leftovers[{entry->second.part, uid}] = entry->second.bytes;
        shard->entries[uid] = {.part = write.part, .bytes = bytes};
      } else if (here) {
        shard->entries.erase(entry);
      }
    }
    WriteNext(shard);
  }

  // After a write whose fate we don't know, or that somebody else was in the way of.
  void ReadAgain(const ShardPtr& shard, int index) {
    Send(shard, {.path = Path(NameOf(*shard, index))},
         [this, shard, index](const absl::StatusOr<api::Reply>& reply) {
           Part& part = shard->parts[index];
           if (absl::IsNotFound(reply.status())) {
             part = {};
             ForgetPart(*shard, index);
             return WriteNext(shard);
           }
           if (!reply.ok()) {
             return Finish(shard, base::Annotate(reply.status(), Where(*shard, index)));
           }
           auto read = Read(*shard, Json::parse(reply->body, nullptr, /*allow_exceptions=*/false));
           if (!read.ok()) return Finish(shard, read.status());
           shard->fenced = Fence(*shard, *read);
           part = {.version = read->version, .exists = true, .known = true, .bytes = 0};
           ForgetPart(*shard, index);
           for (const auto& [uid, stored] : read->entries) {
             part.bytes += stored.bytes;
             const Entry entry{.part = index, .bytes = stored.bytes};
             if (!shard->entries.try_emplace(uid, entry).second) {
               shard->leftovers[{index, uid}] = stored.bytes;
             }
           }
           WriteNext(shard);
         });
  }

  static void ForgetPart(Shard& shard, int index) {
    std::erase_if(shard.entries, [&](const auto& e) { return e.second.part == index; });
    std::erase_if(shard.leftovers, [&](const auto& l) { return l.first.first == index; });
  }

  // What was not written waits for the next Save, unless that has something newer already.
  void Finish(const ShardPtr& shard, const absl::Status& status) {
    for (PartWrite& write : std::exchange(shard->writes, {})) {
      if (write.copies) continue;  // those are known
      for (auto& [uid, change] : write.changes) shard->unsaved.try_emplace(uid, std::move(change));
    }
    if (!shard->fenced.ok()) shard->unsaved.clear();
    shard->busy = false;
    Tell(shard->saving, status);
    if (Current(shard)) Pump(shard);
  }

  const Context context_;
  const HistoryStoreOptions options_;
  std::map<int, ShardPtr> shards_;
  bool closed_ = false;
};

HistoryStore::HistoryStore(const Context& context, HistoryStoreOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}

HistoryStore::~HistoryStore() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

void HistoryStore::Load(int shard, int64_t epoch, OnLoaded done) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, shard, epoch, done = std::move(done)] {
    impl->Load(shard, epoch, done);
  });
}

void HistoryStore::Save(int shard, Histories changed, std::vector<std::string> removed,
                        OnSaved done) {
  impl_->http().After(absl::ZeroDuration(),
                      [impl = impl_, shard, changed = std::move(changed),
                       removed = std::move(removed), done = std::move(done)]() mutable {
                        impl->Save(shard, std::move(changed), std::move(removed), std::move(done));
                      });
}

void HistoryStore::Forget(int shard) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, shard] { impl->Forget(shard); });
}

}  // namespace neap::kube
