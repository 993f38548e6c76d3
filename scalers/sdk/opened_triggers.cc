#include "scalers/sdk/opened_triggers.h"

#include <openssl/sha.h>

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "scalers/sdk/check_reading.h"

namespace neap::sdk {
namespace {

constexpr auto kKeepFor = std::chrono::minutes(10);
constexpr size_t kMaxKept = 10'000;

// Equal for requests that say the same, and for no others; secrets can't be read from it.
std::string ContentHash(const TriggerRequest& request) {
  std::string text;
  const auto add = [&text](std::string_view part) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  };
  const auto add_all = [&](const catalog::Texts& texts) {
    add(std::to_string(texts.size()));
    for (const auto& [name, value] : texts) {
      add(name);
      add(value);
    }
  };
  add(request.type);
  add_all(request.text.metadata);
  add_all(request.text.auth);
  add_all(request.text.env);
  add(request.text.pod_identity);
  add(request.context.ns);
  add(request.context.kind);
  add(request.context.name);
  add(request.context.uid);
  add(request.context.pod_selector);
  add(std::to_string(absl::ToInt64Nanoseconds(request.interval)));
  add(std::to_string(static_cast<int>(request.requested_target)));
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

Refusal Fault(std::string message) {
  return {.error = {.kind = ErrorKind::kInternal, .message = std::move(message)}};
}

// What a scaler may not do with the metrics of a trigger; "" = nothing.
std::string FaultOf(std::string_view type, const std::vector<MetricSpec>& metrics) {
  if (metrics.empty()) return "the scaler names no metric";
  // The HPA's own sources are named in the object, and so are their targets.
  const bool named_elsewhere = type.starts_with("hpa-");
  std::set<std::string_view> names;
  for (const MetricSpec& metric : metrics) {
    if (metric.name.empty() && !named_elsewhere) return "the scaler gives a metric no name";
    if (!names.insert(metric.name).second) {
      return fmt::format("the scaler names metric {} twice", metric.name);
    }
    if (!metric.target && !named_elsewhere) {
      return fmt::format("the scaler gives metric {} no target", metric.name);
    }
  }
  return "";
}

}  // namespace

Error Refusal::Whole() const {
  Error out = error;
  for (const catalog::FieldError& field : fields) {
    if (!out.message.empty()) out.message += "; ";
    if (!field.parameter.empty()) out.message += field.parameter + ": ";
    out.message += field.message;
  }
  return out;
}

class OpenedTrigger::Fan : public Sink {
 public:
  explicit Fan(OpenedTrigger& trigger) : trigger_(trigger) {}
  void Push(Reading reading) override {
    const Reading checked = CheckReading(trigger_.metrics_, std::move(reading));
    base::MutexLock lock(trigger_.mutex_);
    for (PushListener* listener : trigger_.listeners_) listener->OnPush(checked);
  }

