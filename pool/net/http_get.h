// One GET over a connection of its own, and what comes back. For relays (PROTOCOL 14): plain HTTP,
// no redirects, no cookies, nothing that a server could make us do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/net/loop.h"
#include "pool/wire/http.h"

namespace gemmine::pool {

class HttpGet final : private StreamObserver {
 public:
  // They come from the loop, never out of a call of ours. Each may call stop().
  struct Hooks {
    std::function<void(const HttpHead&)> on_head;
    std::function<void(ByteView)> on_body;
    // Once, and last. Errors: io (not reached, cut off), malformed (no HTTP, more than promised).
    std::function<void(const Status&)> on_end;
  };
  // url: "/blobs/..."; range: what follows "Range: ", empty for none. Memory: the head, at most
  // kHttpHeadBytesMax. How long it may take is the owner's to say.
  HttpGet(Loop& loop, const HttpAddress& server, const std::string& url, const std::string& range,
          Hooks hooks);

  void stop();  // no hook is called any more; may be called from one, and again

 private:
  void on_connected(Result<std::unique_ptr<TcpStream>> stream);
  void on_data(ByteView bytes) override;
  void on_end(const std::string& error) override;
  void on_drained() override {}
  bool take_head(ByteView& bytes);
  void end(const Status& status);

  const std::string request_;
  const Hooks hooks_;
  bool over_ = false;
  std::string head_text_;
  std::optional<HttpHead> head_;
  uint64_t received_ = 0;  // of the body
  std::unique_ptr<TcpStream> stream_;
  TcpConnector connector_;
};

}  // namespace gemmine::pool
