// `gemmine-verify watch`: a live audit of a pool.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace gemmine::verifier {

struct WatchOptions {
  std::vector<std::string> pools;
  std::string pin;
  std::string name = "auditor";
  std::string data;
  double rate = 0.25;
  std::string engine = "cpu";
  int threads = 1;
  bool exit_when_finished = false;
  bool json = false;
};
void add_watch_options(CLI::App& command, WatchOptions& options);
// Exit code: 0 everything that was checked is true, 10 something is not, 12 could not decide.
int watch(const WatchOptions& options);

}  // namespace gemmine::verifier
