// neapctl tune: a search over what an object may say, on the first part of a trace, and a verdict
// on the part that was not searched.
//
// The search: first all targets together over their whole range, the rest as given; then, while
// runs are left, the neighbours (one knob changed) of the best point whose neighbours were not
// tried. Better is: cheaper among those that meet the objective, else nearer to meeting it. The
// same object and trace give the same points in the same order.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/policy.h"
#include "tools/neapctl/progress.h"
#include "tools/neapctl/report/report.h"
#include "tools/neapctl/trial/outputs.h"
#include "tools/neapctl/trial/run.h"
#include "tools/neapctl/trial/tune_space.h"
#include "tools/neapctl/trial/workload.h"
#include "tools/neapctl/trial_commands.h"

namespace neap::ctl {
namespace {

constexpr size_t kMostVerified = 6;  // of points that meet the objective
constexpr size_t kMostMisses = 2;    // shown beside them

double CostOf(const sim::Result& result) { return FiguresOf(result).pod_hours; }

// How far from meeting: the worst term's value by its bound; below 1 all are met.
double Strain(const Objective& objective, const sim::Result& result) {
  double worst = 0;
  for (const ObjectiveTerm& term : objective.terms) {
    worst = std::max(worst, term.Of(result) / term.bound);
  }
  return worst;
}

// What came after the first part: the whole run, whose beginning is that part, without it.
sim::Result Rest(sim::Result whole, const sim::Result& first) {
  for (size_t i = 0; i < whole.targets.size(); ++i) {
    sim::TargetResult& target = whole.targets[i];
    const sim::TargetResult& before = first.targets[i];
    sim::Service& a = target.service;
    const sim::Service& b = before.service;
    for (int64_t sim::Service::* field :
         {&sim::Service::arrived, &sim::Service::served, &sim::Service::late,
          &sim::Service::timed_out, &sim::Service::refused, &sim::Service::reset,
          &sim::Service::wrong, &sim::Service::overflowed, &sim::Service::retries}) {
      a.*field -= b.*field;
    }
    a.waits.Remove(b.waits);
    a.latencies.Remove(b.latencies);
    target.pod_hours -= before.pod_hours;
  }
  whole.duration -= first.duration;
  return whole;
}

struct Tried {
  Point point = {};
  double cost = 0;
  double value = 0;   // of the objective's first term
  double strain = 0;  // meets below 1
  bool expanded = false;
  bool meets() const { return strain < 1; }
};

bool Better(const Tried& a, const Tried& b) {
  if (a.meets() != b.meets()) return a.meets();
  const auto key = [](const Tried& t) {
    return t.meets() ? std::pair(t.cost, t.strain) : std::pair(t.strain, t.cost);
  };
  return key(a) < key(b);
}

class Tuner {
 public:
  explicit Tuner(const TuneOptions& options) : options_(options) {}

  absl::StatusOr<int> Run() {
    NEAP_RETURN_IF_ERROR(Prepare());
    progress_.emplace(fmt::format("tuning {}", policy_->object.spec->key.Text()));
    Interrupt interrupt;
    NEAP_RETURN_IF_ERROR(Search());
    NEAP_RETURN_IF_ERROR(Verify());
    progress_.reset();
    return Report();
  }

 private:
  struct Verified {
    size_t tried = 0;  // index
    TunePoint::Part searched = {};
    TunePoint::Part held_out = {};
    bool meets() const { return searched.meets && held_out.meets; }
  };

