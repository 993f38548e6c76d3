#include <gtest/gtest.h>

#include "autoscaler/http/client.h"

namespace neap::http {
namespace {

TEST(RedactedUrl, HidesWhatMayBeSecret) {
  EXPECT_EQ(RedactedUrl("https://host:8080/a/b?token=s3cret#frag"), "https://host:8080/a/b?...");
  EXPECT_EQ(RedactedUrl("http://user:pa@ss@host/x"), "http://host/x");
  EXPECT_EQ(RedactedUrl("http://host/x@y"), "http://host/x@y");
  EXPECT_EQ(RedactedUrl("http://host"), "http://host");
  EXPECT_EQ(RedactedUrl("nonsense"), "nonsense");
}

TEST(UrlEncode, KeepsUnreservedOnly) {
  EXPECT_EQ(UrlEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(UrlEncode("app in (a,b) /\xc3\xa4"), "app%20in%20%28a%2Cb%29%20%2F%C3%A4");
  EXPECT_EQ(QueryString({{"limit", "500"}, {"labelSelector", "a=b"}}),
            "limit=500&labelSelector=a%3Db");
}

TEST(BasicAuthorization, IsBase64) {
  EXPECT_EQ(BasicAuthorization("user", "pass"), "Basic dXNlcjpwYXNz");
}

TEST(FindHeader, IgnoresCase) {
  EXPECT_EQ(FindHeader({{"content-TYPE", "x"}, {"Content-Type", "y"}}, "Content-Type"), "x");
  EXPECT_EQ(FindHeader({}, "A"), "");
}

}  // namespace
}  // namespace neap::http
