#include "pool/server/neighbourhood.h"

namespace gemmine::pool {

std::string neighbourhood_of(const std::string& limit_key) {
  if (limit_key.starts_with("127.") || limit_key.starts_with("::")) return {};
  const size_t last = limit_key.rfind('.');
  return last == std::string::npos ? limit_key : limit_key.substr(0, last);
}

}  // namespace gemmine::pool
