// What the pool has signed about one lease, as its miner keeps it: evidence that a stranger checks
// with nothing but the pool's key.
//
// A file is statements one after the other: u8 kind of the record, blob the record's body, receipt
// (PROTOCOL 8.1). Those of the lease's batch are among them: draw, redraw, settle and its post. The
// lease comes first; it and a verdict have no receipt (it is zero), because
// they are signed by themselves.
#pragma once

#include <string>
#include <vector>

#include "verifier/proof/evidence.h"

namespace gemmine::verifier {

inline constexpr size_t kKeptFileBytesMax = size_t{4} << 20;  // of a lease's words

Bytes kept_bytes(const Statement& word);

struct KeptWords {
  std::vector<Statement> words;
  bool cut = false;  // the last one is not all there: a crash, or a full disk
};
// Reads what is whole.
KeptWords read_kept(ByteView file);

// The lease that the words are about: the first one's. Errors: malformed.
Result<Lease> lease_of(const KeptWords& kept);

// What is wrong with a word as one of the pool of this key; empty: it is signed.
std::string fault_of(const Statement& word, const Digest& pool_key);

// Tokens that a post credits to miners' accounts (PROTOCOL 8.4).
int64_t paid_to_accounts(const PostBody& post);

// "share 3 of lease 4f12 is record 17": for a person.
std::string words_of(const Statement& word);

}  // namespace gemmine::verifier
