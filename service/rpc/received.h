// Received: a caller's bytes become a message.
//
// gRPC could parse requests by itself, but of one that it cannot read it says
// only "Unable to parse request", and the handler never hears of it. So our
// services take bytes, and a refusal names the field and the rule:
//
//   input: is not valid UTF-8 at byte 13
//   failureDetails.innerFailure. ... : is nested more than 100 levels deep
//
// Thread-safety: pure functions and values.
#ifndef LEASEHOLD_SERVICE_RPC_RECEIVED_H_
#define LEASEHOLD_SERVICE_RPC_RECEIVED_H_

#include <google/protobuf/message.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"

namespace leasehold {

// The limit of one request. Services have lower limits of their own. Workers'
// answers, which hold the decisions of a whole turn, have another limit.
inline constexpr size_t kRequestBytesMax = 64 << 20;

// Parses `bytes` into `message`. The bytes stay as they are.
//   ResourceExhausted: there are more than `bytes_max`.
//   InvalidArgument: they are not such a message; the text says why not.
absl::Status ParseReceived(grpc::ByteBuffer& bytes,
                           google::protobuf::Message& message,
                           size_t bytes_max = kRequestBytesMax);

// InvalidArgument, with the first reason why `bytes` are not a message of that
// type.
absl::Status WhyUnreadable(std::string_view bytes,
                           const google::protobuf::Descriptor& type);

// `bytes`, a message of type `type`, with its failures repaired: in every
// message of type `failure` inside it, bytes of texts that are not UTF-8 become
// U+FFFD, and failures nested deeper than `depth_max` are cut off. Bytes that
// are not a message stay as they are.
std::string RepairFailures(std::string_view bytes,
                           const google::protobuf::Descriptor& type,
                           const google::protobuf::Descriptor& failure,
                           int depth_max);

// The bytes in one piece.
std::string Flatten(const grpc::ByteBuffer& bytes);

// The bytes of a message that is to be sent. (Bytes stay as they are.)
inline const grpc::ByteBuffer& ToBytes(const grpc::ByteBuffer& bytes) {
  return bytes;
}
inline grpc::ByteBuffer ToBytes(const google::protobuf::Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  // Fails only for messages beyond every limit, which gRPC then refuses.
  (void)grpc::GenericSerialize<grpc::ProtoBufferWriter,
                               google::protobuf::Message>(message, &bytes,
                                                          &own);
  return bytes;
}

// A request, from bytes to a message. If `Request` is grpc::ByteBuffer, nothing
// is parsed: the handler gets the bytes.
template <typename Request>
class ReceivedRequest {
 public:
  static constexpr bool kIsBytes = std::is_same_v<Request, grpc::ByteBuffer>;

  grpc::ByteBuffer* bytes() { return &bytes_; }
  Request& request() {
    if constexpr (kIsBytes) {
      return bytes_;
    } else {
      return message_;
    }
  }
  // As ParseReceived. Drops the bytes.
  absl::Status Parse() {
    if constexpr (kIsBytes) {
      return absl::OkStatus();
    } else {
      absl::Status status = ParseReceived(bytes_, message_);
      bytes_.Clear();
      return status;
    }
  }

  // Drops bytes and message.
  void Forget() {
    bytes_.Clear();
    message_ = {};
  }

 private:
  struct Nothing {};

  grpc::ByteBuffer bytes_;
  std::conditional_t<kIsBytes, Nothing, Request> message_;
};

namespace received_internal {

template <typename Base, template <typename> typename... Methods>
struct Raw {
  using Service = Base;
};
template <typename Base, template <typename> typename Method,
          template <typename> typename... Methods>
struct Raw<Base, Method, Methods...> {
  using Service = Method<typename Raw<Base, Methods...>::Service>;
};

}  // namespace received_internal

// A generated service whose requests and responses are bytes: its AsyncService,
// and `WithRawMethod_X` of each of its methods.
template <typename AsyncService, template <typename> typename... Methods>
using RawService =
    typename received_internal::Raw<AsyncService, Methods...>::Service;

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_RECEIVED_H_
