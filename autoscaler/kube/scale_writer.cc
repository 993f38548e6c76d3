#include "autoscaler/kube/scale_writer.h"

#include <nlohmann/json.hpp>

#include "autoscaler/kube/context.h"
#include "autoscaler/kube/decode.h"

namespace neap::kube {

using Kind = core::ApplyResult::Kind;

std::string ScalePatch(const core::Scale& observed, int32_t replicas) {
  nlohmann::json spec = nlohmann::json::object();
  if (observed.spec_replicas != 0) spec["replicas"] = observed.spec_replicas;
  return nlohmann::json::array(
             {{{"op", "test"}, {"path", "/metadata/uid"}, {"value", observed.uid}},
              {{"op", "test"}, {"path", "/spec"}, {"value", std::move(spec)}},
              {{"op", "replace"}, {"path", "/spec"}, {"value", {{"replicas", replicas}}}}})
      .dump();
}

core::ApplyResult OutcomeOf(const absl::Status& status) {
  const auto result = [](Kind kind, std::string error) {
    return core::ApplyResult{.kind = kind, .at = absl::InfinitePast(), .error = std::move(error)};
  };
  const auto error = api::ApiErrorOf(status);
  if (!error) {
    if (absl::IsAborted(status)) return result(Kind::kNotTried, api::ServerMessage(status));
    // A request that could not even be made was not applied; everything else may have been.
    const bool unsent = absl::IsInvalidArgument(status) || absl::IsUnauthenticated(status);
    return result(unsent ? Kind::kRejected : Kind::kUnknown, api::ServerMessage(status));
  }
  switch (error->code) {
    case 409:
      return result(Kind::kConflict, error->message);
    case 422: {
      // A failed test has no details; a spec that the server finds invalid says of what kind.
      const bool failed_test = error->kind.empty() && error->causes.empty();
      return result(failed_test ? Kind::kConflict : Kind::kRejected, error->message);
    }
    case 404:
    case 410:
      return result(Kind::kGone, error->message);
    default:
      return result(error->code >= 500 ? Kind::kUnknown : Kind::kRejected, error->message);
  }
}

// Kept alive by callbacks under way; what runs on the http::Client's thread.
class ApiScaleWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, ScaleWriterOptions options) : context_(context), options_(options) {}

  void Start(const control::PatchScale& patch) {
    if (closed_) return;
    if (patch.target.group == "apps" && patch.target.kind == "Deployment") {
      Send(patch,
           {.group = "apps", .version = "v1", .plural = "deployments", .kind = "Deployment"});
      return;
    }
    context_.discovery->Find(
        patch.target.group, patch.target.kind,
        [self = shared_from_this(), patch](absl::StatusOr<api::Resource> resource) {
          if (self->closed_) return;
          if (resource.ok()) {
            self->Send(patch, *resource);
          } else {  // nothing was sent
            self->Finish(
                patch,
                {.kind = absl::IsNotFound(resource.status()) ? Kind::kGone : Kind::kRejected,
                 .at = absl::InfinitePast(),
                 .error = api::ServerMessage(resource.status())},
                std::nullopt);
          }
        });
  }

  void Close() { closed_ = true; }
  http::Client& http() { return context_.client->http(); }

 private:
  void Send(const control::PatchScale& patch, const api::Resource& resource) {
    context_.client->Send(
        {.method = "PATCH",
         .path = api::ResourcePath(resource.group, resource.version, resource.plural,
                                   patch.target.ns, patch.target.name, "scale"),
         .body = ScalePatch(patch.observed, patch.replicas),
         .content_type = api::kJsonPatch,
         .timeout = options_.timeout,
         .may_send = context_.MaySend(patch.uid)},
        [self = shared_from_this(), patch](absl::StatusOr<api::Reply> reply) {
          if (!self->closed_) self->OnReply(patch, std::move(reply));
        });
  }

  void OnReply(const control::PatchScale& patch, absl::StatusOr<api::Reply> reply) {
    if (!reply.ok()) {
      if (absl::IsNotFound(reply.status())) context_.discovery->Forget(patch.target.group);
      context_.Report("scaling " + patch.target.Text(), reply.status());
      Finish(patch, OutcomeOf(reply.status()), std::nullopt);
      return;
    }
    auto scale = DecodeScale(reply->body, reply->where);
    if (!scale.ok()) {  // accepted, it seems: look again before anything else
      context_.Report("scaling " + patch.target.Text(), scale.status());
      Finish(patch,
             {.kind = Kind::kUnknown,
              .at = absl::InfinitePast(),
              .error = api::ServerMessage(scale.status())},
             std::nullopt);
      return;
    }
    Finish(patch, {.kind = Kind::kApplied, .at = absl::InfinitePast(), .error = {}},
           *std::move(scale));
  }

  void Finish(const control::PatchScale& patch, core::ApplyResult result,
              std::optional<core::Scale> scale) {
    const bool unsure = result.kind == Kind::kConflict || result.kind == Kind::kGone ||
                        result.kind == Kind::kUnknown;
    context_.sink(control::WriteOutcome{
        .write_id = patch.write_id, .result = std::move(result), .scale = std::move(scale)});
    if (unsure && options_.reread) options_.reread(patch.target);
  }

  const Context context_;
  const ScaleWriterOptions options_;
  bool closed_ = false;
};

ApiScaleWriter::ApiScaleWriter(const Context& context, ScaleWriterOptions options)
    : impl_(std::make_shared<Impl>(context, options)) {}

ApiScaleWriter::~ApiScaleWriter() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

void ApiScaleWriter::Write(const control::PatchScale& patch) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, patch] { impl->Start(patch); });
}

}  // namespace neap::kube
