// Openings of language models, honest, changed and lying, against the Python reference:
// tests/vectors/golden/openings_gpt.txt.
#include <cstdio>
#include <cstring>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "tests/support/toy_lease.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

using test::Golden;
using test::Toy;

// Bytes of an object's string to flip.
struct Patch {
  ObjectId id;
  uint64_t offset = 0;
  Bytes flips;
};

// One share, its engine right after one of its steps, and what a prover knows.
class Stand {
 public:
  // Rounds before `round` are run and merged first.
  Stand(const std::string& job, uint32_t round, uint32_t slot) : toy_(job) {
    while (toy_.thetas.size() <= round)
      toy_.run_round();
    lease_ = toy_.lease(round, slot);
    engine_ = toy_.engine();
    run_ = std::move(toy_.run_lease(*engine_, round, slot, 1).at(0));
    before_ = toy_.start(round);
    theta_ = toy_.theta(round);
  }

  const ShareRun& run() const { return run_; }
  const Toy& toy() const { return toy_; }

  Result<Bytes> open(const BlockChoice& choice) {
    stand_after(choice.step);
    return make_opening({.at = {toy_.work, lease_, theta_},
                         .run = run_,
                         .state_before = before_,
                         .state_after = run_.state_after,
                         .train_records = toy_.train,
                         .engine = *engine_},
                        choice);
  }

  Finding check(const BlockChoice& choice, ByteView opening) const {
    return judge(toy_.job, run_.share, choice, opening);
  }

  // The verdict when what was committed to had these changes from the start: every hash holds.
  Finding check_lie(const BlockChoice& choice, ByteView honest, const std::vector<Patch>& patches) {
    Opening opening = decode_opening(toy_.program, honest).value();
    Bytes roots(opening.roots.begin(), opening.roots.end());
    std::map<ObjectId, Bytes> strings;
    for (const Patch& patch : patches) {
      if (!strings.contains(patch.id)) strings[patch.id] = string_of(patch.id, choice.step);
      for (size_t i = 0; i < patch.flips.size(); ++i)
        strings[patch.id].at(patch.offset + i) ^= patch.flips[i];
    }
    Job job = toy_.job;
    Share share = run_.share;
    const Digest key = step_key(share.lease_id, share.first_step + choice.step);
    std::vector<Bytes> opened;
    opened.reserve(strings.size());
    for (OpenedObject& object : opening.objects) {
      const auto found = strings.find(object.id);
      if (found == strings.end()) continue;
      const Bytes& string = found->second;
      const auto source = kernels::ChunkSource::of_bytes(string);
      object.bytes = opened.emplace_back(kernels::opened_bytes(source, object.ranges).value());
      if (object.id.origin == Origin::train) {
        job.train_address = kernels::blake3(string);
      } else if (object.id.origin == Origin::tensor) {
        put(roots, object.id.position, kernels::blake3_keyed(key, string));
      } else {
        share.state_before = kernels::blake3_keyed(state_key(), string);
      }
    }
    EXPECT_EQ(opened.size(), strings.size()) << "a lie about something not opened";
    Bytes digests(opening.step_chunk.begin(), opening.step_chunk.end());
    put(digests, choice.step, kernels::blake3_keyed(key, roots));
    share.trace_root = kernels::blake3_keyed(share_key(share.lease_id, share.first_step), digests);
    opening.roots = roots;
    opening.step_chunk = digests;
    return judge(job, share, choice, encode_opening(opening));
  }

 private:
  static Digest state_key() { return kernels::blake3_derive_key("gemmine 2026-11-22 state", {}); }
  static void put(Bytes& digests, size_t i, const Digest& digest) {
    std::memcpy(digests.data() + 32 * i, digest.bytes.data(), 32);
  }
  Finding judge(const Job& job, const Share& share, const BlockChoice& choice,
                ByteView opening) const {
    return check_opening({Work::make(job).value(), lease_, theta_}, share, choice, opening);
  }
  Bytes string_of(ObjectId id, uint32_t step) {
    if (id.origin == Origin::train) return toy_.train;
    if (id.origin == Origin::state_before) {
      const ByteView bytes = as_bytes(std::span(before_));
      return {bytes.begin(), bytes.end()};
    }
    stand_after(step);
    return engine_->read_tensor(id.position).value();
  }
  void stand_after(uint32_t step) {
    if (stands_after_ == static_cast<int>(step)) return;
    ASSERT_TRUE(engine_->load_state(before_, run_.share.first_step));
    for (uint32_t i = 0; i <= step; ++i)
      ASSERT_TRUE(
          engine_->run_step({lease_.round, lease_.slot, run_.share.first_step + i}, nullptr));
    stands_after_ = static_cast<int>(step);
  }

  Toy toy_;
  Lease lease_;
  std::unique_ptr<kernels::Engine> engine_;
  ShareRun run_;
  std::vector<float> before_;
  std::vector<float> theta_;
  int stands_after_ = -1;
};

struct Case {
  const char* job;  // its golden file, and its word in openings_gpt
  uint32_t round;
  uint32_t slot;
};

