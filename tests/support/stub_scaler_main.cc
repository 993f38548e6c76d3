// neap-test-scaler: StubScaler as a process, for tests that start real ones. See stub_scaler.h for
// the trigger type `stub`.
//
//   neap-test-scaler --listen unix:///tmp/x/stub.sock [--control-port 0] [--no-watch]
//
// It writes one line when it is ready, "listening ADDRESS control PORT", and ends at SIGTERM. The
// control is HTTP on 127.0.0.1:
//
//   POST /set?key=K&value=12.5[&push=1]   the value of every trigger with metadata key K; pushed,
//   too POST /fault?key=K&kind=error|hang|nan|none   K may be *: all keys without a fault of their
//   own GET  /stats                           {"polls":..,"rounds":..,"sets":..,"streams":..,
//                                          "triggers":..}: see StubScaler::Stats
//
// 400 with the reason for anything else in a parameter.
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <thread>

#include "tests/support/stub_scaler.h"

namespace {

using neap::testing_support::StubScaler;

void Refuse(httplib::Response& response, const std::string& why) {
  response.status = 400;
  response.set_content(why + "\n", "text/plain");
}

void SetValue(StubScaler& scaler, const httplib::Request& request, httplib::Response& response) {
  const std::string key = request.get_param_value("key");
  const std::string text = request.get_param_value("value");
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (key.empty()) return Refuse(response, "key is missing");
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return Refuse(response, "value \"" + text + "\" is no number");
  }
  scaler.Set(key, value);
  if (request.get_param_value("push") == "1") scaler.Push(key);
}

void SetFault(StubScaler& scaler, const httplib::Request& request, httplib::Response& response) {
  static const std::map<std::string, StubScaler::Fault> kKinds = {
      {"none", StubScaler::Fault::kNone},
      {"error", StubScaler::Fault::kError},
      {"hang", StubScaler::Fault::kHang},
      {"nan", StubScaler::Fault::kNan}};
  const std::string key = request.get_param_value("key");
  const auto kind = kKinds.find(request.get_param_value("kind"));
  if (key.empty()) return Refuse(response, "key is missing");
  if (kind == kKinds.end()) return Refuse(response, "kind must be none, error, hang or nan");
  scaler.SetFault(key, kind->second);
}

std::string StatsText(const StubScaler::Stats& stats) {
  return fmt::format("{{\"polls\":{},\"rounds\":{},\"sets\":{},\"streams\":{},\"triggers\":{}}}\n",
                     stats.polls, stats.rounds, stats.sets, stats.streams, stats.triggers);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A scaler whose values and faults are set over HTTP, for tests");
  neap::testing_support::StubOptions options;
  int control_port = 0;
  bool no_watch = false;
  app.add_option("--listen", options.address, "unix:///path or HOST:PORT")->required();
  app.add_option("--control-port", control_port, "of 127.0.0.1; 0 picks one")
      ->check(CLI::Range(0, 65535));
  app.add_flag("--no-watch", no_watch, "Watch is UNIMPLEMENTED: the host must Read");
  CLI11_PARSE(app, argc, argv);
  options.watch = !no_watch;

  // Before any thread starts, so that all inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  StubScaler scaler(std::move(options));
  httplib::Server control;
  control.Post("/set", [&](const httplib::Request& request, httplib::Response& response) {
    SetValue(scaler, request, response);
  });
  control.Post("/fault", [&](const httplib::Request& request, httplib::Response& response) {
    SetFault(scaler, request, response);
  });
  control.Get("/stats", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(StatsText(scaler.stats()), "application/json");
  });
  if (control_port == 0) {
    control_port = control.bind_to_any_port("127.0.0.1");
  } else if (!control.bind_to_port("127.0.0.1", control_port)) {
    std::fprintf(stderr, "neap-test-scaler: port %d is taken\n", control_port);
    return 1;
  }
  std::thread server([&] { control.listen_after_bind(); });
  std::printf("listening %s control %d\n", scaler.address().c_str(), control_port);
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  control.stop();
  server.join();
  return 0;
}
