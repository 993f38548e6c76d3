#include "autoscaler/app/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/base/version.h"
#include "autoscaler/scalerhost/address.h"

namespace neap::app {
namespace {

// CLI11 shows a ValidationError with the option's name before it.
[[noreturn]] void Refuse(const std::string& why) { throw CLI::ValidationError(why); }

void AddDuration(CLI::App& app, const std::string& name, absl::Duration& target,
                 absl::Duration least, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&target, least, name](const std::string& text) {
           auto parsed = base::ParseDuration(text);
           if (!parsed.ok()) Refuse(fmt::format("{}: {}", name, base::Message(parsed.status())));
           if (*parsed < least) {
             Refuse(fmt::format("{}: {} is less than {}", name, text, base::FormatDuration(least)));
           }
           target = *parsed;
         },
         help)
      ->default_str(base::FormatDuration(target))
      ->type_name("DURATION");
}

// "HPAScaleToZero=true,Other=false", as kube-controller-manager takes it.
void ParseFeatureGates(const std::string& text, core::HpaOptions& hpa) {
  static constexpr std::string_view kGates[] = {"HPAScaleToZero"};
  for (const std::string& item : CLI::detail::split(text, ',')) {
    const auto equals = item.find('=');
    const std::string name = item.substr(0, equals);
    if (name != kGates[0]) {
      Refuse(fmt::format("--feature-gates: unknown gate \"{}\"{}", name,
                         base::DidYouMean(name, kGates)));
    }
    const std::string value = equals == std::string::npos ? "" : item.substr(equals + 1);
    if (value != "true" && value != "false") {
      Refuse(fmt::format("--feature-gates: {}={}: must be true or false", name, value));
    }
    hpa.scale_to_zero = value == "true";
  }
}

