#include "verifier/proof/kept_words.h"

namespace gemmine::verifier {

namespace {

constexpr size_t kIdBytesShown = 6;

std::string short_id(const Digest& id) {
  return to_hex(id.view().first(kIdBytesShown));
}

bool has_receipt(const Statement& word) {
  return word.receipt != Receipt{};
}

ByteView wrapped(const Statement& word) {
  return Reader(word.body).get_blob(kRecordBytesMax);
}

}  // namespace

Bytes kept_bytes(const Statement& word) {
  Writer out;
  put_statement(out, word);
  return out.take();
}

KeptWords read_kept(ByteView file) {
  KeptWords out;
  Reader in(file);
  while (in.rest() > 0) {
    auto word = get_statement(in);
    out.cut = !word || !in.ok();
    if (out.cut) return out;
    out.words.push_back(std::move(word.value()));
  }
  return out;
}

Result<Lease> lease_of(const KeptWords& kept) {
  if (kept.words.empty() || kept.words[0].kind != RecordKind::lease)
    return Error{Errc::malformed, "it does not begin with a lease"};
  return decode_lease(wrapped(kept.words[0]));
}

std::string fault_of(const Statement& word, const Digest& pool_key) {
  if (has_receipt(word)) {
    const auto head = head_of(word.receipt, static_cast<uint8_t>(word.kind), word.body);
    return signed_by(head, pool_key) ? "" : "the pool has not signed this record";
  }
  if (word.kind == RecordKind::lease) {
    const auto lease = decode_lease(wrapped(word));
    if (!lease) return lease.error().detail;
    if (lease.value().pool_key != pool_key) return "it is a lease of another pool";
    return signed_by_pool(lease.value()) ? "" : "the pool has not signed this lease";
  }
  if (word.kind == RecordKind::verdict) {
    const auto verdict = decode_verdict(wrapped(word));
    if (!verdict) return verdict.error().detail;
    return signed_by_auditor(verdict.value()) ? "" : "nobody has signed this verdict";
  }
  return "it has no receipt";
}

int64_t paid_to_accounts(const PostBody& post) {
  int64_t sum = 0;
  for (const Posting& posting : post.postings) {
    if (posting.account.starts_with("account:") && posting.amount > 0) sum += posting.amount;
  }
  return sum;
}

std::string words_of(const Statement& word) {
  std::string out(to_string(word.kind));
  if (word.kind == RecordKind::lease) {
    if (const auto lease = decode_lease(wrapped(word)))
      out.append(": round ")
          .append(std::to_string(lease.value().round))
          .append(", slot ")
          .append(std::to_string(lease.value().slot))
          .append(", shares ")
          .append(std::to_string(lease.value().shares()));
  } else if (word.kind == RecordKind::share) {
    if (const auto share = decode_share(wrapped(word)))
      out.append(" ").append(std::to_string(share.value().index));
  } else if (word.kind == RecordKind::verdict) {
    if (const auto verdict = decode_verdict(wrapped(word)))
      out.append(" on share ")
          .append(std::to_string(verdict.value().index))
          .append(": ")
          .append(to_string(verdict.value().outcome))
          .append(", by ")
          .append(short_id(verdict.value().auditor_key));
  } else if (word.kind == RecordKind::close) {
    if (const auto close = decode<CloseBody>(word.body))
      out.append(": ").append(to_string(close.value().reason));
  } else if (word.kind == RecordKind::draw) {
    if (const auto draw = decode<DrawBody>(word.body))
      out.append(" of batch ")
          .append(std::to_string(draw.value().batch))
          .append(": ")
          .append(to_string(draw.value().reason));
  } else if (word.kind == RecordKind::settle) {
    if (const auto settle = decode<SettleBody>(word.body))
      out.append(" of batch ")
          .append(std::to_string(settle.value().batch))
          .append(": ")
          .append(to_string(settle.value().outcome))
          .append(", leases paid ")
          .append(std::to_string(settle.value().paid));
  } else if (word.kind == RecordKind::post) {
    if (const auto post = decode<PostBody>(word.body))
      out.append(": tokens ").append(std::to_string(paid_to_accounts(post.value())));
  }
  if (has_receipt(word)) out.append(", record ").append(std::to_string(word.receipt.seq));
  return out;
}

}  // namespace gemmine::verifier
