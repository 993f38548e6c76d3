// What `tune` may change of an object: target values, stabilization windows, scaling policies. Each
// is a knob with levels; a point is one level of each knob, and stands for the object's document
// with these levels written into it. Used by tune.cc; pure but for ReadObjectDocument.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tools/neapctl/output.h"

namespace neap::ctl {

struct Knob {
  std::string field = {};  // "metrics[0].resource.target.averageUtilization"
  struct Level {
    std::string text = {};           // as YAML has it
    std::function<void(Json&)> set;  // into the document; not for the level as given
  };
  std::vector<Level> levels = {};
  size_t given = 0;     // the level of the object as it is
  bool ordered = true;  // neighbours are the next levels; else all are
  bool target = false;  // of a metric or trigger
};

// A level of each knob, in their order.
using Point = std::vector<size_t>;

class TuneSpace {
 public:
  // `document` is an Autoscaler or HorizontalPodAutoscaler that was decoded without errors.
  explicit TuneSpace(Json document);

  const std::vector<Knob>& knobs() const { return knobs_; }
  Point given() const;
  // All targets one level down or up and so on, the rest as given: one point per step.
  std::vector<Point> TargetSweep() const;
  // Those that differ from `point` in one knob.
  std::vector<Point> Neighbours(const Point& point) const;
  // The object at that point.
  Json At(const Point& point) const;
  // A merge patch that makes the object so; an empty map when nothing differs.
  Json Patch(const Point& point) const;
  // Fields and values that differ from the object as it is, or all knobs' when `all`.
  std::vector<std::pair<std::string, std::string>> Parameters(const Point& point, bool all) const;

 private:
  void AddTargets();
  void AddTarget(std::string field, const std::vector<std::string>& path, bool percent);
  void AddWindow(const char* direction, long long fallback, std::vector<long long> choices);
  void AddPolicies(const char* direction, const std::vector<std::pair<std::string, Json>>& choices);

  Json document_;
  std::vector<Knob> knobs_;
};

// The only Autoscaler or HorizontalPodAutoscaler of the file, as data. Its errors are those of
// sim::LoadPolicy, which must have taken the file.
absl::StatusOr<Json> ReadObjectDocument(const std::string& file);

}  // namespace neap::ctl
