#include "pool/config/pool_config.h"

#include <charconv>

#include "pool/wire/messages.h"

namespace gemmine::pool {
namespace {

std::string in_quotes(std::string_view text) {
  std::string out(1, '\'');
  out.append(text).push_back('\'');
  return out;
}

template <class T>
T narrow(uint64_t value) {
  return static_cast<T>(value);  // in T by the range it was read with
}

}  // namespace

Status parse_listen(std::string_view text, std::string& host, uint16_t& port) {
  const auto wrong = [&](const std::string& why) {
    return Error{Errc::invalid_argument,
                 in_quotes(text) + ": " + why + " (expected address:port, e.g. 127.0.0.1:4400)"};
  };
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos)
    return wrong("no scheme is wanted: leave out " + in_quotes(text.substr(0, scheme + 3)));
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return wrong("the port is missing");
  std::string_view name = text.substr(0, colon);
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']')
    name = name.substr(1, name.size() - 2);
  if (name.empty()) return wrong("the address is missing");
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc{} || end != digits.data() + digits.size())
    return wrong("the port is not a number from 0 to 65535");
  host = std::string(name);
  return Ok{};
}

Result<PoolConfig> parse_pool_config(Toml toml) {
  PoolConfig out;
  const std::string listen = toml.text("listen", 255, "127.0.0.1:4400");
  if (const Status parsed = parse_listen(listen, out.listen_host, out.listen_port); !parsed)
    toml.fail("listen", parsed.error().detail, "");
  out.fee_account = toml.text("fee_account", kAccountBytesMax, "pool");
  if (!verifier::account_ok(out.fee_account))
    toml.fail("fee_account", "is no account name", "1 to 64 characters of A-Z a-z 0-9 . _ -");
  const auto u32 = [&](const char* key, Toml::Range range, uint32_t fallback) {
    return narrow<uint32_t>(toml.integer(key, range, fallback));
  };
  out.share_seconds = u32("share_seconds", {0, kShareSecondsMax}, out.share_seconds);
  out.audit_threads = u32("audit.threads", {1, kAuditThreadsMax}, out.audit_threads);
  out.always_threads = toml.boolean("audit.always_threads", false);
  out.upload_bytes = toml.integer("limits.upload_mib", {1, 1 << 20}, 16 << 10) << 20;
  out.idle_ms = u32("limits.idle_ms", {1'000, 86'400'000}, out.idle_ms);
  out.connections = u32("limits.connections", {1, 1'000'000}, out.connections);
  out.connections_per_ip = u32("limits.connections_per_ip", {1, 1'000'000}, out.connections_per_ip);
  out.leases_per_key = u32("limits.leases_per_key", {1, kOpenLeasesMax}, out.leases_per_key);
  out.rounds_kept = u32("limits.rounds_kept", {0, 1 << 24}, out.rounds_kept);
  for (const std::string& text : toml.texts("audit.auditors", kAuditorsMax)) {
    const auto key = digest_from_hex(text);
    if (key) {
      out.auditors.push_back(key.value());
    } else {
      toml.fail("audit.auditors", in_quotes(text) + " is no key", "64 hex digits each");
    }
  }
  for (const std::string& path : toml.texts("jobs", kJobFilesMax))
    out.jobs.push_back(toml.beside(path));
  if (const Status finished = toml.finish(); !finished) return finished.error();
  return out;
}

}  // namespace gemmine::pool
