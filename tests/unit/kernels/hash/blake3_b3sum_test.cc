// Our BLAKE3 beside Debian's b3sum, an implementation by other people.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"
#include "kernels/hash/blake3.h"

namespace gemmine::kernels {
namespace {

std::string b3sum_of(const std::string& path) {
  const std::string command = "b3sum --no-names '" + path + "'";
  FILE* pipe = popen(command.c_str(), "r");
  char hex[65] = {};
  const size_t got = pipe == nullptr ? 0 : fread(hex, 1, 64, pipe);
  if (pipe != nullptr) pclose(pipe);
  return {hex, got};
}

TEST(Blake3, AgreesWithDebiansB3sum) {
  if (std::system("b3sum --version > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "NOT COMPARED with b3sum: it is not installed (apt-get install b3sum)";
  }
  const CpuPath before = cpu_path();
  const std::string path = testing::TempDir() + "gemmine_b3sum_" + std::to_string(getpid());
  for (const size_t size : {0UL, 1UL, 1024UL, 1025UL, 262'144UL, 1'000'003UL, 9'437'184UL}) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i)
      bytes[i] = static_cast<uint8_t>(i * i >> 7 ^ i);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(size));
    const std::string want = b3sum_of(path);
    for (const CpuPath cpu : cpu_paths()) {
      set_cpu_path_for_test(cpu);
      EXPECT_EQ(to_hex(blake3(bytes).view()), want) << size << " " << to_text(cpu);
    }
  }
  std::remove(path.c_str());
  set_cpu_path_for_test(before);
}

}  // namespace
}  // namespace gemmine::kernels
