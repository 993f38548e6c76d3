// The one decision of Neap: live, dry run, shadow, simulation, replay and explanation all call
// these three pure functions. Values in, values out; no clock, no I/O, no global state; the same
// arguments give the same answer. Thread-safe.
//
//   Decision d = Decide(options, spec, seen, past);            // what should be
//   ... if (d.rescale) send one PATCH, learn its result ...
//   Outcome o = Remember(options, spec, seen, d, result, std::move(past));  // what to keep, report
//   and announce puts(Explain(spec, d).c_str());
#pragma once

#include <string>

#include "autoscaler/core/decision.h"
#include "autoscaler/core/history.h"
#include "autoscaler/core/observation.h"
#include "autoscaler/core/spec.h"

namespace neap::core {

Decision Decide(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
                const History& past);
// The same in place of `decision`, whose memory it takes over.
void Decide(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
            const History& past, Decision& decision);

Outcome Remember(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
                 const Decision& decision, const ApplyResult& result, History past);
// The same in place: `outcome` holds the history and the status before and becomes the outcome;
// what does not change is not touched. `seen.previous` equals that status and lies elsewhere.
void Remember(const HpaOptions& options, const AutoscalerSpec& spec, const Observation& seen,
              const Decision& decision, const ApplyResult& result, Outcome& outcome);

// A change of the count that another controller made at `at`, for an object whose shadow it is:
// becomes the scale event and the recommendation that it is for that one, and the time of the last
// scale, as if we had applied it.
void RememberOthers(const HpaOptions& options, const AutoscalerSpec& spec, int32_t from, int32_t to,
                    absl::Time at, Outcome& outcome);

// The decision's steps in words, one line each, for people who know the HPA.
std::string Explain(const AutoscalerSpec& spec, const Decision& decision);

// Whether `selector` matches at least one of these label sets: the HPA's test for two autoscalers
// that overlap.
bool MatchesAnyPod(const base::Selector& selector, std::span<const base::Labels* const> label_sets);

}  // namespace neap::core
