// ReflectionServer: grpc.reflection.v1 and v1alpha from our own queues, by one
// template.
//
// gRPC's plugin has only v1alpha, and needs a thread for each open stream. Here
// a stream needs a coroutine, and a stream on which nothing happens is ended
// after a while: a client that asks again opens another one.
//
// Not part of an installed library: its .proto has a global name, and a second
// copy of it ends the process at start.
//
// Thread-safety: safe.   Lifetime: outlives the runtime.
#ifndef LEASEHOLD_SERVICE_DOORS_REFLECTION_SERVER_H_
#define LEASEHOLD_SERVICE_DOORS_REFLECTION_SERVER_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "service/rpc/received.h"
#include "service/rpc/rpc_queue.h"
#include "service/rpc/served.h"

namespace leasehold {

struct ReflectionV1 {
  using Reflection = grpc::reflection::v1::ServerReflection;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
};
struct ReflectionV1Alpha {
  using Reflection = grpc::reflection::v1alpha::ServerReflection;
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
};

// `Version`: one of the two above.
template <typename Version>
class ReflectionServer final : public HostedService {
 public:
  explicit ReflectionServer(absl::Duration idle_timeout = absl::Seconds(10))
      : idle_timeout_(idle_timeout) {}

  grpc::Service& service() override { return service_; }
  std::string_view name() const override {
    return Version::Reflection::service_full_name();
  }
  std::vector<Method> Methods() override {
    return {{"ServerReflectionInfo", MethodKind::kBidiStream, Role::kAnyRole,
             CallClass::kRead,
             [this](MethodQueue& calls) { ServeInfo(calls); }}};
  }
  void OnServing(const std::vector<HostedService*>& services) override {
    for (const HostedService* service : services) {
      services_.emplace_back(service->name());
    }
    std::sort(services_.begin(), services_.end());
  }

 private:
  using Reflection = typename Version::Reflection;
  // As RawService.
  using Service =
      typename Reflection::template WithRawMethod_ServerReflectionInfo<
          typename Reflection::AsyncService>;

  CallTask ServeInfo(MethodQueue& calls);

  const absl::Duration idle_timeout_;
  Service service_;
  std::vector<std::string> services_;  // Constant once it serves.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_REFLECTION_SERVER_H_
