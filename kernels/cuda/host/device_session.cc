#include "kernels/cuda/host/device_session.h"

#include <array>
#include <cstdio>

namespace gemmine::kernels::cuda {
namespace {

std::string mib(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

}  // namespace

Error device_error(DeviceStatus status, const std::string& detail) {
  switch (status) {
    case DeviceStatus::out_of_memory:
      return {Errc::out_of_memory, detail};
    case DeviceStatus::lost:
      return {Errc::closed, detail};
    default:
      return {Errc::unsupported, detail};
  }
}

Result<std::unique_ptr<DeviceSession>> DeviceSession::open(const DeviceApi& api, uint32_t device,
                                                           std::string name) {
  void* context = nullptr;
  const DeviceStatus status = api.open(device, &context);
  if (status != DeviceStatus::ok)
    return device_error(status, name + ": cannot be opened: " + api.reason());
  return std::unique_ptr<DeviceSession>(new DeviceSession(api, context, std::move(name)));
}

DeviceSession::~DeviceSession() {
  for (void* memory : memory_)
    api_.release(context_, memory);
  api_.close(context_);
}

void* DeviceSession::allocate_bytes(uint64_t bytes) {
  needed_bytes_ += bytes;
  if (failed_ != DeviceStatus::ok) return nullptr;
  memory_.push_back(nullptr);  // first, so that nothing is lost when the list itself cannot grow
  void* memory = nullptr;
  note(api_.allocate(context_, bytes, &memory), "taking memory");
  if (failed_ != DeviceStatus::ok) {
    if (failed_ == DeviceStatus::out_of_memory &&
        api_.memory_free(context_, &free_bytes_) == DeviceStatus::ok)
      free_bytes_ += memory_bytes_;
    memory_.pop_back();
    return nullptr;
  }
  memory_.back() = memory;
  memory_bytes_ += bytes;
  return memory;
}

void DeviceSession::note(DeviceStatus status, const char* doing) {
  if (status == DeviceStatus::ok || failed_ != DeviceStatus::ok) return;
  failed_ = status;
  reason_ = name_ + ": " + doing + " failed: " + api_.reason();
}

void DeviceSession::upload(void* to, const void* from, uint64_t bytes) {
  if (failed_ == DeviceStatus::ok) note(api_.upload(context_, to, from, bytes), "an upload");
}
void DeviceSession::download(void* to, const void* from, uint64_t bytes) {
  if (failed_ == DeviceStatus::ok) note(api_.download(context_, to, from, bytes), "a download");
}
void DeviceSession::copy(void* to, const void* from, uint64_t bytes) {
  if (failed_ == DeviceStatus::ok) note(api_.copy(context_, to, from, bytes), "a copy");
}

Status DeviceSession::status() const {
  if (failed_ == DeviceStatus::ok) return Ok{};
  if (failed_ == DeviceStatus::out_of_memory)
    return device_error(failed_, reason_ + "; needs " + mib(needed_bytes_) + ", free are " +
                                     mib(free_bytes_) +
                                     ": use a smaller batch or model, or end what else runs there");
  return device_error(failed_, reason_);
}

Status probe_layout(DeviceSession& session) {
  constexpr size_t kDepth = 32;
  std::array<int8_t, 16 * kDepth> a;
  std::array<int8_t, 8 * kDepth> b;
  // No two rows or columns alike, so that any exchange of lanes or registers shows.
  uint32_t x = 2463534242;
  const auto next = [&x] {
    x = x * 1664525 + 1013904223;
    return static_cast<int8_t>(static_cast<int32_t>(x >> 24) % 127 - 63);
  };
  for (int8_t& value : a)
    value = next();
  for (int8_t& value : b)
    value = next();
  std::array<int32_t, 16 * 16> got;
  auto* const device_a = session.allocate<int8_t>(a.size());
  auto* const device_b = session.allocate<int8_t>(b.size());
  auto* const device_d = session.allocate<int32_t>(got.size());
  session.upload(device_a, a.data(), a.size());
  session.upload(device_b, b.data(), b.size());
  session.run<kernel::LayoutProbe>({1}, device_a, device_b, device_d);
  session.download(got.data(), device_d, sizeof got);
  if (Status status = session.status(); !status) return status;
  for (size_t i = 0; i < got.size(); ++i) {
    int32_t want = 0;
    for (size_t k = 0; i % 16 < 8 && k < kDepth; ++k)
      want += a[i / 16 * kDepth + k] * b[i % 16 * kDepth + k];
    if (got[i] != want)
      return Error{Errc::invalid, session.name() + ": its tensor cores place element (" +
                                      std::to_string(i / 16) + ", " + std::to_string(i % 16) +
                                      ") elsewhere; do not use it"};
  }
  return Ok{};
}

}  // namespace gemmine::kernels::cuda