  absl::Status Prepare() {
    NEAP_ASSIGN_OR_RETURN(Workload workload, WorkloadOf(options_.workload));
    NEAP_RETURN_IF_ERROR(NeedsTraceFile(options_.workload));
    if (options_.workload.objective.empty()) {
      return base::InvalidArgument("--objective: what is to be met, such as \"p99 wait < 1s\"");
    }
    objective_ = std::move(workload.objective);
    if (objective_.terms.empty()) {
      return base::InvalidArgument(
          "--objective: \"{}\" says when a request is late, not how many may be: add a share or a "
          "percentile, such as \"and late < 1%\" or \"p99 wait < 1s\"",
          objective_.text);
    }
    objects_ = ObjectOptions(options_.workload.scalers);
    NEAP_ASSIGN_OR_RETURN(policy_, sim::LoadPolicy(options_.file, objects_));
    NEAP_ASSIGN_OR_RETURN(Json document, ReadObjectDocument(options_.file));
    space_.emplace(std::move(document));
    NEAP_ASSIGN_OR_RETURN(facts_, sim::CompleteFacts(workload.facts, {*policy_}));
    for (const std::string& hint : facts_.hints) fmt::print(stderr, "hint: {}\n", hint);
    NEAP_ASSIGN_OR_RETURN(const sim::Scenario given, sim::ScenarioFor(*policy_, facts_));
    NEAP_RETURN_IF_ERROR(CheckObjective(objective_, given.spec));
    length_ = std::min(facts_.length, facts_.facts.duration.value_or(absl::InfiniteDuration()));
    split_ = absl::Floor(length_ * options_.part / 100, absl::Seconds(1));
    if (split_ < absl::Minutes(1) || length_ - split_ < absl::Minutes(1)) {
      return base::InvalidArgument(
          "{}: {} is too short to search {} % of it and to check on the rest: each part needs a "
          "minute",
          facts_.facts.trace, base::FormatDuration(length_), options_.part);
    }
    return absl::OkStatus();
  }

  // The object at that point, decoded like any file.
  absl::StatusOr<Job> JobOf(const Point& point, absl::Duration duration, uint64_t seed) {
    const std::string source = point == space_->given() ? options_.file : "tuned " + options_.file;
    NEAP_ASSIGN_OR_RETURN(const sim::Policy policy,
                          sim::ParsePolicy(ToYaml(space_->At(point)), source, objects_));
    Job job;
    NEAP_ASSIGN_OR_RETURN(job.scenario, sim::ScenarioFor(policy, facts_));
    job.scenario.spec.duration = duration;
    job.scenario.spec.world.seed = seed;
    job.options.recorder.series = false;
    assumptions_ = job.scenario.assumptions;
    return job;
  }

  absl::StatusOr<std::vector<sim::Result>> RunJobs(const std::vector<Job>& jobs, double from,
                                                   double to) {
    runs_ += jobs.size();
    return RunAll(jobs, [&](size_t done) {
      progress_->Update(
          from + (to - from) * static_cast<double>(done) / static_cast<double>(jobs.size()),
          fmt::format("{} points tried", tried_.size()));
      return !Interrupt::pressed();
    });
  }

  // Simulates those that are new, as many as are left of the budget.
  absl::Status Try(const std::vector<Point>& points) {
    std::vector<Point> fresh;
    std::vector<Job> jobs;
    for (const Point& point : points) {
      if (left() <= jobs.size()) break;
      if (!seen_.insert(point).second) continue;
      NEAP_ASSIGN_OR_RETURN(Job job, JobOf(point, split_, 1));
      jobs.push_back(std::move(job));
      fresh.push_back(point);
    }
    if (jobs.empty()) return absl::OkStatus();
    // The search is about two thirds of the work.
    const double budget = 1.5 * options_.runs;
    const double from = static_cast<double>(tried_.size()) / budget;
    NEAP_ASSIGN_OR_RETURN(const auto results,
                          RunJobs(jobs, from, from + static_cast<double>(jobs.size()) / budget));
    for (size_t i = 0; i < fresh.size(); ++i) {
      tried_.push_back({.point = fresh[i],
                        .cost = CostOf(results[i]),
                        .value = objective_.terms[0].Of(results[i]),
                        .strain = Strain(objective_, results[i])});
    }
    return absl::OkStatus();
  }
  size_t left() const {
    const auto runs = static_cast<size_t>(options_.runs);
    return runs > tried_.size() ? runs - tried_.size() : 0;
  }

