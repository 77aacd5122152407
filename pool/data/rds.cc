#include "pool/data/rds.h"

#include <algorithm>
#include <zlib.h>

#include "kernels/base/files.h"
#include "pool/data/byte_stream.h"

namespace gemmine::pool {
namespace {

// A parsed list takes up to 24 times the bytes it came in.
constexpr uint64_t kIndexBytesMax = 1 << 20;
constexpr uint64_t kObjectBytesMax = 64 << 20;
constexpr uint64_t kDatabaseBytesMax = uint64_t{1} << 30;
constexpr int32_t kZlib = 1;  // in an index, or TRUE

// Types of R's serialize.c.
enum class Sexp : uint8_t {
  symbol = 1,
  pairs = 2,
  chars = 9,
  logicals = 10,
  integers = 13,
  texts = 16,
  list = 19,
  null = 254,
  reference = 255
};

uint32_t big_endian(ByteView four) {
  return uint32_t{four[0]} << 24 | uint32_t{four[1]} << 16 | uint32_t{four[2]} << 8 | four[3];
}

class Parser {
 public:
  Parser(ByteView bytes, const std::string& name) : in_(bytes), name_(name) {}

  Result<RdsValue> parse() {
    const ByteView magic = in_.get_raw(2);
    if (!in_.ok() || magic[0] != 'X' || magic[1] != '\n')
      return Error{Errc::unsupported, name_ + ": no R data in XDR format (it starts with X)"};
    const uint32_t version = word();
    word();  // the R that wrote it
    word();  // the oldest R that reads it
    if (in_.ok() && version != 2 && version != 3)
      return Error{Errc::unsupported,
                   name_ + ": R's serialization " + std::to_string(version) + ", not 2 or 3"};
    if (version == 3) in_.get_raw(word());  // the name of an encoding
    RdsValue out;
    item(out, 0);
    if (!error_.detail.empty()) return error_;
    if (!in_.done())
      return Error{Errc::malformed, name_ + ": the R data is cut short or has trailing bytes"};
    return out;
  }

 private:
  struct Flags {
    uint32_t word;
    Sexp type() const { return static_cast<Sexp>(word & 0xff); }
    bool has_attributes() const { return (word & 0x200) != 0; }
    bool has_tag() const { return (word & 0x400) != 0; }
  };

  uint32_t word() {
    const ByteView raw = in_.get_raw(4);
    return raw.size() == 4 ? big_endian(raw) : 0;
  }

  bool fail(Errc code, const std::string& why) {
    if (error_.detail.empty()) error_ = {code, name_ + ": " + why};
    return false;
  }
  bool unsupported(Flags flags) {
    return fail(Errc::unsupported, "R type " + std::to_string(flags.word & 0xff) +
                                       "; only lists, texts and whole numbers are read");
  }

  // How many elements follow, each of at least 4 bytes.
  bool count(uint32_t& out) {
    out = word();
    if (in_.ok() && uint64_t{out} * 4 <= in_.rest()) return true;
    return fail(Errc::malformed, "the R data is cut short, or longer than R writes");
  }

  bool item(RdsValue& out, uint32_t depth) {
    const Flags flags{word()};
    if (!in_.ok()) return fail(Errc::malformed, "the R data is cut short");
    if (depth > kRdsDepthMax) return fail(Errc::malformed, "R lists nested too deep");
    if (flags.type() == Sexp::null) return true;
    uint32_t length = 0;
    const bool numbers = flags.type() == Sexp::integers || flags.type() == Sexp::logicals;
    if (!numbers && flags.type() != Sexp::texts && flags.type() != Sexp::list)
      return unsupported(flags);
    if (!count(length)) return false;
    for (uint32_t i = 0; i < length; ++i) {
      bool good = in_.ok();
      if (numbers) {
        out.integers.push_back(static_cast<int32_t>(word()));
      } else if (flags.type() == Sexp::texts) {
        good = good && chars(out.texts.emplace_back());
      } else {
        good = good && item(out.items.emplace_back(), depth + 1);
      }
      if (!good) return fail(Errc::malformed, "the R data is cut short");
    }
    return !flags.has_attributes() || attributes(out, depth);
  }

  bool chars(std::string& out) {
    const Flags flags{word()};
    if (flags.type() != Sexp::chars) return unsupported(flags);
    const uint32_t length = word();
    if (length == UINT32_MAX) return true;  // NA
    const ByteView raw = in_.get_raw(length);
    out.assign(raw.begin(), raw.end());
    return in_.ok();
  }

  // A chain of (tag, value); only names are kept.
  bool attributes(RdsValue& owner, uint32_t depth) {
    while (true) {
      const Flags flags{word()};
      if (!in_.ok()) return fail(Errc::malformed, "the R data is cut short");
      if (flags.type() == Sexp::null) return true;
      if (flags.type() != Sexp::pairs || !flags.has_tag() || flags.has_attributes())
        return unsupported(flags);
      std::string tag;
      if (!symbol(tag)) return false;
      RdsValue value;
      if (!item(value, depth + 1)) return false;
      if (tag == "names") owner.names = std::move(value.texts);
    }
  }

