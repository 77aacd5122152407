#include "pool/net/http_get.h"

#include <algorithm>
#include <utility>

namespace gemmine::pool {
namespace {

constexpr uint64_t kConnectMs = 5'000;

std::string request_of(const HttpAddress& server, const std::string& url,
                       const std::string& range) {
  std::string out = "GET " + url + " HTTP/1.1\r\nHost: " + server.text() +
                    "\r\nUser-Agent: gemmine/" GEMMINE_VERSION "\r\nConnection: close\r\n";
  if (!range.empty()) out += "Range: " + range + "\r\n";
  return out + "\r\n";
}

}  // namespace

HttpGet::HttpGet(Loop& loop, const HttpAddress& server, const std::string& url,
                 const std::string& range, Hooks hooks)
    : request_(request_of(server, url, range)),
      hooks_(std::move(hooks)),
      connector_(
          loop, server.host, server.port, kConnectMs,
          [this](Result<std::unique_ptr<TcpStream>> stream) { on_connected(std::move(stream)); }) {}

void HttpGet::stop() {
  over_ = true;
  stream_.reset();
}

void HttpGet::end(const Status& status) {
  if (over_) return;
  stop();
  hooks_.on_end(status);
}

void HttpGet::on_connected(Result<std::unique_ptr<TcpStream>> stream) {
  if (over_) return;
  if (!stream) return end(stream.error());
  stream_ = std::move(stream.value());
  stream_->start(this);
  const ByteView request = as_bytes(std::string_view(request_));
  stream_->write({request.begin(), request.end()});
}

// Takes the head from the front of `bytes`; false while it is not whole, or when it is none.
bool HttpGet::take_head(ByteView& bytes) {
  const size_t before = head_text_.size();
  const size_t taken = std::min(bytes.size(), kHttpHeadBytesMax - before);
  head_text_.append(reinterpret_cast<const char*>(bytes.data()), taken);
  const auto size = http_head_end(head_text_);
  if (!size) {
    if (head_text_.size() == kHttpHeadBytesMax)
      end(Error{Errc::malformed, "an HTTP answer has a head that is too long"});
    return false;
  }
  auto head = parse_http_head(std::string_view(head_text_).substr(0, *size));
  if (!head) {
    end(head.error());
    return false;
  }
  bytes = bytes.subspan(*size - before);
  head_ = head.value();
  head_text_.clear();
  hooks_.on_head(*head_);
  return true;
}

void HttpGet::on_data(ByteView bytes) {
  if (over_) return;
  if (!head_ && !take_head(bytes)) return;
  if (over_) return;
  const uint64_t promised = head_->length.value_or(UINT64_MAX);
  if (bytes.size() > promised - received_)
    return end(Error{Errc::malformed, "an HTTP answer is longer than it said"});
  received_ += bytes.size();
  if (!bytes.empty()) hooks_.on_body(bytes);
  if (!over_ && received_ == promised) end(Ok{});
}

void HttpGet::on_end(const std::string& error) {
  if (over_) return;
  if (!error.empty()) return end(Error{Errc::io, error});
  if (!head_ || head_->length)
    return end(Error{Errc::io, "the connection was closed before the answer was whole"});
  end(Ok{});
}

}  // namespace gemmine::pool
