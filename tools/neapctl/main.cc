// neapctl: Neap's tool for people. This file holds the command line alone (CLI11 is slow to
// compile); what the sub-commands do is in the file of each.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "autoscaler/base/version.h"
#include "tools/neapctl/command_line.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/kubectl_commands.h"

namespace neap::ctl {
namespace {

void AddAddress(CLI::App& command, ScalerAddress& scaler) {
  command.add_option("address", scaler.address, "unix:///path of a socket, or host:port")
      ->required()
      ->type_name("ADDRESS");
  command.add_flag("--tls", scaler.tls, "Speak TLS and trust the system's authorities");
  command.add_option("--ca-file", scaler.ca_file, "Speak TLS and trust these authorities")
      ->type_name("FILE");
  command.add_option("--cert-file", scaler.cert_file, "Our certificate; with --key-file")
      ->type_name("FILE");
  command.add_option("--key-file", scaler.key_file, "Its private key")->type_name("FILE");
  command.add_option("--server-name", scaler.server_name, "The name that its certificate is for")
      ->type_name("NAME");
}

void AddRecord(CLI::App& command, RecordOptions& record) {
  command.add_option("--prometheus", record.prometheus, "The server's URL, without /api/v1")
      ->required()
      ->type_name("URL");
  command.add_option("--query", record.query, "PromQL of the load per second: one series")
      ->required()
      ->type_name("PROMQL");
  CLI::Option* replicas =
      command.add_option("--replicas-query", record.replicas_query, "PromQL of the replicas")
          ->type_name("PROMQL");
  CLI::Option* deployment = command
                                .add_option("--deployment", record.deployment,
                                            "Whose replicas, as kube-state-metrics tells them")
                                ->type_name("NAME")
                                ->excludes(replicas);
  command.add_option("-n,--namespace", record.ns, "Its namespace")
      ->type_name("NAME")
      ->needs(deployment);
  command
      .add_option("--from", record.from,
                  "When it begins: a time, or how long ago; default 24h (a day ago)")
      ->type_name("TIME");
  command.add_option("--to", record.to, "When it ends; default now")->type_name("TIME");
  command.add_option("--step", record.step, "Between two rows; default 15s")->type_name("TIME");
  command.add_option("-o,--output", record.output, "The CSV that is written; - is stdout")
      ->required()
      ->type_name("FILE");
  const std::string access = "Access";
  CLI::Option* user = command.add_option("--username", record.username, "Basic authentication")
                          ->type_name("NAME")
                          ->group(access);
  command.add_option("--password", record.password, "Its password")
      ->type_name("TEXT|@FILE")
      ->needs(user)
      ->group(access);
  command.add_option("--bearer-token", record.bearer_token, "Bearer authentication")
      ->type_name("TEXT|@FILE")
      ->excludes(user)
      ->group(access);
  command.add_option("--header", record.headers, "A further header")
      ->type_name("NAME=VALUE|NAME=@FILE")
      ->group(access);
  command.add_option("--query-parameter", record.parameters, "A further parameter of each query")
      ->type_name("NAME=VALUE|NAME=@FILE")
      ->group(access);
  command.add_option("--ca-file", record.ca_file, "Trust these authorities, not the system's")
      ->type_name("FILE")
      ->group(access);
  CLI::Option* cert = command.add_option("--cert-file", record.cert_file, "Our certificate")
                          ->type_name("FILE")
                          ->group(access);
  command.add_option("--key-file", record.key_file, "Its private key")
      ->type_name("FILE")
      ->needs(cert)
      ->group(access);
  command.add_option("--server-name", record.server_name, "The name that its certificate is for")
      ->type_name("NAME")
      ->group(access);
  command.add_flag("--unsafe-ssl", record.unsafe_ssl, "Trust any certificate")->group(access);
  command.add_option("--timeout", record.timeout_seconds, "Of each request, in seconds")
      ->check(CLI::Range(0.001, 3600.0).description(""))
      ->type_name("SECONDS")
      ->group(access);
}

int Main(int argc, char** argv) {
  // kubectl runs the program kubectl-neap of the PATH for `kubectl neap`.
  const std::string_view program = argc > 0 ? argv[0] : "";
  if (program.substr(program.rfind('/') + 1) == "kubectl-neap") return KubectlMain(argc, argv);
  CLI::App app("neapctl: check, try and explain what Neap does", "neapctl");
  app.require_subcommand(1);
  app.footer(kExitCodes);
  app.set_version_flag("--version", fmt::format("neapctl {}", base::Version()));
  int code = kOk;

  ValidateOptions validate;
  CLI::App* command =
      AddCommand(app, "validate",
                 "Check Autoscaler and HorizontalPodAutoscaler objects in files, as "
                 "strictly as Neap does",
                 "  neapctl validate checkout.yaml worker.yaml\n"
                 "  kubectl get hpa -A -o json | neapctl validate -\n",
                 &validate.format);
  command->add_option("files", validate.files, "YAML or JSON files; - is standard input")
      ->required()
      ->type_name("FILE");
  command->callback([&] { code = Validate(validate); });

  ExplainOptions explain;
  command =
      AddCommand(app, "explain",
                 "Explain a decision step by step, and what would have to be different for another "
                 "one: of a journal, of a running neapd, or the one that Neap takes for an object "
                 "in a file with an observation (docs/neapctl.md) in a file",
                 "  neapctl explain --server http://127.0.0.1:8080 --object shop/checkout\n"
                 "  neapctl explain /var/lib/neap/journal --object shop/checkout\n"
                 "  neapctl explain /var/lib/neap/journal --object shop/checkout "
                 "--at 2026-03-01T10:00:00Z\n"
                 "  neapctl explain checkout.yaml observation.yaml\n",
                 &explain.format);
  command
      ->add_option("files", explain.files,
                   "A journal with --object, or YAML and JSON files (- is standard input)")
      ->type_name("FILE");
  command
      ->add_option("--server", explain.server,
                   "A running neapd, by its --listen-address: its next decision of --object, for "
                   "which this waits, or the last one once it was asked for before")
      ->type_name("URL");
  command->add_option("--object", explain.object, "Whose decision of the journal or the neapd")
      ->type_name("NAMESPACE/NAME");
  command->add_option("--at", explain.at, "The last decision at or before this time")
      ->type_name("TIME");
  command->callback([&] { code = Explain(explain); });

  KubeOptions shadow;
  command =
      AddCommand(app, "shadow",
                 "Compare what Neap would have decided for HorizontalPodAutoscalers with what "
                 "their controller did, by a running neapd --shadow-hpas",
                 "  neapctl shadow --server http://127.0.0.1:8080\n"
                 "  kubectl neap shadow -A\n",
                 &shadow.format);
  command
      ->add_option("--server", shadow.cluster.address, "A running neapd, by its --listen-address")
      ->required()
      ->type_name("URL");
  command->add_option("-n,--namespace", shadow.cluster.ns, "Only HPAs of this namespace")
      ->type_name("NAME");
  command->callback([&] { code = Shadow(shadow); });

  ReadyOptions ready;
  command = AddCommand(app, "ready", "Ask a running neapd whether it is ready, and why not",
                       "  neapctl ready http://127.0.0.1:8080\n"
                       "  neapctl ready http://neap.neap-system.svc:8080 --wait 60s\n",
                       &ready.format);
  command->add_option("server", ready.server, "Its --listen-address")->required()->type_name("URL");
  command->add_option("--wait", ready.wait, "Ask again for so long until it is")
      ->type_name("DURATION")
      ->capture_default_str();
  command->callback([&] { code = Ready(ready); });

  ReplayOptions replay;
  command = AddCommand(
      app, "replay",
      "Take a journal's decisions again, and show where this build decides otherwise; or "
      "where another policy would have",
      "  neapctl replay /var/lib/neap/journal\n"
      "  neapctl replay /var/lib/neap/journal --with checkout.yaml\n",
      &replay.format);
  command->add_option("journal", replay.journal, "A journal's directory, or one of its files")
      ->required()
      ->type_name("JOURNAL");
  CLI::Option* with =
      command
          ->add_option("--with", replay.with,
                       "Another policy, an object in a file: what would it have decided?")
          ->type_name("FILE");
  command
      ->add_option("--object", replay.object,
                   "From whose records; without it those of the object that FILE names")
      ->type_name("NAMESPACE/NAME")
      ->needs(with);
  command
      ->add_option("--scalers", replay.scalers,
                   "Where to ask about FILE's triggers; without it the neap-scalers beside neapctl "
                   "is started and stopped again")
      ->type_name("ADDRESS")
      ->needs(with);
  command->callback([&] { code = Replay(replay); });

  ConformanceOptions conformance;
  command =
      AddCommand(app, "conformance",
                 "Compare recorded inputs and outputs of the real HPA controller, and of KEDA's "
                 "trigger parsing, with Neap's",
                 "  neapctl conformance tests/conformance/*.jsonl.gz\n"
                 "  neapctl conformance --scalers unix:///run/neap/scalers.sock "
                 "tests/conformance/keda/parse.jsonl.gz\n",
                 &conformance.format);
  command->add_option("files", conformance.files, "JSON lines, plain or gzipped")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--scalers", conformance.scalers,
                   "Where to ask about triggers; without it the neap-scalers beside neapctl is "
                   "started and stopped again")
      ->type_name("ADDRESS");
  command->callback([&] { code = Conformance(conformance); });

