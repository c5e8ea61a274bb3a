// DoorCase: a method of a door, a request in text form, and what the door then
// asks of the engine.
#ifndef LEASEHOLD_TESTS_DOORS_DOOR_CASE_H_
#define LEASEHOLD_TESTS_DOORS_DOOR_CASE_H_

#include <google/protobuf/text_format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace leasehold {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

template <typename Stub>
struct DoorCase {
  std::string request;
  std::string asked;
  // Calls the method; `header` is the instance that the header names, if any.
  std::function<grpc::Status(Stub&, const std::string& request,
                             const std::string& header)>
      call;
};

template <typename Stub, typename Request, typename Response>
DoorCase<Stub> CaseOf(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                   const Request&, Response*),
                      std::string request, std::string asked) {
  return {
      std::move(request), std::move(asked),
      [method](Stub& stub, const std::string& text, const std::string& header) {
        grpc::ClientContext context;
        if (!header.empty()) context.AddMetadata("instance-id", header);
        Response response;
        return (stub.*method)(&context, Parse<Request>(text), &response);
      }};
}

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_DOORS_DOOR_CASE_H_
