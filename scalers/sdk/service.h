// Service: the contract's four calls over gRPC. It translates, and leaves the work to Reader,
// OpenedTriggers and WatchSession. This header and the .cc files that include it are the only ones
// of the SDK that see gRPC.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>

namespace grpc {
class Service;
}

namespace neap::sdk {

class OpenedTriggers;
class Reader;

// Owned by Server. Thread-safe.
class ScalerService {
 public:
  // `triggers` and `reader` outlive it.
  static std::unique_ptr<ScalerService> Make(std::string name, OpenedTriggers& triggers,
                                             Reader& reader);
  virtual ~ScalerService() = default;  // after the gRPC server has shut down
  virtual grpc::Service* grpc_service() = 0;
  // Every Watch stream ends with Unavailable, also those that are opened later.
  virtual void EndStreams() = 0;
};

}  // namespace neap::sdk
