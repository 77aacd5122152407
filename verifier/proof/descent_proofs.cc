// What a descent does when it has come to a chunk.
#include <algorithm>
#include <cstring>

#include "verifier/merge/delta.h"
#include "verifier/proof/claimed_engine.h"
#include "verifier/proof/descent.h"
#include "verifier/proof/descent_places.h"
#include "verifier/proof/write.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::ChunkRange;
using kernels::TensorInfo;
using kernels::TensorKind;

namespace {

// A proof by inputs that would be longer is made from the miner's own chunks instead.
constexpr size_t kInputsMax = 900'000;

}  // namespace

ProverView Descent::claimed_view(const ProverView& own, kernels::Engine& engine) const {
  return {.at = at_.at,
          .run = claimed_,
          .state_before = own.state_before,
          .state_after = own.state_after,
          .train_records = own.train_records,
          .train_tree = own.train_tree,
          .engine = engine,
          .check_own = false};
}

Result<Bytes> Descent::with_claimed(const Result<Bytes>& opening) const {
  if (!opening) return opening.error();
  auto decoded = decode_opening(program_, opening.value());
  GEMMINE_CHECK(decoded.ok());  // we made it
  for (OpenedObject& object : decoded.value().objects) {
    if (object.id != ObjectId{Origin::tensor, position_}) continue;
    if (!tree_->can_open(object.ranges))
      return Error{Errc::undecided, "the block has chunks that were not shown"};
    object.siblings = tree_->siblings(object.ranges);
  }
  return encode_opening(decoded.value());
}

BlockChoice Descent::choice_of(uint64_t chunk, uint64_t element) const {
  const TensorInfo& tensor = program_.tensors()[position_];
  BlockChoice out{.step = *step_, .position = position_};
  if (tensor.is_int8()) {
    out.tile_row = static_cast<uint32_t>(chunk % tensor.tile_rows());
    out.tile_col = static_cast<uint32_t>(chunk / tensor.tile_rows());
  } else if (tensor.kind == TensorKind::b) {  // checked with the W of its rows
    out.position = program_.position(TensorKind::w, tensor.layer);
    out.tile_row = static_cast<uint32_t>(element / 16);
  } else {
    out.tile_row = static_cast<uint32_t>(element / tensor.cols / 16);
    out.tile_col = static_cast<uint32_t>(element % tensor.cols / tile_width(tensor));
  }
  return out;
}

// By its inputs, if these are few; a scale by its witness; weights by their update.
void Descent::go_into_chunk(uint64_t chunk) {
  const TensorInfo& tensor = program_.tensors()[position_];
  if (shows_weights(program_, position_) && *step_ > 0)
    return go_into_weights(chunk, chunk * kChunkFloats);
  if (is_scale(program_, position_)) {
    const uint64_t first = chunk * kChunkFloats;
    const uint64_t count = std::min(kChunkFloats, tensor.bytes() / sizeof(float) - first);
    return ask({.asked = Asked::witnesses,
                .position = static_cast<uint16_t>(position_ - 1),
                .first = first,
                .count = static_cast<uint32_t>(count)});
  }
  const auto view = stand();
  if (!view) return end(Stage::helpless, view.error().detail);
  if (tensor.is_int8() || tensor.is_checked_f32()) {
    const auto inputs =
        make_inputs(claimed_view(view.value(), view.value().engine), *step_, position_, chunk);
    if (inputs && inputs.value().size() <= kInputsMax) {
      const ChunkRange range{chunk, chunk + 1};
      const ClaimedChunk claimed{.chunk = static_cast<uint32_t>(chunk),
                                 .value = tree_->nodes()[chunk],
                                 .siblings = tree_->siblings(std::span(&range, 1))};
      return accuse(write_block_by_another({at_.at.work, at_.at.lease, at_.share}, *step_,
                                           position_, claimed, inputs.value()));
    }
  }
  // All chunks of the tensor that the block reads, in one piece.
  const auto evidence = make_evidence(view.value(), choice_of(chunk, chunk * kChunkFloats));
  if (!evidence) return end(Stage::helpless, evidence.error().detail);
  const auto opening = decode_opening(program_, evidence.value());
  GEMMINE_CHECK(opening.ok());  // we made it
  for (const OpenedObject& object : opening.value().objects)
    if (object.id == ObjectId{Origin::tensor, position_})
      return ask({.asked = Asked::chunks,
                  .position = position_,
                  .first = object.ranges.front().first,
                  .count = static_cast<uint32_t>(object.ranges.back().last -
                                                 object.ranges.front().first)});
  end(Stage::helpless, "no block has this tensor");
}

