// All of libuv: the loop, timers, signals, mailboxes between threads, TCP. No other file sees uv.h.
//
// Rules. Everything here belongs to the loop's thread, except Wakeup::ring and Mailbox::post.
// A handle's memory is freed only in its close callback; the classes below do that, so they may be
// destroyed at any time on the loop's thread, also inside their own callbacks. Callbacks come only
// from Loop::run, never out of the call that causes them. Everything dies before its Loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

struct sockaddr_storage;
struct uv_async_s;
struct uv_loop_s;
struct uv_poll_s;
struct uv_signal_s;
struct uv_tcp_s;
struct uv_timer_s;

namespace gemmine::pool {

// uv_close now, delete in the close callback; callbacks in between find data == nullptr.
struct CloseThenDelete {
  void operator()(uv_async_s* handle) const;
  void operator()(uv_poll_s* handle) const;
  void operator()(uv_signal_s* handle) const;
  void operator()(uv_tcp_s* handle) const;
  void operator()(uv_timer_s* handle) const;
};
template <class T>
using Handle = std::unique_ptr<T, CloseThenDelete>;

class Loop {
 public:
  // Also makes the process ignore SIGPIPE. What the loop's timers, signals and wakeups need of the
  // system is had in here, so that they cannot be refused later.
  // Errors: io (too few file descriptors), busy (no thread to resolve names with).
  static Result<Loop> make();
  ~Loop();
  Loop(Loop&&) noexcept = default;  // before anything belongs to it
  Loop& operator=(Loop&&) = delete;

  void run();               // returns after stop(), or when nothing is left that could call back
  void stop();              // from the loop's thread
  uint64_t now_ms() const;  // monotonic; read at the call

  uv_loop_s* raw() { return raw_.get(); }
  // Space that every stream of the loop reads into; its contents last for one callback.
  std::span<uint8_t> read_scratch() { return read_scratch_; }
  std::span<uint8_t> plain_scratch() { return plain_scratch_; }

 private:
  struct Close {
    void operator()(uv_loop_s* loop) const;
  };
  explicit Loop(std::unique_ptr<uv_loop_s, Close> raw);

  std::unique_ptr<uv_loop_s, Close> raw_;
  Bytes read_scratch_;
  Bytes plain_scratch_;
};

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_fire);
  // Fires after delay_ms and then, unless repeat_ms is 0, every repeat_ms. Restarts if running.
  void start(uint64_t delay_ms, uint64_t repeat_ms = 0);
  void stop();

 private:
  std::function<void()> on_fire_;
  Handle<uv_timer_s> handle_;
};

// Calls back on the loop for each of the signals, for example SIGINT, SIGTERM, SIGHUP.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, std::span<const int> signals, std::function<void(int)> on_signal);

 private:
  std::function<void(int)> on_signal_;
  std::vector<Handle<uv_signal_s>> handles_;
};

// ring() from any thread makes on_wake run on the loop, once or more, after the last ring.
class Wakeup {
 public:
  Wakeup(Loop& loop, std::function<void()> on_wake);
  void ring();

 private:
  std::function<void()> on_wake_;
  Handle<uv_async_s> handle_;
};

// Letters from any thread to the loop's thread, in the order of posting per thread.
// Whoever posts is joined before the mailbox is destroyed; the reader does not destroy it.
template <class Letter>
class Mailbox {
 public:
  Mailbox(Loop& loop, size_t letters_max, std::function<void(Letter)> reader)
      : letters_max_(letters_max), reader_(std::move(reader)), wakeup_(loop, [this] { drain(); }) {}

  // Any thread. False, and the letter is dropped, when letters_max are waiting.
  [[nodiscard]] bool post(Letter letter) {
    {
      const std::lock_guard lock(mutex_);
      if (letters_.size() >= letters_max_) return false;
      letters_.push_back(std::move(letter));
    }
    wakeup_.ring();
    return true;
  }

 private:
  // Rings coalesce, so one ring takes all letters there are.
  void drain() {
    std::vector<Letter> letters;
    {
      const std::lock_guard lock(mutex_);
      letters.swap(letters_);
    }
    for (Letter& letter : letters)
      reader_(std::move(letter));
  }

  const size_t letters_max_;
  std::function<void(Letter)> reader_;
  std::mutex mutex_;
  std::vector<Letter> letters_;
  Wakeup wakeup_;
};

