#include "pool/client/fetcher.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"

namespace gemmine::pool {

namespace {

constexpr uint64_t kPartBytes = kGroupBytes * kGroupsPerPart;

// A stranger chooses the address, and it may be that of anything.
Error other_length(const Digest& address, uint64_t has, uint64_t wanted) {
  return {Errc::invalid, "blob " + to_hex(address.bytes) + " has " + std::to_string(has) +
                             " bytes; what the pool names it for has " + std::to_string(wanted)};
}

}  // namespace

Fetcher::Fetcher(Session& session, std::string folder, OnProgress on_progress)
    : session_(session), folder_(std::move(folder)), on_progress_(std::move(on_progress)) {}

std::string Fetcher::path(const Digest& address) const {
  return folder_ + "/" + to_hex(address.bytes);
}

uint32_t Fetcher::parts(const Fetch& fetch) const {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (fetch.bytes + kPartBytes - 1) / kPartBytes));
}

void Fetcher::fetch(const Digest& address, uint64_t bytes, OnDone on_done) {
  if (auto cached = read_file(path(address), bytes);
      cached && kernels::blake3(cached.value()) == address) {
    const uint64_t has = cached.value().size();
    if (has != bytes) return on_done(other_length(address, has, bytes));
    return on_done(std::move(cached));
  }
  if (const auto found = fetches_.find(address); found != fetches_.end()) {
    found->second.waiting.push_back(std::move(on_done));
    return;
  }
  if (fetches_.size() >= kFetchesMax)
    return on_done(Error{Errc::busy, "too many downloads at once"});
  Fetch& fetch = fetches_[address];
  fetch.bytes = bytes;
  fetch.data.resize(bytes);
  fetch.have.assign(parts(fetch), false);
  fetch.waiting.push_back(std::move(on_done));
  ask_more(address, fetch);
}

void Fetcher::ask_more(const Digest& address, Fetch& fetch) {
  while (session_.ready() && fetch.asked < parts(fetch) &&
         fetch.asked < fetch.received + kPartsInFlight) {
    const uint32_t part = fetch.asked++;
    if (fetch.have[part]) {
      ++fetch.received;
      continue;
    }
    const uint64_t rest = std::max<uint64_t>(1, fetch.bytes) - part * kPartBytes;
    const auto groups =
        static_cast<uint32_t>((std::min(rest, kPartBytes) + kGroupBytes - 1) / kGroupBytes);
    session_.send(GetBlob{address, uint64_t{part} * kGroupsPerPart, groups});
  }
}

void Fetcher::on_ready() {
  for (auto& [address, fetch] : fetches_) {
    fetch.asked = fetch.received = 0;
    ask_more(address, fetch);
  }
}

void Fetcher::on_blob(const BlobPart& blob) {
  const auto found = fetches_.find(blob.address);
  if (found != fetches_.end()) take(blob, found->second);
}

void Fetcher::take(const BlobPart& blob, Fetch& fetch) {
  const auto part = static_cast<uint32_t>(blob.part.first_group / kGroupsPerPart);
  if (blob.part.total_bytes != fetch.bytes)
    return finish(blob.address, other_length(blob.address, blob.part.total_bytes, fetch.bytes));
  if (blob.part.first_group % kGroupsPerPart != 0 || part >= parts(fetch)) {
    return finish(blob.address, Error{Errc::invalid,
                                      "the pool sent another part of a blob than "
                                      "the one asked for"});
  }
  if (fetch.have[part]) return;  // asked for twice, around a reconnect
  const uint64_t first_chunk = blob.part.first_group * (kGroupBytes / 1024);
  const uint64_t chunks = std::max<uint64_t>(1, (fetch.bytes + 1023) / 1024);
  const kernels::ChunkRange range{first_chunk, std::min(chunks, first_chunk + kPartBytes / 1024)};
  const auto checked =
      kernels::verify_chunks(blob.address, kernels::Blake3Mode::plain(), fetch.bytes,
                             std::span(&range, 1), blob.part.bytes, blob.part.siblings);
  if (!checked) return finish(blob.address, checked.error());
  std::copy(blob.part.bytes.begin(), blob.part.bytes.end(),
            fetch.data.begin() + static_cast<ptrdiff_t>(part * kPartBytes));
  fetch.have[part] = true;
  ++fetch.received;
  on_progress_(blob.address, {std::min(fetch.bytes, fetch.received * kPartBytes), fetch.bytes});
  if (fetch.received < parts(fetch)) return ask_more(blob.address, fetch);
  const auto kept = write_durable(path(blob.address), fetch.data);
  if (!kept) return finish(blob.address, kept.error());
  finish(blob.address, std::move(fetch.data));
}

void Fetcher::on_error(const ErrorMessage& error) {
  if (error.code != WireError::unknown_blob) return;
  while (!fetches_.empty())
    finish(fetches_.begin()->first,
           Error{Errc::invalid, "the pool has no such blob: " + error.text});
}

void Fetcher::finish(const Digest& address, const Result<Bytes>& result) {
  const auto node = fetches_.extract(address);
  if (node.empty()) return;
  for (const OnDone& on_done : node.mapped().waiting)
    on_done(result);
}

}  // namespace gemmine::pool
