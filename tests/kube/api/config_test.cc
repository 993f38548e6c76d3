// Kubeconfig files and a pod's credentials: every form, and errors that name file, line and field.
#include "autoscaler/kube/api/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "autoscaler/base/status.h"
#include "tests/support/process.h"

namespace neap::kube::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::TempDir;

std::string Text(const absl::Status& status) { return std::string(base::Message(status)); }

// A kubeconfig with one context; each part is the content of a flow map.
std::string Kubeconfig(const std::string& cluster, const std::string& user,
                       const std::string& context = "cluster: prod, user: bob") {
  return "apiVersion: v1\nkind: Config\ncurrent-context: main\n"
         "contexts:\n- {name: main, context: {" +
         context +
         "}}\n"
         "clusters:\n- {name: prod, cluster: {" +
         cluster +
         "}}\n"
         "users:\n- {name: bob, user: {" +
         user + "}}\n";
}
constexpr char kServer[] = "server: 'https://10.0.0.1:6443/'";

// A plugin of the v1 contract with these further fields.
std::string Exec(const std::string& fields) {
  return "exec: {apiVersion: client.authentication.k8s.io/v1, " + fields + "}";
}

absl::StatusOr<ClusterConfig> Parse(const std::string& text, const std::string& folder = "/x",
                                    std::string_view context = "") {
  return ParseKubeconfig(text, "config", folder, context);
}

TEST(Config, TokenAndAuthorityAsData) {
  const auto config = Parse(
      Kubeconfig(std::string(kServer) + ", certificate-authority-data: UEVN, tls-server-name: k8s, "
                                        "proxy-url: 'http://p:1'",
                 "token: s3cret", "cluster: prod, user: bob, namespace: shop"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->origin, "config");
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->tls.ca_pem, "PEM");
  EXPECT_EQ(config->tls.server_name, "k8s");
  EXPECT_EQ(config->proxy, "http://p:1");
  EXPECT_EQ(config->token, "s3cret");
  EXPECT_EQ(config->ns, "shop");
}

TEST(Config, FilesAreRelativeToTheKubeconfig) {
  TempDir dir;
  dir.Write("ca.crt", "ca");
  dir.Write("me.crt", "cert");
  dir.Write("me.key", "key");
  dir.Write("token", "t");
  const std::string path = dir.Write(
      "config", Kubeconfig(std::string(kServer) + ", certificate-authority: ca.crt",
                           "client-certificate: me.crt, client-key: ./me.key, tokenFile: token"));
  const auto config = LoadKubeconfig(path);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tls.ca_file, dir.path() + "/ca.crt");
  EXPECT_EQ(config->tls.cert_file, dir.path() + "/me.crt");
  EXPECT_EQ(config->tls.key_file, dir.path() + "/me.key");
  EXPECT_EQ(config->token_file, dir.path() + "/token");
  EXPECT_EQ(config->ns, "default");
}

TEST(Config, ClientCertificateAsDataAndBasicAuthentication) {
  const auto certificate =
      Parse(Kubeconfig(kServer, "client-certificate-data: Q0VSVA==, client-key-data: S0VZ"));
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->tls.cert_pem, "CERT");
  EXPECT_EQ(certificate->tls.key_pem, "KEY");
  const auto basic = Parse(Kubeconfig(kServer, "username: bob, password: pw"));
  ASSERT_TRUE(basic.ok()) << basic.status();
  EXPECT_EQ(basic->username, "bob");
  EXPECT_EQ(basic->password, "pw");
}

TEST(Config, AContextByName) {
  const std::string text =
      "contexts:\n- {name: a, context: {cluster: ca}}\n- {name: b, context: {cluster: cb}}\n"
      "clusters:\n- {name: ca, cluster: {server: 'http://a'}}\n"
      "- {name: cb, cluster: {server: 'http://b'}}\n";
  const auto b = Parse(text, "/x", "b");
  ASSERT_TRUE(b.ok()) << b.status();
  EXPECT_EQ(b->server, "http://b");
  EXPECT_THAT(Text(Parse(text).status()), HasSubstr("current-context: is missing"));
}

