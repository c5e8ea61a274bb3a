// Variables: the environment variables LEASEHOLD_… of the two programs.
//
// One that neither reads is most likely misspelt, and would be ignored without
// a word. Each program knows the other's, since both run in one environment.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_LEASE_BASE_VARIABLES_H_
#define LEASEHOLD_LEASE_BASE_VARIABLES_H_

#include <string>
#include <vector>

namespace leasehold {

// Whether one of the programs reads it.
bool IsKnownVariable(const std::string& name);

// The names of those variables of this process that begin with LEASEHOLD_, in
// their order.
std::vector<std::string> LeaseholdVariables();

// Of these names those that no program reads.
std::vector<std::string> UnknownVariables(
    const std::vector<std::string>& names);

// The known one that `name` most likely means; empty: none is near.
std::string NearestVariable(const std::string& name);

}  // namespace leasehold

#endif  // LEASEHOLD_LEASE_BASE_VARIABLES_H_
