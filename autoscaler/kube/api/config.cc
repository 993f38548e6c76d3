#include "autoscaler/kube/api/config.h"

#include <absl/strings/escaping.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube::api {
namespace {

using value::Value;

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
  absl::StatusOr<std::vector<std::string>> Strings(std::string_view field) const {
    const Value* found = Get(field);
    if (found == nullptr) return std::vector<std::string>();
    return StringsOf(*found, field);
  }
  absl::StatusOr<std::vector<std::string>> StringsOf(const Value& list,
                                                     std::string_view field) const {
    if (!list.is_list()) {
      return Error(&list, field, "must be a list of strings, not {}", value::KindName(list.kind()));
    }
    std::vector<std::string> out;
    for (const Value& one : list.list()) {
      if (!one.is_string()) {
        return Error(&one, field, "must be a list of strings; one is {}",
                     value::KindName(one.kind()));
      }
      out.push_back(one.AsString());
    }
    return out;
  }
  Section Sub(std::string_view field, const Value& map) const {
    return Section(map, source_, fmt::format("{}.{}", path_, field));
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

 private:
  const Value* map_;
  std::string source_;
  std::string path_;
};

// One kubeconfig file.
struct File {
  Value root;
  std::string source;
  std::string folder;  // relative paths in it begin here
};
using Files = std::vector<File>;

std::string SourceOf(const Files& files) {
  std::string out;
  for (const File& file : files) out += (out.empty() ? "" : ":") + file.source;
  return out;
}

struct Entry {
  Section section;
  std::string folder;
};

// The entry `name` of the list `list` ("clusters"), its part `part` ("cluster"), of the first file
// that has one.
absl::StatusOr<Entry> Named(const Files& files, const std::string& list, const std::string& part,
                            const std::string& name) {
  const Value* last = nullptr;
  for (const File& file : files) {
    const Section root(file.root, file.source, "");
    const Value* entries = root.Get(list);
    if (entries == nullptr) continue;
    if (!entries->is_list()) {
      return root.Error(entries, list, "must be a list, not {}", value::KindName(entries->kind()));
    }
    last = entries;
    for (const Value& entry : entries->list()) {
      if (entry.StringAt("name") != name) continue;
      const std::string path = fmt::format("{}[{}].{}", list, name, part);
      const Value* found = entry.Get(part);
      if (found == nullptr || found->is_null()) {
        static const Value kEmpty = Value::Map({});
        return Entry{Section(kEmpty, file.source, path), file.folder};
      }
      if (!found->is_map()) return root.Error(found, path, "must be a map");
      return Entry{Section(*found, file.source, path), file.folder};
    }
  }
  if (files.size() > 1) {
    return base::InvalidArgument("{}: {}: no file has an entry named \"{}\"", SourceOf(files), list,
                                 name);
  }
  const Section root(files[0].root, files[0].source, "");
  if (last == nullptr) {
    return root.Error(nullptr, list, "a list is needed to look up \"{}\"", name);
  }
  return root.Error(last, list, "has no entry named \"{}\"", name);
}

// A file that the config names must be there now: later a failing handshake would not say which.
absl::StatusOr<std::string> ExistingFile(const Section& section, std::string_view field,
                                         const std::string& folder) {
  NEAP_ASSIGN_OR_RETURN(const std::string given, section.String(field));
  if (given.empty()) return given;
  const std::string path =
      (std::filesystem::path(folder) / given).lexically_normal().string();  // absolute ones stay
  if (!base::ReadFile(path).ok()) {
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
  if (proxy.empty()) return absl::OkStatus();
  static constexpr std::array<std::string_view, 4> kSchemes = {"http://", "https://", "socks5://",
                                                               "socks5h://"};
  if (std::ranges::none_of(kSchemes, [&](std::string_view s) { return proxy.starts_with(s); })) {
    return cluster.Error(cluster.Get("proxy-url"), "proxy-url",
                         "must begin with http://, https:// or socks5://, it is \"{}\"",
                         http::RedactedUrl(proxy));
  }
  config->proxy = proxy;
  return absl::OkStatus();
}

constexpr std::string_view kExecGroup = "client.authentication.k8s.io/";

absl::StatusOr<ExecPlugin> ReadExec(const Section& exec, const std::string& folder) {
  ExecPlugin out;
  NEAP_ASSIGN_OR_RETURN(out.api_version, exec.String("apiVersion"));
  if (out.api_version != std::string(kExecGroup) + "v1" &&
      out.api_version != std::string(kExecGroup) + "v1beta1") {
    return exec.Error(exec.Get("apiVersion"), "apiVersion",
                      "must be client.authentication.k8s.io/v1 or v1beta1, it is \"{}\"",
                      out.api_version);
  }
  NEAP_ASSIGN_OR_RETURN(out.command, exec.String("command"));
  if (out.command.empty()) return exec.Error(exec.Get("command"), "command", "is missing");
  if (out.command.find('/') != std::string::npos) {
    out.command = (std::filesystem::path(folder) / out.command).lexically_normal().string();
  }
  NEAP_ASSIGN_OR_RETURN(out.args, exec.Strings("args"));
  if (const Value* env = exec.Get("env")) {
    if (!env->is_list()) return exec.Error(env, "env", "must be a list of name and value");
    for (const Value& one : env->list()) {
      const std::string name(one.StringAt("name"));
      const Value* text = one.Get("value");
      if (name.empty() || name.find('=') != std::string::npos ||
          (text != nullptr && !text->is_string())) {
        return exec.Error(&one, "env", "each needs a name and a value, both strings");
      }
      out.env.emplace_back(name, text == nullptr ? "" : text->AsString());
    }
  }
  NEAP_ASSIGN_OR_RETURN(out.install_hint, exec.String("installHint"));
  NEAP_ASSIGN_OR_RETURN(out.provide_cluster_info, exec.Bool("provideClusterInfo"));
  NEAP_ASSIGN_OR_RETURN(const std::string mode, exec.String("interactiveMode"));
  if (mode == "Always") {
    return exec.Error(exec.Get("interactiveMode"), "interactiveMode",
                      "Always: {} wants a terminal, and there is none here", out.command);
  }
  const bool may_be_missing = out.api_version.ends_with("v1beta1");
  if (mode != "Never" && mode != "IfAvailable" && !(mode.empty() && may_be_missing)) {
    return exec.Error(exec.Get("interactiveMode"), "interactiveMode",
                      "must be Never, IfAvailable or Always, it is \"{}\"", mode);
  }
  return out;
}

absl::Status ReadImpersonation(const Section& user, Impersonation* out) {
  NEAP_ASSIGN_OR_RETURN(out->user, user.String("as"));
  NEAP_ASSIGN_OR_RETURN(out->uid, user.String("as-uid"));
  NEAP_ASSIGN_OR_RETURN(out->groups, user.Strings("as-groups"));
  if (const Value* extra = user.Get("as-user-extra")) {
    if (!extra->is_map()) return user.Error(extra, "as-user-extra", "must be a map of lists");
    for (const auto& [key, list] : extra->map()) {
      NEAP_ASSIGN_OR_RETURN(auto values, user.StringsOf(list, "as-user-extra." + key));
      out->extra.emplace_back(key, std::move(values));
    }
  }
  if (out->user.empty() && (!out->uid.empty() || !out->groups.empty() || !out->extra.empty())) {
    return user.Error(nullptr, "as",
                      "is missing, where as-uid, as-groups or as-user-extra is given");
  }
  return absl::OkStatus();
}

absl::Status ReadUser(const Section& user, const std::string& folder, ClusterConfig* config) {
  if (const Value* provider = user.Get("auth-provider")) {
    return user.Error(provider, "auth-provider",
                      "is not supported (nor by kubectl any more): use an exec plugin, a token, a "
                      "tokenFile or a client certificate");
  }
  NEAP_RETURN_IF_ERROR(ReadImpersonation(user, &config->impersonate));
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
  if (const Value* exec = user.Get("exec")) {
    if (!exec->is_map()) return user.Error(exec, "exec", "must be a map");
    NEAP_ASSIGN_OR_RETURN(ExecPlugin plugin, ReadExec(user.Sub("exec", *exec), folder));
    const bool needless =
        !config->token.empty() || !config->token_file.empty() || !config->username.empty();
    if (!needless) config->exec = std::move(plugin);  // as kubectl: what is written down wins
  }
  return absl::OkStatus();
}

// clusters[].cluster.extensions, the entry that is for exec plugins: its value as JSON.
std::string ExecExtension(const Section& cluster) {
  const Value* list = cluster.Get("extensions");
  if (list == nullptr || !list->is_list()) return {};
  for (const Value& one : list->list()) {
    const Value* extension = one.Get("extension");
    if (one.StringAt("name") == "client.authentication.k8s.io/exec" && extension != nullptr) {
      return value::ToJson(*extension);
    }
  }
  return {};
}

absl::Status Fill(const Files& files, ClusterConfig* config) {
  NEAP_ASSIGN_OR_RETURN(const Entry context, Named(files, "contexts", "context", config->context));
  NEAP_ASSIGN_OR_RETURN(config->cluster, context.section.String("cluster"));
  NEAP_ASSIGN_OR_RETURN(config->user, context.section.String("user"));
  NEAP_ASSIGN_OR_RETURN(config->ns, context.section.String("namespace"));
  if (config->ns.empty()) config->ns = "default";
  if (config->cluster.empty()) {
    return context.section.Error(nullptr, "cluster", "is missing");
  }
  NEAP_ASSIGN_OR_RETURN(const Entry cluster, Named(files, "clusters", "cluster", config->cluster));
  NEAP_RETURN_IF_ERROR(ReadCluster(cluster.section, cluster.folder, config));
  if (config->user.empty()) return absl::OkStatus();
  NEAP_ASSIGN_OR_RETURN(const Entry user, Named(files, "users", "user", config->user));
  NEAP_RETURN_IF_ERROR(ReadUser(user.section, user.folder, config));
  if (config->exec) config->exec->cluster_extension = ExecExtension(cluster.section);
  return absl::OkStatus();
}

// `context "prod", cluster "east", user "bob"`: those that are known.
std::string Names(const ClusterConfig& config) {
  std::string out;
  const auto add = [&](std::string_view what, const std::string& name) {
    if (!name.empty()) out += fmt::format("{}{} \"{}\"", out.empty() ? "" : ", ", what, name);
  };
  add("context", config.context);
  add("cluster", config.cluster);
  add("user", config.user);
  return out;
}

absl::StatusOr<File> ParseFile(std::string_view text, const std::string& source,
                               const std::string& folder) {
  NEAP_ASSIGN_OR_RETURN(std::vector<Value> documents, value::ParseYaml(text, source));
  if (documents.size() != 1 || !documents[0].is_map()) {
    return base::InvalidArgument("{}: a kubeconfig is one YAML map", source);
  }
  return File{.root = std::move(documents[0]), .source = source, .folder = folder};
}

absl::StatusOr<File> LoadFile(const std::string& path) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return ParseFile(text, path, folder.empty() ? "." : folder);
}

absl::StatusOr<ClusterConfig> ConfigOf(const Files& files, std::string_view context) {
  ClusterConfig config{.origin = SourceOf(files), .context = std::string(context)};
  for (const File& file : files) {
    if (!config.context.empty()) break;
    NEAP_ASSIGN_OR_RETURN(config.context,
                          Section(file.root, file.source, "").String("current-context"));
  }
  if (config.context.empty()) {
    return Section(files[0].root, config.origin, "")
        .Error(nullptr, "current-context", "is missing, and no context is named");
  }
  if (absl::Status filled = Fill(files, &config); !filled.ok()) {
    return absl::Status(filled.code(),
                        fmt::format("{} ({})", base::Message(filled), Names(config)));
  }
  return config;
}

}  // namespace