TEST(Config, ErrorsNameFileLineContextClusterAndUser) {
  const struct {
    std::string text;
    std::string error;
  } cases[] = {
      {"[1", "config:"},
      {"- a", "config: a kubeconfig is one YAML map"},
      {"{}", "config:1: current-context: is missing, and no context is named"},
      {"current-context: main\ncontexts: 3\n", "config:2: contexts: must be a list, not integer"},
      {"current-context: main\n", "config:1: contexts: a list is needed to look up \"main\""},
      {"current-context: gone\ncontexts: [{name: main}]\n",
       "config:2: contexts: has no entry named \"gone\""},
      {Kubeconfig(kServer, "", "user: bob"),
       "config:5: contexts[main].context.cluster: is missing"},
      {Kubeconfig(kServer, "", "cluster: dev"), "config:6: clusters: has no entry named \"dev\""},
      {Kubeconfig(kServer, "", "cluster: prod, user: eve"),
       "config:8: users: has no entry named \"eve\""},
      {Kubeconfig("server: 10.0.0.1", ""),
       "config:7: clusters[prod].cluster.server: must begin with https:// or http://, it is "
       "\"10.0.0.1\""},
      {Kubeconfig("server: [1]", ""), "config:7: clusters[prod].cluster.server: must be a string"},
      {Kubeconfig(std::string(kServer) + ", certificate-authority-data: '%'", ""),
       "config:7: clusters[prod].cluster.certificate-authority-data: is not base64"},
      {Kubeconfig(std::string(kServer) + ", certificate-authority: gone.crt", ""),
       "config:7: clusters[prod].cluster.certificate-authority: /x/gone.crt can't be read"},
      {Kubeconfig(std::string(kServer) +
                      ", insecure-skip-tls-verify: true, certificate-authority-data: UEVN",
                  ""),
       "config:7: clusters[prod].cluster.insecure-skip-tls-verify: can't be true where"},
      {Kubeconfig(std::string(kServer) + ", proxy-url: 'ftp://me:secret@p'", ""),
       "config:7: clusters[prod].cluster.proxy-url: must begin with http://, https:// or "
       "socks5://, "
       "it is \"ftp://p\""},
      {Kubeconfig(kServer, "auth-provider: {name: gcp}"),
       "config:9: users[bob].user.auth-provider: is not supported"},
      {Kubeconfig(kServer, "token: [1]"), "config:9: users[bob].user.token: must be a string"},
      {Kubeconfig(kServer, "tokenFile: gone"), "users[bob].user.tokenFile: /x/gone can't be read"},
      {Kubeconfig(kServer, "as-groups: [a]"), "users[bob].user.as: is missing, where"},
      {Kubeconfig(kServer, "as: root, as-groups: wheel"),
       "users[bob].user.as-groups: must be a list of strings, not string"},
      {Kubeconfig(kServer, "exec: 3"), "config:9: users[bob].user.exec: must be a map"},
      {Kubeconfig(kServer, "exec: {command: aws}"), "users[bob].user.exec.apiVersion: must be"},
      {Kubeconfig(kServer,
                  "exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}"),
       "config:9: users[bob].user.exec.apiVersion: must be client.authentication.k8s.io/v1 or "
       "v1beta1, it is \"client.authentication.k8s.io/v1alpha1\""},
      {Kubeconfig(kServer, Exec("interactiveMode: Never")),
       "users[bob].user.exec.command: is missing"},
      {Kubeconfig(kServer, Exec("command: aws")), "users[bob].user.exec.interactiveMode: must be"},
      {Kubeconfig(kServer, Exec("command: aws, interactiveMode: Always")),
       "users[bob].user.exec.interactiveMode: Always: aws wants a terminal"},
      {Kubeconfig(kServer, Exec("command: aws, args: [1]")),
       "users[bob].user.exec.args: must be a list of strings; one is integer"},
      {Kubeconfig(kServer, Exec("command: aws, env: [{name: A=B, value: x}]")),
       "users[bob].user.exec.env: each needs a name and a value"},
      {Kubeconfig(kServer, "client-certificate-data: Q0VSVA=="),
       "users[bob].user.client-key: is missing: certificate and key belong together"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto config = Parse(c.text);
    ASSERT_FALSE(config.ok());
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << config.status();
    EXPECT_THAT(Text(config.status()), AllOf(StartsWith("config:"), HasSubstr(c.error)));
    if (c.error.find("clusters[prod]") != std::string::npos) {
      EXPECT_THAT(Text(config.status()), HasSubstr("(context \"main\", cluster \"prod\""));
    }
    if (c.error.find("users[bob]") != std::string::npos) {
      EXPECT_THAT(Text(config.status()),
                  HasSubstr("(context \"main\", cluster \"prod\", user \"bob\")"));
    }
  }
  const auto missing = LoadKubeconfig("/nowhere/config");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(Text(missing.status()), HasSubstr("/nowhere/config"));
}

TEST(Config, ACredentialPlugin) {
  TempDir dir;
  const auto config = Parse(
      Kubeconfig(
          std::string(kServer) +
              ", extensions: [{name: other, extension: 1}, {name: "
              "client.authentication.k8s.io/exec, extension: {audience: a, n: 2}}]",
          Exec("command: ./bin/aws, args: [eks, get-token], env: [{name: A, value: b}, {name: "
               "E}], installHint: get it, provideClusterInfo: true, interactiveMode: "
               "IfAvailable")),
      dir.path());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->exec, (ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                                      .command = dir.path() + "/bin/aws",
                                      .args = {"eks", "get-token"},
                                      .env = {{"A", "b"}, {"E", ""}},
                                      .install_hint = "get it",
                                      .provide_cluster_info = true,
                                      .cluster_extension = R"({"audience":"a","n":2})"}));
  // A name without a slash is for PATH; v1beta1 needs no interactiveMode.
  const auto beta = Parse(Kubeconfig(
      kServer, "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws}"));
  ASSERT_TRUE(beta.ok()) << beta.status();
  EXPECT_EQ(beta->exec->command, "aws");
  // What is written down wins, as with kubectl.
  const auto token = Parse(Kubeconfig(
      kServer, "token: t, exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws}"));
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->exec, std::nullopt);
}

