// The miner's side of a descent: what he has of a step, as it is asked for.
#include <algorithm>

#include "verifier/proof/descent.h"
#include "verifier/proof/descent_places.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;

namespace {

void put_digests(Writer& out, std::span<const Digest> digests) {
  for (const Digest& digest : digests)
    out.put_digest(digest);
}

Status put_witnesses(Writer& out, const ProverView& view, const Question& question,
                     ByteView scales) {
  out.put_raw(scales.subspan(question.first * sizeof(float), question.count * sizeof(float)));
  for (uint32_t i = 0; i < question.count; ++i) {
    const auto number = static_cast<uint32_t>(question.first + i);
    const uint32_t step = question.step - view.run.share.first_step;
    const auto opening = make_opening(
        view, choice_of_scale(view.at.work.program(), step, question.position, number));
    if (!opening) return opening.error();
    out.put(decode_opening(view.at.work.program(), opening.value()).value().witness);
  }
  return Ok{};
}

}  // namespace

Result<Bytes> answer_question(const Work& work, const Question& question,
                              const std::function<Result<ProverView>(uint32_t step)>& stand,
                              const ShareRun& run) {
  const Share& share = run.share;
  const bool ours = question.lease_id == share.lease_id && question.step >= share.first_step &&
                    question.step - share.first_step < share.steps;
  if (!ours) return Error{Errc::invalid_argument, "question: about no step of the share"};
  const uint32_t index = question.step - share.first_step;
  const kernels::Program& program = work.program();
  if (answer_bytes(program, question) == 0)
    return Error{Errc::invalid_argument, "question: about nothing that a step has"};
  Writer out;
  out.put_raw(gemmine::encode(question));
  if (question.asked == Asked::roots) {
    put_digests(out, run.roots[index]);
    return out.put_f32(run.losses[index]).take();
  }
  if (question.asked == Asked::state_nodes) {
    const Blake3Mode mode = Blake3Mode::keyed(kernels::blake3_derive_key(domain::kState, {}));
    put_digests(out, nodes_of(mode, as_bytes(std::span<const float>(run.state_after)),
                              question.level, question.first, question.count));
    return out.take();
  }
  const auto view = stand(index);
  if (!view) return view.error();
  const bool scales = question.asked == Asked::witnesses;
  const auto tensor = view.value().engine.read_tensor(question.position + (scales ? 1 : 0));
  if (!tensor) return tensor.error();
  if (question.asked == Asked::nodes) {
    const Blake3Mode mode = Blake3Mode::keyed(step_key(share.lease_id, question.step));
    put_digests(out,
                nodes_of(mode, tensor.value(), question.level, question.first, question.count));
  } else if (question.asked == Asked::chunks) {
    const ByteView from = ByteView(tensor.value()).subspan(question.first * kChunk);
    out.put_raw(from.first(std::min<size_t>(from.size(), question.count * kChunk)));
  } else if (Status named = put_witnesses(out, view.value(), question, tensor.value()); !named) {
    return named.error();
  }
  return out.take();
}

}  // namespace gemmine::verifier
