// The sub-commands of `kubectl neap` (kubectl-neap is neapctl by another name), and `shadow`, which
// neapctl has too. As in commands.h.
#pragma once

#include <string>

#include "tools/neapctl/neapds.h"
#include "tools/neapctl/output.h"

namespace neap::ctl {

struct KubeOptions {
  ClusterFlags cluster;
  std::string name;  // of the Autoscaler, for explain, pause and resume
  Format format = Format::kTable;
};

// The Autoscalers of a namespace, or of all, with what their conditions say.
int KubeStatus(const KubeOptions& options);
// Why the count of one is what it is, by the neapd that decides it.
int KubeExplain(const KubeOptions& options);
// What Neap would have decided for the HPAs that it shadows, against what their controller did.
int Shadow(const KubeOptions& options);
// Mode Paused, and back to the mode before.
int KubePause(const KubeOptions& options);
int KubeResume(const KubeOptions& options);

// The whole command line of `kubectl neap`, in kubectl_main.cc.
int KubectlMain(int argc, char** argv);

}  // namespace neap::ctl
