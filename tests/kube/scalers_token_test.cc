// The token of the scalers' service account: asked for, written whole, renewed in time.
#include "autoscaler/kube/scalers_token.h"

#include <absl/time/clock.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/file.h"
#include "tests/kube/edge.h"

namespace neap::kube {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::TempDir;
using testing_support::WaitFor;

constexpr char kPath[] = "/api/v1/namespaces/neap/serviceaccounts/neap-scalers/token";

class ScalersTokenTest : public Edge {
 protected:
  ScalersTokenTest() {
    api::ClusterConfig config = ConfigOf(server_.url());
    config.ns = "neap";
    client_of_neap_ = std::make_unique<api::Client>(http_, std::move(config));
    context_.client = client_of_neap_.get();
    options_.service_account = "neap-scalers";
    options_.path = dir_.path() + "/token";
    options_.retry_min = absl::Milliseconds(10);
    options_.retry_max = absl::Milliseconds(40);
  }
  // As the server answers; it is `ahead` of us.
  static Answer Token(const std::string& token, absl::Duration life,
                      absl::Duration ahead = absl::ZeroDuration()) {
    const absl::Time now = absl::Now() + ahead;
    return {
        .status = 201,
        .body = R"({"kind":"TokenRequest","spec":{"expirationSeconds":3600},"status":{"token":")" +
                token + R"(","expirationTimestamp":")" + base::FormatTime(now + life) + "\"}}",
        .headers = {
            {"Date", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", now, absl::UTCTimeZone())}}};
  }
  std::string InFile() const { return base::ReadFile(options_.path).value_or(""); }

  TempDir dir_;
  std::unique_ptr<api::Client> client_of_neap_;
  ScalersTokenOptions options_;
};

TEST_F(ScalersTokenTest, IsAskedForAndWrittenForTheGroupToRead) {
  server_.On("POST", kPath, Token("t1", absl::Hours(1)));
  ScalersToken token(context_, options_);
  ASSERT_TRUE(WaitFor([&] { return token.Problem().empty(); }));
  EXPECT_EQ(InFile(), "t1");
  struct stat file{};
  ASSERT_EQ(stat(options_.path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0640U);
  EXPECT_FALSE(std::filesystem::exists(options_.path + ".new"));
  const auto requests = server_.Requests(kPath);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(nlohmann::json::parse(requests[0].body),
            nlohmann::json::parse(R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest",
                "spec":{"expirationSeconds":3600}})"));
}

TEST_F(ScalersTokenTest, IsRenewedWhenEightyPercentOfItsLifeIsOver) {
  std::atomic<int> n = 0;
  const ApiServer::StopAtEnd stop(server_);
  // Whatever the server's clock says: an hour ahead, and the life is what lies between its times.
  server_.On("POST", kPath, [&](const ApiServer::Request&) {
    const int i = ++n;
    return Token("t" + std::to_string(i), i == 1 ? absl::Seconds(8) : absl::Hours(1),
                 absl::Hours(1));
  });
  const base::Clock clock;
  ScalersToken token(context_, options_);
  ASSERT_TRUE(WaitFor([&] { return InFile() == "t1"; }));
  ASSERT_TRUE(WaitFor([&] { return InFile() == "t2"; }));
  EXPECT_GE(clock.Elapsed(), absl::Seconds(5));
  EXPECT_LE(clock.Elapsed(), absl::Seconds(15));
  EXPECT_EQ(token.Problem(), "");
}

TEST_F(ScalersTokenTest, FailuresAreToldAndTriedAgain) {
  std::atomic<int> n = 0;
  const ApiServer::StopAtEnd stop(server_);
  const std::string denied =
      "serviceaccounts \\\"neap-scalers\\\" is forbidden: User "
      "\\\"system:serviceaccount:neap:neap\\\" cannot create resource "
      "\\\"serviceaccounts/token\\\" in "
      "API group \\\"\\\" in the namespace \\\"neap\\\"";
  std::atomic<bool> allowed = false;
  server_.On("POST", kPath, [&](const ApiServer::Request&) {
    ++n;
    return allowed ? Token("t", absl::Hours(1)) : Refusal(403, "Forbidden", denied);
  });
  ScalersToken token(context_, options_);
  ASSERT_TRUE(WaitFor([&] { return n >= 3; }));
  EXPECT_THAT(token.Problem(),
              AllOf(HasSubstr("the token of service account neap/neap-scalers in " + options_.path +
                              " is not there yet: "),
                    HasSubstr("cannot create resource \"serviceaccounts/token\""),
                    HasSubstr("in the namespace \"neap\"")));
  EXPECT_TRUE(AwaitReport("token of service account neap/neap-scalers: POST "));
  allowed = true;
  ASSERT_TRUE(WaitFor([&] { return token.Problem().empty(); }));
}

TEST_F(ScalersTokenTest, AnswersThatAreNoTokenAreNotWrittenNorQuoted) {
  std::atomic<int> n = 0;
  const ApiServer::StopAtEnd stop(server_);
  for (const std::string& body :
       {std::string("s3cret"), std::string("{}"), std::string(R"({"status":{"token":""}})"),
        std::string(R"({"status":{"token":"s3cret b"}})"),
        Token("s3cret", -absl::Seconds(30)).body}) {
    SCOPED_TRACE(body);
    n = 0;
    Answer answer = Token("", absl::Hours(1));
    answer.body = body;
    server_.On("POST", kPath, [&n, answer](const ApiServer::Request&) {
      ++n;
      return answer;
    });
    ScalersToken token(context_, options_);
    ASSERT_TRUE(WaitFor([&] { return n >= 2; }));
    EXPECT_NE(token.Problem(), "");
    EXPECT_EQ(InFile(), "");
  }
  for (const std::string& report : reports())
    EXPECT_THAT(report, testing::Not(HasSubstr("s3cret")));
}

TEST_F(ScalersTokenTest, AFileThatCannotBeWrittenIsNamed) {
  server_.On("POST", kPath, Token("t", absl::Hours(1)));
  options_.path = "/nowhere/token";
  ScalersToken token(context_, options_);
  ASSERT_TRUE(AwaitReport("/nowhere/token: can't be written: No such file or directory"));
  EXPECT_THAT(token.Problem(), HasSubstr("/nowhere/token: can't be written"));
}

TEST(ReplaceSecretFile, KeepsTheOldTextUntilTheNewOneIsWhole) {
  const TempDir dir;
  const std::string path = dir.Write("token", "old");
  dir.Write("token.new", "left behind by a run that was killed");
  ASSERT_TRUE(ReplaceSecretFile(path, "new").ok());
  EXPECT_EQ(*base::ReadFile(path), "new");
  // A folder in its place: nothing is written, nothing is left behind.
  std::filesystem::create_directory(dir.path() + "/folder");
  dir.Write("folder/x", "");
  EXPECT_FALSE(ReplaceSecretFile(dir.path() + "/folder", "new").ok());
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/folder.new"));
}

}  // namespace
}  // namespace neap::kube
