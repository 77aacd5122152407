#include "pool/server/watchers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernels/base/check.h"
#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

Bytes payload_of(const verifier::SignedRecord& record) {
  return encode(RecordMessage{record.receipt(), record.kind, record.body});
}

}  // namespace

Watchers::Watchers(Port port, uint64_t durable) : port_(std::move(port)), durable_(durable) {
  GEMMINE_CHECK(port_.queued_bytes && port_.send && port_.read);
}

void Watchers::watch(ConnId id, uint64_t first) {
  Follower& follower = followers_[id];
  follower.next = first;
  follower.failed = false;
}

void Watchers::forget(ConnId id) {
  followers_.erase(id);
}

void Watchers::on_durable(std::vector<verifier::SignedRecord> records) {
  for (verifier::SignedRecord& record : records) {
    GEMMINE_CHECK(record.seq == durable_);
    ++durable_;
    tail_bytes_ += record.body.size();
    tail_.push_back(std::move(record));
  }
  trim_tail();
}

void Watchers::trim_tail() {
  while (tail_.size() > kTailRecordsMax || (tail_.size() > 1 && tail_bytes_ > kTailBytesMax)) {
    tail_bytes_ -= tail_.front().body.size();
    tail_.pop_front();
  }
}

void Watchers::on_read(ConnId id, uint64_t first,
                       const std::vector<verifier::SignedRecord>& records) {
  GEMMINE_CHECK(reads_ > 0);
  --reads_;
  const auto found = followers_.find(id);
  if (found == followers_.end()) return;
  Follower& follower = found->second;
  follower.reading = false;
  if (follower.next != first) return;  // it asked to start elsewhere meanwhile
  follower.failed = records.empty();
  if (records.empty()) return;
  std::vector<Bytes> payloads;
  for (const verifier::SignedRecord& record : records) {
    GEMMINE_CHECK(record.seq == follower.next);
    payloads.push_back(payload_of(record));
    ++follower.next;
  }
  port_.send(id, payloads);
}

bool Watchers::caught_up() const {
  return std::ranges::all_of(followers_,
                             [this](const auto& each) { return each.second.next >= durable_; });
}

void Watchers::retry() {
  for (auto& [id, follower] : followers_)
    follower.failed = false;
}

bool Watchers::wants(ConnId id, const Follower& follower) const {
  return follower.next < durable_ && !follower.reading && !follower.failed &&
         port_.queued_bytes(id) < kWatchAheadMax;
}

bool Watchers::turn() {
  std::vector<ConnId> waiting;  // in turn: those after the one served last come first
  const auto middle = followers_.upper_bound(last_served_);
  const auto collect = [&](auto from, auto to) {
    for (; from != to; ++from) {
      if (wants(from->first, from->second)) waiting.push_back(from->first);
    }
  };
  collect(middle, followers_.end());
  collect(followers_.begin(), middle);
  const size_t count = std::min(waiting.size(), kWatchTurnMax);
  for (size_t i = 0; i < count; ++i)
    serve(waiting[i], followers_.at(waiting[i]));
  // Whoever waits for a read only is served again when it has come.
  return std::ranges::any_of(waiting, [&](ConnId id) {
    const Follower& follower = followers_.at(id);
    return wants(id, follower) &&
           (follower.next >= durable_ - tail_.size() || reads_ < kWatchReadsMax);
  });
}

void Watchers::serve(ConnId id, Follower& follower) {
  if (follower.next >= durable_ - tail_.size()) {
    send_tail(id, follower);
  } else if (reads_ < kWatchReadsMax) {
    ++reads_;
    follower.reading = true;
    port_.read(id, follower.next);
  } else {
    return;
  }
  last_served_ = id;
}

void Watchers::send_tail(ConnId id, Follower& follower) {
  const uint64_t first = durable_ - tail_.size();
  GEMMINE_CHECK(follower.next >= first && follower.next < durable_);
  std::vector<Bytes> payloads;
  size_t bytes = 0;
  while (follower.next < durable_ && payloads.size() < kWatchRecordsMax && bytes < kWatchBytesMax) {
    payloads.push_back(payload_of(tail_[follower.next - first]));
    bytes += payloads.back().size();
    ++follower.next;
  }
  port_.send(id, payloads);
}

}  // namespace gemmine::pool
