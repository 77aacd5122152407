#include <algorithm>
#include <cstring>
#include <netdb.h>
#include <sys/socket.h>

#include <uv.h>

#include "kernels/base/check.h"
#include "pool/net/loop.h"

namespace gemmine::pool {
namespace {

constexpr size_t kAddressesMax = 8;
// An address that swallows packets (a broken IPv6 route, typically) leaves time for the next one.
constexpr uint64_t kAttemptMs = 3'000;

addrinfo stream_hints() {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  return hints;
}

}  // namespace

// Requests live until their callback, which may be after the connector; it then finds no owner.
struct TcpConnector::ResolveRequest {
  uv_getaddrinfo_t request{};
  TcpConnector* owner = nullptr;
};
struct TcpConnector::ConnectRequest {
  uv_connect_t request{};
  TcpConnector* owner = nullptr;
};

TcpConnector::TcpConnector(Loop& loop, std::string host, uint16_t port, uint64_t timeout_ms,
                           OnDone on_done)
    : loop_(loop),
      host_(std::move(host)),
      port_(port),
      deadline_ms_(loop.now_ms() + timeout_ms),
      on_done_(std::move(on_done)),
      timer_(loop, [this] { try_next(); }) {
  resolve();
}

TcpConnector::~TcpConnector() {
  if (connecting_ != nullptr) connecting_->owner = nullptr;
  if (resolving_ != nullptr) {
    resolving_->owner = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&resolving_->request));
  }
}

void TcpConnector::resolve() {
  addrinfo hints = stream_hints();
  hints.ai_flags = AI_NUMERICHOST;  // never blocks, and needs no thread
  addrinfo* numeric = nullptr;
  if (::getaddrinfo(host_.c_str(), nullptr, &hints, &numeric) == 0) {
    take_addresses(numeric);
    ::freeaddrinfo(numeric);
    timer_.start(0);
    return;
  }
  const auto on_resolved = [](uv_getaddrinfo_t* resolved, int status, addrinfo* list) {
    const std::unique_ptr<ResolveRequest> request(static_cast<ResolveRequest*>(resolved->data));
    TcpConnector* self = request->owner;
    if (self != nullptr) {
      self->resolving_ = nullptr;
      self->timer_.stop();
      if (status != 0) self->last_error_ = uv_strerror(status);
      self->take_addresses(list);
    }
    uv_freeaddrinfo(list);
    if (self != nullptr) self->try_next();
  };
  auto request = std::make_unique<ResolveRequest>();
  request->request.data = request.get();
  request->owner = this;
  hints = stream_hints();
  const int rc =
      uv_getaddrinfo(loop_.raw(), &request->request, on_resolved, host_.c_str(), nullptr, &hints);
  if (rc != 0) {
    last_error_ = uv_strerror(rc);
    timer_.start(0);
    return;
  }
  resolving_ = request.release();
  last_error_ = "the name server does not answer";
  const uint64_t now = loop_.now_ms();
  timer_.start(deadline_ms_ > now ? deadline_ms_ - now : 0);
}

void TcpConnector::take_addresses(const void* addrinfo_list) {
  for (auto* info = static_cast<const addrinfo*>(addrinfo_list);
       info != nullptr && addresses_.size() < kAddressesMax; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    sockaddr_storage address{};
    std::memcpy(&address, info->ai_addr, info->ai_addrlen);
    // sin_port and sin6_port lie at the same place.
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port_);
    addresses_.push_back(address);
  }
}

// Runs for the first address, when an attempt failed, and when one took too long.
void TcpConnector::try_next() {
  if (connecting_ != nullptr) {
    connecting_->owner = nullptr;
    connecting_ = nullptr;
    last_error_ = "no answer in time";
  }
  handle_.reset();
  const uint64_t now = loop_.now_ms();
  if (tried_ == addresses_.size() || now >= deadline_ms_) return give_up();
  const bool last = tried_ + 1 == addresses_.size();
  const uint64_t left_ms = deadline_ms_ - now;
  const auto* address = reinterpret_cast<const sockaddr*>(&addresses_[tried_++]);
  handle_.reset(new uv_tcp_s);
  GEMMINE_CHECK(uv_tcp_init(loop_.raw(), handle_.get()) == 0);
  const auto on_connected = [](uv_connect_t* connected, int status) {
    const std::unique_ptr<ConnectRequest> request(static_cast<ConnectRequest*>(connected->data));
    TcpConnector* self = request->owner;
    if (self == nullptr) return;
    self->connecting_ = nullptr;
    self->timer_.stop();
    if (status != 0) {
      self->last_error_ = uv_strerror(status);
      return self->try_next();
    }
    // A copy, because the callback may destroy the connector.
    const OnDone done = self->on_done_;
    done(std::make_unique<TcpStream>(std::move(self->handle_), self->loop_));
  };
  auto request = std::make_unique<ConnectRequest>();
  request->request.data = request.get();
  request->owner = this;
  const int rc = uv_tcp_connect(&request->request, handle_.get(), address, on_connected);
  if (rc != 0) {
    last_error_ = uv_strerror(rc);
    return timer_.start(0);
  }
  connecting_ = request.release();
  timer_.start(last ? left_ms : std::min(left_ms, kAttemptMs));
}

void TcpConnector::give_up() {
  timer_.stop();
  if (resolving_ != nullptr) {
    resolving_->owner = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&resolving_->request));
    resolving_ = nullptr;
  }
  const OnDone done = on_done_;
  done(Error{Errc::io, "cannot connect to " + host_ + " port " + std::to_string(port_) + ": " +
                           last_error_ + "; does it run, and is the address right?"});
}

}  // namespace gemmine::pool
