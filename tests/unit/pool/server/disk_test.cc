// Two threads, one order for each file.
#include "pool/server/disk.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/merge/delta.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kParameters = uint64_t{64} << 20;  // its hash takes a while

// The lease ends while its delta becomes a blob: the file is not taken away meanwhile, and the blob
// goes after it, with its tree.
TEST(DiskThreads, DropWhatIsBecomingABlobBehindIt) {
  const TempDirectory folder;
  Loop loop = std::move(Loop::make().value());
  std::vector<DiskDone> done;
  auto disk = Disk::start(
      loop, folder.path(), {},
      [&](const DiskDone& each) {
        done.push_back(each);
        if (done.size() == 3) loop.stop();
      },
      [&] { return loop.now_ms(); });
  ASSERT_TRUE(disk);
  const Digest lease = kernels::blake3({});
  const Bytes delta(verifier::delta_bytes(kParameters), 0);
  const Digest root = kernels::blake3(delta);
  const std::string blob = folder.path() + "/" + to_hex(root.bytes);
  ASSERT_TRUE(write_durable(folder.path() + "/incoming/" + to_hex(lease.bytes) + ".part", delta));
  disk.value()->post(FinishDelta{lease, root, kParameters, 7});
  disk.value()->post(DropUpload{lease});
  disk.value()->post(DropBlobs{{root}});
  loop.run();
  size_t finished = 0;
  for (const DiskDone& each : done) {
    if (const auto* const end = std::get_if<DeltaFinished>(&each)) {
      ++finished;
      EXPECT_EQ(end->stored, Stored::yes) << end->why;
    }
  }
  EXPECT_EQ(finished, 1U);
  EXPECT_TRUE(disk.value()->half_deltas().empty());
  EXPECT_FALSE(PieceFile::open(blob));
  EXPECT_FALSE(PieceFile::open(blob + ".tree"));
  EXPECT_TRUE(disk.value()->idle());
}

}  // namespace
}  // namespace gemmine::pool
