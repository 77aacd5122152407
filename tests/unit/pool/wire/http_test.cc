#include "pool/wire/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

using testing::HasSubstr;

HttpHead good(const std::string& text) {
  auto head = parse_http_head(text);
  EXPECT_TRUE(head) << (head ? "" : head.error().detail);
  return head ? head.value() : HttpHead{};
}
bool refused(const std::string& text) {
  const auto head = parse_http_head(text);
  return !head && head.error().code == Errc::malformed;
}

TEST(HttpHead, ReadsWhatARelayAnswers) {
  EXPECT_EQ(good("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").length, 12);
  const HttpHead part = good(
      "HTTP/1.1 206 Partial Content\r\ncontent-LENGTH:4\r\nContent-Range: bytes 2-5/10\r\n"
      "Server: x:y\r\n\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.range, (HttpHead::Range{2, 5, 10}));
  EXPECT_EQ(good("HTTP/1.1 503 \r\nGemmine-Have: 77\r\n\r\n").have, 77);
  EXPECT_EQ(good("HTTP/1.0 404\r\n\r\n").status, 404);
  EXPECT_FALSE(good("HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\n\r\n").range);
}

TEST(HttpHead, RefusesWhatIsNone) {
  for (const char* const text :
       {"", "\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 99 X\r\n\r\n", "HTTP/1.1 2000 X\r\n\r\n",
        "HTTP/1.1 +20 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes 5-2/10\r\n\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes 2-10/10\r\n\r\n",
        "HTTP/1.1 206 OK\r\nContent-Range: bytes 2-5/*\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\n", "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n",
        "HTTP/1.1 200 OK\r\n\r\nbody"})
    EXPECT_TRUE(refused(text)) << text;
  const std::string start = "HTTP/1.1 200 OK\r\nA: ";
  EXPECT_TRUE(refused(start + std::string(kHttpHeadBytesMax, 'a') + "\r\n\r\n"));
  EXPECT_FALSE(refused(start + std::string(kHttpHeadBytesMax / 2, 'a') + "\r\n\r\n"));
}

TEST(HttpHead, EndsWithItsEmptyLine) {
  EXPECT_EQ(http_head_end("HTTP/1.1 200 OK\r\n\r\nbody\r\n\r\n"), 19);
  EXPECT_FALSE(http_head_end("HTTP/1.1 200 OK\r\n\r"));
}

TEST(ByteRange, IsOneRangeOfBytes) {
  const auto range = [](const char* text, uint64_t total) {
    return parse_byte_range(text, total).value();
  };
  EXPECT_EQ(range("bytes=2-5", 10), (ByteRange{2, 4}));
  EXPECT_EQ(range("bytes=2-", 10), (ByteRange{2, 8}));
  EXPECT_EQ(range("bytes=2-99", 10), (ByteRange{2, 8}));
  EXPECT_EQ(range("bytes=-3", 10), (ByteRange{7, 3}));
  EXPECT_EQ(range("bytes=-30", 10), (ByteRange{0, 10}));
  for (const char* const all : {"", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2",
                                "bytes=a-b", "bytes= 1-2", "bytes=1-2x", "bytes=1-x"})
    EXPECT_FALSE(range(all, 10)) << all;
  for (const char* const behind : {"bytes=10-", "bytes=10-11", "bytes=-0"})
    EXPECT_EQ(parse_byte_range(behind, 10).error().code, Errc::invalid) << behind;
  EXPECT_FALSE(parse_byte_range("bytes=0-", 0));
}

TEST(BlobUrl, NamesABlobOrItsTree) {
  Digest address;
  address.bytes.fill(0xab);
  for (const bool tree : {false, true})
    EXPECT_EQ(parse_blob_url(blob_url({address, tree})), (BlobPath{address, tree}));
  const std::string url = blob_url({address, false});
  for (const std::string& other :
       {std::string(), std::string("/"), std::string("/blobs/"), url + "/", url + ".part",
        url + ".treee", url.substr(0, url.size() - 1), "/blobs/../" + url, "/x" + url,
        "/blobs/" + std::string(64, 'g')})
    EXPECT_FALSE(parse_blob_url(other)) << other;
}

TEST(HttpAddress, IsAHostAndAPort) {
  const auto text = [](const char* written) { return parse_http_address(written).value().text(); };
  EXPECT_EQ(text("http://192.168.0.2:80"), "192.168.0.2:80");
  EXPECT_EQ(text("http://relay.farm"), "relay.farm:4481");
  EXPECT_EQ(text("http://relay.farm/"), "relay.farm:4481");
  EXPECT_EQ(text("http://[fd00::1]:99/"), "[fd00::1]:99");
  EXPECT_EQ(text("http://[fd00::1]"), "[fd00::1]:4481");
  for (const char* const wrong :
       {"", "relay:4481", "https://relay:4481", "http://", "http://:80", "http://relay:0",
        "http://relay:65536", "http://relay:x", "http://relay:80/path", "http://me@relay:80",
        "http://fd00::1", "http://[fd00::1", "http://[fd00::1]x:80", "http://re lay", "ftp://relay",
        "http://relay:80?x", "http://relay\n:80"}) {
    const auto parsed = parse_http_address(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_THAT(parsed.error().detail, HasSubstr("expected http://host:port")) << wrong;
  }
}

}  // namespace
}  // namespace gemmine::pool
