#include "pool/auditor/report.h"

#include "kernels/base/check.h"

namespace gemmine::pool {

Conclusion conclude(const AuditReport& report) {
  GEMMINE_CHECK(report.refusal != ExitCode::ok || report.refused_why.empty());
  if (!report.untrue.empty()) return {ExitCode::invalid, "invalid", report.untrue};
  if (report.refusal != ExitCode::ok) return {report.refusal, "refused", report.refused_why};
  if (report.unchecked > 0)
    return {ExitCode::undecided, "undecided",
            "could not check " + std::to_string(report.unchecked) +
                " of what was to be checked; the first: " + report.unchecked_why};
  if (report.leases_replayed < report.leases_asked)
    return {ExitCode::undecided, "undecided",
            "replayed " + std::to_string(report.leases_replayed) + " of the " +
                std::to_string(report.leases_asked) + " leases that it was to replay"};
  if (report.records == 0)
    return {ExitCode::undecided, "undecided", "nothing was checked: no record came"};
  if (report.checked_nothing())
    return {ExitCode::undecided, "undecided",
            "nothing was checked but that " + std::to_string(report.records) +
                " records follow the rules"};
  std::string reason = "everything that was checked is true";
  if (report.unlogged > 0)
    reason += "; " + std::to_string(report.unlogged) + " of our verdicts are not in the ledger";
  return {ExitCode::ok, "valid", reason};
}

}  // namespace gemmine::pool
