#include "pool/wire/messages.h"

#include "kernels/hash/blake3.h"

namespace gemmine::pool {

Digest wire_magic() {
  static const Digest magic = kernels::blake3(as_bytes(kAlpn));
  return magic;
}

Digest auth_message(const AuthMaterial& material) {
  Writer writer;
  writer.put_digest(material.server_random).put_digest(material.client_random);
  writer.put_digest(material.channel_binding).put_digest(material.pool_key);
  writer.put_digest(material.public_key).put(material.role).put_text(material.account);
  return kernels::blake3_derive_key(verifier::domain::kAuth, writer.bytes());
}

Auth make_auth(const AuthMaterial& material, const verifier::Identity& identity, uint64_t counter) {
  const auto member = verifier::sign_member(material.pool_key, identity, material.account, counter);
  return {identity.sign(auth_message(material)), counter, member.signature};
}

}  // namespace gemmine::pool
