#include <cstdlib>
#include <string_view>
#include <vector>

#include "scalers/kubernetes-metrics/kubernetes_metrics_scaler.h"

// `--kubeconfig FILE` or `--kubeconfig=FILE` is NEAP_KUBECONFIG; all other flags are Serve's.
int main(int argc, char** argv) {
  constexpr std::string_view kFlag = "--kubeconfig";
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == kFlag && i + 1 < argc) {
      setenv("NEAP_KUBECONFIG", argv[++i], 1);
    } else if (argument.starts_with("--kubeconfig=")) {
      setenv("NEAP_KUBECONFIG", argv[i] + kFlag.size() + 1, 1);
    } else {
      rest.push_back(argv[i]);
    }
  }
  const int count = static_cast<int>(rest.size());
  rest.push_back(nullptr);
  return neap::sdk::Serve(neap::scalers::kubernetes_metrics::Make(), count, rest.data());
}
