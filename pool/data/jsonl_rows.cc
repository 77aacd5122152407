// Tables in files of one JSON object a line.
#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/base/json.h"
#include "kernels/model/program.h"
#include "pool/data/lines.h"
#include "pool/data/memory.h"
#include "pool/data/rows.h"

namespace gemmine::pool {
namespace {

constexpr size_t kLineBytesMax = 1 << 20;
constexpr size_t kDepthMax = 3;
constexpr std::string_view kLabel = "label";  // the member that is one where nobody says which

struct Cell {
  std::string name;
  Json value;
};

// The members of a line; a list of values is as many columns.
std::vector<Cell> cells_of(const Json& object) {
  std::vector<Cell> out;
  for (const JsonMember& member : *object.members()) {
    const std::vector<Json>* const items = member.value.items();
    if (items == nullptr) {
      out.push_back({member.key, member.value});
      continue;
    }
    for (size_t i = 0; i < items->size(); ++i)
      out.push_back({member.key + "[" + std::to_string(i) + "]", (*items)[i]});
  }
  return out;
}

class JsonTable {
 public:
  JsonTable(LineReader& lines, ColumnChoice choice) : lines_(lines), choice_(std::move(choice)) {}

  Result<RowTable> read() {
    out_.file = lines_.stream().name();
    while (true) {
      const auto line = lines_.next();
      if (!line) return line.error();
      if (!line.value()) break;
      if (line.value()->find_first_not_of(" \t") == std::string_view::npos) continue;
      const auto object = Json::parse(*line.value(), kDepthMax);
      if (!object) return wrong("the line " + object.error().detail);
      if (object.value().members() == nullptr)
        return wrong("is no object; a line is {\"height\": 1.5, \"label\": \"cat\"}");
      const std::vector<Cell> cells = cells_of(object.value());
      if (names_.empty())
        if (auto chosen = choose(cells); !chosen) return chosen.error();
      if (auto added = add(cells); !added) return added.error();
    }
    if (out_.values.empty()) return Error{Errc::invalid, out_.file + ": no rows"};
    return std::move(out_);
  }

 private:
  Error wrong(const std::string& why) const {
    return {Errc::malformed, out_.file + ":" + std::to_string(lines_.number()) + ": " + why};
  }

  // By the first line.
  Status choose(const std::vector<Cell>& cells) {
    std::vector<std::string> names;
    for (const Cell& cell : cells) {
      names_.emplace(cell.name, names.size());
      names.push_back(cell.name);
    }
    if (names.empty()) return wrong("has no member");
    const bool by_place = choice_.label == LabelColumn::first || choice_.label == LabelColumn::last;
    if (by_place && names_.contains(std::string(kLabel))) {
      choice_.label = LabelColumn::named;
      choice_.label_name = kLabel;
    }
    auto chosen = choose_columns(choice_, names, names.size());
    if (!chosen) return wrong(chosen.error().detail);
    chosen_ = std::move(chosen.value());
    out_.columns = static_cast<uint32_t>(chosen_.features.size());
    for (const size_t i : chosen_.features)
      out_.names.push_back(names[i]);
    if (chosen_.label) out_.label_name = names[*chosen_.label];
    return Ok{};
  }

  Status add(const std::vector<Cell>& cells) {
    if (out_.rows() == kernels::kRecordsMax)
      return Error{Errc::invalid, out_.file + ": too many rows"};
    std::vector<const Json*> row(names_.size(), nullptr);
    for (const Cell& cell : cells) {
      const auto place = names_.find(cell.name);
      if (place == names_.end())
        return wrong("has " + quoted(cell.name) + ", which the first line has not");
      if (row[place->second] != nullptr) return wrong("has " + quoted(cell.name) + " twice");
      row[place->second] = &cell.value;
    }
    for (size_t i = 0; i < chosen_.features.size(); ++i)
      if (auto added = add_value(row[chosen_.features[i]], out_.names[i]); !added) return added;
    if (!chosen_.label) return Ok{};
    const Json* const label = row[*chosen_.label];
    if (label == nullptr || label->is_null() || label->members() != nullptr)
      return wrong("has no label " + quoted(out_.label_name));
    out_.labels.add(label->text() != nullptr ? *label->text() : label->dump(),
                    out_.file + ":" + std::to_string(lines_.number()));
    return Ok{};
  }

  Status add_value(const Json* value, const std::string& name) {
    if (value == nullptr || value->is_null()) {
      if (!choice_.missing) return wrong(quoted(name) + ": " + no_number(""));
      out_.values.push_back(std::nan(""));
      return Ok{};
    }
    const bool is_true = *value == Json(true);
    const auto number =
        is_true || *value == Json(false) ? std::optional(is_true ? 1.0 : 0.0) : value->number();
    if (!number || !std::isfinite(*number))
      return wrong(quoted(name) + ": " +
                   no_number(value->text() != nullptr ? *value->text() : value->dump()));
    if (choice_.bytes && !is_byte(*number))
      return wrong(quoted(name) + ": " + no_byte(value->dump()));
    out_.values.push_back(*number);
    return Ok{};
  }

  LineReader& lines_;
  ColumnChoice choice_;
  std::map<std::string, size_t> names_;  // of all columns
  ChosenColumns chosen_;
  RowTable out_;
};

}  // namespace

Result<RowTable> read_jsonl_rows(ByteStream stream, const ColumnChoice& choice) {
  const std::string name = stream.name();
  LineReader lines(std::move(stream), kLineBytesMax);
  return within_memory(name, [&] { return JsonTable(lines, choice).read(); });
}

}  // namespace gemmine::pool
