// The scaler contract is public: scalers in other repositories are built against it. This compares
// it with the recorded one in scaler.v1.descriptor. Nothing that was recorded may change; what is
// added needs a higher minor version. To record an addition:
//
//   1. raise kContractMinor in scalers/sdk/server.h, and say in scaler.proto what came with it;
//   2. run `NEAP_REWRITE=1 test_proto` in the root of the checkout, and commit the descriptor.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "neap/scaler/v1/scaler.pb.h"
#include "scalers/sdk/server.h"

namespace neap {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kRecorded[] = "tests/proto/scaler.v1.descriptor";
constexpr char kMinorMark[] = "# contract_minor: ";

// Every part that others depend on, and what they depend on in it. Parts are known by their number,
// as on the wire.
class Parts {
 public:
  explicit Parts(const FileDescriptorProto& file) {
    const std::string package = file.package() + ".";
    parts_["package"] = file.package();
    for (const DescriptorProto& message : file.message_type()) AddMessage(package, message);
    for (const EnumDescriptorProto& type : file.enum_type()) AddEnum(package, type);
    for (const auto& service : file.service()) {
      parts_["service " + package + service.name()] = "";
      for (const MethodDescriptorProto& method : service.method()) {
        const auto side = [](bool stream, const std::string& type) {
          return (stream ? "stream " : "") + type;
        };
        parts_["call " + package + service.name() + "." + method.name()] =
            side(method.client_streaming(), method.input_type()) + " -> " +
            side(method.server_streaming(), method.output_type());
      }
    }
  }
  const std::map<std::string, std::string>& all() const { return parts_; }

 private:
  void AddMessage(const std::string& scope, const DescriptorProto& message) {
    const std::string name = scope + message.name();
    parts_["message " + name] = "";
    for (const FieldDescriptorProto& field : message.field()) {
      std::string how = field.name() + ": " + FieldDescriptorProto::Label_Name(field.label()) +
                        " " + FieldDescriptorProto::Type_Name(field.type()) + " " +
                        field.type_name();
      if (field.proto3_optional()) {
        how += " optional";
      } else if (field.has_oneof_index()) {
        how += " in " + message.oneof_decl(field.oneof_index()).name();
      }
      parts_["field " + name + "." + std::to_string(field.number())] = how;
    }
    for (const DescriptorProto& nested : message.nested_type()) AddMessage(name + ".", nested);
    for (const EnumDescriptorProto& nested : message.enum_type()) AddEnum(name + ".", nested);
  }
  void AddEnum(const std::string& scope, const EnumDescriptorProto& type) {
    parts_["enum " + scope + type.name()] = "";
    for (const auto& value : type.value()) {
      parts_["value " + scope + type.name() + "." + std::to_string(value.number())] = value.name();
    }
  }

  std::map<std::string, std::string> parts_;
};

struct Contract {
  FileDescriptorProto file;
  uint32_t minor = 0;
};

// One line per thing that breaks those who depend on the old contract.
std::vector<std::string> Breaks(const Contract& before, const Contract& after) {
  const Parts then(before.file);
  const Parts now(after.file);
  std::vector<std::string> out;
  for (const auto& [part, how] : then.all()) {
    const auto found = now.all().find(part);
    if (found == now.all().end()) {
      out.push_back(part + " (" + how + ") is gone");
    } else if (found->second != how) {
      out.push_back(part + " was \"" + how + "\" and is \"" + found->second + "\"");
    }
  }
  if (after.minor < before.minor) out.push_back("the minor version went down");
  return out;
}

// What is new.
std::vector<std::string> Additions(const Contract& before, const Contract& after) {
  const Parts then(before.file);
  const Parts now(after.file);
  std::vector<std::string> out;
  for (const auto& [part, how] : now.all()) {
    if (!then.all().contains(part)) out.push_back(part + " (" + how + ")");
  }
  return out;
}

Contract Current() {
  Contract out;
  neap::scaler::v1::Trigger::descriptor()->file()->CopyTo(&out.file);
  out.minor = sdk::kContractMinor;
  return out;
}

Contract Recorded() {
  std::ifstream in(kRecorded);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  FileDescriptorSet set;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &set)) << kRecorded;
  EXPECT_EQ(set.file_size(), 1) << kRecorded;
  const size_t mark = text.find(kMinorMark);
  EXPECT_NE(mark, std::string::npos) << kRecorded << " has no line " << kMinorMark;
  Contract out;
  if (set.file_size() == 1) out.file = set.file(0);
  if (mark != std::string::npos) {
    out.minor = static_cast<uint32_t>(std::stoul(text.substr(mark + sizeof(kMinorMark) - 1)));
  }
  return out;
}

