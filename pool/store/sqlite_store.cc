// boundary: SQLiteCpp throws, and nothing of that leaves this file.
#include "pool/store/sqlite_store.h"

#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>

namespace gemmine::pool {
namespace {

constexpr int kBusyMs = 2'000;

}  // namespace

struct Store::Data {
  Data(const std::string& path, int flags) : database(path, flags, kBusyMs) {}
  SQLite::Database database;
  Digest head;  // of the last durable record
  bool head_known = false;
};

namespace {

Error io_error(const char* doing, const std::exception& problem) {
  return Error{Errc::io, std::string("ledger: ") + doing + ": " + problem.what()};
}

Result<Digest> last_head(SQLite::Database& database) {
  SQLite::Statement query(database, "SELECT head FROM records ORDER BY seq DESC LIMIT 1");
  Digest head;
  if (!query.executeStep()) return head;
  const SQLite::Column column = query.getColumn(0);
  if (column.getBytes() != static_cast<int>(head.bytes.size()))
    return Error{Errc::invalid, "ledger: the last record's head is damaged"};
  std::memcpy(head.bytes.data(), column.getBlob(), head.bytes.size());
  return head;
}

// Columns seq, time_ms, kind, body.
verifier::Record record_of(SQLite::Statement& query) {
  const SQLite::Column body = query.getColumn(3);
  const auto* const bytes = static_cast<const uint8_t*>(body.getBlob());
  verifier::Record out;
  out.seq = static_cast<uint64_t>(query.getColumn(0).getInt64());
  out.time_ms = static_cast<uint64_t>(query.getColumn(1).getInt64());
  out.kind = static_cast<verifier::RecordKind>(query.getColumn(2).getInt());
  if (bytes != nullptr) out.body.assign(bytes, bytes + body.getBytes());
  return out;
}

}  // namespace

Store::Store(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store> Store::open(const std::string& path, Mode mode) {
  try {
    const int flags =
        mode == Mode::create ? SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE : SQLite::OPEN_READONLY;
    auto data = std::make_unique<Data>(path, flags);
    if (mode == Mode::create) {
      data->database.exec("PRAGMA journal_mode=WAL");
      data->database.exec("PRAGMA synchronous=FULL");
      data->database.exec(
          "CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, "
          "kind INTEGER NOT NULL, body BLOB NOT NULL, head BLOB NOT NULL)");
    }
    return Store(std::move(data));
  } catch (const std::exception& problem) {
    return Error{Errc::io, path + ": " + problem.what()};
  }
}

Status Store::append(std::span<const verifier::Record> records) {
  if (records.empty()) return Ok{};
  try {
    if (!data_->head_known) {
      const auto head = last_head(data_->database);
      if (!head) return head.error();
      data_->head = head.value();
      data_->head_known = true;
    }
    Digest head = data_->head;
    SQLite::Transaction transaction(data_->database);
    SQLite::Statement insert(data_->database, "INSERT INTO records VALUES (?, ?, ?, ?, ?)");
    for (const verifier::Record& record : records) {
      head = verifier::next_head(head, record);
      insert.bind(1, static_cast<int64_t>(record.seq));
      insert.bind(2, static_cast<int64_t>(record.time_ms));
      insert.bind(3, static_cast<int>(record.kind));
      insert.bind(4, record.body.data(), static_cast<int>(record.body.size()));
      insert.bind(5, head.bytes.data(), static_cast<int>(head.bytes.size()));
      insert.exec();
      insert.reset();
    }
    transaction.commit();
    data_->head = head;
    return Ok{};
  } catch (const std::exception& problem) {
    return io_error("append", problem);
  }
}

Result<uint64_t> Store::size() {
  try {
    SQLite::Statement query(data_->database, "SELECT coalesce(max(seq) + 1, 0) FROM records");
    query.executeStep();
    return static_cast<uint64_t>(query.getColumn(0).getInt64());
  } catch (const std::exception& problem) {
    return io_error("read", problem);
  }
}

Result<std::vector<verifier::Record>> Store::read(uint64_t first, size_t count_max,
                                                  size_t bytes_max) {
  try {
    SQLite::Statement query(
        data_->database,
        "SELECT seq, time_ms, kind, body FROM records WHERE seq >= ? ORDER BY seq LIMIT ?");
    query.bind(1, static_cast<int64_t>(first));
    query.bind(2, static_cast<int64_t>(count_max));
    std::vector<verifier::Record> out;
    for (size_t bytes = 0; bytes < bytes_max && query.executeStep();) {
      out.push_back(record_of(query));
      bytes += out.back().body.size();
    }
    return out;
  } catch (const std::exception& problem) {
    return io_error("read", problem);
  }
}

Status Store::replay(const std::function<Status(const verifier::Record&)>& take) {
  try {
    SQLite::Statement query(data_->database,
                            "SELECT seq, time_ms, kind, body, head FROM records ORDER BY seq");
    Digest head;
    for (uint64_t next = 0; query.executeStep(); ++next) {
      const auto seq = static_cast<uint64_t>(query.getColumn(0).getInt64());
      const auto wrong = [&](const char* what) {
        return Error{Errc::invalid, "ledger: record " + std::to_string(next) + ": " + what};
      };
      if (seq != next) return wrong("is missing");
      const SQLite::Column stored = query.getColumn(4);
      const int body_bytes = query.getColumn(3).getBytes();
      if (body_bytes < 0 || static_cast<size_t>(body_bytes) > verifier::kRecordBytesMax)
        return wrong("is over its bound");
      const verifier::Record record = record_of(query);
      head = verifier::next_head(head, record);
      if (stored.getBytes() != static_cast<int>(head.bytes.size()) ||
          std::memcmp(stored.getBlob(), head.bytes.data(), head.bytes.size()) != 0)
        return wrong("does not have the head that its bytes give: the file was edited or damaged");
      if (const Status taken = take(record); !taken) return taken;
    }
    data_->head = head;
    data_->head_known = true;
    return Ok{};
  } catch (const std::exception& problem) {
    return io_error("read", problem);
  }
}

Status fold(Store& store, verifier::LedgerState& state) {
  const Status replayed =
      store.replay([&](const verifier::Record& record) { return state.apply(record); });
  if (!replayed) return replayed;
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts())
    sum += amount;
  if (sum != 0)
    return Error{Errc::invalid, "ledger: the accounts sum to " + std::to_string(sum) + ", not 0"};
  return Ok{};
}

}  // namespace gemmine::pool
