// Member records, signed as a miner signs them.
#pragma once

#include <string>

#include "verifier/ledger/bodies.h"

namespace gemmine::pool {

inline Bytes member_record(const Digest& pool_key, const verifier::Identity& miner,
                           const std::string& account, uint64_t counter) {
  verifier::MemberBody body{miner.public_key(), account, counter, {}};
  body.signature = miner.sign(verifier::member_message(pool_key, body));
  return verifier::encode(body);
}

}  // namespace gemmine::pool