void AddOptions(CLI::App& app, Options& o) {
  app.add_option("--kubeconfig", o.kubeconfig,
                 "kubeconfig file; default: the pod's service account, then the files in "
                 "$KUBECONFIG, then ~/.kube/config");
  app.add_option("--context", o.context, "context of the kubeconfig; default: its current-context");
  app.add_option("--kube-api-qps", o.kube_api_qps,
                 "most reads of the API server per second; writes do not wait")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--kube-api-burst", o.kube_api_burst, "reads that may go at once")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--scalers-service-account", o.scalers_service_account,
                 "service account of neapd's namespace whose token is kept in --scalers-token-file")
      ->type_name("NAME");
  app.add_option("--scalers-token-file", o.scalers_token_file,
                 "where that token is written and renewed, for scalers that read metrics APIs")
      ->type_name("FILE");
  app.add_option("--namespaces", o.namespaces, "namespaces to serve, comma separated; default: all")
      ->delimiter(',');
  app.add_option("--source", o.sources,
                 "where Autoscaler objects come from, repeatable: api, or dir:PATH with YAML "
                 "files; default: api")
      ->type_name("SOURCE");
  app.add_option("--scalers", o.scalers,
                 "address of a scaler process (unix:///path or host:port), repeatable; it is asked "
                 "which trigger types it "
                 "serves")
      ->type_name("ADDRESS");
  app.add_option_function<std::vector<std::string>>(
         "--trigger-endpoint",
         [&o](const std::vector<std::string>& items) {
           for (const std::string& item : items) {
             const auto equals = item.find('=');
             if (equals == std::string::npos || equals == 0 || equals + 1 == item.size()) {
               Refuse(fmt::format("--trigger-endpoint: \"{}\" is not TYPE=ADDRESS", item));
             }
             o.trigger_endpoints.emplace_back(item.substr(0, equals), item.substr(equals + 1));
           }
         },
         "TYPE=ADDRESS: the scaler for one trigger type, repeatable; wins over --scalers")
      ->type_name("TYPE=ADDRESS");
  app.add_flag("--scaler-tls", o.scaler_tls,
               "speak TLS to scalers at host:port; implied by the three files below");
  app.add_option("--scaler-tls-ca-file", o.scaler_tls_ca_file,
                 "PEM authorities that scalers' certificates are checked with; default: the "
                 "system's")
      ->type_name("FILE");
  app.add_option("--scaler-tls-cert-file", o.scaler_tls_cert_file,
                 "PEM certificate shown to scalers")
      ->type_name("FILE");
  app.add_option("--scaler-tls-key-file", o.scaler_tls_key_file, "its key")->type_name("FILE");
  app.add_flag(
      "--dry-run", o.dry_run,
      "decide and report, but write nothing to the API server: no scale, and no status and "
      "events unless the next two say so");
  app.add_option("--watch-hpas", o.watch_hpas,
                 "watch HorizontalPodAutoscalers, and write no scale that one of them writes too")
      ->capture_default_str()
      ->type_name("BOOL");
  app.add_flag(
      "--shadow-hpas", o.shadow_hpas,
      "decide HorizontalPodAutoscalers beside their controller, write nothing for them, and "
      "compare: neapctl shadow");
  app.add_option("--write-qps", o.write_qps, "most scale writes per second")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--write-status", o.write_status,
                 "write the status of objects; default: true, with --dry-run false")
      ->type_name("BOOL");
  app.add_option("--write-events", o.write_events,
                 "write Kubernetes events; default: true, with --dry-run false")
      ->type_name("BOOL");

  app.add_option("--leases", o.leases,
                 "share the targets with the other neapd of this installation by Leases, and go on "
                 "from what the former one knew; default: true in a pod, false elsewhere")
      ->type_name("BOOL");
  app.add_option("--shards", o.shards,
                 "parts that the targets are shared in; the same for all neapd of an installation")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  app.add_option("--lease-name", o.lease_name,
                 "name of the installation, with which its Leases and ConfigMaps begin")
      ->capture_default_str();
  app.add_option("--lease-namespace", o.lease_namespace,
                 "namespace of Leases and ConfigMaps; default: the pod's, or that of the "
                 "kubeconfig's context");
  app.add_option("--identity", o.identity,
                 "name of this neapd in Leases, to which each process adds a suffix; default: "
                 "$POD_NAME, then the host's name");
  AddDuration(app, "--lease-duration", o.lease_duration, absl::Seconds(1),
              "time after which the others take over from a neapd that is not heard of");
  AddDuration(app, "--lease-renew-deadline", o.lease_renew_deadline, absl::Milliseconds(1),
              "time after the last renewal from which nothing is written any more");
  AddDuration(app, "--lease-retry-period", o.lease_retry_period, absl::Milliseconds(1),
              "time between two looks at the leases");
  app.add_option("--keep-history", o.keep_history,
                 "with --leases: keep in ConfigMaps what decisions remember, so that no window is "
                 "shortened when another neapd takes over; default: true, with --dry-run false")
      ->type_name("BOOL");

  AddDuration(app, "--horizontal-pod-autoscaler-sync-period", o.sync_period, absl::Seconds(1),
              "period of objects that name none");
  AddDuration(app, "--horizontal-pod-autoscaler-downscale-stabilization",
              o.hpa.downscale_stabilization, absl::ZeroDuration(),
              "window for scale-down where an object names none");
  AddDuration(app, "--horizontal-pod-autoscaler-cpu-initialization-period",
              o.hpa.cpu_initialization_period, absl::ZeroDuration(),
              "time after pod start when CPU samples may be skipped");
  AddDuration(app, "--horizontal-pod-autoscaler-initial-readiness-delay",
              o.hpa.initial_readiness_delay, absl::ZeroDuration(),
              "time after pod start when readiness changes are initial readiness");
  app.add_option("--horizontal-pod-autoscaler-tolerance", o.hpa.tolerance,
                 "least change of the ratio that scales, as a fraction")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option_function<std::string>(
         "--feature-gates", [&o](const std::string& text) { ParseFeatureGates(text, o.hpa); },
         "HPAScaleToZero=true|false (default true)")
      ->type_name("NAME=BOOL,...");

  app.add_option("--listen-address", o.listen_address,
                 "host:port of /metrics, /healthz, /readyz, /records; port 0 picks a free one")
      ->capture_default_str();
  app.add_option("--journal-dir", o.journal_dir,
                 "directory for the decision journal; default: none is kept");
  app.add_option_function<std::string>(
         "--journal-max-size",
         [&o](const std::string& text) {
           auto size = base::Quantity::Parse(text);
           if (!size.ok())
             Refuse(fmt::format("--journal-max-size: {}", base::Message(size.status())));
           o.journal_max_bytes = size->Milli() / 1000;
           if (o.journal_max_bytes < 1 << 20) Refuse("--journal-max-size: must be at least 1Mi");
         },
         "most disk space of the journal; the oldest segments go first")
      ->default_str("256Mi")
      ->type_name("QUANTITY");
  AddDuration(app, "--shutdown-timeout", o.shutdown_timeout, absl::Seconds(1),
              "longest clean stop after SIGTERM");
  app.add_option("-v,--v", o.verbosity, "log verbosity: 1 logs every decision with its steps")
      ->capture_default_str()
      ->check(CLI::Range(0, 1));
}

