#include "pool/net/connection.h"

#include <arpa/inet.h>
#include <map>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {
using testing::HasSubstr;

// Remembers what happened to the connections that it watches.
class Recorder : public ConnectionObserver {
 public:
  void on_open(Connection& connection) override {
    ++opened;
    if (opens) opens(connection);
  }
  void on_frame(Connection& connection, const Frame& frame) override {
    ++frames;
    bytes += frame.payload.size();
    if (receives) receives(connection, frame);
  }
  void on_close(Connection& connection, const std::string& reason) override {
    reasons.push_back(reason);
    if (closes) closes(connection);
  }
  void on_drained(Connection& connection) override {
    if (drains) drains(connection);
  }
  int opened = 0;
  int frames = 0;
  size_t bytes = 0;
  std::vector<std::string> reasons;
  std::function<void(Connection&)> opens, closes, drains;
  std::function<void(Connection&, const Frame&)> receives;
};

class Loopback : public testing::Test {
 protected:
  Loopback()
      : identity_(load_or_make_identity(directory_.path())),
        server_tls_(TlsContext::server(identity_.value())),
        client_tls_(TlsContext::client(identity_.value().spki_pin())),
        give_up_(loop_, [this] {
          ADD_FAILURE() << "the loop did not come to an end";
          loop_.stop();
        }) {
    at_client_.closes = [this](Connection&) { stop_when_done(); };
    at_server_.closes = [this](Connection& connection) {
      accepted_.erase(&connection);
      stop_when_done();
    };
  }

  void listen(ListenOptions options = {}) {
    auto listener = Listener::open(loop_, server_tls_.value(), options,
                                   [this](std::unique_ptr<Connection> connection) {
                                     ++handed_over_;
                                     connection->set_observer(&at_server_);
                                     connection->set_payload_max(kFramePayloadMax);
                                     accepted_[connection.get()] = std::move(connection);
                                   });
    ASSERT_TRUE(listener) << listener.error().detail;
    listener_ = std::move(listener.value());
  }

  Connection& dial(const ConnectionLimits& limits = {}) {
    auto made =
        connect(loop_, client_tls_.value(), "127.0.0.1", listener_->port(), &at_client_, limits);
    EXPECT_TRUE(made);
    made.value()->set_payload_max(kFramePayloadMax);
    dialled_.push_back(std::move(made.value()));
    return *dialled_.back();
  }

  void stop_when_done() {
    if (at_client_.reasons.size() == dialled_.size() && accepted_.empty()) loop_.stop();
  }
  void run() {
    give_up_.start(20'000);
    loop_.run();
    give_up_.stop();
  }

  TempDirectory directory_;
  Result<TlsIdentity> identity_;
  Result<TlsContext> server_tls_;
  Result<TlsContext> client_tls_;
  Loop loop_ = std::move(Loop::make().value());
  Recorder at_server_;
  Recorder at_client_;
  int handed_over_ = 0;
  std::unique_ptr<Listener> listener_;
  std::map<Connection*, std::unique_ptr<Connection>> accepted_;
  std::vector<std::unique_ptr<Connection>> dialled_;
  Timer give_up_;
};

TEST_F(Loopback, EchoesFramesOfEverySizeForManyClients) {
  constexpr int kClients = 20;
  const size_t sizes[] = {0, 1, 16'371, 16'372, 16'373, 500'000, kFramePayloadMax};
  listen();
  at_server_.receives = [](Connection& connection, const Frame& frame) {
    EXPECT_TRUE(connection.send(frame.type, frame.flags, frame.payload));
  };
  at_client_.opens = [&](Connection& connection) {
    for (const size_t size : sizes) {
      EXPECT_TRUE(connection.send(9, 1, Bytes(size, static_cast<uint8_t>(size))));
    }
  };
  at_client_.receives = [&](Connection& connection, const Frame& frame) {
    const size_t size = sizes[frame.seq - 1];
    EXPECT_EQ(frame.type, 9);
    EXPECT_EQ(frame.flags, 1);
    EXPECT_EQ(Bytes(frame.payload.begin(), frame.payload.end()),
              Bytes(size, static_cast<uint8_t>(size)));
    if (frame.seq == std::size(sizes)) connection.close("done");
  };
  for (int i = 0; i < kClients; ++i)
    dial();
  run();
  EXPECT_EQ(at_client_.frames, kClients * static_cast<int>(std::size(sizes)));
  EXPECT_EQ(at_client_.reasons, std::vector<std::string>(kClients, "done"));
  EXPECT_EQ(at_server_.reasons, std::vector<std::string>(kClients, "the peer closed"));
  EXPECT_EQ(listener_->connections(), 0u);
}

TEST_F(Loopback, SendsManySmallFramesAsOneWrite) {
  listen();
  at_client_.opens = [&](Connection& connection) {
    connection.send_all(7, std::vector<Bytes>(300, Bytes(100, 5)));
    connection.send(8, 0, {});  // numbered after them
  };
  at_server_.receives = [](Connection& connection, const Frame& frame) {
    if (frame.type == 8) connection.close("done");
  };
  dial();
  run();
  EXPECT_EQ(at_server_.bytes, 300u * 100u);
}

TEST_F(Loopback, BindsBothEndsToTheSameExporter) {
  listen();
  std::vector<Digest> seen;
  const auto note = [&](Connection& connection) {
    seen.push_back(connection.exporter("EXPORTER-gemmine-auth").value());
    EXPECT_THAT(connection.peer().text, HasSubstr("127.0.0.1:"));
    if (seen.size() == 2) connection.close("done");
  };
  at_client_.opens = at_server_.opens = note;
  dial();
  run();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0], seen[1]);
}

