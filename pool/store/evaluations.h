// What past rounds were evaluated to: kept beside the ledger, so that a start need not repeat it.
// Nothing depends on it: a line that is missing or damaged is computed again.
#pragma once

#include <string>
#include <vector>

#include "pool/core/actions.h"

namespace gemmine::pool {

// Lines that make no sense are left out. No file: none.
std::vector<EvaluateDone> read_evaluations(const std::string& path);

// Adds a line. Errors: io.
Status append_evaluation(const std::string& path, const EvaluateDone& done);

}  // namespace gemmine::pool
