// A client and a relay over a real socket, and relays that lie, stall, or are none: the blob comes
// whole and right, or it is left to the pool.
#include "pool/client/relay_client.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/blobs/part_reader.h"
#include "pool/blobs/part_writer.h"
#include "pool/client/fetcher.h"
#include "pool/relay/http_server.h"
#include "pool/relay/shelf.h"
#include "pool/store/blobs.h"
#include "tests/support/loop.h"
#include "tests/unit/pool/client/notebook.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::HasSubstr;

Bytes some_bytes(size_t count, uint8_t seed) {
  Bytes out(count);
  for (size_t i = 0; i < count; ++i)
    out[i] = static_cast<uint8_t>(seed + i * 31 + (i >> 9));
  return out;
}

// Answers each request with the same bytes, in pieces, and remembers what was asked.
class Liar {
 public:
  Liar(Loop& loop, std::map<std::string, std::string> answers, std::string otherwise)
      : answers_(std::move(answers)),
        otherwise_(std::move(otherwise)),
        listener_(std::move(
            TcpListener::open(loop, "127.0.0.1", 0, [this](std::unique_ptr<TcpStream> stream) {
              peers_.emplace_back(*this, std::move(stream));
            }).value())) {}
  uint16_t port() const { return listener_->port(); }
  std::vector<std::string> asked;

 private:
  struct Peer final : StreamObserver {
    Peer(Liar& the_liar, std::unique_ptr<TcpStream> the_stream)
        : liar(the_liar), stream(std::move(the_stream)) {
      stream->start(this);
    }
    void on_data(ByteView bytes) override {
      text.append(bytes.begin(), bytes.end());
      if (!http_head_end(text)) return;
      const std::string url = text.substr(4, text.find(' ', 4) - 4);
      liar.asked.push_back(url);
      const auto found = liar.answers_.find(url.ends_with(".tree") ? "tree" : "blob");
      const std::string& answer = found == liar.answers_.end() ? liar.otherwise_ : found->second;
      if (answer.empty()) return;
      const ByteView said = as_bytes(std::string_view(answer));
      stream->write({said.begin(), said.end()});
      stream->finish();
    }
    void on_end(const std::string& /*error*/) override {}
    void on_drained() override {}
    Liar& liar;
    std::unique_ptr<TcpStream> stream;
    std::string text;
  };
  const std::map<std::string, std::string> answers_;
  const std::string otherwise_;
  std::list<Peer> peers_;
  std::unique_ptr<TcpListener> listener_;
};

class ThroughARelay : public testing::Test {
 protected:
  // A fetcher over `port`'s relay, with a pool that says nothing by itself.
  void follow(uint16_t port) {
    fetcher_.emplace(loop_, sink_, mine_.path(),
                     [](const Digest& /*address*/, Fetcher::Progress /*at*/) {});
    fetcher_->use_relay(
        {"127.0.0.1", port}, [this](const std::string& why, uint64_t) { lost_.push_back(why); },
        [this] { ++back_; });
  }
  void serve() {
    server_ = std::move(HttpServer::open("127.0.0.1", 0, shelf_.path(), desk_).value());
    follow(server_->port());
  }
  void fetch(const Digest& address, uint64_t bytes) {
    answer_.reset();
    fetcher_->fetch(address, bytes, [this](Result<Bytes> done) { answer_ = std::move(done); });
  }
  void until(const std::function<bool()>& holds, int seconds = 20) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    Timer timer(loop_, [&] {
      if (holds() || std::chrono::steady_clock::now() > end) loop_.stop();
    });
    timer.start(0, 1);
    loop_.run();
    EXPECT_TRUE(holds());
  }
  void until_answered() {
    until([this] { return answer_.has_value(); });
  }
  // The pool is asked, and says what it has.
  void until_the_pool_brings(const Bytes& blob) {
    ASSERT_TRUE(put_blob(pool_.path(), blob));
    const Digest address = kernels::blake3(blob);
    const auto file = PartReader::open(pool_.path() + "/" + to_hex(address.bytes), address);
    ASSERT_TRUE(file);
    until([&] {
      for (const GetBlob& get : sink_.take<GetBlob>())
        fetcher_->on_blob({address, file.value().part({get.first_group, get.groups}).value()});
      return answer_.has_value();
    });
  }
  std::string on_shelf(const Bytes& blob) const {
    return Shelf::path(shelf_.path(), kernels::blake3(blob));
  }
  static std::string head(const std::string& status, size_t length) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  }

  TempDirectory mine_, shelf_, pool_;
  Loop loop_ = test::make_loop();
  Notebook sink_;
  std::vector<Digest> wanted_;
  std::mutex wanted_mutex_;
  Desk desk_{[this](const Digest& address) {
    const std::lock_guard lock(wanted_mutex_);
    wanted_.push_back(address);
  }};
  std::unique_ptr<HttpServer> server_;
  std::optional<Fetcher> fetcher_;
  std::optional<Result<Bytes>> answer_;
  std::vector<std::string> lost_;
  int back_ = 0;
};

