// Options that are texts with a meaning: a file, folder, address, key or name. None may be empty:
// `--out "$FOLDER"` where FOLDER is not set is a mistake, not a wish for nothing.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gemmine::cli {

// `flag` takes a text, or is one by its place; an empty one is refused as a wrong command line.
// `value` stays as it is where the flag is not given. The option is the command's.
CLI::Option* add_name(CLI::App& command, const std::string& flag, std::string& value,
                      const std::string& help);

// The same; may be given again.
CLI::Option* add_name(CLI::App& command, const std::string& flag, std::vector<std::string>& values,
                      const std::string& help);

}  // namespace gemmine::cli