  CLI::App* scaler = app.add_subcommand("scaler", "Ask a running scaler");
  scaler->require_subcommand(1);
  ScalerDescribeOptions describe;
  command =
      AddCommand(*scaler, "describe", "Print a scaler's trigger types and their parameters",
                 "  neapctl scaler describe unix:///run/neap/scalers.sock\n"
                 "  neapctl scaler describe --ca-file ca.pem queue-scaler.shop:9090 -o yaml\n",
                 &describe.format);
  AddAddress(*command, describe.scaler);
  command->callback([&] { code = ScalerDescribe(describe); });

  ScalerReadOptions read;
  command =
      AddCommand(*scaler, "read", "Read triggers once and print what comes back",
                 "  neapctl scaler read unix:///run/neap/scalers.sock --type redis \\\n"
                 "      -m address=redis:6379 -m listName=jobs --auth password=@password.txt\n"
                 "  neapctl scaler read unix:///run/neap/scalers.sock -f worker.yaml\n",
                 &read.format);
  AddAddress(*command, read.scaler);
  CLI::Option* file =
      command
          ->add_option("-f,--file", read.files, "Files with Autoscaler objects: all their triggers")
          ->type_name("FILE");
  command->add_option("--type", read.type, "Type of one trigger")
      ->type_name("TYPE")
      ->excludes(file);
  command->add_option("-m,--metadata", read.metadata, "A parameter of the trigger's metadata")
      ->type_name("KEY=VALUE");
  command
      ->add_option("--auth", read.auth,
                   "A parameter that authenticationRef would give; only over a Unix socket or TLS")
      ->type_name("KEY=VALUE|KEY=@FILE");
  command
      ->add_option("--env", read.env,
                   "A variable that <parameter>FromEnv in the metadata names; as --auth")
      ->type_name("NAME=VALUE|NAME=@FILE");
  command->add_option("--metric-type", read.metric_type, "Value or AverageValue")
      ->check(CLI::IsMember({"Value", "AverageValue"}).description(""))
      ->type_name("TYPE");
  command->add_option("-n,--namespace", read.ns, "Namespace of the object that has the trigger")
      ->type_name("NAME");
  command->add_option("--timeout", read.timeout_seconds, "Of the whole call, in seconds")
      ->check(CLI::Range(0.001, 3600.0).description(""))
      ->type_name("SECONDS");
  command->callback([&] { code = ScalerRead(read); });

