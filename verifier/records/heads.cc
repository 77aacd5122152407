#include "verifier/records/heads.h"

namespace gemmine::verifier {

namespace {

constexpr size_t kHeadBytesShown = 8;

}  // namespace

HeadsSay compare_heads(const SignedHead& known, const SignedHead& now) {
  if (known.seq == now.seq) {
    if (known.head == now.head) return HeadsSay::same;
    if (now.time_ms == known.time_ms) return HeadsSay::rewrite;
    return now.time_ms > known.time_ms ? HeadsSay::rollback : HeadsSay::fork;
  }
  if (now.seq < known.seq)
    return now.time_ms > known.time_ms ? HeadsSay::rollback : HeadsSay::nothing;
  return now.time_ms < known.time_ms ? HeadsSay::fork : HeadsSay::nothing;
}

std::string_view to_string(HeadsSay say) {
  switch (say) {
    case HeadsSay::nothing:
      return "nothing";
    case HeadsSay::same:
      return "same";
    case HeadsSay::fork:
      return "fork";
    case HeadsSay::rollback:
      return "rollback";
    case HeadsSay::rewrite:
      return "rewrite";
  }
  return "unknown";
}

std::string name_of(const SignedHead& head) {
  return "record " + std::to_string(head.seq) + " of " + std::to_string(head.time_ms) +
         " ms, head " + to_hex(head.head.view().first(kHeadBytesShown)) + "";
}

std::string words_of(const SignedHead& known, const SignedHead& now) {
  const HeadsSay say = compare_heads(known, now);
  GEMMINE_CHECK(contradict(say));
  const std::string both = ": it signed " + name_of(known) + ", and " + name_of(now);
  if (say == HeadsSay::rollback)
    return "rollback: the pool's ledger went back to before what it had signed, and on from there" +
           both + "; it may have been restored from an old copy";
  if (say == HeadsSay::rewrite) return "rewrite: the pool's ledger says something else now" + both;
  return "fork: the pool keeps two ledgers" + both;
}

std::string text_of(const SignedHead& head) {
  return to_hex(encode(head));
}

Result<SignedHead> parse_head(std::string_view text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes.value().size() != kSignedHeadBytes)
    return Error{Errc::malformed, "a signed head is " + std::to_string(2 * kSignedHeadBytes) +
                                      " hex digits, as gemmine-verify ledger prints it"};
  return decode<SignedHead>(bytes.value());
}

}  // namespace gemmine::verifier
