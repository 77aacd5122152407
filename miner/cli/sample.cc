// `gemmine sample`: text from a model file.
#include <charconv>
#include <cstdio>
#include <unistd.h>
#include <utility>

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

// A terminal must not obey what a model invents, byte by byte: controls of ASCII, and those of
// Latin-1, which are a byte of 80 to 9f, alone or behind c2.
class TokenPrinter {
 public:
  TokenPrinter(bool bytes, bool terminal) : bytes_(bytes), terminal_(terminal) {}

  void print(uint32_t token) {
    if (!bytes_) {
      std::printf("%u ", token);
    } else {
      std::putchar(terminal_ && is_control(token) ? '?' : static_cast<int>(token));
    }
    std::fflush(stdout);
  }

 private:
  bool is_control(uint32_t byte) {
    if (byte >= 0xc2 && byte <= 0xf4) {
      to_come_ = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
      lead_ = byte;
      return false;
    }
    const uint32_t lead = std::exchange(lead_, 0);
    if (byte >= 0x80) {
      const bool belongs = to_come_ > 0;
      to_come_ -= belongs ? 1 : 0;
      return byte < 0xa0 && (!belongs || lead == 0xc2);
    }
    to_come_ = 0;
    return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
  }

  bool bytes_;
  bool terminal_;
  uint32_t lead_ = 0;     // the byte before, where a UTF-8 character begins with it
  uint32_t to_come_ = 0;  // bytes of that character
};

}  // namespace

ExitCode sample(const SampleOptions& options) {
  const auto file = pool::read_model_file(options.model);
  if (!file) return fail(ExitCode::bad_input, file.error().detail);
  const auto program = pool::model_program(file.value(), options.model);
  if (!program) return fail(ExitCode::bad_input, program.error().detail);
  if (!program.value().is_gpt())
    return fail(ExitCode::bad_input, options.model +
                                         ": is an mlp, and only a gpt writes text; gemmine predict "
                                         "runs it on rows");
  auto model = pool::parse_model(file.value(), options.model, program.value());
  if (!model) return fail(ExitCode::bad_input, model.error().detail);
  const kernels::GptShape& gpt = program.value().spec().gpt;
  auto prompt = prompt_tokens(options.prompt, gpt);
  if (!prompt) return fail(ExitCode::command_line, prompt.error().detail);

  const bool bytes = gpt.token_bytes == 1;
  TokenPrinter printer(bytes, ::isatty(STDOUT_FILENO) != 0);
  GptForward forward(program.value(), std::move(model.value().theta));
  std::span<const float> logits;
  for (const uint32_t token : prompt.value()) {
    printer.print(token);
    logits = forward.next(token);
  }
  // Texts start after a line's end; where there is none, with the first token there is.
  if (logits.empty()) logits = forward.next(bytes && gpt.vocabulary > '\n' ? '\n' : 0);
  for (uint32_t i = 0; i < options.tokens; ++i) {
    const uint32_t token =
        choose_token(logits, {options.temperature, options.top_k, options.seed}, i);
    printer.print(token);
    if (std::ferror(stdout) != 0) return ExitCode::failed;  // Program::main says so
    if (i + 1 < options.tokens) logits = forward.next(token);
  }
  std::printf("\n");
  return ExitCode::ok;
}

}  // namespace gemmine::miner
