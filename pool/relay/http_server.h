// Hands blobs out over HTTP (PROTOCOL 14), with libmicrohttpd, on a thread of its own: reading and
// hashing what goes out never holds up the loop, which talks to the pool.
//
// Each group of 64 KiB is checked against the blob's address before a byte of it leaves. Memory: a
// group and a tree (64 bytes for each 64 KiB of its blob) for each answer under way, trees together
// at most kServedTreesMax; 16 KiB for each connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/base/result.h"
#include "pool/relay/desk.h"

namespace gemmine::pool {

inline constexpr unsigned kHttpConnectionsMax = 400;      // then others wait to be accepted
inline constexpr unsigned kHttpConnectionsPerIpMax = 64;  // then they are closed
inline constexpr unsigned kHttpIdleSeconds = 20;
inline constexpr uint64_t kServedTreesMax = uint64_t{128} << 20;  // bytes of memory

class HttpServer {
 public:
  // address: numeric; port 0 picks a free one. The desk outlives it. Errors: io (the port is in
  // use, no permission, no thread), invalid_argument.
  static Result<std::unique_ptr<HttpServer>> open(const std::string& address, uint16_t port,
                                                  const std::string& folder, Desk& desk);
  ~HttpServer();  // cuts what is under way off
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const { return port_; }

 private:
  struct Daemon;  // libmicrohttpd's, which only http_server.cc knows
  HttpServer();
  std::unique_ptr<Daemon> daemon_;
  uint16_t port_ = 0;
};

}  // namespace gemmine::pool