TEST(Config, Impersonation) {
  const auto config = Parse(Kubeconfig(
      kServer,
      "token: t, as: ann, as-uid: u1, as-groups: [g1, g2], as-user-extra: {scopes: [a, b]}"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(
      config->impersonate,
      (Impersonation{
          .user = "ann", .uid = "u1", .groups = {"g1", "g2"}, .extra = {{"scopes", {"a", "b"}}}}));
}

TEST(Config, SaysWhoItIs) {
  EXPECT_EQ(Describe(*Parse(Kubeconfig(kServer, ""))),
            "context \"main\", cluster \"prod\", user \"bob\" of config");
  EXPECT_EQ(Describe(ClusterConfig{.origin = "in-cluster"}), "in-cluster");
  EXPECT_EQ(Describe(ClusterConfig()), "");
}

// kubectl's rule: the first file that has a name is right about all of it.
TEST(Config, SeveralFilesAreMerged) {
  TempDir a;
  TempDir b;
  b.Write("token", "from b");
  const std::string first = a.Write("config",
                                    "current-context: main\nclusters: [{name: prod, "
                                    "cluster: {server: 'http://first'}}]\n");
  const std::string second =
      b.Write("config",
              "current-context: other\n"
              "contexts: [{name: main, context: {cluster: prod, user: bob}}, "
              "{name: other, context: {cluster: dev}}]\n"
              "clusters: [{name: prod, cluster: {server: 'http://second', tls-server-name: x}}, "
              "{name: dev, cluster: {server: 'http://dev'}}]\n"
              "users: [{name: bob, user: {tokenFile: token}}]\n");
  const auto merged = LoadKubeconfigs({first, "/nowhere/config", "", second});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->server, "http://first");
  EXPECT_EQ(merged->tls.server_name, "");              // nothing of the second's "prod"
  EXPECT_EQ(merged->token_file, b.path() + "/token");  // relative to its own file
  EXPECT_EQ(merged->origin, first + ":" + second);
  EXPECT_EQ(LoadKubeconfigs({second, first})->server, "http://dev");  // its current-context
  EXPECT_EQ(LoadKubeconfigs({first, second}, "other")->server, "http://dev");
  const auto missing = LoadKubeconfigs({first, second}, "gone");
  EXPECT_EQ(
      Text(missing.status()),
      first + ":" + second + ": contexts: no file has an entry named \"gone\" (context \"gone\")");
  const auto none = LoadKubeconfigs({"/nowhere/a", "/nowhere/b"});
  EXPECT_TRUE(absl::IsNotFound(none.status()));
  EXPECT_THAT(Text(none.status()), HasSubstr("/nowhere/a:/nowhere/b"));
  // A file that is there but broken is no file that is not there.
  EXPECT_FALSE(LoadKubeconfigs({a.Write("broken", "[1"), second}).ok());
}

TEST(Config, APodsCredentials) {
  TempDir dir;
  dir.Write("token", "abc\n");
  dir.Write("ca.crt", "ca");
  dir.Write("namespace", "neap\n");
  const auto config = InClusterConfig("fd00::1", "443", InClusterFiles::In(dir.path()));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->origin, "in-cluster");
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->token_file, dir.path() + "/token");
  EXPECT_EQ(config->tls.ca_file, dir.path() + "/ca.crt");
  EXPECT_EQ(config->ns, "neap");
  dir.Write("token", "\n");
  EXPECT_THAT(Text(InClusterConfig("h", "443", InClusterFiles::In(dir.path())).status()),
              HasSubstr(dir.path() + "/token is empty"));
  EXPECT_TRUE(
      absl::IsNotFound(InClusterConfig("h", "443", InClusterFiles::In("/nowhere")).status()));
  EXPECT_TRUE(absl::IsNotFound(InClusterConfig("h", "").status()));
}

