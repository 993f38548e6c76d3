#include "scalers/kubernetes-metrics/cluster.h"

#include <cstdlib>
#include <tuple>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"
#include "scalers/sdk/gather.h"

namespace neap::scalers::kubernetes_metrics {
namespace {

constexpr size_t kAtATime = 16;
constexpr absl::Duration kKeepVersion = absl::Seconds(30);
// How api::ApiError begins a message of its own, where the server sent no Status.
constexpr std::string_view kOwnWords = "the server answered ";

// Upstream's words for an HTTP code without a Status.
std::string_view WordsOf(int code) {
  switch (code) {
    case 401:
      return "the server has asked for the client to provide credentials";
    case 404:
      return "the server could not find the requested resource";
    case 405:
      return "the server does not allow this method on the requested resource";
    case 429:
      return "the server has received too many requests and has asked us to try again later";
    case 503:
      return "the server is currently unable to handle the request";
    case 504:
      return "the server was unable to return a response in the time allotted, but may still be "
             "processing the request";
    default:
      return "";
  }
}

// The same status with another text.
absl::Status WithText(const absl::Status& status, const std::string& text) {
  return absl::Status(status.code(), text);
}

bool IsKnownVersion(std::string_view version) {
  return version == "v1beta2" || version == "v1beta1";
}

}  // namespace

std::string UpstreamText(const absl::Status& status, std::string_view asked) {
  const auto error = kube::api::ApiErrorOf(status);
  if (!error) return std::string(base::Message(status));
  if (!error->message.starts_with(kOwnWords)) return error->message;
  const std::string_view words = WordsOf(error->code);
  if (!words.empty()) return fmt::format("{} (get {})", words, asked);
  if (error->code < 500) return fmt::format("{} (get {})", error->message, asked);
  // What it said, without the frame of our own.
  const size_t colon = error->message.find("): ");
  const std::string said =
      colon == std::string::npos ? std::string() : error->message.substr(colon + 3);
  return fmt::format(
      "an error on the server (\"{}\") has prevented the request from succeeding (get {})", said,
      asked);
}

absl::StatusOr<std::shared_ptr<Cluster>> Cluster::Connect(http::Client& http) {
  const auto env = [](const char* name, const std::string& otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr || *text == '\0' ? otherwise : std::string(text);
  };
  kube::api::InClusterFiles pod;
  pod.token = env("NEAP_TOKEN_FILE", pod.token);
  pod.ca = env("NEAP_CA_FILE", pod.ca);
  absl::StatusOr<kube::api::ClusterConfig> config =
      kube::api::FindConfig(env("NEAP_KUBECONFIG", ""), "", pod);
  if (!config.ok()) {
    return base::Unavailable("no way to the Kubernetes API: {}", base::Message(config.status()));
  }
  return std::shared_ptr<Cluster>(new Cluster(http, *std::move(config)));
}

std::vector<absl::StatusOr<std::string>> Cluster::Ask(sdk::ReadContext& context,
                                                      const std::vector<Question>& questions) {
  std::vector<absl::StatusOr<kube::api::Reply>> replies = sdk::GatherAll<kube::api::Reply>(
      context, questions.size(), kAtATime,
      [&](size_t i, std::function<void(absl::StatusOr<kube::api::Reply>)> done) {
        return client_.Send({.path = questions[i].path,
                             .query = questions[i].query,
                             .timeout = context.remaining()},
                            std::move(done));
      });
  std::vector<absl::StatusOr<std::string>> out;
  for (size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].ok()) {
      out.emplace_back(std::move(replies[i]->body));
    } else {
      out.emplace_back(
          WithText(replies[i].status(), UpstreamText(replies[i].status(), questions[i].asked)));
    }
  }
  return out;
}

absl::StatusOr<std::string> Cluster::CustomMetricsVersion(sdk::ReadContext& context) {
  {
    base::MutexLock lock(mutex_);
    if (clock_.Elapsed() < version_until_) return version_;
  }
  absl::StatusOr<std::string> body =
      Ask(context, {{.path = "/apis", .query = {}, .asked = "apis"}})[0];
  if (!body.ok()) return body.status();
  NEAP_ASSIGN_OR_RETURN(const value::Value list, value::ParseJson(*body, "/apis"));
  std::string found;
  if (const value::Value* groups = list.Get("groups"); groups != nullptr && groups->is_list()) {
    for (const value::Value& group : groups->list()) {
      if (group.StringAt("name") != kCustomApi) continue;
      const std::string_view preferred = group.StringAt("preferredVersion.version");
      if (IsKnownVersion(preferred)) found = std::string(preferred);
      const value::Value* versions = group.Get("versions");
      if (!found.empty() || versions == nullptr || !versions->is_list()) continue;
      for (const value::Value& entry : versions->list()) {
        if (found.empty() && IsKnownVersion(entry.StringAt("version"))) {
          found = std::string(entry.StringAt("version"));
        }
      }
    }
  }
  if (found.empty()) return base::NotFound("no known available metric versions found");
  base::MutexLock lock(mutex_);
  version_ = found;
  version_until_ = clock_.Elapsed() + kKeepVersion;
  return found;
}

std::vector<absl::StatusOr<std::string>> Cluster::ResourcesOf(sdk::ReadContext& context,
                                                              const std::vector<Kind>& kinds) {
  std::vector<absl::StatusOr<kube::api::Resource>> found = sdk::GatherAll<kube::api::Resource>(
      context, kinds.size(), kAtATime,
      [&](size_t i, std::function<void(absl::StatusOr<kube::api::Resource>)> done) -> http::Id {
        discovery_.Find(kinds[i].first, kinds[i].second, std::move(done));
        return 0;
      });
  std::vector<absl::StatusOr<std::string>> out;
  for (const absl::StatusOr<kube::api::Resource>& resource : found) {
    if (!resource.ok()) {
      out.emplace_back(WithText(resource.status(), kube::api::ServerMessage(resource.status())));
    } else if (resource->group.empty()) {
      out.emplace_back(resource->plural);
    } else {
      out.emplace_back(resource->plural + "." + resource->group);
    }
  }
  return out;
}

}  // namespace neap::scalers::kubernetes_metrics