void Record(const Contract& contract) {
  FileDescriptorSet set;
  *set.add_file() = contract.file;
  std::string text;
  ASSERT_TRUE(google::protobuf::TextFormat::PrintToString(set, &text));
  std::ofstream(kRecorded) << "# google.protobuf.FileDescriptorSet of "
                              "proto/neap/scaler/v1/scaler.proto, written by tests/proto; the\n"
                              "# contract that others are built against.\n"
                           << kMinorMark << contract.minor << "\n"
                           << text;
}

TEST(Contract, IsWhatOthersAreBuiltAgainst) {
  const Contract current = Current();
  const bool rewrite = std::getenv("NEAP_REWRITE") != nullptr;
  if (rewrite && !std::ifstream(kRecorded).good()) Record(current);
  const Contract recorded = Recorded();
  EXPECT_THAT(Breaks(recorded, current), IsEmpty())
      << "a breaking change needs a package of its own, v2 beside v1";
  const std::vector<std::string> additions = Additions(recorded, current);
  if (HasFailure() || (additions.empty() && current.minor == recorded.minor)) return;
  EXPECT_GT(current.minor, recorded.minor)
      << "these are new, so raise kContractMinor: " << testing::PrintToString(additions);
  if (rewrite && !HasFailure()) {
    Record(current);
  } else {
    ADD_FAILURE() << kRecorded << " lacks what is new: NEAP_REWRITE=1 records it: "
                  << testing::PrintToString(additions);
  }
}

// ---- that the comparison bites ----

DescriptorProto& Message(Contract& contract, const std::string& name) {
  for (DescriptorProto& message : *contract.file.mutable_message_type()) {
    if (message.name() == name) return message;
  }
  ADD_FAILURE() << name;
  std::abort();
}
FieldDescriptorProto& Field(Contract& contract, const std::string& message,
                            const std::string& name) {
  for (FieldDescriptorProto& field : *Message(contract, message).mutable_field()) {
    if (field.name() == name) return field;
  }
  ADD_FAILURE() << message << "." << name;
  std::abort();
}

std::vector<std::string> BreaksOf(const std::function<void(Contract&)>& change) {
  Contract after = Current();
  change(after);
  return Breaks(Current(), after);
}

TEST(Contract, SeesWhatIsGone) {
  EXPECT_THAT(
      BreaksOf([](Contract& c) { Message(c, "Poll").mutable_field()->DeleteSubrange(1, 1); }),
      ElementsAre(HasSubstr("field neap.scaler.v1.Poll.2 (trigger_ids: ")));
  EXPECT_THAT(BreaksOf([](Contract& c) { c.file.mutable_message_type()->RemoveLast(); }),
              Contains(HasSubstr("message neap.scaler.v1.Readings ")));
  EXPECT_THAT(
      BreaksOf([](Contract& c) { c.file.mutable_enum_type(0)->mutable_value()->RemoveLast(); }),
      ElementsAre(HasSubstr("value neap.scaler.v1.TargetKind.3 (UTILIZATION) is gone")));
  EXPECT_THAT(BreaksOf([](Contract& c) {
                c.file.mutable_service(0)->mutable_method()->DeleteSubrange(2, 1);
              }),
              ElementsAre(HasSubstr("call neap.scaler.v1.ScalerService.Validate")));
}

TEST(Contract, SeesWhatIsRenumbered) {
  EXPECT_THAT(BreaksOf([](Contract& c) { Field(c, "Reading", "round").set_number(30); }),
              ElementsAre(HasSubstr("field neap.scaler.v1.Reading.3 (round: ")));
  EXPECT_THAT(
      BreaksOf([](Contract& c) { c.file.mutable_enum_type(0)->mutable_value(1)->set_number(9); }),
      ElementsAre(HasSubstr("(VALUE) is gone")));
}

