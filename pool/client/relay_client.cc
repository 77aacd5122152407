#include "pool/client/relay_client.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/base/random.h"
#include "pool/blobs/tree_file.h"

namespace gemmine::pool {
namespace {

// A crowd that waits for one blob does not ask in one instant.
uint64_t random_u64() {
  const Digest digest = random_digest();
  uint64_t out = 0;
  std::memcpy(&out, digest.bytes.data(), sizeof out);
  return out;
}

// A relay's own words, for our log: what it answered, and what was expected.
std::string unexpected(const HttpHead& head, const char* what) {
  return "it answered " + std::to_string(head.status) + " to a request for " + what;
}

}  // namespace

RelayClient::Download::Download(RelayClient& client, const Digest& of, uint64_t total,
                                uint64_t from_group)
    : address(of),
      bytes(total),
      groups(from_group),
      ask(client.loop_, [this, &client] { client.ask(*this); }),
      window(client.loop_, [this, &client] { client.on_window(*this); }) {}

RelayClient::RelayClient(Loop& loop, HttpAddress relay, Owner owner)
    : loop_(loop), relay_(std::move(relay)), owner_(std::move(owner)), reaper_(loop, [this] {
        downloads_.remove_if([](const Download& download) { return download.over; });
      }) {}

bool RelayClient::usable() const {
  return upstream_.next(loop_.now_ms()).value().wait_ms == 0;
}

void RelayClient::get(const Digest& address, uint64_t bytes, uint64_t from_group) {
  GEMMINE_CHECK(bytes <= kBlobBytesMax && from_group < groups_of(bytes));
  Download& download = downloads_.emplace_back(*this, address, bytes, from_group);
  download.window.start(kRelayWindowMs, kRelayWindowMs);
  ask(download);
}

void RelayClient::drop(const Digest& address) {
  for (Download& download : downloads_) {
    if (download.address == address && !download.over) retire(download);
  }
}

void RelayClient::ask(Download& download) {
  if (download.over) return;
  download.gathered.clear();
  const bool tree = groups_of(download.bytes) > 1 && !download.tree;
  const uint64_t at = download.groups * kGroupBytes;
  const std::string range = tree || at == 0 ? "" : "bytes=" + std::to_string(at) + "-";
  download.request = std::make_unique<HttpGet>(
      loop_, relay_, blob_url({download.address, tree}), range,
      HttpGet::Hooks{
          .on_head = [this, &download](const HttpHead& head) { on_head(download, head); },
          .on_body = [this, &download](ByteView bytes) { on_body(download, bytes); },
          .on_end = [this, &download](const Status& status) { on_end(download, status); }});
}

void RelayClient::on_head(Download& download, const HttpHead& head) {
  const bool tree = groups_of(download.bytes) > 1 && !download.tree;
  const uint64_t at = download.groups * kGroupBytes;
  download.coming = head.status == 503;
  if (download.coming) {
    download.request->stop();
    // What it claims to have counts up to the blob's size, and never twice.
    if (head.have && *head.have <= download.bytes)
      download.progress = std::max(download.progress, *head.have);
    return download.ask.start(kRelayAskMs / 2 + random_u64() % kRelayAskMs);
  }
  if (head.status == 404) return leave(download, Fault::none, "");
  const char* const what = tree ? "a tree" : "a blob";
  if (tree || at == 0) {
    if (head.status != 200) return leave(download, Fault::gone, unexpected(head, what));
    const uint64_t expected = tree ? groups_of(download.bytes) * sizeof(Digest) : download.bytes;
    if (head.length != expected)
      return leave(download, Fault::wrong, "it sends another length than this blob has");
    return;
  }
  if (head.status != 206) return leave(download, Fault::gone, unexpected(head, "a part of a blob"));
  const HttpHead::Range expected{at, download.bytes - 1, download.bytes};
  if (head.range != expected || head.length != download.bytes - at)
    leave(download, Fault::wrong, "it sends another part than the one asked for");
}

void RelayClient::on_body(Download& download, ByteView bytes) {
  download.progress += bytes.size();
  download.gathered.insert(download.gathered.end(), bytes.begin(), bytes.end());
  if (groups_of(download.bytes) == 1 || download.tree) take_parts(download);
}

void RelayClient::on_end(Download& download, const Status& status) {
  if (!status) {
    const bool wrong = status.error().code == Errc::malformed;
    return leave(download, wrong ? Fault::wrong : Fault::gone, status.error().detail);
  }
  if (groups_of(download.bytes) == 1 || download.tree) return take_parts(download);
  if (take_tree(download)) download.ask.start(0);  // the request that ends here is still in use
}

bool RelayClient::take_tree(Download& download) {
  std::vector<Digest> groups(groups_of(download.bytes));
  GEMMINE_CHECK(download.gathered.size() == groups.size() * sizeof(Digest));
  std::memcpy(groups.data(), download.gathered.data(), download.gathered.size());
  auto tree = kernels::ChunkTree::from_groups(kernels::Blake3Mode::plain(), download.bytes,
                                              std::move(groups));
  if (tree.root() != download.address) {
    leave(download, Fault::wrong, "it sends the tree of another blob");
    return false;
  }
  download.tree.emplace(std::move(tree));
  return true;
}

void RelayClient::take_parts(Download& download) {
  const uint64_t all = groups_of(download.bytes);
  while (!download.over && download.groups < all) {
    const GroupRange range = next_part(download.groups, download.bytes);
    const uint64_t size = range.bytes(download.bytes);
    if (download.gathered.size() < size) return;
    Part part{download.bytes, range.first, range.count, {}, {}};
    if (download.tree) {
      const kernels::ChunkRange chunks = range.chunks(download.bytes);
      auto siblings = download.tree->open(std::span(&chunks, 1));
      GEMMINE_CHECK(siblings.ok());  // whole groups
      part.siblings = std::move(siblings.value());
    }
    const auto end = download.gathered.begin() + static_cast<ptrdiff_t>(size);
    part.bytes.assign(download.gathered.begin(), end);
    download.gathered.erase(download.gathered.begin(), end);
    const Status taken = owner_.on_part(download.address, part);
    if (download.over) return;
    if (!taken) return leave(download, Fault::wrong, "it sends other bytes than this blob has");
    download.groups += range.count;
  }
  if (download.over) return;
  retire(download);
  upstream_ = Upstreams(1);
  if (std::exchange(told_, false)) owner_.on_back();
}

void RelayClient::on_window(Download& download) {
  if (download.over) return;
  const uint64_t least = download.coming ? kRelayComeMin : kRelaySendMin;
  if (download.progress - download.progress_then < least * kRelayWindowMs / 1'000)
    return leave(download, Fault::gone, "it is too slow");
  download.progress_then = download.progress;
}

void RelayClient::leave(Download& download, Fault fault, const std::string& reason) {
  if (download.over) return;
  retire(download);
  const uint64_t now = loop_.now_ms();
  if (fault != Fault::none && usable()) {  // several downloads that end at once are one loss
    if (fault == Fault::wrong) {
      upstream_.refused(0, now);
    } else {
      upstream_.lost(0, 0, 0, now, random_u64());
    }
    if (!std::exchange(told_, true)) owner_.on_lost(reason, upstream_.next(now).value().wait_ms);
  }
  owner_.on_left(download.address);
}

void RelayClient::retire(Download& download) {
  download.over = true;
  download.ask.stop();
  download.window.stop();
  if (download.request) download.request->stop();
  reaper_.start(0);
}

}  // namespace gemmine::pool
