#include "autoscaler/app/neapd.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/app/check_config.h"
#include "autoscaler/app/control_loop.h"
#include "autoscaler/app/decision_log.h"
#include "autoscaler/app/dir_source.h"
#include "autoscaler/app/inbox.h"
#include "autoscaler/app/object_table.h"
#include "autoscaler/app/report_log.h"
#include "autoscaler/app/rivals.h"
#include "autoscaler/app/shard_keeper.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/http/client.h"
#include "autoscaler/kube/api/client.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/kube/api/discovery.h"
#include "autoscaler/kube/autoscaler_view.h"
#include "autoscaler/kube/context.h"
#include "autoscaler/kube/event_writer.h"
#include "autoscaler/kube/hpa_view.h"
#include "autoscaler/kube/objects/status_json.h"
#include "autoscaler/kube/pod_views.h"
#include "autoscaler/kube/scale_views.h"
#include "autoscaler/kube/scale_writer.h"
#include "autoscaler/kube/scalers_token.h"
#include "autoscaler/kube/status_writer.h"
#include "autoscaler/kube/withheld_scale_writer.h"
#include "autoscaler/record/journal.h"
#include "autoscaler/scalerhost/host.h"
#include "autoscaler/telemetry/logging.h"
#include "autoscaler/telemetry/process_metrics.h"
#include "autoscaler/telemetry/records.h"
#include "autoscaler/telemetry/server.h"
#include "autoscaler/telemetry/shadows.h"

namespace neap::app {
namespace {

using Sample = telemetry::ProcessMetrics::Sample;

// A controller that has not stepped for so long hangs: /healthz fails, and Kubernetes restarts us.
constexpr absl::Duration kStuckAfter = absl::Seconds(30);

// How long the start waits until it is known which targets HPAs scale. What is decided before can't
// be written, and waits for another period.
constexpr absl::Duration kHpaPatience = absl::Seconds(2);

// How long the start waits for scalers that are not there yet.
constexpr absl::Duration kScalerPatience = absl::Seconds(2);

control::ControllerOptions ControllerOptionsOf(const Options& options) {
  control::ControllerOptions out;
  out.hpa = options.hpa;
  out.writes_per_second = options.write_qps;
  out.write_burst = std::max(1, static_cast<int>(options.write_qps));
  if (options.leases) out.shards = options.shards;
  return out;
}

scalerhost::HostOptions HostOptionsOf(const Options& options) {
  scalerhost::HostOptions out;
  out.scalers = options.scalers;
  out.trigger_endpoints = options.trigger_endpoints;
  const bool tls = options.scaler_tls || !options.scaler_tls_ca_file.empty() ||
                   !options.scaler_tls_cert_file.empty();
  if (!tls) return out;
  const auto add = [&](const std::string& address) {
    if (scalerhost::IsUnixAddress(address)) return;
    out.tls[address] = {.ca_file = options.scaler_tls_ca_file,
                        .cert_file = options.scaler_tls_cert_file,
                        .key_file = options.scaler_tls_key_file,
                        .server_name = {}};
  };
  for (const std::string& address : options.scalers) add(address);
  for (const auto& [type, address] : options.trigger_endpoints) add(address);
  return out;
}

// Who we are in events: the pod's name.
std::string InstanceName() {
  if (const char* pod = std::getenv("POD_NAME")) return pod;
  char host[256] = {};
  return gethostname(host, sizeof(host) - 1) == 0 ? host : "neapd";
}

// Who we are in Leases and to the API server: unlike every other process, earlier ones of the same
// pod included.
std::string IdentityOf(const Options& options) {
  std::string name = options.identity.empty() ? InstanceName() : options.identity;
  for (char& c : name) {
    c = static_cast<char>(std::tolower(c));
    if (std::isalnum(c) == 0 && c != '-' && c != '.') c = '-';
  }
  while (!name.empty() && std::isalnum(name.front()) == 0) name.erase(0, 1);
  std::random_device random;
  return fmt::format("{}-{:08x}", name.substr(0, 190), static_cast<uint32_t>(random()));
}

ShardKeeperOptions ShardKeeperOptionsOf(const Options& options, const std::string& identity,
                                        const std::string& default_ns) {
  ShardKeeperOptions out;
  const absl::Duration retry = options.lease_retry_period;
  out.leases.ns = options.lease_namespace.empty() ? default_ns : options.lease_namespace;
  out.leases.name = options.lease_name;
  out.leases.identity = identity;
  out.leases.shards = options.shards;
  out.leases.lease_duration = options.lease_duration;
  out.leases.renew_deadline = options.lease_renew_deadline;
  out.leases.retry_period = retry;
  out.leases.renew_interval = 3 * retry < options.lease_renew_deadline ? 2 * retry : retry;
  out.leases.timeout = std::min(out.leases.timeout, options.lease_renew_deadline / 2);
  if (options.keep_history) {
    out.store = kube::HistoryStoreOptions{.ns = out.leases.ns, .name = options.lease_name};
  }
  return out;
}

// A failed request's label: "409", or "deadline_exceeded" when there was no answer.
std::string ErrorCode(const absl::Status& status) {
  if (const auto error = kube::api::ApiErrorOf(status)) return std::to_string(error->code);
  std::string code = absl::StatusCodeToString(status.code());
  for (char& c : code) c = static_cast<char>(std::tolower(c));
  return code;
}

// Jitter of watches; on the http::Client's thread alone.
std::function<double()> Jitter() {
  return [engine = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<double>(0, 1)(engine);
  };
}

}  // namespace

// Parts in the order in which they are made; each borrows from those above it.
class Neapd::Impl {
 public:
  explicit Impl(const Options& options)
      : options_(options),
        wants_api_(std::ranges::find(options_.sources, kube::kApiSource) != options_.sources.end()),
        identity_(IdentityOf(options_)),
        watches_hpas_((options.watch_hpas && !options.dry_run) || options.shadow_hpas),
        objects_(options.dry_run),
        rivals_(watches_hpas_ && !options.dry_run),
        metrics_(std::string(base::Version())) {}
  ~Impl() { Stop(); }

