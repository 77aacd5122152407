#include "pool/client/session.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "kernels/base/printable.h"
#include "kernels/base/random.h"

namespace gemmine::pool {

namespace {

constexpr uint64_t kTickMs = 1'000;
constexpr std::string_view kSystemPin = "system";
constexpr uint64_t kHandshakeMs = 15'000;  // HELLO to AUTH_OK

// Ascends from connection to connection and from run to run.
uint64_t wall_clock_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

uint64_t random_u64() {
  const Digest digest = random_digest();
  uint64_t out = 0;
  std::memcpy(&out, digest.bytes.data(), sizeof out);
  return out;
}

}  // namespace

std::string Endpoint::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return Error{Errc::invalid_argument,
                 "pool address '" + printable(text) + "': " + why +
                     " (expected host:port, for example pool.example:4400 or [2001:db8::1]:4400)"};
  };
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos)
    return wrong("no scheme is wanted: leave out '" + printable(text.substr(0, scheme + 3)) + "'");
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    return wrong("the port is missing after the brackets");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("the port is missing");
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("an IPv6 address needs [brackets] and a port after them");
  }
  if (host.empty() || host.size() > 253) return wrong("the host is missing");
  const std::string_view digits = text.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc{} || end != digits.data() + digits.size() || port == 0)
    return wrong("the port is not a number from 1 to 65535");
  return Endpoint{std::string(host), port};
}

Result<std::vector<Endpoint>> parse_pools(std::span<const std::string> pools,
                                          std::span<const std::string> pins) {
  std::vector<Endpoint> out;
  for (const std::string& text : pools) {
    auto endpoint = parse_endpoint(text);
    if (!endpoint) return Error{endpoint.error().code, "--pool: " + endpoint.error().detail};
    out.push_back(std::move(endpoint.value()));
  }
  if (out.empty()) return Error{Errc::invalid_argument, "--pool: there is none"};
  if (pins.empty()) return out;
  if (pins.size() != pools.size())
    return Error{Errc::invalid_argument,
                 "--pin: " + std::to_string(pools.size()) + " pools and " +
                     std::to_string(pins.size()) +
                     " pins; give one after each --pool (`--pin system` where the pool's "
                     "certificate is one that the system trusts), or none at all"};
  for (size_t i = 0; i < pins.size(); ++i) {
    if (pins[i] == kSystemPin) continue;
    const auto pin = parse_pin(pins[i]);
    if (!pin)
      return Error{Errc::invalid_argument, "--pin of " + out[i].text() + ": " + pin.error().detail};
    out[i].pin = pin.value();
  }
  return out;
}

Session::Session(Loop& loop, const verifier::Identity& identity, SessionOptions options,
                 SessionObserver& observer)
    : loop_(loop),
      identity_(identity),
      options_(std::move(options)),
      observer_(observer),
      upstreams_(options_.pools.size()),
      retry_(loop, [this] { connect_now(); }),
      tick_(loop, [this] { on_tick(); }) {}

Session::~Session() = default;

void Session::start() {
  tick_.start(kTickMs, kTickMs);
  connect_now();
}

void Session::stop(const std::string& reason) {
  if (state_ == State::ended) return;
  const bool was_ready = ready();
  state_ = State::ended;
  retry_.stop();
  tick_.stop();
  if (!connection_) return;
  if (was_ready) say(Bye{reason});
  connection_->close(reason);
}

void Session::connect_now() {
  connection_.reset();
  state_ = State::connecting;
  fault_ = Fault::none;
  at_ = upstreams_.next(loop_.now_ms()).value().index;
  auto tls = TlsContext::client(endpoint().pin);
  if (!tls) return drop(tls.error().detail);
  tls_ = std::move(tls.value());
  auto made = connect(loop_, *tls_, endpoint().host, endpoint().port, this);
  if (!made) {
    drop(made.error().detail);
    return;
  }
  connection_ = std::move(made.value());
}

uint32_t Session::send_frame(MessageType type, ByteView payload) {
  return ready() ? connection_->send(static_cast<uint8_t>(type), 0, payload) : 0;
}

size_t Session::queued_bytes() const {
  return connection_ ? connection_->queued_bytes() : 0;
}

void Session::on_open(Connection& /*connection*/) {
  state_ = State::hello;
  ready_since_ms_ = loop_.now_ms();
  client_random_ = random_digest();
  Hello hello;
  hello.role = options_.role;
  hello.client_random = client_random_;
  hello.public_key = identity_.public_key();
  hello.account = options_.account;
  hello.agent = options_.agent;
  say(hello);
}

