#include "pool/relay/http_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <microhttpd.h>
#include <netinet/in.h>
#include <optional>
#include <utility>

#include "pool/blobs/part_reader.h"
#include "pool/blobs/tree_file.h"
#include "pool/relay/shelf.h"
#include "pool/wire/http.h"

namespace gemmine::pool {
namespace {

constexpr size_t kConnectionBytes = size_t{16} << 10;
constexpr std::string_view kBytes = "application/octet-stream";
constexpr std::string_view kText = "text/plain; charset=utf-8";

struct FreeResponse {
  void operator()(MHD_Response* response) const { MHD_destroy_response(response); }
};
using Response = std::unique_ptr<MHD_Response, FreeResponse>;

uint64_t now_ms() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

void say(MHD_Response& response, const char* field, const std::string& value) {
  static_cast<void>(MHD_add_response_header(&response, field, value.c_str()));
}

Response of_bytes(ByteView bytes, std::string_view type) {
  // It copies them; its own signature has no const.
  Response out(MHD_create_response_from_buffer(bytes.size(), const_cast<uint8_t*>(bytes.data()),
                                               MHD_RESPMEM_MUST_COPY));
  if (out) say(*out, "Content-Type", std::string(type));
  return out;
}

Response of_text(const std::string& text) {
  return of_bytes(as_bytes(std::string_view(text + "\n")), kText);
}

// What is served under an address never changes.
void say_immutable(MHD_Response& response, const Digest& address) {
  std::string tag(1, '"');  // g++ 12 warns of its own operator+ here
  tag.append(to_hex(address.bytes)).append(1, '"');
  say(response, "ETag", tag);
  say(response, "Cache-Control", "public, max-age=31536000, immutable");
  say(response, "Accept-Ranges", "bytes");
  say(response, "X-Content-Type-Options", "nosniff");
}

MHD_Result queue(MHD_Connection* connection, unsigned status, const Response& response) {
  return response ? MHD_queue_response(connection, status, response.get()) : MHD_NO;
}

MHD_Result plain(MHD_Connection* connection, unsigned status, const std::string& text) {
  return queue(connection, status, of_text(text));
}

}  // namespace

struct HttpServer::Daemon {
  struct Stop {
    void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
  };
  // A blob on its way out.
  struct Sending {
    Daemon& daemon;
    PartReader file;
    uint64_t first;  // of the bytes asked for
    uint64_t tree_bytes;
    uint64_t group = UINT64_MAX;  // which `bytes` are
    Bytes bytes;
  };

  Daemon(Desk& the_desk, std::string the_folder) : desk(the_desk), folder(std::move(the_folder)) {}

  Desk& desk;
  const std::string folder;
  uint64_t trees = 0;  // bytes of them in memory
  std::unique_ptr<MHD_Daemon, Stop> handle;

