// The job: what is trained, how it is audited, what is paid (PROTOCOL 6.1, 10.12). The hash of its
// bytes is its name.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"

namespace gemmine::verifier {

inline constexpr size_t kJobBytesMax = 1024;
inline constexpr uint32_t kSharesPerLeaseMax = 4096;
inline constexpr uint32_t kBatchLeasesMax = 1024;
inline constexpr uint32_t kTicketsMax = 64;  // of a batch: threads, and replays
inline constexpr uint16_t kThreadBlocksMax = 512;
inline constexpr int8_t kDeltaMaxMin = -32;  // of delta_max
inline constexpr int8_t kDeltaMaxMax = 8;
inline constexpr uint64_t kPricePerTmacMax = uint64_t{1} << 40;

// Who is audited, what silence and faults cost, and how much a lease may move θ (PROTOCOL 13).
// Parts are of 10⁶.
struct AuditPolicy {
  uint32_t batch_leases = 1;   // B: leases that are settled together
  uint32_t first_batch = 1;    // of a key's first batch in the job, at most B
  uint16_t threads = 0;        // m: thread tickets of a batch
  uint16_t thread_blocks = 0;  // that one thread audit asks for
  uint32_t replays_ppm =
      1'000'000;                // x: replay tickets of a batch; 750'000 is three in four batches
  uint8_t first_audits = 0;     // a key's first leases in the job that are audited at once
  uint32_t now_ppm = 0;         // of the other leases: audited at once
  uint32_t fail_ppm = 0;        // w: the part of a batch that a single failed lease costs
  uint32_t silent_free = 1;     // leases paid for each silence that costs nothing
  uint32_t lease_ms = 600'000;  // least time to a lease's deadline
  uint32_t answer_ms = 60'000;  // least time to answer a challenge
  int8_t delta_max = kDeltaMaxMax;  // a lease moves no parameter by 2^delta_max or more
  bool operator==(const AuditPolicy&) const = default;
};

struct Job {
  std::string name;  // for people; at most 64 printable ASCII characters
  kernels::Spec spec;
  Digest train_address;
  Digest test_address;
  uint32_t test_records = 0;
  Digest sheet_address;          // mlp: how rows became records (sheet.h); zero: it does not say
  uint32_t steps_per_share = 0;  // of a lease whose key is new; a lease has its own (PROTOCOL 6.2)
  AuditPolicy audit;
  uint64_t price_per_tmac = 0;  // token units per 10¹² verified multiply-accumulates
  uint32_t fee_ppm = 0;
  bool operator==(const Job&) const = default;
};

// Shares that `steps` make (PROTOCOL 6.2).
inline uint32_t share_count(uint32_t steps, uint32_t steps_per_share) {
  return (steps + steps_per_share - 1) / steps_per_share;
}
// Whether `steps` in shares of `steps_per_share` keep to PROTOCOL 6.2 and 9.
inline bool share_size_ok(uint32_t steps, uint32_t steps_per_share) {
  return steps_per_share > 0 && steps_per_share <= steps &&
         (steps - 1) / steps_per_share < kSharesPerLeaseMax;
}

// The first of a job's terms, beside its Spec, that is out of its bounds (PROTOCOL 9), whatever its
// data are.
std::optional<kernels::SpecFault> find_terms_fault(const Job& job);

// The bytes of PROTOCOL 6.1 or 10.12. The shape must fit its counts: 2 to 17 widths, or at most 255
// blocks.
Bytes encode_job(const Job& job);
Digest job_id(ByteView job_bytes);

// A job that may be worked on: its terms, the bytes and the name they have, and the program that
// they make. The four always fit together, since nothing in it can be changed.
class Work {
 public:
  // A stranger's bytes. Errors: malformed (does not decode), invalid (a bound of PROTOCOL 9 or
  // 10.14, with the field's name).
  static Result<Work> decode(ByteView job_bytes);
  // Terms that are written here. Errors: invalid, as above; also a name that is not plain text.
  static Result<Work> make(const Job& job);

  const Job& job() const { return job_; }
  const Bytes& bytes() const { return bytes_; }
  const Digest& id() const { return id_; }
  const kernels::Program& program() const { return program_; }

 private:
  Work(Job job, Bytes bytes, kernels::Program program);

  Job job_;
  Bytes bytes_;
  Digest id_;
  kernels::Program program_;
};

}  // namespace gemmine::verifier
