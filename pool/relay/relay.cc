#include "pool/relay/relay.h"

#include <algorithm>
#include <utility>

#include "kernels/base/check.h"
#include "pool/blobs/piece_file.h"

namespace gemmine::pool {

Relay::Relay(Loop& loop, const verifier::Identity& identity, SessionOptions session,
             RelayOptions options, Events& events)
    : loop_(loop),
      options_(std::move(options)),
      events_(events),
      session_(loop, identity, std::move(session), *this),
      fetcher_(loop, session_, options_.folder,
               [this](const Digest& address, Fetcher::Progress progress) {
                 desk_.progress(address, progress.done);
                 events_.progress("download " + short_hex(address), progress.done, progress.total);
               }),
      shelf_(options_.folder, options_.bytes_max),
      wanted_(loop, kWantedMax, [this](const Digest& address) { on_wanted(address); }),
      // A letter is one of the desk's wanted blobs until it is read, and those are bounded.
      desk_([this](const Digest& address) { GEMMINE_CHECK(wanted_.post(address)); }) {}

Result<std::unique_ptr<Relay>> Relay::make(Loop& loop, const verifier::Identity& identity,
                                           SessionOptions session, RelayOptions options,
                                           Events& events) {
  std::unique_ptr<Relay> out(
      new Relay(loop, identity, std::move(session), std::move(options), events));
  auto server = HttpServer::open(out->options_.listen_address, out->options_.listen_port,
                                 out->options_.folder, out->desk_);
  if (!server) return server.error();
  out->server_ = std::move(server.value());
  return out;
}

void Relay::start() {
  session_.start();
}

void Relay::stop(const std::string& reason) {
  session_.stop(reason);
  loop_.stop();
}

// From the server's thread: a blob that was not in the folder then.
void Relay::on_wanted(const Digest& address) {
  if (PieceFile::open(Shelf::path(options_.folder, address))) return desk_.came(address);
  fetcher_.bring(
      address, [this, address](uint64_t bytes) { return shelf_.make_room(address, bytes); },
      [this, address](const Result<Bytes>& done) {
        on_brought(address, done ? Status(Ok{}) : done.error());
      });
}

void Relay::on_brought(const Digest& address, const Status& done) {
  shelf_.done(address);
  if (done) {
    const auto file = PieceFile::open(Shelf::path(options_.folder, address));
    const auto size = file ? file.value().size() : Result<uint64_t>(file.error());
    if (size) desk_.counts.from_pool += size.value();
    events_.event(
        Level::info, "blob_here",
        {{"address", short_hex(address)}, {"bytes", size ? std::to_string(size.value()) : "0"}});
    return desk_.came(address);
  }
  const bool disk = done.error().code == Errc::io;
  desk_.refused(address, disk ? Desk::Where::no_room : Desk::Where::absent, loop_.now_ms());
  events_.event(Level::warning, "blob_refused",
                {{"address", short_hex(address)}, {"reason", done.error().detail}});
}

void Relay::on_ready(const AuthOk& /*state*/) {
  events_.event(Level::info, "connected", {{"pool", session_.endpoint().text()}});
  desk_.connected(true);
  fetcher_.on_ready();
}

// Only blobs are of interest; a relay has no work, no lease and no opinion.
void Relay::on_message(MessageType type, ByteView payload) {
  struct Blobs {
    Relay& self;
    void operator()(const BlobPart& blob) { self.fetcher_.on_blob(blob); }
  } blobs{*this};
  if (const auto taken = deliver(type, payload, blobs); !taken)
    events_.event(Level::warning, "broken_message", {{"reason", taken.error().detail}});
}

void Relay::on_error(const ErrorMessage& error) {
  fetcher_.on_error(error);
}

void Relay::on_down(const std::string& reason, uint64_t retry_ms) {
  desk_.connected(false);
  events_.event(Level::warning, "disconnected",
                {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
}

void Relay::on_end(SessionEnd end, const std::string& reason) {
  refusal_ = end;
  events_.event(Level::error, "refused", {{"reason", reason}});
  loop_.stop();
}

}  // namespace gemmine::pool
