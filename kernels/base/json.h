// JSON as a value: made by programs, read from strangers. The one place that knows the library.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/base/result.h"

namespace gemmine {

struct JsonMember;

// null, a boolean, a number, a text, an array or an object. Members keep their order.
class Json {
 public:
  Json() = default;
  // Values and texts become JSON where JSON is wanted, and {{"key", value}, ...} an object.
  // NOLINTBEGIN(google-explicit-constructor)
  Json(std::nullptr_t);
  Json(bool value);
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value);
  Json(double value);
  Json(std::string value);
  Json(std::string_view value);
  Json(const char* value);
  Json(std::initializer_list<JsonMember> members);
  // NOLINTEND(google-explicit-constructor)
  static Json array();
  static Json object();

  // The whole text is one value. Errors: malformed (no JSON, more than depth_max objects and arrays
  // in one another, a key twice in an object); the detail goes behind "NAME: " and is printable.
  static Result<Json> parse(std::string_view text, size_t depth_max);
  // In one line, or indented by so many spaces. What is no UTF-8 becomes U+FFFD; numbers that are
  // not finite become null.
  std::string dump(int indent = -1) const;

  // Adds to an array; null becomes one.
  void push_back(Json value);
  // Adds to an object, by a key that it does not have; null becomes one. Does not look.
  void add(std::string key, Json value);
  // The member of an object, made where there is none; null becomes an object.
  Json& operator[](std::string_view key);

  bool is_null() const;
  // What it holds; none or null when it is something else.
  const std::string* text() const;
  const std::vector<Json>* items() const;
  const std::vector<JsonMember>* members() const;
  std::optional<uint64_t> whole_number() const;  // not negative
  std::optional<double> number() const;          // of any kind, rounded to the nearest double
  // The member of an object; null for none, or for what is no object.
  const Json* find(std::string_view key) const;

  bool operator==(const Json& other) const;

 private:
  friend struct JsonAccess;

  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, std::vector<Json>,
               std::vector<JsonMember>>
      value_;
};

struct JsonMember {
  std::string key;
  Json value;
  bool operator==(const JsonMember&) const = default;
};

template <std::integral T>
requires(!std::same_as<T, bool>) Json::Json(T value) {
  if constexpr (std::is_signed_v<T>) {
    value_ = int64_t{value};
  } else {
    value_ = uint64_t{value};
  }
}

}  // namespace gemmine
