// Where messages to the pool go: a session, or a test's notebook.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pool/wire/messages.h"

namespace gemmine::pool {

class MessageSink {
 public:
  // The number of the frame, which an ERROR that answers it names; 0 when it cannot be sent now.
  template <Message M>
  uint32_t send(const M& message) {
    return send_frame(M::kType, encode(message));
  }
  virtual bool ready() const = 0;
  virtual size_t queued_bytes() const = 0;  // sent, and not yet with the kernel

 protected:
  ~MessageSink() = default;
  virtual uint32_t send_frame(MessageType type, ByteView payload) = 0;
};

}  // namespace gemmine::pool
