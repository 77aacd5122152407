// Programs without processes: what a command line leads to.
#include "kernels/cli/program.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <new>
#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/check.h"

namespace gemmine::cli {
namespace {

using testing::HasSubstr;

// Program::main() closes stdout for good, so each run is a process of its own: gtest's death tests
// are exactly that, and show what went to stderr.
int run(std::vector<const char*> words) {
  words.insert(words.begin(), "tool");
  Program program("tool", "A tool for tests.", {ExitCode::ok, ExitCode::command_line});
  bool loud = false;
  CLI::App& say = program.command("say", "say something", [&] {
    std::fprintf(stderr, loud ? "HELLO\n" : "hello\n");
    return ExitCode::bad_input;
  });
  say.add_flag("--loud", loud, "in capitals");
  std::string text;
  say.add_option("--text", text, "what else");
  program.command("memory", "have too little", []() -> ExitCode { throw std::bad_alloc(); });
  program.command("thread", "have none", []() -> ExitCode {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  });
  CLI::App& file = program.group("file", "files");
  std::string name;
  program.command_of(file, "check", "look", [] { return ExitCode::ok; })
      .add_option("NAME", name, "a file")
      ->required();
  return program.main(static_cast<int>(words.size()), words.data());
}

void expect(const std::vector<const char*>& words, ExitCode code, const std::string& said) {
  const auto number = static_cast<int>(code);
  EXPECT_EXIT(std::_Exit(run(words)), testing::ExitedWithCode(number), HasSubstr(said));
}

TEST(ProgramDeathTest, RunsTheCommandThatWasTyped) {
  expect({"say"}, ExitCode::bad_input, "hello");
  expect({"say", "--loud"}, ExitCode::bad_input, "HELLO");
  expect({"file", "check", "x"}, ExitCode::ok, "");
}

TEST(ProgramDeathTest, DescribesItsCommandLineToWhomItConcerns) {
  expect({"--describe"}, ExitCode::ok, "");
  expect({"--describe", "say"}, ExitCode::command_line, "there is no option --describe");
}

TEST(ProgramDeathTest, NamesTheNearestCommand) {
  expect({"sey"}, ExitCode::command_line,
         "tool: there is no command 'sey'; did you mean 'say'? (commands: say, ");
  expect({"file", "chek"}, ExitCode::command_line,
         "tool file: there is no command 'chek'; did you mean 'check'?");
  expect({}, ExitCode::command_line, "tool: say what to do: say, memory, thread, file");
  expect({"file"}, ExitCode::command_line, "tool file: say what to do: check");
}

TEST(ProgramDeathTest, NamesAnUnknownOptionEvenWhereARequiredOneIsMissing) {
  expect({"say", "--laud"}, ExitCode::command_line,
         "tool say: there is no option --laud; did you mean --loud?");
  expect({"say", "--tex=1"}, ExitCode::command_line,
         "tool say: there is no option --tex; did you mean --text?");
  expect({"file", "check", "--nam", "x"}, ExitCode::command_line, "there is no option --nam");
  expect({"file", "check"}, ExitCode::command_line, "NAME is required");
  expect({"say", "x"}, ExitCode::command_line, "'x' is one word too many");
}

TEST(ProgramDeathTest, TellsOfWhatTheSystemRefuses) {
  expect({"memory"}, ExitCode::failed, "tool memory: out of memory");
  expect({"thread"}, ExitCode::failed, "tool thread: the system refuses: ");
}

TEST(ProgramDeathTest, NeverEndsWellWhenItsOutputIsLost) {
  const auto to_full = [](ExitCode code) {
    GEMMINE_CHECK(std::freopen("/dev/full", "w", stdout) != nullptr);
    Program program("tool", "A tool for tests.", {ExitCode::ok});
    program.command("say", "say something", [code] {
      std::fputs("a result\n", stdout);
      return code;
    });
    const char* const words[] = {"tool", "say"};
    std::_Exit(program.main(2, words));
  };
  EXPECT_EXIT(to_full(ExitCode::ok), testing::ExitedWithCode(1),
              "cannot write to standard output: No space left");
  EXPECT_EXIT(to_full(ExitCode::invalid), testing::ExitedWithCode(10), "cannot write");
}

TEST(ProgramDeathTest, GivesMissingDescriptorsAPlaceholder) {
  const auto without = [](int descriptor) {
    ::close(descriptor);
    prepare_process();
    const bool taken = ::fcntl(descriptor, F_GETFD) >= 0;
    const int next = ::open("/dev/null", O_RDONLY);
    std::_Exit(taken && next > STDERR_FILENO ? 0 : 1);
  };
  for (const int descriptor : {0, 1, 2})
    EXPECT_EXIT(without(descriptor), testing::ExitedWithCode(0), "") << descriptor;
}

TEST(ProgramDeathTest, KeepsHangupsIgnoredWhereTheyAre) {
  const auto watches_hangups = [](void (*before)(int)) {
    std::signal(SIGHUP, before);
    prepare_process();
    const std::vector<int> signals = stop_signals();
    std::_Exit(std::find(signals.begin(), signals.end(), SIGHUP) == signals.end() ? 0 : 1);
  };
  EXPECT_EXIT(watches_hangups(SIG_IGN), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(watches_hangups(SIG_DFL), testing::ExitedWithCode(1), "");
}

TEST(ExitCodes, AreListedInOrder) {
  EXPECT_EQ(exit_codes_text({ExitCode::undecided, ExitCode::ok}),
            "   0  clean end; from a judge: valid\n"
            "  12  undecided: something needed is missing, or nothing was checked");
}

}  // namespace
}  // namespace gemmine::cli