std::string Describe(const ClusterConfig& config) {
  if (config.context.empty()) return config.origin;
  return fmt::format("{} of {}", Names(config), config.origin);
}

absl::StatusOr<ClusterConfig> ParseKubeconfig(std::string_view text, const std::string& source,
                                              const std::string& folder, std::string_view context) {
  NEAP_ASSIGN_OR_RETURN(File file, ParseFile(text, source, folder));
  Files files;
  files.push_back(std::move(file));
  return ConfigOf(files, context);
}

absl::StatusOr<ClusterConfig> LoadKubeconfig(const std::string& path, std::string_view context) {
  NEAP_ASSIGN_OR_RETURN(File file, LoadFile(path));
  Files files;
  files.push_back(std::move(file));
  return ConfigOf(files, context);
}

absl::StatusOr<ClusterConfig> LoadKubeconfigs(const std::vector<std::string>& paths,
                                              std::string_view context) {
  Files files;
  std::string named;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    named += (named.empty() ? "" : ":") + path;
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    NEAP_ASSIGN_OR_RETURN(File file, LoadFile(path));
    files.push_back(std::move(file));
  }
  if (files.empty()) return base::NotFound("{}: no such kubeconfig file", named);
  return ConfigOf(files, context);
}

absl::StatusOr<ClusterConfig> InClusterConfig(const std::string& host, const std::string& port,
                                              const InClusterFiles& files) {
  if (host.empty() || port.empty()) {
    return base::NotFound(
        "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set");
  }
  const bool ipv6 = host.find(':') != std::string::npos && host.front() != '[';
  ClusterConfig config{
      .origin = "in-cluster",
      .server = fmt::format("https://{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port),
      .tls = {.ca_file = files.ca},
      .token_file = files.token};
  for (const std::string& path : {config.token_file, config.tls.ca_file}) {
    const auto text = base::ReadFile(path);
    if (!text.ok()) return base::Annotate(text.status(), "in-cluster");
    if (Trim(*text).empty()) return base::InvalidArgument("in-cluster: {} is empty", path);
  }
  if (const auto ns = base::ReadFile(files.ns); ns.ok()) config.ns = Trim(*ns);
  if (config.ns.empty()) config.ns = "default";
  return config;
}

absl::StatusOr<ClusterConfig> FindConfig(const std::string& kubeconfig_flag,
                                         std::string_view context, const InClusterFiles& pod) {
  if (!kubeconfig_flag.empty()) return LoadKubeconfig(kubeconfig_flag, context);
  const auto env = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text != nullptr ? text : "");
  };
  const std::string host = env("KUBERNETES_SERVICE_HOST");
  if (!host.empty() && context.empty()) {
    return InClusterConfig(host, env("KUBERNETES_SERVICE_PORT"), pod);
  }
  if (const std::string list = env("KUBECONFIG"); !list.empty()) {
    std::vector<std::string> paths;
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(':', begin), list.size());
      paths.push_back(list.substr(begin, end - begin));
      begin = end + 1;
    }
    auto config = LoadKubeconfigs(paths, context);
    if (absl::IsNotFound(config.status())) return base::Annotate(config.status(), "KUBECONFIG");
    return config;
  }
  const std::string home = env("HOME") + "/.kube/config";
  std::error_code ignored;
  if (std::filesystem::exists(home, ignored)) return LoadKubeconfig(home, context);
  return base::NotFound(
      "no API server is known: not in a pod, KUBECONFIG is not set and {} does not exist", home);
}

}  // namespace neap::kube::api
