#include "pool/client/uploader.h"

#include <algorithm>
#include <utility>

namespace gemmine::pool {

Uploader::Sending* Uploader::find(const Digest& lease_id, uint64_t challenge) {
  const auto found = std::ranges::find_if(uploads_, [&](const Sending& sending) {
    return sending.lease_id == lease_id && sending.challenge == challenge;
  });
  return found == uploads_.end() ? nullptr : &*found;
}

Status Uploader::send(const Digest& lease_id, uint64_t challenge, const std::string& path,
                      const Digest& root, uint64_t now_ms) {
  if (find(lease_id, challenge) != nullptr) return Ok{};
  auto file = PartReader::open(path, root);
  if (!file) return file.error();
  const uint64_t groups = groups_of(file.value().total_bytes());
  const auto is_delta = [](const Sending& other) { return other.challenge == kDelta; };
  const auto at = challenge == kDelta ? uploads_.end() : std::ranges::find_if(uploads_, is_delta);
  uploads_.insert(at, Sending{.lease_id = lease_id,
                              .challenge = challenge,
                              .file = std::move(file.value()),
                              .groups = groups,
                              .flights = {}});
  go_on(now_ms);
  return Ok{};
}

void Uploader::drop(const Digest& lease_id, uint64_t challenge) {
  std::erase_if(uploads_, [&](Sending& sending) {
    const bool gone = sending.lease_id == lease_id && sending.challenge == challenge;
    if (gone) again(sending);
    return gone;
  });
}

void Uploader::keep_if(
    const std::function<bool(const Digest& lease_id, uint64_t challenge)>& wanted) {
  std::erase_if(uploads_, [&](Sending& sending) {
    const bool gone = !wanted(sending.lease_id, sending.challenge);
    if (gone) again(sending);
    return gone;
  });
}

void Uploader::on_down() {
  uploads_.clear();
  in_flight_ = 0;
  window_ = kUploadWindowMin;
}

// From what the pool has, as if nothing more had been sent.
void Uploader::again(Sending& sending) {
  for (const Flight& flight : sending.flights)
    in_flight_ -= flight.bytes;
  sending.flights.clear();
  sending.sent = sending.had;
}

// What the pool has by now is no longer on its way.
void Uploader::land(Sending& sending, uint64_t now_ms) {
  while (!sending.flights.empty() && sending.flights.front().end <= sending.had) {
    const Flight flight = sending.flights.front();
    sending.flights.pop_front();
    in_flight_ -= flight.bytes;
    const uint64_t took_ms = now_ms - std::min(now_ms, flight.sent_ms);
    if (took_ms <= kUploadQuickMs) window_ = std::min(kUploadWindowMax, window_ + flight.bytes);
    if (took_ms > kUploadLateMs) window_ = std::max(kUploadWindowMin, window_ / 2);
  }
}

// False when nothing more of it can be sent now, or the uploads have changed.
bool Uploader::send_next(Sending& sending, uint64_t now_ms) {
  if (sending.sent == sending.groups || now_ms < sending.wait_until_ms) return false;
  const GroupRange range = next_part(sending.sent, sending.file.total_bytes());
  const size_t bytes = range.bytes(sending.file.total_bytes());
  if (in_flight_ > 0 && in_flight_ + bytes > window_) return false;
  auto part = sending.file.part(range);
  if (!part) {
    const Digest lease_id = sending.lease_id;
    const uint64_t challenge = sending.challenge;
    drop(lease_id, challenge);
    owner_.on_refused(lease_id, challenge, part.error().detail);
    return false;
  }
  const uint32_t seq =
      sink_.send(Upload{sending.lease_id, sending.challenge, std::move(part.value())});
  if (seq == 0) return false;
  sending.sent += range.count;
  sending.flights.push_back({seq, sending.sent, bytes, now_ms});
  in_flight_ += bytes;
  return true;
}

void Uploader::go_on(uint64_t now_ms) {
  const size_t before = uploads_.size();
  for (Sending& sending : uploads_) {
    while (sink_.ready() && sink_.queued_bytes() < kUploadQueuedMax) {
      if (!send_next(sending, now_ms)) break;
    }
    if (uploads_.size() != before) return;  // one went away, and its owner was told
    // One after the other: an answer that waits for the window goes before the rest.
    if (sending.sent < sending.groups && now_ms >= sending.wait_until_ms) return;
  }
}

void Uploader::on_have(const Have& have, uint64_t now_ms) {
  Sending* const sending = find(have.lease_id, have.challenge);
  if (sending == nullptr || have.groups > sending->groups) return;
  const bool lost = have.groups < sending->had;
  sending->had = have.groups;
  land(*sending, now_ms);
  if (lost || sending->sent < sending->had) again(*sending);
  if (have.challenge != kDelta && sending->had == sending->groups) {
    drop(have.lease_id, have.challenge);
    owner_.on_sent(have.lease_id, have.challenge);
  }
  go_on(now_ms);
}

bool Uploader::on_error(const ErrorMessage& error, uint64_t now_ms) {
  const auto ours = std::ranges::find_if(uploads_, [&](const Sending& sending) {
    // What the pool finds wrong with a whole delta answers no frame.
    const bool whole = sending.challenge == kDelta && sending.had == sending.groups;
    if (error.seq == 0) return error.code == WireError::bad_delta && whole;
    return std::ranges::find(sending.flights, error.seq, &Flight::seq) != sending.flights.end();
  });
  if (ours == uploads_.end()) return false;
  switch (error.code) {
    case WireError::busy:
    case WireError::too_many:
    case WireError::internal:
    case WireError::out_of_order:  // a part before it was not taken, or the last share is not yet
      again(*ours);
      ours->wait_until_ms = now_ms + std::clamp<uint64_t>(error.retry_after_ms, 200, 60'000);
      break;
    default: {
      const Digest lease_id = ours->lease_id;
      const uint64_t challenge = ours->challenge;
      drop(lease_id, challenge);
      owner_.on_refused(lease_id, challenge,
                        std::string(to_string(error.code)) + ": " + error.text);
    }
  }
  go_on(now_ms);
  return true;
}

void Uploader::on_tick(uint64_t now_ms) {
  for (Sending& sending : uploads_) {
    const bool stalled =
        !sending.flights.empty() && now_ms >= sending.flights.front().sent_ms + kUploadStallMs;
    if (stalled) again(sending);
  }
  go_on(now_ms);
}

}  // namespace gemmine::pool
