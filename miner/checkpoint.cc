#include "miner/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include "kernels/base/files.h"
#include "kernels/hash/opening.h"
#include "pool/blobs/tree_file.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {

namespace fs = std::filesystem;

namespace {

constexpr const char* kRetired = "retired";
constexpr uint64_t kDiskBlock = 4096;  // what a file takes at least

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  if (auto made = make_folder(folder); !made) return made.error();
  return Checkpoint(folder);
}

std::string Checkpoint::path(const Digest& lease_id, const std::string& name) const {
  return folder_ + "/" + to_hex(lease_id.bytes) + "/" + name;
}

Status Checkpoint::save_lease(const verifier::Lease& lease) const {
  const Digest id = lease.id;
  if (auto made = make_folder(path(id, "")); !made) return made;
  return write_durable(path(id, "lease"), verifier::encode(lease));
}

Status Checkpoint::save_state(const Digest& lease_id, uint32_t share,
                              std::span<const float> state) const {
  GEMMINE_CHECK(share > 0);  // share 0 starts from θ and zeros
  return write_durable(path(lease_id, "state-" + std::to_string(share)), as_bytes(state));
}

Status Checkpoint::save_share(const verifier::Share& share, std::span<const Digest> steps) const {
  Writer digests;
  for (const Digest& step : steps)
    digests.put_digest(step);
  const Status saved =
      write_durable(path(share.lease_id, "steps-" + std::to_string(share.index)), digests.bytes());
  if (!saved) return saved;
  return write_durable(path(share.lease_id, "share-" + std::to_string(share.index)),
                       verifier::encode(share));
}

Status Checkpoint::save_trace(const Digest& lease_id, uint32_t share,
                              const verifier::LeaseTrace& trace) const {
  return write_durable(path(lease_id, "trace-" + std::to_string(share)),
                       verifier::encode_trace(trace));
}

Status Checkpoint::save_delta(const Digest& lease_id, ByteView delta) const {
  // The tree first: a delta on disk always has it beside it.
  const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                              kernels::ChunkSource::of_bytes(delta));
  if (const Status saved = pool::save_tree(delta_path(lease_id), tree); !saved) return saved;
  return write_durable(delta_path(lease_id), delta);
}

Result<verifier::Lease> Checkpoint::load_lease(const Digest& lease_id) const {
  const auto bytes = read_file(path(lease_id, "lease"), verifier::kLeaseBytes);
  if (!bytes) return bytes.error();
  return verifier::decode_lease(bytes.value());
}

Result<verifier::LeaseTrace> Checkpoint::load_trace(const kernels::Program& program,
                                                    const verifier::Lease& lease) const {
  Bytes all;
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    const auto bytes = read_file(path(lease.id, "trace-" + std::to_string(i)),
                                 verifier::lease_trace_bytes(program));
    if (!bytes) return bytes.error();
    all.insert(all.end(), bytes.value().begin(), bytes.value().end());
  }
  auto trace = verifier::decode_trace(program, all);
  if (trace && trace.value().steps() != lease.steps)
    return Error{Errc::malformed, "the roots of a lease: not of all its steps"};
  return trace;
}

Result<verifier::Share> Checkpoint::load_share(const Digest& lease_id, uint32_t index) const {
  const auto bytes =
      read_file(path(lease_id, "share-" + std::to_string(index)), verifier::kShareBytes);
  if (!bytes) return bytes.error();
  return verifier::decode_share(bytes.value());
}

Result<std::vector<float>> Checkpoint::load_state(const Digest& lease_id, uint32_t share,
                                                  uint64_t floats) const {
  const std::string file = path(lease_id, "state-" + std::to_string(share));
  const auto bytes = read_file(file, floats * sizeof(float));
  if (!bytes) return bytes.error();
  if (bytes.value().size() != floats * sizeof(float)) {
    return Error{Errc::malformed, file + " is not a state of this job"};
  }
  return verifier::floats_of(bytes.value());
}

Result<std::vector<Digest>> Checkpoint::load_steps(const Digest& lease_id, uint32_t index) const {
  const auto bytes = read_file(path(lease_id, "steps-" + std::to_string(index)),
                               size_t{kernels::kStepsPerLeaseMax} * sizeof(Digest));
  if (!bytes) return bytes.error();
  Reader in(bytes.value());
  std::vector<Digest> out;
  for (size_t i = 0; i < bytes.value().size() / sizeof(Digest); ++i)
    out.push_back(in.get_digest());
  return out;
}

std::string Checkpoint::delta_path(const Digest& lease_id) const {
  return path(lease_id, "delta");
}

