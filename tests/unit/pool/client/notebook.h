// A sink that writes down what it is given: a session for tests.
#pragma once

#include <utility>
#include <vector>

#include "pool/client/message_sink.h"

namespace gemmine::pool {

class Notebook final : public MessageSink {
 public:
  bool ready() const override { return is_ready; }
  size_t queued_bytes() const override { return queued; }
  // What was sent since the last call, of type M.
  template <Message M>
  std::vector<M> take() {
    std::vector<M> out;
    for (const auto& [type, payload] : std::exchange(sent, {}))
      if (type == M::kType) out.push_back(decode<M>(payload).value());
    return out;
  }

  bool is_ready = true;
  size_t queued = 0;
  uint32_t seq = 0;  // of the last frame
  std::vector<std::pair<MessageType, Bytes>> sent;

 protected:
  uint32_t send_frame(MessageType type, ByteView payload) override {
    if (!is_ready) return 0;
    sent.emplace_back(type, Bytes(payload.begin(), payload.end()));
    return ++seq;
  }
};

}  // namespace gemmine::pool
