#include "pool/net/side_thread.h"

namespace gemmine::pool {

SideThread::SideThread(Loop& loop)
    // As many letters as there are jobs, which the poster bounds.
    : done_(loop, SIZE_MAX,
            [this](std::unique_ptr<Job> job) {
              GEMMINE_CHECK(waiting_ > 0);
              --waiting_;
              job->tell();
            }),
      queue_(SIZE_MAX) {
  const Status started =
      queue_.start(1, [this](std::unique_ptr<Job> job, int, const std::stop_token&) {
        job->work();
        GEMMINE_CHECK(done_.post(std::move(job)));
      });
  GEMMINE_CHECK(started.ok() == (queue_.threads() == 1));
}

void SideThread::post_job(std::unique_ptr<Job> job) {
  ++waiting_;
  if (queue_.threads() > 0) {
    GEMMINE_CHECK(queue_.post(std::move(job)));
    return;
  }
  job->work();
  GEMMINE_CHECK(done_.post(std::move(job)));
}

}  // namespace gemmine::pool