TEST(Contract, SeesWhatHasAnotherTypeNameOrPlace) {
  const auto changed = [](const std::function<void(FieldDescriptorProto&)>& change) {
    return BreaksOf([&](Contract& c) { change(Field(c, "MetricReading", "series")); });
  };
  EXPECT_THAT(changed([](auto& f) { f.set_type(FieldDescriptorProto::TYPE_BYTES); }),
              ElementsAre(HasSubstr("TYPE_BYTES")));
  EXPECT_THAT(changed([](auto& f) { f.set_type_name(".neap.scaler.v1.Target"); }),
              ElementsAre(HasSubstr(".neap.scaler.v1.Target")));
  EXPECT_THAT(changed([](auto& f) { f.set_label(FieldDescriptorProto::LABEL_REPEATED); }),
              ElementsAre(HasSubstr("LABEL_REPEATED")));
  EXPECT_THAT(changed([](auto& f) { f.set_name("serie"); }), ElementsAre(HasSubstr("serie: ")));
  EXPECT_THAT(changed([](auto& f) { f.clear_oneof_index(); }), ElementsAre(HasSubstr("in result")));
  EXPECT_THAT(
      BreaksOf([](Contract& c) { Field(c, "MetricReading", "active").clear_proto3_optional(); }),
      ElementsAre(HasSubstr("optional")));
  EXPECT_THAT(BreaksOf([](Contract& c) {
                c.file.mutable_service(0)->mutable_method(1)->set_server_streaming(true);
              }),
              ElementsAre(HasSubstr("call neap.scaler.v1.ScalerService.Read")));
  EXPECT_THAT(BreaksOf([](Contract& c) { c.file.set_package("neap.scaler.v2"); }),
              Contains(HasSubstr("package was")));
}

TEST(Contract, TellsAdditionsFromBreaks) {
  Contract after = Current();
  FieldDescriptorProto& field = *Message(after, "Poll").add_field();
  field = Field(after, "Poll", "round");
  field.set_name("urgent");
  field.set_number(4);
  EXPECT_THAT(Breaks(Current(), after), IsEmpty());
  EXPECT_THAT(Additions(Current(), after),
              ElementsAre(HasSubstr("field neap.scaler.v1.Poll.4 (urgent: ")));
  EXPECT_THAT(Breaks({.file = after.file, .minor = 2}, {.file = after.file, .minor = 1}),
              ElementsAre("the minor version went down"));
}

// ---- that it is documented ----

class Undocumented {
 public:
  explicit Undocumented(const google::protobuf::FileDescriptor& file) {
    for (int i = 0; i < file.service_count(); ++i) {
      Check(*file.service(i));
      for (int j = 0; j < file.service(i)->method_count(); ++j) Check(*file.service(i)->method(j));
    }
    for (int i = 0; i < file.message_type_count(); ++i) CheckMessage(*file.message_type(i));
    for (int i = 0; i < file.enum_type_count(); ++i) CheckEnum(*file.enum_type(i));
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  template <typename Part>
  void Check(const Part& part) {
    google::protobuf::SourceLocation where;
    if (!part.GetSourceLocation(&where) || where.leading_comments.empty()) {
      names_.push_back(part.full_name());
    }
  }
  void CheckMessage(const google::protobuf::Descriptor& message) {
    if (message.options().map_entry()) return;
    Check(message);
    for (int i = 0; i < message.field_count(); ++i) Check(*message.field(i));
    for (int i = 0; i < message.nested_type_count(); ++i) CheckMessage(*message.nested_type(i));
    for (int i = 0; i < message.enum_type_count(); ++i) CheckEnum(*message.enum_type(i));
  }
  void CheckEnum(const google::protobuf::EnumDescriptor& type) {
    Check(type);
    for (int i = 0; i < type.value_count(); ++i) Check(*type.value(i));
  }

  std::vector<std::string> names_;
};

TEST(Contract, EveryPartSaysWhatItMeans) {
  FileDescriptorSet set;
  std::ifstream in(COMMENTED_CONTRACT, std::ios::binary);
  ASSERT_TRUE(set.ParseFromIstream(&in)) << COMMENTED_CONTRACT;
  ASSERT_EQ(set.file_size(), 1);
  google::protobuf::DescriptorPool pool;
  for (const std::string& import : set.file(0).dependency()) {  // compiled into this program
    FileDescriptorProto imported;
    google::protobuf::DescriptorPool::generated_pool()->FindFileByName(import)->CopyTo(&imported);
    ASSERT_NE(pool.BuildFile(imported), nullptr) << import;
  }
  const auto* file = pool.BuildFile(set.file(0));
  ASSERT_NE(file, nullptr);
  EXPECT_THAT(Undocumented(*file).names(), IsEmpty());
}

}  // namespace
}  // namespace neap
