// Where a program keeps what it is not told a folder for.
#pragma once

#include <string>
#include <string_view>

namespace gemmine {

// $XDG_DATA_HOME/NAME, else $HOME/.local/share/NAME, else the same of the user's entry in the
// password database. An empty or relative variable counts as unset, as the XDG specification has
// it. Where nothing names a home: NAME in the current folder.
std::string user_data_folder(std::string_view name);

}  // namespace gemmine
