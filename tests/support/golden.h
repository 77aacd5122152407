// Reads tests/vectors/golden/*.txt, which the Python reference wrote: `key = token token …` a line.
#pragma once

#include <bit>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/base/bytes.h"
#include "tests/support/paths.h"

namespace gemmine::test {

class Golden {
 public:
  explicit Golden(const std::string& name) {
    std::ifstream file(source_dir() + "/tests/vectors/golden/" + name + ".txt");
    EXPECT_TRUE(file.good()) << name;
    for (std::string line; std::getline(file, line);) {
      const size_t middle = line.find(" = ");
      if (line.starts_with('#') || middle == std::string::npos) continue;
      std::istringstream rest(line.substr(middle + 3));
      std::vector<std::string>& tokens = lines_[line.substr(0, middle)];
      for (std::string token; rest >> token;)
        tokens.push_back(token);
    }
  }

  bool has(const std::string& key) const { return lines_.contains(key); }
  const std::map<std::string, std::vector<std::string>>& lines() const { return lines_; }
  size_t count(const std::string& key) const { return lines_.at(key).size(); }
  std::string text(const std::string& key, size_t i = 0) const { return lines_.at(key).at(i); }

  int64_t integer(const std::string& key, size_t i = 0) const {
    return number<int64_t>(key, i, 10);
  }
  uint64_t natural(const std::string& key, size_t i = 0) const {
    return number<uint64_t>(key, i, 10);
  }
  uint32_t bits(const std::string& key, size_t i = 0) const { return number<uint32_t>(key, i, 16); }
  float f32(const std::string& key, size_t i = 0) const {
    return std::bit_cast<float>(bits(key, i));
  }
  std::vector<float> floats(const std::string& key) const {
    std::vector<float> out;
    for (size_t i = 0; i < count(key); ++i)
      out.push_back(f32(key, i));
    return out;
  }
  Bytes bytes(const std::string& key, size_t i = 0) const {
    const std::string hex = text(key, i);
    return hex == "-" ? Bytes{} : from_hex(hex).value();
  }
  Digest digest(const std::string& key, size_t i = 0) const {
    return digest_from_hex(text(key, i)).value();
  }

 private:
  template <class T>
  T number(const std::string& key, size_t i, int base) const {
    const std::string token = text(key, i);
    T value{};
    const auto end = std::from_chars(token.data(), token.data() + token.size(), value, base);
    EXPECT_EQ(end.ptr, token.data() + token.size()) << key;
    return value;
  }
  std::map<std::string, std::vector<std::string>> lines_;
};

}  // namespace gemmine::test
