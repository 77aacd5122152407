// `gemmine sample`: text from a model file.
#include <charconv>
#include <cstdio>
#include <unistd.h>

#include "kernels/base/files.h"
#include "kernels/cli/output.h"
#include "miner/cli/commands.h"
#include "miner/generate.h"
#include "pool/data/model_file.h"

namespace gemmine::miner {

using cli::fail;

namespace {

// Bytes of the text; of a larger vocabulary, numbers with spaces between them.
Result<std::vector<uint32_t>> prompt_tokens(const std::string& text, const kernels::GptShape& gpt) {
  std::vector<uint32_t> out;
  const bool bytes = gpt.token_bytes == 1;
  for (size_t at = 0; at < text.size();) {
    uint32_t token = static_cast<uint8_t>(text[at]);
    size_t end = at + 1;
    if (!bytes) {
      end = std::min(text.find(' ', at), text.size());
      const auto [stop, code] = std::from_chars(text.data() + at, text.data() + end, token);
      if (code != std::errc{} || stop != text.data() + end)
        return Error{Errc::invalid_argument,
                     "--prompt: '" + text.substr(at, end - at) +
                         "' is no token; this model's are numbers, for example \"17 4 99\""};
      end = std::min(end + 1, text.size());
    }
    if (token >= gpt.vocabulary)
      return Error{Errc::invalid_argument, "--prompt: token " + std::to_string(token) +
                                               " at character " + std::to_string(at) +
                                               "; the model's vocabulary is 0 to " +
                                               std::to_string(gpt.vocabulary - 1)};
    out.push_back(token);
    at = end;
  }
  return out;
}

// A terminal must not obey what a model invents.
void print_token(uint32_t token, bool bytes, bool terminal) {
  if (!bytes) {
    std::printf("%u ", token);
  } else {
    const bool control = (token < 0x20 && token != '\n' && token != '\t') || token == 0x7f;
    std::putchar(terminal && control ? '?' : static_cast<int>(token));
  }
  std::fflush(stdout);
}

}  // namespace

ExitCode sample(const SampleOptions& options) {
  const auto file = pool::read_model_file(options.model);
  if (!file) return fail(ExitCode::bad_input, file.error().detail);
  const auto program = pool::model_program(file.value(), options.model);
  if (!program) return fail(ExitCode::bad_input, program.error().detail);
  auto model = pool::parse_model(file.value(), options.model, program.value());
  if (!model) return fail(ExitCode::bad_input, model.error().detail);
  const kernels::GptShape& gpt = program.value().spec().gpt;
  auto prompt = prompt_tokens(options.prompt, gpt);
  if (!prompt) return fail(ExitCode::command_line, prompt.error().detail);

  const bool bytes = gpt.token_bytes == 1;
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  GptForward forward(program.value(), std::move(model.value().theta));
  std::span<const float> logits;
  for (const uint32_t token : prompt.value()) {
    print_token(token, bytes, terminal);
    logits = forward.next(token);
  }
  // Texts start after a line's end; where there is none, with the first token there is.
  if (logits.empty()) logits = forward.next(bytes && gpt.vocabulary > '\n' ? '\n' : 0);
  for (uint32_t i = 0; i < options.tokens; ++i) {
    const uint32_t token =
        choose_token(logits, {options.temperature, options.top_k, options.seed}, i);
    print_token(token, bytes, terminal);
    if (std::ferror(stdout) != 0) return ExitCode::failed;  // Program::main says so
    if (i + 1 < options.tokens) logits = forward.next(token);
  }
  std::printf("\n");
  return ExitCode::ok;
}

}  // namespace gemmine::miner
