#include "autoscaler/sim/world_file.h"

#include <filesystem>
#include <utility>

#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/world_decoder.h"

namespace neap::sim {
namespace {

namespace objects = kube::objects;
using value::Value;

}  // namespace

absl::StatusOr<WorldSpec> ParseWorld(std::string_view text, std::string_view source,
                                     const std::string& folder) {
  NEAP_ASSIGN_OR_RETURN(const std::vector<Value> documents, value::ParseYaml(text, source));
  if (documents.size() != 1) {
    return base::InvalidArgument("{}: expected one document, found {}", source, documents.size());
  }
  if (!documents[0].is_map()) return base::InvalidArgument("{}: expected a map", source);
  const objects::DecodeOptions options;
  objects::Decoded decoded;
  objects::Report report(options, decoded);
  objects::Fields root(&documents[0], "", report, WorldDecoder::Names());
  WorldDecoder decoder(report, folder);
  decoder.Decode(root);
  if (decoded.errors.empty()) return std::move(decoder.world());
  return base::InvalidArgument("{}", objects::Text(decoded.errors, source));
}

absl::StatusOr<WorldSpec> LoadWorldFile(const std::string& path) {
  NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  return ParseWorld(text, path, std::filesystem::path(path).parent_path().string());
}

}  // namespace neap::sim
