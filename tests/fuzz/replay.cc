// Replays corpora where there is no libFuzzer: every file of every folder named, and changes of it
// that are the same in every run.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kChangesPerFile = 1'000;

// Flips, overwrites, cuts, repeats: what a fuzzer does first.
std::vector<char> changed(std::vector<char> bytes, std::mt19937_64& random) {
  for (uint64_t left = random() % 4 + 1; left > 0 && !bytes.empty(); --left) {
    const size_t at = random() % bytes.size();
    const auto place = bytes.begin() + static_cast<ptrdiff_t>(at);
    switch (random() % 5) {
      case 0:
        *place = static_cast<char>(*place ^ (1 << random() % 8));
        break;
      case 1:
        *place = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(place);
        break;
      default:
        bytes.insert(place, bytes[random() % bytes.size()]);
    }
  }
  return bytes;
}

void run(const std::vector<char>& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  int count = 0;
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
      run(bytes);
      std::mt19937_64 random(bytes.size());  // not the order of files, which is the disk's
      for (int change = 0; change < kChangesPerFile; ++change)
        run(changed(bytes, random));
      ++count;
    }
  }
  std::printf("%d inputs replayed, each with %d changes\n", count, kChangesPerFile);
  return count > 0 ? 0 : 1;  // An empty corpus tests nothing.
}
