// What `neapd --check-config` does beyond parsing flags and the config file: reads the kubeconfig
// that is named and the objects of dir: sources. Talks to nobody. Called by main.
#pragma once

#include <string>
#include <vector>

#include "autoscaler/app/options.h"
#include "autoscaler/kube/dir/dir.h"

namespace neap::app {

struct ConfigReport {
  std::vector<std::string> errors;  // "file:line: field: what is wrong"
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  // "dir:/etc/neap: 12 objects"
};

ConfigReport CheckConfig(const Options& options);

// How objects of dir: sources are read; the same for the check and for the daemon.
kube::dir::DirectoryOptions DirectoryOptionsOf(const std::string& source, const Options& options);

}  // namespace neap::app
