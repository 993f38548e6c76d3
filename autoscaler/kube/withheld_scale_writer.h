// WithheldScaleWriter: the ScaleWriter of dry runs. It can't write: it knows no API client and has
// no code that sends anything. Thread-safe. The outcome is sent inside Write, on the caller's
// thread.
#pragma once

#include "autoscaler/kube/scale_writer.h"

namespace neap::kube {

class WithheldScaleWriter final : public ScaleWriter {
 public:
  explicit WithheldScaleWriter(control::Sink sink) : sink_(std::move(sink)) {}
  void Write(const control::PatchScale& patch) override {
    sink_(control::WriteOutcome{.write_id = patch.write_id,
                                .result = {.kind = core::ApplyResult::Kind::kWithheld,
                                           .at = absl::InfinitePast(),
                                           .error = {}},
                                .scale = std::nullopt});
  }

 private:
  const control::Sink sink_;
};

}  // namespace neap::kube
