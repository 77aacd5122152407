#include "pool/server/workers.h"

#include <chrono>
#include <limits>
#include <utility>

namespace gemmine::pool {
namespace {

constexpr size_t kLettersMax = 4096;
constexpr auto kMailboxFull = std::chrono::milliseconds(5);

int urgency(const Task& task) {
  if (std::holds_alternative<MergeTask>(task)) return 2;
  return std::holds_alternative<EvaluateTask>(task) ? 0 : 1;
}

}  // namespace

Result<std::unique_ptr<Workers>> Workers::start(Loop& loop, const JobTable& jobs,
                                                const Options& options,
                                                std::function<void(TaskDone)> on_done) {
  GEMMINE_CHECK(options.threads >= 1);
  std::unique_ptr<Workers> out(new Workers(loop, jobs, options, std::move(on_done)));
  Workers& self = *out;
  const Status started =
      self.queue_.start(static_cast<int>(options.threads),
                        [&self](const Task& task, int worker, const std::stop_token& stop) {
                          self.work(task, worker, stop);
                        });
  if (!started) return started.error();
  const auto last = static_cast<int>(options.threads);
  const Status judging =
      self.files_.start(1, [&self, last](const Task& task, int, const std::stop_token& stop) {
        self.work(task, last, stop);
      });
  if (!judging) return judging.error();
  return out;
}

Workers::Workers(Loop& loop, const JobTable& jobs, const Options& options,
                 std::function<void(TaskDone)> on_done)
    : mailbox_(loop, kLettersMax, std::move(on_done)),
      queue_(std::numeric_limits<size_t>::max()),
      files_(std::numeric_limits<size_t>::max()) {
  for (uint32_t i = 0; i <= options.threads; ++i)
    examiners_.push_back(
        std::make_unique<Examiner>(jobs, options.blobs, options.open_store, options.pool_key));
}

Workers::~Workers() {
  queue_.stop();
  files_.stop();
}

void Workers::post(Task task) {
  if (std::holds_alternative<ProofTask>(task)) return GEMMINE_CHECK(files_.post(std::move(task)));
  const int urgent = urgency(task);
  GEMMINE_CHECK(queue_.post(std::move(task), urgent));
}

void Workers::work(const Task& task, int worker, const std::stop_token& stop) {
  const TaskDone done =
      examiners_[static_cast<size_t>(worker)]->run(task, [&stop] { return stop.stop_requested(); });
  while (!mailbox_.post(done) && !stop.stop_requested())
    std::this_thread::sleep_for(kMailboxFull);
}

}  // namespace gemmine::pool
