#include "pool/net/connection.h"

#include <algorithm>
#include <utility>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

constexpr uint8_t kTlsHandshakeRecord = 0x16;
constexpr std::string_view kPlaintextRefusal =
    "gemmine pool: this port speaks TLS 1.3 with ALPN gemmine/2 only; connect with a gemmine "
    "miner\r\n";
// Header and the start of the payload share the first TLS record.
constexpr size_t kFirstRecordBytes = size_t{16} << 10;

}  // namespace

Connection::Connection(Loop& loop, std::unique_ptr<TlsStream> tls, const ConnectionLimits& limits)
    : loop_(loop),
      limits_(limits),
      tls_(std::move(tls)),
      last_received_ms_(loop.now_ms()),
      timer_(loop, [this] { on_timer(); }) {}

Connection::~Connection() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  stream_.reset();
  if (on_gone_) on_gone_();
}

void Connection::attach(std::unique_ptr<TcpStream> stream) {
  stream_ = std::move(stream);
  peer_ = stream_->peer();
  state_ = State::handshaking;
  last_received_ms_ = loop_.now_ms();
  timer_.start(limits_.handshake_ms);
  stream_->start(this, limits_.hear_queue_max);
  flush();  // a client's first message
}

size_t Connection::queued_bytes() const {
  return stream_ == nullptr ? 0 : stream_->queued_bytes();
}

uint64_t Connection::received_bytes() const {
  return stream_ == nullptr ? 0 : stream_->received_bytes();
}

Result<Digest> Connection::exporter(std::string_view label) const {
  return tls_->exporter(label);
}

bool Connection::may_send(size_t frames) {
  if (state_ != State::open) return false;
  if (frames <= UINT32_MAX - sent_seq_) return true;
  close("frame numbers are used up; connect again");
  return false;
}

uint32_t Connection::send(uint8_t type, uint8_t flags, ByteView payload) {
  if (!may_send(1)) return 0;
  const auto header = encode_frame_header(type, flags, ++sent_seq_, payload.size());
  uint8_t first[kFirstRecordBytes];
  const size_t joined = std::min(payload.size(), sizeof first - header.size());
  std::copy_n(header.begin(), header.size(), first);
  std::copy_n(payload.begin(), joined, first + header.size());
  Status written = tls_->write({first, header.size() + joined});
  if (written && joined < payload.size()) written = tls_->write(payload.subspan(joined));
  if (!written) {
    abort(written.error().detail);
    return 0;
  }
  return flush() ? sent_seq_ : 0;
}

bool Connection::send_all(uint8_t type, std::span<const Bytes> payloads) {
  if (!may_send(payloads.size())) return false;
  Bytes joined;
  for (const Bytes& payload : payloads) {
    const auto header = encode_frame_header(type, 0, ++sent_seq_, payload.size());
    joined.insert(joined.end(), header.begin(), header.end());
    joined.insert(joined.end(), payload.begin(), payload.end());
  }
  if (const Status written = tls_->write(joined); !written) {
    abort(written.error().detail);
    return false;
  }
  return flush();
}

// Hands TLS's output to the socket. False when the connection is closed because of it.
bool Connection::flush() {
  Bytes ciphertext = tls_->take_ciphertext();
  if (ciphertext.empty()) return true;
  stream_->write(std::move(ciphertext));
  if (stream_->queued_bytes() <= limits_.write_queue_max) return true;
  abort("the peer reads too slowly: more than " + std::to_string(limits_.write_queue_max) +
        " bytes wait to be sent");
  return false;
}

void Connection::close(const std::string& reason) {
  if (state_ == State::closing || state_ == State::closed) return;
  if (state_ == State::connecting) return abort(reason);
  tls_->shutdown();
  linger(reason);
}

// The peer gets what is queued and FIN, and its own data is read away meanwhile: closing a socket
// with unread data resets it, and the peer would lose our last words.
void Connection::linger(const std::string& reason) {
  reason_ = reason;
  state_ = State::closing;
  if (!flush()) return;
  stream_->finish();
  timer_.start(limits_.linger_ms);
}

// Ends now; on_close comes from the loop's next turn.
void Connection::abort(const std::string& reason) {
  if (state_ == State::closed) return;
  if (state_ != State::closing) reason_ = reason;
  state_ = State::closed;
  connector_.reset();
  stream_.reset();
  if (on_gone_) std::exchange(on_gone_, nullptr)();
  timer_.start(0);
}

void Connection::on_timer() {
  switch (state_) {
    case State::connecting:
      break;
    case State::handshaking:
      return abort("no TLS handshake within " + std::to_string(limits_.handshake_ms) + " ms");
    case State::open:
      break;
    case State::closing:
      return abort(reason_);
    case State::closed:
      if (observer_ != nullptr) observer_->on_close(*this, reason_);
      return;
  }
}

