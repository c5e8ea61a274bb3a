// CheckHealth: what grpc.health.v1.Health says of a server.
//
// No package carries the messages, so they are written and read as bytes: the
// request is empty, and field 1 of the response is the status.
//
// Thread-safety: safe.   Lifetime: nothing is kept.
#ifndef LEASEHOLD_TESTS_SERVER_HEALTH_H_
#define LEASEHOLD_TESTS_SERVER_HEALTH_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/events.h"

namespace leasehold {

inline constexpr char kServing[] = "SERVING";
inline constexpr char kNotServing[] = "NOT_SERVING";

// The server's own status, or the error's message if the call fails.
inline std::string CheckHealth(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  const grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  Mailbox<grpc::Status> ended;
  stub.UnaryCall(
      &context, "/grpc.health.v1.Health/Check", {}, &request, &response,
      [&ended](grpc::Status status) { ended.Put(std::move(status)); });
  const grpc::Status status = ended.Take("the health check");
  if (!status.ok()) return status.error_message();
  std::vector<grpc::Slice> slices;
  if (!response.Dump(&slices).ok()) return "no response";
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  if (bytes == "\x08\x01") return kServing;
  if (bytes == "\x08\x02") return kNotServing;
  return "another status";
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SERVER_HEALTH_H_
