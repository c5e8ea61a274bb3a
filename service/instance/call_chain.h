// CallChain: which unfinished calls a call comes from.
//
// A call that has access to a reentrant state (serial_queue.h) and calls on
// hands out a *link*: 128 random bits that name its access. Whoever serves what
// it calls passes the chain on with its own calls, and a call that comes back
// to the instance is let in by the link of the access that is waiting for it.
// A stranger cannot guess a link, a link is good for one access of one
// instance, and it is worth nothing when that access is over.
//
//   instance-call-chain: 4fVnIhGvTkS0kQxUo2r7Vw.9RtH...   oldest link first
//
// Thread-safety: a value.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CALL_CHAIN_H_
#define LEASEHOLD_SERVICE_INSTANCE_CALL_CHAIN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace leasehold {

class CallChain {
 public:
  // A chain has at most so many links: what calls itself without end is told
  // so.
  static constexpr size_t kLinksMax = 16;

  using Link = std::array<uint8_t, 16>;
  // A link that nobody can guess.
  static Link NewLink();

  CallChain() = default;
  // The chain that a header says; none if `header` is empty.
  //   InvalidArgument: it is not a chain, or has too many links.
  static absl::StatusOr<CallChain> Parse(std::string_view header);

  bool empty() const { return links_.empty(); }
  bool full() const { return links_.size() >= kLinksMax; }
  bool Has(const Link& link) const;
  // REQUIRES: not full.
  void Add(const Link& link) { links_.push_back(link); }

  // What calls that are made on its behalf carry in `instance-call-chain`.
  // Empty: they need not carry it.
  std::string header() const;

 private:
  std::vector<Link> links_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CALL_CHAIN_H_
