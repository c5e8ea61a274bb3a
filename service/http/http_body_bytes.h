// HttpBodyBytes: how many bytes of bodies the listener keeps, of requests that
// are being read or served: of all together, and of each tenant.
//
// Thread-safety: one thread, the listener's, but for what says so.   Lifetime:
// it outlives its rooms.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_BODY_BYTES_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_BODY_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "lease/base/cells.h"
#include "service/base/tenant_tally.h"

namespace leasehold {

class HttpBodyBytes {
 public:
  explicit HttpBodyBytes(size_t bytes_max) : bytes_max_(bytes_max) {}
  HttpBodyBytes(const HttpBodyBytes&) = delete;
  HttpBodyBytes& operator=(const HttpBodyBytes&) = delete;

  // The bytes of one body.
  class Room {
   public:
    explicit Room(HttpBodyBytes& all) : all_(all) {}
    ~Room() { Change(0); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    // It is one of this tenant, whose bodies may have so many bytes together,
    // or one larger body; 0: only the limit of all counts. REQUIRES: it is
    // empty.
    void Begin(std::string tenant, size_t tenant_bytes_max);
    // The body has so many bytes now. Otherwise nothing changes:
    //   Unavailable: all would have too many.
    //   ResourceExhausted: the tenant would.
    absl::Status Set(size_t bytes);

   private:
    void Change(size_t bytes);

    HttpBodyBytes& all_;
    std::string tenant_;
    size_t tenant_bytes_max_ = 0;
    size_t bytes_ = 0;
  };

  size_t total() const { return bytes_; }
  // How often the limit of all, or of a tenant, has refused one. Safe.
  uint64_t refused() const { return refused_.value(); }
  TenantTally::Counts refused_of_tenants() const {
    return refused_of_tenants_.Read();
  }

 private:
  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::map<std::string, size_t> of_tenants_;
  SharedCell refused_;
  TenantTally refused_of_tenants_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_BODY_BYTES_H_
