// What commands print: results on stdout, failures on stderr, and whether all of it was written.
#pragma once

#include <string>

#include "kernels/base/exit_code.h"
#include "kernels/base/json.h"
#include "kernels/base/result.h"

namespace gemmine::cli {

// Who speaks in fail(): "gemmine train".
void set_speaker(const std::string& name);

// Prints `gemmine train: TEXT` to stderr and returns the code. A text that begins with its own
// `FILE:LINE:COLUMN: error:` stays as it is, so that editors find the place. Control characters
// other than line breaks are escaped: the text may quote a stranger's file.
ExitCode fail(ExitCode code, const std::string& text);

// The code for an engine that cannot be had: wrong_numbers only where its numbers are wrong.
ExitCode code_of_engine(const Error& error);

// The value on stdout, in one line, or indented by two spaces. Bytes that are no UTF-8, as names of
// files can have them, become U+FFFD.
void print_json(const Json& value, bool indented = false);

// Flushes and closes stdout. Errors: io, when anything printed since the start was not written.
Status finish_output();

}  // namespace gemmine::cli
