#include "kernels/base/threads.h"

#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace gemmine {

Result<std::jthread> start_thread(std::function<void(std::stop_token)> body) {
  try {
    return std::jthread(std::move(body));
  } catch (const std::system_error& error) {
    // boundary: std::jthread throws.
    return Error{Errc::busy, std::string("cannot start a thread: ") + error.code().message() +
                                 "; raise the limit of processes (ulimit -u, TasksMax, the "
                                 "container's pids limit) or of memory"};
  }
}

Status try_threads(int count) {
  GEMMINE_CHECK(count >= 1);
  std::vector<std::jthread> started;  // Destroyed together: all of them have lived at once.
  for (int i = 0; i < count; ++i) {
    auto thread = start_thread([](const std::stop_token& stop) {
      while (!stop.stop_requested())
        std::this_thread::yield();
    });
    if (!thread) return thread.error();
    started.push_back(std::move(thread.value()));
  }
  return Ok{};
}

}  // namespace gemmine