Status Descent::take_chunks(ByteView payload) {
  const auto view = stand();
  if (!view) return end(Stage::helpless, view.error().detail), Ok{};
  const auto own = view.value().engine.read_tensor(position_);
  if (!own) return end(Stage::helpless, own.error().detail), Ok{};
  if (!tree_) {  // all of it
    ClaimedTree tree(mode(), program_.tensors()[position_].bytes(), 0,
                     nodes_of(mode(), payload, 0, 0, question_.count));
    if (tree.root() != claimed_.roots[*step_][position_])
      return Error{Errc::invalid, "these chunks are not the tensor's"};
    tree_ = std::move(tree);
  }
  if (Status shown = tree_->show(question_.first, payload); !shown) return shown;
  const uint64_t begin = question_.first * kChunk;
  uint64_t at = 0;
  while (at < payload.size() && payload[at] == own.value()[begin + at])
    ++at;
  if (at == payload.size()) return end(Stage::helpless, "the shown chunks are ours, too"), Ok{};
  at += begin;
  if (shows_weights(program_, position_) && *step_ > 0)
    return go_into_weights(at / kChunk, at / sizeof(float)), Ok{};
  accuse_block(choice_of(at / kChunk, at / sizeof(float)));
  return Ok{};
}

void Descent::accuse_block(const BlockChoice& choice) {
  const auto view = stand();
  if (!view) return end(Stage::helpless, view.error().detail);
  ClaimedEngine engine(view.value().engine, position_, tree_->shown_first() * kChunk,
                       tree_->shown());
  const auto opening = with_claimed(make_evidence(claimed_view(view.value(), engine), choice));
  if (!opening) return end(Stage::helpless, opening.error().detail);
  accuse(write_block({at_.at.work, at_.at.lease, at_.share}, choice, opening.value(), at_.published,
                     nullptr));
}

Status Descent::take_witnesses(const SignedAnswer& answer, ByteView payload) {
  const uint32_t count = question_.count;
  const ByteView scales = payload.first(count * sizeof(float));
  if (Status shown = tree_->show(question_.first / kChunkFloats, scales); !shown) return shown;
  const auto view = stand();
  if (!view) return end(Stage::helpless, view.error().detail), Ok{};
  const auto own = view.value().engine.read_tensor(position_);
  if (!own) return end(Stage::helpless, own.error().detail), Ok{};
  const uint8_t* const ours = own.value().data() + question_.first * sizeof(float);
  uint32_t i = 0;
  while (i < count && std::memcmp(scales.data() + i * sizeof(float), ours + i * sizeof(float),
                                  sizeof(float)) == 0)
    ++i;
  if (i == count) return end(Stage::helpless, "the shown scales are ours, too"), Ok{};
  uint32_t witness = 0;
  std::memcpy(&witness, payload.data() + (count + i) * sizeof(uint32_t), sizeof witness);
  accuse_scale(view.value(), static_cast<uint32_t>(question_.first + i), witness, answer);
  return Ok{};
}

