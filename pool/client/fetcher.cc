#include "pool/client/fetcher.h"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace gemmine::pool {

namespace {

// A stranger chooses the address, and it may be that of anything.
Error other_length(const Digest& address, uint64_t has, uint64_t wanted) {
  return {Errc::invalid, "blob " + to_hex(address.bytes) + " has " + std::to_string(has) +
                             " bytes; what the pool names it for has " + std::to_string(wanted)};
}

// What the file holds, when its hash is the address. Nothing: there is none, or another one.
Result<std::optional<Bytes>> cached_bytes(const std::string& path, const Digest& address,
                                          uint64_t bytes) {
  const auto file = PieceFile::open(path);
  if (!file) return std::optional<Bytes>{};
  Bytes out;
  const bool fits = file.value().size() && file.value().size().value() == bytes;
  const auto tree = hash_file(file.value(), [&](uint64_t, ByteView piece) {
    if (fits) out.insert(out.end(), piece.begin(), piece.end());
    return Status(Ok{});
  });
  if (!tree || tree.value().root() != address) return std::optional<Bytes>{};
  if (!fits) return other_length(address, tree.value().total_bytes(), bytes);
  return std::optional<Bytes>(std::move(out));
}

Result<Bytes> finish_file(PartWriter& file, const std::string& to, uint64_t bytes) {
  Bytes out;
  out.reserve(bytes);
  const Status done = file.finish(to, [&](uint64_t, ByteView piece) {
    out.insert(out.end(), piece.begin(), piece.end());
    return Status(Ok{});
  });
  if (!done) return done.error();
  return out;
}

}  // namespace

Fetcher::Fetcher(Loop& loop, MessageSink& sink, std::string folder, OnProgress on_progress)
    : sink_(sink),
      folder_(std::move(folder)),
      on_progress_(std::move(on_progress)),
      retry_(loop, [this] { ask_again(); }),
      side_(loop) {}

std::string Fetcher::path(const Digest& address) const {
  return folder_ + "/" + to_hex(address.bytes);
}

void Fetcher::fetch(const Digest& address, uint64_t bytes, OnDone on_done) {
  GEMMINE_CHECK(bytes <= kBlobBytesMax);
  const auto [at, fresh] = fetches_.try_emplace(address);
  at->second.waiting.push_back(std::move(on_done));
  if (!fresh) return;
  at->second.bytes = bytes;
  look_in_cache(address, bytes);
}

void Fetcher::look_in_cache(const Digest& address, uint64_t bytes) {
  side_.post([path = path(address), address, bytes] { return cached_bytes(path, address, bytes); },
             [this, address](Result<std::optional<Bytes>> found) {
               if (!found) return finish(address, found.error());
               if (found.value()) return finish(address, std::move(*found.value()));
               fetches_.at(address).stage = Stage::waiting;
               line_.push_back(address);
               begin_waiting();
             });
}

void Fetcher::begin_waiting() {
  while (!line_.empty() && loading_ < kFetchesAtOnceMax) {
    const Digest address = line_.front();
    line_.pop_front();
    Fetch& fetch = fetches_.at(address);
    auto file = PartWriter::open(part_path(path(address)), address, fetch.bytes);
    fetch.stage = Stage::loading;
    ++loading_;
    if (!file) {
      finish(address, file.error());
      continue;
    }
    fetch.file.emplace(std::move(file.value()));
    fetch.asked = fetch.file->groups();
    if (fetch.file->whole()) {
      check(address, fetch);
    } else {
      ask_more(address, fetch);
    }
  }
}

void Fetcher::ask_more(const Digest& address, Fetch& fetch) {
  while (sink_.ready() && fetch.asked < groups_of(fetch.bytes) &&
         fetch.frames.size() < kPartsInFlightMax) {
    const GroupRange range = next_part(fetch.asked, fetch.bytes);
    const uint32_t seq = sink_.send(GetBlob{address, range.first, range.count});
    if (seq == 0) return;  // the connection is going; on_ready asks again
    fetch.frames[seq] = range.first;
    fetch.asked += range.count;
  }
}

void Fetcher::on_ready() {
  for (auto& [address, fetch] : fetches_) {
    fetch.frames.clear();
    fetch.disturbed = false;
  }
  ask_again();
}

void Fetcher::ask_again() {
  for (auto& [address, fetch] : fetches_) {
    if (fetch.stage != Stage::loading || !fetch.frames.empty()) continue;
    fetch.asked = fetch.file->groups();
    ask_more(address, fetch);
  }
}

void Fetcher::on_blob(const BlobPart& blob) {
  const auto found = fetches_.find(blob.address);
  if (found == fetches_.end() || found->second.stage != Stage::loading) return;
  Fetch& fetch = found->second;
  const GroupRange range = range_of(blob.part);
  // What follows a part that the pool was too busy for is asked for again after it.
  if (fetch.disturbed && range.is_in(fetch.bytes) && range.first > fetch.file->groups()) return;
  if (blob.part.total_bytes != fetch.bytes)
    return finish(blob.address, other_length(blob.address, blob.part.total_bytes, fetch.bytes));
  if (const Status taken = fetch.file->take(blob.part); !taken)
    return finish(blob.address, taken.error());
  std::erase_if(fetch.frames,
                [&](const auto& frame) { return frame.second == blob.part.first_group; });
  on_progress_(blob.address,
               {std::min(fetch.bytes, fetch.file->groups() * kGroupBytes), fetch.bytes});
  if (fetch.file->whole()) return check(blob.address, fetch);
  ask_more(blob.address, fetch);
}

// The file is whole: read again, away from the loop.
void Fetcher::check(const Digest& address, Fetch& fetch) {
  fetch.stage = Stage::checking;
  --loading_;
  side_.post([file = std::move(*fetch.file), to = path(address),
              bytes = fetch.bytes]() mutable { return finish_file(file, to, bytes); },
             [this, address](const Result<Bytes>& done) { finish(address, done); });
  fetch.file.reset();
  begin_waiting();
}

void Fetcher::on_error(const ErrorMessage& error) {
  for (auto& [address, fetch] : fetches_) {
    const auto frame = fetch.frames.find(error.seq);
    if (frame == fetch.frames.end()) continue;
    if (error.code == WireError::unknown_blob)
      return finish(address, Error{Errc::invalid, "the pool has no such blob: " + error.text});
    fetch.frames.clear();
    fetch.disturbed = true;
    return retry_.start(std::clamp<uint64_t>(error.retry_after_ms, 200, 60'000));
  }
}

void Fetcher::finish(const Digest& address, const Result<Bytes>& result) {
  const auto node = fetches_.extract(address);
  if (node.empty()) return;
  if (node.mapped().stage == Stage::loading) --loading_;
  // Only what the pool sent wrong is thrown away; a cut download goes on later.
  if (!result && result.error().code != Errc::io) remove_file(part_path(path(address)));
  for (const OnDone& on_done : node.mapped().waiting)
    on_done(result);
  begin_waiting();
}

}  // namespace gemmine::pool
