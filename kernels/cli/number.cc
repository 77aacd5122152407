#include "kernels/cli/number.h"

#include <utility>

#include <CLI/CLI.hpp>

namespace gemmine::cli {

void add_text_option(CLI::App& command, const std::string& flag, const std::string& help,
                     const std::string& range, const std::string& shown_default,
                     std::function<std::string(const std::string&)> take) {
  CLI::Option* const option = command.add_option_function<std::string>(
      flag, [](const std::string& /*taken by the check*/) {}, help);
  option->type_name("NUMBER")->default_str(shown_default);
  // CLI11 lets a check change the text, and so hands it over by reference.
  option->check(
      CLI::Validator([take = std::move(take)](std::string& text) { return take(text); }, range));
}

}  // namespace gemmine::cli
