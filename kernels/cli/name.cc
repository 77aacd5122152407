#include "kernels/cli/name.h"

#include <CLI/CLI.hpp>

namespace gemmine::cli {

namespace {

CLI::Option* never_empty(CLI::Option* option) {
  return option->check(CLI::Validator(
      [](const std::string& text) { return std::string(text.empty() ? "is empty" : ""); }, ""));
}

}  // namespace

CLI::Option* add_name(CLI::App& command, const std::string& flag, std::string& value,
                      const std::string& help) {
  return never_empty(command.add_option(flag, value, help));
}

CLI::Option* add_name(CLI::App& command, const std::string& flag, std::vector<std::string>& values,
                      const std::string& help) {
  return never_empty(command.add_option(flag, values, help));
}

}  // namespace gemmine::cli
