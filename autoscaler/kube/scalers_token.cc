#include "autoscaler/kube/scalers_token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube {
namespace {

constexpr mode_t kMode = 0640;
constexpr double kRenewAt = 0.8;  // of its life
// A server that gives tokens of seconds is not asked more often than this.
constexpr absl::Duration kShortestWait = absl::Seconds(5);

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

struct Granted {
  std::string token;
  absl::Duration life;
};

// By the server's clock where it told it: ours may be wrong.
absl::StatusOr<Granted> ReadReply(const api::Reply& reply, absl::Duration asked) {
  const auto parsed = value::ParseJson(reply.body, "answer");
  // Without the parser's words: they may quote the token.
  if (!parsed.ok()) return base::DataLoss("{}: the answer is no JSON", reply.where);
  Granted out{.token = std::string(parsed->StringAt("status.token")), .life = asked};
  if (out.token.empty() || std::ranges::any_of(out.token, [](char c) { return c <= ' '; })) {
    return base::DataLoss("{}: the answer has no status.token", reply.where);
  }
  const std::string expires(parsed->StringAt("status.expirationTimestamp"));
  if (const auto at = base::ParseTime(expires); at.ok() && reply.date != absl::InfinitePast()) {
    out.life = *at - reply.date;
  } else if (const int64_t seconds = parsed->IntAt("spec.expirationSeconds"); seconds > 0) {
    out.life = absl::Seconds(seconds);
  }
  if (out.life <= absl::ZeroDuration()) {
    return base::DataLoss("{}: the token expired at {}, before it was given", reply.where, expires);
  }
  return out;
}

}  // namespace

absl::Status ReplaceSecretFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const auto fail = [&] {
    const int error = errno;
    unlink(fresh.c_str());
    return base::Unavailable("{}: can't be written: {}", path, std::strerror(error));
  };
  unlink(fresh.c_str());  // of a run that was killed
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMode);
  if (fd < 0) return fail();
  const bool written = fchmod(fd, kMode) == 0 && WriteAll(fd, text);  // whatever the umask is
  const int error = errno;
  const bool closed = close(fd) == 0;
  if (!written) errno = error;
  if (!written || !closed || std::rename(fresh.c_str(), path.c_str()) != 0) return fail();
  return absl::OkStatus();
}

// On the http::Client's thread; kept alive by callbacks under way.
class ScalersToken::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, ScalersTokenOptions options)
      : context_(context),
        options_(std::move(options)),
        ns_(context.client->config().ns),
        what_(fmt::format("token of service account {}/{}", ns_, options_.service_account)),
        path_(api::ResourcePath("", "v1", "serviceaccounts", ns_, options_.service_account,
                                "token")) {}

  void Ask() {
    if (closed_) return;
    const nlohmann::json request = {
        {"apiVersion", "authentication.k8s.io/v1"},
        {"kind", "TokenRequest"},
        {"spec", {{"expirationSeconds", absl::ToInt64Seconds(options_.life)}}}};
    context_.client->Send(
        {.method = "POST", .path = path_, .body = request.dump(), .timeout = options_.timeout},
        [self = shared_from_this()](const absl::StatusOr<api::Reply>& reply) {
          if (!self->closed_) self->OnReply(reply);
        });
  }

  void Close() { closed_ = true; }
  http::Client& http() { return context_.client->http(); }

  std::string Problem() const NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (clock_.Elapsed() < good_until_) return "";
    const bool never = good_until_ == -absl::InfiniteDuration();
    return fmt::format("the {} in {} {}{}{}", what_, options_.path,
                       never ? "is not there yet" : "has expired", trouble_.empty() ? "" : ": ",
                       trouble_);
  }

 private:
  void OnReply(const absl::StatusOr<api::Reply>& reply) {
    const absl::StatusOr<Granted> granted =
        reply.ok() ? ReadReply(*reply, options_.life) : absl::StatusOr<Granted>(reply.status());
    const absl::Status done =
        granted.ok() ? ReplaceSecretFile(options_.path, granted->token) : granted.status();
    if (!done.ok()) {
      Retry(done);
      return;
    }
    failures_ = 0;
    {
      base::MutexLock lock(mutex_);
      good_until_ = clock_.Elapsed() + granted->life;
      trouble_.clear();
    }
    AskAfter(std::max(kShortestWait, granted->life * kRenewAt));
  }

  void Retry(const absl::Status& error) {
    if (absl::IsCancelled(error)) return;  // the http::Client stops
    context_.Report(what_, error);
    {
      base::MutexLock lock(mutex_);
      trouble_ = std::string(base::Message(error));
    }
    absl::Duration wait = options_.retry_min;
    for (int i = 0; i < failures_ && wait < options_.retry_max; ++i) wait *= 2;
    ++failures_;
    wait = std::min(wait, options_.retry_max);
    wait *= 1 + (context_.watch.jitter ? context_.watch.jitter() : 0);
    if (const auto said = api::ApiErrorOf(error); said && said->retry_after) {
      wait = std::max(wait, *said->retry_after);
    }
    AskAfter(wait);
  }

  void AskAfter(absl::Duration wait) {
    http().After(wait, [self = shared_from_this()] { self->Ask(); });
  }

  const Context context_;
  const ScalersTokenOptions options_;
  const std::string ns_;
  const std::string what_;
  const std::string path_;
  const base::Clock clock_;
  // The http::Client's thread.
  int failures_ = 0;  // in a row
  bool closed_ = false;

  mutable base::Mutex mutex_;
  absl::Duration good_until_ NEAP_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::string trouble_ NEAP_GUARDED_BY(mutex_);  // of the last attempt
};

ScalersToken::ScalersToken(const Context& context, ScalersTokenOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_] { impl->Ask(); });
}

ScalersToken::~ScalersToken() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

std::string ScalersToken::Problem() const { return impl_->Problem(); }

}  // namespace neap::kube
