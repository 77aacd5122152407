#include "pool/data/tokens.h"

#include <algorithm>
#include <glob.h>
#include <memory>

#include "pool/data/byte_stream.h"
#include "pool/data/npy.h"
#include "pool/data/rds.h"

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
    if (auto added = append_bytes(piece.value(), path, offset, shape, out); !added) return added;
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
      return Error{Errc::malformed, path +
                                        ": an odd number of bytes, and tokens are 16-bit "
                                        "(bytes as tokens are kind = \"text\")"};
    if (bytes.value().empty()) return Ok{};
    values.clear();
    for (size_t i = 0; i < bytes.value().size(); i += 2)
      values.push_back(bytes.value()[i] | int64_t{bytes.value()[i + 1]} << 8);
    if (auto added = append_values(values, path, first, shape, out); !added) return added;
  }
}

struct GlobEnd {
  void operator()(glob_t* found) const { globfree(found); }
};

// A pattern's files in the order of their names; a plain name stays itself.
Status expand(const std::string& pattern, std::vector<std::string>& out) {
  if (pattern.find_first_of("*?[") == std::string::npos) {
    out.push_back(pattern);
    return Ok{};
  }
  glob_t found{};
  const std::unique_ptr<glob_t, GlobEnd> guard(&found);
  const int code = glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
  if (code == GLOB_NOMATCH) return Error{Errc::io, pattern + ": no file has such a name"};
  if (code != 0) return Error{Errc::io, pattern + ": cannot list its folder"};
  if (found.gl_pathc > kCorpusFilesMax - std::min(out.size(), kCorpusFilesMax))
    return Error{Errc::invalid,
                 pattern + ": more than " + std::to_string(kCorpusFilesMax) + " files"};
  out.insert(out.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  return Ok{};
}

class Loader {
 public:
  Loader(const DataFiles& files, const GptShape& shape) : files_(files), shape_(shape) {}

  Result<Tokens> load() {
    std::vector<std::string> train = files_.train;
    std::vector<std::string> held_out = files_.held_out;
    if (files_.kind == DataKind::rdb) {
      auto opened = RdsDatabase::open(files_.database);
      if (!opened) return opened.error();
      database_ = std::make_unique<RdsDatabase>(std::move(opened.value()));
    } else {
      for (auto* names : {&train, &held_out}) {
        std::vector<std::string> paths;
        for (const std::string& pattern : *names)
          if (auto good = expand(pattern, paths); !good) return good.error();
        *names = std::move(paths);
      }
    }
    Tokens out;
    for (const std::string& name : train) {
      if (std::ranges::find(held_out, name) != held_out.end())
        return Error{Errc::invalid, name + ": is training data and validation data"};
      const size_t at = out.train.size();
      if (auto added = append(name, out.train); !added) return added.error();
      if (held_out.empty()) move_end(at, out);
    }
    for (const std::string& name : held_out)
      if (auto added = append(name, out.held_out); !added) return added.error();
    for (const auto& [bytes, what] :
         {std::pair{&out.train, "training"}, std::pair{&out.held_out, "validation"}})
      if (auto enough = check_count(bytes->size() / shape_.token_bytes, what); !enough)
        return enough.error();
    return out;
  }

 private:
  Status append(const std::string& name, Bytes& out) const {
    if (files_.kind == DataKind::text) return append_text(name, shape_, out);
    if (files_.kind == DataKind::tokens) return append_tokens(name, shape_, out);
    const auto lines = database_->lines(name, kCorpusBytesMax - out.size());
    if (!lines) return lines.error();
    return append_bytes(lines.value(), files_.database + ".rdb: " + name, 0, shape_, out);
  }

  // The last part of the file that starts at `at`.
  void move_end(size_t at, Tokens& out) const {
    const uint64_t count = (out.train.size() - at) / shape_.token_bytes;
    const auto kept = count - static_cast<uint64_t>(static_cast<double>(count) *
                                                    static_cast<double>(files_.held_out_fraction));
    const auto cut = out.train.begin() + static_cast<ptrdiff_t>(at + kept * shape_.token_bytes);
    out.held_out.insert(out.held_out.end(), cut, out.train.end());
    out.train.erase(cut, out.train.end());
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

  const DataFiles& files_;
  const GptShape& shape_;
  std::unique_ptr<RdsDatabase> database_;
};

}  // namespace

Result<Tokens> load_tokens(const DataFiles& files, const GptShape& shape) {
  return Loader(files, shape).load();
}

}  // namespace gemmine::pool