void Connection::on_data(ByteView bytes) {
  last_received_ms_ = loop_.now_ms();
  if (state_ != State::handshaking && state_ != State::open) return;
  const bool first_byte = std::exchange(expects_hello_, false);
  if (first_byte && bytes.front() != kTlsHandshakeRecord) return refuse_plaintext();
  bool destroyed = false;
  destroyed_ = &destroyed;
  while (true) {
    const std::span<uint8_t> plain = loop_.plain_scratch();
    const Result<size_t> count = tls_->read(&bytes, plain);
    if (!count) {
      linger(count.error().detail);  // with the alert that tells the peer
      break;
    }
    if (!flush()) break;
    if (state_ == State::handshaking && tls_->open()) {
      state_ = State::open;
      timer_.stop();
      observer_->on_open(*this);
      if (destroyed) return;
    }
    if (state_ != State::open || count.value() == 0) break;
    if (!deliver(plain.first(count.value()))) {
      if (destroyed) return;
      break;
    }
  }
  destroyed_ = nullptr;
  if (state_ == State::open && tls_->ended()) {
    close(splitter_.mid_frame() ? "the peer closed in the middle of a frame" : "the peer closed");
  }
}

// False when no more is to be read, or the connection is destroyed.
bool Connection::deliver(ByteView plaintext) {
  const bool* const destroyed = destroyed_;
  while (true) {
    const auto frame = splitter_.next(&plaintext);
    if (!frame) {
      close(frame.error().detail);
      return false;
    }
    if (!frame.value()) return true;
    observer_->on_frame(*this, *frame.value());
    if (*destroyed || state_ != State::open) return false;
  }
}

void Connection::refuse_plaintext() {
  const ByteView line = as_bytes(kPlaintextRefusal);
  stream_->write({line.begin(), line.end()});
  linger("plaintext client refused");
}

void Connection::on_end(const std::string& error) {
  if (state_ == State::closing || error.empty()) {
    abort(splitter_.mid_frame() ? "cut in the middle of a frame" : "cut without farewell");
  } else {
    abort(error);
  }
}

void Connection::on_drained() {
  if (state_ == State::open) observer_->on_drained(*this);
}

Result<std::unique_ptr<Connection>> connect(Loop& loop, const TlsContext& tls,
                                            const std::string& host, uint16_t port,
                                            ConnectionObserver* observer,
                                            const ConnectionLimits& limits) {
  auto stream = TlsStream::client(tls, host);
  if (!stream) return stream.error();
  std::unique_ptr<Connection> out(new Connection(loop, std::move(stream.value()), limits));
  out->observer_ = observer;
  Connection* self = out.get();
  const auto on_done = [self](Result<std::unique_ptr<TcpStream>> connected) {
    if (!connected) return self->abort(connected.error().detail);
    self->attach(std::move(connected.value()));
    self->connector_.reset();
  };
  out->connector_ = std::make_unique<TcpConnector>(loop, host, port, limits.connect_ms, on_done);
  return out;
}

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const TlsContext& tls,
                                                 const ListenOptions& options, OnAccept on_accept) {
  std::unique_ptr<Listener> out(new Listener(loop, tls, options, std::move(on_accept)));
  Listener* self = out.get();
  auto tcp = TcpListener::open(
      loop, options.address, options.port,
      [self](std::unique_ptr<TcpStream> stream) { self->accept(std::move(stream)); });
  if (!tcp) return tcp.error();
  out->tcp_ = std::move(tcp.value());
  out->port_ = out->tcp_->port();
  return out;
}

Listener::Listener(Loop& loop, const TlsContext& tls, const ListenOptions& options,
                   OnAccept on_accept)
    : loop_(loop), tls_(tls), options_(options), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  GEMMINE_CHECK(connections_ == 0);
}

void Listener::accept(std::unique_ptr<TcpStream> stream) {
  const std::string key = stream->peer().limit_key;
  const auto known = per_ip_.find(key);
  if (connections_ >= options_.connections_max ||
      (known != per_ip_.end() && known->second >= options_.connections_per_ip_max)) {
    ++refused_;
    return;
  }
  auto tls = TlsStream::server(tls_);
  if (!tls) {
    ++refused_;
    return;
  }
  ++connections_;
  ++per_ip_[key];
  std::unique_ptr<Connection> connection(
      new Connection(loop_, std::move(tls.value()), options_.limits));
  connection->expects_hello_ = true;
  connection->on_gone_ = [this, key] { forget(key); };
  connection->attach(std::move(stream));
  on_accept_(std::move(connection));
}

void Listener::forget(const std::string& limit_key) {
  --connections_;
  const auto found = per_ip_.find(limit_key);
  if (--found->second == 0) per_ip_.erase(found);
}

}  // namespace gemmine::pool