TEST_F(Loopback, DeliversTheLastFrameBeforeAClose) {
  listen();
  at_server_.opens = [](Connection& connection) {
    connection.send(0x3f, 0, Bytes(1'000'000));
    connection.close("bye");
    EXPECT_FALSE(connection.send(0x3f, 0, {}));
  };
  at_client_.opens = [](Connection& connection) {  // unread data must not reset the socket
    for (int i = 0; i < 50; ++i)
      connection.send(1, 0, Bytes(10'000));
  };
  dial();
  run();
  EXPECT_EQ(at_client_.bytes, 1'000'000u);
  EXPECT_EQ(at_server_.reasons, std::vector<std::string>{"bye"});
}

TEST_F(Loopback, ClosesASlowReaderAtItsBound) {
  listen({.limits = {.write_queue_max = 1 << 20}});
  bool overflowed = false;
  at_server_.opens = [&](Connection& connection) {
    while (connection.send(1, 0, Bytes(kFramePayloadMax))) {  // nobody reads while this runs
    }
    overflowed = true;
    EXPECT_FALSE(connection.open());
    EXPECT_TRUE(at_server_.reasons.empty()) << "on_close never comes out of send";
  };
  dial();
  run();
  EXPECT_TRUE(overflowed);
  ASSERT_EQ(at_server_.reasons.size(), 1u);
  EXPECT_THAT(at_server_.reasons[0], HasSubstr("reads too slowly: more than 1048576 bytes"));
}

TEST_F(Loopback, LetsASenderPaceItselfByDrained) {
  constexpr int kFrames = 60;  // 60 MB through a queue of 4 MiB
  listen({.limits = {.write_queue_max = 4 << 20}});
  int sent = 0;
  int drained = 0;
  const auto pump = [&](Connection& connection) {
    while (sent < kFrames && connection.queued_bytes() < (2 << 20)) {
      ASSERT_TRUE(connection.send(1, 0, Bytes(1'000'000)));
      ++sent;
    }
  };
  at_server_.opens = pump;
  at_server_.drains = [&](Connection& connection) {
    ++drained;
    pump(connection);
  };
  at_client_.receives = [&](Connection& connection, const Frame& frame) {
    if (frame.seq == kFrames) connection.close("done");
  };
  dial();
  run();
  EXPECT_EQ(at_client_.bytes, kFrames * 1'000'000u);
  EXPECT_GT(drained, 0);
}

TEST_F(Loopback, RefusesConnectionsOverItsLimits) {
  listen({.connections_max = 5, .connections_per_ip_max = 3});
  at_server_.opens = [this](Connection&) {
    if (at_server_.opened == 3) {
      for (const auto& each : dialled_)
        each->close("done");
    }
  };
  for (int i = 0; i < 6; ++i)
    dial();
  run();
  EXPECT_EQ(handed_over_, 3);
  EXPECT_EQ(listener_->refused(), 3u);
  EXPECT_EQ(listener_->connections(), 0u);
}

TEST_F(Loopback, GivesAClosedConnectionsPlaceToTheNext) {
  listen({.connections_max = 1});
  at_client_.opens = [](Connection& connection) { connection.close("done"); };
  at_client_.closes = [this](Connection&) {
    if (dialled_.size() < 3) {
      dial();
    } else {
      stop_when_done();
    }
  };
  // The server's end lasts until it has seen the farewell, which is before the client's ends.
  dial();
  run();
  EXPECT_EQ(at_server_.opened, 3);
}

TEST_F(Loopback, ClosesOnAGapAndOnAFrameThatIsTooLarge) {
  listen();
  at_server_.opens = [](Connection& connection) { connection.set_payload_max(4096); };
  at_client_.opens = [](Connection& connection) { connection.send(1, 0, Bytes(4097)); };
  dial();
  run();
  ASSERT_EQ(at_server_.reasons.size(), 1u);
  EXPECT_THAT(at_server_.reasons[0], HasSubstr("4097 bytes, at most 4096"));
  EXPECT_EQ(at_server_.frames, 0);
}

TEST_F(Loopback, ReportsAnUnreachableServer) {
  listen();
  const uint16_t port = listener_->port();
  listener_->stop();
  dialled_.push_back(
      std::move(connect(loop_, client_tls_.value(), "127.0.0.1", port, &at_client_).value()));
  run();
  ASSERT_EQ(at_client_.reasons.size(), 1u);
  EXPECT_THAT(at_client_.reasons[0], HasSubstr("connection refused"));
}

TEST_F(Loopback, MayBeDestroyedInsideEachOfItsEvents) {
  listen();
  at_server_.receives = [this](Connection& connection, const Frame&) {
    accepted_.erase(&connection);
  };
  at_client_.opens = [this](Connection& connection) {
    connection.send(1, 0, Bytes(10));
    connection.send(1, 0, Bytes(10));
    if (&connection == dialled_[0].get()) dialled_[0].reset();
  };
  dial();
  dial();
  Timer stop(loop_, [this] { loop_.stop(); });
  stop.start(200);
  run();
  EXPECT_TRUE(accepted_.empty());
  EXPECT_EQ(listener_->connections(), 0u);
}

// A client of plain sockets on its own thread: sends `bytes`, returns all it gets until the end.
std::string plain_client(uint16_t port, ByteView bytes, bool wait) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string out;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) {
    static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    char chunk[500];
    while (wait) {
      const ssize_t count = ::recv(fd, chunk, sizeof chunk, 0);
      if (count <= 0) break;
      out.append(chunk, static_cast<size_t>(count));
    }
  }
  ::close(fd);
  return out;
}

