#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "kernels/base/check.h"
#include "pool/net/loop.h"

namespace gemmine::pool {
namespace {

constexpr int kAcceptBatchMax = 64;  // then other events get their turn
constexpr int kBacklog = 1024;
constexpr uint64_t kAcceptPauseMs = 250;

PeerAddress describe(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return {std::string(text) + ":" + std::to_string(ntohs(v4.sin_port)), text};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  const uint16_t port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    return {std::string(text) + ":" + std::to_string(port), text};
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  PeerAddress out{"[", ""};  // appended to: g++ 12 warns of "[" + std::string without cause
  out.text.append(text).append("]:").append(std::to_string(port));
  std::memset(&v6.sin6_addr.s6_addr[8], 0, 8);  // one customer has a whole /64
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  out.limit_key = text;
  return out;
}

Error listen_error(const std::string& address, uint16_t port, int error) {
  const bool v6 = address.find(':') != std::string::npos;
  std::string where = v6 ? "[" : "";
  where.append(address).append(v6 ? "]:" : ":").append(std::to_string(port));
  std::string todo;
  if (error == EADDRINUSE) {
    todo = "; choose another port, or stop the program that has it (ss -ltnp 'sport = :" +
           std::to_string(port) + "' names it)";
  } else if (error == EACCES) {
    todo = "; ports below 1024 need privileges, choose a higher one";
  } else if (error == EADDRNOTAVAIL) {
    todo = "; this machine has no such address, 0.0.0.0 or :: takes all it has";
  }
  return {Errc::io, "cannot listen on " + where + ": " + std::strerror(error) + todo};
}

}  // namespace

struct TcpStream::WriteRequest {
  uv_write_t request{};
  Bytes bytes;
};

TcpStream::TcpStream(Handle<uv_tcp_s> handle, Loop& loop)
    : loop_(loop), handle_(std::move(handle)) {
  handle_->data = this;
  sockaddr_storage address{};
  int size = sizeof address;
  uv_tcp_getpeername(handle_.get(), reinterpret_cast<sockaddr*>(&address), &size);
  peer_ = describe(address);
  uv_tcp_nodelay(handle_.get(), 1);
}

void TcpStream::start(StreamObserver* observer, size_t queued_max) {
  observer_ = observer;
  queued_max_ = queued_max;
  read_on();
}

void TcpStream::read_on() {
  const auto give_space = [](uv_handle_t* handle, size_t, uv_buf_t* space) {
    if (handle->data == nullptr) return;
    const auto scratch = static_cast<TcpStream*>(handle->data)->loop_.read_scratch();
    *space =
        uv_buf_init(reinterpret_cast<char*>(scratch.data()), static_cast<unsigned>(scratch.size()));
  };
  const auto on_read = [](uv_stream_t* handle, ssize_t count, const uv_buf_t* space) {
    auto* self = static_cast<TcpStream*>(handle->data);
    if (self == nullptr || count == 0) return;
    if (count > 0) {
      self->observer_->on_data(
          {reinterpret_cast<const uint8_t*>(space->base), static_cast<size_t>(count)});
    } else {
      uv_read_stop(handle);
      self->end(count == UV_EOF ? "" : uv_strerror(static_cast<int>(count)));
    }
  };
  paused_ = false;
  const int rc = uv_read_start(reinterpret_cast<uv_stream_t*>(handle_.get()), give_space, on_read);
  GEMMINE_CHECK(rc == 0);
}

void TcpStream::end(const std::string& error) {
  if (ended_) return;
  ended_ = true;
  observer_->on_end(error);
}

void TcpStream::write(Bytes bytes) {
  if (bytes.empty()) return;
  written_bytes_ += bytes.size();
  if (queued_bytes() == 0) {
    hand_over(std::move(bytes));
  } else {
    keep(std::move(bytes));
  }
  if (observer_ == nullptr || paused_ || ended_ || queued_bytes() <= queued_max_) return;
  paused_ = true;
  uv_read_stop(reinterpret_cast<uv_stream_t*>(handle_.get()));
}

// Two neighbours are together longer than kWriteBytes, and none has more room than that.
void TcpStream::keep(Bytes bytes) {
  kept_bytes_ += bytes.size();
  if (kept_.empty() || kept_.back().size() + bytes.size() > kWriteBytes) {
    kept_.push_back(std::move(bytes));
    return;
  }
  Bytes& last = kept_.back();
  last.reserve(kWriteBytes);
  last.insert(last.end(), bytes.begin(), bytes.end());
}

// To the kernel, and what it does not take to libuv.
void TcpStream::hand_over(Bytes bytes) {
  auto* stream = reinterpret_cast<uv_stream_t*>(handle_.get());
  uv_buf_t rest =
      uv_buf_init(reinterpret_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
  const int taken = uv_try_write(stream, &rest, 1);  // refuses while something is queued
  if (taken == static_cast<int>(bytes.size())) return;
  if (taken > 0) {
    rest.base += taken;
    rest.len -= static_cast<size_t>(taken);
  }
  auto request = std::make_unique<WriteRequest>();
  request->bytes = std::move(bytes);  // keeps the memory that `rest` points into
  request->request.data = request.get();
  const auto on_written = [](uv_write_t* written, int status) {
    const std::unique_ptr<WriteRequest> done(static_cast<WriteRequest*>(written->data));
    auto* self = static_cast<TcpStream*>(written->handle->data);
    if (self != nullptr) self->on_written(status);
  };
  const int rc = uv_write(&request->request, stream, &rest, 1, on_written);
  // A socket that cannot be written to also ends its reading side, and is reported there.
  if (rc == 0) static_cast<void>(request.release());
}

void TcpStream::on_written(int status) {
  if (status != 0) return end(uv_strerror(status));
  const auto* stream = reinterpret_cast<const uv_stream_t*>(handle_.get());
  while (!kept_.empty() && uv_stream_get_write_queue_size(stream) == 0) {
    Bytes next = std::move(kept_.front());
    kept_.pop_front();
    kept_bytes_ -= next.size();
    hand_over(std::move(next));
  }
  if (paused_ && !ended_ && queued_bytes() <= queued_max_) read_on();
  if (queued_bytes() == 0) observer_->on_drained();
}

void TcpStream::finish() {
  for (Bytes& each : kept_)
    hand_over(std::move(each));
  kept_.clear();
  kept_bytes_ = 0;
  if (paused_ && !ended_) read_on();
  queued_max_ = SIZE_MAX;
  auto request = std::make_unique<uv_shutdown_t>();
  const auto on_finished = [](uv_shutdown_t* finished, int) { delete finished; };
  auto* stream = reinterpret_cast<uv_stream_t*>(handle_.get());
  if (uv_shutdown(request.get(), stream, on_finished) == 0) static_cast<void>(request.release());
}

size_t TcpStream::queued_bytes() const {
  return kept_bytes_ +
         uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(handle_.get()));
}

uint64_t TcpStream::received_bytes() const {
  uv_os_fd_t fd = -1;
  int unconfirmed = 0;
  if (uv_fileno(reinterpret_cast<const uv_handle_t*>(handle_.get()), &fd) != 0 ||
      ::ioctl(fd, SIOCOUTQ, &unconfirmed) != 0)
    unconfirmed = 0;
  const uint64_t waits = queued_bytes() + static_cast<uint64_t>(unconfirmed);
  return written_bytes_ > waits ? written_bytes_ - waits : 0;  // a FIN counts as a byte
}

// The listening socket is ours rather than uv_listen's, because libuv offers no way to stop
// polling it when accept fails for want of file descriptors, and would spin.
Result<std::unique_ptr<TcpListener>> TcpListener::open(Loop& loop, const std::string& address,
                                                       uint16_t port, OnStream on_stream) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(sockaddr_in);
  if (uv_ip4_addr(address.c_str(), port, reinterpret_cast<sockaddr_in*>(&bound)) != 0) {
    size = sizeof(sockaddr_in6);
    if (uv_ip6_addr(address.c_str(), port, reinterpret_cast<sockaddr_in6*>(&bound)) != 0) {
      return Error{Errc::invalid_argument,
                   "listen address \"" + address + "\" is not a numeric IPv4 or IPv6 address"};
    }
  }
  const int fd = ::socket(bound.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return listen_error(address, port, errno);
  std::unique_ptr<TcpListener> out(new TcpListener(loop, fd, std::move(on_stream)));
  const int yes = 1;
  const int no = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bound.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&bound), size) != 0 || ::listen(fd, kBacklog) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return listen_error(address, port, errno);
  }
  out->port_ =
      ntohs(bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&bound)->sin_port
                                       : reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
  out->poll_.reset(new uv_poll_s);
  GEMMINE_CHECK(uv_poll_init(loop.raw(), out->poll_.get(), fd) == 0);
  out->watch();
  return out;
}

