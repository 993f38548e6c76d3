// StubScaler: a scaler whose values and faults a test sets at run time. It speaks gRPC itself, not
// through the SDK, because it must be able to lie. In C++ tests it runs in the process; for the
// others it is the program neap-test-scaler (stub_scaler_main.cc). It answers thousands of triggers
// a second. Thread-safe.
//
//   StubScaler scaler({.address = "unix:///tmp/x/stub.sock"});
//   scaler.Set("load", 12.5);
//   scaler.Fault("load", StubScaler::Fault::kHang);
//
// Trigger type `stub`, with metadata
//   key     what Set, SetFault and Push name; default: the trigger's id
//   value   until Set says otherwise; default 0
//   target  average per pod (or the total, if the trigger asks for Value); default 1
// and one metric, `stub`, active while its value is above 0.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "neap/scaler/v1/scaler.pb.h"
#include "tests/support/certificates.h"

namespace neap::testing_support {

namespace pb = ::neap::scaler::v1;

struct StubOptions {
  std::string address = "127.0.0.1:0";  // unix:///path or host:port; port 0 picks one
  bool watch = true;                    // false: Watch is UNIMPLEMENTED
  uint32_t max_triggers_per_read = 0;
  std::vector<std::string> types = {"stub"};
  const TestCertificate* tls = nullptr;  // speak TLS with it
  std::string client_ca = {};            // and ask for a certificate of this authority (PEM)

  // Lies: each sees an honest answer before it is sent and may change it; false: it is not sent
  // (a Read or Describe then hangs). Called on gRPC's threads.
  std::function<bool(pb::DescribeResponse&)> edit_description = {};
  std::function<bool(pb::WatchResponse&)> edit_frame = {};
  std::function<bool(pb::ReadResponse&)> edit_read = {};
  // What came in.
  std::function<void(const pb::WatchRequest&)> on_request = {};
  std::function<void(const pb::ReadRequest&)> on_read = {};
};

class StubScaler {
 public:
  enum class Fault { kNone, kError, kHang, kNan };
  struct Stats {
    uint64_t polls = 0;     // triggers asked, by Watch or Read
    uint64_t rounds = 0;    // Poll frames and Reads
    uint64_t sets = 0;      // complete sets and changes
    uint64_t streams = 0;   // Watches begun
    uint64_t triggers = 0;  // now, over all streams
  };

  explicit StubScaler(StubOptions options);  // listens; aborts the test program when it can't
  ~StubScaler();                             // ends all calls at once
  StubScaler(const StubScaler&) = delete;
  StubScaler& operator=(const StubScaler&) = delete;

  const std::string& address() const;  // with the port that was picked

  void Set(const std::string& key, double value);
  // key "*": every key that has no fault of its own.
  void SetFault(const std::string& key, Fault fault);
  void Push(const std::string& key);            // its present value, on every stream that has it
  void Inject(const pb::WatchResponse& frame);  // as it is, on every stream
  void CloseStreams();                          // with OK, as a scaler that winds up
  Stats stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::testing_support
