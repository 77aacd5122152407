// How a training went, round by round, as a table and as a picture.
#pragma once

#include <string>
#include <vector>

#include "miner/local_checkpoint.h"

namespace gemmine::miner {

// A line of names, then one a round: round, loss, test_loss or validation_loss, accuracy, seconds.
// `gpt`: the held-out loss is called validation_loss.
std::string curves_csv(const std::vector<RoundReport>& rounds, bool gpt);

// The losses by round, and the accuracy in per cent on an axis of its own. A whole SVG document
// without scripts, fonts or references; `title` may be any text.
std::string curves_svg(const std::vector<RoundReport>& rounds, bool gpt, const std::string& title);

}  // namespace gemmine::miner
