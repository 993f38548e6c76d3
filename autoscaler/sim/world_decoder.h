// WorldDecoder: reads a world's part of a file: of a world file, which holds nothing else, and of a
// scenario, which begins as one (scenario.cc). Its readers of single fields serve the scenario's
// own fields, too. Lives on a decoder's stack; borrows the report, where all mistakes go.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/kube/objects/fields.h"
#include "autoscaler/sim/spec.h"

namespace neap::sim {

class WorldDecoder {
 public:
  using Fields = kube::objects::Fields;
  using Value = value::Value;

  // Traces that the file names relatively lie in `folder`.
  WorldDecoder(kube::objects::Report& report, std::string folder)
      : report_(report), folder_(std::move(folder)) {}

  // The top-level fields of a world.
  static std::span<const std::string_view> Names();

  // `root` knows Names(), and perhaps more. Once.
  void Decode(Fields& root);
  WorldSpec& world() { return spec_; }

  // ---- single fields; what is wrong is reported, and the fallback or 0 given ----
  // A number or quantity in thousandths.
  int64_t Amount(Fields& fields, std::string_view key, int64_t fallback, int64_t min, int64_t max);
  int64_t Rate(Fields& fields, std::string_view key);
  // Billionths of a core.
  int64_t Cpu(Fields& fields, std::string_view key);
  int64_t Memory(Fields& fields, std::string_view key);
  int32_t Count(Fields& fields, std::string_view key, int32_t fallback, int32_t min);
  absl::Duration Time(Fields& fields, std::string_view key, absl::Duration fallback,
                      absl::Duration min, absl::Duration max);
  // As distribution.h says how files write one; each of its times is at least `min`.
  Distribution ReadDistribution(Fields& fields, std::string_view key, Distribution fallback,
                                absl::Duration min = absl::ZeroDuration());
  Range ReadRange(Fields& fields, std::string_view key, Range fallback);
  std::string Name(Fields& fields, std::string_view key = "name");
  std::string Namespace(Fields& fields);
  int FindDeployment(std::string_view ns, std::string_view name) const;
  int FindQueue(std::string_view ns, std::string_view name) const;
  // The deployment that `key` names, -1 with an error when there is none.
  int DeploymentAt(Fields& fields, std::string_view key, std::string_view ns);
  Source ReadSource(Fields& parent, std::string_view ns);
  Load ReadLoad(Fields& parent, std::string_view key);

 private:
  // Calls `read` for each map of the list.
  template <typename Read>
  void Each(Fields& parent, std::string_view key, std::initializer_list<std::string_view> known,
            Read read) {
    const std::vector<Value>* list = parent.List(key);
    if (list == nullptr) return;
    for (size_t i = 0; i < list->size(); ++i) {
      Fields fields(&(*list)[i], fmt::format("{}[{}]", parent.Path(key), i), report_, known);
      if (fields.present()) read(fields);
    }
  }
  absl::Duration TimeOf(Fields& fields, std::string_view key, const Value& at, absl::Duration min,
                        absl::Duration max);
  base::Labels ReadLabels(Fields& parent);
  // The name of a metric: no '/', '%' or blanks, since it stands in paths.
  std::string MetricName(Fields& fields);
  void ReadNamespaces(Fields& root);
  void ReadDeployment(Fields& fields);
  void ReadPodLife(Fields& fields, DeploymentSpec& spec);
  void ReadTimes(Fields& fields, std::string_view key, Range& range,
                 std::optional<Distribution>& distribution);
  void ReadTraffic(Fields& parent, DeploymentSpec& spec);
  RetrySpec ReadRetry(Fields& parent, std::string_view key);
  void ReadPool(Fields& fields);
  void ReadQuota(Fields& fields);
  void ReadFault(Fields& fields);
  void CheckRoom(Fields& root);
  void ReadQueue(Fields& fields);
  void ReadExternalMetric(Fields& fields);
  void ReadCustomMetric(Fields& fields);
  void ReadObject(Fields& parent, CustomMetricSpec& spec);
  Load LoadOf(Fields& fields);
  Load Shape(Fields& fields);
  Load StepsOf(Fields& fields);
  Load SumOf(Fields& fields);
  Load TraceOf(Fields& fields);
  std::string TracePath(Fields& fields);
  int Permille(Fields& fields, std::string_view key, int fallback);

  kube::objects::Report& report_;
  const std::string folder_;
  WorldSpec spec_;
  int64_t speed_ = 1000;  // thousandths
};

}  // namespace neap::sim
