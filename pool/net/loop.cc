#include "pool/net/loop.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>

#include <uv.h>

#include "kernels/base/check.h"
#include "kernels/base/fd.h"
#include "kernels/base/threads.h"

namespace gemmine::pool {
namespace {

constexpr int kLoopDescriptors = 12;  // more than libuv takes at once
// libuv reads up to 32 of these from one socket before anything is answered: 2 MiB.
constexpr size_t kReadScratchBytes = size_t{64} << 10;
constexpr size_t kPlainScratchBytes = size_t{16} << 10;  // one TLS record

template <class T>
void close_then_delete(T* handle) {
  handle->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<T*>(closed); });
}

Error refused(int code) {
  return Error{Errc::io, std::string("cannot make an event loop: ") + uv_strerror(code) +
                             " (raise the limit of open files: ulimit -n 1024)"};
}

// Whether `count` more descriptors can be had now; libuv aborts where some of its first are
// refused.
Status try_descriptors(int count) {
  std::vector<Fd> taken;
  for (int i = 0; i < count; ++i) {
    taken.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!taken.back().ok()) return refused(uv_translate_sys_error(errno));
  }
  return Ok{};
}

}  // namespace

void CloseThenDelete::operator()(uv_async_s* handle) const {
  close_then_delete(handle);
}
void CloseThenDelete::operator()(uv_poll_s* handle) const {
  close_then_delete(handle);
}
void CloseThenDelete::operator()(uv_signal_s* handle) const {
  close_then_delete(handle);
}
void CloseThenDelete::operator()(uv_tcp_s* handle) const {
  close_then_delete(handle);
}
void CloseThenDelete::operator()(uv_timer_s* handle) const {
  close_then_delete(handle);
}

void Loop::Close::operator()(uv_loop_s* loop) const {
  uv_walk(
      loop, [](uv_handle_t* handle, void*) { GEMMINE_CHECK(uv_is_closing(handle) != 0); }, nullptr);
  uv_run(loop, UV_RUN_DEFAULT);  // the close callbacks, and requests being cancelled
  GEMMINE_CHECK(uv_loop_close(loop) == 0);
  delete loop;
}

Loop::Loop(std::unique_ptr<uv_loop_s, Close> raw)
    : raw_(std::move(raw)), read_scratch_(kReadScratchBytes), plain_scratch_(kPlainScratchBytes) {}

Result<Loop> Loop::make() {
  // libuv aborts where it is refused one of its threads; it needs them to resolve names.
  ::setenv("UV_THREADPOOL_SIZE", "1", 0);
  if (Status threads = try_threads(1); !threads) return threads.error();
  if (Status spare = try_descriptors(kLoopDescriptors); !spare) return spare.error();
  auto unready = std::make_unique<uv_loop_s>();
  if (const int code = uv_loop_init(unready.get()); code != 0) return refused(code);
  Loop loop(std::unique_ptr<uv_loop_s, Close>(unready.release()));
  // The first signal handle brings the descriptors that all of them share.
  auto first = std::make_unique<uv_signal_s>();
  if (const int code = uv_signal_init(loop.raw(), first.get()); code != 0) return refused(code);
  CloseThenDelete{}(first.release());
  // libuv writes with write(2); a peer that is gone must be an error, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  return loop;
}

Loop::~Loop() = default;

void Loop::run() {
  uv_run(raw_.get(), UV_RUN_DEFAULT);
}
void Loop::stop() {
  uv_stop(raw_.get());
}
uint64_t Loop::now_ms() const {
  return uv_hrtime() / 1'000'000;
}

Timer::Timer(Loop& loop, std::function<void()> on_fire)
    : on_fire_(std::move(on_fire)), handle_(new uv_timer_s) {
  GEMMINE_CHECK(uv_timer_init(loop.raw(), handle_.get()) == 0);
}

void Timer::start(uint64_t delay_ms, uint64_t repeat_ms) {
  handle_->data = this;
  uv_update_time(handle_->loop);  // a long callback has let the loop's idea of now go stale
  const auto on_fire = [](uv_timer_t* handle) {
    if (handle->data == nullptr) return;
    // A copy, because the callback may destroy the timer and with it the function that runs.
    const auto call = static_cast<Timer*>(handle->data)->on_fire_;
    call();
  };
  GEMMINE_CHECK(uv_timer_start(handle_.get(), on_fire, delay_ms, repeat_ms) == 0);
}

void Timer::stop() {
  uv_timer_stop(handle_.get());
}

SignalWatch::SignalWatch(Loop& loop, std::span<const int> signals,
                         std::function<void(int)> on_signal)
    : on_signal_(std::move(on_signal)) {
  const auto on_raised = [](uv_signal_t* handle, int number) {
    if (handle->data != nullptr) static_cast<SignalWatch*>(handle->data)->on_signal_(number);
  };
  for (const int number : signals) {
    handles_.emplace_back(new uv_signal_s);
    uv_signal_s* handle = handles_.back().get();
    GEMMINE_CHECK(uv_signal_init(loop.raw(), handle) == 0);
    handle->data = this;
    GEMMINE_CHECK(uv_signal_start(handle, on_raised, number) == 0);
  }
}

Wakeup::Wakeup(Loop& loop, std::function<void()> on_wake)
    : on_wake_(std::move(on_wake)), handle_(new uv_async_s) {
  const auto on_rung = [](uv_async_t* handle) {
    if (handle->data != nullptr) static_cast<Wakeup*>(handle->data)->on_wake_();
  };
  GEMMINE_CHECK(uv_async_init(loop.raw(), handle_.get(), on_rung) == 0);
  handle_->data = this;
}

void Wakeup::ring() {
  uv_async_send(handle_.get());
}

}  // namespace gemmine::pool
