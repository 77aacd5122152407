// A program's command line as data, from which package/ makes manual pages and completions.
#pragma once

#include "kernels/base/json.h"

namespace CLI {
class App;
}

namespace gemmine::cli {

// {"name", "help", "footer", "options": [...], "commands": [the same of each command]}. An option
// is {"names": ["-v", "--verbose"], or one word without a dash for an argument by its place;
// "help", "value": "NUMBER:from 0 to 9" (empty: it takes none), "default" (empty: none),
// "required", "repeated"}, in the order of --help.
Json describe(const CLI::App& app);

}  // namespace gemmine::cli
