// Who shares a pause: addresses that one owner can have many of.
#pragma once

#include <string>

namespace gemmine::pool {

// Of Peer's limit_key: of an IPv4 address its /24, of an IPv6 the /64 that it is. Machines of our
// own have none.
std::string neighbourhood_of(const std::string& limit_key);

}  // namespace gemmine::pool
