// The small messages: one fixed record or one blob each; and the names of types and errors.
#include <utility>

#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

template <class T>
Result<T> finish(const Reader& reader, T value, std::string_view name) {
  if (reader.done()) return value;
  return Error{
      Errc::malformed,
      std::string(name) + (reader.ok() ? " has trailing bytes" : " is cut short or over a bound")};
}

// A message that is one digest.
template <class T>
Result<T> decode_digest(ByteView payload, std::string_view name) {
  Reader reader(payload);
  T out{reader.get_digest()};
  return finish(reader, out, name);
}

// A message that is one signed record.
template <class T>
Result<T> decode_signed(ByteView payload, std::string_view name) {
  Reader reader(payload);
  const ByteView blob = reader.get_blob(kSignedBytesMax);
  return finish(reader, T{Bytes(blob.begin(), blob.end())}, name);
}

}  // namespace

std::string_view to_string(MessageType type) {
  switch (type) {
    case MessageType::hello:
      return "HELLO";
    case MessageType::hello_ok:
      return "HELLO_OK";
    case MessageType::auth:
      return "AUTH";
    case MessageType::auth_ok:
      return "AUTH_OK";
    case MessageType::error:
      return "ERROR";
    case MessageType::round:
      return "ROUND";
    case MessageType::get_lease:
      return "GET_LEASE";
    case MessageType::lease:
      return "LEASE";
    case MessageType::no_lease:
      return "NO_LEASE";
    case MessageType::get_blob:
      return "GET_BLOB";
    case MessageType::blob:
      return "BLOB";
    case MessageType::abandon:
      return "ABANDON";
    case MessageType::share:
      return "SHARE";
    case MessageType::share_ok:
      return "SHARE_OK";
    case MessageType::challenge:
      return "CHALLENGE";
    case MessageType::opening:
      return "OPENING";
    case MessageType::verdict:
      return "VERDICT";
    case MessageType::delta:
      return "DELTA";
    case MessageType::delta_ok:
      return "DELTA_OK";
    case MessageType::lease_closed:
      return "LEASE_CLOSED";
    case MessageType::watch:
      return "WATCH";
    case MessageType::record:
      return "RECORD";
    case MessageType::ping:
      return "PING";
    case MessageType::pong:
      return "PONG";
    case MessageType::bye:
      return "BYE";
  }
  return "?";
}

bool is_known(uint8_t type) {
  return to_string(static_cast<MessageType>(type)) != "?";
}

std::string_view to_string(WireError code) {
  switch (code) {
    case WireError::malformed:
      return "malformed";
    case WireError::bad_version:
      return "bad_version";
    case WireError::bad_type:
      return "bad_type";
    case WireError::bad_signature:
      return "bad_signature";
    case WireError::banned:
      return "banned";
    case WireError::bad_account:
      return "bad_account";
    case WireError::too_many:
      return "too_many";
    case WireError::busy:
      return "busy";
    case WireError::internal:
      return "internal";
    case WireError::unknown_job:
      return "unknown_job";
    case WireError::unknown_lease:
      return "unknown_lease";
    case WireError::lease_closed:
      return "lease_closed";
    case WireError::out_of_order:
      return "out_of_order";
    case WireError::duplicate:
      return "duplicate";
    case WireError::conflict:
      return "conflict";
    case WireError::bad_price:
      return "bad_price";
    case WireError::bad_steps:
      return "bad_steps";
    case WireError::bad_value:
      return "bad_value";
    case WireError::bad_delta:
      return "bad_delta";
    case WireError::unknown_blob:
      return "unknown_blob";
    case WireError::not_challenged:
      return "not_challenged";
  }
  return "?";
}

Bytes encode(const Round& round) {
  Writer writer;
  writer.put_digest(round.job_id).put(round.round).put_digest(round.theta_root);
  return writer.put(static_cast<uint8_t>(round.finished)).take();
}

Result<Round> decode_round(ByteView payload) {
  Reader reader(payload);
  Round out;
  out.job_id = reader.get_digest();
  out.round = reader.get<uint32_t>();
  out.theta_root = reader.get_digest();
  const auto finished = reader.get<uint8_t>();
  if (finished > 1) return Error{Errc::malformed, "ROUND: finished is neither 0 nor 1"};
  out.finished = finished != 0;
  return finish(reader, out, "ROUND");
}