void Session::on_frame(Connection& connection, const Frame& frame) {
  const auto type = static_cast<MessageType>(frame.type);
  switch (type) {
    case MessageType::error:
      return on_error_frame(frame.payload);
    case MessageType::ping: {
      const auto ping = decode<Ping>(frame.payload);
      if (!ping) return connection.close(ping.error().detail);
      say(Pong{ping.value().echo});
      return;
    }
    case MessageType::pong:
      return;
    case MessageType::bye:
      return connection.close("the pool said goodbye");
    default:
      break;
  }
  if (state_ == State::hello && type == MessageType::hello_ok) return on_hello_ok(frame.payload);
  if (state_ == State::auth && type == MessageType::auth_ok) return on_auth_ok(frame.payload);
  if (state_ == State::ready) {
    if (!is_known(frame.type)) {
      if ((frame.flags & kFrameMayIgnore) == 0)
        connection.close("the pool sent a message of an unknown type");
      return;
    }
    return observer_.on_message(type, frame.payload);
  }
  connection.close("the pool sent a message out of order");
}

void Session::on_hello_ok(ByteView payload) {
  const auto hello = decode<HelloOk>(payload);
  if (!hello) return connection_->close("HELLO_OK: " + hello.error().detail);
  // One pool, one key: a pool that changes it between connections is another pool.
  pool_key_ = hello.value().pool_key;
  if (!upstreams_.knows_key(options_.one_pool ? 0 : at_, pool_key_)) {
    const std::string reason = "the key of the pool at " + endpoint().text() + " changed to " +
                               to_hex(pool_key_.bytes) + " while we were connected";
    if (options_.one_pool || options_.pools.size() == 1)
      return end(SessionEnd::bad_identity, reason);
    fault_ = Fault::other_key;
    return connection_->close(reason);
  }
  const auto binding = connection_->exporter(kAuthExporterLabel);
  if (!binding) return connection_->close(binding.error().detail);
  const AuthMaterial material{.server_random = hello.value().server_random,
                              .client_random = client_random_,
                              .channel_binding = binding.value(),
                              .pool_key = pool_key_,
                              .public_key = identity_.public_key(),
                              .role = options_.role,
                              .account = options_.account};
  state_ = State::auth;
  connection_->set_payload_max(kFramePayloadMax);
  say(make_auth(material, identity_, wall_clock_ms()));
}

void Session::on_auth_ok(ByteView payload) {
  const auto auth = decode<AuthOk>(payload);
  if (!auth) return connection_->close("AUTH_OK: " + auth.error().detail);
  state_ = State::ready;
  observer_.on_ready(auth.value());
}

void Session::on_error_frame(ByteView payload) {
  const auto error = decode<ErrorMessage>(payload);
  if (!error) return connection_->close("ERROR: " + error.error().detail);
  const ErrorMessage& message = error.value();
  retry_hint_ms_ = message.retry_after_ms;
  switch (message.code) {
    case WireError::bad_account:
    case WireError::bad_key:
      return end(SessionEnd::refused_account, message.text);
    case WireError::bad_version:
      return end(SessionEnd::refused_version, message.text);
    case WireError::banned:
      return end(SessionEnd::banned, message.text);
    default:
      if (state_ == State::ready) observer_.on_error(message);
  }
}

void Session::on_tick() {
  if (!connection_ || state_ == State::connecting || !connection_->open()) return;
  const uint64_t now = loop_.now_ms();
  if (state_ != State::ready) {
    if (now - ready_since_ms_ > kHandshakeMs)
      connection_->close("the pool did not finish its greeting within 15 s");
    return;
  }
  const uint64_t silent = now - connection_->last_received_ms();
  if (silent > options_.ping_ms * 2)
    return connection_->close("the pool was silent for " + std::to_string(silent / 1000) + " s");
  if (silent > options_.ping_ms) send(Ping{now});
}

void Session::on_close(Connection& /*connection*/, const std::string& reason) {
  drop(reason);
}

void Session::on_drained(Connection& /*connection*/) {
  if (ready()) observer_.on_drained();
}

void Session::drop(const std::string& reason) {
  if (state_ == State::ended) return;
  const uint64_t now = loop_.now_ms();
  const bool opened = state_ != State::connecting && state_ != State::down;
  state_ = State::down;
  if (fault_ == Fault::given_up) return retry(endpoint().text() + ": " + reason, true);
  if (fault_ == Fault::other_key || (connection_ && connection_->untrusted())) {
    const bool first = upstreams_.refused(at_, now);
    return retry(reason +
                     "; waiting does not help: compare the pin with the one that the pool's "
                     "operator publishes, and this address with the pool's",
                 first);
  }
  upstreams_.lost(at_, opened ? now - ready_since_ms_ : 0, retry_hint_ms_, now, random_u64());
  retry(reason, true);
}

void Session::retry(const std::string& reason, bool tell) {
  retry_hint_ms_ = 0;
  const uint64_t wait = upstreams_.next(loop_.now_ms()).value().wait_ms;
  if (tell) observer_.on_down(reason, wait);
  if (state_ == State::down) retry_.start(wait);
}

// This pool is out of the question; the session ends when it was the last one.
void Session::end(SessionEnd end, const std::string& reason) {
  upstreams_.give_up(at_);
  if (upstreams_.next(loop_.now_ms())) {
    state_ = State::down;
    fault_ = Fault::given_up;
    return connection_->close(reason);
  }
  stop(reason);
  observer_.on_end(end, reason);
}

}  // namespace gemmine::pool
