// What two signed heads of one pool say about it (PROTOCOL 8.1): the ledger has grown, or the pool
// has signed two ledgers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "verifier/records/head.h"

namespace gemmine::verifier {

// Of the later word, seen beside the earlier one. Those after `same` contradict each other, and
// prove it: along one ledger seq and time ascend together, and a record has one head.
enum class HeadsSay : uint8_t {
  nothing,   // they can be of one ledger
  same,      // they are one
  fork,      // two ledgers side by side
  rollback,  // what was signed is gone, and the pool went on from before it
  rewrite,   // a record that was signed says something else now
};

// Both are signed by the pool. `known` was seen first.
HeadsSay compare_heads(const SignedHead& known, const SignedHead& now);
inline bool contradict(HeadsSay say) {
  return say > HeadsSay::same;
}
std::string_view to_string(HeadsSay say);

// For a person: which of them it is, with both heads. contradict(compare_heads(known, now)).
std::string words_of(const SignedHead& known, const SignedHead& now);

// "record 17 of 1764537600000 ms, head 4f12…".
std::string name_of(const SignedHead& head);

// 224 hex digits, as tools print a signed head and take it with --head. Errors: malformed.
std::string text_of(const SignedHead& head);
Result<SignedHead> parse_head(std::string_view text);

}  // namespace gemmine::verifier
