#include "tools/neapctl/trial/tune_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/manifests.h"

namespace neap::ctl {
namespace {

using Path = std::vector<std::string>;

// Of the target as given, percent.
constexpr std::array<int64_t, 13> kFactors = {30,  40,  50,  60,  70,  80, 90,
                                              100, 110, 125, 140, 160, 200};
constexpr int64_t kMostUtilization = 95;  // percent; beyond it there is no room to see more load

Json DocumentOf(const value::Value& value) {
  switch (value.kind()) {
    case value::Kind::kNull:
      return nullptr;
    case value::Kind::kBool:
      return value.AsBool();
    case value::Kind::kInt:
      return value.AsInt();
    case value::Kind::kReal:
      return value.AsReal();
    case value::Kind::kString:
      return value.AsString();
    case value::Kind::kList: {
      Json out = Json::array();
      for (const value::Value& one : value.list()) out.push_back(DocumentOf(one));
      return out;
    }
    case value::Kind::kMap: {
      Json out = Json::object();
      for (const auto& [key, one] : value.map()) out[key] = DocumentOf(one);
      return out;
    }
  }
  return nullptr;
}

// A step that is all digits is a position in a list.
const Json* Find(const Json& document, const Path& path) {
  const Json* at = &document;
  for (const std::string& step : path) {
    if (at->is_array()) {
      at = &(*at)[std::stoul(step)];
    } else if (at->is_object() && at->contains(step)) {
      at = &(*at)[step];
    } else {
      return nullptr;
    }
  }
  return at;
}

void Set(Json& document, const Path& path, Json value) {
  Json* at = &document;
  for (const std::string& step : path) {
    at = at->is_array() ? &(*at)[std::stoul(step)] : &(*at)[step];
  }
  *at = std::move(value);
}

// Of memory no target is better than another: it does not follow the load in these worlds.
bool IsMemory(const Json& metric, const char* source) {
  return metric.contains(source) && metric[source].value("name", "") == "memory";
}

// Two significant digits, at least one thousandth.
int64_t Rounded(int64_t milli) {
  int64_t unit = 1;
  while (milli / unit >= 100) unit *= 10;
  return std::max<int64_t>(1, (milli + unit / 2) / unit * unit);
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json Policies(std::initializer_list<std::array<int, 3>> policies) {  // {percent or pods, value, s}
  Json out = Json::array();
  for (const auto& [percent, value, period] : policies) {
    out.push_back(
        {{"type", percent != 0 ? "Percent" : "Pods"}, {"value", value}, {"periodSeconds", period}});
  }
  return out;
}

}  // namespace

TuneSpace::TuneSpace(Json document) : document_(std::move(document)) {
  Json& spec = document_["spec"];
  if (!spec.contains("metrics") && !spec.contains("triggers")) {  // the HPA's default
    spec["metrics"] = Json::array(
        {{{"type", "Resource"},
          {"resource",
           {{"name", "cpu"}, {"target", {{"type", "Utilization"}, {"averageUtilization", 80}}}}}}});
  }
  AddTargets();
  AddWindow("scaleDown", 300, {0, 60, 120, 300, 600, 900});
  AddWindow("scaleUp", 0, {0, 30, 60});
  AddPolicies("scaleUp", {{"100 % or 4 pods per 15 s", Policies({{1, 100, 15}, {0, 4, 15}})},
                          {"300 % per 15 s", Policies({{1, 300, 15}})},
                          {"50 % per 60 s", Policies({{1, 50, 60}})}});
  AddPolicies("scaleDown", {{"100 % per 15 s", Policies({{1, 100, 15}})},
                            {"10 % per 60 s", Policies({{1, 10, 60}})},
                            {"50 % per 60 s", Policies({{1, 50, 60}})}});
}

void TuneSpace::AddTargets() {
  static constexpr std::array<std::pair<const char*, const char*>, 5> kSources = {
      {{"Resource", "resource"},
       {"ContainerResource", "containerResource"},
       {"Pods", "pods"},
       {"Object", "object"},
       {"External", "external"}}};
  static constexpr std::array<std::string_view, 3> kTargets = {"averageUtilization", "averageValue",
                                                               "value"};
  const Json& spec = document_["spec"];
  const Json metrics = spec.value("metrics", Json::array());
  for (size_t i = 0; i < metrics.size(); ++i) {
    for (const auto& [type, key] : kSources) {
      if (metrics[i].value("type", "") != type) continue;
      if (IsMemory(metrics[i], key)) continue;
      for (const std::string_view target : kTargets) {
        const Path path = {"spec", "metrics", std::to_string(i),
                           key,    "target",  std::string(target)};
        if (Find(document_, path) == nullptr) continue;
        AddTarget(fmt::format("metrics[{}].{}.target.{}", i, key, target), path,
                  target == kTargets[0]);
      }
    }
  }
  const Json triggers = spec.value("triggers", Json::array());
  for (size_t i = 0; i < triggers.size(); ++i) {
    const std::string type = triggers[i].value("type", "");
    if (type == "memory") continue;
    const bool resource = type == "cpu";
    const catalog::TriggerType* known = FindTriggerType(type);
    const std::string parameter = resource           ? "value"
                                  : known == nullptr ? ""
                                                     : known->target_parameter;
    const Path path = {"spec", "triggers", std::to_string(i), "metadata", parameter};
    if (parameter.empty() || Find(document_, path) == nullptr) continue;
    AddTarget(fmt::format("triggers[{}].metadata.{}", i, parameter), path,
              resource && triggers[i].value("metricType", "Utilization") == "Utilization");
  }
}

void TuneSpace::AddTarget(std::string field, const Path& path, bool percent) {
  const Json& value = *Find(document_, path);
  const auto given = base::Quantity::Parse(TextOf(value));
  if (!given.ok() || given->Milli() <= 0) return;  // of a form that nothing is multiplied with
  Knob knob;
  knob.field = std::move(field);
  knob.target = true;
  std::set<int64_t> levels;  // thousandths
  for (const int64_t factor : kFactors) {
    int64_t milli = factor == 100 ? given->Milli() : Rounded(given->Milli() * factor / 100);
    if (percent && factor != 100) {
      milli = std::max<int64_t>(1000, milli / 1000 * 1000);
      if (milli > kMostUtilization * 1000) continue;
    }
    levels.insert(milli);
  }
  for (const int64_t milli : levels) {
    if (milli == given->Milli()) {
      knob.given = knob.levels.size();
      knob.levels.push_back({.text = TextOf(value), .set = [](Json&) {}});
      continue;
    }
    const std::string text = base::FormatMilli(milli, given->format());
    Json written = value.is_number_integer() && milli % 1000 == 0 ? Json(milli / 1000) : Json(text);
    knob.levels.push_back(
        {.text = text, .set = [path, written](Json& document) { Set(document, path, written); }});
  }
  knobs_.push_back(std::move(knob));
}

void TuneSpace::AddWindow(const char* direction, long long fallback,
                          std::vector<long long> choices) {
  const Path path = {"spec", "behavior", direction, "stabilizationWindowSeconds"};
  const Json* value = Find(document_, path);
  const long long given = value == nullptr ? fallback : value->get<long long>();
  if (std::find(choices.begin(), choices.end(), given) == choices.end()) choices.push_back(given);
  std::sort(choices.begin(), choices.end());
  Knob knob;
  knob.field = fmt::format("behavior.{}.stabilizationWindowSeconds", direction);
  for (const long long seconds : choices) {
    if (seconds == given) {
      knob.given = knob.levels.size();
      knob.levels.push_back({.text = std::to_string(given), .set = [](Json&) {}});
    } else {
      knob.levels.push_back(
          {.text = std::to_string(seconds),
           .set = [path, seconds](Json& document) { Set(document, path, seconds); }});
    }
  }
  knobs_.push_back(std::move(knob));
}

void TuneSpace::AddPolicies(const char* direction,
                            const std::vector<std::pair<std::string, Json>>& choices) {
  const Path path = {"spec", "behavior", direction, "policies"};
  const Path select = {"spec", "behavior", direction, "selectPolicy"};
  // Somebody forbade this direction: that is no matter of tuning.
  if (const Json* policy = Find(document_, select)) {
    if (TextOf(*policy) == "Disabled") return;
  }
  const Json* value = Find(document_, path);
  Knob knob;
  knob.field = fmt::format("behavior.{}.policies", direction);
  knob.ordered = false;
  knob.levels.push_back({.text = "as given", .set = [](Json&) {}});
  for (size_t i = 0; i < choices.size(); ++i) {
    const auto& [text, policies] = choices[i];
    // The first choice is the HPA's default.
    if (value == nullptr ? i == 0 : *value == policies) continue;
    knob.levels.push_back({.text = text, .set = [path, list = policies](Json& document) {
                             Set(document, path, list);
                           }});
  }
  knobs_.push_back(std::move(knob));
}

Point TuneSpace::given() const {
  Point out;
  for (const Knob& knob : knobs_) out.push_back(knob.given);
  return out;
}

std::vector<Point> TuneSpace::TargetSweep() const {
  std::vector<Point> out;
  const int steps = static_cast<int>(kFactors.size());
  for (int by = -steps; by <= steps; ++by) {
    Point point = given();
    bool moved = false;
    for (size_t i = 0; i < knobs_.size(); ++i) {
      if (!knobs_[i].target) continue;
      const int last = static_cast<int>(knobs_[i].levels.size()) - 1;
      const int level = std::clamp(static_cast<int>(point[i]) + by, 0, last);
      moved = moved || level != static_cast<int>(point[i]);
      point[i] = static_cast<size_t>(level);
    }
    if (moved && std::find(out.begin(), out.end(), point) == out.end()) out.push_back(point);
  }
  return out;
}

std::vector<Point> TuneSpace::Neighbours(const Point& point) const {
  std::vector<Point> out;
  for (size_t i = 0; i < knobs_.size(); ++i) {
    for (size_t level = 0; level < knobs_[i].levels.size(); ++level) {
      const size_t distance = level > point[i] ? level - point[i] : point[i] - level;
      if (distance == 0 || (knobs_[i].ordered && distance > 1)) continue;
      Point other = point;
      other[i] = level;
      out.push_back(std::move(other));
    }
  }
  return out;
}

Json TuneSpace::At(const Point& point) const {
  Json out = document_;
  for (size_t i = 0; i < knobs_.size(); ++i) {
    if (point[i] != knobs_[i].given) knobs_[i].levels[point[i]].set(out);
  }
  return out;
}

Json TuneSpace::Patch(const Point& point) const {
  const Json object = At(point);
  Json spec = Json::object();
  for (const char* part : {"metrics", "triggers", "behavior"}) {
    const Json& before = document_["spec"];
    const Json& after = object["spec"];
    if (after.contains(part) && (!before.contains(part) || before[part] != after[part])) {
      spec[part] = after[part];
    }
  }
  if (spec.empty()) return Json::object();
  return {{"spec", std::move(spec)}};
}

std::vector<std::pair<std::string, std::string>> TuneSpace::Parameters(const Point& point,
                                                                       bool all) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (size_t i = 0; i < knobs_.size(); ++i) {
    if (all || point[i] != knobs_[i].given) {
      out.emplace_back(knobs_[i].field, knobs_[i].levels[point[i]].text);
    }
  }
  return out;
}

absl::StatusOr<Json> ReadObjectDocument(const std::string& file) {
  NEAP_ASSIGN_OR_RETURN(const auto documents, ReadDocuments(file));
  for (const value::Value* document : kube::objects::Flatten(documents)) {
    NEAP_ASSIGN_OR_RETURN(const auto kind, kube::objects::KindOf(*document));
    if (kind) return DocumentOf(*document);
  }
  return base::InvalidArgument("{}: holds no Autoscaler and no HorizontalPodAutoscaler", file);
}

}  // namespace neap::ctl
