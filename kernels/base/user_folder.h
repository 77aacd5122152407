// A program's own data folder: where it is when nobody names one, and the key kept in it.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine {

// $XDG_DATA_HOME/NAME, else $HOME/.local/share/NAME, else the same of the user's entry in the
// password database. An empty or relative variable counts as unset, as the XDG specification has
// it. Empty where nothing names a home.
std::string user_data_folder(std::string_view name);

// The same for what programs remember: $XDG_STATE_HOME/NAME, else .local/state/NAME of the home.
std::string user_state_folder(std::string_view name);

// The secret FOLDER/identity.key, made when no folder in FOLDER (leases, blobs) holds anything:
// what is there belongs to a key that was lost.
// Errors: invalid (it was lost: what is there, and what to do), those of load_secret.
Result<Digest> load_or_make_identity_key(const std::string& folder);

// What to say to those who then name no folder either.
inline constexpr std::string_view kNoUserFolder =
    "--data: say which folder: neither XDG_DATA_HOME, HOME nor the password database names yours";

}  // namespace gemmine
