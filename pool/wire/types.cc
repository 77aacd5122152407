#include "pool/wire/types.h"

#include <algorithm>
#include <utility>

#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

constexpr std::pair<WireError, std::string_view> kErrorNames[] = {
    {WireError::malformed, "malformed"},
    {WireError::bad_version, "bad_version"},
    {WireError::bad_type, "bad_type"},
    {WireError::bad_signature, "bad_signature"},
    {WireError::banned, "banned"},
    {WireError::bad_account, "bad_account"},
    {WireError::too_many, "too_many"},
    {WireError::busy, "busy"},
    {WireError::internal, "internal"},
    {WireError::bad_key, "bad_key"},
    {WireError::unknown_job, "unknown_job"},
    {WireError::unknown_lease, "unknown_lease"},
    {WireError::lease_closed, "lease_closed"},
    {WireError::out_of_order, "out_of_order"},
    {WireError::duplicate, "duplicate"},
    {WireError::conflict, "conflict"},
    {WireError::bad_price, "bad_price"},
    {WireError::bad_steps, "bad_steps"},
    {WireError::bad_value, "bad_value"},
    {WireError::bad_delta, "bad_delta"},
    {WireError::unknown_blob, "unknown_blob"},
    {WireError::not_challenged, "not_challenged"},
    {WireError::not_proven, "not_proven"},
};

}  // namespace

std::string_view to_string(MessageType type) {
  std::string_view name = "?";
  with_message(type, [&]<class M>() { name = M::kName; });
  return name;
}

bool is_known(uint8_t type) {
  return with_message(static_cast<MessageType>(type), []<class M>() {});
}

std::string_view to_string(WireError code) {
  const auto* const found =
      std::ranges::find(kErrorNames, code, [](const auto& named) { return named.first; });
  return found == std::end(kErrorNames) ? "?" : found->second;
}

}  // namespace gemmine::pool
