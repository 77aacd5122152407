// Signed records and bundles: what decodes encodes back to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "verifier/audit/bundle.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/records.h"
#include "verifier/records/sheet.h"

namespace gv = gemmine::verifier;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const gemmine::ByteView input(data, size);
  const auto same = [&](const gemmine::Bytes& again) {
    GEMMINE_CHECK(std::ranges::equal(again, input));
  };
  if (const auto lease = gv::decode_lease(input)) {
    same(encode(lease.value()));
  }
  if (const auto share = gv::decode_share(input)) same(encode(share.value()));
  if (const auto verdict = gv::decode_verdict(input)) same(encode(verdict.value()));
  if (const auto record = gv::decode_record(input)) same(encode(record.value()));
  if (size >= sizeof(uint32_t)) {  // a sheet begins with how many features it has
    const auto features = gemmine::Reader(input).get<uint32_t>();
    if (const auto sheet = gv::decode_sheet(input, {features, 16384})) same(encode(sheet.value()));
  }
  if (const auto bundle = gv::decode_bundle(input)) {
    same(encode_bundle(bundle.value()));
    (void)check_bundle(bundle.value());
  }
  return 0;
}
