// `gemmine predict` and `gemmine evaluate`: a trained model on a user's own rows.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include <CLI/CLI.hpp>

#include "kernels/base/cores.h"
#include "kernels/base/output.h"
#include "kernels/base/printable.h"
#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/engines.h"
#include "miner/cli/commands.h"
#include "pool/data/model_file.h"
#include "pool/data/model_rows.h"
#include "pool/data/tokens.h"

namespace gemmine::miner {

using cli::fail;

namespace {

struct LoadedModel {
  kernels::Program program;
  std::vector<float> theta;
  verifier::Sheet sheet;  // of an mlp
  pool::TableShape shape;
};

Result<LoadedModel> load_model(const std::string& path) {
  const auto file = pool::read_model_file(path);
  if (!file) return file.error();
  auto program = pool::model_program(file.value(), path);
  if (!program) return program.error();
  auto model = pool::parse_model(file.value(), path, program.value());
  if (!model) return model.error();
  LoadedModel out{std::move(program.value()), std::move(model.value().theta), {}, {}};
  if (out.program.is_gpt()) return out;
  auto sheet = pool::model_sheet(file.value(), path, out.program);
  if (!sheet) return sheet.error();
  out.sheet = std::move(sheet.value());
  const std::vector<uint32_t>& widths = out.program.spec().widths;
  out.shape = {.features = widths.front(), .classes = widths.back()};
  return out;
}

Result<pool::RowSource> source_of(const RowOptions& options) {
  constexpr std::pair<std::string_view, pool::DataKind> kKinds[] = {
      {"csv", pool::DataKind::csv},   {"jsonl", pool::DataKind::jsonl},
      {"npy", pool::DataKind::npy},   {"npz", pool::DataKind::npz},
      {"idx", pool::DataKind::idx},   {"images", pool::DataKind::images},
      {"text", pool::DataKind::text}, {"tokens", pool::DataKind::tokens}};
  pool::RowSource out{.path = options.rows,
                      .kind = {},
                      .label_column = options.label_column,
                      .labels = options.labels,
                      .features = options.features};
  if (options.kind.empty()) return out;
  for (const auto& [name, kind] : kKinds)
    if (name == options.kind) out.kind = kind;
  if (!out.kind)
    return Error{Errc::invalid_argument,
                 "--kind: '" + options.kind +
                     "' is none of csv, jsonl, npy, npz, idx, images, text, tokens"};
  return out;
}

int threads_of(const RowOptions& options) {
  return options.threads > 0 ? options.threads : usable_cores();
}

std::string class_name(const verifier::Sheet& sheet, size_t number) {
  return number < sheet.classes.size() ? sheet.classes[number].text : std::to_string(number);
}

// What each class is worth in a row of outputs; for people.
std::vector<double> probabilities(std::span<const float> outputs) {
  const double most = *std::ranges::max_element(outputs);
  std::vector<double> out;
  double sum = 0;
  for (const float output : outputs) {
    out.push_back(std::exp(output - most));
    sum += out.back();
  }
  for (double& each : out)
    each /= sum;
  return out;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", value);
  return text;
}

// As spreadsheets read it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",;\"\t\n\r ") == std::string::npos) return text;
  std::string out(1, '"');
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

// A line for each row.
class Predictions {
 public:
  Predictions(const LoadedModel& model, const pool::ModelRows& rows, const PredictOptions& options)
      : model_(model), rows_(rows), options_(options) {}

  std::string text(std::span<const float> outputs) const {
    const size_t classes = model_.shape.classes;
    std::string out = options_.json ? "" : header();
    for (size_t row = 0; row < rows_.count; ++row) {
      const std::vector<double> parts = probabilities(outputs.subspan(row * classes, classes));
      const auto best = static_cast<size_t>(std::ranges::max_element(parts) - parts.begin());
      out += options_.json ? as_json(row, best, parts) : as_csv(row, best, parts);
    }
    return out;
  }

 private:
  std::string header() const {
    std::string out = (rows_.names.empty() ? "row" : "file") + std::string(",class,probability");
    for (size_t i = 0; options_.probabilities && i < model_.shape.classes; ++i)
      out += "," + csv_field(class_name(model_.sheet, i));
    return out + "\n";
  }
  std::string as_csv(size_t row, size_t best, const std::vector<double>& parts) const {
    std::string out = rows_.names.empty() ? std::to_string(row + 1) : csv_field(rows_.names[row]);
    out += "," + csv_field(class_name(model_.sheet, best)) + "," + decimal(parts[best]);
    for (size_t i = 0; options_.probabilities && i < parts.size(); ++i)
      out += "," + decimal(parts[i]);
    return out + "\n";
  }
  std::string as_json(size_t row, size_t best, const std::vector<double>& parts) const {
    Json line;
    if (rows_.names.empty()) {
      line["row"] = row + 1;
    } else {
      line["file"] = rows_.names[row];
    }
    line["class"] = class_name(model_.sheet, best);
    line["probability"] = parts[best];
    for (size_t i = 0; options_.probabilities && i < parts.size(); ++i)
      line["probabilities"].add(class_name(model_.sheet, i), parts[i]);
    return line.dump() + "\n";
  }

