// boundary: SQLiteCpp throws, and nothing of that leaves this file.
#include "pool/store/sqlite_store.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>

#include "kernels/base/check.h"
#include "kernels/base/fd.h"

namespace gemmine::pool {
namespace {

constexpr int kBusyMs = 2'000;

// A folder of its own that goes when it does.
class TemporaryFolder {
 public:
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Status make() {
    std::error_code error;
    std::string name = std::filesystem::temp_directory_path(error) / "gemmine-ledger-XXXXXX";
    if (error || ::mkdtemp(name.data()) == nullptr) return io_error("cannot make", name);
    path_ = name;
    return Ok{};
  }
  void adopt(TemporaryFolder&& other) { path_.swap(other.path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

struct SqliteStore::Data {
  struct Tip {
    uint64_t next = 0;  // seq of the record that comes next
    Digest head;        // of the one before it
  };
  Data(const std::string& path, int flags) : database(path, flags, kBusyMs) {}
  TemporaryFolder temporary;  // first: the database in it closes before it goes
  SQLite::Database database;
  bool writes = false;
  std::optional<Tip> tip;  // once known
};

namespace {

constexpr const char* kTable =
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, "
    "kind INTEGER NOT NULL, body BLOB NOT NULL, head BLOB NOT NULL, signature BLOB NOT NULL)";

constexpr const char* kKeptTable =
    "CREATE TABLE kept (name BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID";

Error failed(const char* doing, const std::exception& problem) {
  return Error{Errc::io, std::string("ledger: ") + doing + ": " + problem.what()};
}

Error failed(const std::string& path, const std::exception& problem) {
  return Error{Errc::io, path + ": " + problem.what()};
}

// False when the column has another length.
template <size_t kBytes>
bool read_column(const SQLite::Column& column, std::array<uint8_t, kBytes>& out) {
  if (column.getBytes() != static_cast<int>(kBytes)) return false;
  std::memcpy(out.data(), column.getBlob(), kBytes);
  return true;
}

Result<SqliteStore::Data::Tip> last_record(SQLite::Database& database) {
  SQLite::Statement query(database, "SELECT seq, head FROM records ORDER BY seq DESC LIMIT 1");
  SqliteStore::Data::Tip out;
  if (!query.executeStep()) return out;
  out.next = static_cast<uint64_t>(query.getColumn(0).getInt64()) + 1;
  if (!read_column(query.getColumn(1), out.head.bytes))
    return Error{Errc::invalid, "ledger: the last record's head is damaged"};
  return out;
}

constexpr const char* kColumns = "SELECT seq, time_ms, kind, body, head, signature FROM records ";

// A row of kColumns. Its head goes to `head`, which is that of the record before. None: the head
// or the signature has another length.
std::optional<verifier::SignedRecord> record_of(SQLite::Statement& query, Digest& head) {
  const SQLite::Column body = query.getColumn(3);
  const auto* const bytes = static_cast<const uint8_t*>(body.getBlob());
  verifier::SignedRecord out;
  out.head_before = head;
  if (!read_column(query.getColumn(4), head.bytes)) return {};
  if (!read_column(query.getColumn(5), out.signature)) return {};
  out.seq = static_cast<uint64_t>(query.getColumn(0).getInt64());
  out.time_ms = static_cast<uint64_t>(query.getColumn(1).getInt64());
  out.kind = static_cast<verifier::RecordKind>(query.getColumn(2).getInt());
  if (bytes != nullptr) out.body.assign(bytes, bytes + body.getBytes());
  return out;
}

void bind_bytes(SQLite::Statement& statement, int index, ByteView bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

void change_kept(SQLite::Database& database, const KeptChanges& kept) {
  SQLite::Statement put(database, "INSERT OR REPLACE INTO kept VALUES (?, ?)");
  for (const auto& [name, bytes] : kept.put) {
    bind_bytes(put, 1, name.view());
    bind_bytes(put, 2, bytes);
    put.exec();
    put.reset();
  }
  SQLite::Statement drop(database, "DELETE FROM kept WHERE name = ?");
  for (const Digest& name : kept.drop) {
    bind_bytes(drop, 1, name.view());
    drop.exec();
    drop.reset();
  }
}

// In a URI, for SQLite's own parameters: what is special there is escaped.
std::string uri_of(const std::string& path, const char* parameters) {
  std::string out = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      out += c == '%' ? "%25" : (c == '?' ? "%3f" : "%23");
    } else {
      out += c;
    }
  }
  return out + parameters;
}

bool may_write(const std::string& path) {
  return ::access(path.c_str(), W_OK) == 0 && ::access(folder_of(path).c_str(), W_OK) == 0;
}

// SQLite opens lazily: only this shows whether the file can be read.
void look(SQLite::Database& database) {
  database.execAndGet("SELECT count(*) FROM sqlite_master");
}

}  // namespace

SqliteStore::SqliteStore(std::unique_ptr<Data> data) : data_(std::move(data)) {}

SqliteStore::~SqliteStore() {
  try {
    if (data_->writes) data_->database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const std::exception&) {
    // The WAL stays beside the file and is part of the ledger: the next one to open it reads it.
    return;
  }
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::make(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return Error{Errc::io, path + " is there already"};
  const std::string temporary = path + ".new";  // so that a crash leaves no half-made ledger
  try {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    {
      SQLite::Database database(temporary, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMs);
      database.exec("PRAGMA synchronous=FULL");
      database.exec(kTable);
      database.exec(kKeptTable);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot make", path);
  } catch (const std::exception& problem) {
    return failed(path, problem);
  }
  return open(path);
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  try {
    auto data = std::make_unique<Data>(path, SQLite::OPEN_READWRITE);
    data->database.exec("PRAGMA journal_mode=WAL");
    data->database.exec("PRAGMA synchronous=FULL");
    data->writes = true;
    return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(data)));
  } catch (const std::exception& problem) {
    return failed(path, problem);
  }
}

// Reading a WAL needs an index beside it, which SQLite makes when it may. So: who may write opens
// as a writer would, and the last one out removes it; who may not reads a file without a WAL as one
// that nobody changes, and takes a copy of what a killed pool left on a disk that is read-only now.
Result<std::unique_ptr<SqliteStore>> SqliteStore::open_to_read(const std::string& path) {
  const std::string wal = path + "-wal";
  const auto open_as = [&](const std::string& name, int flags) {
    auto data = std::make_unique<Data>(name, flags);
    look(data->database);
    return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(data)));
  };
  try {
    std::error_code none;
    const bool has_wal = std::filesystem::file_size(wal, none) > 0 && !none;
    if (may_write(path)) {
      auto out = open_as(path, SQLite::OPEN_READWRITE);
      out->data_->database.exec("PRAGMA query_only=1");
      return out;
    }
    if (!has_wal && ::access((path + "-shm").c_str(), F_OK) != 0)
      return open_as(uri_of(path, "?immutable=1"), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    if (::access((path + "-shm").c_str(), R_OK) == 0) return open_as(path, SQLite::OPEN_READONLY);
    TemporaryFolder folder;
    if (const Status made = folder.make(); !made) return made.error();
    const std::string copied = folder.path() + "/ledger.sqlite";
    std::filesystem::copy_file(path, copied);
    std::filesystem::copy_file(wal, copied + "-wal");
    ::chmod(copied.c_str(), 0600);
    ::chmod((copied + "-wal").c_str(), 0600);
    auto out = open_as(copied, SQLite::OPEN_READWRITE);
    out->data_->temporary.adopt(std::move(folder));
    return out;
  } catch (const std::exception& problem) {
    return failed(path, problem);
  }
}

Status SqliteStore::copy(const std::string& from, const std::string& to) {
  try {
    auto source = open_to_read(from);
    if (!source) return source.error();
    SQLite::Database target(to, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyMs);
    SQLite::Backup backup(target, source.value()->data_->database);
    backup.executeStep(-1);  // all pages under one read lock: a pool that writes is not held up
    return Ok{};
  } catch (const std::exception& problem) {
    return failed(to, problem);
  }
}

Status SqliteStore::append(std::span<const verifier::SignedRecord> records,
                           const KeptChanges& kept) {
  if (records.empty() && kept.empty()) return Ok{};
  try {
    if (!data_->tip) {
      const auto tip = last_record(data_->database);
      if (!tip) return tip.error();
      data_->tip = tip.value();
    }
    Data::Tip tip = *data_->tip;
    SQLite::Transaction transaction(data_->database);
    SQLite::Statement insert(data_->database, "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)");
    for (const verifier::SignedRecord& record : records) {
      // One writer, and it goes on where it stopped.
      GEMMINE_CHECK(record.seq == tip.next && record.head_before == tip.head);
      ++tip.next;
      tip.head = verifier::next_head(tip.head, record);
      insert.bind(1, static_cast<int64_t>(record.seq));
      insert.bind(2, static_cast<int64_t>(record.time_ms));
      insert.bind(3, static_cast<int>(record.kind));
      insert.bind(4, record.body.data(), static_cast<int>(record.body.size()));
      insert.bind(5, tip.head.bytes.data(), static_cast<int>(tip.head.bytes.size()));
      insert.bind(6, record.signature.data(), static_cast<int>(record.signature.size()));
      insert.exec();
      insert.reset();
    }
    change_kept(data_->database, kept);
    transaction.commit();
    data_->tip = tip;
    return Ok{};
  } catch (const std::exception& problem) {
    return failed("append", problem);
  }
}

Result<Bytes> SqliteStore::kept(const Digest& name) {
  try {
    SQLite::Statement query(data_->database, "SELECT bytes FROM kept WHERE name = ?");
    bind_bytes(query, 1, name.view());
    if (!query.executeStep())
      return Error{Errc::io, "ledger: nothing is kept under " + to_hex(name.bytes)};
    const SQLite::Column column = query.getColumn(0);
    const auto* const bytes = static_cast<const uint8_t*>(column.getBlob());
    return bytes == nullptr ? Bytes{} : Bytes(bytes, bytes + column.getBytes());
  } catch (const std::exception& problem) {
    return failed("read", problem);
  }
}

Result<uint64_t> SqliteStore::size() {
  try {
    SQLite::Statement query(data_->database, "SELECT coalesce(max(seq) + 1, 0) FROM records");
    query.executeStep();
    return static_cast<uint64_t>(query.getColumn(0).getInt64());
  } catch (const std::exception& problem) {
    return failed("read", problem);
  }
}

Result<std::vector<verifier::SignedRecord>> SqliteStore::read(uint64_t first, size_t count_max,
                                                              size_t bytes_max) {
  const Error damaged{Errc::io, "ledger: a head or signature is damaged"};
  try {
    Digest head;
    SQLite::Statement before(data_->database, "SELECT head FROM records WHERE seq = ?");
    before.bind(1, static_cast<int64_t>(first) - 1);
    if (before.executeStep() && !read_column(before.getColumn(0), head.bytes)) return damaged;
    SQLite::Statement query(data_->database,
                            std::string(kColumns) + "WHERE seq >= ? ORDER BY seq LIMIT ?");
    query.bind(1, static_cast<int64_t>(first));
    query.bind(2, static_cast<int64_t>(count_max));
    std::vector<verifier::SignedRecord> out;
    for (size_t bytes = 0; bytes < bytes_max && query.executeStep();) {
      auto record = record_of(query, head);
      if (!record) return damaged;
      bytes += record->body.size();
      out.push_back(std::move(*record));
    }
    return out;
  } catch (const std::exception& problem) {
    return failed("read", problem);
  }
}

Status SqliteStore::replay(const std::function<Status(const verifier::SignedRecord&)>& take) {
  try {
    SQLite::Statement query(data_->database, std::string(kColumns) + "ORDER BY seq");
    Digest head;
    uint64_t next = 0;
    for (; query.executeStep(); ++next) {
      const auto seq = static_cast<uint64_t>(query.getColumn(0).getInt64());
      const auto wrong = [&](const char* what) {
        return Error{Errc::invalid, "ledger: record " + std::to_string(next) + ": " + what};
      };
      if (seq != next) return wrong("is missing");
      const int body_bytes = query.getColumn(3).getBytes();
      if (body_bytes < 0 || static_cast<size_t>(body_bytes) > verifier::kRecordBytesMax)
        return wrong("is over its bound");
      const auto record = record_of(query, head);
      if (!record || head != verifier::next_head(record->head_before, *record))
        return wrong("does not have the head that its bytes give: the file was edited or damaged");
      if (const Status taken = take(*record); !taken) return taken;
    }
    data_->tip = {next, head};
    return Ok{};
  } catch (const std::exception& problem) {
    return failed("read", problem);
  }
}

}  // namespace gemmine::pool
