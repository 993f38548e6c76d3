// neapctl: Neap's tool for people. This file holds the command line alone (CLI11 is slow to
// compile); what the sub-commands do is in the file of each.
#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "tools/neapctl/commands.h"

namespace neap::ctl {
namespace {

constexpr char kExitCodes[] =
    "Exit codes: 0 yes; 1 the answer is no (an invalid object, a difference, a failed read);\n"
    "2 it could not be found out (wrong usage, an unreadable file, nobody answers).";

// What every sub-command has: -o, and its help with examples.
CLI::App* Add(CLI::App& app, const std::string& name, const std::string& what,
              const std::string& examples, Format* format) {
  static const std::map<std::string, Format> kFormats = {
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  CLI::App* command = app.add_subcommand(name, what);
  if (format != nullptr) {
    command
        ->add_option_function<std::string>(
            "-o,--output", [format](const std::string& word) { *format = kFormats.at(word); },
            "table (the default), json or yaml")
        ->check(CLI::IsMember(kFormats).description(""))
        ->type_name("FORMAT");
  }
  command->footer("Examples:\n" + examples + "\n" + kExitCodes);
  return command;
}

int Main(int argc, char** argv) {
  CLI::App app("neapctl: check, try and explain what Neap does", "neapctl");
  app.require_subcommand(1);
  app.footer(kExitCodes);
  int code = kOk;

  ValidateOptions validate;
  CLI::App* command = Add(app, "validate",
                          "Check Autoscaler and HorizontalPodAutoscaler objects in files, as "
                          "strictly as Neap does",
                          "  neapctl validate checkout.yaml worker.yaml\n"
                          "  kubectl get hpa -A -o json | neapctl validate -\n",
                          &validate.format);
  command->add_option("files", validate.files, "YAML or JSON files; - is standard input")
      ->required()
      ->type_name("FILE");
  command->callback([&] { code = Validate(validate); });

  ExplainOptions explain;
  command = Add(app, "explain",
                "Explain a decision step by step: the one that Neap takes for an object in a file "
                "with an observation (docs/neapctl.md) in a file",
                "  neapctl explain checkout.yaml observation.yaml\n", &explain.format);
  command->add_option("files", explain.files, "YAML or JSON files; - is standard input")
      ->required()
      ->type_name("FILE");
  command->callback([&] { code = Explain(explain); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kFailed;
  }
  return code;
}

}  // namespace
}  // namespace neap::ctl

int main(int argc, char** argv) { return neap::ctl::Main(argc, argv); }
