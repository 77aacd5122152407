#include "verifier/records/trace.h"

#include "kernels/hash/blake3.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

namespace {

Digest key_of(std::string_view context, const Digest& lease_id, uint32_t step) {
  return kernels::blake3_derive_key(context,
                                    Writer().put_digest(lease_id).put<uint32_t>(step).bytes());
}

}  // namespace

Digest step_key(const Digest& lease_id, uint32_t step) {
  return key_of(domain::kTraceStep, lease_id, step);
}

Digest share_key(const Digest& lease_id, uint32_t first_step) {
  return key_of(domain::kTraceShare, lease_id, first_step);
}

Digest step_digest(const Digest& step_key, std::span<const Digest> roots, float loss) {
  Writer out;
  for (const Digest& root : roots)
    out.put_digest(root);
  out.put_f32(loss);
  return kernels::blake3_keyed(step_key, out.bytes());
}

Digest trace_root(const Digest& lease_id, uint32_t first_step, std::span<const Digest> steps) {
  Writer out;
  for (const Digest& step : steps)
    out.put_digest(step);
  return kernels::blake3_keyed(share_key(lease_id, first_step), out.bytes());
}

Digest state_root(std::span<const float> state) {
  return kernels::blake3_keyed(kernels::blake3_derive_key(domain::kState, {}), as_bytes(state));
}

}  // namespace gemmine::verifier
