// A miner's receipts: whatever the file holds, what is read of it encodes to its beginning.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "verifier/proof/kept_words.h"

namespace gv = gemmine::verifier;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView input(data, size);
  const gv::KeptWords kept = gv::read_kept(input);
  gemmine::Bytes again;
  for (const gv::Statement& word : kept.words) {
    const gemmine::Bytes bytes = gv::kept_bytes(word);
    again.insert(again.end(), bytes.begin(), bytes.end());
    // No key signs anything of an input that nobody signed.
    GEMMINE_CHECK(!gv::fault_of(word, gemmine::Digest{}).empty() ||
                  word.kind == gv::RecordKind::verdict);
    GEMMINE_CHECK(!gv::words_of(word).empty());
  }
  GEMMINE_CHECK(again.size() <= size && kept.cut == (again.size() < size));
  GEMMINE_CHECK(std::equal(again.begin(), again.end(), input.begin()));
  return 0;
}
