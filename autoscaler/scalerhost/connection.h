// Connection: the four calls of the contract at one address, without the rest of gRPC. It makes one
// channel, which connects at the first call and again as needed. Owned by Endpoint and Client.
// Thread-safe; callbacks run on gRPC's threads, must be short, and must not call Close.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "autoscaler/scalerhost/address.h"
#include "neap/scaler/v1/scaler.pb.h"

namespace neap::scalerhost {

namespace pb = ::neap::scaler::v1;

inline constexpr int kMaxMessageBytes = 16 << 20;  // the contract's, both ways

struct ConnectionOptions {
  absl::Duration keepalive_time = absl::Seconds(10);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  // The channel's own: how long after a failed attempt the next may begin.
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration last_backoff = absl::Seconds(1);
};

// One Watch. After on_end nothing is called any more; until then frames come one at a time: the
// next is taken from the wire when Next is called.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void Write(pb::WatchRequest frame) = 0;  // queued
  virtual size_t unsent() const = 0;               // frames in the queue
  virtual void Next() = 0;
  virtual void Cancel() = 0;  // on_end follows soon
};
struct StreamHandlers {
  std::function<void(std::unique_ptr<pb::WatchResponse>)> on_frame;
  std::function<void(absl::Status)> on_end;  // OK: the scaler closed the stream
};

class Connection {
 public:
  template <typename Response>
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // Errors: InvalidArgument naming the address or the file.
  static absl::StatusOr<std::unique_ptr<Connection>> Make(const std::string& address,
                                                          const std::optional<Tls>& tls,
                                                          const ConnectionOptions& options);
  virtual ~Connection() = default;  // Close

  // `done` is called once. Errors carry gRPC's code and name the address. An unreachable peer is
  // Unavailable at once; there is no retry.
  virtual void Describe(absl::Duration timeout, Done<pb::DescribeResponse> done) = 0;
  virtual void Read(pb::ReadRequest request, absl::Duration timeout,
                    Done<pb::ReadResponse> done) = 0;
  virtual void Validate(pb::ValidateRequest request, absl::Duration timeout,
                        Done<pb::ValidateResponse> done) = 0;
  virtual std::shared_ptr<Stream> Watch(StreamHandlers handlers) = 0;

  // Cancels every call and waits until the last callback has returned. Later calls are dropped.
  virtual void Close() = 0;

  virtual bool is_private() const = 0;  // a Unix socket or TLS: secrets may travel
};

}  // namespace neap::scalerhost
