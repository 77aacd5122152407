#include <arpa/inet.h>
#include <array>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "pool/net/loop.h"

namespace gemmine::pool {
namespace {

class Counter : public StreamObserver {
 public:
  explicit Counter(Loop& loop) : loop_(loop) {}
  void on_data(ByteView bytes) override { heard += bytes.size(); }
  void on_end(const std::string&) override { loop_.stop(); }
  void on_drained() override {
    ++drained;
    loop_.stop();
  }
  size_t heard = 0;
  int drained = 0;

 private:
  Loop& loop_;
};

size_t heap_bytes() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// A stream to a socket of this thread that reads nothing unless told to.
class SlowReader : public testing::Test {
 protected:
  SlowReader() : counter_(loop_), pause_(loop_, [this] { loop_.stop(); }) {
    auto listener =
        TcpListener::open(loop_, "127.0.0.1", 0, [this](std::unique_ptr<TcpStream> stream) {
          stream_ = std::move(stream);
          loop_.stop();
        });
    listener_ = std::move(listener.value());
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(listener_->port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    loop_.run();
  }
  ~SlowReader() override {
    if (fd_ >= 0) ::close(fd_);
  }
  void run_ms(uint64_t ms) {
    pause_.start(ms);
    loop_.run();
    pause_.stop();
  }
  // Until the kernel takes no more.
  size_t fill() {
    size_t sent = 0;
    for (; stream_->queued_bytes() == 0; sent += kWriteBytes)
      stream_->write(Bytes(kWriteBytes));
    return sent;
  }
  // What has come, while the loop runs now and then.
  Bytes read_all(size_t bytes) {
    Bytes out;
    std::array<uint8_t, 65'536> chunk{};
    for (int idle = 0; out.size() < bytes && idle < 100;) {
      const ssize_t count = ::recv(fd_, chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count > 0) {
        out.insert(out.end(), chunk.begin(), chunk.begin() + count);
      } else {
        ++idle;
        run_ms(10);
      }
    }
    return out;
  }

  Loop loop_ = std::move(Loop::make().value());
  Counter counter_;
  Timer pause_;
  std::unique_ptr<TcpListener> listener_;
  std::unique_ptr<TcpStream> stream_;
  int fd_ = -1;
};

TEST_F(SlowReader, HoldsSmallWritesInTwiceTheirSize) {
  constexpr size_t kWrites = 100'000;
  stream_->start(&counter_);
  const size_t filled = fill();
  const size_t before = heap_bytes();
  const size_t queued = stream_->queued_bytes();
  for (size_t i = 0; i < kWrites; ++i)
    stream_->write(Bytes(40, static_cast<uint8_t>(i)));
  EXPECT_EQ(stream_->queued_bytes(), queued + kWrites * 40);
  EXPECT_LE(heap_bytes() - before, 2 * kWrites * 40);

  const Bytes all = read_all(filled + kWrites * 40);
  ASSERT_EQ(all.size(), filled + kWrites * 40);
  for (size_t i = 0; i < kWrites; ++i)
    ASSERT_EQ(all[filled + 40 * i], static_cast<uint8_t>(i));
  EXPECT_EQ(stream_->queued_bytes(), 0u);
  EXPECT_GT(counter_.drained, 0);
}

TEST_F(SlowReader, IsNotHeardUntilItHasRead) {
  stream_->start(&counter_, 1 << 20);
  const size_t filled = fill();
  ASSERT_EQ(::send(fd_, "1", 1, 0), 1);
  run_ms(50);
  EXPECT_EQ(counter_.heard, 1u) << "a little may wait";
  stream_->write(Bytes((1 << 20) + 1));
  ASSERT_EQ(::send(fd_, "2", 1, 0), 1);
  run_ms(50);
  EXPECT_EQ(counter_.heard, 1u);
  EXPECT_EQ(read_all(filled + (1 << 20) + 1).size(), filled + (1 << 20) + 1);
  run_ms(50);
  EXPECT_EQ(counter_.heard, 2u);
}

TEST_F(SlowReader, GetsAllThatWaitsBeforeTheEnd) {
  stream_->start(&counter_, 0);
  const size_t filled = fill();
  for (int i = 0; i < 40; ++i)
    stream_->write(Bytes(10'000, 7));
  stream_->finish();
  ASSERT_EQ(::send(fd_, "1", 1, 0), 1);
  run_ms(50);
  EXPECT_EQ(counter_.heard, 1u) << "its last words are read away";
  EXPECT_EQ(read_all(filled + 400'000).size(), filled + 400'000);
  run_ms(50);
  uint8_t byte = 0;
  EXPECT_EQ(::recv(fd_, &byte, 1, MSG_DONTWAIT), 0) << "and then the end";
}

TEST_F(SlowReader, ShowsHowMuchItHasReceived) {
  stream_->start(&counter_);
  stream_->write(Bytes(1'000));
  run_ms(50);
  EXPECT_EQ(stream_->received_bytes(), 1'000u);
  const size_t filled = fill();
  run_ms(50);
  const uint64_t stuck = stream_->received_bytes();
  EXPECT_LT(stuck, filled);
  read_all(filled + 1'000);
  run_ms(100);
  EXPECT_EQ(stream_->received_bytes(), filled + 1'000);
}

}  // namespace
}  // namespace gemmine::pool
