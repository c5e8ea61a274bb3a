#include "service/base/invariant.h"

#include <cstdio>
#include <cstdlib>

namespace leasehold {

void BreakInvariant(const char* rule) {
  std::fprintf(stderr, "leasehold: broken invariant: %s\n", rule);
  std::abort();
}

}  // namespace leasehold
