// ScaleWriter: what becomes of a PatchScale. ApiScaleWriter patches the scale subresource with what
// was observed as a precondition; WithheldScaleWriter (dry run) has no code that writes. app
// chooses per object by uid; no other code knows which it is. Every Write answers with one
// WriteOutcome to the sink.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>

#include "autoscaler/control/messages.h"

namespace neap::kube {

struct Context;

class ScaleWriter {
 public:
  virtual ~ScaleWriter() = default;
  virtual void Write(const control::PatchScale& patch) = 0;
};

struct ScaleWriterOptions {
  absl::Duration timeout = absl::Seconds(10);  // then the outcome is kUnknown
  // Called on the http::Client's thread, after the outcome, when the scale is not what was observed
  // or not known: what is read now and then must be read now (ScaleViews::Refresh). May be empty.
  std::function<void(const control::TargetRef&)> reread = {};
};

// Owned by app. Write is thread-safe and does not wait; outcomes are sent on the http::Client's
// thread. After the destructor returned none is sent any more.
class ApiScaleWriter final : public ScaleWriter {
 public:
  explicit ApiScaleWriter(const Context& context, ScaleWriterOptions options = {});
  ~ApiScaleWriter() override;
  void Write(const control::PatchScale& patch) override;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

// The JSON Patch of a write: tests the target's uid and its spec as a whole (the API leaves
// spec.replicas out at 0, so a test of that path would fail there), then replaces the spec.
std::string ScalePatch(const core::Scale& observed, int32_t replicas);

// What a failed PATCH means. The table is design's "life of a sample", 6: 409, and 422 of a failed
// test, are kConflict; 404 is kGone; other refusals are kRejected, 429 among them, since nothing
// was written; what leaves open whether it was written (timeout, broken connection, 5xx) is
// kUnknown. kNotTried: Context::may_write said no.
core::ApplyResult OutcomeOf(const absl::Status& error);

}  // namespace neap::kube
