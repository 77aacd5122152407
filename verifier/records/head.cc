#include "verifier/records/head.h"

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

Digest next_head(const Digest& head_before, uint64_t seq, uint64_t time_ms, uint8_t kind,
                 ByteView body) {
  Writer writer;
  writer.put_digest(head_before).put(seq).put(time_ms).put(kind).put_blob(body);
  return kernels::blake3_derive_key(domain::kLedger, writer.bytes());
}

Digest head_message(const SignedHead& head) {
  Writer writer;
  writer.put(head.seq).put(head.time_ms).put_digest(head.head);
  return kernels::blake3_derive_key(domain::kHead, writer.bytes());
}

void sign(SignedHead& head, const Identity& pool) {
  head.signature = pool.sign(head_message(head));
}

bool signed_by(const SignedHead& head, const Digest& pool_key) {
  return verify_signature(pool_key, head_message(head), head.signature);
}

SignedHead head_of(const Receipt& receipt, uint8_t kind, ByteView body) {
  return {.seq = receipt.seq,
          .time_ms = receipt.time_ms,
          .head = next_head(receipt.head_before, receipt.seq, receipt.time_ms, kind, body),
          .signature = receipt.signature};
}

}  // namespace gemmine::verifier
