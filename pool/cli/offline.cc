// Commands that need no network: init, report, backup.
#include <cstdio>

#include "kernels/base/files.h"
#include "kernels/cli/output.h"
#include "pool/cli/commands.h"
#include "pool/server/status.h"
#include "pool/store/folder.h"

namespace gemmine::pool {

using cli::fail;

ExitCode init(const std::string& data, bool new_tls) {
  const auto keys = new_tls ? renew_certificate(data) : init_folder(data);
  if (!keys) return fail(ExitCode::failed, keys.error().detail);
  if (const std::string open = wide_mode_warning(data); !open.empty())
    std::fprintf(stderr, "warning: %s\n", open.c_str());
  std::printf("pool key  %s\n", to_hex(keys.value().identity.public_key().bytes).c_str());
  std::printf("pin       %s\n", pin_text(keys.value().tls.spki_pin()).c_str());
  std::printf("miners:   gemmine mine --pool HOST:PORT --pin %s --account NAME\n",
              pin_text(keys.value().tls.spki_pin()).c_str());
  return ExitCode::ok;
}

ExitCode backup(const std::string& data, const std::string& to) {
  if (const Status done = back_up(data, to); !done)
    return fail(ExitCode::failed, done.error().detail);
  std::printf("%s is a copy of %s; it holds the pool's secret keys\n", to.c_str(), data.c_str());
  return ExitCode::ok;
}

ExitCode report(const std::string& data, bool as_json) {
  const auto state = read_ledger(data);
  if (!state) return fail(ExitCode::failed, state.error().detail);
  const LedgerView view = view_of(state.value(), Totals::of(state.value()));
  const std::string text = as_json ? report_json(view) : report_text(view);
  std::fputs(text.c_str(), stdout);
  return ExitCode::ok;
}

}  // namespace gemmine::pool
