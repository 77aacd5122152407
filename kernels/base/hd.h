// GEMMINE_HD: one text for host and device.
#pragma once

#if defined(__CUDACC__)
#define GEMMINE_HD __host__ __device__
#else
#define GEMMINE_HD
#endif
