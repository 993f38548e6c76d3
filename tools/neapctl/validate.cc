// neapctl validate: every problem of every object in the files, as `file:line: field: message`.
#include <fmt/format.h>

#include "autoscaler/base/status.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/files.h"

namespace neap::ctl {
namespace {

namespace objects = kube::objects;

Json ProblemsToJson(const std::vector<objects::Problem>& problems) {
  Json out = Json::array();
  for (const objects::Problem& p : problems) {
    out.push_back(
        {{"line", p.line}, {"column", p.column}, {"field", p.path}, {"message", p.message}});
  }
  return out;
}

struct FileResult {
  Json document;
  std::string text;      // "FILE: 2 objects are valid"
  std::string problems;  // lines for stderr
  int objects = 0;
  int invalid = 0;
  bool readable = true;
};

void AddObject(const std::string& file, const objects::Decoded& object, FileResult& out) {
  ++out.objects;
  if (!object.errors.empty()) ++out.invalid;
  for (const objects::Problem& p : object.errors) out.problems += objects::Text(p, file) + "\n";
  for (const objects::Problem& p : object.warnings) {
    objects::Problem warning = p;
    warning.message = "warning: " + p.message;
    out.problems += objects::Text(warning, file) + "\n";
  }
  out.document["objects"].push_back(
      {{"kind", object.kind == core::ObjectKind::kHpa ? "HorizontalPodAutoscaler" : "Autoscaler"},
       {"namespace", object.key.ns},
       {"name", object.key.name},
       {"valid", object.errors.empty()},
       {"errors", ProblemsToJson(object.errors)},
       {"warnings", ProblemsToJson(object.warnings)}});
}

FileResult ValidateFile(const std::string& file) {
  FileResult out;
  out.document = {{"file", file}, {"objects", Json::array()}};
  const auto documents = ReadDocuments(file);
  if (!documents.ok()) {
    out.readable = documents.status().code() != absl::StatusCode::kNotFound;
    out.invalid = 1;
    out.problems = std::string(base::Message(documents.status())) + "\n";
    out.document["error"] = base::Message(documents.status());
    return out;
  }
  int passed_over = 0;
  for (const value::Value* document : objects::Flatten(*documents)) {
    const auto kind = objects::KindOf(*document);
    if (kind.ok() && !kind->has_value()) {
      ++passed_over;  // a Deployment beside its Autoscaler
    } else {
      AddObject(file, objects::DecodeDocument(*document, StrictOptions()), out);
    }
  }
  out.document["passedOver"] = passed_over;
  if (out.objects == 0) {
    out.invalid = 1;
    out.problems += fmt::format("{}: holds no Autoscaler and no HorizontalPodAutoscaler\n", file);
  } else {
    out.text = fmt::format("{}: {} of {} object{} valid{}\n", file, out.objects - out.invalid,
                           out.objects, out.objects == 1 ? "" : "s",
                           passed_over == 0 ? "" : fmt::format(", {} of other kinds", passed_over));
  }
  return out;
}

}  // namespace

int Validate(const ValidateOptions& options) {
  Json files = Json::array();
  std::string text;
  int code = kOk;
  for (const std::string& file : options.files) {
    FileResult result = ValidateFile(file);
    files.push_back(std::move(result.document));
    text += result.text;
    fmt::print(stderr, "{}", result.problems);
    if (!result.readable) {
      code = kFailed;
    } else if (result.invalid > 0 && code == kOk) {
      code = kNo;
    }
  }
  Print(options.format, {{"valid", code == kOk}, {"files", std::move(files)}}, text);
  return code;
}

}  // namespace neap::ctl
