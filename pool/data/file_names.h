// The files that the names of a job file stand for.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/result.h"
#include "pool/config/job_file.h"

namespace gemmine::pool {

inline constexpr size_t kCorpusFilesMax = 1 << 16;  // that patterns stand for

// The paths of `names`, files or patterns (* ? [ ]), in the order given; those of a pattern in the
// order of their bytes. A name that exists is that file, whatever characters it has; so is every
// leading folder of it, and the job's own folder is never a pattern.
// Errors: io (a pattern that matches nothing, a folder that cannot be listed); invalid (more than
// kCorpusFilesMax files).
Result<std::vector<std::string>> find_files(const DataFiles& data,
                                            const std::vector<std::string>& names);

// The first path of `some` that is the same file as one of `others`, by whatever name; empty for
// none. Files that are missing are the same as none.
std::string shared_file(const std::vector<std::string>& some,
                        const std::vector<std::string>& others);

}  // namespace gemmine::pool
