// While it lives, the system refuses every new thread, also to root and under sanitizers.
#pragma once

#include <pthread.h>

#include "kernels/base/check.h"

namespace gemmine::test {

class RefusedThreads {
 public:
  RefusedThreads() {
    GEMMINE_CHECK(pthread_getattr_default_np(&before_) == 0);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    GEMMINE_CHECK(pthread_attr_setstacksize(&huge, kMoreThanTheAddressSpace) == 0);
    GEMMINE_CHECK(pthread_setattr_default_np(&huge) == 0);
    pthread_attr_destroy(&huge);
  }
  ~RefusedThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  RefusedThreads(const RefusedThreads&) = delete;
  RefusedThreads& operator=(const RefusedThreads&) = delete;

 private:
  static constexpr size_t kMoreThanTheAddressSpace = size_t{1} << 48;
  pthread_attr_t before_;
};

}  // namespace gemmine::test