TEST_F(ThroughARelay, BlobsOfAnyLengthComeWhole) {
  serve();
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{65'536}, size_t{65'537}, size_t{262'144}, size_t{1'000'001}}) {
    const Bytes blob = some_bytes(size, 3);
    ASSERT_TRUE(put_blob(shelf_.path(), blob));
    fetch(kernels::blake3(blob), size);
    until_answered();
    ASSERT_TRUE(*answer_) << answer_->error().detail;
    EXPECT_EQ(answer_->value(), blob);
  }
  EXPECT_TRUE(sink_.sent.empty()) << "the pool was asked";
  EXPECT_TRUE(lost_.empty());
}

TEST_F(ThroughARelay, ADownloadGoesOnWhereItStopped) {
  const Bytes blob = some_bytes(1'000'001, 3);
  const Digest address = kernels::blake3(blob);
  ASSERT_TRUE(put_blob(shelf_.path(), blob));
  const std::string half = part_path(mine_.path() + "/" + to_hex(address.bytes));
  ASSERT_TRUE(write_durable(half, ByteView(blob).first(10 * kGroupBytes + 17)));
  serve();
  fetch(address, blob.size());
  until_answered();
  ASSERT_TRUE(*answer_);
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_EQ(desk_.counts.sent, blob.size() - 10 * kGroupBytes + groups_of(blob.size()) * 32);
}

