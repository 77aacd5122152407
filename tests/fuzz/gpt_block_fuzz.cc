// Blocks of a language model from hostile numbers whose hashes would hold: the arithmetic of
// PROTOCOL 10.11 takes any, and says the same each time.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/hash/chunk_source.h"
#include "tests/support/gpt_stage.h"

namespace gv = gemmine::verifier;

namespace {

// The chunks of an honest opening with four bytes changed wherever the input says: the object, the
// place, the bytes.
class Lies final : public gv::BlockSource {
 public:
  Lies(const gv::Opening& opening, gemmine::ByteView input) : objects_(opening.objects) {
    for (const gv::OpenedObject& object : objects_)
      bytes_.emplace_back(object.bytes.begin(), object.bytes.end());
    for (; input.size() >= 7; input = input.subspan(7)) {
      gemmine::Bytes& bytes = bytes_[input[0] % bytes_.size()];
      const size_t at = (input[1] | input[2] << 8) % ((bytes.size() + 3) / 4) * 4;
      std::copy_n(input.begin() + 3, std::min<size_t>(4, bytes.size() - at),
                  bytes.begin() + static_cast<ptrdiff_t>(at));
    }
  }

  gemmine::ByteView chunk(gv::ObjectId id, uint64_t index) override {
    for (size_t i = 0; i < objects_.size(); ++i) {
      uint64_t at = 0;
      for (const gemmine::kernels::ChunkRange& range : objects_[i].ranges) {
        if (objects_[i].id == id && index >= range.first && index < range.last) {
          at += (index - range.first) * gv::kChunk;
          return gemmine::ByteView(bytes_[i]).subspan(at).first(
              std::min<size_t>(gv::kChunk, bytes_[i].size() - at));
        }
        at += (range.last - range.first) * gv::kChunk;
      }
    }
    return {};
  }

 private:
  const std::vector<gv::OpenedObject>& objects_;
  std::vector<gemmine::Bytes> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const gemmine::test::GptStage& stage = gemmine::test::gpt_stage(data[0]);
  Lies lies(stage.opening, gemmine::ByteView(data + 1, size - 1));
  gv::BlockCheck check(stage.program, {0, 0, 0}, lies);
  const gv::Outcome outcome = check.check(stage.choice, stage.opening.witness).outcome;
  GEMMINE_CHECK(size >= 8 || outcome == gv::Outcome::valid);
  GEMMINE_CHECK(check.check(stage.choice, stage.opening.witness).outcome == outcome);
  return 0;
}
