#include "pool/tokens.h"

#include <algorithm>
#include <glob.h>
#include <memory>

#include "pool/rds.h"
#include "pool/stream.h"

namespace gemmine::pool {
namespace {

using kernels::GptShape;

Error out_of_vocabulary(const std::string& where, uint64_t token, const GptShape& shape) {
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
