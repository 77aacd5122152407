# What `cmake --install` puts beside programs: units, configurations and pages, which name the
# folders that were installed to. Called with SOURCE and BINARY, the project's two folders.
set(BIN "${CMAKE_INSTALL_PREFIX}/bin")
set(ETC "${CMAKE_INSTALL_PREFIX}/etc")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(ETC "/etc")
endif()
set(LIB "${CMAKE_INSTALL_PREFIX}/lib")
set(SHARE "${CMAKE_INSTALL_PREFIX}/share")
set(DOC "${SHARE}/doc/gemmine")
set(work "${BINARY}/package")

# put(FILE FOLDER [NAME]) copies FILE as NAME, readable by all.
function(put file folder)
  file(INSTALL "${file}" DESTINATION "${folder}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ
    WORLD_READ ${ARGN})
endfunction()

foreach(unit gemmine gemmine-pool gemmine-audit gemmine-relay)
  configure_file("${SOURCE}/package/systemd/${unit}.service.in" "${work}/${unit}.service" @ONLY)
  put("${work}/${unit}.service" "${LIB}/systemd/system")
endforeach()
put("${SOURCE}/package/systemd/sysusers.conf" "${LIB}/sysusers.d" RENAME gemmine.conf)
put("${SOURCE}/package/systemd/tmpfiles.conf" "${LIB}/tmpfiles.d" RENAME gemmine.conf)

# An administrator's own words stay: whoever installs over them finds ours beside them.
function(put_configuration file name)
  set(there "$ENV{DESTDIR}${ETC}/gemmine/${name}")
  if(EXISTS "${there}")
    file(SHA256 "${there}" his)
    file(SHA256 "${file}" ours)
    if(NOT his STREQUAL ours)
      message(STATUS "Keeping ${there}; the new one is ${name}.new")
      set(name "${name}.new")
    endif()
  endif()
  put("${file}" "${ETC}/gemmine" RENAME "${name}")
endfunction()
foreach(name mine.conf audit.conf pool.conf relay.conf)
  put_configuration("${SOURCE}/package/etc/${name}" "${name}")
endforeach()
file(READ "${SOURCE}/configs/pool.toml" pool)
set(example "\"${SHARE}/gemmine/jobs/fashion-mnist.toml\"")
string(REGEX REPLACE "\njobs = [^\n]*" "\njobs = []  # files, as ${example}; --job adds more"
  pool "${pool}")
file(WRITE "${work}/pool.toml" "${pool}")
put_configuration("${work}/pool.toml" pool.toml)

# Examples are data, so that systems without documentation have them.
file(INSTALL "${SOURCE}/configs/jobs/" DESTINATION "${SHARE}/gemmine/jobs"
  PATTERN "data" EXCLUDE PATTERN "__pycache__" EXCLUDE)
put("${SOURCE}/configs/pool.toml" "${SHARE}/gemmine")
foreach(page README.md verifier/PROTOCOL.md configs/getting-started.md package/copyright)
  put("${SOURCE}/${page}" "${DOC}")
endforeach()
if(NOT EXISTS /usr/share/common-licenses/Apache-2.0)  # where `copyright` says that the text is
  put("${SOURCE}/LICENSE" "${DOC}")
endif()
if(EXISTS "${work}/pages")
  file(INSTALL "${work}/pages/" DESTINATION "${SHARE}")
  put("${work}/changelog.gz" "${DOC}")
else()
  message(WARNING "No manual pages: there was no Python to make them.")
endif()
