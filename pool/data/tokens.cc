#include "pool/data/tokens.h"

#include <algorithm>

#include "kernels/base/printable.h"
#include "pool/data/byte_stream.h"
#include "pool/data/file_names.h"
#include "pool/data/memory.h"
#include "pool/data/npy.h"

namespace gemmine::pool {
namespace {

using kernels::GptShape;

constexpr size_t kTokenRunBytes = 1 << 20;

Error out_of_vocabulary(const std::string& where, int64_t token, const GptShape& shape) {
  return {Errc::invalid, where + ": token " + std::to_string(token) + "; model.vocabulary is " +
                             std::to_string(shape.vocabulary) + ", so tokens are 0 to " +
                             std::to_string(shape.vocabulary - 1)};
}

// Bytes are tokens: nothing is decoded, so any encoding will do.
Status append_bytes(ByteView piece, const std::string& name, uint64_t offset, const GptShape& shape,
                    Bytes& out) {
  if (shape.vocabulary < 256) {
    const auto bad =
        std::ranges::find_if(piece, [&](uint8_t byte) { return byte >= shape.vocabulary; });
    if (bad != piece.end()) {
      offset += static_cast<uint64_t>(bad - piece.begin());
      return out_of_vocabulary(name + ": byte " + std::to_string(offset), *bad, shape);
    }
  }
  out.insert(out.end(), piece.begin(), piece.end());
  return Ok{};
}

Status append_text(const std::string& path, const GptShape& shape, Bytes& out) {
  auto stream = ByteStream::open(path, kCorpusBytesMax - out.size());
  if (!stream) return stream.error();
  while (true) {
    const uint64_t offset = stream.value().offset();
    const auto piece = stream.value().next();
    if (!piece) return piece.error();
    if (piece.value().empty()) return Ok{};
    const std::string& name = stream.value().name();
    if (auto added = append_bytes(piece.value(), name, offset, shape, out); !added) return added;
  }
}

// Tokens as they are stored; `first` is the number of the first of them in its file.
Status append_values(std::span<const int64_t> values, const std::string& name, uint64_t first,
                     const GptShape& shape, Bytes& out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t token = values[i];
    if (token < 0 || token >= int64_t{shape.vocabulary})
      return out_of_vocabulary(name + ": number " + std::to_string(first + i), token, shape);
    out.push_back(static_cast<uint8_t>(token));
    if (shape.token_bytes == 2) out.push_back(static_cast<uint8_t>(token >> 8));
  }
  return Ok{};
}

Status append_npy(ByteStream stream, const GptShape& shape, Bytes& out) {
  auto npy = NpyReader::open(std::move(stream), kCorpusBytesMax);
  if (!npy) return npy.error();
  const std::string& name = npy.value().name();
  if (npy.value().is_real())
    return Error{Errc::unsupported,
                 name + ": has real numbers, and tokens are whole: save array.astype('<u2')"};
  if (npy.value().shape().size() != 1)
    return Error{Errc::invalid, name + ": has " + std::to_string(npy.value().shape().size()) +
                                    " dimensions; tokens have one: save array.ravel()"};
  for (uint64_t first = 0;;) {
    const auto run = npy.value().next();
    if (!run) return run.error();
    if (run.value().empty()) return Ok{};
    if (auto added = append_values(run.value(), name, first, shape, out); !added) return added;
    first += run.value().size();
  }
}

// 16-bit little-endian, or .npy.
Status append_tokens(const std::string& path, const GptShape& shape, Bytes& out) {
  auto opened = ByteStream::open(path, kCorpusBytesMax - out.size());
  if (!opened) return opened.error();
  ByteStream& stream = opened.value();
  std::vector<int64_t> values;
  for (uint64_t first = 0;; first += values.size()) {
    // The first read is as long as the magic, which is a whole number of tokens.
    const auto bytes = stream.read(first == 0 ? kNpyMagic.size() : kTokenRunBytes);
    if (!bytes) return bytes.error();
    if (first == 0 && std::ranges::equal(bytes.value(), as_bytes(kNpyMagic)))
      return append_npy(std::move(stream), shape, out);
    if (bytes.value().size() % 2 != 0)
      return Error{Errc::malformed, stream.name() +
                                        ": an odd number of bytes, and tokens are 16-bit "
                                        "(bytes as tokens are kind = \"text\")"};
    if (bytes.value().empty()) return Ok{};
    values.clear();
    for (size_t i = 0; i < bytes.value().size(); i += 2)
      values.push_back(bytes.value()[i] | int64_t{bytes.value()[i + 1]} << 8);
    if (auto added = append_values(values, stream.name(), first, shape, out); !added) return added;
  }
}

// Memory for all of them at once, as far as their sizes tell.
uint64_t expected_bytes(const std::vector<std::string>& paths) {
  uint64_t sum = 0;
  for (const std::string& path : paths) {
    const auto stream = ByteStream::open(path, kCorpusBytesMax);
    if (stream) sum += std::min(stream.value().size_hint(), kCorpusBytesMax - sum);
  }
  return sum;
}

class Loader {
 public:
  Loader(const DataFiles& data, const GptShape& shape) : data_(data), shape_(shape) {}

