#include "autoscaler/playground/api.h"

#include <algorithm>
#include <charconv>

#include "autoscaler/base/status.h"
#include "autoscaler/playground/metrics_apis.h"
#include "autoscaler/playground/objects.h"

namespace neap::playground {
namespace {

// The API's own default lies between 30 and 60 minutes.
constexpr absl::Duration kWatchTimeout = absl::Minutes(30);

std::optional<uint64_t> NumberOf(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Answer Text(std::string text) {
  return {.code = 200, .body = std::move(text), .content_type = "text/plain; charset=utf-8"};
}

Answer Document(std::string text) { return text.empty() ? PageNotFound() : Ok(std::move(text)); }

// No schemas: kubectl then takes every object as it is, and this server checks them.
Answer OpenApi(const ApiRequest& request) {
  if (request.parts.size() == 2 && request.parts[1] == "v3") return Ok(R"({"paths":{}})");
  if (request.parts.size() != 2 || request.parts[1] != "v2") return PageNotFound();
  if (request.accept.find("spec.v2") == std::string::npos) {
    return Ok(R"({"swagger":"2.0","paths":{}})");
  }
  // An empty protobuf message. Clients ask for "...v2@v1.0...", but that is no media type.
  return {.code = 200,
          .body = "",
          .content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"};
}

}  // namespace

bool Api::Authorized(std::string_view authorization_header) const {
  return options_.token.empty() || authorization_header == "Bearer " + options_.token;
}

Api::Reply Api::Handle(const ApiRequest& request) {
  const std::vector<std::string>& parts = request.parts;
  if (parts.empty()) return Ok(R"({"paths":["/api","/apis","/healthz","/openapi/v2","/version"]})");
  const bool get = request.method == "GET";
  if (parts.size() == 1 && get) {
    if (parts[0] == "version") return Ok(VersionDocument());
    if (parts[0] == "healthz" || parts[0] == "readyz" || parts[0] == "livez") return Text("ok");
    if (parts[0] == "api") return Ok(CoreVersionsDocument());
    if (parts[0] == "apis") return Ok(GroupsDocument());
  }
  if (parts[0] == "openapi" && get) return OpenApi(request);
  const bool core = parts[0] == "api";
  if (!core && parts[0] != "apis") return PageNotFound();
  if (!core && parts.size() == 2 && get) return Document(GroupDocument(parts[1]));

  const size_t head = core ? 2 : 3;  // "api", version or "apis", group, version
  if (parts.size() < head) return PageNotFound();
  const std::string group = core ? "" : parts[1];
  const std::string& version = parts[head - 1];
  const bool custom = group == "custom.metrics.k8s.io";
  const bool external = group == "external.metrics.k8s.io";
  const bool known = !ResourcesDocument(group, version, {}).empty();
  if (!known) return PageNotFound();
  if (parts.size() == head) {
    if (!get) return MethodNotAllowed();
    std::vector<std::string> metrics;
    if (custom) metrics = CustomMetricNames(cluster_);
    if (external) metrics = ExternalMetricNames(cluster_);
    return Document(ResourcesDocument(group, version, metrics));
  }
  const std::span<const std::string> rest = std::span(parts).subspan(head);
  if (custom || external || group == "metrics.k8s.io") {
    if (!get) return MethodNotAllowed();
    if (custom) return CustomMetrics(cluster_, request, rest);
    return external ? ExternalMetrics(cluster_, request, rest)
                    : PodMetrics(cluster_, request, rest);
  }
  Place place;
  // /namespaces/NS/PLURAL/...; /namespaces and /namespaces/NS are the kind Namespace itself.
  const bool in_namespace = rest[0] == "namespaces" && rest.size() > 2;
  if (in_namespace) place.ns = rest[1];
  const std::span<const std::string> what = in_namespace ? rest.subspan(2) : rest;
  place.kind = FindKind(group, version, what[0]);
  if (what.size() > 1) place.name = what[1];
  if (what.size() > 2) place.subresource = what[2];
  if (place.kind == nullptr || what.size() > 3 ||
      (in_namespace != place.kind->namespaced && !place.name.empty())) {
    return ResourceNotFound();
  }
  return Resource(request, place);
}

Api::Reply Api::Resource(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  if (place.name.empty()) return Collection(request, place);
  if (place.subresource == "scale") {
    return kind.scale ? Reply(Scale(request, place)) : Reply(ResourceNotFound());
  }
  if (!place.subresource.empty() && !(place.subresource == "status" && kind.status)) {
    return ResourceNotFound();
  }
  if (request.method == "PUT" || request.method == "PATCH") {
    return kind.writable ? Reply(Change(request, place)) : Reply(MethodNotAllowed());
  }
  if (request.method == "DELETE") {
    const bool may = (kind.writable || kind.id == KindId::kPod) && place.subresource.empty();
    return may ? Reply(Delete(request, place)) : Reply(MethodNotAllowed());
  }
  if (request.method != "GET") return MethodNotAllowed();
  ObjectPtr object;
  {
    base::MutexLock lock(cluster_.mutex);
    cluster_.Sync();
    object = cluster_.store().Get(kind.id, place.ns, place.name);
  }
  if (object == nullptr) return NotFound(kind, place.name);
  return Ok(ObjectText(request, kind, object));
}

Api::Reply Api::Collection(const ApiRequest& request, const Place& place) {
  const Kind& kind = *place.kind;
  if (request.method == "POST") {
    return kind.writable ? Reply(Create(request, place)) : Reply(MethodNotAllowed());
  }
  if (request.method != "GET") return MethodNotAllowed();
  absl::StatusOr<Filter> filter = Filter::Of(request, kind, place.ns, "");
  if (!filter.ok()) return BadRequest(base::Message(filter.status()));
  if (!request.Flag("watch")) return List(request, kind, *filter);
  if (!request.Query("sendInitialEvents").empty()) {
    return Invalid("meta.k8s.io", "ListOptions", "",
                   {{.field = "sendInitialEvents",
                     .message = "Forbidden: sendInitialEvents is forbidden for watch unless the "
                                "WatchList feature gate is enabled"}});
  }
  WatchRequest watch{.kind = &kind,
                     .filter = *std::move(filter),
                     .view = ViewOf(request.accept, request.Query("includeObject")),
                     .after = std::nullopt,
                     .bookmarks = request.Flag("allowWatchBookmarks"),
                     .timeout = kWatchTimeout,
                     .bookmark_every = options_.bookmark_every};
  const std::string_view version = request.Query("resourceVersion");
  if (!version.empty() && version != "0") {
    watch.after = NumberOf(version);
    if (!watch.after) {
      return Invalid("", "", "",
                     {{.field = "resourceVersion",
                       .message = fmt::format("Invalid value: \"{}\": strconv.ParseUint: parsing "
                                              "\"{}\": invalid syntax",
                                              version, version)}});
    }
  }
  if (const auto seconds = NumberOf(request.Query("timeoutSeconds")); seconds && *seconds > 0) {
    watch.timeout = absl::Seconds(std::min<uint64_t>(*seconds, 86'400));
  }
  return watch;
}

Answer Api::List(const ApiRequest& request, const Kind& kind, const Filter& filter) {
  if (!request.Query("continue").empty()) return Continue(request, kind);
  std::vector<ObjectPtr> objects;
  uint64_t version = 0;
  {
    base::MutexLock lock(cluster_.mutex);
    cluster_.Sync();
    objects = cluster_.store().List(kind.id, filter.ns());
    version = cluster_.store().version();
  }
  if (!filter.empty()) {
    std::erase_if(objects, [&](const ObjectPtr& object) { return !filter.Matches(*object); });
  }
  return Page(request, kind, std::move(objects), version, !filter.empty());
}

// The first page, and all of the list where it fits.
Answer Api::Page(const ApiRequest& request, const Kind& kind, std::vector<ObjectPtr> objects,
                 uint64_t version, bool filtered) {
  const size_t limit = NumberOf(request.Query("limit")).value_or(0);
  if (limit == 0 || objects.size() <= limit) {
    return Ok(
        ListText(request, kind, objects, fmt::format(R"({{"resourceVersion":"{}"}})", version)));
  }
  ApiRequest first = request;
  {
    base::MutexLock lock(pages_mutex_);
    first.query["continue"] = fmt::format("{}.0", next_page_id_);
    paged_.push_back({.id = next_page_id_++,
                      .version = version,
                      .kind = kind.id,
                      .objects = std::make_shared<const std::vector<ObjectPtr>>(std::move(objects)),
                      .filtered = filtered});
    if (paged_.size() > kPagedLists) paged_.pop_front();
  }
  return Continue(first, kind);
}

// A token is "LIST.POSITION".
Answer Api::Continue(const ApiRequest& request, const Kind& kind) {
  const std::string_view token = request.Query("continue");
  const size_t dot = std::min(token.find('.'), token.size());
  const auto id = NumberOf(token.substr(0, dot));
  const auto position = NumberOf(token.substr(std::min(dot + 1, token.size())));
  if (!id || !position) return BadRequest("continue key is not valid");
  Paged list;
  {
    base::MutexLock lock(pages_mutex_);
    for (const Paged& one : paged_) {
      if (one.id == *id && one.kind == kind.id) list = one;
    }
  }
  if (list.objects == nullptr || *position > list.objects->size()) {
    return Expired(
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list without the continue parameter.");
  }
  const size_t left = list.objects->size() - *position;
  const size_t limit = NumberOf(request.Query("limit")).value_or(0);
  const size_t count = limit == 0 ? left : std::min(limit, left);
  const auto begin = list.objects->begin() + static_cast<ptrdiff_t>(*position);
  Json metadata = {{"resourceVersion", std::to_string(list.version)}};
  if (count < left) {
    metadata["continue"] = fmt::format("{}.{}", list.id, *position + count);
    if (!list.filtered) metadata["remainingItemCount"] = left - count;
  }
  return Ok(ListText(request, kind,
                     std::vector<ObjectPtr>(begin, begin + static_cast<ptrdiff_t>(count)),
                     metadata.dump()));
}

std::string Api::ListText(const ApiRequest& request, const Kind& kind,
                          const std::vector<ObjectPtr>& objects, std::string_view metadata) const {
  const View view = ViewOf(request.accept, request.Query("includeObject"));
  if (view.table) return TableText(kind, objects, metadata, view, true, cluster_.Now());
  size_t size = 200;
  for (const ObjectPtr& object : objects) size += object->body.size() + 60;
  std::string out;
  out.reserve(size);
  out += fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":{},"items":[)", kind.kind,
                     kind.ApiVersion(), metadata);
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i > 0) out += ',';
    if (kind.custom) {
      AppendFullText(kind, *objects[i], out);
    } else {
      out += objects[i]->body;
    }
  }
  out += "]}";
  return out;
}

std::string Api::ObjectText(const ApiRequest& request, const Kind& kind,
                            const ObjectPtr& object) const {
  const View view = ViewOf(request.accept, request.Query("includeObject"));
  if (!view.table) return FullText(kind, *object);
  const std::string metadata = fmt::format(R"({{"resourceVersion":"{}"}})", object->version);
  return TableText(kind, std::span(&object, 1), metadata, view, true, cluster_.Now());
}

}  // namespace neap::playground
