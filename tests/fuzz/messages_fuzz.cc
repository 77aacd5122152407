// Messages: first byte the type, the rest a payload. What decodes encodes back to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/wire/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace pool = gemmine::pool;
  if (size == 0) return 0;
  const auto payload = gemmine::ByteView(data, size).subspan(1);
  pool::with_message(static_cast<pool::MessageType>(data[0]), [&]<class M>() {
    const auto decoded = gemmine::decode<M>(payload);
    if (decoded) GEMMINE_CHECK(std::ranges::equal(gemmine::encode(decoded.value()), payload));
  });
  return 0;
}
