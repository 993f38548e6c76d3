#include "autoscaler/kube/pod_views.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/api/watch.h"
#include "autoscaler/kube/decode.h"
#include "autoscaler/kube/interner.h"

namespace neap::kube {

// As Collection, of one namespace, and without an entry of more than the message needs: lists are
// long.
class PodViews::View final : public api::WatchHandler {
 public:
  View(const Context& context, const std::string& ns) : context_(context), ns_(ns) {
    api::WatchOptions options = context_.watch;
    options.path = api::ResourcePath("", "v1", "pods", ns_);
    options.query.clear();
    // At once, so that no answer is handled before `watch_` is there.
    context_.client->http().RunAndWait([&] {
      watch_ = std::make_unique<api::Watch>(*context_.client, std::move(options), *this);
    });
  }
  ~View() override {
    context_.client->http().RunAndWait([this] { watch_.reset(); });
  }

 private:
  void ListBegan() override { list_.clear(); }
  absl::Status ListItem(api::JsonObject& object) override {
    return Decode(object, &list_.emplace_back());
  }
  void ListDone() override {
    synced_ = true;
    context_.sink(control::PodsReplaced{.ns = ns_, .all = std::exchange(list_, {})});
  }
  absl::Status Changed(api::JsonObject& object, bool deleted) override {
    control::PodState pod;
    NEAP_RETURN_IF_ERROR(Decode(object, &pod));
    control::PodChange change{.ns = ns_, .name = std::string(pod.pod.name), .pod = std::nullopt};
    if (!deleted) change.pod = std::move(pod);
    context_.sink(std::move(change));
    return absl::OkStatus();
  }
  void Heard() override {
    if (!synced_) return;
    const absl::Duration now = clock_.Elapsed();
    if (now - heard_at_ < absl::Seconds(1)) return;
    heard_at_ = now;
    context_.sink(control::ViewHeard{.view = control::View::kPods, .scope = ns_});
  }
  void Trouble(const absl::Status& error, absl::Duration) override {
    context_.Report("pods of " + ns_, error);
  }

  absl::Status Decode(api::JsonObject& object, control::PodState* out) {
    DecodedPod pod;
    NEAP_RETURN_IF_ERROR(DecodePod(object, interner_, &pod));
    if (!pod.problem.empty()) {
      context_.Report(fmt::format("pod {}/{}", ns_, pod.state.pod.name),
                      base::DataLoss("{}", pod.problem));
    }
    *out = std::move(pod.state);
    return absl::OkStatus();
  }

  const Context context_;
  const std::string ns_;
  const base::Clock clock_;
  // The http::Client's thread.
  Interner interner_;
  std::deque<control::PodState> list_;  // the list under way
  bool synced_ = false;                 // there was a complete one
  absl::Duration heard_at_ = -absl::InfiniteDuration();
  std::unique_ptr<api::Watch> watch_;
};

struct PodViews::Views {
  bool closed = false;
  std::map<std::string, std::unique_ptr<View>> by_namespace;
};

PodViews::PodViews(Context context)
    : context_(std::move(context)), views_(std::make_shared<Views>()) {}

PodViews::~PodViews() {
  context_.client->http().RunAndWait([this] {
    views_->closed = true;
    views_->by_namespace.clear();
  });
}

// Not RunAndWait: the caller is the controller's thread, and the http::Client's may be waiting for
// it to take messages.
void PodViews::SetNamespaces(std::vector<std::string> namespaces) {
  context_.client->http().After(absl::ZeroDuration(), [views = views_, context = context_,
                                                       namespaces = std::move(namespaces)] {
    if (views->closed) return;
    std::erase_if(views->by_namespace, [&](const auto& entry) {
      return std::find(namespaces.begin(), namespaces.end(), entry.first) == namespaces.end();
    });
    for (const std::string& ns : namespaces) {
      auto& view = views->by_namespace[ns];
      if (view == nullptr) view = std::make_unique<View>(context, ns);
    }
  });
}

}  // namespace neap::kube