  MHD_Result answer(MHD_Connection* connection, const char* url);
  MHD_Result send_blob(MHD_Connection* connection, const Digest& address, PartReader file);
  MHD_Result send_tree(MHD_Connection* connection, const Digest& address);
  MHD_Result send_absence(MHD_Connection* connection, const Digest& address);
  MHD_Result send_metrics(MHD_Connection* connection);
  void find_damaged(const Digest& address);
  ssize_t read(Sending& sending, uint64_t at, std::span<uint8_t> out);
};

// It is on disk and not what its name says: it goes, and the next request brings it again.
void HttpServer::Daemon::find_damaged(const Digest& address) {
  ++desk.counts.damaged;
  Shelf::remove(folder, address);
}

MHD_Result HttpServer::Daemon::answer(MHD_Connection* connection, const char* url) {
  ++desk.counts.requests;
  const std::string_view path = url;
  if (path == "/metrics") return send_metrics(connection);
  if (path == "/healthz") {
    const bool well = desk.is_connected();
    return plain(connection, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                 well ? "ok" : "no pool is connected; what is here is served");
  }
  const auto named = parse_blob_url(path);
  if (!named)
    return plain(connection, MHD_HTTP_NOT_FOUND,
                 "there are /blobs/HEX, /blobs/HEX.tree, "
                 "/healthz and /metrics");
  const std::string blob = Shelf::path(folder, named->address);
  if (!PieceFile::open(blob)) return send_absence(connection, named->address);
  Shelf::touch(folder, named->address);
  if (named->tree) return send_tree(connection, named->address);
  auto file = PartReader::open(blob, named->address);
  if (!file) {
    find_damaged(named->address);
    return send_absence(connection, named->address);
  }
  return send_blob(connection, named->address, std::move(file.value()));
}

MHD_Result HttpServer::Daemon::send_absence(MHD_Connection* connection, const Digest& address) {
  const Desk::Answer known = desk.want(address, now_ms());
  switch (known.where) {
    case Desk::Where::absent:
      return plain(connection, MHD_HTTP_NOT_FOUND, "the pool has no such blob");
    case Desk::Where::no_room:
      return plain(connection, MHD_HTTP_INSUFFICIENT_STORAGE, "there is no room for it");
    case Desk::Where::no_pool:
      return plain(connection, MHD_HTTP_BAD_GATEWAY, "no pool is connected");
    case Desk::Where::coming:
    case Desk::Where::busy:
      break;
  }
  const Response response = of_text("it is on its way; ask again");
  if (!response) return MHD_NO;
  say(*response, "Retry-After", "1");
  say(*response, "Gemmine-Have", std::to_string(known.have));
  return queue(connection, MHD_HTTP_SERVICE_UNAVAILABLE, response);
}

MHD_Result HttpServer::Daemon::send_tree(MHD_Connection* connection, const Digest& address) {
  const std::string blob = Shelf::path(folder, address);
  const auto file = PieceFile::open(blob);
  const auto size = file ? file.value().size() : Result<uint64_t>(file.error());
  if (!size) return send_absence(connection, address);
  if (size.value() <= kGroupBytes)
    return plain(connection, MHD_HTTP_NOT_FOUND, "a blob of one group has no tree");
  const auto tree = load_tree(blob, address, size.value());
  if (!tree) {
    find_damaged(address);
    return send_absence(connection, address);
  }
  const ByteView bytes = as_bytes(std::span(tree.value().groups()));
  const Response response = of_bytes(bytes, kBytes);
  if (!response) return MHD_NO;
  say_immutable(*response, address);
  desk.counts.sent += bytes.size();
  return queue(connection, MHD_HTTP_OK, response);
}

MHD_Result HttpServer::Daemon::send_blob(MHD_Connection* connection, const Digest& address,
                                         PartReader file) {
  const uint64_t total = file.total_bytes();
  const char* field = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
  auto range = parse_byte_range(field == nullptr ? "" : field, total);
  if (!range) {
    const Response response = of_text(range.error().detail);
    if (response) say(*response, "Content-Range", "bytes */" + std::to_string(total));
    return queue(connection, MHD_HTTP_RANGE_NOT_SATISFIABLE, response);
  }
  const ByteRange part = range.value().value_or(ByteRange{0, total});
  const uint64_t tree_bytes = groups_of(total) * 2 * sizeof(Digest);
  if (trees + tree_bytes > kServedTreesMax) {
    const Response response = of_text("too much is sent at once; ask again");
    if (response) say(*response, "Retry-After", "1");
    return queue(connection, MHD_HTTP_SERVICE_UNAVAILABLE, response);
  }
  const auto read_on = [](void* sending, uint64_t at, char* out, size_t most) -> ssize_t {
    auto& self = *static_cast<Daemon::Sending*>(sending);
    return self.daemon.read(self, at, {reinterpret_cast<uint8_t*>(out), most});
  };
  const auto done = [](void* sending) {
    const std::unique_ptr<Daemon::Sending> self(static_cast<Daemon::Sending*>(sending));
    self->daemon.trees -= self->tree_bytes;
  };
  auto sending = std::make_unique<Daemon::Sending>(
      Daemon::Sending{*this, std::move(file), part.first, tree_bytes, UINT64_MAX, {}});
  const Response response(
      MHD_create_response_from_callback(part.bytes, kGroupBytes, read_on, sending.get(), done));
  if (!response) return MHD_NO;
  trees += tree_bytes;
  static_cast<void>(sending.release());  // the response's
  say(*response, "Content-Type", std::string(kBytes));
  say_immutable(*response, address);
  if (!range.value()) return queue(connection, MHD_HTTP_OK, response);
  say(*response, "Content-Range",
      "bytes " + std::to_string(part.first) + "-" + std::to_string(part.first + part.bytes - 1) +
          "/" + std::to_string(total));
  return queue(connection, MHD_HTTP_PARTIAL_CONTENT, response);
}

// The next bytes of an answer, from place `at` of it: of one group, which was checked.
ssize_t HttpServer::Daemon::read(Sending& sending, uint64_t at, std::span<uint8_t> out) {
  const uint64_t place = sending.first + at;
  const uint64_t group = place / kGroupBytes;
  if (group != sending.group) {
    auto part = sending.file.part({group, 1});
    if (!part) return MHD_CONTENT_READER_END_WITH_ERROR;
    const Digest& root = sending.file.root();
    if (!check_part(part.value(), root, sending.file.total_bytes())) {
      find_damaged(root);
      return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    sending.group = group;
    sending.bytes = std::move(part.value().bytes);
  }
  const ByteView rest = ByteView(sending.bytes).subspan(place - group * kGroupBytes);
  const size_t count = std::min(rest.size(), out.size());
  std::copy_n(rest.begin(), count, out.begin());
  desk.counts.sent += count;
  return static_cast<ssize_t>(count);
}

MHD_Result HttpServer::Daemon::send_metrics(MHD_Connection* connection) {
  std::string text;
  const auto line = [&](const char* name, const char* type, uint64_t value) {
    text += std::string("# TYPE ") + name + " " + type + "\n" + name + " " + std::to_string(value) +
            "\n";
  };
  line("gemmine_relay_pool_connected", "gauge", desk.is_connected() ? 1 : 0);
  line("gemmine_relay_pool_bytes_total", "counter", desk.counts.from_pool);
  line("gemmine_relay_sent_bytes_total", "counter", desk.counts.sent);
  line("gemmine_relay_blobs_total", "counter", desk.counts.blobs);
  line("gemmine_relay_damaged_blobs_total", "counter", desk.counts.damaged);
  line("gemmine_relay_requests_total", "counter", desk.counts.requests);
  return queue(connection, MHD_HTTP_OK,
               of_bytes(as_bytes(std::string_view(text)), "text/plain; version=0.0.4"));
}

HttpServer::HttpServer() = default;
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::open(const std::string& address, uint16_t port,
                                                     const std::string& folder, Desk& desk) {
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1)
    return Error{Errc::invalid_argument, "'" + address + "' is not a numeric address"};
  const auto* const bound =
      is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);

