#include "pool/wire/messages.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "pool/net/tls.h"
#include "verifier/audit/opening.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/job.h"

namespace gemmine::pool {
namespace {

Digest magic() {
  return kernels::blake3(as_bytes(kAlpn));
}

template <class T>
Result<T> finish(const Reader& reader, bool in_bounds, T value, std::string_view name) {
  if (reader.done() && in_bounds) return value;
  std::string why = !reader.ok()         ? " is cut short or over a bound"
                    : reader.rest() != 0 ? " has trailing bytes"
                                         : " has a value out of bounds";
  return Error{Errc::malformed, std::string(name) + std::move(why)};
}

bool is_flag(uint8_t byte) {
  return byte <= 1;
}

Bytes copy(ByteView view) {
  return {view.begin(), view.end()};
}

// Text of ours for a stranger: what a peer would refuse to read is replaced, not sent.
std::string printable(std::string_view text, size_t bytes_max) {
  std::string out(text.substr(0, bytes_max));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

void put_siblings(Writer& writer, const std::vector<Digest>& siblings) {
  writer.put(static_cast<uint32_t>(siblings.size()));
  for (const Digest& sibling : siblings)
    writer.put_digest(sibling);
}

// The count is compared with its bound before anything is allocated for it.
bool get_siblings(Reader& reader, std::vector<Digest>& out) {
  const auto count = reader.get<uint32_t>();
  if (count > kBlobSiblingsMax) return false;
  for (uint32_t i = 0; i < count && reader.ok(); ++i)
    out.push_back(reader.get_digest());
  return true;
}

template <class Part>
void put_part(Writer& writer, const Part& part) {
  writer.put(part.total_bytes).put(part.first_group).put(part.groups);
  put_siblings(writer, part.siblings);
  writer.put_blob(part.bytes);
}

template <class Part>
bool get_part(Reader& reader, Part& part) {
  part.total_bytes = reader.get<uint64_t>();
  part.first_group = reader.get<uint64_t>();
  part.groups = reader.get<uint32_t>();
  if (part.groups < 1 || part.groups > kBlobGroupsMax) return false;
  if (!get_siblings(reader, part.siblings)) return false;
  part.bytes = copy(reader.get_blob(size_t{part.groups} * kBlobGroup));
  return true;
}

}  // namespace

Bytes encode(const Hello& hello) {
  Writer writer;
  writer.put_digest(magic()).put(hello.version_min).put(hello.version_max).put(hello.role);
  writer.put_digest(hello.client_random).put_digest(hello.public_key);
  writer.put_text(hello.account).put_text(hello.agent);
  return writer.take();
}

Result<Hello> decode_hello(ByteView payload) {
  Reader reader(payload);
  const bool ours = reader.get_digest() == magic();
  Hello out;
  out.version_min = reader.get<uint16_t>();
  out.version_max = reader.get<uint16_t>();
  out.role = reader.get<Role>();
  out.client_random = reader.get_digest();
  out.public_key = reader.get_digest();
  out.account = reader.get_text(kAccountBytesMax);
  out.agent = reader.get_text(kAgentBytesMax);
  const bool role = out.role == Role::miner || out.role == Role::auditor;
  return finish(reader, ours && role, std::move(out), "HELLO");
}

Bytes encode(const HelloOk& hello) {
  Writer writer;
  writer.put(hello.version).put_digest(hello.server_random).put_digest(hello.pool_key);
  writer.put(hello.idle_ms).put(hello.pool_time_ms);
  return writer.take();
}

Result<HelloOk> decode_hello_ok(ByteView payload) {
  Reader reader(payload);
  HelloOk out;
  out.version = reader.get<uint16_t>();
  out.server_random = reader.get_digest();
  out.pool_key = reader.get_digest();
  out.idle_ms = reader.get<uint32_t>();
  out.pool_time_ms = reader.get<uint64_t>();
  return finish(reader, true, out, "HELLO_OK");
}

Digest auth_message(const AuthMaterial& material) {
  Writer writer;
  writer.put_digest(material.server_random).put_digest(material.client_random);
  writer.put_digest(material.channel_binding).put_digest(material.pool_key);
  writer.put_digest(material.public_key).put(material.role).put_text(material.account);
  return kernels::blake3_derive_key(verifier::domain::kAuth, writer.bytes());
}

Bytes encode(const Auth& auth) {
  return Writer().put_raw(auth.signature).take();
}

Result<Auth> decode_auth(ByteView payload) {
  Reader reader(payload);
  Auth out;
  const ByteView raw = reader.get_raw(out.signature.size());
  std::copy(raw.begin(), raw.end(), out.signature.begin());
  return finish(reader, true, out, "AUTH");
}

Bytes encode(const AuthOk& auth) {
  GEMMINE_CHECK(auth.jobs.size() <= kJobsMax && auth.leases.size() <= kOpenLeasesMax);
  Writer writer;
  writer.put(auth.session).put(static_cast<uint16_t>(auth.jobs.size()));
  for (const AuthOk::Job& job : auth.jobs) {
    writer.put_blob(job.job).put(job.round).put_digest(job.theta_root);
    writer.put(static_cast<uint8_t>(job.finished));
  }
  writer.put(static_cast<uint16_t>(auth.leases.size()));
  for (const AuthOk::OpenLease& open : auth.leases) {
    writer.put_blob(open.lease).put(open.shares_accepted);
    writer.put(static_cast<uint8_t>(open.delta_stored));
  }
  return writer.take();
}

Result<AuthOk> decode_auth_ok(ByteView payload) {
  Reader reader(payload);
  AuthOk out;
  out.session = reader.get<uint64_t>();
  const auto jobs = reader.get<uint16_t>();
  bool in_bounds = jobs <= kJobsMax;
  for (uint16_t i = 0; i < jobs && in_bounds && reader.ok(); ++i) {
    AuthOk::Job& job = out.jobs.emplace_back();
    job.job = copy(reader.get_blob(verifier::kJobBytesMax));
    job.round = reader.get<uint32_t>();
    job.theta_root = reader.get_digest();
    const auto finished = reader.get<uint8_t>();
    in_bounds = is_flag(finished);
    job.finished = finished != 0;
  }
  const auto leases = reader.get<uint16_t>();
  in_bounds = in_bounds && leases <= kOpenLeasesMax;
  for (uint16_t i = 0; i < leases && in_bounds && reader.ok(); ++i) {
    AuthOk::OpenLease& open = out.leases.emplace_back();
    open.lease = copy(reader.get_blob(kSignedBytesMax));
    open.shares_accepted = reader.get<uint32_t>();
    const auto stored = reader.get<uint8_t>();
    in_bounds = is_flag(stored);
    open.delta_stored = stored != 0;
  }
  return finish(reader, in_bounds, std::move(out), "AUTH_OK");
}

Bytes encode(const ErrorMessage& error) {
  Writer writer;
  writer.put(error.seq).put(error.code).put(error.retry_after_ms);
  writer.put_text(printable(error.text, kErrorTextMax));
  return writer.take();
}

Result<ErrorMessage> decode_error(ByteView payload) {
  Reader reader(payload);
  ErrorMessage out;
  out.seq = reader.get<uint32_t>();
  out.code = reader.get<WireError>();
  out.retry_after_ms = reader.get<uint32_t>();
  out.text = reader.get_text(kErrorTextMax);
  return finish(reader, true, std::move(out), "ERROR");
}

Bytes encode(const GetBlob& get) {
  return Writer().put_digest(get.address).put(get.first_group).put(get.groups).take();
}

Result<GetBlob> decode_get_blob(ByteView payload) {
  Reader reader(payload);
  GetBlob out;
  out.address = reader.get_digest();
  out.first_group = reader.get<uint64_t>();
  out.groups = reader.get<uint32_t>();
  return finish(reader, out.groups >= 1 && out.groups <= kBlobGroupsMax, out, "GET_BLOB");
}

Bytes encode(const BlobPart& part) {
  Writer writer;
  writer.put_digest(part.address);
  put_part(writer, part);
  return writer.take();
}

Result<BlobPart> decode_blob(ByteView payload) {
  Reader reader(payload);
  BlobPart out;
  out.address = reader.get_digest();
  const bool in_bounds = get_part(reader, out);
  return finish(reader, in_bounds, std::move(out), "BLOB");
}

Bytes encode(const DeltaPart& part) {
  Writer writer;
  writer.put_digest(part.lease_id);
  put_part(writer, part);
  return writer.take();
}

Result<DeltaPart> decode_delta(ByteView payload) {
  Reader reader(payload);
  DeltaPart out;
  out.lease_id = reader.get_digest();
  const bool in_bounds = get_part(reader, out);
  return finish(reader, in_bounds, std::move(out), "DELTA");
}

Bytes encode(const OpeningMessage& message) {
  Writer writer;
  writer.put_digest(message.lease_id).put(message.index).put(message.block);
  writer.put_blob(message.opening);
  return writer.take();
}

Result<OpeningMessage> decode_opening_message(ByteView payload) {
  Reader reader(payload);
  OpeningMessage out;
  out.lease_id = reader.get_digest();
  out.index = reader.get<uint32_t>();
  out.block = reader.get<uint32_t>();
  out.opening = copy(reader.get_blob(verifier::kOpeningBytesMax));
  return finish(reader, true, std::move(out), "OPENING");
}

Bytes encode(const RecordMessage& record) {
  Writer writer;
  writer.put(record.seq).put(record.time_ms).put(record.kind).put_blob(record.body);
  return writer.take();
}

Result<RecordMessage> decode_record(ByteView payload) {
  Reader reader(payload);
  RecordMessage out;
  out.seq = reader.get<uint64_t>();
  out.time_ms = reader.get<uint64_t>();
  out.kind = reader.get<uint8_t>();
  out.body = copy(reader.get_blob(verifier::kRecordBytesMax));
  return finish(reader, true, std::move(out), "RECORD");
}

Bytes encode(const Bye& bye) {
  return Writer().put_text(printable(bye.text, kByeTextMax)).take();
}

Result<Bye> decode_bye(ByteView payload) {
  Reader reader(payload);
  Bye out;
  out.text = reader.get_text(kByeTextMax);
  return finish(reader, true, std::move(out), "BYE");
}

}  // namespace gemmine::pool
