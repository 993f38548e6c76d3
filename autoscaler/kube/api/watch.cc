#include "autoscaler/kube/api/watch.h"

#include <algorithm>

#include "autoscaler/base/status.h"

namespace neap::kube::api {
namespace {

using simdjson::ondemand::document;
using simdjson::ondemand::object;

constexpr size_t kMaxRefusalBytes = size_t{64} << 10;
constexpr size_t kWholeListBytes = size_t{1} << 30;
// A watch that ends at once without an event is a failure of some kind: do not spin on it.
constexpr absl::Duration kShortestWatch = absl::Seconds(1);
// Refused so often in a row, a watch is begun anew with a list.
constexpr int kRefusalsBeforeList = 5;

absl::Status Broken(std::string_view where, std::string_view what) {
  return base::DataLoss("{}: the answer is broken: {}", where, what);
}
absl::Status Broken(std::string_view where, simdjson::error_code error) {
  return Broken(where, simdjson::error_message(error));
}

// simdjson reads beyond the end: the text must be followed by room that belongs to it.
simdjson::padded_string_view Padded(std::string& text) {
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  return simdjson::padded_string_view(text.data(), text.size(), text.capacity());
}

}  // namespace

Watch::Watch(Client& client, WatchOptions options, WatchHandler& handler)
    : client_(client), options_(std::move(options)), handler_(handler) {
  client_.http().RunAndWait([this] { List(); });
}

Watch::~Watch() {
  client_.http().RunAndWait([this] { client_.http().Drop(pending_); });
}

void Watch::List() {
  version_.clear();
  handler_.ListBegan();
  ListPage("");
}

void Watch::ListPage(std::string token) {
  http::Headers query = Query();
  if (!whole_list_) query.emplace_back("limit", std::to_string(options_.page_size));
  const bool continued = !token.empty();
  if (continued) query.emplace_back("continue", std::move(token));
  Call call{.path = options_.path, .query = std::move(query), .timeout = options_.list_timeout};
  if (whole_list_) call.max_response_bytes = kWholeListBytes;
  pending_ = client_.Send(std::move(call), [this, continued](absl::StatusOr<Reply> reply) {
    OnPage(std::move(reply), continued);
  });
}

void Watch::OnPage(absl::StatusOr<Reply> reply, bool continued) {
  if (!reply.ok()) {
    const auto error = ApiErrorOf(reply.status());
    // The pages took so long that the server forgot their snapshot.
    if (continued && error && error->code == 410) whole_list_ = true;
    Fail(reply.status(), Next::kList);
    return;
  }
  std::string token;
  if (absl::Status read = ReadPage(reply->body, reply->where, &token); !read.ok()) {
    Fail(std::move(read), Next::kList);
    return;
  }
  if (!token.empty()) {
    ListPage(std::move(token));
    return;
  }
  if (version_.empty()) {
    Fail(Broken(reply->where, "the list has no resourceVersion"), Next::kList);
    return;
  }
  whole_list_ = false;
  parser_ = simdjson::ondemand::parser();  // its tables are as large as a page
  handler_.ListDone();
  handler_.Heard();
  Settled();
  Open();
}

absl::Status Watch::ReadPage(std::string& body, std::string_view where, std::string* token) {
  document page;
  object list;
  if (auto error = parser_.iterate(Padded(body)).get(page)) return Broken(where, error);
  if (auto error = page.get_object().get(list)) return Broken(where, error);
  bool has_items = false;
  for (auto field : list) {
    std::string_view key;
    if (auto error = field.unescaped_key().get(key)) return Broken(where, error);
    if (key == "metadata") {
      object metadata;
      if (auto error = field.value().get_object().get(metadata)) return Broken(where, error);
      for (auto entry : metadata) {
        std::string_view name;
        std::string_view text;
        if (auto error = entry.unescaped_key().get(name)) return Broken(where, error);
        if (name != "resourceVersion" && name != "continue") continue;
        if (auto error = entry.value().get_string().get(text)) return Broken(where, error);
        (name == "continue" ? *token : version_) = text;
      }
    } else if (key == "items") {
      has_items = true;
      simdjson::ondemand::value items;
      if (auto error = field.value().get(items)) return Broken(where, error);
      bool none = false;
      if (auto error = items.is_null().get(none)) return Broken(where, error);
      if (none) continue;
      simdjson::ondemand::array array;
      if (auto error = items.get_array().get(array)) return Broken(where, error);
      for (auto item : array) {
        object one;
        if (auto error = item.get_object().get(one)) return Broken(where, error);
        NEAP_RETURN_IF_ERROR(base::Annotate(handler_.ListItem(one), where));
      }
    }
  }
  if (!has_items) return Broken(where, "it is no list");
  return absl::OkStatus();
}

void Watch::Open() {
  http::Headers query = Query();
  const double stretch = 1 + (options_.jitter ? options_.jitter() : 0);
  const int64_t seconds =
      std::max<int64_t>(1, absl::ToInt64Seconds(options_.watch_duration * stretch));
  query.insert(query.end(), {{"watch", "true"},
                             {"allowWatchBookmarks", "true"},
                             {"resourceVersion", version_},
                             {"timeoutSeconds", std::to_string(seconds)}});
  head_status_ = 0;
  retry_after_.clear();
  buffer_.clear();
  line_error_.reset();
  heard_event_ = false;
  opened_at_ = clock_.Elapsed();
  pending_ = client_.Stream({.path = options_.path,
                             .query = std::move(query),
                             // The server ends it; the margin is for one that does not.
                             .timeout = absl::Seconds(seconds) + absl::Seconds(30)},
                            options_.idle_timeout,
                            {.on_headers = [this](const http::Response& head) { OnHead(head); },
                             .on_data = [this](std::string_view chunk) { OnData(chunk); },
                             .on_end = [this](absl::Status status) { OnEnd(std::move(status)); }});
}

void Watch::OnHead(const http::Response& head) {
  head_status_ = head.status;
  retry_after_ = head.Header("Retry-After");
  if (head.status == 200) handler_.Heard();
}

void Watch::OnData(std::string_view chunk) {
  if (line_error_.has_value()) return;
  if (head_status_ != 200) {
    buffer_.append(chunk.substr(0, kMaxRefusalBytes - std::min(buffer_.size(), kMaxRefusalBytes)));
    return;
  }
  size_t searched = buffer_.size();
  buffer_.append(chunk);
  size_t begin = 0;
  for (size_t end = 0; (end = buffer_.find('\n', searched)) != std::string::npos;) {
    if (end > begin) {
      if (absl::Status status = OnLine(std::string_view(buffer_).substr(begin, end - begin));
          !status.ok()) {
        line_error_ = std::move(status);
        client_.http().Cancel(pending_);  // OnEnd goes on from here
        return;
      }
    }
    begin = searched = end + 1;
  }
  buffer_.erase(0, begin);
  if (buffer_.size() > options_.max_event_bytes) {
    line_error_ = Broken("watch " + options_.path,
                         fmt::format("an event is larger than {} bytes", options_.max_event_bytes));
    client_.http().Cancel(pending_);
  }
}

absl::Status Watch::OnLine(std::string_view line) {
  const std::string where = "watch " + options_.path;
  std::string text(line);
  document event;
  object fields;
  object changed;
  std::string_view type;
  if (auto error = parser_.iterate(Padded(text)).get(event)) return Broken(where, error);
  if (auto error = event.get_object().get(fields)) return Broken(where, error);
  if (auto error = fields["type"].get_string().get(type)) return Broken(where, error);
  if (auto error = fields["object"].get_object().get(changed)) return Broken(where, error);
  if (type == "ERROR") {
    std::string_view json;
    if (auto error = changed.raw_json().get(json)) return Broken(where, error);
    return OnErrorEvent(json);
  }
  const bool deleted = type == "DELETED";
  const bool bookmark = type == "BOOKMARK";
  if (!deleted && !bookmark && type != "ADDED" && type != "MODIFIED") {
    return Broken(where, fmt::format("event of unknown type {}", type.substr(0, 40)));
  }
  object metadata;
  std::string_view version;
  if (auto error = changed["metadata"].get_object().get(metadata)) return Broken(where, error);
  if (auto error = metadata["resourceVersion"].get_string().get(version)) {
    return Broken(where, error);
  }
  const std::string reached(version);
  if (!bookmark) {
    if (auto error = changed.reset().error()) return Broken(where, error);
    NEAP_RETURN_IF_ERROR(base::Annotate(handler_.Changed(changed, deleted), where));
  }
  version_ = reached;
  heard_event_ = true;
  Settled();
  handler_.Heard();
  return absl::OkStatus();
}

absl::Status Watch::OnErrorEvent(std::string_view status_json) {
  return ToStatus(ApiErrorFromStatusObject(status_json), "watch " + options_.path);
}

void Watch::OnEnd(absl::Status status) {
  if (absl::IsCancelled(status) && !line_error_.has_value()) return;  // the client stops
  const std::string where = "watch " + options_.path;
  if (line_error_.has_value()) {
    status = *std::move(line_error_);
  } else if (head_status_ != 0 && head_status_ != 200) {
    status = ToStatus(ApiErrorFrom({.status = head_status_,
                                    .headers = {{"Retry-After", retry_after_}},
                                    .body = buffer_,
                                    .url = {}}),
                      where);
  } else if (absl::IsDeadlineExceeded(status) && head_status_ == 200) {
    status = absl::OkStatus();  // silent, or the server forgot to end it: open it anew
  } else if (status.ok() && !buffer_.empty()) {
    status = base::Unavailable("{}: the answer ends in the middle of an event", where);
  } else if (status.ok() && !heard_event_ && clock_.Elapsed() - opened_at_ < kShortestWatch) {
    status = base::Unavailable("{}: the server ended the watch at once", where);
  }
  if (status.ok()) {
    Open();
    return;
  }
  status = client_.Explain(status);
  const auto error = ApiErrorOf(status);
  if (absl::IsDataLoss(status)) {  // what we missed is unknown
    Fail(std::move(status), Next::kList);
  } else if (!error) {  // the connection: go on where we were
    Fail(std::move(status), Next::kWatch);
  } else if (error->code == 410) {
    Fail(std::move(status), Next::kList);
  } else if (error->code == 429 || error->code >= 500) {
    Fail(std::move(status), ++watch_failures_ < kRefusalsBeforeList ? Next::kWatch : Next::kList);
  } else {
    Fail(std::move(status), Next::kList);
  }
}

void Watch::Settled() {
  failures_ = 0;
  watch_failures_ = 0;
}

void Watch::Fail(absl::Status error, Next next) {
  if (absl::IsCancelled(error)) return;  // the http::Client stops
  const auto api_error = ApiErrorOf(error);
  absl::Duration delay = options_.backoff_min;
  for (int i = 0; i < failures_ && delay < options_.backoff_max; ++i) delay *= 2;
  delay = std::min(delay, options_.backoff_max);
  delay *= 1 + (options_.jitter ? options_.jitter() : 0);
  if (api_error && api_error->retry_after) delay = std::max(delay, *api_error->retry_after);
  // A watch that expired is ordinary: list soon, unless that happens again and again. Not at once:
  // after a restart the server has forgotten the place of all watches at the same moment.
  if (api_error && api_error->code == 410 && failures_ == 0) {
    delay = options_.backoff_min * (options_.jitter ? options_.jitter() : 0);
  }
  ++failures_;
  handler_.Trouble(error, delay);
  Again(next, delay);
}

void Watch::Again(Next next, absl::Duration delay) {
  pending_ = client_.http().After(delay, [this, next] { next == Next::kList ? List() : Open(); });
}

}  // namespace neap::kube::api
