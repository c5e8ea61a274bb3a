// CapabilityKeys: the secret keys that sign capability URLs (capability.h).
//
// The first key signs; all of them are valid. To rotate is to put a new key in
// front and to keep one old one: URLs that the old one signed stay valid until
// the next rotation. The file has one key a line, in base64url; empty lines and
// lines that begin with `#` say nothing.
//
// Thread-safety: values.
#ifndef LEASEHOLD_SERVICE_SECURITY_CAPABILITY_KEYS_H_
#define LEASEHOLD_SERVICE_SECURITY_CAPABILITY_KEYS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace leasehold {

class CapabilityKeys {
 public:
  static constexpr size_t kKeyBytes = 32;
  static constexpr size_t kKeysMax = 2;

  struct Key {
    std::string id;     // Follows from the secret, and says nothing of it.
    std::string bytes;  // kKeyBytes.

    friend bool operator==(const Key&, const Key&) = default;
  };

  // The keys of a file of the operator's.
  //   InvalidArgument: it cannot be read, has no key or more than kKeysMax, or
  //   a
  //     line is not a key; the message says which, and never quotes it.
  static absl::StatusOr<CapabilityKeys> ReadFile(const std::string& path);

  // The keys that the server keeps in its directory, where only its own user
  // can read them; makes the first one if there is none. REQUIRES: nobody else
  // writes there at the same time (DataDirectory).
  //   InvalidArgument: as ReadFile.   Unavailable: it cannot be written.
  static absl::StatusOr<CapabilityKeys> OpenIn(const std::string& directory);

  // Where in its directory the server keeps them.
  static std::string FileIn(const std::string& directory);

  // Puts a new key in front of those in the file, which then signs, and keeps
  // the one that signed before; makes the file if there is none. A server that
  // uses them may run: it reads a file that is whole, before or after. After an
  // error the old keys are still there.
  //   InvalidArgument: as ReadFile.   Unavailable: it cannot be written.
  static absl::StatusOr<CapabilityKeys> Rotate(const std::string& path);

  // A key that lives as long as the process: URLs end with it.
  static CapabilityKeys ForProcess();

  // The key that signs. Never empty.
  const Key& signing() const { return keys_.front(); }
  // nullptr: there is no such key, or no longer.
  const Key* Find(std::string_view id) const;

  friend bool operator==(const CapabilityKeys&,
                         const CapabilityKeys&) = default;

 private:
  explicit CapabilityKeys(std::vector<Key> keys) : keys_(std::move(keys)) {}

  std::vector<Key> keys_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_SECURITY_CAPABILITY_KEYS_H_
