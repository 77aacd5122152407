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

Result<Bytes> finish_file(PartWriter& file, const std::string& to, uint64_t bytes, bool read) {
  Bytes out;
  if (!read) {
    const Status done = file.finish(to);
    return done ? Result<Bytes>(std::move(out)) : done.error();
  }
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
    : loop_(loop),
      sink_(sink),
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

void Fetcher::bring(const Digest& address, MayTake may_take, OnDone on_done) {
  const auto [at, fresh] = fetches_.try_emplace(address);
  at->second.waiting.push_back(std::move(on_done));
  if (!fresh) return;
  at->second.may_take = std::move(may_take);
  at->second.stage = Stage::waiting;
  line_.push_back(address);
  begin_waiting();
}

void Fetcher::use_relay(const HttpAddress& relay,
                        std::function<void(const std::string& reason, uint64_t retry_ms)> on_lost,
                        std::function<void()> on_back) {
  relay_ = std::make_unique<RelayClient>(
      loop_, relay,
      RelayClient::Owner{.on_part = [this](const Digest& address, const Part& part) -> Status {
                           Fetch& fetch = fetches_.at(address);
                           const Status taken = fetch.file->take(part);
                           if (!taken && taken.error().code == Errc::io)
                             finish(address, taken.error());
                           if (taken) take_notice(address, fetch);
                           return taken;
                         },
                         .on_left =
                             [this](const Digest& address) {
                               Fetch& fetch = fetches_.at(address);
                               fetch.relayed = false;
                               fetch.asked = fetch.file->groups();
                               ask_more(address, fetch);
                             },
                         .on_lost = std::move(on_lost),
                         .on_back = std::move(on_back)});
}

void Fetcher::begin_waiting() {
  while (!line_.empty() && loading_ < kFetchesAtOnceMax) {
    const Digest address = line_.front();
    line_.pop_front();
    Fetch& fetch = fetches_.at(address);
    ++loading_;
    if (fetch.may_take) {
      fetch.stage = Stage::measuring;
      measure(address, fetch);
    } else {
      load(address, fetch);
    }
  }
}

// Its first group says how long it is.
void Fetcher::measure(const Digest& address, Fetch& fetch) {
  if (!sink_.ready() || !fetch.frames.empty()) return;
  const uint32_t seq = sink_.send(GetBlob{address, 0, 1});
  if (seq != 0) fetch.frames[seq] = 0;
}

void Fetcher::on_measured(const BlobPart& blob, Fetch& fetch) {
  fetch.frames.clear();
  const uint64_t bytes = blob.part.total_bytes;
  Status may = bytes <= kBlobBytesMax
                   ? check_part(blob.part, blob.address, bytes)
                   : Status(Error{Errc::invalid, "the pool has a blob that is too long"});
  if (may) may = fetch.may_take(bytes);
  if (!may) return finish(blob.address, may.error());
  fetch.bytes = bytes;
  load(blob.address, fetch);
}

// From where its file stopped, of the relay or the pool.
void Fetcher::load(const Digest& address, Fetch& fetch) {
  auto file = PartWriter::open(part_path(path(address)), address, fetch.bytes);
  fetch.stage = Stage::loading;
  if (!file) return finish(address, file.error());
  fetch.file.emplace(std::move(file.value()));
  fetch.asked = fetch.file->groups();
  if (fetch.file->whole()) return check(address, fetch);
  fetch.relayed = relay_ != nullptr && relay_->usable();
  if (fetch.relayed) {
    relay_->get(address, fetch.bytes, fetch.file->groups());
  } else {
    ask_more(address, fetch);
  }
}

void Fetcher::ask_more(const Digest& address, Fetch& fetch) {
  while (!fetch.relayed && sink_.ready() && fetch.asked < groups_of(fetch.bytes) &&
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
    if (fetch.stage == Stage::measuring) measure(address, fetch);
    if (fetch.stage != Stage::loading || !fetch.frames.empty()) continue;
    fetch.asked = fetch.file->groups();
    ask_more(address, fetch);
  }
}

void Fetcher::on_blob(const BlobPart& blob) {
  const auto found = fetches_.find(blob.address);
  if (found == fetches_.end()) return;
  Fetch& fetch = found->second;
  if (fetch.stage == Stage::measuring) return on_measured(blob, fetch);
  if (fetch.stage != Stage::loading || fetch.relayed) return;
  const GroupRange range = range_of(blob.part);
  // What follows a part that the pool was too busy for is asked for again after it.
  if (fetch.disturbed && range.is_in(fetch.bytes) && range.first > fetch.file->groups()) return;
  if (blob.part.total_bytes != fetch.bytes)
    return finish(blob.address, other_length(blob.address, blob.part.total_bytes, fetch.bytes));
  if (const Status taken = fetch.file->take(blob.part); !taken)
    return finish(blob.address, taken.error());
  std::erase_if(fetch.frames,
                [&](const auto& frame) { return frame.second == blob.part.first_group; });
  if (take_notice(blob.address, fetch)) ask_more(blob.address, fetch);
}

// A part came. True while more of the blob is to come.
bool Fetcher::take_notice(const Digest& address, Fetch& fetch) {
  on_progress_(address, {std::min(fetch.bytes, fetch.file->groups() * kGroupBytes), fetch.bytes});
  if (!fetch.file->whole()) return true;
  check(address, fetch);
  return false;
}

// The file is whole: read again, away from the loop.
void Fetcher::check(const Digest& address, Fetch& fetch) {
  fetch.stage = Stage::checking;
  fetch.relayed = false;
  --loading_;
  side_.post([file = std::move(*fetch.file), to = path(address), bytes = fetch.bytes,
              read = !fetch.may_take]() mutable { return finish_file(file, to, bytes, read); },
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
  const Fetch& fetch = node.mapped();
  if (fetch.stage == Stage::loading || fetch.stage == Stage::measuring) --loading_;
  if (fetch.relayed) relay_->drop(address);
  // Only what the pool sent wrong is thrown away; a cut download goes on later.
  if (!result && result.error().code != Errc::io) remove_file(part_path(path(address)));
  for (const OnDone& on_done : fetch.waiting)
    on_done(result);
  begin_waiting();
}

}  // namespace gemmine::pool