  // A symbol is written once and referred to by its number after that.
  bool symbol(std::string& out) {
    const Flags flags{word()};
    if (flags.type() == Sexp::symbol) {
      if (!chars(out)) return fail(Errc::malformed, "the R data is cut short");
      symbols_.push_back(out);
      return true;
    }
    if (flags.type() != Sexp::reference) return unsupported(flags);
    const uint32_t number = flags.word >> 8 == 0 ? word() : flags.word >> 8;
    if (number == 0 || number > symbols_.size())
      return fail(Errc::malformed, "a reference to nothing");
    out = symbols_[number - 1];
    return true;
  }

  Reader in_;
  const std::string& name_;
  Error error_{Errc::malformed, {}};
  std::vector<std::string> symbols_;
};

// Four bytes of length, then zlib.
Result<Bytes> unpack(ByteView packed, const std::string& name, uint64_t bytes_max) {
  const Error damaged{Errc::malformed, name + ": damaged object"};
  if (packed.size() < 4) return damaged;
  const uint32_t size = big_endian(packed.first(4));
  if (size > bytes_max)
    return Error{Errc::invalid, name + ": more than " + std::to_string(bytes_max) + " bytes"};
  Bytes out(size);
  uLongf done = size;
  packed = packed.subspan(4);
  const int code = uncompress(out.data(), &done, packed.data(), packed.size());
  if (code != Z_OK || done != size) return damaged;
  return out;
}

// The Debian package of an R library, for a person who lacks it.
std::string advice(const std::string& database) {
  constexpr std::string_view kLibrary = "/usr/lib/R/site-library/";
  if (!database.starts_with(kLibrary)) return {};
  std::string package = database.substr(kLibrary.size());
  package.resize(std::min(package.find('/'), package.size()));
  std::ranges::transform(package, package.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
  });
  return "; try: apt-get install r-cran-" + package;
}

}  // namespace

const RdsValue* RdsValue::find(const std::string& name) const {
  const auto at = std::ranges::find(names, name);
  const auto index = static_cast<size_t>(at - names.begin());
  return index < items.size() ? &items[index] : nullptr;
}

Result<RdsValue> parse_rds(ByteView bytes, const std::string& name) {
  return Parser(bytes, name).parse();
}

Result<RdsDatabase> RdsDatabase::open(const std::string& database) {
  const std::string index_path = database + ".rdx";
  const auto packed = read_maybe_gzip(index_path, kIndexBytesMax);
  if (!packed) return Error{packed.error().code, packed.error().detail + advice(database)};
  auto index = parse_rds(packed.value(), index_path);
  if (!index) return index.error();
  const RdsValue* variables = index.value().find("variables");
  const RdsValue* compressed = index.value().find("compressed");
  if (variables == nullptr || compressed == nullptr || compressed->integers.size() != 1)
    return Error{Errc::malformed, index_path + ": no index of an R database"};
  if (compressed->integers[0] != kZlib)
    return Error{Errc::unsupported, index_path +
                                        ": objects packed with bzip2 or xz; only zlib is "
                                        "read"};
  RdsDatabase out;
  out.path_ = database + ".rdb";
  out.variables_ = *variables;
  return out;
}

Result<Bytes> RdsDatabase::lines(const std::string& object, uint64_t bytes_max) const {
  const std::string name = path_ + ": " + object;
  const RdsValue* place = variables_.find(object);
  if (place == nullptr) {
    std::string there;
    for (const std::string& known : variables_.names)
      there.append(there.empty() ? "" : ", ").append(known);
    return Error{Errc::invalid, name + ": no such object; there are " + there};
  }
  auto file = read_file(path_, kDatabaseBytesMax);
  if (!file) return file.error();
  if (place->integers.size() != 2 || place->integers[0] < 0 || place->integers[1] < 0 ||
      int64_t{place->integers[0]} + place->integers[1] > static_cast<int64_t>(file.value().size()))
    return Error{Errc::malformed, name + ": the index points outside the file"};
  const ByteView packed = ByteView(file.value())
                              .subspan(static_cast<size_t>(place->integers[0]),
                                       static_cast<size_t>(place->integers[1]));
  const auto unpacked = unpack(packed, name, std::min(bytes_max, kObjectBytesMax));
  if (!unpacked) return unpacked;
  const auto value = parse_rds(unpacked.value(), name);
  if (!value) return value.error();
  if (value.value().texts.empty())
    return Error{Errc::unsupported, name + ": is not a vector of texts"};
  Bytes out;
  for (const std::string& line : value.value().texts) {
    out.insert(out.end(), line.begin(), line.end());
    out.push_back('\n');
  }
  return out;
}

}  // namespace gemmine::pool
