#include "pool/server/disk.h"

#include <utility>
#include <variant>

namespace gemmine::pool {

Result<std::unique_ptr<Disk>> Disk::start(Loop& loop, const std::string& blobs, Peers peers,
                                          std::function<void(const DiskDone&)> on_done,
                                          std::function<uint64_t()> now) {
  auto intake = Intake::open(blobs);
  if (!intake) return intake.error();
  // Private constructor: make_unique cannot see it.
  return std::unique_ptr<Disk>(new Disk(loop, std::move(intake.value()), blobs, std::move(peers),
                                        std::move(on_done), std::move(now)));
}

Disk::Disk(Loop& loop, Intake intake, const std::string& blobs, Peers peers,
           std::function<void(const DiskDone&)> on_done, std::function<uint64_t()> now)
    : on_done_(std::move(on_done)),
      now_(std::move(now)),
      intake_(std::move(intake)),
      reader_(blobs),
      server_({.queued_bytes = std::move(peers.queued_bytes),
               .received_bytes = std::move(peers.received_bytes),
               .address = std::move(peers.address),
               .read = [this](ConnId id, uint32_t seq,
                              const GetBlob& get) { read(id, seq, get, true); },
               .send = std::move(peers.send),
               .refuse = std::move(peers.refuse),
               .hang_up = std::move(peers.hang_up)}),
      quick_(loop),
      slow_(loop) {}

void Disk::post(DiskTask task) {
  const bool half_delta = std::holds_alternative<DropUpload>(task);
  const bool slow = std::holds_alternative<FinishDelta>(task) ||
                    std::holds_alternative<FinishAnswer>(task) ||
                    std::holds_alternative<DropBlobs>(task);
  // On the heap: g++ 12 sees uninitialised members in a variant that moves through lambdas.
  auto kept = std::make_unique<DiskTask>(std::move(task));
  if (!half_delta) return post_to(slow ? slow_ : quick_, std::move(kept));
  // Behind the parts that are on their way to the file, then behind its end.
  quick_.post([kept = std::move(kept)]() mutable { return std::move(kept); },
              [this](std::unique_ptr<DiskTask> half) { post_to(slow_, std::move(half)); });
}

void Disk::post_to(SideThread& thread, std::unique_ptr<DiskTask> kept) {
  thread.post([this, kept = std::move(kept)] { return intake_.run(*kept); },
              [this](const DiskDone& done) { on_done_(done); });
}

// A blob that somebody put into the folder has no tree: made once, where it delays nobody's parts.
void Disk::read(ConnId id, uint32_t seq, const GetBlob& get, bool may_make_tree) {
  const auto done = [this, id, seq, get](Result<Part> part) {
    server_.on_read(id, seq, get, std::move(part), now_());
  };
  quick_.post([this, get] { return reader_.read(get); },
              [this, id, seq, get, may_make_tree, done](Result<Part> part) {
                const bool no_tree = !part && part.error().code == Errc::undecided;
                if (!no_tree || !may_make_tree) return done(std::move(part));
                slow_.post(
                    [this, get] { return make_tree(reader_.path(get.address), get.address); },
                    [this, id, seq, get, done](const Status& made) {
                      if (!made) return done(made.error());
                      read(id, seq, get, false);
                    });
              });
}

}  // namespace gemmine::pool
