// The sub-commands of neapctl: what each takes from the command line (main.cc parses it) and the
// function that does it. Each prints to stdout and stderr and gives the exit code (output.h).
// Called once by main; one thread.
#pragma once

#include <string>
#include <vector>

#include "tools/neapctl/output.h"

namespace neap::ctl {

struct ValidateOptions {
  std::vector<std::string> files;
  Format format = Format::kTable;
};
// Decodes every Autoscaler and HorizontalPodAutoscaler of the files as strictly as Neap does.
int Validate(const ValidateOptions& options);

struct ExplainOptions {
  std::vector<std::string> files;  // an object and an Observation, or one journal
  std::string server;              // http://host:port of a neapd: its decision, instead of files
  std::string object;              // "namespace/name": the decision of a journal or a neapd
  std::string at;                  // RFC 3339; "" = the last
  Format format = Format::kTable;
};
// Why a count is what it is: the decision's steps in words.
int Explain(const ExplainOptions& options);

struct ReadyOptions {
  std::string server;       // http://host:port of a neapd
  std::string wait = "0s";  // for how long it is asked again
  Format format = Format::kTable;
};
// Whether a running neapd is ready, by its /readyz; kNo when it says why not, kFailed without an
// answer.
int Ready(const ReadyOptions& options);

struct ReplayOptions {
  std::string journal;  // a directory or one of its files
  std::string with;     // a file with another policy; "" = the recorded ones
  std::string object;   // with `with`: "namespace/name" of the records; "" = that of the file
  std::string scalers;  // likewise: who is asked about triggers; "" starts the neap-scalers beside
                        // neapctl
  Format format = Format::kTable;
};
// Takes a journal's decisions again, and says where this build decides otherwise; or where another
// policy would have.
int Replay(const ReplayOptions& options);
int ReplayWith(const ReplayOptions& options);  // part of it, in replay_with.cc

struct ConformanceOptions {
  std::vector<std::string> files;
  std::string scalers;  // address; "" starts the neap-scalers beside neapctl
  Format format = Format::kTable;
};
// Recorded inputs and outputs of the real HPA and of KEDA's trigger parsing against ours.
int Conformance(const ConformanceOptions& options);

// How to reach a scaler; the files are PEM.
struct ScalerAddress {
  std::string address;
  bool tls = false;  // also when a file is named
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
};
struct ScalerDescribeOptions {
  ScalerAddress scaler;
  Format format = Format::kTable;
};
// What a running scaler says of itself: its trigger types and their parameters.
int ScalerDescribe(const ScalerDescribeOptions& options);

struct ScalerReadOptions {
  ScalerAddress scaler;
  std::vector<std::string> files;     // the triggers of the Autoscalers in them, or:
  std::string type;                   // one trigger
  std::vector<std::string> metadata;  // "key=value"
  std::vector<std::string> auth;      // "key=value" or "key=@FILE"
  std::vector<std::string> env;       // "NAME=value" or "NAME=@FILE"
  std::string metric_type;            // "", Value or AverageValue
  std::string ns = "default";
  double timeout_seconds = 10;
  Format format = Format::kTable;
};
// Reads triggers once and prints values and errors.
int ScalerRead(const ScalerReadOptions& options);

struct PlaygroundOptions {
  std::string world;
  std::vector<std::string> objects;
  int port = 0;
  std::string kubeconfig;
  std::string token;
  bool tls = false;
  std::string duration;  // "90s"; "" = until it is stopped
};
// A virtual cluster behind a Kubernetes-shaped server on loopback, until SIGTERM or SIGINT.
int Playground(const PlaygroundOptions& options);

struct RecordOptions {
  std::string prometheus;      // the server's URL
  std::string query;           // the load per second: one series
  std::string replicas_query;  // likewise; "" = no such column, unless there is a deployment
  std::string ns = "default";
  std::string deployment;
  std::string from = "24h";  // a time, or how long ago
  std::string to = "now";
  std::string step = "15s";
  std::string output;        // a file; "-" = stdout
  std::string bearer_token;  // "TEXT" or "@FILE", as the password
  std::string username;
  std::string password;
  std::vector<std::string> headers;     // "NAME=VALUE" or "NAME=@FILE"
  std::vector<std::string> parameters;  // likewise
  std::string ca_file;                  // PEM
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool unsafe_ssl = false;
  double timeout_seconds = 120;  // of each request
};
// The trace of a workload from a Prometheus server into the CSV that `simulate` reads.
int Record(const RecordOptions& options);

}  // namespace neap::ctl