class GoldenGptOpening : public testing::TestWithParam<Case> {
 protected:
  // Calls test(case, choice, opening) for each opening of the job.
  template <class F>
  void for_each_opening(F test) {
    int seen = 0;
    for (const auto& line : golden_.lines()) {
      const std::string& key = line.first;
      const std::string prefix = "opening " + std::string(GetParam().job) + " ";
      if (!key.starts_with(prefix)) continue;
      const auto at = [&](size_t i) { return static_cast<uint32_t>(golden_.natural(key, i)); };
      ASSERT_EQ(at(0), GetParam().round);
      ASSERT_EQ(at(1), GetParam().slot);
      const BlockChoice choice{
          .step = at(3), .position = at(4), .tile_row = at(5), .tile_col = at(6), .group = at(7)};
      const auto opening = stand_.open(choice);
      ASSERT_TRUE(opening.ok()) << key << ": " << opening.error().detail;
      test(key.substr(key.find(' ') + 1), choice, opening.value());
      ++seen;
    }
    EXPECT_GE(seen, 15);
  }

  Golden golden_{"openings_gpt"};
  Stand stand_{GetParam().job, GetParam().round, GetParam().slot};
};

std::string reads(const OpenedObject& object) {
  std::ostringstream out;
  out << static_cast<int>(object.id.origin) << '.' << object.id.position;
  char before = ':';
  for (const kernels::ChunkRange& range : object.ranges) {
    out << before << range.first << '-' << range.last;
    before = ',';
  }
  return out.str();
}

TEST_P(GoldenGptOpening, ProverSendsTheSameBytes) {
  for_each_opening([&](const std::string& name, const BlockChoice&, const Bytes& bytes) {
    const Opening opening = decode_opening(stand_.toy().program, bytes).value();
    std::vector<std::string> own;
    for (const OpenedObject& object : opening.objects)
      own.push_back(reads(object));
    EXPECT_EQ(own, golden_.lines().at("reads " + name)) << name;
    EXPECT_EQ(bytes.size(), golden_.natural("opening " + name, 8)) << name;
    EXPECT_EQ(kernels::blake3(bytes), golden_.digest("opening " + name, 9)) << name;
  });
}

TEST_P(GoldenGptOpening, AChangedByteHasTheSameVerdict) {
  for_each_opening([&](const std::string& name, const BlockChoice& choice, const Bytes& honest) {
    for (const std::string& change : golden_.lines().at("changed " + name)) {
      unsigned offset = 0;
      unsigned flip = 0;
      int outcome = 0;
      ASSERT_EQ(std::sscanf(change.c_str(), "%u:%u:%d", &offset, &flip, &outcome), 3);
      Bytes bytes = honest;
      bytes.at(offset) ^= static_cast<uint8_t>(flip);
      const Finding finding = stand_.check(choice, bytes);
      EXPECT_EQ(static_cast<int>(finding.outcome), outcome)
          << name << " " << change << ": " << finding.detail;
    }
  });
}

// `source.position:offset:flips`, and more of them after +.
std::vector<Patch> patches_of(const std::string& text) {
  std::vector<Patch> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, '+');) {
    std::istringstream fields(part);
    unsigned source = 0;
    char sign = 0;
    std::string flips;
    Patch patch;
    fields >> source >> sign >> patch.id.position >> sign >> patch.offset >> sign >> flips;
    EXPECT_TRUE(fields.eof() && !flips.empty()) << part;
    patch.id.origin = static_cast<Origin>(source);
    patch.flips = from_hex(flips).value();
    out.push_back(std::move(patch));
  }
  return out;
}

TEST_P(GoldenGptOpening, ALieHasTheSameVerdict) {
  for_each_opening([&](const std::string& name, const BlockChoice& choice, const Bytes& honest) {
    for (const std::string& lie : golden_.lines().at("lies " + name)) {
      const size_t end = lie.rfind(':');
      const Finding finding = stand_.check_lie(choice, honest, patches_of(lie.substr(0, end)));
      EXPECT_EQ(std::to_string(static_cast<int>(finding.outcome)), lie.substr(end + 1))
          << name << " " << lie << ": " << finding.detail;
    }
  });
}

TEST(GoldenGptCoin, DrawsTheSameBlocks) {
  const Golden golden("openings_gpt");
  int seen = 0;
  for (const auto& [key, blocks] : golden.lines()) {
    std::istringstream words(key);
    std::string word;
    std::string job;
    unsigned seed_byte = 0;
    int last = 0;
    if (!(words >> word >> job >> seed_byte >> last) || word != "blocks") continue;
    const Toy toy(job);
    Digest seed;
    seed.bytes.fill(static_cast<uint8_t>(seed_byte));
    const auto own = choose_blocks(toy.program, toy.job.audit, seed, last != 0 ? 1 : 3, last != 0);
    ASSERT_EQ(own.size(), blocks.size());
    for (size_t j = 0; j < own.size(); ++j) {
      const BlockChoice& c = own[j];
      const bool grouped = !c.delta && toy.program.tensors()[c.position].is_int8();
      std::ostringstream out;
      out << c.step << ':' << (c.delta ? -1 : static_cast<int>(c.position)) << ':' << c.tile_row
          << ':' << c.tile_col << ':' << (grouped ? c.group : 0);
      EXPECT_EQ(out.str(), blocks[j]) << key << " " << j;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 128);
}

INSTANTIATE_TEST_SUITE_P(Jobs, GoldenGptOpening,
                         testing::Values(Case{"job_gpt", 1, 1}, Case{"job_gpt_tied", 1, 1},
                                         Case{"openings_gpt", 0, 0}),
                         [](const auto& test) { return std::string(test.param.job); });

}  // namespace
}  // namespace gemmine::verifier
