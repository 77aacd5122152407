// The offline subcommands of gemmine-verify. Each returns the exit code.
#pragma once

#include <string>

namespace gemmine::verifier {

struct FileOptions {
  std::string file;
  bool json = false;
};

// `<hex>  FILE` as b3sum prints it.
int run_digest(const FileOptions& options);

int run_share(const FileOptions& options);

struct ReplayOptions {
  std::string bundle;
  std::string data;
  std::string engine = "cpu";
  int threads = 1;
  bool json = false;
};
int run_replay(const ReplayOptions& options);

struct LedgerOptions {
  std::string file;
  std::string blobs;
  bool json = false;
};
int run_ledger(const LedgerOptions& options);

}  // namespace gemmine::verifier
