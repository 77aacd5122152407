#include "miner/answers.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "miner/leases.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {

namespace {

void refuse(State& state, const Digest& lease_id, const std::string& reason) {
  state.note(Level::error, "thread_refused", {{"lease", short_hex(lease_id)}, {"reason", reason}});
}

void drive(State& state, AnswerWork& answer, uint64_t now_ms) {
  if (!answer.job->workload) return need_data(state, *answer.job, now_ms);
  const kernels::Program& program = answer.job->workload->work.program();
  if (answer.theta.empty()) {
    if (answer.fetching) return;
    answer.fetching = true;
    state.out.emplace_back(Fetch{Fetch::What::answer, answer.lease.id, answer.lease.theta_root,
                                 program.published_floats() * sizeof(float)});
    return;
  }
  // Half of the time is for the line.
  const uint64_t left = (answer.due_ms - std::min(answer.due_ms, now_ms)) / 2;
  answer.busy = post(state, AnswerThread{answer.job->workload.get(), answer.lease, answer.challenge,
                                         answer.seed, answer.theta, left, answer.question});
}

// What a challenge asks about one step, which its record has only the hash of.
std::optional<verifier::Question> question_of(const pool::ChallengeMessage& message) {
  const auto question = decode<verifier::Question>(message.question);
  const verifier::ChallengeBody& asked = message.challenge;
  const bool same = question && question.value().lease_id == asked.lease_id &&
                    question.value().asked == asked.what &&
                    verifier::question_digest(question.value()) == asked.question;
  return same ? std::optional(question.value()) : std::nullopt;
}

// That a lease was found wrong is no reason to tell everything about it.
bool told_enough(const State& state, const Digest& lease_id) {
  return std::ranges::count_if(state.answers, [&](const auto& entry) {
           return entry.second.descent && entry.second.lease.id == lease_id;
         }) >= verifier::kDescentQuestionsMax;
}

}  // namespace

void on_challenge(State& state, const pool::ChallengeMessage& message, uint64_t now_ms) {
  const verifier::ChallengeBody& asked = message.challenge;
  const uint64_t seq = message.receipt.seq;
  if (const auto known = state.answers.find(seq); known != state.answers.end()) {
    known->second.sent = false;
    if (known->second.said) state.out.emplace_back(SendAnswer{seq});
    return;
  }
  const auto lease = state.checkpoint.load_lease(asked.lease_id);
  if (!lease || lease.value().pool_key != state.pool_key)
    return refuse(state, asked.lease_id, "this machine does not have that lease any more");
  const auto job = state.jobs.find(lease.value().job_id);
  if (job == state.jobs.end() || !job->second.work)
    return refuse(state, asked.lease_id, "the pool does not offer its job any more");
  const auto question = question_of(message);
  if (asked.what != verifier::Asked::thread && !question)
    return refuse(state, asked.lease_id, "what it asks for is not what its record names");
  const bool descent = asked.why == verifier::ChallengeWhy::descent;
  if (descent && told_enough(state, asked.lease_id))
    return refuse(state, asked.lease_id, "it has asked as much as it may about this lease");
  if (state.answers.size() >= kAnswersMax)
    return refuse(state, asked.lease_id, "too many threads are asked for at once");
  AnswerWork& answer = state.answers[seq];
  answer.challenge = seq;
  answer.seed = asked.question;
  if (asked.what != verifier::Asked::thread) answer.question = question;
  answer.descent = descent;
  answer.due_ms = now_ms + asked.answer_ms;
  answer.lease = lease.value();
  answer.job = &job->second;
  state.note(Level::info, answer.question ? "question_asked" : "thread_asked",
             {{"lease", short_hex(asked.lease_id)},
              {"for", std::string(verifier::to_string(asked.what))},
              {"challenge", std::to_string(seq)},
              {"within_ms", std::to_string(asked.answer_ms)}});
}

void on_judged(State& state, const verifier::Verdict& verdict) {
  std::erase_if(state.answers, [&](const auto& entry) {
    const AnswerWork& answer = entry.second;
    const bool one = verdict.kind == verifier::AuditKind::thread ||
                     verdict.kind == verifier::AuditKind::unanswered;
    // Of a thread the verdict names the seed; a replay answers them all.
    const bool over =
        answer.lease.id == verdict.lease_id && (!one || answer.seed == verdict.digest);
    if (over) state.checkpoint.forget_answer(answer.lease.id, answer.challenge);
    return over;
  });
}