  // The first call of a request brings its head, the second one asks for the answer.
  const auto on_request = [](void* self, MHD_Connection* connection, const char* url,
                             const char* method, const char* /*version*/, const char* /*upload*/,
                             size_t* upload_bytes, void** seen) -> MHD_Result {
    const std::string_view name = method;
    if (name != MHD_HTTP_METHOD_GET && name != MHD_HTTP_METHOD_HEAD) {
      const Response response = of_text("only GET and HEAD");
      if (response) say(*response, "Allow", "GET, HEAD");
      return queue(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
    }
    if (*upload_bytes > 0) return MHD_NO;
    if (std::exchange(*seen, self) == nullptr) return MHD_YES;
    return static_cast<Daemon*>(self)->answer(connection, url);
  };
  const auto be_silent = [](void*, const char*, va_list) {};

  std::unique_ptr<HttpServer> out(new HttpServer());
  out->daemon_ = std::make_unique<Daemon>(desk, folder);
  errno = 0;
  out->daemon_->handle.reset(MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ERROR_LOG |
          (is_v4 ? 0U : static_cast<unsigned>(MHD_USE_DUAL_STACK)),
      port, nullptr, nullptr, +on_request, out->daemon_.get(), MHD_OPTION_EXTERNAL_LOGGER,
      static_cast<MHD_LogCallback>(+be_silent), nullptr, MHD_OPTION_SOCK_ADDR, bound,
      MHD_OPTION_CONNECTION_LIMIT, kHttpConnectionsMax, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
      kHttpConnectionsPerIpMax, MHD_OPTION_CONNECTION_TIMEOUT, kHttpIdleSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionBytes, MHD_OPTION_END));
  if (!out->daemon_->handle)
    return Error{Errc::io, "cannot listen on " + address + " port " + std::to_string(port) + ": " +
                               (errno == 0 ? "the system refuses" : std::strerror(errno)) +
                               " (is another relay running? `ss -ltnp` says who has it)"};
  const MHD_DaemonInfo* const info =
      MHD_get_daemon_info(out->daemon_->handle.get(), MHD_DAEMON_INFO_BIND_PORT);
  out->port_ = info == nullptr ? port : info->port;
  return out;
}

}  // namespace gemmine::pool
