// What goes wrong on purpose.
#include "autoscaler/playground/faults.h"

#include <gmock/gmock.h>

#include "autoscaler/kube/api/error.h"
#include "tests/playground/ground.h"

namespace neap::playground {
namespace {

using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);

std::string ErrorOf(std::string_view json) {
  Faults faults;
  return std::string(base::Message(faults.Add(json, kNow)));
}

TEST(Faults, ChooseByPathMethodTimeAndCount) {
  Faults faults;
  ASSERT_TRUE(faults
                  .Add(R"([{"fault": "delay", "delay": "100ms"},
                           {"fault": "error", "path": "/apis", "method": "GET", "count": 2},
                           {"fault": "throttle", "path": "/api", "for": "10s", "retryAfter": 3}])",
                       kNow)
                  .ok());
  const auto first = faults.Judge("GET", "/apis/apps", kNow);
  EXPECT_EQ(first.delay, absl::Milliseconds(100));
  EXPECT_EQ(first.fault->kind, Fault::Kind::kError);
  EXPECT_EQ(faults.Judge("PATCH", "/apis/apps", kNow).fault->kind, Fault::Kind::kThrottle);
  EXPECT_EQ(faults.Judge("GET", "/apis/apps", kNow).fault->kind, Fault::Kind::kError);
  EXPECT_EQ(faults.Judge("GET", "/apis/apps", kNow).fault->kind, Fault::Kind::kThrottle);
  EXPECT_EQ(faults.Judge("GET", "/version", kNow).fault, std::nullopt);
  EXPECT_EQ(faults.Judge("GET", "/apis/apps", kNow + absl::Seconds(10)).fault, std::nullopt);
  EXPECT_EQ(faults.Judge("GET", "/x", kNow).delay, absl::Milliseconds(100));
  faults.Clear();
  EXPECT_EQ(faults.ToJson(kNow), "[]");
}

TEST(Faults, BadInputIsNamed) {
  EXPECT_THAT(ErrorOf("{"), HasSubstr("faults:1"));
  EXPECT_THAT(ErrorOf("3"), HasSubstr("a fault is a JSON object"));
  EXPECT_THAT(ErrorOf(R"({"fault": "boom"})"), HasSubstr("\"boom\" is none of cut"));
  EXPECT_THAT(ErrorOf(R"({"fault": "cut", "pth": "/"})"),
              HasSubstr("pth: unknown field (did you mean"));
  EXPECT_THAT(ErrorOf(R"({"fault": "delay"})"), HasSubstr("delay: missing"));
  EXPECT_THAT(ErrorOf(R"({"fault": "delay", "delay": 5})"),
              HasSubstr("delay: expected a duration"));
  EXPECT_THAT(ErrorOf(R"({"fault": "error", "code": 200})"),
              HasSubstr("code: expected a whole number"));
  Ground ground;
  EXPECT_EQ(ground.Send("POST", "/faults", "[").status, 400);
}

class FaultsOnTheWire : public testing::Test {
 protected:
  void Fault(const std::string& json) {
    ASSERT_EQ(ground_.Send("POST", "/faults", json).status, 200);
  }
  absl::StatusOr<kube::api::Reply> Pods() { return ground_.client().Do({.path = "/api/v1/pods"}); }
  Ground ground_;
};

// Without a count: libcurl asks once more when a connection that it used before breaks.
TEST_F(FaultsOnTheWire, Cut) {
  Fault(R"({"fault": "cut"})");
  EXPECT_EQ(Pods().status().code(), absl::StatusCode::kUnavailable);
  const auto write = ground_.client().Do({.method = "PATCH",
                                          .path = kScale,
                                          .body = R"({"spec": {"replicas": 9}})",
                                          .content_type = kube::api::kMergePatch});
  EXPECT_EQ(write.status().code(), absl::StatusCode::kUnavailable);
  ground_.Send("DELETE", "/faults", "");
  EXPECT_TRUE(Pods().ok());
  // A write that is cut is seen and does nothing.
  EXPECT_GE(ground_.Get("/writes")["byCode"]["0"], 1);
  EXPECT_EQ(ground_.Get("/writes")["byCode"].size(), 1u);
  EXPECT_EQ(ground_.Get(kScale)["spec"]["replicas"], 2);
}

TEST_F(FaultsOnTheWire, Delay) {
  Fault(R"({"fault": "delay", "delay": "1s", "count": 1})");
  EXPECT_EQ(ground_.client()
                .Do({.path = "/api/v1/pods", .timeout = absl::Milliseconds(100)})
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(FaultsOnTheWire, ThrottleAndErrorAreStatuses) {
  Fault(R"({"fault": "throttle", "retryAfter": 7, "count": 1})");
  const auto throttled = kube::api::ApiErrorOf(Pods().status());
  ASSERT_TRUE(throttled.has_value());
  EXPECT_EQ(throttled->code, 429);
  EXPECT_EQ(throttled->retry_after, absl::Seconds(7));
  Fault(R"({"fault": "error", "code": 503, "count": 1})");
  const auto error = kube::api::ApiErrorOf(Pods().status());
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, 503);
  Fault(R"({"fault": "expire", "count": 1})");
  const auto expired = kube::api::ApiErrorOf(Pods().status());
  ASSERT_TRUE(expired.has_value());
  EXPECT_EQ(expired->reason, "Expired");
}

TEST_F(FaultsOnTheWire, GarbageAndTruncation) {
  Fault(R"({"fault": "garbage", "count": 1})");
  const auto garbage = Pods();
  ASSERT_TRUE(garbage.ok()) << garbage.status();
  EXPECT_TRUE(Json::parse(garbage->body, nullptr, false).is_discarded());
  Fault(R"({"fault": "truncate", "count": 1})");
  EXPECT_EQ(Pods().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Pods().ok());
}

TEST_F(FaultsOnTheWire, DeleteClearsAndPagesNeverFail) {
  Fault(R"({"fault": "cut"})");
  EXPECT_EQ(ground_.Raw({.url = "/metrics"}).status, 200);
  EXPECT_EQ(ground_.Get("/faults").size(), 1u);
  EXPECT_EQ(ground_.Send("DELETE", "/faults", "").status, 200);
  EXPECT_TRUE(Pods().ok());
}

}  // namespace
}  // namespace neap::playground
