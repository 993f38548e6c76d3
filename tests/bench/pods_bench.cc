// What a cached pod costs in memory, from the pages of a list to control's table, and how fast
// pages are decoded: 50,000 pods of Deployments, StatefulSets and Jobs. The heap is asked
// (mallinfo2), so the numbers hold what the allocator adds to each block.
//
//   bench_pods
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/check.h"
#include "autoscaler/control/pod_table.h"
#include "autoscaler/kube/collection.h"
#include "autoscaler/kube/decode.h"

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

using Item = Collection<control::PodState>::Item;

// As api::Watch, Collection and PodViews do it.
void DecodePage(std::string& json, simdjson::ondemand::parser& parser, Interner& interner,
                std::vector<Item>* out) {
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
    Item& one = out->emplace_back();
    one.name = std::move(pod.state.pod.name);
    one.value = std::move(pod.state);
  }
}

// Small blocks, and the large ones that have mappings of their own.
double Heap() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

// bytes_per_pod: kept, once the list is in the table. while_listing: the most that there was at the
// end of a page, that page's text and the parser's tables among it, and a table of the last list
// beside it.
void BM_PodMemory(benchmark::State& state) {
  const auto owner = static_cast<Owner>(state.range(0));
  for (auto _ : state) {
    malloc_trim(0);
    const double before = Heap();
    double most = 0;
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
        std::vector<Item> items;
        simdjson::ondemand::parser parser;
        for (int from = 0; from < kPods; from += kPage) {
          std::string json = Page(owner, from);
          DecodePage(json, parser, interner, &items);
          most = std::max(most, Heap());
        }
        message.all.reserve(items.size());
        for (Item& item : items) {
          item.value.pod.name = std::move(item.name);
          message.all.push_back(std::move(item.value));
        }
        most = std::max(most, Heap());
      }
      table.Replace(std::move(message));
      table.Settle();
    }
    NEAP_CHECK(table.pods() == kPods, "{} pods", table.pods());
    state.counters["bytes_per_pod"] = (Heap() - before) / kPods;
    state.counters["while_listing"] = (most - before) / kPods;
    state.counters["interned"] = static_cast<double>(interner.size());
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
    std::vector<Item> pods;
    DecodePage(json, parser, interner, &pods);
    benchmark::DoNotOptimize(pods);
  }
  state.SetItemsProcessed(state.iterations() * kPage);
}
BENCHMARK(BM_DecodePage)->ArgName("owner")->Arg(kDeployment)->Arg(kStatefulSet);

}  // namespace
}  // namespace neap::kube