 private:
  OpenedTrigger& trigger_;
};

OpenedTrigger::OpenedTrigger(Scaler& scaler, std::unique_ptr<Trigger> trigger,
                             std::vector<MetricSpec> metrics, std::string key, bool pushes)
    : scaler_(scaler),
      trigger_(std::move(trigger)),
      metrics_(std::move(metrics)),
      key_(std::move(key)),
      pushes_(pushes),
      fan_(std::make_unique<Fan>(*this)) {}

OpenedTrigger::~OpenedTrigger() = default;

void OpenedTrigger::Add(PushListener* listener) {
  if (!pushes_) return;
  base::MutexLock watching(watching_);
  {
    base::MutexLock lock(mutex_);
    listeners_.push_back(listener);
  }
  if (subscription_ != nullptr) return;
  std::string fault;
  try {
    subscription_ = scaler_.Watch(*trigger_, *fan_);
    return;
  } catch (const std::exception& e) {
    fault = e.what();
  } catch (...) {
    fault = "something that is no exception";
  }
  fan_->Push(Reading::Failed({.kind = ErrorKind::kInternal,
                              .message = fmt::format("the scaler threw in Watch: {}", fault)}));
}

void OpenedTrigger::Remove(PushListener* listener) {
  if (!pushes_) return;
  base::MutexLock watching(watching_);
  bool last = false;
  {
    base::MutexLock lock(mutex_);
    std::erase(listeners_, listener);
    last = listeners_.empty();
  }
  // Not under mutex_: it waits for a Push that is on its way.
  if (last) subscription_.reset();
}

absl::StatusOr<std::unique_ptr<OpenedTriggers>> OpenedTriggers::Make(
    std::vector<std::unique_ptr<Scaler>> scalers, bool is_private) {
  auto out = std::unique_ptr<OpenedTriggers>(new OpenedTriggers(is_private));
  out->scalers_ = std::move(scalers);
  for (size_t i = 0; i < out->scalers_.size(); ++i) {
    Scaler& scaler = *out->scalers_[i];
    NEAP_ASSIGN_OR_RETURN(
        std::vector<catalog::TriggerType> types,
        catalog::ParseManifest(scaler.manifest(), fmt::format("manifest of scaler {}", i + 1)));
    for (catalog::TriggerType& type : types) {
      const Type entry{.scaler = &scaler, .scaler_index = i, .index = out->types_.size()};
      if (!out->by_name_.emplace(type.type, entry).second) {
        return base::InvalidArgument("two scalers serve the trigger type {}", type.type);
      }
      out->types_.push_back(std::move(type));
    }
  }
  return out;
}

const catalog::TriggerType* OpenedTriggers::FindType(std::string_view type) const {
  const auto found = by_name_.find(type);
  return found == by_name_.end() ? nullptr : &types_[found->second.index];
}

std::shared_ptr<OpenedTrigger> OpenedTriggers::Make(const TriggerRequest& request,
                                                    Refusal& refusal) const {
  const auto found = by_name_.find(request.type);
  if (found == by_name_.end()) {
    std::vector<std::string_view> names;
    for (const auto& [name, type] : by_name_) names.push_back(name);
    refusal = {
        .error = {.kind = ErrorKind::kBadParameter, .message = ""},
        .fields = {{.parameter = "type",
                    .message = fmt::format("this scaler does not serve \"{}\"{}", request.type,
                                           base::DidYouMean(request.type, names))}}};
    return nullptr;
  }
  const Type& type = found->second;
  std::unique_ptr<Trigger> trigger =
      OpenTrigger(*type.scaler, types_[type.index], request, refusal.fields);
  if (trigger == nullptr) {
    // The fields say what is wrong; readers add them to the message.
    refusal.error = {.kind = ErrorKind::kBadParameter, .message = ""};
    return nullptr;
  }
  std::vector<MetricSpec> metrics = trigger->metrics();
  if (const std::string fault = FaultOf(request.type, metrics); !fault.empty()) {
    refusal = Fault(fault);
    return nullptr;
  }
  std::string key = fmt::format("{} {}", type.scaler_index, trigger->source_key());
  return std::make_shared<OpenedTrigger>(*type.scaler, std::move(trigger), std::move(metrics),
                                         std::move(key), types_[type.index].pushes);
}

std::shared_ptr<OpenedTrigger> OpenedTriggers::Open(const TriggerRequest& request,
                                                    Refusal& refusal) {
  if (!is_private_ && !(request.text.auth.empty() && request.text.env.empty())) {
    refusal = {.error = {.kind = ErrorKind::kDenied,
                         .message = "secrets are taken only over a Unix socket or TLS"}};
    return nullptr;
  }
  const std::string content = ContentHash(request);
  {
    base::MutexLock lock(mutex_);
    const auto found = shared_.find(content);
    if (found != shared_.end()) {
      if (auto trigger = found->second.lock()) return trigger;
    }
  }
  std::shared_ptr<OpenedTrigger> trigger;
  try {
    trigger = Make(request, refusal);
  } catch (const std::exception& e) {
    refusal = Fault(fmt::format("the scaler threw in Open: {}", e.what()));
  } catch (...) {
    refusal = Fault("the scaler threw in Open");
  }
  if (trigger == nullptr) return nullptr;
  base::MutexLock lock(mutex_);
  std::weak_ptr<OpenedTrigger>& shared = shared_[content];
  if (auto other = shared.lock()) return other;  // opened by another meanwhile
  shared = trigger;
  if (shared_.size() >= sweep_at_) {
    std::erase_if(shared_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 2 * shared_.size() + 1000;
  }
  return trigger;
}

std::shared_ptr<OpenedTrigger> OpenedTriggers::OpenForCall(const TriggerRequest& request,
                                                           Refusal& refusal) {
  std::shared_ptr<OpenedTrigger> trigger = Open(request, refusal);
  if (trigger == nullptr) return nullptr;
  const Clock::time_point now = Clock::now();
  KeptList dropped;  // destroyed without the lock
  base::MutexLock lock(mutex_);
  const auto [at, is_new] = kept_at_.try_emplace(trigger.get(), kept_.end());
  if (is_new) {
    at->second = kept_.insert(kept_.begin(), {.trigger = trigger, .used = now});
  } else {
    at->second->used = now;
    kept_.splice(kept_.begin(), kept_, at->second);
  }
  while (kept_.size() > kMaxKept || now - kept_.back().used > kKeepFor) {
    kept_at_.erase(kept_.back().trigger.get());
    dropped.splice(dropped.begin(), kept_, std::prev(kept_.end()));
  }
  return trigger;
}

}  // namespace neap::sdk
