// What a user's programs remember of pools from run to run, in one folder for all of them: which
// key a pool at an address has, and the newest head that each key has signed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/records/heads.h"

namespace gemmine::verifier {

// Files of FOLDER: `<pool key>.head`, a signed head; `<hash of an address>.key`, the pool's key;
// `<pool key>-<seq>.proof`, evidence. As many as the pools that this user has dealt with.
class KnownPools {
 public:
  // An empty folder remembers nothing. It is made with the first thing to remember.
  explicit KnownPools(std::string folder) : folder_(std::move(folder)) {}

  // The newest head that the pool signed. Errors: io, invalid (another pool's, or damaged).
  Result<std::optional<SignedHead>> head(const Digest& pool_key) const;
  // Remembers it when it is newer. It is signed by the pool. Errors: io, busy (others write).
  Status keep(const Digest& pool_key, const SignedHead& head) const;

  // The key that the pool had there. Errors: io, invalid.
  Result<std::optional<Digest>> key_at(std::string_view address) const;
  Status keep_key(std::string_view address, const Digest& pool_key) const;

  // Writes the proof that the two contradict each other, and returns its path; in the folder of
  // the process where nothing is remembered. Errors: io.
  Result<std::string> write_evidence(const Digest& pool_key, const SignedHead& known,
                                     const SignedHead& now) const;
  // What write_evidence() has written about the pool, now or in an earlier run: a path. Errors: io.
  Result<std::optional<std::string>> evidence(const Digest& pool_key) const;
  // The file that a head is remembered in.
  std::string head_path(const Digest& pool_key) const;
  // How its owner starts anew with the pool, in a sentence; empty where nothing is remembered.
  std::string way_out(const Digest& pool_key) const;

 private:
  std::string folder_;
};

// $XDG_STATE_HOME/gemmine/pools, else ~/.local/state/gemmine/pools. Empty where there is no home.
std::string default_known_folder();

}  // namespace gemmine::verifier
