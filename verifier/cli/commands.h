// The offline subcommands of gemmine-verify. Each returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/exit_code.h"

namespace gemmine::verifier {

struct FileOptions {
  std::string file;
  std::string pool_key;  // of a share's lease; empty: any
  bool json = false;
};

// `<hex>  FILE` as b3sum prints it.
ExitCode run_digest(const FileOptions& options);

ExitCode run_share(const FileOptions& options);

// A file of kept words (verifier/ledger/kept_words.h): is each of them signed?
ExitCode run_receipts(const FileOptions& options);

struct ReplayOptions {
  std::string bundle;
  std::string pool_key;  // of the share's lease; empty: any
  std::string data;
  std::string engine = "cpu";
  int threads = 1;
  bool json = false;
};
ExitCode run_replay(const ReplayOptions& options);

struct LedgerOptions {
  std::string file;
  std::string blobs;
  std::vector<std::string> pool_keys;  // none: any
  std::vector<std::string> heads;      // that the pool has signed
  std::vector<std::string> receipts;   // files of words that it has signed
  bool json = false;
};
ExitCode run_ledger(const LedgerOptions& options);

struct ProofOptions {
  std::string file;
  std::string pool_key;  // hex; empty: whichever the file names
  std::string blobs;     // folder of a pool's blobs, for what a replay decides; empty: none
  std::string engine = "cpu";
  bool json = false;
};
// invalid: proven. ok: not. malformed: it is no proof file. failed: it cannot be read.
ExitCode run_proof(const ProofOptions& options);

}  // namespace gemmine::verifier
