#include "scalers/example/example_scaler.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

extern const char neap_manifest_example[];

namespace neap::scalers::example {
namespace {

class FileTrigger : public sdk::Trigger {
 public:
  FileTrigger(std::string path, sdk::Target target) : path_(std::move(path)), target_(target) {}

  std::vector<sdk::MetricSpec> metrics() const override {
    return {{.name = "lines", .target = target_}};
  }
  std::string source_key() const override { return path_; }

  sdk::Reading Read() const {
    std::ifstream file(path_);
    if (!file) {
      return sdk::Reading::Failed(
          {.kind = sdk::ErrorKind::kNotFound, .message = fmt::format("{} can't be read", path_)});
    }
    const auto lines = std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    return sdk::Reading::Of("lines", static_cast<double>(lines), 0);
  }

 private:
  const std::string path_;
  const sdk::Target target_;
};

class ExampleScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_example; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    const int64_t lines = parameters.Int("linesPerReplica");
    if (lines <= 0) return sdk::BadParameter("linesPerReplica", "{} is not positive", lines);
    absl::StatusOr<sdk::Target> target =
        sdk::ExternalTarget(parameters, sdk::IntTargetMilli(lines));
    if (!target.ok()) return target.status();
    return std::make_unique<FileTrigger>(parameters.Text("path"), *target);
  }

  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext&) override {
    std::vector<sdk::Reading> out;
    for (const sdk::Trigger* trigger : triggers) {
      out.push_back(static_cast<const FileTrigger*>(trigger)->Read());
    }
    return out;
  }
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<ExampleScaler>());
  return out;
}

}  // namespace neap::scalers::example