  absl::Status Search() {
    std::vector<Point> first = {space_->given()};
    for (Point& point : space_->TargetSweep()) first.push_back(std::move(point));
    NEAP_RETURN_IF_ERROR(Try(first));
    while (left() > 0) {
      Tried* best = nullptr;
      for (Tried& one : tried_) {
        if (!one.expanded && (best == nullptr || Better(one, *best))) best = &one;
      }
      if (best == nullptr) break;
      best->expanded = true;
      const std::vector<Point> neighbours = space_->Neighbours(best->point);
      NEAP_RETURN_IF_ERROR(Try(neighbours));
    }
    return absl::OkStatus();
  }

  // Nobody is both cheaper and better.
  bool OnFront(const Tried& one) const {
    return std::none_of(tried_.begin(), tried_.end(), [&](const Tried& other) {
      return other.cost <= one.cost && other.value <= one.value &&
             (other.cost < one.cost || other.value < one.value);
    });
  }

  // The points to verify: the front's cheapest that meet the objective, its nearest misses, and the
  // object as it is.
  std::vector<size_t> Candidates() const {
    std::vector<size_t> order, out = {0};
    for (size_t i = 0; i < tried_.size(); ++i) {
      if (OnFront(tried_[i]) || (tried_[i].meets() && BestOf() == i)) order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return Better(tried_[a], tried_[b]); });
    size_t met = 0, missed = 0;
    for (const size_t i : order) {
      if (tried_[i].meets() ? met++ >= kMostVerified : missed++ >= kMostMisses) continue;
      if (i != 0) out.push_back(i);
    }
    return out;
  }
  size_t BestOf() const {
    const auto best = std::min_element(tried_.begin(), tried_.end(), Better);
    return static_cast<size_t>(best - tried_.begin());
  }

  absl::Status Verify() {
    const std::vector<size_t> candidates = Candidates();
    std::vector<Job> jobs;
    for (const size_t i : candidates) {
      for (int seed = 1; seed <= options_.seeds; ++seed) {
        for (const absl::Duration duration : {split_, length_}) {
          NEAP_ASSIGN_OR_RETURN(Job job,
                                JobOf(tried_[i].point, duration, static_cast<uint64_t>(seed)));
          jobs.push_back(std::move(job));
        }
      }
    }
    NEAP_ASSIGN_OR_RETURN(auto results, RunJobs(jobs, 0.67, 1));
    size_t at = 0;
    for (const size_t i : candidates) {
      Verified out{.tried = i};
      out.searched.meets = out.held_out.meets = true;
      for (int seed = 1; seed <= options_.seeds; ++seed, at += 2) {
        Account(results[at], out.searched);
        Account(Rest(std::move(results[at + 1]), results[at]), out.held_out);
      }
      verified_.push_back(std::move(out));
    }
    return absl::OkStatus();
  }
  // The mean cost, the worst seed's objective.
  void Account(const sim::Result& result, TunePoint::Part& part) const {
    part.cost += CostOf(result) / options_.seeds;
    part.objective = std::max(part.objective, objective_.terms[0].Of(result));
    part.meets = part.meets && objective_.Meets(result);
  }

  const Verified* Recommended() const {
    const Verified* best = nullptr;
    for (const Verified& one : verified_) {
      if (one.meets() && (best == nullptr || one.searched.cost < best->searched.cost)) best = &one;
    }
    return best;
  }

  std::string Verdict(const Verified* recommended) const {
    const Verified& given = verified_[0];
    if (recommended == &given) {
      return "The object as it is stays: nothing cheaper that was tried meets the objective on "
             "both "
             "parts.";
    }
    if (recommended != nullptr) {
      const double saved = 100 - 100 * recommended->held_out.cost / given.held_out.cost;
      return fmt::format(
          "The recommended point meets {} on the searched part and on the part that was held out, "
          "in each of {} seeds, {}.",
          objective_.text, options_.seeds,
          given.meets()
              ? fmt::format("with {:.1f} % fewer pod-hours there than the object as it is", saved)
              : "which the object as it is does not");
    }
    const Tried& best = tried_[BestOf()];
    const ObjectiveTerm& term = objective_.terms[0];
    if (!best.meets()) {
      return fmt::format(
          "Nothing is recommended: none of {} points meets {} on the searched part; "
          "the nearest has a {} of {}.",
          tried_.size(), objective_.text, term.name, ShowValue(term, best.value));
    }
    const auto nearest = std::min_element(verified_.begin(), verified_.end(),
                                          [](const Verified& a, const Verified& b) {
                                            return a.held_out.objective < b.held_out.objective;
                                          });
    return fmt::format(
        "Nothing is recommended: what meets {} on the searched part misses it on the part that was "
        "held out, or with another seed; the nearest has a {} of {} there.",
        objective_.text, term.name, ShowValue(term, nearest->held_out.objective));
  }

