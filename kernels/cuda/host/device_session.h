// An open device and the memory taken from it; both are given back together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/cuda/device_api.h"

namespace gemmine::kernels::cuda {

// Work is queued without looking back: after the first failure nothing more is queued, and status()
// says what it was. One thread at a time.
class DeviceSession {
 public:
  // name: how messages call the device. Errors: unsupported, closed.
  static Result<std::unique_ptr<DeviceSession>> open(const DeviceApi& api, uint32_t device,
                                                     std::string name);
  ~DeviceSession();
  DeviceSession(const DeviceSession&) = delete;
  DeviceSession& operator=(const DeviceSession&) = delete;

  // `count` elements of zeros that live as long as the session; null after a failure. When memory
  // runs out, later calls still count, so that status() can say how much was needed in all.
  template <class T>
  T* allocate(uint64_t count) {
    return static_cast<T*>(allocate_bytes(count * sizeof(T)));
  }
  void upload(void* to, const void* from, uint64_t bytes);
  void download(void* to, const void* from, uint64_t bytes);  // waits for all before it
  void copy(void* to, const void* from, uint64_t bytes);
  template <class K, class... Arguments>
  void run(Grid grid, Arguments... arguments) {
    if (failed_ == DeviceStatus::ok)
      note(launch<K>(api_, context_, grid, arguments...), "a kernel");
  }

  // Errors: out_of_memory, unsupported, closed (the device is lost).
  Status status() const;
  const std::string& name() const { return name_; }
  void* context() { return context_; }  // for calls that DeviceApi does not have

 private:
  DeviceSession(const DeviceApi& api, void* context, std::string name)
      : api_(api), context_(context), name_(std::move(name)) {}
  void* allocate_bytes(uint64_t bytes);
  void note(DeviceStatus status, const char* doing);

  const DeviceApi& api_;
  void* context_;
  std::string name_;
  std::vector<void*> memory_;
  uint64_t memory_bytes_ = 0;  // taken
  uint64_t needed_bytes_ = 0;  // asked for
  uint64_t free_bytes_ = 0;    // when memory ran out, with what was taken already
  DeviceStatus failed_ = DeviceStatus::ok;
  std::string reason_;
};

// What a failed call means to whoever asked for the device.
Error device_error(DeviceStatus status, const std::string& detail);

// One warp multiplies through copies, ldmatrix and mma (layout_probe); compared with a plain loop.
// Errors: invalid when this device's lanes hold something else; those of DeviceSession::status.
Status probe_layout(DeviceSession& session);

}  // namespace gemmine::kernels::cuda
