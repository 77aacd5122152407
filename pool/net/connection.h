// A connection between strangers: TCP, TLS 1.3 and frames glued together; and who accepts or makes
// one. Everything belongs to the loop's thread. PROTOCOL 5.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/net/frame.h"
#include "pool/net/loop.h"
#include "pool/net/tls.h"

namespace gemmine::pool {

class Connection;

// The events of a connection, all out of Loop::run, never out of a call into the connection. The
// connection may be destroyed inside each of them, or at any other time; then nothing follows.
class ConnectionObserver {
 public:
  virtual void on_open(Connection& connection) = 0;  // identity accepted; may send from now on
  virtual void on_frame(Connection& connection, const Frame& frame) = 0;
  // Exactly once, last, also if it never opened. The reason is for a person.
  virtual void on_close(Connection& connection, const std::string& reason) = 0;
  // What send() had left in queued_bytes() has gone to the kernel. Senders of much data stop when
  // queued_bytes() passes a mark of their own and go on here.
  virtual void on_drained(Connection& /*connection*/) {}

 protected:
  ~ConnectionObserver() = default;
};

struct ConnectionLimits {
  // Bytes a slow reader may leave here, in at most twice as much memory and one frame.
  size_t write_queue_max = size_t{8} << 20;
  // With more than this left here the peer is not heard until it has read. For listeners only: two
  // ends that both do so wait for each other.
  size_t hear_queue_max = SIZE_MAX;
  uint64_t connect_ms = 10'000;    // name look-up and TCP
  uint64_t handshake_ms = 10'000;  // TLS
  uint64_t linger_ms = 2'000;      // for the last words to get through
};

class Connection final : private StreamObserver {
 public:
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Before the loop runs again after the connection was handed over.
  void set_observer(ConnectionObserver* observer) { observer_ = observer; }

  // Numbers the frame, from 1, and sends it. payload.size() <= kFramePayloadMax. Returns the
  // number; 0 when the connection is not open, or this frame took the queue over write_queue_max,
  // which closes it.
  uint32_t send(uint8_t type, uint8_t flags, ByteView payload);
  // The same for each payload in order, as one write: for many small frames.
  bool send_all(uint8_t type, std::span<const Bytes> payloads);
  // Sends what is queued, says farewell, and ends with on_close(reason) within linger_ms. No frame
  // is delivered any more. Does nothing when closing already.
  void close(const std::string& reason);

  bool open() const { return state_ == State::open; }
  bool untrusted() const { return tls_->untrusted(); }  // the peer is not who it should be
  size_t queued_bytes() const;
  uint64_t received_bytes() const;  // TcpStream's: what the peer has, TLS and all
  // For frames whose header has not come yet; starts at kFramePayloadMaxBeforeAuth.
  void set_payload_max(size_t payload_max) { splitter_.set_payload_max(payload_max); }
  Result<Digest> exporter(std::string_view label) const;  // TlsStream::exporter
  const PeerAddress& peer() const { return peer_; }
  uint64_t last_received_ms() const { return last_received_ms_; }  // by Loop::now_ms

 private:
  friend class Listener;
  friend Result<std::unique_ptr<Connection>> connect(Loop& loop, const TlsContext& tls,
                                                     const std::string& host, uint16_t port,
                                                     ConnectionObserver* observer,
                                                     const ConnectionLimits& limits);
  enum class State { connecting, handshaking, open, closing, closed };

  Connection(Loop& loop, std::unique_ptr<TlsStream> tls, const ConnectionLimits& limits);
  void on_data(ByteView bytes) override;
  void on_end(const std::string& error) override;
  void on_drained() override;
  void attach(std::unique_ptr<TcpStream> stream);
  bool may_send(size_t frames);
  bool deliver(ByteView plaintext);
  void refuse_plaintext();
  bool flush();
  void linger(const std::string& reason);
  void abort(const std::string& reason);
  void on_timer();

  Loop& loop_;
  const ConnectionLimits limits_;
  ConnectionObserver* observer_ = nullptr;
  State state_ = State::connecting;
  bool expects_hello_ = false;  // server: the first byte is still to come
  std::string reason_;
  PeerAddress peer_;
  std::unique_ptr<TlsStream> tls_;
  std::unique_ptr<TcpStream> stream_;
  std::unique_ptr<TcpConnector> connector_;
  FrameSplitter splitter_;
  uint32_t sent_seq_ = 0;
  uint64_t last_received_ms_;
  std::function<void()> on_gone_;  // the listener's, when the socket is closed
  Timer timer_;                    // handshake, linger, or the delivery of on_close
  bool* destroyed_ = nullptr;      // set while observers run in on_data
};

// Starts to connect; on_open or on_close follows. The observer outlives the connection.
// Errors: invalid_argument (a host that cannot be a name).
Result<std::unique_ptr<Connection>> connect(Loop& loop, const TlsContext& tls,
                                            const std::string& host, uint16_t port,
                                            ConnectionObserver* observer,
                                            const ConnectionLimits& limits = {});

struct ListenOptions {
  std::string address = "127.0.0.1";  // numeric; "::" takes IPv6 and IPv4
  uint16_t port = 0;                  // 0 picks a free one
  size_t connections_max = 10'000;
  size_t connections_per_ip_max = 256;  // per IPv4 address or IPv6 /64
  ConnectionLimits limits{};
};

// Accepts connections and hands them over at once: on_open comes when the handshake is done.
// Outlives its connections, as `tls` outlives it. Over a limit, connections are closed unanswered.
class Listener {
 public:
  using OnAccept = std::function<void(std::unique_ptr<Connection>)>;
  // on_accept must set an observer. Errors: those of TcpListener::open.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const TlsContext& tls,
                                                const ListenOptions& options, OnAccept on_accept);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void stop() { tcp_.reset(); }  // accepts no more; connections stay
  uint16_t port() const { return port_; }
  size_t connections() const { return connections_; }
  uint64_t refused() const { return refused_; }  // over a limit, since the start
  // How often accepting paused because file descriptors ran out; worth a warning when it grows.
  uint64_t pauses() const { return tcp_ == nullptr ? 0 : tcp_->pauses(); }

 private:
  Listener(Loop& loop, const TlsContext& tls, const ListenOptions& options, OnAccept on_accept);
  void accept(std::unique_ptr<TcpStream> stream);
  void forget(const std::string& limit_key);

  Loop& loop_;
  const TlsContext& tls_;
  const ListenOptions options_;
  OnAccept on_accept_;
  std::unique_ptr<TcpListener> tcp_;
  uint16_t port_ = 0;
  size_t connections_ = 0;
  uint64_t refused_ = 0;
  std::unordered_map<std::string, size_t> per_ip_;  // at most connections_max entries
};

}  // namespace gemmine::pool
