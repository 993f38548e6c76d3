// Edge: what the tests of kube share: a scripted API server, the parts that talk to it, and all
// messages and reports that came out. Thread-safe where threads meet.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "autoscaler/base/status.h"
#include "autoscaler/kube/context.h"
#include "tests/kube/api_server.h"

namespace neap::kube {

class Edge : public testing::Test {
 protected:
  Edge() {
    context_.client = &client_;
    context_.discovery = &discovery_;
    context_.sink = [this](control::Message message) {
      base::MutexLock lock(mutex_);
      messages_.push_back(std::move(message));
    };
    context_.report = [this](std::string_view what, const absl::Status& error) {
      base::MutexLock lock(mutex_);
      reports_.push_back(std::string(what) + ": " + std::string(base::Message(error)));
    };
    context_.watch.backoff_min = absl::Milliseconds(10);
    context_.watch.backoff_max = absl::Milliseconds(50);
  }
  // What was going on, when it went wrong.
  void TearDown() override {
    if (!HasFailure()) return;
    for (const ApiServer::Request& r : server_.Requests()) {
      ADD_FAILURE() << "request: " << r.method << " " << r.path << " watch=" << r.Query("watch");
    }
    for (const std::string& report : reports()) ADD_FAILURE() << "report: " << report;
  }

  static api::ClusterConfig ConfigOf(const std::string& server) {
    api::ClusterConfig config;
    config.server = server;
    return config;
  }

  std::vector<control::Message> messages() const {
    base::MutexLock lock(mutex_);
    return messages_;
  }
  std::vector<std::string> reports() const {
    base::MutexLock lock(mutex_);
    return reports_;
  }
  // All messages of one type, in order.
  template <typename T>
  std::vector<T> All() const {
    std::vector<T> out;
    for (const control::Message& message : messages()) {
      if (const T* one = std::get_if<T>(&message)) out.push_back(*one);
    }
    return out;
  }
  template <typename T>
  bool Await(size_t n) const {
    return testing_support::WaitFor([&] { return All<T>().size() >= n; });
  }
  bool AwaitReport(const std::string& part) const {
    return testing_support::WaitFor([&] {
      for (const std::string& report : reports()) {
        if (report.find(part) != std::string::npos) return true;
      }
      return false;
    });
  }
  // Everything that was handed over before has been done.
  void Settle() {
    http_.RunAndWait([] {});
  }

  ApiServer server_;
  http::Client http_;
  api::Client client_{http_, ConfigOf(server_.url())};
  api::Discovery discovery_{client_};
  Context context_;

 private:
  mutable base::Mutex mutex_;
  std::vector<control::Message> messages_ NEAP_GUARDED_BY(mutex_);
  std::vector<std::string> reports_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::kube
