#include "service/rpc/status_mapping.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

using Codes = std::pair<absl::StatusCode, grpc::StatusCode>;

class StatusMapping : public testing::TestWithParam<Codes> {};

TEST_P(StatusMapping, CodeAndMessageArriveAsTheyAre) {
  const auto& [code, expected] = GetParam();
  const grpc::Status mapped =
      ToGrpcStatus(absl::Status(code, "instance \"a\": ä\nsecond line"));
  EXPECT_EQ(mapped.error_code(), expected);
  EXPECT_EQ(mapped.error_message(), "instance \"a\": ä\nsecond line");
  EXPECT_EQ(mapped.error_details(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Errors, StatusMapping,
    testing::Values(
        Codes{absl::StatusCode::kCancelled, grpc::StatusCode::CANCELLED},
        Codes{absl::StatusCode::kUnknown, grpc::StatusCode::UNKNOWN},
        Codes{absl::StatusCode::kInvalidArgument,
              grpc::StatusCode::INVALID_ARGUMENT},
        Codes{absl::StatusCode::kDeadlineExceeded,
              grpc::StatusCode::DEADLINE_EXCEEDED},
        Codes{absl::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND},
        Codes{absl::StatusCode::kAlreadyExists,
              grpc::StatusCode::ALREADY_EXISTS},
        Codes{absl::StatusCode::kPermissionDenied,
              grpc::StatusCode::PERMISSION_DENIED},
        Codes{absl::StatusCode::kResourceExhausted,
              grpc::StatusCode::RESOURCE_EXHAUSTED},
        Codes{absl::StatusCode::kFailedPrecondition,
              grpc::StatusCode::FAILED_PRECONDITION},
        Codes{absl::StatusCode::kAborted, grpc::StatusCode::ABORTED},
        Codes{absl::StatusCode::kOutOfRange, grpc::StatusCode::OUT_OF_RANGE},
        Codes{absl::StatusCode::kUnimplemented,
              grpc::StatusCode::UNIMPLEMENTED},
        Codes{absl::StatusCode::kInternal, grpc::StatusCode::INTERNAL},
        Codes{absl::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE},
        Codes{absl::StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS},
        Codes{absl::StatusCode::kUnauthenticated,
              grpc::StatusCode::UNAUTHENTICATED}),
    [](const testing::TestParamInfo<Codes>& info) {
      const std::string name = absl::StatusCodeToString(info.param.first);
      std::string word;
      for (const char c : name) {
        if (c != '_') word += c;
      }
      return word;
    });

TEST(ToGrpcStatus, OkHasNoMessage) {
  const grpc::Status mapped = ToGrpcStatus(absl::OkStatus());
  EXPECT_TRUE(mapped.ok());
  EXPECT_EQ(mapped.error_message(), "");
}

TEST(ToGrpcStatus, ErrorWithoutMessageStaysAnError) {
  const grpc::Status mapped = ToGrpcStatus(absl::NotFoundError(""));
  EXPECT_EQ(mapped.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(mapped.error_message(), "");
}

}  // namespace
}  // namespace leasehold
