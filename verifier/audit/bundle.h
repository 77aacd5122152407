// A share with all that is needed to judge it offline, in one file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/audit/replay.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

inline constexpr std::string_view kBundleMagic = "gmshare1";
inline constexpr size_t kBundleOpeningsMax = 64;
inline constexpr size_t kBundleVerdictsMax = 64;
// What a round publishes is at most 2³⁰ parameters with an outer velocity.
inline constexpr uint64_t kBundleBytesMax = (uint64_t{1} << 33) + (uint64_t{1} << 28);

// Bytes: the magic, blob job, blob lease, blob share, u64 length and θ, u8 1 and d32 seed or u8 0,
// u16 count of openings (blobs, by block number), u16 count of verdicts (blobs).
struct Bundle {
  Work work;
  Lease lease;
  Share share;
  Bytes theta;                 // what the lease's round publishes; empty: not included
  std::optional<Digest> seed;  // of the challenge the openings answer
  std::vector<Bytes> openings;
  std::vector<Verdict> verdicts;
};

Bytes encode_bundle(const Bundle& bundle);
// Errors: malformed. What the parts say is not looked at, except that the job is one.
Result<Bundle> decode_bundle(ByteView bytes);

// What was found about one part of a bundle.
struct BundleFinding {
  std::string check;  // job, lease, share, theta, opening 3, verdict 0 …
  Finding finding;
};
// Everything that can be told without running the share. Ends early where the rest would make no
// sense. A missing part that a check needs gives undecided.
std::vector<BundleFinding> check_bundle(const Bundle& bundle);

// θ as floats, without an outer velocity. Errors: undecided (not included), invalid (other length,
// or not the lease's).
Result<std::vector<float>> bundle_theta(const Bundle& bundle);

}  // namespace gemmine::verifier