  absl::Status Start();
  void Stop();
  int port() const { return port_; }

 private:
  absl::Status MakeKube(kube::api::ClusterConfig config);
  absl::Status MakeShards();
  void WatchHpas();
  kube::objects::DecodeOptions DecodeOptionsOfViews() const;
  void NoteRival(const control::DecisionRecord& record);
  void WriteRivals(const control::Controller& controller);
  void WatchAutoscalers();
  void OnNews(const kube::ObjectNews& news);
  void OnShardHeld(int shard);
  void TellRefused(const kube::ObjectNews& news);
  absl::Status MakeJournal();
  absl::Status MakeHost();
  void AwaitScalers() NEAP_EXCLUDES(scalers_mutex_);
  void MakeLoop();
  absl::Status MakeServer();
  void AddMetricSources();
  void AddApiMetrics();
  void AddShardMetricSources();
  Routes MakeRoutes();

  control::Sink Sink() {
    return [this](control::Message message) { inbox_.Push(std::move(message)); };
  }
  std::string Unhealthy() const;
  std::string Unready() const;

  const Options options_;
  const bool wants_api_;        // Autoscaler objects of the API server are a source
  const std::string identity_;  // of this process
  const base::Clock clock_;
  Inbox inbox_;
  const bool watches_hpas_;
  ObjectTable objects_;
  Rivals rivals_;
  telemetry::ProcessMetrics metrics_;
  telemetry::Records records_{std::string(base::Version()), options_.hpa,
                              [this] { inbox_.Wake(); }};
  telemetry::Shadows shadows_{[this] { inbox_.Wake(); }};
  ReportLog reports_{clock_};
  DecisionLog decisions_{[](DecisionLog::Severity severity, std::string_view line) {
    severity == DecisionLog::Severity::kInfo ? telemetry::LogInfo(line)
                                             : telemetry::LogWarning(line);
  }};

  std::unique_ptr<http::Client> http_;
  std::unique_ptr<kube::api::Client> api_;
  std::unique_ptr<kube::api::Discovery> discovery_;
  kube::Context context_;