Bytes encode(const NoLease& none) {
  return Writer().put(none.retry_after_ms).put_text(none.reason).take();
}

Result<NoLease> decode_no_lease(ByteView payload) {
  Reader reader(payload);
  NoLease out;
  out.retry_after_ms = reader.get<uint32_t>();
  out.reason = reader.get_text(kReasonTextMax);
  return finish(reader, std::move(out), "NO_LEASE");
}

Bytes encode(const ShareOk& ok) {
  return Writer().put_digest(ok.lease_id).put(ok.index).put(ok.ledger_seq).take();
}

Result<ShareOk> decode_share_ok(ByteView payload) {
  Reader reader(payload);
  ShareOk out;
  out.lease_id = reader.get_digest();
  out.index = reader.get<uint32_t>();
  out.ledger_seq = reader.get<uint64_t>();
  return finish(reader, out, "SHARE_OK");
}

Bytes encode(const Challenge& challenge) {
  Writer writer;
  writer.put_digest(challenge.lease_id).put(challenge.index);
  return writer.put_digest(challenge.seed).put(challenge.answer_ms).take();
}

Result<Challenge> decode_challenge(ByteView payload) {
  Reader reader(payload);
  Challenge out;
  out.lease_id = reader.get_digest();
  out.index = reader.get<uint32_t>();
  out.seed = reader.get_digest();
  out.answer_ms = reader.get<uint32_t>();
  return finish(reader, out, "CHALLENGE");
}

Bytes encode(const LeaseClosed& closed) {
  return Writer().put_digest(closed.lease_id).put(closed.reason).put_digest(closed.secret).take();
}

Result<LeaseClosed> decode_lease_closed(ByteView payload) {
  Reader reader(payload);
  LeaseClosed out;
  out.lease_id = reader.get_digest();
  out.reason = reader.get<uint8_t>();
  out.secret = reader.get_digest();
  return finish(reader, out, "LEASE_CLOSED");
}

Bytes encode(const Watch& watch) {
  return Writer().put(watch.first_seq).take();
}

Result<Watch> decode_watch(ByteView payload) {
  Reader reader(payload);
  Watch out{reader.get<uint64_t>()};
  return finish(reader, out, "WATCH");
}

Bytes encode(const Ping& ping) {
  return Writer().put(ping.echo).take();
}

Result<Ping> decode_ping(ByteView payload) {
  Reader reader(payload);
  Ping out{reader.get<uint64_t>()};
  return finish(reader, out, "PING");
}

Bytes encode(const GetLease& message) {
  return Writer().put_digest(message.job_id).take();
}

Result<GetLease> decode_get_lease(ByteView payload) {
  return decode_digest<GetLease>(payload, "GET_LEASE");
}

Bytes encode(const Abandon& message) {
  return Writer().put_digest(message.lease_id).take();
}

Result<Abandon> decode_abandon(ByteView payload) {
  return decode_digest<Abandon>(payload, "ABANDON");
}

Bytes encode(const DeltaOk& message) {
  return Writer().put_digest(message.lease_id).take();
}

Result<DeltaOk> decode_delta_ok(ByteView payload) {
  return decode_digest<DeltaOk>(payload, "DELTA_OK");
}

Bytes encode(const LeaseMessage& message) {
  return Writer().put_blob(message.lease).take();
}

Result<LeaseMessage> decode_lease_message(ByteView payload) {
  return decode_signed<LeaseMessage>(payload, "LEASE");
}

Bytes encode(const ShareMessage& message) {
  return Writer().put_blob(message.share).take();
}

Result<ShareMessage> decode_share_message(ByteView payload) {
  return decode_signed<ShareMessage>(payload, "SHARE");
}

Bytes encode(const VerdictMessage& message) {
  return Writer().put_blob(message.verdict).take();
}

Result<VerdictMessage> decode_verdict_message(ByteView payload) {
  return decode_signed<VerdictMessage>(payload, "VERDICT");
}

}  // namespace gemmine::pool
