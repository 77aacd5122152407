// The status file: written by a thread of its own, so that a slow disk holds nobody up.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kernels/base/task_queue.h"
#include "pool/net/loop.h"
#include "pool/server/status.h"

namespace gemmine::pool {

class StatusFile {
 public:
  // on_trouble runs on the loop: once when the file cannot be written any more (why), and once when
  // it can be again (empty).
  // Errors: io (the path cannot be written to), busy (no thread).
  static Result<std::unique_ptr<StatusFile>> open(
      Loop& loop, const std::string& path, std::function<void(const std::string& why)> on_trouble);
  ~StatusFile();  // what was posted is written first
  StatusFile(const StatusFile&) = delete;
  StatusFile& operator=(const StatusFile&) = delete;

  // The last one that was posted is still being written.
  bool busy() const { return !queue_.idle(); }
  // False when one waits already behind the one being written.
  bool post(PoolView view);

 private:
  StatusFile(Loop& loop, std::string path, std::function<void(const std::string&)> on_trouble);
  void write(const PoolView& view);  // on the thread

  const std::string path_;
  bool in_trouble_ = false;  // the thread's
  Mailbox<std::string> mailbox_;
  TaskQueue<PoolView> queue_;  // last: its thread ends first
};

}  // namespace gemmine::pool
