#include "kernels/cli/describe.h"

#include <CLI/CLI.hpp>

namespace gemmine::cli {

namespace {

Json describe(const CLI::Option& option) {
  Json names = Json::array();
  for (const std::string& name : option.get_snames())
    names.push_back("-" + name);
  for (const std::string& name : option.get_lnames())
    names.push_back("--" + name);
  if (option.get_positional()) names.push_back(option.get_name(true));
  const bool takes_value = option.get_items_expected_max() > 0;
  return {{"names", names},
          {"help", option.get_description()},
          {"value", takes_value ? option.get_type_name() : std::string()},
          {"default", option.get_default_str()},
          {"required", option.get_required()},
          {"repeated", option.get_items_expected_max() > 1}};
}

}  // namespace

Json describe(const CLI::App& app) {
  Json options = Json::array();
  for (const CLI::Option* option : app.get_options())
    options.push_back(describe(*option));
  Json commands = Json::array();
  for (const CLI::App* command : app.get_subcommands({}))
    commands.push_back(describe(*command));
  return {{"name", app.get_name()},
          {"help", app.get_description()},
          {"footer", app.get_footer()},
          {"options", options},
          {"commands", commands}};
}

}  // namespace gemmine::cli
