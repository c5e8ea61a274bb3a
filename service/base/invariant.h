// CheckInvariant: what must hold whatever anybody does.
//
// A broken invariant ends the process with its name: memory then no longer
// matches the decisions that were made, and nothing that is done next can be
// right. It is never a status. A check costs one branch; `rule` is a sentence
// that says what should be so.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_BASE_INVARIANT_H_
#define LEASEHOLD_SERVICE_BASE_INVARIANT_H_

namespace leasehold {

// Writes `leasehold: broken invariant: <rule>` to standard error, and aborts.
[[noreturn]] void BreakInvariant(const char* rule);

// Whether rules that take a while to check are checked each time. Debug and
// sanitizer builds do.
#if defined(LEASEHOLD_CHECK_INVARIANTS)
inline constexpr bool kChecksInvariants = true;
#else
inline constexpr bool kChecksInvariants = false;
#endif

inline void CheckInvariant(bool holds, const char* rule) {
  if (!holds) [[unlikely]]
    BreakInvariant(rule);
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_BASE_INVARIANT_H_
