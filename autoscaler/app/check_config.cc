#include "autoscaler/app/check_config.h"

#include <fmt/format.h>

#include "autoscaler/base/status.h"
#include "autoscaler/kube/api/config.h"

namespace neap::app {

kube::dir::DirectoryOptions DirectoryOptionsOf(const std::string& source, const Options& options) {
  kube::dir::DirectoryOptions out;
  out.path = source.substr(std::string_view("dir:").size());
  out.decode.default_period = options.sync_period;
  out.decode.scale_to_zero = options.hpa.scale_to_zero;
  return out;
}

ConfigReport CheckConfig(const Options& options) {
  ConfigReport report;
  if (!options.kubeconfig.empty()) {
    const auto cluster = kube::api::LoadKubeconfig(options.kubeconfig, options.context);
    if (cluster.ok()) {
      report.notes.push_back(fmt::format("{}: server {}", Describe(*cluster), cluster->server));
    } else {
      report.errors.emplace_back(base::Message(cluster.status()));
    }
  }
  for (const std::string& source : options.sources) {
    if (!source.starts_with("dir:")) continue;
    kube::dir::Directory directory(DirectoryOptionsOf(source, options));
    kube::dir::Scanned scanned = directory.Scan(absl::UnixEpoch());
    report.errors.insert(report.errors.end(), scanned.errors.begin(), scanned.errors.end());
    report.warnings.insert(report.warnings.end(), scanned.warnings.begin(), scanned.warnings.end());
    report.notes.push_back(fmt::format("{}: {} valid objects", source, directory.object_count()));
  }
  return report;
}

}  // namespace neap::app
