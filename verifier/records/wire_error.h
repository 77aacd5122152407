// What an ERROR message says (PROTOCOL 5.5). Here, below the wire, since the rules for shares name
// some of them.
#pragma once

#include <cstdint>

namespace gemmine::verifier {

enum class WireError : uint16_t {
  malformed = 10,
  bad_version = 11,
  bad_type = 12,
  bad_signature = 13,
  banned = 14,
  bad_account = 15,
  too_many = 16,
  busy = 17,
  internal = 18,
  bad_key = 19,
  unknown_job = 20,
  unknown_lease = 21,
  lease_closed = 22,
  out_of_order = 23,
  duplicate = 24,
  conflict = 25,
  bad_price = 26,
  bad_steps = 27,
  bad_value = 28,
  bad_delta = 29,
  unknown_blob = 30,
  not_challenged = 31,
  not_proven = 32,
};

}  // namespace gemmine::verifier
