#include "kernels/cli/program.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <new>
#include <string_view>
#include <system_error>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "kernels/base/check.h"
#include "kernels/base/nearest.h"
#include "kernels/cli/describe.h"
#include "kernels/cli/output.h"

namespace gemmine::cli {

namespace {

// For package/pages.py, and in no help.
constexpr std::string_view kDescribe = "--describe";

bool hangups_ignored = false;  // set by prepare_process, before there is a second thread

// What commands and options there are at this place, as they are typed.
std::vector<std::string> words_of(const CLI::App& app, bool options) {
  std::vector<std::string> out;
  if (!options) {
    for (const CLI::App* each : app.get_subcommands({}))
      out.push_back(each->get_name());
    return out;
  }
  for (const CLI::Option* each : app.get_options())
    for (const std::string& name : each->get_lnames())
      out.push_back("--" + name);
  return out;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words)
    out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

// Why a word of the command line has no meaning at the place where it stands.
std::string no_meaning(const CLI::App& at, const std::string& word) {
  const bool option = word.size() > 1 && word.front() == '-';
  const std::vector<std::string> words = words_of(at, option);
  if (option) {
    const std::string name = word.substr(0, word.find('='));
    return "there is no option " + name + "; did you mean " + nearest(name, words) + "?";
  }
  if (words.empty()) return "'" + word + "' is one word too many";
  return "there is no command '" + word + "'; did you mean '" + nearest(word, words) +
         "'? (commands: " + list_of(words) + ")";
}

// The folder of examples of an installed program, which help speaks of as `configs`; else empty.
std::string examples_folder() {
  std::error_code none;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", none);
  const auto folder = program.parent_path().parent_path() / "share/gemmine";
  return std::filesystem::is_directory(folder / "jobs", none) ? folder.string() : "";
}

std::string pointed_to(const std::string& folder, std::string text) {
  constexpr std::string_view kInAClone = "configs/";
  for (size_t at = 0; (at = text.find(kInAClone, at)) != std::string::npos;) {
    text.replace(at, kInAClone.size() - 1, folder);
    at += folder.size();
  }
  return text;
}

void point_to_examples(CLI::App& app, const std::string& folder) {
  app.description(pointed_to(folder, app.get_description()));
  app.footer(pointed_to(folder, app.get_footer()));
  for (CLI::App* const command : app.get_subcommands({}))
    point_to_examples(*command, folder);
}

}  // namespace

void prepare_process() {
  for (const int wanted : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(wanted, F_GETFD) >= 0 || errno != EBADF) continue;
    // All lower numbers are taken, so open() gives this one. Reading only: what a command prints
    // to a stdout that is not there has to fail. A log without its stderr is nobody's loss.
    const int flags = wanted == STDERR_FILENO ? O_RDWR : O_RDONLY;
    if (::open("/dev/null", flags) != wanted) std::_Exit(static_cast<int>(ExitCode::failed));
  }
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0) hangups_ignored = hangup.sa_handler == SIG_IGN;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

std::vector<int> stop_signals() {
  std::vector<int> out = {SIGINT, SIGTERM};
  if (!hangups_ignored) out.push_back(SIGHUP);
  return out;
}

std::string exit_codes_text(std::initializer_list<ExitCode> codes) {
  std::string out;
  for (const ExitMeaning& each : kExitMeanings) {
    if (std::find(codes.begin(), codes.end(), each.code) == codes.end()) continue;
    const std::string number = std::to_string(static_cast<int>(each.code));
    out.append(out.empty() ? "" : "\n").append(4 - number.size(), ' ').append(number);
    out.append("  ").append(each.meaning);
  }
  return out;
}

Program::Program(const std::string& name, const std::string& about,
                 std::initializer_list<ExitCode> codes)
    : name_(name),
      app_(std::make_unique<CLI::App>(about + "\n\nExit codes:\n" + exit_codes_text(codes), name)) {
  app_->set_version_flag("--version", name + " " GEMMINE_VERSION);
  app_->require_subcommand(1);
}

Program::~Program() = default;

CLI::App& Program::command(const std::string& name, const std::string& help,
                           std::function<ExitCode()> run) {
  return command_of(*app_, name, help, std::move(run));
}

CLI::App& Program::group(const std::string& name, const std::string& help) {
  CLI::App* const added = app_->add_subcommand(name, help);
  added->require_subcommand(1);
  return *added;
}

CLI::App& Program::command_of(CLI::App& group, const std::string& name, const std::string& help,
                              std::function<ExitCode()> run) {
  GEMMINE_CHECK(run != nullptr);
  CLI::App* const added = group.add_subcommand(name, help);
  commands_.emplace_back(added, std::move(run));
  return *added;
}

int Program::main(int argc, const char* const* argv) {
  set_speaker(name_);
  ExitCode code = ExitCode::failed;
  // boundary: the standard library throws where memory or a thread is refused
  try {
    code = parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    fail(code, "out of memory");
  } catch (const std::system_error& error) {
    fail(code, std::string("the system refuses: ") + error.what());
  }
  if (const Status written = finish_output(); !written) {
    fail(ExitCode::failed, written.error().detail);
    if (code == ExitCode::ok) code = ExitCode::failed;
  }
  return static_cast<int>(code);
}

ExitCode Program::parse_and_run(int argc, const char* const* argv) {
  if (argc == 2 && std::string_view(argv[1]) == kDescribe) {
    print_json(describe(*app_));
    return ExitCode::ok;
  }
  if (const std::string examples = examples_folder(); !examples.empty())
    point_to_examples(*app_, examples);
  try {  // boundary: CLI11 throws
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return refuse(error);
    app_->exit(error);  // prints the help or the version
    return ExitCode::ok;
  }
  for (const auto& [command, run] : commands_) {
    if (!command->parsed()) continue;
    std::string typed = command->get_name();
    for (const CLI::App* up = command->get_parent(); up != app_.get(); up = up->get_parent())
      typed.insert(0, up->get_name() + " ");
    set_speaker(name_ + " " + typed);
    return run();
  }
  GEMMINE_CHECK(false);  // CLI11 has seen to it that there is a command
}

ExitCode Program::refuse(const CLI::ParseError& error) const {
  const CLI::App* at = app_.get();
  std::string typed = name_;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    typed += " " + at->get_name();
  }
  set_speaker(typed);
  // A word that means nothing here explains more than the option that is missing beside it.
  std::vector<std::string> unknown = app_->remaining(true);
  const auto option = std::find_if(unknown.begin(), unknown.end(),
                                   [](const std::string& word) { return word.starts_with("-"); });
  std::string why = error.what();
  if (option != unknown.end()) {
    why = no_meaning(*at, *option);
  } else if (!unknown.empty()) {
    why = no_meaning(*at, unknown.front());
  } else if (error.get_name() == "RequiredError" && !words_of(*at, false).empty()) {
    why = "say what to do: " + list_of(words_of(*at, false));
  }
  return fail(ExitCode::command_line, why + "\nRun `" + typed + " --help` for more.");
}

}  // namespace gemmine::cli
