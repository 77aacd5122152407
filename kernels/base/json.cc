#include "kernels/base/json.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "kernels/base/printable.h"

namespace gemmine {

// Between our values and the library's, so that its header is in no header of ours.
struct JsonAccess {
  static nlohmann::ordered_json to_library(const Json& from) {
    if (const auto* items = from.items()) {
      auto out = nlohmann::ordered_json::array();
      for (const Json& item : *items)
        out.push_back(to_library(item));
      return out;
    }
    if (const auto* members = from.members()) {
      auto out = nlohmann::ordered_json::object();
      auto& list = out.get_ref<nlohmann::ordered_json::object_t&>();  // adds without looking
      for (const JsonMember& member : *members)
        list.emplace_back(member.key, to_library(member.value));
      return out;
    }
    if (const auto* text = from.text()) return *text;
    if (const auto* flag = std::get_if<bool>(&from.value_)) return *flag;
    if (const auto* number = std::get_if<int64_t>(&from.value_)) return *number;
    if (const auto* number = std::get_if<uint64_t>(&from.value_)) return *number;
    if (const auto* number = std::get_if<double>(&from.value_)) return *number;
    return nullptr;
  }
};

namespace {

// Takes what the parser meets, and gives up at what a stranger must not send.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(size_t depth_max) : depth_max_(depth_max) {}

  bool null() override { return put({}); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(size_t /*count*/) override { return open(Json::object()); }
  bool start_array(size_t /*count*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    Level& level = levels_.back();
    if (!level.keys.insert(value).second) return fail("has '" + printable(value) + "' twice");
    level.key = std::move(value);
    return true;
  }
  bool parse_error(size_t byte, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    return fail("is no JSON, from byte " + std::to_string(byte) + " on");
  }

  const std::string& error() const { return error_; }
  Json take() { return std::move(root_); }

 private:
  struct Level {
    Json value;
    std::string key;  // of an object: of the member that is read
    std::set<std::string> keys;
  };

  bool fail(const std::string& why) {
    if (error_.empty()) error_ = why;
    return false;
  }
  bool put(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
    } else if (levels_.back().value.items() != nullptr) {
      levels_.back().value.push_back(std::move(value));
    } else {
      levels_.back().value.add(std::move(levels_.back().key), std::move(value));
    }
    return true;
  }
  bool open(Json value) {
    if (levels_.size() == depth_max_)
      return fail("nests deeper than " + std::to_string(depth_max_));
    levels_.push_back({std::move(value), {}, {}});
    return true;
  }
  bool close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    return put(std::move(value));
  }

  size_t depth_max_;
  std::vector<Level> levels_;
  Json root_;
  std::string error_;
};

}  // namespace

Json::Json(std::nullptr_t) {}
Json::Json(bool value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(std::string value) : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(std::initializer_list<JsonMember> members) : value_(std::vector<JsonMember>(members)) {}

Json Json::array() {
  Json out;
  out.value_ = std::vector<Json>{};
  return out;
}

Json Json::object() {
  Json out;
  out.value_ = std::vector<JsonMember>{};
  return out;
}

bool Json::is_null() const {
  return std::holds_alternative<std::monostate>(value_);
}

const std::string* Json::text() const {
  return std::get_if<std::string>(&value_);
}

const std::vector<Json>* Json::items() const {
  return std::get_if<std::vector<Json>>(&value_);
}

const std::vector<JsonMember>* Json::members() const {
  return std::get_if<std::vector<JsonMember>>(&value_);
}

bool Json::operator==(const Json& other) const {
  return value_ == other.value_;
}

Result<Json> Json::parse(std::string_view text, size_t depth_max) {
  Builder builder(depth_max);
  const bool good = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  if (!good) return Error{Errc::malformed, builder.error()};
  return builder.take();
}

std::string Json::dump(int indent) const {
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  return JsonAccess::to_library(*this).dump(indent, ' ', false, replace);
}

void Json::push_back(Json value) {
  if (is_null()) value_ = std::vector<Json>{};
  auto* const items = std::get_if<std::vector<Json>>(&value_);
  GEMMINE_CHECK(items != nullptr);
  items->push_back(std::move(value));
}

void Json::add(std::string key, Json value) {
  if (is_null()) value_ = std::vector<JsonMember>{};
  auto* const members = std::get_if<std::vector<JsonMember>>(&value_);
  GEMMINE_CHECK(members != nullptr);
  members->push_back({std::move(key), std::move(value)});
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = std::vector<JsonMember>{};
  auto* const members = std::get_if<std::vector<JsonMember>>(&value_);
  GEMMINE_CHECK(members != nullptr);
  const auto found = std::ranges::find(*members, key, &JsonMember::key);
  if (found != members->end()) return found->value;
  return members->emplace_back(JsonMember{std::string(key), {}}).value;
}

std::optional<uint64_t> Json::whole_number() const {
  if (const auto* number = std::get_if<uint64_t>(&value_)) return *number;
  const auto* const number = std::get_if<int64_t>(&value_);
  if (number == nullptr || *number < 0) return {};
  return static_cast<uint64_t>(*number);
}

std::optional<double> Json::number() const {
  if (const auto* real = std::get_if<double>(&value_)) return *real;
  if (const auto* whole = std::get_if<int64_t>(&value_)) return static_cast<double>(*whole);
  if (const auto* natural = std::get_if<uint64_t>(&value_)) return static_cast<double>(*natural);
  return std::nullopt;
}

const Json* Json::find(std::string_view key) const {
  const auto* const list = members();
  if (list == nullptr) return nullptr;
  const auto found = std::ranges::find(*list, key, &JsonMember::key);
  return found == list->end() ? nullptr : &found->value;
}

}  // namespace gemmine
