#include "pool/cli/bundles.h"

#include <algorithm>
#include <map>
#include <unistd.h>
#include <utility>

#include "kernels/base/files.h"
#include "pool/store/folder.h"
#include "verifier/audit/bundle.h"

namespace gemmine::pool {
namespace {

using verifier::LeaseState;
using verifier::LedgerState;
using verifier::Verdict;

constexpr size_t kBundlesMax = 64;  // each holds a θ
using ShareName = std::pair<Digest, uint32_t>;

// Every verdict of the ledger by its share; the folded state only counts them.
Result<std::map<ShareName, std::vector<Verdict>>> read_verdicts(LedgerStore& store) {
  std::map<ShareName, std::vector<Verdict>> out;
  const Status read = store.replay([&](const verifier::Record& record) {
    if (record.kind != verifier::RecordKind::verdict) return Status(Ok{});
    Reader in(record.body);
    const auto verdict = verifier::decode_verdict(in.get_blob(verifier::kVerdictBytesMax));
    if (!verdict) return Status(verdict.error());
    auto& list = out[{verdict.value().lease_id, verdict.value().index}];
    if (list.size() < verifier::kBundleVerdictsMax) list.push_back(verdict.value());
    return Status(Ok{});
  });
  if (!read) return read.error();
  return out;
}

struct Wanted {
  std::string name;
  const LeaseState* lease;
  uint32_t index;
};

bool came_to_its_end(const LeaseState& lease) {
  return lease.closed && *lease.closed == verifier::CloseReason::complete && !lease.wrong;
}

// Of each job the newest round in which a lease came to its end.
std::map<Digest, uint32_t> newest_rounds(const LedgerState& state) {
  std::map<Digest, uint32_t> out;
  for (const auto& [id, lease] : state.leases()) {
    if (!came_to_its_end(lease)) continue;
    uint32_t& newest = out.try_emplace(lease.lease.job_id, 0).first->second;
    newest = std::max(newest, lease.lease.round);
  }
  return out;
}

std::vector<Wanted> choose(const LedgerState& state) {
  std::vector<Wanted> out;
  const std::map<Digest, uint32_t> newest = newest_rounds(state);
  for (const auto& [id, lease] : state.leases()) {
    const bool last = came_to_its_end(lease) && newest.at(lease.lease.job_id) == lease.lease.round;
    for (const verifier::ShareState& share : lease.shares) {
      const std::string name =
          to_hex(id.bytes).substr(0, 8) + "-" + std::to_string(share.share.index);
      if (out.size() == kBundlesMax) return out;
      if (lease.wrong && lease.wrong->index == share.share.index) {
        out.push_back({"wrong-" + name, &lease, share.share.index});
      } else if (last && share.share.index == 0) {
        out.push_back({"share-" + name, &lease, 0});
      }
    }
  }
  return out;
}

bool was_dropped(const std::string& data, const Digest& blob) {
  return ::access((blobs_path(data) + "/" + to_hex(blob.bytes)).c_str(), F_OK) != 0;
}

}  // namespace

Result<std::vector<std::string>> export_bundles(LedgerStore& store, const LedgerState& state,
                                                const std::string& data,
                                                const std::string& folder) {
  const auto verdicts = read_verdicts(store);
  if (!verdicts) return verdicts.error();
  if (const Status made = make_folder(folder); !made) return made.error();
  std::vector<std::string> left_out;
  const std::vector<Wanted> chosen = choose(state);
  if (chosen.empty()) left_out.emplace_back("no lease has come to its end yet: there is no bundle");
  for (const Wanted& wanted : chosen) {
    const verifier::JobState& job = state.jobs().at(wanted.lease->lease.job_id);
    const verifier::Lease& lease = wanted.lease->lease;
    if (was_dropped(data, lease.theta_root)) {
      left_out.push_back(wanted.name + ".bundle is left out: the weights of round " +
                         std::to_string(lease.round) +
                         " are gone, as a pool keeps its last limits.rounds_kept rounds only");
      continue;
    }
    const auto theta = read_blob(blobs_path(data), lease.theta_root, verifier::kBundleBytesMax);
    if (!theta) return theta.error();
    verifier::Bundle bundle{.work = job.work,
                            .lease = lease,
                            .share = wanted.lease->shares[wanted.index].share,
                            .theta = theta.value(),
                            .seed = {},
                            .openings = {},
                            .verdicts = {}};
    const auto found = verdicts.value().find({lease.id, wanted.index});
    if (found != verdicts.value().end()) bundle.verdicts = found->second;
    const Status written =
        write_durable(folder + "/" + wanted.name + ".bundle", verifier::encode_bundle(bundle));
    if (!written) return written.error();
  }
  return left_out;
}

}  // namespace gemmine::pool
