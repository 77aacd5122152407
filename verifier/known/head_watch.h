// Holds a pool to what it has signed: now, in earlier runs, and in what its owner was given.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "verifier/known/known_pools.h"

namespace gemmine::verifier {

// What --pool-key and --head say.
struct PoolWords {
  std::vector<Digest> keys;       // empty: any pool
  std::vector<SignedHead> heads;  // that a pool is known to have signed
};
// Errors: invalid_argument, naming the option.
Result<PoolWords> parse_pool_words(const std::vector<std::string>& keys,
                                   const std::vector<std::string>& heads);

class HeadWatch {
 public:
  // Two heads of one pool that contradict each other, and where the proof of it lies.
  struct Conflict {
    HeadsSay say = HeadsSay::fork;
    std::string words;     // what was seen, and what its reader can do
    std::string evidence;  // a path; empty when it could not be written
  };

  HeadWatch(KnownPools known, PoolWords words)
      : known_(std::move(known)), words_(std::move(words)) {}

  // From now on it is about the pool of this key. `address` is where it was met, empty for a file:
  // a pool that had another key there is told of, unless --pool-key names the new one. Errors:
  // invalid (it is another pool), io.
  Status meet(const Digest& pool_key, const std::string& address);

  // A head whose signature by that pool the caller has checked.
  std::optional<Conflict> saw(const SignedHead& head);

  // The newest head that the pool was known to have signed when it was met, and the newest since.
  const std::optional<SignedHead>& known() const { return before_; }
  const std::optional<SignedHead>& newest() const { return newest_; }
  // What the pool has shown since ends before what it was known to have signed: why that is so.
  // Empty when it does not.
  std::string cut() const;

  // Why nobody works for the pool that was met: it was seen to contradict itself, now or in an
  // earlier run. Empty when it was not.
  std::string distrust() const;

  // Remembers the newest head. Errors: io, busy.
  Status save();

 private:
  void expect(const SignedHead& head);
  std::string advice() const;

  const KnownPools known_;
  const PoolWords words_;
  Digest pool_key_;
  std::vector<SignedHead> expected_;  // to be met again
  std::optional<SignedHead> before_;  // the newest of them
  std::optional<SignedHead> newest_;
  std::optional<uint64_t> saved_seq_;
};

}  // namespace gemmine::verifier
