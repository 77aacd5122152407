// Files that a person named to be written: a model, an export, a report, a status.
#pragma once

#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine {

// Whether write_output() returns only when the disk has the bytes, or need not (a status file).
enum class Sync : uint8_t { yes, no };

// Writes all of the bytes to what `path` names:
//   nothing yet      a new file, with the mode that the umask leaves of 0666
//   a regular file   replaced in one step, so that a crash leaves the old or the new one; it keeps
//                    its mode, and its owner where that may be set. Written in place where its
//                    folder cannot be written, or where it is mounted by itself. One that may not
//                    be written is refused
//   a symlink        what it points to, by these rules; the link stays
//   a device, FIFO   written in place (a FIFO waits for its reader)
//   -                standard output; so are /dev/stdout, and /dev/stderr and /dev/fd/N themselves
// Errors: io (a folder, no such folder, permission, disk full), naming the path.
Status write_output(const std::string& path, ByteView bytes, Sync sync = Sync::yes);

// Whether what is written to `path` goes to standard output.
bool is_standard_output(const std::string& path);

// Whether both paths name one file, or one that is to be made. False where one of them is empty.
bool same_output(const std::string& a, const std::string& b);

// Whether write_output(path) could begin now: to be asked before hours of work. Changes nothing
// that is there; a file that is not yet there is made and removed. Errors: io.
Status check_output_path(const std::string& path);

}  // namespace gemmine