TEST_F(ThroughARelay, WhatIsOnItsWayIsWaitedFor) {
  desk_.connected(true);
  serve();
  const Bytes blob = some_bytes(300'000, 5);
  fetch(kernels::blake3(blob), blob.size());
  until([this] {
    const std::lock_guard lock(wanted_mutex_);
    return !wanted_.empty();
  });
  EXPECT_EQ(wanted_, std::vector{kernels::blake3(blob)});
  EXPECT_FALSE(answer_);
  ASSERT_TRUE(put_blob(shelf_.path(), blob));
  desk_.came(kernels::blake3(blob));
  until_answered();
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_TRUE(sink_.sent.empty()) << "the pool was asked";
}

// Each sends the client to the pool; none is a reason to leave the relay alone but the last two.
TEST_F(ThroughARelay, WhatItHasNotThePoolHas) {
  const Bytes blob = some_bytes(300'000, 5);
  const Digest address = kernels::blake3(blob);
  desk_.connected(true);
  desk_.want(address, 0);
  desk_.refused(address, Desk::Where::absent, UINT64_MAX / 2);
  serve();
  fetch(address, blob.size());
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(ThroughARelay, WithoutAPoolOrRoomItIsLeftAlone) {
  const Bytes blob = some_bytes(300'000, 5);
  serve();
  fetch(kernels::blake3(blob), blob.size());
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  ASSERT_EQ(lost_.size(), 1);
  EXPECT_THAT(lost_[0], HasSubstr("502"));
}

TEST_F(ThroughARelay, DamageOnItsDiskIsFoundAndForgotten) {
  const Bytes blob = some_bytes(1'000'001, 3);
  ASSERT_TRUE(put_blob(shelf_.path(), blob));
  {
    std::fstream file(on_shelf(blob), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(700'000);
    file.put('x');
  }
  serve();
  fetch(kernels::blake3(blob), blob.size());
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_EQ(desk_.counts.damaged, 1);
  EXPECT_FALSE(std::filesystem::exists(on_shelf(blob)));
  EXPECT_LT(desk_.counts.sent, 700'000) << "a damaged group left the relay";
}

TEST_F(ThroughARelay, ADamagedTreeIsFoundAndForgotten) {
  const Bytes blob = some_bytes(300'000, 3);
  ASSERT_TRUE(put_blob(shelf_.path(), blob));
  ASSERT_TRUE(write_durable(on_shelf(blob) + ".tree", Bytes(5 * 32, 7)));
  serve();
  fetch(kernels::blake3(blob), blob.size());
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_EQ(desk_.counts.damaged, 1);
}

TEST_F(ThroughARelay, NoLieIsKept) {
  const Bytes blob = some_bytes(300'000, 5);
  const Bytes other = some_bytes(300'000, 6);
  ASSERT_TRUE(put_blob(shelf_.path(), blob));
  ASSERT_TRUE(put_blob(shelf_.path(), other));
  const auto text_of = [](const std::string& path) {
    const Bytes bytes = read_file(path, 1 << 20).value();
    return std::string(bytes.begin(), bytes.end());
  };
  const std::string tree = head("200 OK", 160) + text_of(on_shelf(blob) + ".tree");
  std::string late = text_of(on_shelf(blob));
  late[290'000] ^= 1;
  const std::map<std::string, std::string> lies[] = {
      {{"tree", head("200 OK", 160) + text_of(on_shelf(other) + ".tree")}},
      {{"tree", head("200 OK", 128) + std::string(128, 'x')}},
      {{"tree", head("200 OK", 160) + std::string(100, 'x')}},
      {{"tree", head("200 OK", 160) + std::string(1'000, 'x')}},
      {{"tree", "HTTP/1.1 200 OK\r\n" + std::string(20'000, 'x')}},
      {{"tree", "SSH-2.0-OpenSSH_9.2\r\n\r\n"}},
      {{"tree", "HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n"}},
      {{"tree", tree}, {"blob", head("200 OK", 300'000) + text_of(on_shelf(other))}},
      {{"tree", tree}, {"blob", head("200 OK", 300'000) + late}},
      {{"tree", tree}, {"blob", head("200 OK", 1) + "x"}},
      {{"tree", tree}, {"blob", head("200 OK", 300'000) + "short"}},
      {{"tree", tree}, {"blob", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}},
  };
  for (const auto& lie : lies) {
    Liar liar(loop_, lie, "HTTP/1.1 500 No\r\n\r\n");
    lost_.clear();
    follow(liar.port());
    std::filesystem::remove(mine_.path() + "/" + to_hex(kernels::blake3(blob).bytes));
    fetch(kernels::blake3(blob), blob.size());
    until_the_pool_brings(blob);
    ASSERT_TRUE(*answer_);
    EXPECT_EQ(answer_->value(), blob);
    EXPECT_EQ(lost_.size(), 1) << lie.begin()->second.substr(0, 60);
    const size_t before = liar.asked.size();
    const Bytes small = some_bytes(100, static_cast<uint8_t>(&lie - lies));
    fetch(kernels::blake3(small), small.size());
    until_the_pool_brings(small);
    EXPECT_LE(liar.asked.size(), before + 1) << "it was asked at once again";
    fetcher_.reset();
  }
}

TEST_F(ThroughARelay, OneThatSaysNothingIsTooSlow) {
  Liar silent(loop_, {}, "");
  follow(silent.port());
  const Bytes blob = some_bytes(300'000, 5);
  fetch(kernels::blake3(blob), blob.size());
  until([this] { return !lost_.empty(); });
  EXPECT_THAT(lost_[0], HasSubstr("too slow"));
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  fetcher_.reset();
}

// It promises for ever, and what it claims to have does not grow.
TEST_F(ThroughARelay, OnePromiseIsNotBelievedForEver) {
  Liar promises(loop_, {},
                "HTTP/1.1 503 Later\r\nGemmine-Have: 200000\r\nContent-Length: 0\r\n\r\n");
  follow(promises.port());
  const Bytes blob = some_bytes(300'000, 5);
  fetch(kernels::blake3(blob), blob.size());
  until([this] { return !lost_.empty(); }, 40);
  until_the_pool_brings(blob);
  EXPECT_EQ(answer_->value(), blob);
  EXPECT_GE(promises.asked.size(), 5);
  EXPECT_LE(promises.asked.size(), 50);
  fetcher_.reset();
}

TEST_F(ThroughARelay, NobodyThereIsLeftAloneAndComesBack) {
  follow(1);
  const Bytes first = some_bytes(300'000, 5);
  fetch(kernels::blake3(first), first.size());
  until_the_pool_brings(first);
  EXPECT_EQ(answer_->value(), first);
  EXPECT_EQ(lost_.size(), 1);
  EXPECT_EQ(back_, 0);
}

TEST_F(ThroughARelay, AFetchThatIsGoneAsksNoMore) {
  ASSERT_TRUE(put_blob(shelf_.path(), some_bytes(1'000'000, 5)));
  serve();
  fetch(kernels::blake3(some_bytes(1'000'000, 5)), 1'000'000);
  until([this] { return desk_.counts.requests > 0; });
  fetcher_.reset();  // in the middle of it
  answer_.reset();
}

}  // namespace
}  // namespace gemmine::pool
