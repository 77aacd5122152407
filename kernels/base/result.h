// Result<T>: a value, or the reason there is none. A small std::expected until C++23 is here.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "kernels/base/check.h"

namespace gemmine {

// What kind of failure it was; the caller acts on this, people read `detail`.
enum class Errc : unsigned char {
  invalid_argument,  // the caller's input cannot be used as given
  malformed,         // bytes that do not decode
  invalid,           // bytes that decode, and say something that is not true
  undecided,         // data needed to decide is missing
  unsupported,       // this build, device or peer cannot do it
  out_of_memory,
  io,      // file, disk, socket, database
  closed,  // the other side is gone
  busy,    // try again later
};

struct Error {
  Errc code;
  std::string detail;  // For a person: where, what, how to fix it. Never parsed.
};

template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;` is the point.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): so is `return Error{...};`.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() {
    GEMMINE_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const {
    GEMMINE_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const Error& error() const {
    GEMMINE_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace gemmine