// The environment of this process, put back at the end.
class Environment {
 public:
  ~Environment() {
    for (const auto& [name, value] : before_) {
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
    }
  }
  void Set(const std::string& name, const char* value) {
    const char* before = std::getenv(name.c_str());
    before_.emplace_back(name, before ? std::optional<std::string>(before) : std::nullopt);
    value != nullptr ? setenv(name.c_str(), value, 1) : unsetenv(name.c_str());
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

TEST(Config, FindsTheFlagThenThePodThenTheEnvironmentThenHome) {
  TempDir dir;
  Environment environment;
  const auto write = [&](const std::string& name) {
    return dir.Write(name, Kubeconfig("server: 'http://" + name + "'", ""));
  };
  const std::string flag = write("flag");
  const std::string variable = write("variable");
  environment.Set("HOME", dir.path().c_str());
  environment.Set("KUBECONFIG", nullptr);
  environment.Set("KUBERNETES_SERVICE_HOST", nullptr);
  environment.Set("KUBERNETES_SERVICE_PORT", nullptr);
  const auto nothing = FindConfig("");
  EXPECT_TRUE(absl::IsNotFound(nothing.status()));
  EXPECT_THAT(Text(nothing.status()), HasSubstr(dir.path() + "/.kube/config does not exist"));
  environment.Set("KUBECONFIG", variable.c_str());
  EXPECT_EQ(FindConfig("")->server, "http://variable");
  environment.Set("KUBECONFIG", ("/nowhere/config:" + variable + ":" + flag).c_str());
  EXPECT_EQ(FindConfig("")->server, "http://variable");
  environment.Set("KUBECONFIG", "/nowhere/config:/nowhere/other");
  EXPECT_THAT(Text(FindConfig("").status()),
              HasSubstr("KUBECONFIG: /nowhere/config:/nowhere/other: no such kubeconfig file"));
  environment.Set("KUBECONFIG", variable.c_str());
  environment.Set("KUBERNETES_SERVICE_HOST", "10.0.0.1");
  EXPECT_THAT(Text(FindConfig("").status()), HasSubstr("in-cluster"));  // no port
  EXPECT_EQ(FindConfig("", "main")->server, "http://variable");  // a context is a kubeconfig's
  EXPECT_EQ(FindConfig(flag)->server, "http://flag");
}

}  // namespace
}  // namespace neap::kube::api
