#include "autoscaler/catalog/catalog.h"

#include <gtest/gtest.h>

namespace neap::catalog {
namespace {

constexpr std::string_view kManifest = R"(
trigger_types {
  type: "queue"
  summary: "Length of a queue."
  target_parameter: "length"
  activation_parameter: "activationLength"
  allowed_targets: AVERAGE_VALUE
  allowed_targets: VALUE
  pushes: true
  needs_pod_selector: true
  parameters { name: "address" aliases: "host" required: true sources: METADATA sources: AUTH sources: ENV }
  parameters { name: "length" kind: INT default_value: "5" }
  parameters { name: "activationLength" kind: FLOAT default_value: "0" }
  parameters { name: "password" secret: true kind: INT sources: AUTH sources: ENV }
  parameters { name: "modes" kind: LIST allowed_values: "basic" allowed_values: "tls" }
  parameters { name: "token" secret: true sources: AUTH allowed_values: "x" }
  parameters { name: "user" exclusive_group: "who" }
  parameters { name: "role" exclusive_group: "who" }
  parameters { name: "old" deprecated: "use length" }
  parameters { name: "wait" kind: DURATION }
  parameters { name: "labels" kind: MAP }
  parameters { name: "safe" kind: BOOL }
  parameters { name: "size" kind: QUANTITY }
}
)";

TriggerType Queue() {
  auto types = ParseManifest(kManifest, "queue");
  EXPECT_TRUE(types.ok()) << types.status();
  return types.ok() ? types->at(0) : TriggerType{};
}

std::string Error(std::string_view manifest) {
  const auto types = ParseManifest(manifest, "m.textproto");
  return types.ok() ? "no error" : std::string(types.status().message());
}

// Messages of Check, "parameter: message" each.
std::vector<std::string> Problems(TriggerText trigger, bool with_address = true) {
  if (with_address) trigger.metadata.try_emplace("address", "q:1");
  std::vector<std::string> out;
  for (const FieldError& e : Check(Queue(), trigger)) out.push_back(e.parameter + ": " + e.message);
  return out;
}

using Lines = std::vector<std::string>;

TEST(Manifest, BecomesPlainValues) {
  const TriggerType type = Queue();
  EXPECT_EQ(type.type, "queue");
  EXPECT_EQ(type.target_parameter, "length");
  EXPECT_TRUE(type.pushes);
  EXPECT_TRUE(type.needs_pod_selector);
  EXPECT_EQ(type.allowed_targets,
            (std::vector<TargetKind>{TargetKind::kAverageValue, TargetKind::kValue}));
  ASSERT_NE(type.Find("host"), nullptr);
  EXPECT_EQ(type.Find("host")->name, "address");
  EXPECT_EQ(type.Find("nobody"), nullptr);
  EXPECT_EQ(type.Find("length")->default_value, "5");
  EXPECT_EQ(type.Find("length")->sources, std::vector<Source>{Source::kMetadata});
}

TEST(Manifest, ErrorsNameFileAndLine) {
  EXPECT_EQ(Error("trigger_types {\n  typo: \"x\"\n}").substr(0, 14), "m.textproto:2:");
  EXPECT_EQ(Error("trigger_types {}"), "m.textproto: a trigger type has no name");
  EXPECT_EQ(Error("trigger_types { type: \"a\" } trigger_types { type: \"a\" }"),
            "m.textproto: trigger type a is there twice");
  EXPECT_EQ(Error("trigger_types { type: \"a\" parameters {} }"),
            "m.textproto: trigger type a: parameter \"\" has no name");
  EXPECT_EQ(Error("trigger_types { type: \"a\" parameters { name: \"p\" } "
                  "parameters { name: \"q\" aliases: \"p\" } }"),
            "m.textproto: trigger type a: parameter \"p\" is there twice");
  EXPECT_EQ(Error("trigger_types { type: \"a\" parameters { name: \"p\" kind: INT default_value: "
                  "\"x\" } }"),
            "m.textproto: trigger type a: default of p: \"x\" is not an integer");
  EXPECT_EQ(Error("trigger_types { type: \"a\" target_parameter: \"p\" }"),
            "m.textproto: trigger type a: p is none of its parameters");
  EXPECT_FALSE(ParseBinaryManifest("\xff\xff\xff", "describe").ok());
}

TEST(FindValue, FirstThatIsNotBlankBySourceAndName) {
  const TriggerType type = Queue();
  const Parameter& address = *type.Find("address");
  TriggerText trigger;
  EXPECT_FALSE(FindValue(address, trigger).has_value());

  trigger.metadata["addressFromEnv"] = "Q_ADDRESS";
  trigger.env["Q_ADDRESS"] = " from-env ";
  EXPECT_EQ(FindValue(address, trigger)->text, "from-env");
  EXPECT_EQ(FindValue(address, trigger)->source, Source::kEnv);

  trigger.auth["host"] = "from-auth";
  EXPECT_EQ(FindValue(address, trigger)->text, "from-auth");
  EXPECT_EQ(FindValue(address, trigger)->name, "host");

  trigger.metadata["host"] = "from-alias";
  trigger.metadata["address"] = "   ";  // blank is as if it were not there
  EXPECT_EQ(FindValue(address, trigger)->text, "from-alias");

  trigger.metadata["address"] = "from-name";
  EXPECT_EQ(FindValue(address, trigger)->text, "from-name");

  const auto standard = FindValue(*type.Find("length"), trigger);
  EXPECT_TRUE(standard->is_default);
  EXPECT_EQ(standard->text, "5");
}

TEST(Check, GoodTriggerHasNoErrors) {
  EXPECT_EQ(Problems({.metadata = {{"length", "10"},
                                   {"modes", "basic, tls"},
                                   {"wait", "250"},
                                   {"labels", "a=b"},
                                   {"safe", "T"},
                                   {"size", "1Gi"},
                                   {"unheardOf", "x"}},
                      .auth = {{"password", "7"}}}),
            Lines{});
}

TEST(Check, NamesWhatIsMissingAndWhereItMayStand) {
  EXPECT_EQ(Problems({}, false),
            Lines{"address: missing required parameter \"address\" in metadata, authentication, "
                  "environment"});
  EXPECT_EQ(Problems({.metadata = {{"ADDRESS", "q:1"}}}, false).size(), 1u);  // case matters
  EXPECT_EQ(Problems({.metadata = {{"address", "  "}}}, false).size(), 1u);
}

TEST(Check, NamesEveryWrongKind) {
  EXPECT_EQ(Problems({.metadata = {{"length", "5.5"},
                                   {"activationLength", "many"},
                                   {"wait", "-1s"},
                                   {"labels", "a"},
                                   {"safe", "maybe"},
                                   {"size", "1Kg"}}})
                .size(),
            6u);
  EXPECT_EQ(Problems({.metadata = {{"length", "5.5"}}}),
            Lines{"length: \"5.5\" is not an integer"});
}

TEST(Check, AllowedValuesOfEachElement) {
  EXPECT_EQ(Problems({.metadata = {{"modes", "basic,bearer"}}}),
            Lines{"modes: \"bearer\" must be one of basic, tls"});
}

TEST(Check, ExclusiveAndDeprecated) {
  EXPECT_EQ(Problems({.metadata = {{"user", "a"}, {"role", "b"}}}),
            Lines{"role: \"user\" and \"role\" can't both be set"});
  EXPECT_EQ(Problems({.metadata = {{"old", "1"}}}), Lines{"old: use length"});
}

TEST(Check, NeverQuotesASecret) {
  EXPECT_EQ(Problems({.auth = {{"password", "hunter2"}, {"token", "hunter3"}}}),
            (Lines{"password: is not a valid integer", "token: the value must be one of x"}));
}

TEST(UnknownKeys, SuggestNames) {
  const TriggerText trigger{.metadata = {{"lenght", "5"},
                                         {"passwordFromEnv", "P"},
                                         {"address", "x"},
                                         {"host", "x"},
                                         {"completelyOther", "x"}}};
  EXPECT_EQ(UnknownKeys(Queue(), trigger),
            (Lines{"completelyOther: unknown parameter",
                   "lenght: unknown parameter (did you mean \"length\"?)"}));
}

}  // namespace
}  // namespace neap::catalog
