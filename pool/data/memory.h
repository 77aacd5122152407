// boundary: the standard library throws std::bad_alloc.
//
// What does not fit into memory is an error with the file's name, not the end of the process.
#pragma once

#include <new>
#include <string>

#include "kernels/base/result.h"

namespace gemmine::pool {

// What `load` returns, a Result. Errors: its own; out_of_memory. `what` opens the message.
template <class Load>
auto within_memory(const std::string& what, const Load& load) -> decltype(load()) {
  try {
    return load();
  } catch (const std::bad_alloc&) {
    return Error{Errc::out_of_memory, what + ": there is not enough memory to load it"};
  }
}

}  // namespace gemmine::pool
