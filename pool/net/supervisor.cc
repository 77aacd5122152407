#include "pool/net/supervisor.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <unistd.h>

namespace gemmine::pool {

namespace {

std::string_view variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

uint64_t number_of(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  return code == std::errc{} && stop == end ? number : 0;
}

// How often the manager wants to hear that this process is alive, halved, as sd_watchdog_enabled(3)
// has it; 0: never.
uint64_t alive_ms() {
  const std::string_view whom = variable("WATCHDOG_PID");
  if (!whom.empty() && number_of(whom) != static_cast<uint64_t>(::getpid())) return 0;
  const uint64_t wanted_us = number_of(variable("WATCHDOG_USEC"));
  return wanted_us == 0 ? 0 : std::max<uint64_t>(1, wanted_us / 2000);
}

}  // namespace

std::optional<Supervisor::Address> Supervisor::address_of(std::string_view text) {
  Address out;
  // The longest still has the zero behind it that the kernel wants of paths.
  if (text.size() < 2 || text.size() >= sizeof out.name.sun_path) return std::nullopt;
  if (text.front() != '/' && text.front() != '@') return std::nullopt;
  out.name.sun_family = AF_UNIX;
  std::ranges::copy(text, out.name.sun_path);
  if (text.front() == '@') out.name.sun_path[0] = '\0';
  out.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
  return out;
}

Supervisor::Supervisor(Loop& loop)
    : address_(address_of(variable("NOTIFY_SOCKET"))),
      socket_(address_ ? ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1),
      alive_ms_(alive_ms()),
      watchdog_(loop, [this] { tell("WATCHDOG=1"); }) {}

void Supervisor::ready(const std::string& status) {
  tell("READY=1\nSTATUS=" + status);
  if (socket_.ok() && alive_ms_ != 0) watchdog_.start(alive_ms_, alive_ms_);
}

void Supervisor::stopping() {
  tell("STOPPING=1\nSTATUS=stopping");
}

// A manager that does not listen is no reason to fail: it judges by what it hears.
void Supervisor::tell(const std::string& lines) {
  if (!socket_.ok()) return;
  (void)::sendto(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address_->name), address_->bytes);
}

}  // namespace gemmine::pool
