// Starting threads where the system may refuse (ulimit -u, a container's pids limit, TasksMax).
#pragma once

#include <functional>
#include <stop_token>
#include <thread>

#include "kernels/base/result.h"

namespace gemmine {

// A std::jthread that runs `body`, or the reason there is none. Errors: busy, with what to raise.
Result<std::jthread> start_thread(std::function<void(std::stop_token)> body);

// Whether `count` more threads would start now: starts them and ends them again. For libraries
// that abort the process when they are refused a thread. Errors: as start_thread().
Status try_threads(int count);

}  // namespace gemmine
