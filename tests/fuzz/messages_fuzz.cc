// Messages: first byte the type, the rest a payload. What decodes encodes back to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "pool/wire/messages.h"

namespace {

using gemmine::ByteView;
namespace pool = gemmine::pool;

template <auto decode>
void check(ByteView payload) {
  const auto decoded = decode(payload);
  if (decoded) GEMMINE_CHECK(std::ranges::equal(encode(decoded.value()), payload));
}

constexpr void (*kChecks[])(ByteView) = {
    check<pool::decode_hello>,
    check<pool::decode_hello_ok>,
    check<pool::decode_auth>,
    check<pool::decode_auth_ok>,
    check<pool::decode_error>,
    check<pool::decode_round>,
    check<pool::decode_get_lease>,
    check<pool::decode_lease_message>,
    check<pool::decode_no_lease>,
    check<pool::decode_get_blob>,
    check<pool::decode_blob>,
    check<pool::decode_abandon>,
    check<pool::decode_share_message>,
    check<pool::decode_share_ok>,
    check<pool::decode_challenge>,
    check<pool::decode_opening_message>,
    check<pool::decode_verdict_message>,
    check<pool::decode_delta>,
    check<pool::decode_delta_ok>,
    check<pool::decode_lease_closed>,
    check<pool::decode_watch>,
    check<pool::decode_record>,
    check<pool::decode_ping>,
    check<pool::decode_bye>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || data[0] >= std::size(kChecks)) return 0;
  kChecks[data[0]](ByteView(data, size).subspan(1));
  return 0;
}
