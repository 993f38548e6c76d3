// What hanging sources cost the others: reads of a quick source through the whole server, on one
// server where nothing hangs and on one where 1,000 triggers of a slow source do, taken in turn so
// that both see the same machine. Counters: p50 and p99 of each in microseconds, and `ratio_p99`,
// which is to stay under 2.
#include <benchmark/benchmark.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "neap/scaler/v1/scaler.grpc.pb.h"
#include "scalers/sdk/fake_scaler.h"
#include "scalers/sdk/server.h"
#include "tests/support/process.h"

namespace neap::sdk {
namespace {

namespace pb = ::neap::scaler::v1;
using Clock = std::chrono::steady_clock;

constexpr int kHanging = 1000;
constexpr int kReads = 20'000;

pb::ReadRequest Request(const std::string& source, const std::string& fault) {
  pb::ReadRequest request;
  pb::Trigger& trigger = *request.add_triggers();
  trigger.set_id("a");
  trigger.set_type("fake");
  (*trigger.mutable_metadata())["source"] = source;
  (*trigger.mutable_metadata())["fault"] = fault;
  return request;
}

struct HangingCall {
  HangingCall() {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(9));
  }
  grpc::ClientContext context;
  pb::ReadRequest request = Request("slow", "hang");
  pb::ReadResponse response;
};

// A server with a client.
class Side {
 public:
  explicit Side(const std::string& directory) {
    auto server =
        Server::Start(FakeScaler::Make(control_), {.listen = "unix://" + directory + "/socket"});
    if (!server.ok()) std::abort();
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = pb::ScalerService::NewStub(grpc::CreateCustomChannel(
        server_->address(), grpc::InsecureChannelCredentials(), arguments));
  }
  ~Side() {
    for (const auto& call : calls_) call->context.TryCancel();
    control_.Release();
    testing_support::WaitFor([&] { return ended_ == static_cast<int>(calls_.size()); });
  }
  void Hang() {
    for (int i = 0; i < kHanging; ++i) {
      HangingCall& call = *calls_.emplace_back(std::make_unique<HangingCall>());
      stub_->async()->Read(&call.context, &call.request, &call.response,
                           [this](const grpc::Status&) { ++ended_; });
    }
    testing_support::WaitFor([&] { return control_.hanging() > 0; });
  }
  bool Read() {
    grpc::ClientContext context;
    pb::ReadResponse response;
    const auto begin = Clock::now();
    const bool ok = stub_->Read(&context, quick_, &response).ok() &&
                    response.readings(0).metrics(0).has_series();
    times_.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    return ok;
  }
  double Percentile(double part) {
    std::ranges::sort(times_);
    return times_[static_cast<size_t>(part * static_cast<double>(times_.size() - 1))];
  }
  void Forget() { times_.clear(); }

 private:
  FakeControl control_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<pb::ScalerService::Stub> stub_;
  const pb::ReadRequest quick_ = Request("quick", "none");
  std::vector<std::unique_ptr<HangingCall>> calls_;
  std::atomic<int> ended_ = 0;
  std::vector<double> times_;
};

void BM_ReadBesideHangingSource(benchmark::State& state) {
  const testing_support::TempDir alone_directory;
  const testing_support::TempDir beside_directory;
  Side alone(alone_directory.path());
  Side beside(beside_directory.path());
  beside.Hang();
  bool ok = true;
  for (int i = 0; i < 500; ++i) ok = alone.Read() && beside.Read() && ok;
  alone.Forget();
  beside.Forget();
  for (auto _ : state) {
    for (int i = 0; i < kReads; ++i) ok = alone.Read() && beside.Read() && ok;
  }
  if (!ok) state.SkipWithError("a read failed");
  state.counters["p50_alone_us"] = alone.Percentile(0.5);
  state.counters["p50_beside_us"] = beside.Percentile(0.5);
  state.counters["p99_alone_us"] = alone.Percentile(0.99);
  state.counters["p99_beside_us"] = beside.Percentile(0.99);
  state.counters["ratio_p99"] = beside.Percentile(0.99) / alone.Percentile(0.99);
}
BENCHMARK(BM_ReadBesideHangingSource)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
}  // namespace neap::sdk