  TuneReport Result(const Verified* recommended) const {
    const ObjectiveTerm& term = objective_.terms[0];
    TuneReport out{.object = policy_->object.spec->key.Text(),
                   .objective = objective_.text,
                   .figure = term.name,
                   .unit = term.unit,
                   .limit = term.bound,
                   .cost_unit = "pod-hours",
                   .searched = fmt::format("the first {}", base::FormatDuration(split_)),
                   .held_out = fmt::format(
                       "the {} after it",
                       base::FormatDuration(absl::Ceil(length_ - split_, absl::Seconds(1)))),
                   .runs = runs_,
                   .verdict = Verdict(recommended),
                   .assumptions = assumptions_};
    for (size_t i = 0; i < tried_.size(); ++i) {
      TunePoint point;
      point.parameters = space_->Parameters(tried_[i].point, /*all=*/true);
      point.searched = {
          .cost = tried_[i].cost, .objective = tried_[i].value, .meets = tried_[i].meets()};
      point.as_given = i == 0;
      point.on_front = OnFront(tried_[i]);
      for (const Verified& one : verified_) {
        if (one.tried != i) continue;
        point.searched = one.searched;
        point.held_out = one.held_out;
        point.recommended = &one == recommended;
      }
      out.points.push_back(std::move(point));
    }
    return out;
  }

  absl::StatusOr<int> Report() {
    const Verified* recommended = Recommended();
    const TuneReport tune = Result(recommended);
    ReportMeta meta;
    meta.command = options_.command;
    meta.objective = objective_.wait;
    const Json patch =
        recommended == nullptr ? Json::object() : space_->Patch(tried_[recommended->tried].point);
    Json document = JsonTune(tune, meta);
    document["patch"] = patch;
    const TrialOutputs& out = options_.out;
    if (!out.report.empty()) NEAP_RETURN_IF_ERROR(WriteFile(out.report, HtmlTune(tune, meta)));
    if (!out.json.empty()) NEAP_RETURN_IF_ERROR(WriteFile(out.json, document.dump(2) + "\n"));
    if (!out.csv.empty()) {
      NEAP_RETURN_IF_ERROR(MakeDirectory(out.csv));
      NEAP_RETURN_IF_ERROR(WriteFile(out.csv + "/points.csv", TuneCsv(tune)));
    }
    std::string text = TextTune(tune, meta);
    if (!patch.empty()) {
      text += fmt::format("\nThe patch (kubectl patch --type merge --patch-file):\n\n{}",
                          ToYaml(patch));
    }
    Print(out.format, document, text);
    return recommended == nullptr ? kNo : kOk;
  }

  const TuneOptions& options_;
  Objective objective_;
  sim::ScenarioOptions objects_;
  std::optional<sim::Policy> policy_;
  std::optional<TuneSpace> space_;
  sim::CompletedFacts facts_;
  absl::Duration length_;
  absl::Duration split_;  // what is searched
  std::optional<Progress> progress_;
  std::set<Point> seen_;
  std::vector<Tried> tried_;        // the object as it is comes first
  std::vector<Verified> verified_;  // likewise
  std::vector<std::string> assumptions_;
  uint64_t runs_ = 0;
};

}  // namespace

int Tune(const TuneOptions& options) {
  const auto code = Tuner(options).Run();
  return code.ok() ? *code : FailTrial(code.status());
}

}  // namespace neap::ctl
