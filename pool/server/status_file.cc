#include "pool/server/status_file.h"

#include <filesystem>
#include <utility>

#include "kernels/base/output.h"

namespace gemmine::pool {
namespace {

constexpr size_t kLettersMax = 16;

// Opening one waits until somebody reads it, which may be never: the end would wait with it.
Status refuse_fifo(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_fifo(path, error))
    return Error{Errc::io, path + " is a FIFO; the status goes to a file or a device"};
  return Ok{};
}

}  // namespace

Result<std::unique_ptr<StatusFile>> StatusFile::open(
    Loop& loop, const std::string& path, std::function<void(const std::string&)> on_trouble) {
  if (const Status fit = refuse_fifo(path); !fit) return fit.error();
  if (const Status usable = check_output_path(path); !usable) return usable.error();
  std::unique_ptr<StatusFile> out(new StatusFile(loop, path, std::move(on_trouble)));
  StatusFile& self = *out;
  const Status started = self.queue_.start(
      1, [&self](const PoolView& view, int, const std::stop_token&) { self.write(view); });
  if (!started) return started.error();
  return out;
}

StatusFile::StatusFile(Loop& loop, std::string path,
                       std::function<void(const std::string&)> on_trouble)
    : path_(std::move(path)), mailbox_(loop, kLettersMax, std::move(on_trouble)), queue_(1) {}

StatusFile::~StatusFile() {
  queue_.finish();
}

bool StatusFile::post(PoolView view) {
  return queue_.post(std::move(view));
}

void StatusFile::write(const PoolView& view) {
  const std::string text = status_json(view);
  Status written = refuse_fifo(path_);  // it may have become one
  if (written) written = write_output(path_, as_bytes(std::string_view(text)), Sync::no);
  if (written.ok() != in_trouble_) return;  // nothing new
  // A loop that is too busy for its letters hears of the next change.
  if (mailbox_.post(written ? std::string() : written.error().detail)) in_trouble_ = !written.ok();
}

}  // namespace gemmine::pool
