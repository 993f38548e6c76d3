// neapctl explain: why a count is what it is, step by step, and what would have to be different: of
// a decision in a journal or of a running neapd, as it was taken; or of an object and an
// observation in files, decided here and now by the code that neapd decides with.
#include <absl/time/clock.h>
#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/record/replay.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/explanation.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/neapds.h"
#include "tools/neapctl/object_key.h"
#include "tools/neapctl/observation.h"

namespace neap::ctl {
namespace {

namespace objects = kube::objects;

// The two documents that the files must hold between them.
struct Pair {
  std::optional<objects::Decoded> object;
  std::string observation_file;
  std::vector<value::Value> kept;  // owns what `observation` points into
  const value::Value* observation = nullptr;
};

absl::Status Collect(const std::string& file, Pair& out) {
  NEAP_ASSIGN_OR_RETURN(std::vector<value::Value> documents, ReadDocuments(file));
  for (const value::Value* document : objects::Flatten(documents)) {
    if (IsObservation(*document)) {
      if (out.observation != nullptr) {
        return base::InvalidArgument("{}:{}: a second Observation", file, document->line());
      }
      out.observation_file = file;
      out.kept = {*document};
      out.observation = out.kept.data();
      continue;
    }
    NEAP_ASSIGN_OR_RETURN(const auto kind, objects::KindOf(*document));
    if (!kind) continue;
    if (out.object) {
      return base::InvalidArgument("{}:{}: a second object: explain one at a time", file,
                                   document->line());
    }
    out.object = objects::DecodeDocument(*document, StrictOptions());
    if (!out.object->errors.empty()) {
      return base::InvalidArgument("{}", objects::Text(out.object->errors, file));
    }
  }
  return absl::OkStatus();
}

absl::Status ExplainFiles(const ExplainOptions& options) {
  Pair pair;
  for (const std::string& file : options.files) NEAP_RETURN_IF_ERROR(Collect(file, pair));
  if (!pair.object) {
    return base::InvalidArgument("no Autoscaler or HorizontalPodAutoscaler in these files");
  }
  if (pair.observation == nullptr) {
    return base::InvalidArgument("no document of kind Observation in these files");
  }
  record::FoundRecord found;
  found.spec = *pair.object->spec;
  std::vector<objects::Problem> problems;
  WrittenObservation written =
      DecodeObservation(*pair.observation, found.spec, absl::Now(), problems);
  if (!problems.empty()) {
    return base::InvalidArgument("{}", objects::Text(problems, pair.observation_file));
  }
  found.options = written.options;
  found.seen = std::move(written.seen);
  found.seen.previous = pair.object->status;
  found.before = std::move(written.past);
  found.decision = core::Decide(found.options, found.spec, found.seen.View(), found.before);
  const Explanation explanation = ExplainRecord(found);
  Print(options.format, explanation.document, explanation.text);
  return absl::OkStatus();
}

// ---- a decision of a journal or of a running neapd

// What is asked of neapd is the object's next decision; its period may be some minutes.
constexpr absl::Duration kPatience = absl::Seconds(90);

absl::StatusOr<std::string> RecordsOf(const std::string& server, const core::ObjectKey& key) {
  NEAP_ASSIGN_OR_RETURN(Answered answer, AskAddress(server, "/records",
                                                    {{"object", key.Text()},
                                                     {"wait", base::FormatDuration(kPatience)}},
                                                    kPatience + absl::Seconds(10)));
  if (answer.status == 200) return std::move(answer.body);
  return base::Unavailable("{}", answer.Refusal());
}

absl::StatusOr<record::FoundRecord> FindRecorded(const ExplainOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const core::ObjectKey key, ParseKey(options.object));
  absl::Time at = absl::InfiniteFuture();
  if (!options.at.empty()) {
    const auto parsed = base::ParseTime(options.at);
    if (!parsed.ok()) return base::Annotate(parsed.status(), "--at");
    // Times are shown to the microsecond, cut: one that was shown finds its decision.
    at = *parsed + absl::Microseconds(1) - absl::Nanoseconds(1);
  }
  if (options.server.empty()) {
    if (options.files.size() != 1) {
      return base::InvalidArgument("--object NAMESPACE/NAME is of one journal, {} are named",
                                   options.files.size());
    }
    return record::FindRecord(options.files[0], key, at);
  }
  if (!options.files.empty()) {
    return base::InvalidArgument("--server and {}: explain one of them", options.files[0]);
  }
  NEAP_ASSIGN_OR_RETURN(std::string segment, RecordsOf(options.server, key));
  return record::FindRecordIn(options.server, std::move(segment), key, at);
}

absl::Status ExplainRecorded(const ExplainOptions& options) {
  NEAP_ASSIGN_OR_RETURN(record::FoundRecord found, FindRecorded(options));
  const Explanation explanation = ExplainRecord(found);
  Print(options.format, explanation.document, explanation.text);
  return absl::OkStatus();
}

}  // namespace

int Explain(const ExplainOptions& options) {
  const bool recorded = !options.object.empty() || !options.server.empty();
  if (!recorded && options.files.empty()) {
    PrintError("explain: name files, a journal with --object, or --server");
    return kFailed;
  }
  const absl::Status status = recorded ? ExplainRecorded(options) : ExplainFiles(options);
  if (status.ok()) return kOk;
  if (recorded) {
    PrintError(base::Message(status));
    return kFailed;
  }
  fmt::print(stderr, "{}\n", base::Message(status));  // file:line: field: message
  return status.code() == absl::StatusCode::kNotFound ? kFailed : kNo;
}

}  // namespace neap::ctl
