// What a cached pod costs in memory, from the pages of a list to control's table, and how fast
// pages are decoded: 50,000 pods of Deployments, StatefulSets and Jobs.
//
//   bench_pods
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/control/pod_table.h"
#include "autoscaler/kube/decode.h"
#include "autoscaler/kube/interner.h"
#include "tests/bench/heap.h"

namespace neap::kube {
namespace {

constexpr int kPods = 50'000;
constexpr int kPage = 500;
constexpr int kPodsPerWorkload = 50;
constexpr char kNamespace[] = "shop";

enum Owner { kDeployment, kStatefulSet, kJob };

std::string Labels(Owner owner, int workload, int i) {
  const std::string app = fmt::format(
      R"("app.kubernetes.io/name":"checkout-{0}","app.kubernetes.io/instance":"prod")", workload);
  switch (owner) {
    case kDeployment:
      return app + fmt::format(R"(,"pod-template-hash":"7d9c5b8f{:02d}")", workload % 100);
    case kStatefulSet:
      return app + fmt::format(R"(,"controller-revision-hash":"checkout-{0}-5c7d8f9b6d",)"
                               R"("statefulset.kubernetes.io/pod-name":"checkout-{0}-{1}",)"
                               R"("apps.kubernetes.io/pod-index":"{1}")",
                               workload, i);
    case kJob:
      return app + fmt::format(R"(,"batch.kubernetes.io/job-name":"checkout-{0}-{1:08d}",)"
                               R"("batch.kubernetes.io/controller-uid":)"
                               R"("5f0c1c52-7a0b-4c0e-9f5e-{1:012d}",)"
                               R"("job-name":"checkout-{0}-{1:08d}",)"
                               R"("controller-uid":"5f0c1c52-7a0b-4c0e-9f5e-{1:012d}")",
                               workload, i);
  }
  return app;
}

std::string PodJson(Owner owner, int n) {
  const int workload = n / kPodsPerWorkload;
  const int i = n % kPodsPerWorkload;
  const std::string name = owner == kStatefulSet ? fmt::format("checkout-{}-{}", workload, i)
                                                 : fmt::format("checkout-{}-7d9c5b8f{:02d}-{:05d}",
                                                               workload, workload % 100, i);
  return fmt::format(
      R"({{"metadata":{{"name":"{0}","namespace":"shop","uid":"5f0c1c52-7a0b-4c0e-9f5e-{1:012d}",)"
      R"("resourceVersion":"{1}","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{{2}}},)"
      R"("annotations":{{"kubectl.kubernetes.io/restartedAt":"2026-01-01T00:00:00Z"}},)"
      R"("ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"checkout","uid":)"
      R"("5f0c1c52-7a0b-4c0e-9f5e-000000000000","controller":true,"blockOwnerDeletion":true}}]}},)"
      R"("spec":{{"nodeName":"node-17","containers":[{{"name":"app","image":"example.com/app:1.2.3",)"
      R"("env":[{{"name":"A","value":"b"}}],"resources":{{"requests":{{"cpu":"250m","memory":"512Mi"}},)"
      R"("limits":{{"memory":"1Gi"}}}}}}]}},"status":{{"phase":"Running","podIP":"10.1.2.3",)"
      R"("startTime":"2026-01-01T00:00:00Z","conditions":[{{"type":"PodScheduled","status":"True",)"
      R"("lastTransitionTime":"2026-01-01T00:00:00Z"}},{{"type":"Ready","status":"True",)"
      R"("lastTransitionTime":"2026-01-01T00:00:07Z"}}]}}}})",
      name, n, Labels(owner, workload, i));
}

std::string Page(Owner owner, int from) {
  std::string json = R"({"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[)";
  for (int n = from; n < std::min(from + kPage, kPods); ++n) {
    if (n > from) json += ',';
    json += PodJson(owner, n);
  }
  return json + "]}";
}

// As api::Watch and PodViews do it.
void DecodePage(std::string& json, simdjson::ondemand::parser& parser, Interner& interner,
                std::deque<control::PodState>* out) {
  json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  simdjson::ondemand::document page;
  NEAP_CHECK(
      !parser.iterate(simdjson::padded_string_view(json.data(), json.size(), json.capacity()))
           .get(page),
      "page");
  simdjson::ondemand::array items;
  NEAP_CHECK(!page["items"].get_array().get(items), "items");
  for (auto item : items) {
    api::JsonObject object;
    NEAP_CHECK(!item.get_object().get(object), "item");
    DecodedPod pod;
    const absl::Status decoded = DecodePod(object, interner, &pod);
    NEAP_CHECK(decoded.ok(), "{}", base::Message(decoded));
    out->push_back(std::move(pod.state));
  }
}

// bytes_per_pod: kept, once the list is in the table. while_listing: the most that there was at the
// end of a page, a table of the last list beside it. without_page: the same without that page's
// text and the parser's tables, which are as large however many pods there are.
void BM_PodMemory(benchmark::State& state) {
  const auto owner = static_cast<Owner>(state.range(0));
  for (auto _ : state) {
    const double before = HeapBytes();
    double most = 0;
    double without_page = 0;
    Interner interner;
    control::PodTable table;
    for (int workload = 0; workload * kPodsPerWorkload < kPods; ++workload) {
      const std::string text = fmt::format("app.kubernetes.io/name=checkout-{}", workload);
      table.Acquire(kNamespace, *base::Selector::Parse(text), text);
    }
    table.Settle();
    for (int list = 0; list < 2; ++list) {
      control::PodsReplaced message{.ns = kNamespace, .all = {}};
      {
        std::optional<simdjson::ondemand::parser> parser(std::in_place);
        std::string json;
        for (int from = 0; from < kPods; from += kPage) {
          json = Page(owner, from);
          DecodePage(json, *parser, interner, &message.all);
          most = std::max(most, HeapBytes());
          parser.emplace();
          std::string().swap(json);
          without_page = std::max(without_page, HeapBytes());
        }
      }
      table.Replace(std::move(message));
      table.Settle();
    }
    NEAP_CHECK(table.pods() == kPods, "{} pods", table.pods());
    state.counters["bytes_per_pod"] = (HeapBytes() - before) / kPods;
    state.counters["while_listing"] = (most - before) / kPods;
    state.counters["without_page"] = (without_page - before) / kPods;
    state.counters["interned"] = static_cast<double>(interner.kinds());
  }
}
BENCHMARK(BM_PodMemory)
    ->ArgName("owner")
    ->Arg(kDeployment)
    ->Arg(kStatefulSet)
    ->Arg(kJob)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void BM_DecodePage(benchmark::State& state) {
  const auto owner = static_cast<Owner>(state.range(0));
  std::string json = Page(owner, 0);
  simdjson::ondemand::parser parser;
  Interner interner;
  for (auto _ : state) {
    std::deque<control::PodState> pods;
    DecodePage(json, parser, interner, &pods);
    benchmark::DoNotOptimize(pods);
  }
  state.SetItemsProcessed(state.iterations() * kPage);
}
BENCHMARK(BM_DecodePage)->ArgName("owner")->Arg(kDeployment)->Arg(kStatefulSet);

}  // namespace
}  // namespace neap::kube
