#include "verifier/known/head_watch.h"

#include <algorithm>

namespace gemmine::verifier {

Result<PoolWords> parse_pool_words(const std::vector<std::string>& keys,
                                   const std::vector<std::string>& heads) {
  PoolWords out;
  for (const std::string& text : keys) {
    const auto key = digest_from_hex(text);
    if (!key)
      return Error{Errc::invalid_argument,
                   "--pool-key: expected the 64 hex digits that gemmine-pool init prints"};
    out.keys.push_back(key.value());
  }
  for (const std::string& text : heads) {
    const auto head = parse_head(text);
    if (!head) return Error{Errc::invalid_argument, "--head: " + head.error().detail};
    out.heads.push_back(head.value());
  }
  return out;
}

Status HeadWatch::meet(const Digest& pool_key, const std::string& address) {
  const std::string name = to_hex(pool_key.view());
  if (!words_.keys.empty() && std::ranges::find(words_.keys, pool_key) == words_.keys.end())
    return Error{Errc::invalid, "the pool signs with key " + name +
                                    ", which --pool-key does not "
                                    "name"};
  if (!address.empty()) {
    const auto before = known_.key_at(address);
    if (!before) return before.error();
    if (before.value() && *before.value() != pool_key && words_.keys.empty())
      return Error{Errc::invalid, "the pool at " + address + " signs with key " + name +
                                      ", and last time it was " + to_hex(before.value()->view()) +
                                      ": another pool. If its operator says that this is right, "
                                      "give --pool-key " +
                                      name};
    if (before.value() != pool_key) {
      if (const Status kept = known_.keep_key(address, pool_key); !kept) return kept;
    }
  }
  if (pool_key_ != pool_key) newest_.reset();
  pool_key_ = pool_key;
  expected_.clear();
  before_.reset();
  const auto remembered = known_.head(pool_key);
  if (!remembered) return remembered.error();
  if (remembered.value()) expect(*remembered.value());
  if (remembered.value()) saved_seq_ = remembered.value()->seq;
  const size_t without_given = expected_.size();
  for (const SignedHead& head : words_.heads) {
    if (signed_by(head, pool_key)) expect(head);
  }
  if (!words_.heads.empty() && expected_.size() == without_given)
    return Error{Errc::invalid, "--head: pool " + name + " has not signed it"};
  return Ok{};
}

void HeadWatch::expect(const SignedHead& head) {
  expected_.push_back(head);
  if (!before_ || head.seq > before_->seq) before_ = head;
}

std::optional<HeadWatch::Conflict> HeadWatch::saw(const SignedHead& head) {
  const auto against = [&](const SignedHead& earlier) -> std::optional<Conflict> {
    const HeadsSay say = compare_heads(earlier, head);
    if (!contradict(say)) return {};
    const auto path = known_.write_evidence(pool_key_, earlier, head);
    return Conflict{say, words_of(earlier, head) + advice(), path ? path.value() : ""};
  };
  for (const SignedHead& earlier : expected_) {
    if (auto conflict = against(earlier)) return conflict;
  }
  if (newest_) {
    if (auto conflict = against(*newest_)) return conflict;
  }
  if (!newest_ || head.seq > newest_->seq) newest_ = head;
  return {};
}

std::string HeadWatch::cut() const {
  if (!before_ || (newest_ && newest_->seq >= before_->seq)) return "";
  return "cut: it ends " +
         (newest_ ? "after record " + std::to_string(newest_->seq) : std::string("at once")) +
         ", and the pool has signed " + name_of(*before_) +
         ": it is older than that, or its end is missing" + advice();
}

std::string HeadWatch::distrust() const {
  const auto proof = known_.evidence(pool_key_);
  if (!proof || !proof.value()) return "";
  return "the pool was seen to contradict what it had signed; the proof is " + *proof.value() +
         advice();
}

std::string HeadWatch::advice() const {
  const std::string way_out = known_.way_out(pool_key_);
  return way_out.empty() ? "" : ". " + way_out;
}

Status HeadWatch::save() {
  if (!newest_ || (saved_seq_ && *saved_seq_ >= newest_->seq)) return Ok{};
  const Status kept = known_.keep(pool_key_, *newest_);
  if (kept) saved_seq_ = newest_->seq;
  return kept;
}

}  // namespace gemmine::verifier