std::string Checkpoint::answer_path(const Digest& lease_id, uint64_t challenge) const {
  return path(lease_id, "answer-" + std::to_string(challenge));
}

Result<Bytes> Checkpoint::load_delta(const Digest& lease_id) const {
  return read_file(path(lease_id, "delta"), verifier::delta_bytes(kernels::kParametersMax));
}

uint32_t Checkpoint::shares(const Digest& lease_id) const {
  uint32_t count = 0;
  while (load_share(lease_id, count))
    ++count;
  return count;
}

std::vector<Checkpoint::Kept> Checkpoint::all() const {
  std::vector<std::pair<fs::file_time_type, Kept>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const auto id = digest_from_hex(entry.path().filename().string());
    if (!id) continue;
    const auto lease = load_lease(id.value());
    if (lease && lease.value().id == id.value()) {
      const auto bytes = read_file(path(id.value(), kRetired), sizeof(uint64_t));
      std::optional<uint64_t> retired;
      if (bytes) retired = Reader(bytes.value()).get<uint64_t>();
      found.emplace_back(fs::last_write_time(path(id.value(), "lease"), error),
                         Kept{lease.value(), retired});
    } else {
      forget(id.value());
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Kept> out;
  uint32_t in_work = 0;
  for (auto& [time, kept] : found) {
    if (kept.retired || in_work++ < kLeasesKeptMax) {
      out.push_back(std::move(kept));
    } else {
      forget(kept.lease.id);
    }
  }
  return out;
}

std::vector<Digest> Checkpoint::leases(const Digest& pool_key) const {
  std::vector<Digest> out;
  for (const Kept& kept : all())
    if (kept.lease.pool_key == pool_key) out.push_back(kept.lease.id);
  return out;
}

std::vector<Digest> Checkpoint::thetas() const {
  std::vector<Digest> out;
  for (const Kept& kept : all())
    if (!kept.retired) out.push_back(kept.lease.theta_root);
  return out;
}

// A file of that size, made and removed: also a quota is asked.
Status Checkpoint::room(uint64_t bytes) const {
  const std::string path = folder_ + "/room.tmp";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Error{Errc::io, "cannot create " + path + ": " + std::strerror(errno)};
  const int code = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  ::close(fd);
  ::unlink(path.c_str());
  if (code == 0) return Ok{};
  return Error{Errc::io, "no room for " + std::to_string(bytes) + " bytes in " + folder_ + ": " +
                             std::strerror(code)};
}

void Checkpoint::drop_state(const Digest& lease_id, uint32_t share) const {
  std::error_code error;  // what stays is removed with the lease
  fs::remove(path(lease_id, "state-" + std::to_string(share)), error);
}

// What is left is counted once: there may be many leases, of many files each.
void Checkpoint::retire(const Digest& lease_id) const {
  const auto lease = load_lease(lease_id);
  if (!lease) return forget(lease_id);
  for (uint32_t i = 1; i <= lease.value().shares(); ++i)
    drop_state(lease_id, i);
  for (const std::string& name : {delta_path(lease_id), pool::tree_path(delta_path(lease_id))})
    pool::remove_file(name);
  const Bytes bytes = Writer().put(bytes_of(lease_id)).take();
  if (!write_durable(path(lease_id, kRetired), bytes)) forget(lease_id);
}

uint64_t Checkpoint::bytes_of(const Digest& lease_id) const {
  uint64_t out = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path(lease_id, ""), error))
    out += (entry.file_size(error) / kDiskBlock + 1) * kDiskBlock;
  return out;
}

bool Checkpoint::retired(const Digest& lease_id) const {
  std::error_code error;
  return fs::exists(path(lease_id, kRetired), error);
}

size_t Checkpoint::forget_retired(uint64_t bytes_max) const {
  uint64_t bytes = 0;
  size_t gone = 0;
  for (const Kept& kept : all()) {
    if (!kept.retired) continue;
    bytes += *kept.retired;
    if (bytes <= bytes_max) continue;
    forget(kept.lease.id);
    ++gone;
  }
  return gone;
}

void Checkpoint::forget_answer(const Digest& lease_id, uint64_t challenge) const {
  const std::string file = answer_path(lease_id, challenge);
  for (const std::string& name : {file, file + ".part", pool::tree_path(file)})
    pool::remove_file(name);
}

void Checkpoint::forget(const Digest& lease_id) const {
  std::error_code error;  // What cannot be removed is removed by a later forget.
  fs::remove_all(path(lease_id, ""), error);
}

}  // namespace gemmine::miner
