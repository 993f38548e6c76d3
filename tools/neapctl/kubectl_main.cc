// kubectl neap: the command line of neapctl when it is called kubectl-neap.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "autoscaler/base/version.h"
#include "tools/neapctl/command_line.h"
#include "tools/neapctl/kubectl_commands.h"

namespace neap::ctl {
namespace {

void AddCluster(CLI::App& command, ClusterFlags& flags, bool all_namespaces) {
  CLI::Option* ns =
      command.add_option("-n,--namespace", flags.ns, "Default: the context's")->type_name("NAME");
  if (all_namespaces) {
    command.add_flag("-A,--all-namespaces", flags.all_namespaces, "Of all namespaces")
        ->excludes(ns);
  }
  command.add_option("--context", flags.context, "Of the kubeconfig; default: its current one")
      ->type_name("NAME");
  command.add_option("--kubeconfig", flags.kubeconfig, "Default: $KUBECONFIG, then ~/.kube/config")
      ->type_name("FILE");
}

void AddNeapd(CLI::App& command, ClusterFlags& flags) {
  CLI::Option* address =
      command
          .add_option("--address", flags.address,
                      "A running neapd, by its --listen-address; default: those in the cluster, "
                      "through the API server")
          ->type_name("URL");
  command
      .add_option("--neap-namespace", flags.neap_namespace,
                  "Where neapd is looked for; default: all namespaces")
      ->type_name("NAME")
      ->excludes(address);
}

}  // namespace

int KubectlMain(int argc, char** argv) {
  SetProgram("kubectl neap");
  CLI::App app("kubectl neap: see and steer what Neap does", "kubectl neap");
  app.require_subcommand(1);
  app.footer(kExitCodes);
  app.set_version_flag("--version", fmt::format("kubectl-neap {}", base::Version()));
  int code = kOk;

  KubeOptions status;
  CLI::App* command = AddCommand(
      app, "status", "Show Autoscalers, and what their conditions say that wants attention",
      "  kubectl neap status\n"
      "  kubectl neap status -A\n",
      &status.format);
  AddCluster(*command, status.cluster, /*all_namespaces=*/true);
  command->callback([&] { code = KubeStatus(status); });

  const auto add_name = [](CLI::App& to, KubeOptions& options) {
    to.add_option("autoscaler", options.name, "Name of the Autoscaler")
        ->required()
        ->type_name("NAME");
  };
  KubeOptions explain;
  command = AddCommand(app, "explain",
                       "Explain an Autoscaler's last decision step by step, and what would have to "
                       "be different for another one; the first question waits for its next "
                       "decision",
                       "  kubectl neap explain checkout -n shop\n", &explain.format);
  add_name(*command, explain);
  AddCluster(*command, explain.cluster, /*all_namespaces=*/false);
  AddNeapd(*command, explain.cluster);
  command->callback([&] { code = KubeExplain(explain); });

  KubeOptions shadow;
  command =
      AddCommand(app, "shadow",
                 "Compare what Neap would have decided for HorizontalPodAutoscalers with what "
                 "their controller did (neapd --shadow-hpas)",
                 "  kubectl neap shadow -A\n", &shadow.format);
  AddCluster(*command, shadow.cluster, /*all_namespaces=*/true);
  AddNeapd(*command, shadow.cluster);
  command->callback([&] { code = Shadow(shadow); });

  KubeOptions pause;
  command = AddCommand(app, "pause", "Pause an Autoscaler: its replicas stay as they are",
                       "  kubectl neap pause checkout -n shop\n", nullptr);
  add_name(*command, pause);
  AddCluster(*command, pause.cluster, /*all_namespaces=*/false);
  command->callback([&] { code = KubePause(pause); });

  KubeOptions resume;
  command = AddCommand(app, "resume", "Give a paused Autoscaler the mode back that it had",
                       "  kubectl neap resume checkout -n shop\n", nullptr);
  add_name(*command, resume);
  AddCluster(*command, resume.cluster, /*all_namespaces=*/false);
  command->callback([&] { code = KubeResume(resume); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kFailed;
  }
  return code;
}

}  // namespace neap::ctl
