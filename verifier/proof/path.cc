#include "verifier/proof/path.h"

#include <bit>

#include "kernels/hash/tree.h"
#include "verifier/proof/evidence.h"

namespace gemmine::verifier {

namespace {

// A node on the way down: whether the chunk lies in its right half.
struct Turn {
  uint64_t first;
  uint64_t middle;
  uint64_t last;
  bool right;
};

std::vector<Turn> way_down(uint64_t chunks, uint64_t chunk) {
  GEMMINE_CHECK(chunk < chunks);
  std::vector<Turn> out;
  uint64_t first = 0;
  uint64_t last = chunks;
  while (last - first > 1) {
    const uint64_t middle = first + std::bit_ceil(last - first) / 2;
    const bool right = chunk >= middle;
    out.push_back({first, middle, last, right});
    (right ? first : last) = middle;
  }
  return out;
}

}  // namespace

uint64_t path_length(uint64_t chunks, uint64_t chunk) {
  return way_down(chunks, chunk).size();
}

Result<std::vector<Digest>> get_path(Reader& in, uint64_t chunks, uint64_t chunk) {
  std::vector<Digest> out(path_length(chunks, chunk));
  for (Digest& digest : out)
    digest = in.get_digest();
  if (!in.ok()) return bad_proof("path", "is cut short");
  return out;
}

// In a multiproof's order, which is that of the string, what lies left of the chunk comes first,
// outermost first, and what lies right of it comes last, outermost last.
Digest root_above(const kernels::Blake3Mode& mode, uint64_t chunks, uint64_t chunk,
                  const Digest& cv, const std::vector<Digest>& path) {
  const std::vector<Turn> turns = way_down(chunks, chunk);
  GEMMINE_CHECK(path.size() == turns.size());
  size_t left = 0;
  size_t right = path.size();
  std::vector<const Digest*> beside;
  for (const Turn& turn : turns)
    beside.push_back(turn.right ? &path[left++] : &path[--right]);
  Digest node = cv;
  for (size_t i = turns.size(); i-- > 0;) {
    const Digest& other = *beside[i];
    const Digest& l = turns[i].right ? other : node;
    const Digest& r = turns[i].right ? node : other;
    node = i == 0 ? kernels::parent_root(mode, l, r) : kernels::parent_cv(mode, l, r);
  }
  return node;
}

}  // namespace gemmine::verifier
