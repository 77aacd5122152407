// What a service manager is told of a program that runs for long: the protocol of sd_notify(3),
// which is lines of text in a datagram. Nobody is told anything where NOTIFY_SOCKET is not set.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernels/base/fd.h"
#include "pool/net/loop.h"

namespace gemmine::pool {

class Supervisor {
 public:
  // Reads NOTIFY_SOCKET (a path, or an abstract name behind `@`), WATCHDOG_USEC and WATCHDOG_PID.
  explicit Supervisor(Loop& loop);

  // The program has begun its work, which `status` describes in a line. From now on it is alive
  // as often as the manager asked for, as long as its loop turns.
  void ready(const std::string& status);
  // It ends by its own will; what it still has to do may take a while.
  void stopping();

 private:
  void tell(const std::string& lines);

  struct Address {
    sockaddr_un name{};
    socklen_t bytes = 0;
  };
  static std::optional<Address> address_of(std::string_view text);

  std::optional<Address> address_;  // none: nobody asked
  Fd socket_;
  uint64_t alive_ms_ = 0;
  Timer watchdog_;
};

}  // namespace gemmine::pool
