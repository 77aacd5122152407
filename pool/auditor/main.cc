// gemmine-audit: watches a pool while it runs, and believes nobody.
#include "kernels/cli/program.h"
#include "pool/auditor/cli/watch.h"

namespace {

constexpr const char* kAbout =
    "gemmine-audit folds a pool's ledger as it grows, computes leases of its own choice again,\n"
    "redoes every merge, and publishes signed verdicts. `gemmine-verify` judges files.\n\n"
    "Start here:   gemmine-audit watch --pool HOST:PORT --pin sha256:...";

}  // namespace

int main(int argc, char** argv) {
  using gemmine::ExitCode;
  gemmine::cli::prepare_process();
  gemmine::cli::Program program(
      "gemmine-audit", kAbout,
      {ExitCode::ok, ExitCode::failed, ExitCode::command_line, ExitCode::no_device,
       ExitCode::refused, ExitCode::other_pool, ExitCode::wrong_numbers, ExitCode::too_old,
       ExitCode::invalid, ExitCode::undecided});
  gemmine::pool::WatchOptions watch;
  gemmine::pool::add_watch_options(program.command("watch", "audit a pool while it runs",
                                                   [&] { return gemmine::pool::watch(watch); }),
                                   watch);
  return program.main(argc, argv);
}