  std::unique_ptr<ShardKeeper> shards_;  // null without --leases: all targets are ours
  std::unique_ptr<kube::ScaleViews> scales_;
  std::unique_ptr<kube::WithheldScaleWriter> withheld_;
  std::unique_ptr<kube::ScaleWriter> writer_;          // null with --dry-run
  std::unique_ptr<kube::StatusWriter> status_writer_;  // null when status is not written
  std::unique_ptr<kube::EventWriter> event_writer_;    // null when events are not written
  std::unique_ptr<kube::PodViews> pods_;
  std::unique_ptr<kube::ScalersToken> scalers_token_;  // null without --scalers-token-file
  std::unique_ptr<kube::HpaView> hpas_;                // null when HPAs are not watched
  std::vector<std::string> rival_news_;                // uids; the controller's thread
  std::unique_ptr<kube::AutoscalerView> autoscalers_;  // null without the api source
  std::atomic<bool> autoscalers_listed_ = false;
  // Objects that are refused as they stand, by uid: to be told when their shard becomes ours. On
  // the http::Client's thread alone.
  std::map<std::string, kube::ObjectNews> refused_;
  std::unique_ptr<scalerhost::Host> host_;
  base::Mutex scalers_mutex_;
  base::CondVar scalers_changed_;
  bool scalers_answered_ NEAP_GUARDED_BY(scalers_mutex_) = false;  // each of them, once
  std::unique_ptr<record::Writer> journal_;                        // null without --journal-dir
  std::atomic<uint64_t> journal_bytes_ = 0;
  std::atomic<uint64_t> journal_lost_ = 0;
  std::unique_ptr<ControlLoop> loop_;
  std::unique_ptr<DirSource> directory_;  // null without a dir: source
  std::unique_ptr<telemetry::Server> server_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
};

absl::Status Neapd::Impl::Start() {
  NEAP_ASSIGN_OR_RETURN(auto config, kube::api::FindConfig(options_.kubeconfig, options_.context));
  telemetry::LogInfo(fmt::format("neapd {}: API server {} ({}){}", base::Version(), config.server,
                                 Describe(config), options_.dry_run ? ", dry run" : ""));
  NEAP_RETURN_IF_ERROR(MakeKube(std::move(config)));
  NEAP_RETURN_IF_ERROR(MakeJournal());
  NEAP_RETURN_IF_ERROR(MakeHost());
  MakeLoop();
  NEAP_RETURN_IF_ERROR(MakeServer());
  loop_->Start();
  WatchHpas();
  AwaitScalers();
  rivals_.Await(kHpaPatience);
  if (shards_ != nullptr) shards_->Start();
  WatchAutoscalers();
  if (directory_ != nullptr) directory_->Start();
  return absl::OkStatus();
}

absl::Status Neapd::Impl::MakeShards() {
  if (!options_.leases) return absl::OkStatus();
  ShardKeeperOptions options = ShardKeeperOptionsOf(options_, identity_, api_->config().ns);
  NEAP_RETURN_IF_ERROR(kube::Check(options.leases));
  telemetry::LogInfo(fmt::format("{} shards by leases {}-shard-N in namespace {}, as {}{}",
                                 options.leases.shards, options.leases.name, options.leases.ns,
                                 options.leases.identity,
                                 options.store ? "" : "; histories are not kept"));
  shards_ = std::make_unique<ShardKeeper>(context_, std::move(options), clock_, Sink(),
                                          [this](int shard) { OnShardHeld(shard); });
  // The last moment in which somebody can notice that it is another's by now.
  context_.may_write = [this](std::string_view uid) { return shards_->MayWrite(uid); };
  return absl::OkStatus();
}

absl::Status Neapd::Impl::MakeKube(kube::api::ClusterConfig config) {
  http_ = std::make_unique<http::Client>(
      http::ClientOptions{.user_agent = fmt::format("neapd/{} ({})", base::Version(), identity_)});
  api_ = std::make_unique<kube::api::Client>(
      *http_, std::move(config),
      kube::api::ClientOptions{.reads_per_second = options_.kube_api_qps,
                               .burst = options_.kube_api_burst});
  discovery_ = std::make_unique<kube::api::Discovery>(*api_);
  context_.client = api_.get();
  context_.discovery = discovery_.get();
  context_.sink = Sink();
  context_.report = [this](std::string_view what, const absl::Status& error) {
    metrics_.OnApiError(ErrorCode(error));
    reports_.Report(what, error);
  };
  context_.watch.jitter = Jitter();
  context_.namespaces = options_.namespaces;
  NEAP_RETURN_IF_ERROR(MakeShards());

  scales_ = std::make_unique<kube::ScaleViews>(context_);
  withheld_ = std::make_unique<kube::WithheldScaleWriter>(Sink());
  // The first of two walls: in a dry run there is nothing that could write. (The second is the
  // account's rights.)
  if (!options_.dry_run) {
    kube::ScaleWriterOptions options;
    options.reread = [this](const control::TargetRef& target) { scales_->Refresh(target); };
    writer_ = std::make_unique<kube::ApiScaleWriter>(context_, std::move(options));
  }
  if (options_.write_status) {
    status_writer_ =
        std::make_unique<kube::StatusWriter>(context_, [this](const control::WriteStatus& write) {
          const auto full = objects_.Complete(write.uid, write.status, clock_.Now());
          return kube::objects::EncodeStatus({.status = full.status,
                                              .own_conditions = full.own_conditions,
                                              .explanation = write.explanation,
                                              .metrics = write.metrics});
        });
  }
  if (options_.write_events) {
    event_writer_ = std::make_unique<kube::EventWriter>(
        context_, kube::EventWriterOptions{.instance = InstanceName()});
  }
  pods_ = std::make_unique<kube::PodViews>(context_);
  if (!options_.scalers_token_file.empty()) {
    scalers_token_ = std::make_unique<kube::ScalersToken>(
        context_, kube::ScalersTokenOptions{.service_account = options_.scalers_service_account,
                                            .path = options_.scalers_token_file});
  }
  return absl::OkStatus();
}

kube::objects::DecodeOptions Neapd::Impl::DecodeOptionsOfViews() const {
  kube::objects::DecodeOptions decode;
  decode.unknown_fields_are_errors = false;
  decode.default_period = options_.sync_period;
  decode.scale_to_zero = options_.hpa.scale_to_zero;
  return decode;
}

void Neapd::Impl::WatchHpas() {
  if (!watches_hpas_) return;
  kube::HpaHandlers handlers;
  handlers.replaced = [this](std::vector<kube::HpaTarget> all) { rivals_.Replace(std::move(all)); };
  handlers.changed = [this](kube::HpaTarget hpa) { rivals_.Put(std::move(hpa)); };
  handlers.deleted = [this](const core::ObjectKey& key) { rivals_.Remove(key); };
  handlers.unreadable = [this](const absl::Status& error) {
    rivals_.SetUnreadable();
    telemetry::LogWarning(fmt::format(
        "HorizontalPodAutoscalers can't be read, so targets that they scale are not known{}: {}",
        options_.shadow_hpas ? ", and none is shadowed" : "", base::Message(error)));
  };
  handlers.refused = [](const core::ObjectKey& key, const std::vector<std::string>& problems) {
    telemetry::LogWarning(fmt::format("HorizontalPodAutoscaler {}: not shadowed: {}", key.Text(),
                                      fmt::join(problems, "; ")));
  };
  // Known to the table before they are decided: by their mode nothing of them is ever written.
  handlers.shadow = [this](const control::Message& message) {
    const auto put = [this](const control::SpecChange& change) {
      objects_.Put(change.uid, {.source = std::string(kube::kHpaSource),
                                .mode = kube::objects::Mode::kDryRun,
                                .own_conditions = {},
                                .errors = {},
                                .warnings = {}});
    };
    if (const auto* change = std::get_if<control::SpecChange>(&message)) put(*change);
    if (const auto* all = std::get_if<control::SpecsReplaced>(&message)) {
      for (const control::SpecChange& change : all->all) put(change);
    }
    objects_.Apply(std::string(kube::kHpaSource), message);
  };
  hpas_ = std::make_unique<kube::HpaView>(context_, DecodeOptionsOfViews(), std::move(handlers),
                                          options_.shadow_hpas);
}

// On the controller's thread, with each decision: whether another controller scales the target.
void Neapd::Impl::NoteRival(const control::DecisionRecord& record) {
  if (!watches_hpas_ || objects_.Withheld(record.uid)) return;
  std::string why = rivals_.Refusal(kube::TargetOf(*record.spec));
  if (!objects_.SetRival(record.uid, why)) return;
  telemetry::LogWarning(fmt::format("{}: {}", record.spec->key.Text(),
                                    why.empty() ? "no HorizontalPodAutoscaler scales the target "
                                                  "any more: Neap writes"
                                                : why));
  rival_news_.push_back(record.uid);
}

// Their conditions changed without a change of what the controller knows, so it writes none.
void Neapd::Impl::WriteRivals(const control::Controller& controller) {
  for (const std::string& uid : std::exchange(rival_news_, {})) {
    control::TargetInfo info;
    if (status_writer_ == nullptr || !objects_.InApi(uid) || !controller.FindTarget(uid, &info)) {
      continue;
    }
    status_writer_->Write({.uid = uid,
                           .key = info.spec->key,
                           .kind = info.spec->kind,
                           .status = *info.status,
                           .explanation = core::Explain(*info.spec, *info.decision)});
  }
}

void Neapd::Impl::WatchAutoscalers() {
  if (!wants_api_) return;
  kube::Context context = context_;
  context.sink = [this](control::Message message) {
    objects_.Apply(std::string(kube::kApiSource), message);
    if (const auto* gone = std::get_if<control::SpecGone>(&message)) refused_.erase(gone->uid);
    const bool list = std::holds_alternative<control::SpecsReplaced>(message);
    inbox_.Push(std::move(message));
    if (list) autoscalers_listed_ = true;
  };
  autoscalers_ = std::make_unique<kube::AutoscalerView>(
      std::move(context), DecodeOptionsOfViews(),
      [this](const kube::ObjectNews& news) { OnNews(news); });
}

// On the http::Client's thread. The problems of an object are told where its owner looks: in its
// condition Accepted, which control's status writes carry along; a refused object may be unknown to
// control, so it is written at once.
void Neapd::Impl::OnNews(const kube::ObjectNews& news) {
  const bool changed = objects_.Put(news.uid, {.source = std::string(kube::kApiSource),
                                               .mode = news.mode,
                                               .own_conditions = news.own_conditions,
                                               .errors = news.errors,
                                               .warnings = news.warnings});
  if (news.errors.empty()) {
    refused_.erase(news.uid);
  } else if (shards_ != nullptr) {
    refused_[news.uid] = news;
  }
  if (!changed) return;
  for (const std::string& line : news.errors) {
    telemetry::LogWarning(fmt::format("{}: refused: {}", news.key.Text(), line));
  }
  for (const std::string& line : news.warnings) {
    telemetry::LogWarning(fmt::format("{}: {}", news.key.Text(), line));
  }
  if (!news.errors.empty()) TellRefused(news);
}

// Whoever held its shard before may have gone before it could tell.
void Neapd::Impl::OnShardHeld(int shard) {
  for (const auto& [uid, news] : refused_) {
    if (shards_->ShardOf(uid) == shard) TellRefused(news);
  }
}

void Neapd::Impl::TellRefused(const kube::ObjectNews& news) {
  if (status_writer_ == nullptr || (shards_ != nullptr && !shards_->MayWrite(news.uid))) return;
  status_writer_->Write({.uid = news.uid,
                         .key = news.key,
                         .kind = core::ObjectKind::kAutoscaler,
                         .status = news.status,
                         .explanation = ""});
}

absl::Status Neapd::Impl::MakeJournal() {
  if (options_.journal_dir.empty()) return absl::OkStatus();
  record::WriterOptions options;
  options.directory = options_.journal_dir;
  options.max_bytes = options_.journal_max_bytes;
  options.build = base::Version();
  options.options = options_.hpa;
  NEAP_ASSIGN_OR_RETURN(journal_, record::Writer::Open(options, [](const absl::Status& trouble) {
                          if (trouble.ok()) {
                            telemetry::LogInfo("journal: records are written again");
                          } else {
                            telemetry::LogError(fmt::format("journal: records are being lost: {}",
                                                            base::Message(trouble)));
                          }
                        }));
  return absl::OkStatus();
}

absl::Status Neapd::Impl::MakeHost() {
  scalerhost::HostHandlers handlers;
  handlers.sink = Sink();
  handlers.report = [this](std::string_view what, const absl::Status& error) {
    reports_.Report(what, error);
  };
  handlers.types_changed = [this](const std::shared_ptr<const scalerhost::TriggerTypes>& types) {
    base::MutexLock lock(scalers_mutex_);
    scalers_answered_ = types->complete();
    scalers_changed_.NotifyAll();
  };
  NEAP_ASSIGN_OR_RETURN(
      host_, scalerhost::Host::Make(HostOptionsOf(options_), clock_, std::move(handlers)));
  return absl::OkStatus();
}

// Scalers mostly start together with us. What is decided before they answer would fail, be
// announced to every object's owner, and be repaired only a period later.
void Neapd::Impl::AwaitScalers() {
  if (options_.scalers.empty() && options_.trigger_endpoints.empty()) return;
  const absl::Duration until = clock_.Elapsed() + kScalerPatience;
  base::MutexLock lock(scalers_mutex_);
  while (!scalers_answered_) {
    const absl::Duration left = until - clock_.Elapsed();
    if (left <= absl::ZeroDuration()) return;
    scalers_changed_.WaitFor(scalers_mutex_, absl::ToChronoNanoseconds(left));
  }
}

Routes Neapd::Impl::MakeRoutes() {
  Routes routes;
  routes.subscribe = [this](control::Subscribe change) { host_->Subscribe(std::move(change)); };
  routes.poll = [this](control::Poll poll) { host_->Poll(std::move(poll)); };
  routes.watch = [this](const control::Watch& watch) {
    scales_->SetTargets(watch.targets);
    pods_->SetNamespaces(watch.pod_namespaces);
  };
  routes.patch = [this](const control::PatchScale& patch) {
    if (writer_ == nullptr || objects_.Withheld(patch.uid) ||
        !rivals_.Refusal(patch.target).empty()) {
      withheld_->Write(patch);
    } else {
      writer_->Write(patch);
    }
  };
  // An object from a file has no place for a status or events in the cluster: what they say is in
  // the log and the metrics.
  routes.status = [this](const control::WriteStatus& write) {
    if (status_writer_ != nullptr && objects_.InApi(write.uid)) status_writer_->Write(write);
  };
  routes.event = [this](const control::EmitEvent& event) {
    decisions_.OnEvent(event, clock_.Now());
    if (event_writer_ != nullptr && objects_.InApi(event.uid)) event_writer_->Write(event);
  };
  routes.decision = [this](const control::DecisionRecord& record) {
    if (journal_ != nullptr) journal_->OnDecision(record, clock_.Now());
    records_.OnDecision(record, clock_.Now());
    decisions_.OnDecision(record, clock_.Now());
    NoteRival(record);
    if (options_.verbosity == 0) return;
    telemetry::LogInfo(fmt::format("{}: {}", record.spec->key.Text(),
                                   core::Explain(*record.spec, *record.decision)));
  };
  routes.outcome = [this](const control::OutcomeRecord& record) {
    if (journal_ != nullptr) journal_->OnOutcome(record, clock_.Now());
    records_.OnOutcome(record);
    decisions_.OnOutcome(record, clock_.Now());
    if (shards_ != nullptr) shards_->OnOutcome(record);
  };
  routes.quiet = [this](const control::ShardQuiet& quiet) { shards_->OnQuiet(quiet.shard); };
  routes.after_step = [this](const control::Controller& controller) {
    decisions_.Sweep(controller.targets());
    records_.Serve(controller);
    if (shards_ != nullptr) shards_->AfterStep(controller);
    shadows_.Serve(controller);
    WriteRivals(controller);
    if (journal_ == nullptr) return;
    journal_->EndStep(clock_.Now());
    const record::WriterCounters counters = journal_->counters();
    journal_bytes_ = counters.written_bytes;
    journal_lost_ = counters.lost_records;
  };
  return routes;
}

void Neapd::Impl::MakeLoop() {
  loop_ = std::make_unique<ControlLoop>(
      ControllerOptionsOf(options_), inbox_, clock_, MakeRoutes(), metrics_,
      [this](std::string_view uid) { return objects_.Withheld(uid); });
  for (const std::string& source : options_.sources) {
    if (source.starts_with("dir:")) {
      directory_ = std::make_unique<DirSource>(DirectoryOptionsOf(source, options_), clock_,
                                               objects_, Sink());
    }
  }
}

absl::Status Neapd::Impl::MakeServer() {
  AddMetricSources();
  telemetry::ServerHandlers handlers;
  handlers.process_metrics = [this] { return metrics_.Text(); };
  handlers.object_metrics = [this] { return loop_->OpenScrape(); };
  handlers.unhealthy = [this] { return Unhealthy(); };
  handlers.unready = [this] { return Unready(); };
  handlers.records = [this](const core::ObjectKey& key, absl::Duration patience) {
    return records_.Get(key, patience);
  };
  if (options_.shadow_hpas) {
    handlers.shadows = [this](absl::Duration patience) { return shadows_.Get(patience); };
  }
  server_ = std::make_unique<telemetry::Server>(std::move(handlers));
  NEAP_ASSIGN_OR_RETURN(port_, server_->Start(options_.listen_address));
  telemetry::LogInfo(fmt::format("/metrics, /healthz, /readyz and /records at port {} ({})", port_,
                                 options_.listen_address));
  return absl::OkStatus();
}

// One sample per scaler endpoint.
std::vector<Sample> PerEndpoint(const scalerhost::Host& host,
                                double (*read)(const scalerhost::EndpointHealth&)) {
  std::vector<Sample> out;
  for (const scalerhost::EndpointHealth& endpoint : host.health()) {
    out.push_back({.label_values = {endpoint.address}, .value = read(endpoint)});
  }
  return out;
}

void Neapd::Impl::AddMetricSources() {
  using Health = scalerhost::EndpointHealth;
  const auto number = [](double value) { return std::vector<Sample>{{{}, value}}; };
  const auto per_endpoint = [this](std::string_view name, double (*read)(const Health&)) {
    metrics_.AddSource(name, [this, read] { return PerEndpoint(*host_, read); });
  };
  metrics_.AddSource("neap_replaced_readings_total",
                     [this, number] { return number(inbox_.coalesced()); });
  per_endpoint("neap_scaler_up", [](const Health& h) -> double { return h.connected ? 1 : 0; });
  per_endpoint("neap_scaler_triggers", [](const Health& h) -> double { return h.triggers; });
  per_endpoint("neap_scaler_connects_total", [](const Health& h) -> double { return h.connects; });
  per_endpoint("neap_scaler_connection_failures_total",
               [](const Health& h) -> double { return h.failures; });
  per_endpoint("neap_scaler_pushed_readings_total",
               [](const Health& h) -> double { return h.counters.pushed; });
  per_endpoint("neap_scaler_received_bytes_total",
               [](const Health& h) -> double { return h.counters.bytes; });
  metrics_.AddSource("neap_scaler_readings_total", [this] {
    std::vector<Sample> out;
    for (const Health& h : host_->health()) {
      const scalerhost::EndpointCounters& c = h.counters;
      out.push_back({{h.address, "value"}, static_cast<double>(c.readings)});
      out.push_back({{h.address, "error"}, static_cast<double>(c.failed_readings - c.timeouts)});
      out.push_back({{h.address, "timeout"}, static_cast<double>(c.timeouts)});
    }
    return out;
  });
  metrics_.AddSource("neap_scaler_violations_total", [this] {
    std::vector<Sample> out;
    for (const Health& h : host_->health()) {
      for (size_t i = 0; i < scalerhost::kViolations; ++i) {
        if (h.counters.violations[i] == 0) continue;
        const auto kind = scalerhost::ViolationName(static_cast<scalerhost::Violation>(i));
        out.push_back(
            {{h.address, std::string(kind)}, static_cast<double>(h.counters.violations[i])});
      }
    }
    return out;
  });
  metrics_.AddSource("neap_refused_triggers_total",
                     [this, number] { return number(host_->counters().refused_types); });
  metrics_.AddSource("neap_journal_written_bytes_total",
                     [this, number] { return number(static_cast<double>(journal_bytes_)); });
  metrics_.AddSource("neap_journal_lost_records_total",
                     [this, number] { return number(static_cast<double>(journal_lost_)); });
  AddShardMetricSources();
  AddApiMetrics();
  metrics_.AddSource("neap_object_problems", [this] {
    std::vector<Sample> out;
    if (wants_api_) {
      const std::string source(kube::kApiSource);
      const ObjectTable::Problems problems = objects_.ProblemsOf(source);
      out.push_back({{source, "error"}, static_cast<double>(problems.errors)});
      out.push_back({{source, "warning"}, static_cast<double>(problems.warnings)});
    }
    if (directory_ != nullptr) {
      out.push_back({{directory_->source(), "error"}, static_cast<double>(directory_->errors())});
      out.push_back(
          {{directory_->source(), "warning"}, static_cast<double>(directory_->warnings())});
    }
    return out;
  });
}

void Neapd::Impl::AddShardMetricSources() {
  if (shards_ == nullptr) return;
  using Leases = kube::ShardLeaseCounts;
  using Kept = ShardKeeper::Counts;
  const auto of_leases = [this](std::string_view name, double (*read)(const Leases&)) {
    metrics_.AddSource(
        name, [this, read] { return std::vector<Sample>{{{}, read(shards_->lease_counts())}}; });
  };
  of_leases("neap_lease_members", [](const Leases& l) -> double { return l.members; });
  of_leases("neap_leases_held", [](const Leases& l) -> double { return l.held; });
  of_leases("neap_lease_requests_total",
            [](const Leases& l) { return static_cast<double>(l.requests); });
  of_leases("neap_lease_errors_total",
            [](const Leases& l) { return static_cast<double>(l.errors); });
  of_leases("neap_leases_lost_total", [](const Leases& l) { return static_cast<double>(l.lost); });
  metrics_.AddSource("neap_shards", [this] {
    return std::vector<Sample>{{{}, static_cast<double>(shards_->shards())}};
  });
  metrics_.AddSource("neap_shards_held", [this] {
    return std::vector<Sample>{{{}, static_cast<double>(shards_->counts().held)}};
  });
  metrics_.AddSource("neap_history_requests_total", [this] {
    const Kept c = shards_->counts();
    return std::vector<Sample>{
        {{"load", "ok"}, static_cast<double>(c.loads)},
        {{"load", "error"}, static_cast<double>(c.failed_loads)},
        {{"save", "ok"}, static_cast<double>(c.saves)},
        {{"save", "error"}, static_cast<double>(c.failed_saves)},
    };
  });
  metrics_.AddSource("neap_shards_without_history_total", [this] {
    return std::vector<Sample>{{{}, static_cast<double>(shards_->counts().unread)}};
  });
}

void Neapd::Impl::AddApiMetrics() {
  const auto number = [this](std::string_view name,
                             double (*read)(const kube::api::ClientCounters&)) {
    metrics_.AddSource(name,
                       [this, read] { return std::vector<Sample>{{{}, read(api_->counters())}}; });
  };
  using Counters = kube::api::ClientCounters;
  metrics_.AddSource("neap_api_requests_total", [this] {
    std::vector<Sample> out;
    for (const kube::api::RequestCount& c : api_->counters().requests) {
      out.push_back({{c.verb, c.resource, c.code}, static_cast<double>(c.requests)});
    }
    return out;
  });
  number("neap_api_delayed_requests_total",
         [](const Counters& c) { return static_cast<double>(c.delayed); });
  number("neap_api_delay_seconds_total",
         [](const Counters& c) { return absl::ToDoubleSeconds(c.delay); });
  number("neap_credential_plugin_runs_total",
         [](const Counters& c) { return static_cast<double>(c.credentials.plugin_runs); });
  number("neap_credential_plugin_failures_total",
         [](const Counters& c) { return static_cast<double>(c.credentials.plugin_failures); });
  metrics_.AddSource("neap_api_clock_skew_seconds", [this] {
    std::vector<Sample> out;
    if (const auto skew = api_->counters().clock_skew) {
      out.push_back({{}, absl::ToDoubleSeconds(*skew)});
    }
    return out;
  });
}

std::string Neapd::Impl::Unhealthy() const {
  const absl::Duration idle = loop_->SinceLastStep();
  if (stopping_ || idle < kStuckAfter) return "";
  return fmt::format("the controller has not stepped for {} s", absl::ToInt64Seconds(idle));
}

std::string Neapd::Impl::Unready() const {
  if (stopping_) return "stopping";
  if (std::string why = Unhealthy(); !why.empty()) return why;
  if (wants_api_ && !autoscalers_listed_) {
    return "autoscalers are not listed from the API server yet";
  }
  if (directory_ != nullptr && !directory_->listed()) {
    return "objects of " + directory_->source() + " are not read yet";
  }
  if (shards_ != nullptr) {
    if (std::string why = shards_->Unready(); !why.empty()) return why;
  }
  if (scalers_token_ != nullptr) {
    if (std::string problem = scalers_token_->Problem(); !problem.empty()) return problem;
  }
  if (!loop_->AllSynced()) return "scales or pods are not listed completely yet";
  return "";
}

// From the controller outwards: first nothing is decided any more, then nothing comes in, then
// the parts go that others call.
void Neapd::Impl::Stop() {
  if (stopping_.exchange(true)) return;
  const absl::Duration until = clock_.Elapsed() + options_.shutdown_timeout * 3 / 5;
  // While the loop still runs: it ends what is under way of each shard, then its history is saved.
  if (shards_ != nullptr) shards_->Stop(until - clock_.Elapsed());
  if (loop_ != nullptr) {
    const size_t unanswered = loop_->Stop(std::max(until - clock_.Elapsed(), absl::ZeroDuration()));
    if (unanswered > 0) {
      telemetry::LogWarning(fmt::format("{} scale writes were not answered in time", unanswered));
    }
  }
  if (journal_ != nullptr) journal_->Close();
  inbox_.Close();
  records_.Close();
  shadows_.Close();
  if (server_ != nullptr) server_->Stop();  // its handlers look at the parts below
  directory_.reset();
  autoscalers_.reset();
  hpas_.reset();
  host_.reset();
  scalers_token_.reset();
  pods_.reset();
  scales_.reset();
  event_writer_.reset();
  status_writer_.reset();
  writer_.reset();
  shards_.reset();
  if (http_ != nullptr) http_->Stop();
}

Neapd::Neapd(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Neapd::~Neapd() = default;

absl::StatusOr<std::unique_ptr<Neapd>> Neapd::Start(const Options& options) {
  auto impl = std::make_unique<Impl>(options);
  NEAP_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<Neapd>(new Neapd(std::move(impl)));
}

void Neapd::Stop() { impl_->Stop(); }
int Neapd::port() const { return impl_->port(); }

}  // namespace neap::app