TEST_F(Loopback, RefusesAPlaintextClientReadably) {
  listen();
  std::string answer;
  std::jthread client(
      [&] { answer = plain_client(listener_->port(), as_bytes("GET / HTTP/1.1\r\n\r\n"), true); });
  run();
  client.join();
  EXPECT_THAT(answer, testing::AllOf(HasSubstr("TLS 1.3"), testing::EndsWith("\r\n")));
  EXPECT_EQ(at_server_.reasons, std::vector<std::string>{"plaintext client refused"});
  EXPECT_EQ(at_server_.opened, 0);
}

TEST_F(Loopback, EndsAHandshakeThatTakesTooLong) {
  listen({.limits = {.handshake_ms = 50}});
  const uint8_t hello[] = {0x16, 3, 1, 0, 200};
  std::jthread client([&] { plain_client(listener_->port(), hello, true); });
  run();
  EXPECT_EQ(at_server_.reasons, std::vector<std::string>{"no TLS handshake within 50 ms"});
}

TEST_F(Loopback, TellsACutFromAFarewell) {
  listen();
  const uint8_t hello[] = {0x16, 3, 1, 0, 200};
  std::jthread client([&] { plain_client(listener_->port(), hello, false); });
  run();
  ASSERT_EQ(at_server_.reasons.size(), 1u);
  EXPECT_THAT(at_server_.reasons[0], HasSubstr("cut without farewell"));
}

// A client of TLS alone: one that does not keep to the rules of frames.
class RawClient : public StreamObserver {
 public:
  RawClient(Loop& loop, const TlsContext& context, uint16_t port, Bytes plaintext)
      : tls_(std::move(TlsStream::client(context, "127.0.0.1").value())),
        plaintext_(std::move(plaintext)),
        connector_(loop, "127.0.0.1", port, 5'000, [this](Result<std::unique_ptr<TcpStream>> got) {
          stream_ = std::move(got.value());
          stream_->start(this);
          stream_->write(tls_->take_ciphertext());
        }) {}
  void on_data(ByteView bytes) override {
    uint8_t ignored[16'384];
    while (stream_ != nullptr) {
      const auto count = tls_->read(&bytes, ignored);
      if (!count || count.value() == 0) break;
    }
    if (stream_ == nullptr || !tls_->open()) return;
    ASSERT_TRUE(tls_->write(plaintext_));
    stream_->write(tls_->take_ciphertext());
    stream_.reset();
  }
  void on_end(const std::string&) override {}
  void on_drained() override {}

 private:
  std::unique_ptr<TlsStream> tls_;
  Bytes plaintext_;
  std::unique_ptr<TcpStream> stream_;
  TcpConnector connector_;
};

TEST_F(Loopback, ClosesWithAReasonOnEveryBrokenRuleOfFrames) {
  listen();
  Bytes cut = encode_frame(1, 0, 1, Bytes(100));
  cut.pop_back();
  Bytes reserved = encode_frame(1, 0, 1, {});
  reserved[6] = 1;
  Bytes repeat = encode_frame(1, 0, 1, {});
  repeat.insert(repeat.end(), repeat.begin(), repeat.end());
  const std::pair<Bytes, std::string> cases[] = {{cut, "cut in the middle of a frame"},
                                                 {reserved, "reserved"},
                                                 {repeat, "frame number 1 after number 1"},
                                                 {encode_frame(1, 0, 2, {}), "number 2 after"}};
  for (const auto& [bytes, reason] : cases) {
    at_server_.reasons.clear();
    const RawClient client(loop_, client_tls_.value(), listener_->port(), bytes);
    run();
    ASSERT_EQ(at_server_.reasons.size(), 1u);
    EXPECT_THAT(at_server_.reasons[0], HasSubstr(reason));
  }
}

}  // namespace
}  // namespace gemmine::pool