  Result<Tokens> load() {
    const auto train = find_files(data_, data_.train);
    if (!train) return train.error();
    const auto held_out = find_files(data_, data_.held_out);
    if (!held_out) return held_out.error();
    if (const std::string both = shared_file(train.value(), held_out.value()); !both.empty())
      return Error{Errc::invalid, printable(both) + ": is training data and validation data"};
    Tokens out;
    const bool cuts = data_.held_out.empty();
    if (auto read = append_all(train.value(), cuts, out.train, out.held_out); !read)
      return read.error();
    Bytes none;
    if (auto read = append_all(held_out.value(), false, out.held_out, none); !read)
      return read.error();
    for (const auto& [bytes, what] :
         {std::pair{&out.train, "training"}, std::pair{&out.held_out, "validation"}})
      if (auto enough = check_count(bytes->size() / shape_.token_bytes, what); !enough)
        return enough.error();
    return out;
  }

 private:
  // With `cuts` the end of each file goes to `ends`.
  Status append_all(const std::vector<std::string>& paths, bool cuts, Bytes& out,
                    Bytes& ends) const {
    const auto reserve = [&]() -> Status {
      out.reserve(expected_bytes(paths));
      return Ok{};
    };
    if (!paths.empty())
      if (auto good = within_memory(printable(paths.front()), reserve); !good) return good;
    for (const std::string& path : paths) {
      const size_t at = out.size();
      const auto read = within_memory(printable(path), [&] { return append(path, out); });
      if (!read) return read;
      if (cuts) move_end(at, out, ends);
    }
    return Ok{};
  }

  Status append(const std::string& path, Bytes& out) const {
    GEMMINE_CHECK(data_.kind == DataKind::text || data_.kind == DataKind::tokens);
    if (data_.kind == DataKind::text) return append_text(path, shape_, out);
    return append_tokens(path, shape_, out);
  }

  // The last part of the file that starts at `at`.
  void move_end(size_t at, Bytes& out, Bytes& ends) const {
    GEMMINE_CHECK(at <= out.size());
    const uint64_t count = (out.size() - at) / shape_.token_bytes;
    const uint64_t kept = count - data_.held_out_fraction.of(count);
    GEMMINE_CHECK(kept <= count);
    const auto cut = out.begin() + static_cast<ptrdiff_t>(at + kept * shape_.token_bytes);
    ends.insert(ends.end(), cut, out.end());
    out.erase(cut, out.end());
  }

  Status check_count(uint64_t count, const std::string& what) const {
    if (count > shape_.context && count <= kernels::kRecordsMax) return Ok{};
    const std::string rule =
        count > shape_.context
            ? "at most " + std::to_string(kernels::kRecordsMax) + " are allowed"
            : "model.context = " + std::to_string(shape_.context) + " needs at least " +
                  std::to_string(shape_.context + 1) + ": add text or make the context shorter";
    return Error{Errc::invalid,
                 "the " + what + " data has " + std::to_string(count) + " tokens; " + rule};
  }

  const DataFiles& data_;
  const GptShape& shape_;
};

}  // namespace

Result<Tokens> load_tokens(const DataFiles& data, const kernels::GptShape& shape) {
  GEMMINE_CHECK(shape.token_bytes == 1 || shape.token_bytes == 2);
  return Loader(data, shape).load();
}

Result<Bytes> read_token_file(DataKind kind, const std::string& path,
                              const kernels::GptShape& shape) {
  GEMMINE_CHECK(kind == DataKind::text || kind == DataKind::tokens);
  return within_memory(printable(path), [&]() -> Result<Bytes> {
    Bytes out;
    const Status read =
        kind == DataKind::text ? append_text(path, shape, out) : append_tokens(path, shape, out);
    if (!read) return read.error();
    return out;
  });
}

}  // namespace gemmine::pool