TcpListener::TcpListener(Loop& loop, int fd, OnStream on_stream)
    : loop_(loop), on_stream_(std::move(on_stream)), fd_(fd), resume_(loop, [this] { watch(); }) {}

TcpListener::~TcpListener() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  poll_.reset();  // before its descriptor goes
  ::close(fd_);
}

void TcpListener::watch() {
  const auto on_ready = [](uv_poll_t* handle, int, int) {
    if (handle->data != nullptr) static_cast<TcpListener*>(handle->data)->accept_some();
  };
  poll_->data = this;
  GEMMINE_CHECK(uv_poll_start(poll_.get(), UV_READABLE, on_ready) == 0);
}

void TcpListener::accept_some() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  for (int i = 0; i < kAcceptBatchMax; ++i) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // ECONNABORTED and the like concern one connection only; the poll calls again if need be.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        ++pauses_;
        uv_poll_stop(poll_.get());
        resume_.start(kAcceptPauseMs);
      }
      break;
    }
    Handle<uv_tcp_s> handle(new uv_tcp_s);
    GEMMINE_CHECK(uv_tcp_init(loop_.raw(), handle.get()) == 0);
    if (uv_tcp_open(handle.get(), fd) != 0) {
      ::close(fd);
      continue;
    }
    on_stream_(std::make_unique<TcpStream>(std::move(handle), loop_));
    if (destroyed) return;
  }
  destroyed_ = nullptr;
}

}  // namespace gemmine::pool
