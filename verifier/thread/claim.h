// One link of a thread that is wrong, cut out of an answer: anybody decides it alone
// (PROTOCOL 11.10, 12).
#pragma once

#include <span>
#include <string>

#include "verifier/thread/answer.h"
#include "verifier/thread/follow.h"

namespace gemmine::verifier {

// What the miner signed for (the head, and through it the digests), and what he opened. A link of
// step H is the end of a chain: what state_after and the delta say of it.
struct UpdateClaim {
  Bytes header;       // encode(ThreadHeader)
  uint32_t step = 0;  // of the lease; H: the end
  Link link;
  Bytes state;    // link_bytes() before the link
  Bytes peer;     // of peer_of(), where there is one
  Bytes digests;  // chunks of the digests' string: ranges, siblings, bytes (put_chunks)
  Bytes part;     // the part of the answer that has the link

  static constexpr std::string_view kName = "update";
  static void fields(auto& f, auto& r) {
    f.blob(r.header, kThreadHeaderMax)(r.step)(r.link.chain)(r.link.piece);
    f.blob(r.state, kLinkBytesMax).blob(r.peer, kLinkBytesMax);
    f.blob(r.digests, kDigestsMax).blob(r.part, kThreadPartMax);
  }
  static constexpr size_t kLinkBytesMax = 5 * 4096;
  static constexpr size_t kDigestsMax = 16384;
};

// Decides it from the signed head and the opened bytes: invalid means proven: the miner committed
// to something that is not so. valid: nothing is wrong with it. malformed: it does not decode, or
// is not what it says it is. undecided: θ or the training data could not be read. thread.shares:
// only share_of(claim.step) is looked at, of the end the last.
Finding check_part(const ThreadCase& thread, const Share& share, const UpdateClaim& claim,
                   const PublicData& data);

}  // namespace gemmine::verifier
