// Where the sources and the build are. In one object, so that tests compile alike in every folder.
#pragma once

#include <string>

namespace gemmine::test {

// The project's folder, without a slash at the end.
std::string source_dir();

// The folder of the build that runs this test.
std::string binary_dir();

}  // namespace gemmine::test
