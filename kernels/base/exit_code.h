// The exit codes of all our programs: one table, and a number never changes its meaning. README,
// every --help and the tests take it from here.
#pragma once

#include <string_view>

namespace gemmine {

enum class ExitCode : unsigned char {
  ok = 0,
  failed = 1,
  command_line = 2,
  bad_input = 3,
  no_device = 4,
  refused = 5,
  other_pool = 6,
  wrong_numbers = 7,
  too_old = 8,
  // The verdicts of the judge and the auditor, whose `ok` means valid.
  invalid = 10,
  malformed = 11,
  undecided = 12,
};

struct ExitMeaning {
  ExitCode code;
  std::string_view meaning;
};

inline constexpr ExitMeaning kExitMeanings[] = {
    {ExitCode::ok, "clean end; from a judge: valid"},
    {ExitCode::failed, "this machine failed: disk, memory, port, or output not written"},
    {ExitCode::command_line, "wrong command line"},
    {ExitCode::bad_input, "configuration, job, data or model file cannot be used"},
    {ExitCode::no_device, "no device here can work on what is left"},
    {ExitCode::refused, "account refused, or key banned"},
    {ExitCode::other_pool, "the pool is another one: its key changed; or a dry run reached none"},
    {ExitCode::wrong_numbers, "a device computes wrong numbers"},
    {ExitCode::too_old, "too old for the pool"},
    {ExitCode::invalid, "invalid: something claimed is not true"},
    {ExitCode::malformed, "malformed: bytes that do not decode"},
    {ExitCode::undecided, "undecided: something needed is missing, or nothing was checked"},
};

// Work that a signal cut short, with what it had kept: 128 and the signal, as shells write it.
constexpr ExitCode stopped_by(int signal) {
  return static_cast<ExitCode>(128 + signal);
}

}  // namespace gemmine
