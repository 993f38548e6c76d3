#include "scalers/redis/resp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace neap::scalers::redis {
namespace {

TEST(Resp, CommandsKeepAnyBytes) {
  EXPECT_EQ(Command({"LLEN", "a b"}), "*2\r\n$4\r\nLLEN\r\n$3\r\na b\r\n");
  EXPECT_EQ(Command({"X", ""}), "*2\r\n$1\r\nX\r\n$0\r\n\r\n");
  EXPECT_EQ(Command({"X", std::string_view("\0\n", 2)}),
            std::string("*2\r\n$1\r\nX\r\n$2\r\n\0\n\r\n", 19));
}

TEST(Resp, RepliesArriveInAnyPieces) {
  const std::string bytes = "+OK\r\n:42\r\n$3\r\nabc\r\n-ERR no\r\n$-1\r\n*2\r\n:1\r\n:2\r\n";
  for (size_t piece : {size_t{1}, size_t{2}, size_t{7}, bytes.size()}) {
    ReplyReader reader;
    std::vector<Reply> replies;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.Feed(std::string_view(bytes).substr(at, piece));
      for (;;) {
        absl::StatusOr<std::optional<Reply>> next = reader.Next();
        ASSERT_TRUE(next.ok()) << next.status();
        if (!*next) break;
        replies.push_back(**next);
      }
    }
    ASSERT_EQ(replies.size(), 6U) << piece;
    EXPECT_EQ(replies[0].kind, Reply::Kind::kStatus);
    EXPECT_EQ(replies[0].text, "OK");
    EXPECT_EQ(replies[1].integer, 42);
    EXPECT_EQ(replies[2].text, "abc");
    EXPECT_EQ(replies[3].kind, Reply::Kind::kError);
    EXPECT_EQ(replies[4].kind, Reply::Kind::kNil);
    EXPECT_EQ(replies[5].elements, 2U);
  }
}

TEST(Resp, GarbageIsAnErrorThatStays) {
  ReplyReader reader;
  reader.Feed("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kDataLoss);
  reader.Feed(":1\r\n");
  EXPECT_FALSE(reader.Next().ok());
}

}  // namespace
}  // namespace neap::scalers::redis
