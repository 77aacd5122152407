// The thread that has the ledger: what the loop decided becomes durable here, and the loop is told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "kernels/base/task_queue.h"
#include "pool/core/kept.h"
#include "pool/net/loop.h"
#include "pool/store/blobs.h"
#include "pool/store/evaluations.h"
#include "pool/store/ledger_store.h"

namespace gemmine::pool {

inline constexpr uint64_t kStoreRetryMs = 1'000;
inline constexpr size_t kReadsWaitingMax = 64;

// What one step of the pool needs on disk before anyone may hear of it.
struct Step {
  std::vector<Bytes> blobs;  // before the records, which name them
  std::vector<verifier::SignedRecord> records;
  KeptChanges kept;  // with the records

  bool empty() const { return blobs.empty() && records.empty() && kept.empty(); }
  uint64_t bytes() const;  // about, in memory
};

class Writer {
 public:
  // All of them run on the loop.
  struct Observer {
    // The step that was posted is durable; its records come back.
    std::function<void(std::vector<verifier::SignedRecord>)> on_durable;
    // Once, when a step cannot be written; it is tried again every kStoreRetryMs until it is.
    std::function<void(const std::string& reason)> on_stalled;
    // The answer to read(); empty when the store could not be read.
    std::function<void(uint64_t ticket, uint64_t first, std::vector<verifier::SignedRecord>)>
        on_read;
  };
  struct Places {
    std::unique_ptr<LedgerStore> store;
    const Blobs* blobs = nullptr;  // outlives the writer
    std::string evaluations;       // the file of what rounds were evaluated to; empty: none
  };
  // Errors: busy (no thread).
  static Result<std::unique_ptr<Writer>> start(Loop& loop, Places places, Observer observer);
  // A step that was posted is tried once more, and then given up.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // One step at a time: writing() is false. Whatever is decided meanwhile shares the next one.
  void post(Step step);
  bool writing() const { return writing_; }

  // Adds a line to the file of evaluations, when there is time; a failure costs only that.
  void keep(const EvaluateDone& done);

  // Records from `first` on, after the steps that were posted. False: too many reads wait.
  [[nodiscard]] bool read(uint64_t ticket, uint64_t first, size_t count_max, size_t bytes_max);

 private:
  struct Read {
    uint64_t ticket = 0;
    uint64_t first = 0;
    size_t count_max = 0;
    size_t bytes_max = 0;
  };
  struct Durable {
    std::vector<verifier::SignedRecord> records;
  };
  struct Stalled {
    std::string reason;
  };
  struct Answer {
    uint64_t ticket = 0;
    uint64_t first = 0;
    std::vector<verifier::SignedRecord> records;
  };
  using Task = std::variant<Step, Read, EvaluateDone>;
  using Letter = std::variant<Durable, Stalled, Answer>;

  Writer(Loop& loop, Places places, Observer observer);
  void take(Letter letter);  // on the loop
  void write(Step step);     // on the thread, as all below
  Status try_write(Step& step);
  bool wait_to_retry();  // false: the end has come
  void answer(const Read& read);
  void tell(const Letter& letter);

  const Places places_;  // the store is the thread's alone
  const Observer observer_;
  bool writing_ = false;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool ending_ = false;
  Mailbox<Letter> mailbox_;
  TaskQueue<Task> queue_;  // last: its thread ends first
};

}  // namespace gemmine::pool
