// The files that `gemmine train` writes while it works: the model, a checkpoint, curves.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "miner/local_checkpoint.h"
#include "pool/data/loaded_job.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::miner {

// Whether a file stays at `path` after it was written: not standard output, a device or a FIFO.
bool keeps_a_file(const std::string& path);

// The model file: a round's θ replaces the one before. What keeps only the last bytes written to it
// gets the last one alone.
class ModelFile {
 public:
  ModelFile(const std::string& path, const pool::LoadedJob& job);

  // Errors: io; training may go on.
  Status after_round(uint32_t round, std::span<const float> theta);
  Status at_end(uint32_t round, std::span<const float> theta);
  // Which round is in the file; 0: none yet.
  uint32_t kept() const { return kept_; }
  const std::string& path() const { return path_; }

 private:
  Status write(uint32_t round, std::span<const float> theta);

  const std::string path_;
  const verifier::Work& work_;
  verifier::ModelOrigin origin_;
  const bool each_round_;
  uint32_t kept_ = 0;
};

// The checkpoint beside it; nothing where there is no path.
class CheckpointFile {
 public:
  explicit CheckpointFile(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  bool exists() const;
  // After each round, and within one every minute.
  bool wants(bool round_ended) const;
  Status write(const LocalCheckpoint& checkpoint);
  void remove() const;  // the training is done
  bool written() const { return written_; }

 private:
  const std::string path_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  bool written_ = false;
};

// Tables and pictures, by the ends of their names.
class CurveFiles {
 public:
  CurveFiles(std::vector<std::string> paths, bool gpt, std::string title)
      : paths_(std::move(paths)), gpt_(gpt), title_(std::move(title)) {}

  // Errors: invalid_argument (a name that ends in neither .csv nor .svg); io.
  static Status check(const std::vector<std::string>& paths);
  Status write(const std::vector<RoundReport>& rounds) const;

 private:
  const std::vector<std::string> paths_;
  const bool gpt_;
  const std::string title_;
};

}  // namespace gemmine::miner
