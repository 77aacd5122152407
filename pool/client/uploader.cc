#include "pool/client/uploader.h"

#include <algorithm>
#include <utility>

namespace gemmine::pool {

Uploader::Upload* Uploader::find(const Digest& lease_id, uint32_t share) {
  const auto found = std::ranges::find_if(uploads_, [&](const Upload& upload) {
    return upload.lease_id == lease_id && upload.share == share;
  });
  return found == uploads_.end() ? nullptr : &*found;
}

Status Uploader::send_delta(const Digest& lease_id, const std::string& path, const Digest& root,
                            uint64_t now_ms) {
  if (find(lease_id, kDelta) != nullptr) return Ok{};
  auto file = PartReader::open(path, root);
  if (!file) return file.error();
  Upload upload{.lease_id = lease_id, .file = {}, .openings = {}, .flights = {}};
  upload.units = groups_of(file.value().total_bytes());
  upload.file.emplace(std::move(file.value()));
  begin(std::move(upload), now_ms);
  return Ok{};
}

void Uploader::send_openings(const Digest& lease_id, uint32_t share, std::vector<Bytes> openings,
                             uint64_t now_ms) {
  GEMMINE_CHECK(!openings.empty() && share != kDelta);
  drop(lease_id, share);
  Upload upload{.lease_id = lease_id,
                .share = share,
                .file = {},
                .openings = std::move(openings),
                .flights = {}};
  upload.units = upload.openings.size();
  begin(std::move(upload), now_ms);
}

void Uploader::begin(Upload upload, uint64_t now_ms) {
  const auto is_delta = [](const Upload& other) { return other.share == kDelta; };
  const auto at = is_delta(upload) ? uploads_.end() : std::ranges::find_if(uploads_, is_delta);
  uploads_.insert(at, std::move(upload));
  go_on(now_ms);
}

void Uploader::drop(const Digest& lease_id, uint32_t share) {
  std::erase_if(uploads_, [&](Upload& upload) {
    const bool gone = upload.lease_id == lease_id && upload.share == share;
    if (gone) again(upload);
    return gone;
  });
}

void Uploader::keep_if(const std::function<bool(const Digest& lease_id, uint32_t share)>& wanted) {
  std::erase_if(uploads_, [&](Upload& upload) {
    const bool gone = !wanted(upload.lease_id, upload.share);
    if (gone) again(upload);
    return gone;
  });
}

void Uploader::on_down() {
  uploads_.clear();
  in_flight_ = 0;
  window_ = kUploadWindowMin;
}

// From what the pool has, as if nothing more had been sent.
void Uploader::again(Upload& upload) {
  for (const Flight& flight : upload.flights)
    in_flight_ -= flight.bytes;
  upload.flights.clear();
  upload.sent = upload.had;
}

// What the pool has by now is no longer on its way.
void Uploader::land(Upload& upload, uint64_t now_ms) {
  while (!upload.flights.empty() && upload.flights.front().end <= upload.had) {
    const Flight flight = upload.flights.front();
    upload.flights.pop_front();
    in_flight_ -= flight.bytes;
    const uint64_t took_ms = now_ms - std::min(now_ms, flight.sent_ms);
    if (took_ms <= kUploadQuickMs) window_ = std::min(kUploadWindowMax, window_ + flight.bytes);
    if (took_ms > kUploadLateMs) window_ = std::max(kUploadWindowMin, window_ / 2);
  }
}

// False when nothing more of it can be sent now, or the uploads have changed.
bool Uploader::send_next(Upload& upload, uint64_t now_ms) {
  if (upload.sent == upload.units || now_ms < upload.wait_until_ms) return false;
  const bool delta = upload.share == kDelta;
  const GroupRange range =
      delta ? next_part(upload.sent, upload.file->total_bytes()) : GroupRange{upload.sent, 1};
  const size_t bytes =
      delta ? range.bytes(upload.file->total_bytes()) : upload.openings[upload.sent].size();
  if (in_flight_ > 0 && in_flight_ + bytes > window_) return false;
  uint32_t seq = 0;
  if (delta) {
    auto part = upload.file->part(range);
    if (!part) {
      const Digest lease_id = upload.lease_id;
      drop(lease_id, kDelta);
      owner_.on_refused(lease_id, kDelta, part.error().detail);
      return false;
    }
    seq = sink_.send(DeltaPart{upload.lease_id, std::move(part.value())});
  } else {
    seq =
        sink_.send(OpeningMessage{upload.lease_id, upload.share, static_cast<uint32_t>(upload.sent),
                                  upload.openings[upload.sent]});
  }
  if (seq == 0) return false;
  upload.sent += range.count;
  upload.flights.push_back({seq, upload.sent, bytes, now_ms});
  in_flight_ += bytes;
  return true;
}

void Uploader::go_on(uint64_t now_ms) {
  const size_t before = uploads_.size();
  for (Upload& upload : uploads_) {
    while (sink_.ready() && sink_.queued_bytes() < kUploadQueuedMax) {
      if (!send_next(upload, now_ms)) break;
    }
    if (uploads_.size() != before) return;  // one went away, and its owner was told
    // One after the other: an answer that waits for the window goes before the rest.
    if (upload.sent < upload.units && now_ms >= upload.wait_until_ms) return;
  }
}

void Uploader::on_have(const Have& have, uint64_t now_ms) {
  Upload* const upload = find(have.lease_id, have.share);
  if (upload == nullptr || have.count > upload->units) return;
  const bool lost = have.count < upload->had;
  upload->had = have.count;
  land(*upload, now_ms);
  if (lost || upload->sent < upload->had) again(*upload);
  if (have.share != kDelta && upload->had == upload->units) {
    drop(have.lease_id, have.share);
    owner_.on_answered(have.lease_id, have.share);
  }
  go_on(now_ms);
}

bool Uploader::on_error(const ErrorMessage& error, uint64_t now_ms) {
  const auto ours = std::ranges::find_if(uploads_, [&](const Upload& upload) {
    // What the pool finds wrong with a whole delta answers no frame.
    const bool whole = upload.share == kDelta && upload.had == upload.units;
    if (error.seq == 0) return error.code == WireError::bad_delta && whole;
    return std::ranges::find(upload.flights, error.seq, &Flight::seq) != upload.flights.end();
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
      const uint32_t share = ours->share;
      drop(lease_id, share);
      owner_.on_refused(lease_id, share, std::string(to_string(error.code)) + ": " + error.text);
    }
  }
  go_on(now_ms);
  return true;
}

void Uploader::on_tick(uint64_t now_ms) {
  for (Upload& upload : uploads_) {
    const bool stalled =
        !upload.flights.empty() && now_ms >= upload.flights.front().sent_ms + kUploadStallMs;
    if (stalled) again(upload);
  }
  go_on(now_ms);
}

}  // namespace gemmine::pool
