#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>

#include "kernels/base/files.h"
#include "kernels/base/random.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "kernels/hash/blake3.h"
#include "pool/cli/commands.h"
#include "pool/config/pool_config.h"
#include "pool/core/garbage.h"
#include "pool/data/loaded_job.h"
#include "pool/log/console.h"
#include "pool/net/listen_address.h"
#include "pool/net/supervisor.h"
#include "pool/server/descriptors.h"
#include "pool/server/server.h"
#include "pool/store/evaluations.h"
#include "pool/store/folder.h"
#include "pool/store/sqlite_store.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/sheet.h"

namespace gemmine::pool {

using cli::fail;

namespace {

struct Failure {
  ExitCode code;
  std::string text;
};

uint64_t wall_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

std::optional<Failure> read_config(const ServeCommand& command, PoolConfig& config) {
  if (!command.config.empty()) {
    auto toml = Toml::load(command.config);
    if (!toml) return Failure{ExitCode::bad_input, toml.error().detail};
    auto parsed = parse_pool_config(std::move(toml.value()));
    if (!parsed) return Failure{ExitCode::bad_input, parsed.error().detail};
    config = std::move(parsed.value());
  }
  config.share_seconds = command.share_seconds.value_or(config.share_seconds);
  config.jobs.insert(config.jobs.end(), command.jobs.begin(), command.jobs.end());
  if (!command.listen.empty()) {
    const Status listen = parse_listen(command.listen, config.listen_host, config.listen_port);
    if (!listen) return Failure{ExitCode::command_line, "--listen " + listen.error().detail};
  }
  auto address = listen_address(config.listen_host);
  if (!address && command.listen.empty())
    return Failure{ExitCode::bad_input, command.config + ": listen: " + address.error().detail};
  if (!address) return Failure{ExitCode::command_line, "--listen " + address.error().detail};
  config.listen_host = std::move(address.value());
  return {};
}

// The jobs of files. `order` gets their ids.
Status load_jobs(const std::vector<std::string>& paths, JobTable& jobs,
                 std::vector<Digest>& order) {
  for (const std::string& path : paths) {
    auto loaded = load_job(path);
    if (!loaded) return loaded.error();
    const Digest id = loaded.value().work.id();
    if (!jobs.contains(id)) order.push_back(id);
    jobs.insert_or_assign(id, std::move(loaded.value()));
  }
  return Ok{};
}

// The sheet that a job names; empty where it names none.
Result<Bytes> read_sheet(const std::string& folder, const verifier::Job& job) {
  if (job.sheet_address.is_zero()) return Bytes{};
  return read_blob(folder, job.sheet_address, verifier::kSheetBytesMax);
}

// Their data becomes blobs.
Status put_data(const JobTable& jobs, const Blobs& blobs) {
  for (const auto& [id, job] : jobs) {
    for (const Bytes* const bytes : {&job.train_records, &job.test_records, &job.sheet}) {
      if (bytes->empty()) continue;  // no sheet
      if (const auto put = blobs.put(*bytes); !put) return put.error();
    }
  }
  return Ok{};
}

// A ledger that knows no job stands in a new folder, or in one whose first start was cut short.
Status check_begun(const std::string& data, const verifier::LedgerState& state,
                   const JobTable& jobs) {
  if (!state.jobs().empty() || check_nothing_began(data, {})) return Ok{};
  std::vector<Digest> own;
  for (const auto& [id, job] : jobs) {
    const std::vector<float> first = verifier::initial_published(job.work.program());
    own.insert(own.end(), {job.work.job().train_address, job.work.job().test_address,
                           job.work.job().sheet_address,
                           kernels::blake3(as_bytes(std::span<const float>(first)))});
  }
  return check_nothing_began(data, own);
}

// A job that the ledger knows and no file names: everything about it is in the ledger and the
// blobs.
Status recall_job(const verifier::Work& work, const Blobs& blobs, JobTable& jobs) {
  const verifier::Job& job = work.job();
  const auto bytes = [&](uint64_t records) { return work.program().data_bytes(records); };
  auto train = read_blob(blobs.folder(), job.train_address, bytes(job.spec.records));
  if (!train) return train.error();
  auto test = read_blob(blobs.folder(), job.test_address, bytes(job.test_records));
  if (!test) return test.error();
  auto sheet = read_sheet(blobs.folder(), job);
  if (!sheet) return sheet.error();
  jobs.insert_or_assign(work.id(), LoadedJob{work, std::move(train.value()),
                                             std::move(test.value()), std::move(sheet.value())});
  return Ok{};
}

// Where leases of each θ that is still of use start.
Result<std::map<Digest, Digest>> start_roots(const kernels::Program& program, const Blobs& blobs,
                                             std::span<const Digest> theta_roots) {
  std::map<Digest, Digest> out;
  const uint64_t bytes = program.published_floats() * sizeof(float);
  for (const Digest& root : theta_roots) {
    const auto blob = read_blob(blobs.folder(), root, bytes);
    if (!blob) return blob.error();
    if (blob.value().size() != bytes)
      return Error{Errc::invalid, "blob " + to_hex(root.bytes) + " is no theta of this job"};
    const std::vector<float> published = verifier::floats_of(blob.value());
    out[root] = verifier::start_root(program, verifier::theta_of(program, published));
  }
  return out;
}

// What its escrow can be filled up to: amounts are 64-bit numbers, and what comes in from outside
// is counted over all jobs.
uint64_t fund_possible(const verifier::LedgerState& ledger, const Digest& job_id) {
  const auto balance = [&](const std::string& account) {
    const auto found = ledger.accounts().find(account);
    return found == ledger.accounts().end() ? int64_t{0} : found->second;
  };
  const int64_t there = balance("escrow:" + to_hex(job_id.view()));
  const int64_t outside = balance("external");
  GEMMINE_CHECK(there >= 0 && outside <= 0);
  // −outside is the sum of all other accounts, of which none is below 0: no sum overflows.
  return static_cast<uint64_t>(INT64_MAX + outside + there);
}

// The first θ of a job that is new to the ledger becomes a blob.
std::optional<Failure> add_jobs(Pool& pool, Blobs& blobs, const JobTable& jobs,
                                const std::vector<Digest>& order, uint64_t fund, uint64_t now) {
  for (const Digest& id : order) {
    const LoadedJob& job = jobs.at(id);
    const kernels::Program& program = job.work.program();
    std::vector<Digest> thetas;
    size_t first_kept = 0;  // the blobs of earlier rounds may be gone
    const auto known = pool.ledger().jobs().find(id);
    if (known == pool.ledger().jobs().end()) {
      const std::vector<float> first = verifier::initial_published(program);
      const auto put = blobs.put(as_bytes(std::span<const float>(first)));
      if (!put) return Failure{ExitCode::failed, put.error().detail};
      thetas.push_back(put.value());
    } else {
      thetas = known->second.theta_roots;
      first_kept = first_round_kept(known->second.round, pool.state().options.rounds_kept);
    }
    auto roots = start_roots(program, blobs, std::span(thetas).subspan(first_kept));
    if (!roots) return Failure{ExitCode::failed, roots.error().detail};
    if (const auto more = fund_possible(pool.ledger(), id); fund > more)
      return Failure{ExitCode::command_line, "--fund " + std::to_string(fund) + ": at most " +
                                                 std::to_string(more) + " for job " +
                                                 job.work.job().name};
    const Status added =
        pool.add_job(job.work, thetas.front(), std::move(roots.value()), fund, now);
    if (!added)
      return Failure{
          added.error().code == Errc::invalid_argument ? ExitCode::bad_input : ExitCode::failed,
          added.error().detail};
  }
  return {};
}

struct Folder {
  FolderLock lock;
  FolderLock blobs_lock;
  Keys keys;
  std::unique_ptr<LedgerStore> store;
  Blobs blobs;
  TlsContext tls;
};

Result<Folder> open_folder(const std::string& data) {
  if (const Status whole = check_parts(data); !whole) return whole.error();
  auto lock = lock_folder(data);
  if (!lock) return lock.error();
  auto blobs_lock = lock_blobs(data);
  if (!blobs_lock) return blobs_lock.error();
  auto keys = load_keys(data);
  if (!keys) return keys.error();
  auto store = SqliteStore::open(ledger_path(data));
  if (!store) return store.error();
  auto blobs = Blobs::open(blobs_path(data));
  if (!blobs) return blobs.error();
  auto tls = TlsContext::server(keys.value().tls);
  if (!tls) return tls.error();
  return Folder{std::move(lock.value()),  std::move(blobs_lock.value()), std::move(keys.value()),
                std::move(store.value()), std::move(blobs.value()),      std::move(tls.value())};
}

// Opens no more connections than there are descriptors for, and says so.
Status limit_connections(PoolConfig& config, Console& console) {
  const auto possible = reserve_descriptors(config.connections, config.audit_threads);
  if (!possible) return possible.error();
  if (possible.value() < config.connections)
    console.event(Level::warning, "connections_limited",
                  {{"wanted", std::to_string(config.connections)},
                   {"possible", std::to_string(possible.value())},
                   {"raise", "the limit of open files (ulimit -n, LimitNOFILE=)"}});
  config.connections = possible.value();
  return Ok{};
}

Result<Book> open_book(LedgerStore& store, const Keys& keys, const PoolConfig& config,
                       uint64_t wall) {
  verifier::LedgerState state;
  Receipts receipts;
  const Status folded =
      fold(store, state, [&](const verifier::SignedRecord& record) { receipts.take(record); });
  if (!folded) return folded.error();
  if (const Status belong = check_keys(keys, state); !belong) return belong.error();
  Book book(std::move(state), std::move(receipts), keys.identity);
  if (book.state().next_seq() == 0) {
    const auto begun = book.append(
        verifier::RecordKind::genesis,
        verifier::encode(verifier::GenesisBody{keys.identity.public_key(), config.fee_account}),
        wall);
    if (!begun) return begun.error();
  }
  return book;
}

// What was committed to and is not revealed yet.
Status recall_secrets(Pool& pool, LedgerStore& store) {
  for (const Digest& commitment : secrets_needed(pool.ledger())) {
    const auto bytes = store.kept(commitment);
    Digest secret;
    if (!bytes || bytes.value().size() != secret.bytes.size())
      return Error{Errc::invalid,
                   "the ledger's file lacks the secret of a coin that was committed "
                   "to: " +
                       to_hex(commitment.bytes)};
    std::ranges::copy(bytes.value(), secret.bytes.begin());
    pool.recall_secret(commitment, secret);
  }
  return Ok{};
}

// For one audit thread.
Result<std::unique_ptr<LedgerStore>> open_to_read(const std::string& ledger) {
  auto store = SqliteStore::open_to_read(ledger);
  if (!store) return store.error();
  return std::unique_ptr<LedgerStore>(std::move(store.value()));
}

void say_listening(Console& console, const std::string& host, uint16_t port, const Keys& keys,
                   uint64_t records) {
  console.event(Level::info, "listening",
                {{"address", host},
                 {"port", std::to_string(port)},
                 {"pool_key", to_hex(keys.identity.public_key().bytes)},
                 {"pin", pin_text(keys.tls.spki_pin())},
                 {"records", std::to_string(records)}});
}

// Until a signal or the server itself ends it; the service manager hears of both.
void run(Loop& loop, Server& server) {
  Supervisor supervisor(loop);
  const SignalWatch signals(loop, cli::stop_signals(), [&](int number) {
    supervisor.stopping();
    server.stop(number == SIGINT ? "interrupted" : "terminated");
  });
  supervisor.ready("listening on port " + std::to_string(server.port()));
  loop.run();
}

}  // namespace

ExitCode serve(const ServeCommand& command) {
  PoolConfig config;
  if (const auto failure = read_config(command, config)) return fail(failure->code, failure->text);
  auto opened = open_folder(command.data);
  if (!opened) return fail(ExitCode::failed, opened.error().detail);
  Folder& folder = opened.value();

  JobTable jobs;
  std::vector<Digest> order;
  if (const Status loaded = load_jobs(config.jobs, jobs, order); !loaded)
    return fail(ExitCode::bad_input, loaded.error().detail);
  const uint64_t wall = wall_ms();
  auto book = open_book(*folder.store, folder.keys, config, wall);
  if (!book) return fail(ExitCode::failed, book.error().detail);
  Status ready = check_begun(command.data, book.value().state(), jobs);
  if (ready) ready = put_data(jobs, folder.blobs);
  if (!ready) return fail(ExitCode::failed, ready.error().detail);
  for (const auto& [id, state] : book.value().state().jobs()) {
    if (jobs.contains(id)) continue;
    order.push_back(id);
    if (const Status recalled = recall_job(state.work, folder.blobs, jobs); !recalled)
      return fail(ExitCode::failed,
                  "job " + state.work.job().name + ": " + recalled.error().detail);
  }
  const uint64_t start_ms = std::max(wall, book.value().state().last_time_ms());
  Pool pool(std::move(book.value()), folder.keys.identity,
            PoolOptions{.random = random_digest,
                        .idle_ms = config.idle_ms,
                        .leases_per_key = config.leases_per_key,
                        .upload_bytes = config.upload_bytes,
                        .share_ms = uint64_t{1000} * config.share_seconds,
                        .audits_at_once = config.audit_threads,
                        .always_threads = config.always_threads,
                        .rounds_kept = config.rounds_kept,
                        .auditors = config.auditors});
  if (const Status recalled = recall_secrets(pool, *folder.store); !recalled)
    return fail(ExitCode::failed, recalled.error().detail);
  if (const auto failure = add_jobs(pool, folder.blobs, jobs, order, command.fund, start_ms))
    return fail(failure->code, failure->text);

  for (const EvaluateDone& result : read_evaluations(evaluations_path(command.data)))
    pool.recall(result);

  Console console;
  if (const std::string open = wide_mode_warning(command.data); !open.empty())
    console.event(Level::warning, "folder_open_to_others", {{"folder", open}});
  if (const Status limited = limit_connections(config, console); !limited)
    return fail(ExitCode::failed, limited.error().detail);
  auto made = Loop::make();
  if (!made) return fail(ExitCode::failed, made.error().detail);
  Loop& loop = made.value();
  const uint64_t records = pool.ledger().next_seq();
  auto server =
      Server::start(loop,
                    {std::move(folder.store), std::move(folder.blobs), std::move(folder.tls),
                     std::move(jobs), evaluations_path(command.data),
                     [path = ledger_path(command.data)] { return open_to_read(path); }},
                    std::move(pool),
                    {.config = config,
                     .status_file = command.status_file,
                     .exit_when_finished = command.exit_when_finished},
                    start_ms, [&](const Event& event) { console.write(event); });
  if (!server) return fail(ExitCode::failed, server.error().detail);
  say_listening(console, config.listen_host, server.value()->port(), folder.keys, records);
  run(loop, *server.value());
  return ExitCode::ok;
}

}  // namespace gemmine::pool