  const LoadedModel& model_;
  const pool::ModelRows& rows_;
  const PredictOptions& options_;
};

// How often each class was taken for each; [true class, predicted].
struct Confusion {
  explicit Confusion(size_t count) : classes(count), counts(count * count) {}
  uint64_t& at(size_t is, size_t taken_for) { return counts[is * classes + taken_for]; }
  uint64_t row(size_t is) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < classes; ++i)
      sum += counts[is * classes + i];
    return sum;
  }
  uint64_t column(size_t taken_for) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < classes; ++i)
      sum += counts[i * classes + taken_for];
    return sum;
  }

  size_t classes;
  std::vector<uint64_t> counts;
};

Confusion count(const LoadedModel& model, const Bytes& records, std::span<const float> outputs) {
  const size_t classes = model.shape.classes;
  Confusion out(classes);
  const size_t record_bytes = model.shape.record_bytes();
  for (size_t row = 0; row * record_bytes < records.size(); ++row) {
    const auto of_row = outputs.subspan(row * classes, classes);
    const auto best = static_cast<size_t>(std::ranges::max_element(of_row) - of_row.begin());
    const ByteView record = ByteView(records).subspan(row * record_bytes, record_bytes);
    ++out.at(model.program.label_of(record), best);
  }
  return out;
}

double part(uint64_t of, uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(of) / static_cast<double>(all);
}

Json to_json(const LoadedModel& model, const kernels::Evaluation& evaluation,
             const Confusion& confusion) {
  Json out = {{"rows", evaluation.records},
              {"correct", evaluation.correct},
              {"accuracy", part(evaluation.correct, evaluation.records)},
              {"loss", evaluation.loss}};
  for (size_t i = 0; i < confusion.classes; ++i) {
    Json counts;
    for (size_t k = 0; k < confusion.classes; ++k)
      counts.push_back(confusion.counts[i * confusion.classes + k]);
    const uint64_t right = confusion.counts[i * confusion.classes + i];
    out["classes"].push_back({{"class", class_name(model.sheet, i)},
                              {"rows", confusion.row(i)},
                              {"right", right},
                              {"precision", part(right, confusion.column(i))},
                              {"recall", part(right, confusion.row(i))},
                              {"taken_for", std::move(counts)}});
  }
  return out;
}