// Ours attains the true scale: a claimed one that is less, it exceeds. One that is more, the
// miner's witness does not attain.
void Descent::accuse_scale(const ProverView& own, uint32_t number, uint32_t witness,
                           const SignedAnswer& answer) {
  const uint16_t position = question_.position;
  const auto truly = make_opening(own, choice_of_scale(program_, *step_, position, number));
  if (!truly) return end(Stage::helpless, truly.error().detail);
  const uint32_t largest = decode_opening(program_, truly.value()).value().witness;
  ClaimedEngine engine(own.engine, position_, tree_->shown_first() * kChunk, tree_->shown());
  const ProverView claimed = claimed_view(own, engine);
  for (const bool named : {false, true}) {
    const uint32_t element = named ? witness : largest;
    const auto evidence =
        with_claimed(make_scale_evidence(claimed, *step_, position, number, element));
    if (!evidence) return end(Stage::helpless, evidence.error().detail);
    accuse(write_scale({at_.at.work, at_.at.lease, at_.share}, *step_, position, number, element,
                       evidence.value(), named ? &answer : nullptr));
    if (stage_ == Stage::proven) return;
  }
}

void Descent::accuse_delta() {
  const std::vector<float>& after = at_.own.state_after;
  const uint64_t parameters = program_.parameters();
  if (at_.delta.size() != at_.own.delta.size())
    return end(Stage::helpless, "the delta that differs is not here");
  const uint64_t blocks = delta_bytes(parameters) - parameters;
  uint64_t at = 0;
  while (at < at_.delta.size() && at_.delta[at] == at_.own.delta[at])
    ++at;
  if (at == at_.delta.size()) return end(Stage::helpless, "the delta that differs is not here");
  const BlockChoice choice{
      .delta = true,
      .tile_row = static_cast<uint32_t>(at < blocks ? at : (at - blocks) / kDeltaBlock)};
  const auto view = at_.stand(at_.share.steps - 1);
  if (!view) return end(Stage::helpless, view.error().detail);
  claimed_.delta.assign(at_.delta.begin(), at_.delta.end());
  GEMMINE_CHECK(after.size() == program_.state_floats());
  const auto opening = make_evidence(claimed_view(view.value(), view.value().engine), choice);
  if (!opening) return end(Stage::helpless, opening.error().detail);
  accuse(write_block({at_.at.work, at_.at.lease, at_.share}, choice, opening.value(), at_.published,
                     nullptr));
}

// The state before this step differs, though everything that the updates before it read agrees.
void Descent::go_into_weights(uint64_t chunk, uint64_t element) {
  const uint16_t position =
      is_scale(program_, position_) ? static_cast<uint16_t>(position_ - 1) : position_;
  const TensorInfo& tensor = program_.tensors()[position];
  uint64_t number = 0;
  if (tensor.kind == TensorKind::w && position != position_) {  // scales of rows
    number = program_.weight_offset(tensor.layer) + element * tensor.cols;
  } else if (tensor.kind == TensorKind::w) {
    number = program_.weight_offset(tensor.layer) + chunk % tensor.tile_rows() * 16 * tensor.cols +
             chunk / tensor.tile_rows() * 64;
  } else if (tensor.kind == TensorKind::b) {
    number = program_.bias_offset(tensor.layer) + element;
  } else if (tensor.kind == TensorKind::residual) {
    return end(Stage::helpless, "an embedding moved otherwise than ours");
  } else {
    number = program_.gain_offset(tensor.layer) +
             (tensor.kind == TensorKind::shift ? tensor.rows : 0) + element;
  }
  find_fibre(number, at_.share.first_step + *step_);
}

void Descent::find_fibre(uint64_t parameter_number, uint32_t before_step) {
  const auto& list = program_.parameter_list();
  for (uint32_t i = 0; i < list.size(); ++i) {
    if (parameter_number < list[i].offset || parameter_number >= list[i].offset + list[i].count())
      continue;
    const uint64_t within = parameter_number - list[i].offset;
    fibre_ = {.parameter = i,
              .row = static_cast<uint32_t>(within / list[i].cols),
              .col = static_cast<uint32_t>(within % list[i].cols),
              .step = before_step};
    return end(Stage::fibre, "an update before step " + std::to_string(before_step) +
                                 " is not what its gradient gives");
  }
}

}  // namespace gemmine::verifier
