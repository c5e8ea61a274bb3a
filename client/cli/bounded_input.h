// ReadBounded: the content of a file or of standard input, up to a bound.
//
// A path may name anything: /dev/zero never ends, and a pipe may deliver more
// than fits into memory. Pipes and devices can be read all the same
// (`@/dev/stdin`, `@<(command)`); directories cannot.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_CLI_BOUNDED_INPUT_H_
#define LEASEHOLD_CLIENT_CLI_BOUNDED_INPUT_H_

#include <cstddef>
#include <iosfwd>
#include <string>

namespace leasehold::client::cli {

// Throw UsageError, which begins with `what`, if it cannot be read (and why) or
// is larger than `bytes_max`.
std::string ReadBoundedFile(const std::string& what, const std::string& path,
                            size_t bytes_max);
std::string ReadBounded(const std::string& what, std::istream& stream,
                        size_t bytes_max);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_BOUNDED_INPUT_H_
