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
      {Kubeconfig(kServer, "exec: {command: aws}"),
       "config:9: users[bob].user.exec: credential plugins are not supported"},
      {Kubeconfig(kServer, "auth-provider: {name: gcp}"), "users[bob].user.auth-provider: "},
      {Kubeconfig(kServer, "as: root"), "users[bob].user.as: impersonation is not supported"},
      {Kubeconfig(kServer, "client-certificate-data: Q0VSVA=="),
       "users[bob].user.client-key: is missing: certificate and key belong together"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto config = Parse(c.text);
    ASSERT_FALSE(config.ok());
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << config.status();
    EXPECT_THAT(Text(config.status()), AllOf(StartsWith("config:"), HasSubstr(c.error)));
  }
  const auto missing = LoadKubeconfig("/nowhere/config");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(Text(missing.status()), HasSubstr("/nowhere/config"));
}

TEST(Config, APodsCredentials) {
  TempDir dir;
  dir.Write("token", "abc\n");
  dir.Write("ca.crt", "ca");
  dir.Write("namespace", "neap\n");
  const auto config = InClusterConfig("fd00::1", "443", dir.path());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->origin, "in-cluster");
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->token_file, dir.path() + "/token");
  EXPECT_EQ(config->tls.ca_file, dir.path() + "/ca.crt");
  EXPECT_EQ(config->ns, "neap");
  dir.Write("token", "\n");
  EXPECT_THAT(Text(InClusterConfig("h", "443", dir.path()).status()),
              HasSubstr(dir.path() + "/token is empty"));
  EXPECT_TRUE(absl::IsNotFound(InClusterConfig("h", "443", "/nowhere").status()));
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
  environment.Set("KUBECONFIG", (variable + ":" + flag).c_str());
  EXPECT_THAT(Text(FindConfig("").status()), HasSubstr("names several files"));
  environment.Set("KUBERNETES_SERVICE_HOST", "10.0.0.1");
  EXPECT_THAT(Text(FindConfig("").status()), HasSubstr("in-cluster"));  // no port
  EXPECT_EQ(FindConfig(flag)->server, "http://flag");
}

}  // namespace
}  // namespace neap::kube::api
