#include "pool/store/writer.h"

#include <chrono>
#include <utility>

namespace gemmine::pool {
namespace {

constexpr size_t kTasksMax = 2 * kReadsWaitingMax;
constexpr size_t kLettersMax = 2 * kTasksMax;  // a step says that it stalled and that it is durable
constexpr int kStepUrgency = 1;                // reads wait for it

}  // namespace

uint64_t Step::bytes() const {
  uint64_t out = 0;
  for (const Bytes& blob : blobs)
    out += blob.size();
  for (const verifier::Record& record : records)
    out += sizeof record + record.body.size();
  for (const auto& [name, bytes] : kept.put)
    out += sizeof name + bytes.size();
  return out;
}

Result<std::unique_ptr<Writer>> Writer::start(Loop& loop, Places places, Observer observer) {
  GEMMINE_CHECK(places.store != nullptr && places.blobs != nullptr);
  std::unique_ptr<Writer> out(new Writer(loop, std::move(places), std::move(observer)));
  Writer& self = *out;
  const Status started = self.queue_.start(1, [&self](Task task, int, const std::stop_token&) {
    if (auto* const step = std::get_if<Step>(&task)) return self.write(std::move(*step));
    if (const auto* const read = std::get_if<Read>(&task)) return self.answer(*read);
    static_cast<void>(append_evaluation(self.places_.evaluations, std::get<EvaluateDone>(task)));
  });
  if (!started) return started.error();
  return out;
}

Writer::Writer(Loop& loop, Places places, Observer observer)
    : places_(std::move(places)),
      observer_(std::move(observer)),
      mailbox_(loop, kLettersMax, [this](Letter letter) { take(std::move(letter)); }),
      queue_(kTasksMax) {
  GEMMINE_CHECK(observer_.on_durable && observer_.on_stalled && observer_.on_read);
}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  queue_.finish();
}

void Writer::post(Step step) {
  GEMMINE_CHECK(!writing_ && !step.empty());
  writing_ = true;
  GEMMINE_CHECK(queue_.post(std::move(step), kStepUrgency));
}

bool Writer::read(uint64_t ticket, uint64_t first, size_t count_max, size_t bytes_max) {
  if (queue_.waiting() >= kReadsWaitingMax) return false;
  return queue_.post(Read{ticket, first, count_max, bytes_max});
}

void Writer::keep(const EvaluateDone& done) {
  if (!places_.evaluations.empty() && done.records > 0)
    static_cast<void>(queue_.post(done));  // full: it will be evaluated again
}

void Writer::take(Letter letter) {
  if (auto* const answer = std::get_if<Answer>(&letter))
    return observer_.on_read(answer->ticket, answer->first, std::move(answer->records));
  if (const auto* const stalled = std::get_if<Stalled>(&letter))
    return observer_.on_stalled(stalled->reason);
  GEMMINE_CHECK(writing_);
  writing_ = false;
  observer_.on_durable(std::move(std::get<Durable>(letter).records));
}

void Writer::write(Step step) {
  bool said = false;
  while (true) {
    const Status written = try_write(step);
    if (written) return tell(Durable{std::move(step.records)});
    if (!std::exchange(said, true)) tell(Stalled{written.error().detail});
    if (!wait_to_retry()) return;
  }
}

Status Writer::try_write(Step& step) {
  while (!step.blobs.empty()) {
    const auto put = places_.blobs->put(step.blobs.front());
    if (!put) return put.error();
    step.blobs.erase(step.blobs.begin());
  }
  return places_.store->append(step.records, step.kept);
}

bool Writer::wait_to_retry() {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, std::chrono::milliseconds(kStoreRetryMs), [this] { return ending_; });
  return !ending_;
}

void Writer::answer(const Read& read) {
  auto records = places_.store->read(read.first, read.count_max, read.bytes_max);
  tell(Answer{read.ticket, read.first,
              records ? std::move(records.value()) : std::vector<verifier::SignedRecord>{}});
}

void Writer::tell(const Letter& letter) {
  // Full only while the loop is busy with something else.
  constexpr auto kMailboxFull = std::chrono::milliseconds(2);
  while (!mailbox_.post(letter)) {
    std::unique_lock lock(mutex_);
    if (ended_.wait_for(lock, kMailboxFull, [this] { return ending_; })) return;
  }
}

}  // namespace gemmine::pool