// One scalar of the config file as a flag's text.
absl::StatusOr<std::string> Scalar(const value::Value& v, const std::string& where) {
  if (v.is_null() || v.is_list() || v.is_map()) {
    return base::InvalidArgument("{}: must be a text, number or boolean, not a {}", where,
                                 value::KindName(v.kind()));
  }
  return v.text();
}

absl::Status ApplyConfigFile(const std::string& path, CLI::App& app) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return base::InvalidArgument("{}: the config file can't be read", path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  NEAP_ASSIGN_OR_RETURN(auto documents, value::ParseYaml(text, path));
  if (documents.empty()) return absl::OkStatus();
  if (documents.size() > 1 || !documents[0].is_map()) {
    return base::InvalidArgument("{}: must be one map of flag names to values", path);
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  for (const auto& [key, v] : documents[0].map()) {
    const std::string where = fmt::format("{}:{}:{}: {}", path, v.line(), v.column(), key);
    CLI::Option* option = app.get_option_no_throw("--" + key);
    if (option == nullptr || key == "config" || key == "help" || key == "version" ||
        key == "check-config") {
      return base::InvalidArgument("{}: unknown option{}", where,
                                   base::DidYouMean(key, candidates));
    }
    if (option->count() > 0) continue;  // the command line wins
    std::vector<std::string> results;
    if (v.is_list()) {
      for (const value::Value& item : v.list()) {
        NEAP_ASSIGN_OR_RETURN(std::string scalar, Scalar(item, where));
        results.push_back(std::move(scalar));
      }
    } else {
      NEAP_ASSIGN_OR_RETURN(std::string scalar, Scalar(v, where));
      results.push_back(std::move(scalar));
    }
    try {
      for (const std::string& result : results) option->add_result(result);
      option->run_callback();
    } catch (const CLI::Error& error) {
      return base::InvalidArgument("{}: {}", where, error.what());
    }
  }
  return absl::OkStatus();
}

bool IsSet(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// With the pod's own credentials.
bool InPod(const Options& o) {
  return o.kubeconfig.empty() && !IsSet("KUBECONFIG") && IsSet("KUBERNETES_SERVICE_HOST");
}

absl::Status CheckLeases(const Options& o) {
  if (absl::Trunc(o.lease_duration, absl::Seconds(1)) != o.lease_duration) {
    return base::InvalidArgument("--lease-duration: {} is no whole number of seconds",
                                 base::FormatDuration(o.lease_duration));
  }
  if (o.lease_renew_deadline >= o.lease_duration) {
    return base::InvalidArgument("--lease-renew-deadline: {} is not less than --lease-duration {}",
                                 base::FormatDuration(o.lease_renew_deadline),
                                 base::FormatDuration(o.lease_duration));
  }
  if (2 * o.lease_retry_period >= o.lease_renew_deadline) {
    return base::InvalidArgument(
        "--lease-retry-period: {} is not less than half of --lease-renew-deadline {}",
        base::FormatDuration(o.lease_retry_period), base::FormatDuration(o.lease_renew_deadline));
  }
  if (!base::IsDnsLabel(o.lease_name) || o.lease_name.size() > 40) {
    return base::InvalidArgument("--lease-name: \"{}\" is no DNS label of at most 40 characters",
                                 o.lease_name);
  }
  if (!o.lease_namespace.empty() && !base::IsDnsLabel(o.lease_namespace)) {
    return base::InvalidArgument("--lease-namespace: \"{}\" is no name of a namespace",
                                 o.lease_namespace);
  }
  if (!o.identity.empty() && (!base::IsDnsSubdomain(o.identity) || o.identity.size() > 190)) {
    return base::InvalidArgument(
        "--identity: \"{}\" makes no name of a Lease: lower-case letters, digits, '-' and '.'",
        o.identity);
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const Options& o) {
  NEAP_RETURN_IF_ERROR(CheckLeases(o));
  std::string before;
  for (const std::string& source : o.sources) {
    const std::string kind = source.substr(0, source.find(':'));
    if (source != "api" && (kind != "dir" || source.size() <= 4)) {
      return base::InvalidArgument("--source: \"{}\" is neither api nor dir:PATH", source);
    }
    if (before == kind || o.sources.size() > 2) {
      return base::InvalidArgument("--source: at most one api and one dir:PATH");
    }
    before = kind;
  }
  for (const std::string& address : o.scalers) {
    NEAP_RETURN_IF_ERROR(base::Annotate(scalerhost::CheckAddress(address), "--scalers"));
  }
  for (const auto& [type, address] : o.trigger_endpoints) {
    NEAP_RETURN_IF_ERROR(
        base::Annotate(scalerhost::CheckAddress(address), "--trigger-endpoint " + type));
  }
  if (o.scaler_tls_cert_file.empty() != o.scaler_tls_key_file.empty()) {
    return base::InvalidArgument(
        "--scaler-tls-cert-file and --scaler-tls-key-file: both or neither must be given");
  }
  if (o.scalers_service_account.empty() != o.scalers_token_file.empty()) {
    return base::InvalidArgument(
        "--scalers-service-account and --scalers-token-file: both or neither must be given");
  }
  const auto colon = o.listen_address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const std::string text = o.listen_address.substr(colon + 1);
    if (!text.empty() && text.size() <= 5 &&
        text.find_first_not_of("0123456789") == std::string::npos) {
      port = std::stoi(text);
    }
  }
  if (port < 0 || port > 65535) {
    return base::InvalidArgument("--listen-address: \"{}\" is not host:port", o.listen_address);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Parsed> ParseOptions(int argc, const char* const* argv) {
  Parsed parsed;
  CLI::App app{
      "neapd decides replica counts from metrics and patches the scale subresource.\n"
      "Example: neapd --kubeconfig ~/.kube/config --scalers unix:///run/neap/scalers.sock "
      "--dry-run",
      "neapd"};
  app.set_version_flag("--version", fmt::format("neapd {}", base::Version()));
  std::string config;
  app.add_option("--config", config,
                 "YAML file of these options, by name and without dashes; flags win");
  bool check = false;
  app.add_flag("--check-config", check,
               "check flags, config file and dir: sources, print what is wrong, and exit");
  AddOptions(app, parsed.options);
  app.footer(
      "Exit codes: 0 stopped cleanly or the check passed; 1 it could not run; 2 wrong flags or "
      "configuration.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    parsed.what = Parsed::Do::kExit;
    parsed.output = app.help();
    return parsed;
  } catch (const CLI::CallForVersion&) {
    parsed.what = Parsed::Do::kExit;
    parsed.output = fmt::format("neapd {}\n", base::Version());
    return parsed;
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    const std::string extra = app.remaining().empty() ? "" : app.remaining().front();
    const std::string name = extra.substr(0, extra.find('='));
    return base::InvalidArgument("unknown argument {}{}", extra,
                                 base::DidYouMean(name, candidates));
  } catch (const CLI::Error& error) {
    return base::InvalidArgument("{}", error.what());
  }
  if (!config.empty()) NEAP_RETURN_IF_ERROR(ApplyConfigFile(config, app));
  if (parsed.options.sources.empty()) parsed.options.sources = {"api"};
  for (const auto& [name, value] : {std::pair{"--write-status", &parsed.options.write_status},
                                    std::pair{"--write-events", &parsed.options.write_events},
                                    std::pair{"--keep-history", &parsed.options.keep_history}}) {
    if (app.get_option(name)->count() == 0) *value = !parsed.options.dry_run;
  }
  if (app.get_option("--leases")->count() == 0) parsed.options.leases = InPod(parsed.options);
  NEAP_RETURN_IF_ERROR(CheckTogether(parsed.options));
  if (check) parsed.what = Parsed::Do::kCheckConfig;
  return parsed;
}

}  // namespace neap::app