// Columns of a name are counted in characters, not bytes.
std::string padded(const std::string& name, size_t width) {
  const auto characters = static_cast<size_t>(
      std::ranges::count_if(name, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
  return name + std::string(width - std::min(width, characters), ' ');
}

void print(const LoadedModel& model, const kernels::Evaluation& evaluation,
           const Confusion& confusion) {
  constexpr size_t kNameWidth = 20;
  std::printf("rows       %llu\naccuracy   %.2f %%\nloss       %.4f\n",
              static_cast<unsigned long long>(evaluation.records),
              100 * part(evaluation.correct, evaluation.records), evaluation.loss);
  std::printf("\n%s  %8s  %8s  %9s  %8s\n", padded("class", kNameWidth).c_str(), "rows", "right",
              "precision", "recall");
  for (size_t i = 0; i < confusion.classes; ++i) {
    const uint64_t right = confusion.counts[i * confusion.classes + i];
    std::printf("%s  %8llu  %8llu  %7.2f %%  %6.2f %%\n",
                padded(printable(class_name(model.sheet, i)), kNameWidth).c_str(),
                static_cast<unsigned long long>(confusion.row(i)),
                static_cast<unsigned long long>(right), 100 * part(right, confusion.column(i)),
                100 * part(right, confusion.row(i)));
  }
}

ExitCode evaluate_text(const LoadedModel& model, const EvaluateOptions& options,
                       const pool::RowSource& source) {
  const kernels::GptShape& gpt = model.program.spec().gpt;
  const auto kind = source.kind ? *source.kind : *pool::kind_of_file(source.path, true);
  if (kind != pool::DataKind::text && kind != pool::DataKind::tokens)
    return fail(ExitCode::command_line, "the model is a gpt, and reads text or tokens");
  const auto tokens = pool::read_token_file(kind, source.path, gpt);
  if (!tokens) return fail(ExitCode::bad_input, tokens.error().detail);
  const uint64_t count = tokens.value().size() / gpt.token_bytes;
  if (count <= gpt.context)
    return fail(ExitCode::bad_input, printable(source.path) + ": has " + std::to_string(count) +
                                         " tokens; the model's context needs " +
                                         std::to_string(gpt.context + 1));
  const auto evaluation =
      kernels::evaluate(model.program, model.theta, tokens.value(), threads_of(options.rows));
  if (!evaluation) return fail(ExitCode::failed, evaluation.error().detail);
  const double loss = evaluation.value().loss;
  const double right = part(evaluation.value().correct, evaluation.value().records);
  if (options.json) {
    cli::print_json({{"tokens", evaluation.value().records},
                     {"accuracy", right},
                     {"loss", loss},
                     {"perplexity", std::exp(loss)},
                     {"bits_per_token", loss / std::log(2.0)}});
  } else {
    std::printf(
        "tokens      %llu\nloss        %.4f nats a token, %.4f bits\n"
        "perplexity  %.4f\naccuracy    %.2f %%\n",
        static_cast<unsigned long long>(evaluation.value().records), loss, loss / std::log(2.0),
        std::exp(loss), 100 * right);
  }
  return ExitCode::ok;
}

void add_row_options(CLI::App& command, RowOptions& options) {
  cli::add_name(command, "rows", options.rows,
                "the rows: CSV, JSON lines, .npy, .npz, IDX, or PNG images in a folder")
      ->required();
  cli::add_name(command, "--model", options.model,
                "a model, as `gemmine train --model` or `gemmine-pool export --model` writes it")
      ->required();
  cli::add_name(command, "--kind", options.kind,
                "csv, jsonl, npy, npz, idx, images, text or tokens, where the file's name does not "
                "say it");
  cli::add_name(command, "--label-column", options.label_column,
                "of CSV and JSON lines: first, last, none, or a name; else the model knows its "
                "name, or it is the last");
  cli::add_name(command, "--labels", options.labels,
                "the file of labels beside .npy or IDX features; of .npz their array (y_test)");
  cli::add_name(command, "--features", options.features, "of .npz: the features' array (x_test)");
  cli::add_number(command, "--threads", options.threads, {0, 1024}, "threads (0: one per core)");
}

}  // namespace

void add_predict_options(CLI::App& command, PredictOptions& options) {
  command.footer(
      "Examples:\n"
      "  gemmine predict --model iris.safetensors flowers.csv\n"
      "  gemmine predict --model digits.safetensors scans/ --json\n"
      "Scaling, the names of columns and classes, and the shape are read from the model. Columns\n"
      "are found by name where the rows have names, in any order, and others are left out.");
  add_row_options(command, options.rows);
  cli::add_name(command, "--out", options.out, "file for the result; else standard output");
  command.add_flag("--probabilities", options.probabilities, "a column for every class");
  command.add_flag("--json", options.json, "a JSON object a line, instead of CSV");
}

void add_evaluate_options(CLI::App& command, EvaluateOptions& options) {
  command.footer(
      "Examples:\n"
      "  gemmine evaluate --model iris.safetensors new-flowers.csv\n"
      "  gemmine evaluate --model austen.safetensors another-novel.txt");
  add_row_options(command, options.rows);
  command.add_flag("--json", options.json, "as JSON, with what each class was taken for");
}

ExitCode predict(const PredictOptions& options) {
  const std::string out = options.out.empty() ? "-" : options.out;
  if (Status usable = check_output_path(out); !usable)
    return fail(ExitCode::failed, "--out: " + usable.error().detail);
  const auto source = source_of(options.rows);
  if (!source) return fail(ExitCode::command_line, source.error().detail);
  const auto model = load_model(options.rows.model);
  if (!model) return fail(ExitCode::bad_input, model.error().detail);
  if (model.value().program.is_gpt())
    return fail(ExitCode::bad_input, printable(options.rows.model) +
                                         ": is a gpt, and gemmine sample writes text with it");
  const auto rows =
      pool::read_model_rows(source.value(), model.value().sheet, model.value().shape, false);
  if (!rows) return fail(ExitCode::bad_input, rows.error().detail);
  const auto outputs = kernels::predict(model.value().program, model.value().theta,
                                        rows.value().records, threads_of(options.rows));
  if (!outputs) return fail(ExitCode::failed, outputs.error().detail);
  const std::string text = Predictions(model.value(), rows.value(), options).text(outputs.value());
  if (Status written = write_output(out, as_bytes(std::string_view(text))); !written)
    return fail(ExitCode::failed, written.error().detail);
  return ExitCode::ok;
}

ExitCode evaluate(const EvaluateOptions& options) {
  const auto source = source_of(options.rows);
  if (!source) return fail(ExitCode::command_line, source.error().detail);
  const auto model = load_model(options.rows.model);
  if (!model) return fail(ExitCode::bad_input, model.error().detail);
  if (model.value().program.is_gpt()) return evaluate_text(model.value(), options, source.value());
  const auto rows =
      pool::read_model_rows(source.value(), model.value().sheet, model.value().shape, true);
  if (!rows)
    return fail(
        rows.error().code == Errc::invalid_argument ? ExitCode::command_line : ExitCode::bad_input,
        rows.error().detail);
  const int threads = threads_of(options.rows);
  const auto evaluation =
      kernels::evaluate(model.value().program, model.value().theta, rows.value().records, threads);
  if (!evaluation) return fail(ExitCode::failed, evaluation.error().detail);
  const auto outputs =
      kernels::predict(model.value().program, model.value().theta, rows.value().records, threads);
  if (!outputs) return fail(ExitCode::failed, outputs.error().detail);
  const Confusion confusion = count(model.value(), rows.value().records, outputs.value());
  if (options.json) {
    cli::print_json(to_json(model.value(), evaluation.value(), confusion));
  } else {
    print(model.value(), evaluation.value(), confusion);
  }
  return ExitCode::ok;
}

}  // namespace gemmine::miner
