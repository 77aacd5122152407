// A corpus of any kind, from files of any bytes: refused with a place, or tokens of the vocabulary.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernels/base/check.h"
#include "pool/data/tokens.h"

namespace gp = gemmine::pool;

namespace {

// A folder of its own, gone at the end.
struct Folder {
  std::string path = std::filesystem::temp_directory_path() / "gemmine-tokens-XXXXXX";
  Folder() { GEMMINE_CHECK(mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, gemmine::ByteView bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
};

}  // namespace

// Byte 0: the kind, the vocabulary, and whether names end in .gz. Bytes 1 and 2: where the one file
// ends, and the other begins.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  if (size < 3) return 0;
  constexpr gp::DataKind kKinds[] = {gp::DataKind::text, gp::DataKind::tokens};
  constexpr uint32_t kVocabularies[] = {100, 256, 300};
  const gemmine::ByteView bytes(data + 3, size - 3);
  const size_t cut = std::min<size_t>(data[1] | data[2] << 8, bytes.size());
  const std::string end = data[0] / 6 % 2 == 0 ? "" : ".gz";
  folder.write("train" + end, bytes.first(cut));
  folder.write("held_out" + end, bytes.subspan(cut));
  gemmine::kernels::GptShape shape;
  shape.vocabulary = kVocabularies[data[0] / 2 % 3];
  shape.token_bytes = shape.vocabulary > 256 ? 2 : 1;
  shape.context = 1;
  gp::DataFiles files;
  files.kind = kKinds[data[0] % 2];
  if (files.kind == gp::DataKind::text && shape.token_bytes != 1) return 0;  // no job file says so
  files.folder = folder.path;
  files.train = {"train" + end};
  files.held_out = {"held_out" + end};
  const auto loaded = gp::load_tokens(files, shape);
  if (!loaded) {
    const std::string& detail = loaded.error().detail;
    GEMMINE_CHECK(detail.starts_with(folder.path) || detail.starts_with("the "));
    return 0;
  }
  for (const gemmine::Bytes* side : {&loaded.value().train, &loaded.value().held_out}) {
    GEMMINE_CHECK(side->size() % shape.token_bytes == 0);
    GEMMINE_CHECK(side->size() / shape.token_bytes > shape.context);
    for (size_t i = 0; i < side->size(); i += shape.token_bytes)
      GEMMINE_CHECK(shape.token_of(*side, i / shape.token_bytes) < shape.vocabulary);
  }
  return 0;
}