  PlaygroundOptions playground;
  command =
      AddCommand(app, "playground",
                 "Serve a virtual cluster as a Kubernetes API server does, on loopback, for neapd, "
                 "scalers and kubectl; runs until SIGINT or SIGTERM",
                 "  neapctl playground --world world.yaml --kubeconfig=/tmp/playground.yaml\n"
                 "  KUBECONFIG=/tmp/playground.yaml kubectl get deploy,pods,autoscalers\n"
                 "What it serves: autoscaler/playground/playground.h\n",
                 nullptr);
  command->add_option("--world", playground.world, "The world: deployments, load, queues")
      ->required()
      ->type_name("FILE");
  command->add_option("--objects", playground.objects, "Files with Autoscaler objects")
      ->type_name("FILE");
  command->add_option("--port", playground.port, "Port of 127.0.0.1; 0, the default: a free one")
      ->check(CLI::Range(0, 65535).description(""))
      ->type_name("PORT");
  command->add_option("--kubeconfig", playground.kubeconfig, "Written at start")->type_name("FILE");
  command->add_option("--token", playground.token, "Asked of API requests; in the kubeconfig")
      ->type_name("TEXT");
  command->add_flag("--tls", playground.tls, "Serve https with a certificate of its own");
  command->add_option("--for", playground.duration, "Stop after this time, such as 90s")
      ->type_name("TIME");
  command->callback([&] { code = Playground(playground); });

  RecordOptions record;
  command = AddCommand(
      app, "record",
      "Record a workload's load and replicas from a Prometheus server, as the trace that "
      "simulate reads",
      "  neapctl record --prometheus http://127.0.0.1:9090 --from 7d \\\n"
      "      --query 'sum(rate(http_requests_total{app=\"checkout\"}[1m]))' \\\n"
      "      --namespace shop --deployment checkout -o checkout.csv\n",
      nullptr);
  AddRecord(*command, record);
  command->callback([&] { code = Record(record); });

  TrialFlags trials(app, argc, argv, &code);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kFailed;
  }
  return code;
}

}  // namespace
}  // namespace neap::ctl

int main(int argc, char** argv) {
  const int code = neap::ctl::Main(argc, argv);
  // gRPC's own threads may still be clearing up a connection that failed; destructors of statics
  // would take from them what they use.
  std::fflush(nullptr);
  std::_Exit(code);
}
