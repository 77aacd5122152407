// Memory whose size comes from outside: not having it is an error, and ends no process.
#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>

#include "kernels/base/result.h"

namespace gemmine {

// vector.resize(size). `what` is whose memory it is, for the message: a file's name.
// Errors: out_of_memory; the vector is as before.
template <class Vector>
Status try_resize(Vector& vector, size_t size, const std::string& what) {
  try {
    vector.resize(size);
    return Ok{};
  } catch (const std::bad_alloc&) {
    // boundary: the allocator throws, also length_error.
  } catch (const std::length_error&) {
  }
  return Error{Errc::out_of_memory, what + ": " +
                                        std::to_string(size * sizeof(typename Vector::value_type)) +
                                        " bytes do not fit into memory"};
}

}  // namespace gemmine
