// Location: a parsed `valueLocation`, and the number it finds in an answer of its format. Used by
// the metrics-api scaler alone; no I/O. Immutable; thread-safe.
//
//   NEAP_ASSIGN_OR_RETURN(Location at, Location::Parse(Format::kYaml, "queue.0.length"));
//   absl::StatusOr<double> value = at.Read(body);
//
// A value is a number, or a text that is a Kubernetes quantity ("2k", "100m"). Anything else, a
// NaN, an infinity or a missing value is an error; it is never taken for zero.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "scalers/metrics-api/json_path.h"

namespace neap::scalers::metrics_api {

// json: json_path.h. yaml, xml: keys joined by dots ("\." is a dot in a key); a number picks from a
// list. In xml an attribute is "-name", and the path begins with the root element; repeated
// elements are a list; names match with or without their namespace prefix. prometheus: a selector
// `name{label="value",other!="x"}` over the text format; the first sample that matches counts.
enum class Format { kJson, kXml, kYaml, kPrometheus };

class Location {
 public:
  // Errors: InvalidArgument that quotes the path.
  static absl::StatusOr<Location> Parse(Format format, std::string_view path);

  // The value in `body`, finite. Errors: InvalidArgument when the body is not of the format,
  // NotFound when nothing is there, FailedPrecondition when what is there is no number.
  absl::StatusOr<double> Read(std::string_view body) const;

 private:
  using Keys = std::vector<std::string>;
  struct Selector {
    struct Matcher {
      std::string label;
      std::string value;
      bool equal = true;
    };
    std::string name;  // "" matches every name
    std::vector<Matcher> matchers;
  };
  static absl::StatusOr<Keys> ParseKeys(std::string_view path);
  static absl::StatusOr<Selector> ParseSelector(std::string_view path);
  absl::StatusOr<double> ReadJson(std::string_view body) const;
  absl::StatusOr<double> ReadYaml(std::string_view body) const;
  absl::StatusOr<double> ReadXml(std::string_view body) const;
  absl::StatusOr<double> ReadPrometheus(std::string_view body) const;
  // `text` as a number or quantity, or an error that names this path.
  absl::StatusOr<double> Quantity(std::string_view text) const;
  absl::Status Nothing() const;
  absl::Status NoNumber(std::string_view what) const;

  Format format_ = Format::kJson;
  std::string path_;
  std::variant<JsonPath, Keys, Selector> parsed_;
};

}  // namespace neap::scalers::metrics_api
