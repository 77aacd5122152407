#include "pool/server/workers.h"

#include <chrono>
#include <utility>

namespace gemmine::pool {
namespace {

constexpr size_t kLettersMax = 4096;
constexpr auto kMailboxFull = std::chrono::milliseconds(5);

}  // namespace

Workers::Workers(Loop& loop, const JobTable& jobs, std::string blobs, uint32_t threads,
                 uint64_t cache_bytes, std::function<void(TaskDone)> on_done)
    : jobs_(jobs),
      blobs_(std::move(blobs)),
      cache_(cache_bytes),
      mailbox_(loop, kLettersMax, std::move(on_done)) {
  for (uint32_t i = 0; i < threads; ++i)
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

Workers::~Workers() {
  for (std::jthread& thread : threads_)
    thread.request_stop();
  changed_.notify_all();
  threads_.clear();
}

void Workers::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (std::holds_alternative<EvaluateTask>(task) || std::holds_alternative<DropTask>(task)) {
      evaluations_.push_back(std::move(task));
    } else if (std::holds_alternative<MergeTask>(task)) {
      tasks_.push_front(std::move(task));
    } else {
      tasks_.push_back(std::move(task));
    }
  }
  changed_.notify_one();
}

bool Workers::idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty() && evaluations_.empty() && running_ == 0;
}

size_t Workers::waiting() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size() + evaluations_.size();
}

void Workers::work(const std::stop_token& stop) {
  Auditor auditor(jobs_, cache_, blobs_);
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [this] { return !tasks_.empty() || !evaluations_.empty(); });
      if (stop.stop_requested()) return;
      std::deque<Task>& from = tasks_.empty() ? evaluations_ : tasks_;
      task = std::move(from.front());
      from.pop_front();
      ++running_;
    }
    const TaskDone done = auditor.run(task);
    while (!mailbox_.post(done) && !stop.stop_requested())
      std::this_thread::sleep_for(kMailboxFull);
    const std::lock_guard lock(mutex_);
    --running_;
  }
}

}  // namespace gemmine::pool
