#include "autoscaler/kube/api/config.h"

#include <absl/strings/escaping.h>
#include <absl/strings/string_view.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube::api {
namespace {

using value::Value;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return base::NotFound("{}: can't be read", path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string Trim(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && std::isspace(static_cast<unsigned char>(text[begin]))) ++begin;
  return text.substr(begin);
}

// One map of the file with the words to name it in errors.
class Section {
 public:
  Section(const Value& map, std::string source, std::string path)
      : map_(&map), source_(std::move(source)), path_(std::move(path)) {}

  template <typename... Args>
  absl::Status Error(const Value* at, std::string_view field, fmt::format_string<Args...> format,
                     Args&&... args) const {
    const int line = at != nullptr && at->line() > 0 ? at->line() : map_->line();
    return base::InvalidArgument("{}:{}: {}{}{}: {}", source_, line, path_,
                                 path_.empty() || field.empty() ? "" : ".", field,
                                 fmt::format(format, std::forward<Args>(args)...));
  }

  const Value* Get(std::string_view field) const {
    const Value* found = map_->Get(field);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
  absl::StatusOr<std::string> String(std::string_view field) const {
    const Value* found = Get(field);
    if (found == nullptr) return std::string();
    if (!found->is_string()) {
      return Error(found, field, "must be a string, not {}", value::KindName(found->kind()));
    }
    return found->AsString();
  }
  absl::StatusOr<bool> Bool(std::string_view field) const {
    const Value* found = Get(field);
    if (found == nullptr) return false;
    if (found->kind() != value::Kind::kBool) {
      return Error(found, field, "must be true or false, not {}", value::KindName(found->kind()));
    }
    return found->AsBool();
  }
  // base64 text, decoded.
  absl::StatusOr<std::string> Data(std::string_view field) const {
    NEAP_ASSIGN_OR_RETURN(const std::string encoded, String(field));
    std::string decoded;
    if (!absl::Base64Unescape(absl::string_view(encoded.data(), encoded.size()), &decoded)) {
      return Error(Get(field), field, "is not base64");
    }
    return decoded;
  }
  const Value& map() const { return *map_; }

 private:
  const Value* map_;
  std::string source_;
  std::string path_;
};

// The entry `name` of the list `list` ("clusters"), its part `part` ("cluster").
absl::StatusOr<Section> Named(const Section& file, const std::string& source,
                              const std::string& list, const std::string& part,
                              const std::string& name) {
  const Value* entries = file.Get(list);
  if (entries == nullptr || !entries->is_list()) {
    return file.Error(entries, list, "a list is needed to look up \"{}\"", name);
  }
  for (const Value& entry : entries->list()) {
    if (entry.StringAt("name") != name) continue;
    const std::string path = fmt::format("{}[{}].{}", list, name, part);
    const Value* found = entry.Get(part);
    if (found == nullptr || found->is_null()) {
      static const Value kEmpty = Value::Map({});
      return Section(kEmpty, source, path);
    }
    if (!found->is_map()) return file.Error(found, path, "must be a map");
    return Section(*found, source, path);
  }
  return file.Error(entries, list, "has no entry named \"{}\"", name);
}

// A file that the config names must be there now: later a failing handshake would not say which.
absl::StatusOr<std::string> ExistingFile(const Section& section, std::string_view field,
                                         const std::string& folder) {
  NEAP_ASSIGN_OR_RETURN(const std::string given, section.String(field));
  if (given.empty()) return given;
  const std::string path =
      (std::filesystem::path(folder) / given).lexically_normal().string();  // absolute ones stay
  if (!std::ifstream(path)) {
    return section.Error(section.Get(field), field, "{} can't be read", path);
  }
  return path;
}

absl::Status ReadCluster(const Section& cluster, const std::string& folder, ClusterConfig* config) {
  NEAP_ASSIGN_OR_RETURN(config->server, cluster.String("server"));
  while (config->server.ends_with('/')) config->server.pop_back();
  if (!config->server.starts_with("https://") && !config->server.starts_with("http://")) {
    return cluster.Error(cluster.Get("server"), "server",
                         "must begin with https:// or http://, it is \"{}\"", config->server);
  }
  NEAP_ASSIGN_OR_RETURN(config->tls.insecure, cluster.Bool("insecure-skip-tls-verify"));
  NEAP_ASSIGN_OR_RETURN(config->tls.ca_file,
                        ExistingFile(cluster, "certificate-authority", folder));
  NEAP_ASSIGN_OR_RETURN(config->tls.ca_pem, cluster.Data("certificate-authority-data"));
  NEAP_ASSIGN_OR_RETURN(config->tls.server_name, cluster.String("tls-server-name"));
  if (config->tls.insecure && (!config->tls.ca_file.empty() || !config->tls.ca_pem.empty())) {
    return cluster.Error(cluster.Get("insecure-skip-tls-verify"), "insecure-skip-tls-verify",
                         "can't be true where a certificate-authority is given");
  }
  NEAP_ASSIGN_OR_RETURN(const std::string proxy, cluster.String("proxy-url"));
  if (!proxy.empty()) config->proxy = proxy;
  return absl::OkStatus();
}

absl::Status ReadUser(const Section& user, const std::string& folder, ClusterConfig* config) {
  for (const char* field : {"exec", "auth-provider"}) {
    if (const Value* plugin = user.Get(field)) {
      return user.Error(plugin, field,
                        "credential plugins are not supported: use a token, a tokenFile or a "
                        "client certificate");
    }
  }
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (const Value* as = user.Get(field)) {
      return user.Error(as, field, "impersonation is not supported");
    }
  }
  NEAP_ASSIGN_OR_RETURN(config->token, user.String("token"));
  NEAP_ASSIGN_OR_RETURN(config->token_file, ExistingFile(user, "tokenFile", folder));
  NEAP_ASSIGN_OR_RETURN(config->username, user.String("username"));
  NEAP_ASSIGN_OR_RETURN(config->password, user.String("password"));
  NEAP_ASSIGN_OR_RETURN(config->tls.cert_file, ExistingFile(user, "client-certificate", folder));
  NEAP_ASSIGN_OR_RETURN(config->tls.cert_pem, user.Data("client-certificate-data"));
  NEAP_ASSIGN_OR_RETURN(config->tls.key_file, ExistingFile(user, "client-key", folder));
  NEAP_ASSIGN_OR_RETURN(config->tls.key_pem, user.Data("client-key-data"));
  const bool cert = !config->tls.cert_file.empty() || !config->tls.cert_pem.empty();
  const bool key = !config->tls.key_file.empty() || !config->tls.key_pem.empty();
  if (cert != key) {
    return user.Error(nullptr, cert ? "client-key" : "client-certificate",
                      "is missing: certificate and key belong together");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClusterConfig> ParseKubeconfig(std::string_view text, const std::string& source,
                                              const std::string& folder,
                                              std::string_view context_name) {
  NEAP_ASSIGN_OR_RETURN(const std::vector<Value> documents, value::ParseYaml(text, source));
  if (documents.size() != 1 || !documents[0].is_map()) {
    return base::InvalidArgument("{}: a kubeconfig is one YAML map", source);
  }
  const Section file(documents[0], source, "");
  std::string name(context_name);
  if (name.empty()) {
    NEAP_ASSIGN_OR_RETURN(name, file.String("current-context"));
    if (name.empty())
      return file.Error(nullptr, "current-context", "is missing, and no context is named");
  }
  NEAP_ASSIGN_OR_RETURN(const Section context, Named(file, source, "contexts", "context", name));
  ClusterConfig config{.origin = source,
                       .server = {},
                       .tls = {},
                       .proxy = std::nullopt,
                       .token = {},
                       .token_file = {},
                       .username = {},
                       .password = {},
                       .ns = {}};
  NEAP_ASSIGN_OR_RETURN(const std::string cluster_name, context.String("cluster"));
  if (cluster_name.empty()) return context.Error(nullptr, "cluster", "is missing");
  NEAP_ASSIGN_OR_RETURN(const Section cluster,
                        Named(file, source, "clusters", "cluster", cluster_name));
  NEAP_RETURN_IF_ERROR(ReadCluster(cluster, folder, &config));
  NEAP_ASSIGN_OR_RETURN(const std::string user_name, context.String("user"));
  if (!user_name.empty()) {
    NEAP_ASSIGN_OR_RETURN(const Section user, Named(file, source, "users", "user", user_name));
    NEAP_RETURN_IF_ERROR(ReadUser(user, folder, &config));
  }
  NEAP_ASSIGN_OR_RETURN(config.ns, context.String("namespace"));
  if (config.ns.empty()) config.ns = "default";
  return config;
}

absl::StatusOr<ClusterConfig> LoadKubeconfig(const std::string& path, std::string_view context) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return ParseKubeconfig(text, path, folder.empty() ? "." : folder, context);
}

absl::StatusOr<ClusterConfig> InClusterConfig(const std::string& host, const std::string& port,
                                              const std::string& folder) {
  if (host.empty() || port.empty()) {
    return base::NotFound(
        "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set");
  }
  const bool ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  ClusterConfig config{
      .origin = "in-cluster",
      .server = fmt::format("https://{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port),
      .tls = {},
      .proxy = std::nullopt,
      .token = {},
      .token_file = folder + "/token",
      .username = {},
      .password = {},
      .ns = {}};
  config.tls.ca_file = folder + "/ca.crt";
  for (const std::string& path : {config.token_file, config.tls.ca_file}) {
    const auto text = ReadFile(path);
    if (!text.ok()) return base::Annotate(text.status(), "in-cluster");
    if (Trim(*text).empty()) return base::InvalidArgument("in-cluster: {} is empty", path);
  }
  if (const auto ns = ReadFile(folder + "/namespace"); ns.ok()) config.ns = Trim(*ns);
  if (config.ns.empty()) config.ns = "default";
  return config;
}

absl::StatusOr<ClusterConfig> FindConfig(const std::string& kubeconfig_flag,
                                         std::string_view context) {
  if (!kubeconfig_flag.empty()) return LoadKubeconfig(kubeconfig_flag, context);
  const auto env = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text != nullptr ? text : "");
  };
  if (const std::string host = env("KUBERNETES_SERVICE_HOST"); !host.empty()) {
    return InClusterConfig(host, env("KUBERNETES_SERVICE_PORT"));
  }
  if (const std::string path = env("KUBECONFIG"); !path.empty()) {
    if (path.find(':') != std::string::npos) {
      return base::InvalidArgument(
          "KUBECONFIG names several files ({}): name one, they are not merged", path);
    }
    return LoadKubeconfig(path, context);
  }
  const std::string home = env("HOME") + "/.kube/config";
  if (std::ifstream(home)) return LoadKubeconfig(home, context);
  return base::NotFound(
      "no API server is known: not in a pod, KUBECONFIG is not set and {} does not exist", home);
}

}  // namespace neap::kube::api
