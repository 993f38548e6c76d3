// The Redis protocol without a connection: commands to bytes and bytes to replies, by hiredis'
// reader and writer (Debian's hiredis has no TLS, so it can't own the connection). Used by
// connection.cc alone. One thread at a time.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace neap::scalers::redis {

struct Reply {
  enum class Kind { kStatus, kError, kInteger, kString, kNil, kArray };
  Kind kind = Kind::kNil;
  std::string text;     // kStatus, kError, kString
  int64_t integer = 0;  // kInteger
  size_t elements = 0;  // kArray: how many; the elements themselves are not kept
};

// A command as the bytes to send. Arguments may hold any bytes.
std::string Command(const std::vector<std::string_view>& arguments);

class ReplyReader {
 public:
  ReplyReader();
  // What was read from the server.
  void Feed(std::string_view bytes);
  // The next complete reply, or nothing yet. Errors: DataLoss when the bytes are not the protocol;
  // the connection is of no more use then.
  absl::StatusOr<std::optional<Reply>> Next();

 private:
  struct Free {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace neap::scalers::redis
