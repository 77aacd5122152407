// The coin: what is checked is drawn after the share was logged (PROTOCOL 7.1 – 7.3).
#pragma once

#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

Digest lease_secret(const Digest& pool_master, uint64_t serial);
Digest coin_commit(const Digest& secret);
Digest challenge_seed(const Digest& secret, const Digest& share_id);

// What anyone checks after LEASE_CLOSED (PROTOCOL 7.7): the secret is the one committed to, and the
// challenge's seed follows from it.
bool challenge_is_fair(const Lease& lease, const Digest& share_id, const Digest& secret,
                       const Digest& seed);

uint64_t draw(const Digest& seed, uint32_t number);                  // R(i)
uint64_t pick(const Digest& seed, uint32_t number, uint64_t count);  // uniform in [0, count)

AuditKind audit_kind(const AuditPolicy& policy, const Digest& seed, uint32_t valid_shares_of_key);

struct BlockChoice {
  uint32_t step = 0;      // index within the share
  bool delta = false;     // true: `row` is the delta's block, the rest is zero
  uint32_t position = 0;  // of the tensor in Program::tensors()
  uint32_t tile_row = 0;
  uint32_t tile_col = 0;
  uint32_t group = 0;  // number of the scale group within the tile; f32 tensors have none
};
// Whether a tensor is made of state_before, which is committed at a share's start only: its blocks
// are of the share's first step (PROTOCOL 7.3, 10.11).
bool reads_state_before(const kernels::TensorInfo& tensor);
// Columns of a tile (PROTOCOL 7.3, 10.11): 64, or 1 where so many would need too much to be opened.
uint32_t tile_width(const kernels::TensorInfo& tensor);
// How many scale groups a row has within a column of tiles; row_segments only.
uint32_t segments_in_tile(const kernels::TensorInfo& tensor, uint32_t tile_col);

// The spot_blocks blocks of a challenge. last_share: of its lease (only then a delta is drawn).
std::vector<BlockChoice> choose_blocks(const kernels::Program& program, const AuditPolicy& policy,
                                       const Digest& seed, uint32_t steps_in_share,
                                       bool last_share);

}  // namespace gemmine::verifier
