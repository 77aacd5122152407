// Double entry: what each cause moves between accounts (PROTOCOL 8.4).
#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr uint64_t kTera = 1'000'000'000'000;
constexpr uint64_t kMillion = 1'000'000;

}  // namespace

std::string escrow_account(const Digest& job_id) {
  return "escrow:" + to_hex(job_id.view());
}

int64_t balance(const LedgerData& data, const std::string& account) {
  const auto found = data.accounts.find(account);
  return found == data.accounts.end() ? 0 : found->second;
}

std::optional<uint64_t> gross_of(uint64_t price_per_tmac, uint64_t macs) {
  const Wide gross = Wide{price_per_tmac} * macs / kTera;
  if (gross > Wide{INT64_MAX}) return std::nullopt;
  return static_cast<uint64_t>(gross);
}

void PostingSheet::add(const std::string& account, int64_t amount) {
  int64_t& sum = sums_[account];
  overflow_ |= __builtin_add_overflow(sum, amount, &sum);
}

void PostingSheet::move(const std::string& from, const std::string& to, int64_t amount) {
  GEMMINE_CHECK(amount >= 0);
  add(from, -amount);
  add(to, amount);
}

Result<std::optional<PendingPost>> PostingSheet::settle(const LedgerData& data,
                                                        uint64_t cause) const {
  if (overflow_) return invalid("an amount overflows");
  PendingPost out;
  for (const auto& [account, amount] : sums_) {
    if (amount == 0) continue;
    int64_t after = 0;
    if (__builtin_add_overflow(balance(data, account), amount, &after))
      return invalid("the balance of " + account + " overflows");
    if (after < 0 && account != kExternal)
      return invalid("the balance of " + account + " falls below 0");
    out.postings.push_back({account, amount});
  }
  if (out.postings.empty()) return std::optional<PendingPost>{};
  if (out.postings.size() > UINT16_MAX) return invalid("the post has more than 65535 entries");
  out.body = encode(PostBody{cause, out.postings});
  if (out.body.size() > kRecordBytesMax) return invalid("the post exceeds a record");
  return std::optional<PendingPost>{std::move(out)};
}

void post_paid(PostingSheet& sheet, const LedgerData& data, const JobState& job,
               const LeaseState& lease) {
  const auto gross = static_cast<int64_t>(job.gross_per_lease);
  const auto fee =
      static_cast<int64_t>(Wide{job.gross_per_lease} * job.work.job().fee_ppm / kMillion);
  GEMMINE_CHECK(fee >= 0 && fee <= gross);
  GEMMINE_CHECK(account_ok(lease.account));
  const std::string from = escrow_account(job.work.id());
  sheet.move(from, "fee:" + data.fee_account, fee);
  sheet.move(from, "account:" + lease.account, gross - fee);
}

Status apply_post(LedgerData& data, const Record& record) {
  if (!data.pending) return invalid("nothing is to be posted");
  if (record.body != data.pending->body) return invalid("the post differs from what must follow");
  for (const Posting& posting : data.pending->postings)
    data.accounts[posting.account] += posting.amount;  // settle() saw that it fits
  data.pending.reset();
  return Ok{};
}

}  // namespace gemmine::verifier
