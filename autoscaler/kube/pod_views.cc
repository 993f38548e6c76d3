#include "autoscaler/kube/pod_views.h"

#include <algorithm>

#include "autoscaler/kube/collection.h"
#include "autoscaler/kube/decode.h"

namespace neap::kube {

class PodViews::View {
 public:
  View(Context context, const std::string& ns)
      : context_([&] {
          context.namespaces = {ns};
          return std::move(context);
        }()),
        ns_(ns),
        pods_(
            context_, "pods of " + ns,
            [](const std::string& one) { return api::ResourcePath("", "v1", "pods", one); },
            {.decode =
                 [this](api::JsonObject& object, Collection<control::PodState>::Item* item) {
                   return Decode(object, item);
                 },
             .replaced = [this](auto all) { Replaced(std::move(all)); },
             .changed =
                 [this](auto item) {
                   item.value.pod.name = item.name;
                   context_.sink(control::PodChange{
                       .ns = ns_, .name = std::move(item.name), .pod = std::move(item.value)});
                 },
             .deleted =
                 [this](const std::string&, const std::string& name) {
                   context_.sink(control::PodChange{.ns = ns_, .name = name, .pod = std::nullopt});
                 },
             .heard =
                 [this] {
                   context_.sink(control::ViewHeard{.view = control::View::kPods, .scope = ns_});
                 }}) {}

 private:
  absl::Status Decode(api::JsonObject& object, Collection<control::PodState>::Item* item) {
    DecodedPod pod;
    NEAP_RETURN_IF_ERROR(DecodePod(object, interner_, &pod));
    // The namespace is known, and the name is kept once: lists are long.
    item->name = std::move(pod.state.pod.name);
    if (!pod.problem.empty()) {
      context_.Report("pod " + ns_ + "/" + item->name, base::DataLoss("{}", pod.problem));
    }
    item->value = std::move(pod.state);
    return absl::OkStatus();
  }

  void Replaced(std::vector<Collection<control::PodState>::Item> all) {
    control::PodsReplaced message{.ns = ns_, .all = {}};
    message.all.reserve(all.size());
    for (auto& item : all) {
      item.value.pod.name = std::move(item.name);
      message.all.push_back(std::move(item.value));
    }
    context_.sink(std::move(message));
  }

  const Context context_;
  const std::string ns_;
  Interner interner_;                   // the http::Client's thread
  Collection<control::PodState> pods_;  // last: it calls the others
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
