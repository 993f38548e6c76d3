#include "scalers/redis/resp.h"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::scalers::redis {

std::string Command(const std::vector<std::string_view>& arguments) {
  std::vector<const char*> texts;
  std::vector<size_t> lengths;
  for (std::string_view argument : arguments) {
    texts.push_back(argument.empty() ? "" : argument.data());
    lengths.push_back(argument.size());
  }
  char* bytes = nullptr;
  const int size =
      redisFormatCommandArgv(&bytes, static_cast<int>(texts.size()), texts.data(), lengths.data());
  NEAP_CHECK(size >= 0, "out of memory for a Redis command");
  std::string out(bytes, static_cast<size_t>(size));
  redisFreeCommand(bytes);
  return out;
}

ReplyReader::ReplyReader() : reader_(redisReaderCreate()) {
  NEAP_CHECK(reader_ != nullptr, "out of memory for a Redis reader");
}

void ReplyReader::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }

void ReplyReader::Feed(std::string_view bytes) {
  // A reader in error ignores what it is fed; Next reports the error.
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

absl::StatusOr<std::optional<Reply>> ReplyReader::Next() {
  void* raw = nullptr;
  if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
    return base::DataLoss("not the Redis protocol: {}", reader_->errstr);
  }
  if (raw == nullptr) return std::optional<Reply>();
  const std::unique_ptr<redisReply, void (*)(redisReply*)> reply(
      static_cast<redisReply*>(raw), [](redisReply* r) { freeReplyObject(r); });
  Reply out;
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      out.kind = Reply::Kind::kInteger;
      out.integer = reply->integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      out.kind = reply->type == REDIS_REPLY_STRING   ? Reply::Kind::kString
                 : reply->type == REDIS_REPLY_STATUS ? Reply::Kind::kStatus
                                                     : Reply::Kind::kError;
      out.text.assign(reply->str, static_cast<size_t>(reply->len));
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = Reply::Kind::kArray;
      out.elements = reply->elements;
      break;
    default:
      break;
  }
  return std::optional<Reply>(std::move(out));
}

}  // namespace neap::scalers::redis
