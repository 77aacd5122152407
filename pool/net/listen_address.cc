#include "pool/net/listen_address.h"

#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

bool has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

}  // namespace

Result<std::string> listen_address(const std::string& host) {
  if (host == "*") return std::string(has_ipv6() ? "::" : "0.0.0.0");
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, FreeAddresses> owner(list);
  if (failed != 0)
    return Error{Errc::invalid_argument,
                 "'" + host + "' is no address of this machine (" + gai_strerror(failed) +
                     "); give one, as in 127.0.0.1:4400, or *:4400 for all it has"};
  GEMMINE_CHECK(list != nullptr);
  const addrinfo* chosen = list;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET) continue;
    chosen = each;
    break;
  }
  char text[NI_MAXHOST];
  if (getnameinfo(chosen->ai_addr, chosen->ai_addrlen, text, sizeof text, nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return Error{Errc::invalid_argument, "'" + host + "' has no numeric address"};
  return std::string(text);
}

}  // namespace gemmine::pool