void settled(State& state, std::span<const Digest> lease_ids) {
  for (const Digest& id : lease_ids) {
    std::erase_if(state.answers, [&](const auto& entry) { return entry.second.lease.id == id; });
    if (state.find(id) == nullptr) state.checkpoint.forget(id);
  }
}

void keep_unsettled(State& state, std::span<const Digest> open, std::span<const Digest> batches) {
  const bool cut = batches.size() >= pool::kOpenBatchesMax;  // there may be more
  std::vector<Digest> over;
  for (const Digest& id : state.checkpoint.leases(state.pool_key)) {
    if (std::ranges::find(open, id) != open.end()) continue;
    const auto lease = state.checkpoint.load_lease(id);
    const bool done = state.checkpoint.retired(id) ||
                      (lease && state.checkpoint.shares(id) == lease.value().shares());
    const bool asked =
        lease && (cut || std::ranges::find(batches, lease.value().batch_commit) != batches.end());
    if (!done || !asked) {
      over.push_back(id);
    } else if (!state.checkpoint.retired(id)) {
      state.checkpoint.retire(id);  // complete while we were away
    }
  }
  settled(state, over);
}

void forget_job(State& state, const Digest& job_id) {
  std::vector<Digest> over;
  for (const Digest& id : state.checkpoint.leases(state.pool_key)) {
    const auto lease = state.checkpoint.load_lease(id);
    if (lease && lease.value().job_id == job_id && state.checkpoint.retired(id)) over.push_back(id);
  }
  settled(state, over);
}

void drive_answers(State& state, uint64_t now_ms) {
  size_t unsent = 0;
  AnswerWork* first = nullptr;
  for (auto& [seq, answer] : state.answers) {
    if (answer.busy) return;
    unsent += answer.said && !answer.sent ? 1 : 0;
    if (answer.said || !answer.pause.over(now_ms)) continue;
    if (first == nullptr || answer.due_ms < first->due_ms) first = &answer;
  }
  if (first != nullptr && unsent < kUnsentMax) drive(state, *first, now_ms);
}

void on_answer_weights(State& state, const Fetch& fetch, const Result<Bytes>& bytes,
                       uint64_t now_ms) {
  for (auto& [seq, answer] : state.answers) {
    if (answer.lease.id != fetch.id || !answer.fetching) continue;
    answer.fetching = false;
    if (!bytes) {
      answer.pause.trouble(now_ms);
      refuse(state, fetch.id, "its weights cannot be had: " + bytes.error().detail);
      continue;
    }
    const uint64_t parameters = answer.job->work->program().parameters();
    GEMMINE_CHECK(bytes.value().size() >= parameters * sizeof(float));
    answer.theta = verifier::floats_of(ByteView(bytes.value()).first(parameters * sizeof(float)));
  }
}

void on_answered(State& state, const ThreadAnswered& done) {
  const auto found = state.answers.find(done.answer.challenge);
  if (found == state.answers.end() || found->second.lease.id != done.answer.lease_id)
    return state.checkpoint.forget_answer(done.answer.lease_id, done.answer.challenge);
  AnswerWork& answer = found->second;
  answer.busy = false;
  answer.theta = {};
  answer.said = done.answer;
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.2f", done.seconds);
  state.note(Level::info, answer.question ? "question_answered" : "thread_answered",
             {{"lease", short_hex(done.answer.lease_id)},
              {"bytes", std::to_string(done.answer.bytes)},
              {"seconds", seconds}});
  if (state.connected) state.out.emplace_back(SendAnswer{answer.challenge});
}

void on_answer_sent(State& state, uint64_t challenge) {
  const auto found = state.answers.find(challenge);
  if (found != state.answers.end()) found->second.sent = true;
}

void on_answer_failed(State& state, const AnswerFailed& failed, uint64_t now_ms) {
  const auto found = state.answers.find(failed.challenge);
  if (found != state.answers.end()) {
    found->second.busy = false;
    found->second.pause.trouble(now_ms);
  }
  // A lease that was found wrong may not come out alike: it is lost already.
  const bool descent = found != state.answers.end() && found->second.descent;
  const bool ends =
      failed.trouble == Trouble::lost || (failed.trouble == Trouble::wrong_numbers && !descent);
  // Of a lease that is settled meanwhile nothing is here any more.
  if (failed.trouble == Trouble::interrupted || (found == state.answers.end() && !ends)) return;
  refuse(state, failed.lease_id, failed.error.detail);
  if (!ends) return;
  state.leave(failed.trouble == Trouble::lost ? ExitCode::no_device : ExitCode::wrong_numbers,
              failed.error.detail);
}

}  // namespace gemmine::miner
