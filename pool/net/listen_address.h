// Addresses to listen on, as people write them.
#pragma once

#include <string>

#include "kernels/base/result.h"

namespace gemmine::pool {

// The numeric address of what stands before the port: a numeric one as it is, "*" for everything
// this machine has, a name as the system resolves it (IPv4 first). Errors: invalid_argument.
Result<std::string> listen_address(const std::string& host);

}  // namespace gemmine::pool