struct PeerAddress {
  std::string text;       // "192.0.2.1:5555" or "[2001:db8::1]:5555"
  std::string limit_key;  // what limits count by: the IPv4 address, or the IPv6 /64
};

// Small writes that have to wait are joined up to this size.
inline constexpr size_t kWriteBytes = size_t{64} << 10;

class StreamObserver {
 public:
  virtual void on_data(ByteView bytes) = 0;
  // Once. `error` is empty when the peer ended its side in good order. Nothing more is read.
  virtual void on_end(const std::string& error) = 0;
  virtual void on_drained() = 0;  // queued_bytes() came back to 0

 protected:
  ~StreamObserver() = default;
};

// A connected TCP socket. Destroying it closes the socket at once.
//
// What waits to be written takes at most twice its own size of memory, in buffers of kWriteBytes
// that small writes share, however small they are.
class TcpStream {
 public:
  TcpStream(Handle<uv_tcp_s> handle, Loop& loop);
  ~TcpStream() = default;
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  // Begins to read; and pauses while more than queued_max bytes wait to be written, so that who
  // reads nothing is not heard either. Only one end of a connection may pause: two would wait for
  // each other.
  void start(StreamObserver* observer, size_t queued_max = SIZE_MAX);
  void write(Bytes bytes);  // what the kernel does not take now is queued
  void finish();            // sends FIN once the queue is empty; reads on
  size_t queued_bytes() const;
  uint64_t received_bytes() const;  // of what was written: what the peer's machine has confirmed
  const PeerAddress& peer() const { return peer_; }

 private:
  struct WriteRequest;
  void read_on();
  void hand_over(Bytes bytes);
  void keep(Bytes bytes);
  void on_written(int status);
  void end(const std::string& error);

  Loop& loop_;
  Handle<uv_tcp_s> handle_;
  size_t queued_max_ = SIZE_MAX;
  bool paused_ = false;
  uint64_t written_bytes_ = 0;
  std::deque<Bytes> kept_;  // behind what libuv has
  size_t kept_bytes_ = 0;
  PeerAddress peer_;
  StreamObserver* observer_ = nullptr;
  bool ended_ = false;
};

// Accepts TCP connections. Out of file descriptors, it pauses instead of spinning.
class TcpListener {
 public:
  using OnStream = std::function<void(std::unique_ptr<TcpStream>)>;
  // `address` is a numeric IPv4 or IPv6 address ("::" takes both); port 0 picks a free one.
  // Errors: invalid_argument, io (port in use, no permission), each with what to do.
  static Result<std::unique_ptr<TcpListener>> open(Loop& loop, const std::string& address,
                                                   uint16_t port, OnStream on_stream);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  uint16_t port() const { return port_; }
  uint64_t pauses() const { return pauses_; }  // how often file descriptors ran out

 private:
  TcpListener(Loop& loop, int fd, OnStream on_stream);
  void watch();
  void accept_some();

  Loop& loop_;
  OnStream on_stream_;
  int fd_;
  uint16_t port_ = 0;
  uint64_t pauses_ = 0;
  Timer resume_;
  Handle<uv_poll_s> poll_;
  bool* destroyed_ = nullptr;  // set while on_stream_ runs
};

// Resolves a name and tries its addresses one after the other, until one connects.
class TcpConnector {
 public:
  // Errors: io, naming host, port and the reason of the last address tried.
  using OnDone = std::function<void(Result<std::unique_ptr<TcpStream>>)>;
  TcpConnector(Loop& loop, std::string host, uint16_t port, uint64_t timeout_ms, OnDone on_done);
  ~TcpConnector();
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

 private:
  struct ResolveRequest;
  struct ConnectRequest;
  void resolve();
  void take_addresses(const void* addrinfo_list);
  void try_next();
  void give_up();

  Loop& loop_;
  const std::string host_;
  const uint16_t port_;
  const uint64_t deadline_ms_;
  OnDone on_done_;
  std::string last_error_;
  std::vector<sockaddr_storage> addresses_;
  size_t tried_ = 0;
  ResolveRequest* resolving_ = nullptr;
  ConnectRequest* connecting_ = nullptr;
  Handle<uv_tcp_s> handle_;
  Timer timer_;
};

}  // namespace gemmine::pool
