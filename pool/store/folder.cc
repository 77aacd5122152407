#include "pool/store/folder.h"

#include "kernels/base/files.h"

namespace gemmine::pool {

Result<FolderLock> lock_folder(const std::string& data) {
  if (const Status made = make_folder(data); !made) return made.error();
  return FolderLock::take(data, "gemmine-pool");
}

Result<Keys> load_keys(const std::string& data) {
  if (const Status made = make_folder(data); !made) return made.error();
  const auto seed = load_or_make_secret(data + "/pool.key");
  if (!seed) return seed.error();
  const auto coin = load_or_make_secret(data + "/coin.key");
  if (!coin) return coin.error();
  auto tls = load_or_make_identity(data);
  if (!tls) return tls.error();
  return Keys{verifier::Identity::from_seed(seed.value()), coin.value(), std::move(tls.value())};
}

Result<verifier::LedgerState> read_ledger(const std::string& data) {
  auto store = Store::open(ledger_path(data), Store::Mode::read_only);
  if (!store) return store.error();
  verifier::LedgerState state;
  if (const Status folded = fold(store.value(), state); !folded) return folded.error();
  return state;
}

}  // namespace gemmine::pool
