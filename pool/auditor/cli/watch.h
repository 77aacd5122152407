// `gemmine-audit watch`: a live audit of a pool.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/exit_code.h"

namespace CLI {
class App;
}

namespace gemmine::pool {

struct WatchOptions {
  std::vector<std::string> pools;
  std::string pin;
  std::string pool_key;  // empty: any
  std::string head;      // that the pool has signed; empty: none
  std::string name = "auditor";
  std::string data;
  std::string relay;  // http://host:port; empty: none
  double rate = 0.25;
  std::string engine = "cpu";
  int threads = 1;
  int patience_s = 60;
  bool exit_when_finished = false;
  bool json = false;
};
void add_watch_options(CLI::App& command, WatchOptions& options);
// ok: everything that was checked is true; invalid: something is not; undecided: nothing was
// checked, or not all that was to be; and the codes of a device, a folder or a pool that fails.
ExitCode watch(const WatchOptions& options);

}  // namespace gemmine::pool
