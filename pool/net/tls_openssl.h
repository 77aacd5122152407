// What the TLS files share of OpenSSL; included by no other file.
#pragma once

#include <optional>
#include <string>

#include <openssl/x509.h>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

// SHA-256 of the SubjectPublicKeyInfo; nothing for a null or unreadable certificate.
std::optional<Digest> spki_digest(const X509* certificate);

// Empties this thread's OpenSSL error queue into one line.
std::string openssl_error();

}  // namespace gemmine::pool
