#include "service/host/otlp_sender.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lease/clock.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace leasehold {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

namespace collector = opentelemetry::proto::collector::trace::v1;
namespace otlp = opentelemetry::proto;

// A collector in this process, which answers as a test says.
class FakeCollector final : public collector::TraceService::Service {
 public:
  grpc::Status Export(
      grpc::ServerContext* context,
      const collector::ExportTraceServiceRequest* request,
      collector::ExportTraceServiceResponse* response) override {
    last = *request;
    const auto key = context->client_metadata().find("api-key");
    if (key != context->client_metadata().end()) {
      api_key.assign(key->second.data(), key->second.size());
    }
    return answer(*context, *response);
  }

  collector::ExportTraceServiceRequest last;
  std::string api_key;
  std::function<grpc::Status(grpc::ServerContext&,
                             collector::ExportTraceServiceResponse&)>
      answer = [](auto&, auto&) { return grpc::Status::OK; };
};

class OtlpSenderTest : public testing::Test {
 protected:
  OtlpSenderTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&collector_);
    server_ = builder.BuildAndStart();
    settings_.target = absl::StrCat("127.0.0.1:", port);
    settings_.resource = {{"service.name", "test"}};
    settings_.headers = {{"api-key", "s3cret"}};
  }
  ~OtlpSenderTest() override { server_->Shutdown(); }

  absl::Status Send(const std::vector<Span>& spans,
                    absl::Duration timeout = absl::Seconds(30)) {
    if (sender_ == nullptr) sender_ = *OtlpSender::Make(clock_, settings_);
    return sender_->Send(spans, timeout, refused_);
  }
  otlp::trace::v1::Span Received() {
    const auto& groups = collector_.last.resource_spans();
    return groups[0].scope_spans()[0].spans()[0];
  }

  RealClock clock_;
  FakeCollector collector_;
  std::unique_ptr<grpc::Server> server_;
  OtlpSettings settings_;
  std::unique_ptr<OtlpSender> sender_;
  uint64_t refused_ = 0;
};

TEST_F(OtlpSenderTest, SendsAllThatASpanHas) {
  Span span;
  span.context = {.trace = {1, 2}, .span = 3, .flags = 1, .state = "a=1"};
  span.parent = 4;
  span.name = "name";
  span.kind = SpanKind::kClient;
  span.begin = absl::FromUnixSeconds(10);
  span.end = absl::FromUnixSeconds(11);
  span.attributes = {{"text", std::string("value")}, {"number", int64_t{-5}}};
  span.failed = true;
  span.message = "why";
  ASSERT_TRUE(Send({span}).ok());
  const otlp::trace::v1::Span got = Received();
  EXPECT_EQ(got.trace_id(), BytesOf(TraceId{1, 2}));
  EXPECT_EQ(got.span_id(), BytesOf(SpanId{3}));
  EXPECT_EQ(got.parent_span_id(), BytesOf(SpanId{4}));
  EXPECT_EQ(got.trace_state(), "a=1");
  EXPECT_EQ(got.name(), "name");
  EXPECT_EQ(got.kind(), otlp::trace::v1::Span::SPAN_KIND_CLIENT);
  EXPECT_EQ(got.start_time_unix_nano(), 10'000'000'000);
  EXPECT_EQ(got.end_time_unix_nano(), 11'000'000'000);
  ASSERT_THAT(got.attributes(), SizeIs(2));
  EXPECT_EQ(got.attributes()[0].value().string_value(), "value");
  EXPECT_EQ(got.attributes()[1].value().int_value(), -5);
  EXPECT_EQ(got.status().code(), otlp::trace::v1::Status::STATUS_CODE_ERROR);
  EXPECT_EQ(got.status().message(), "why");
  EXPECT_EQ(got.flags(), 1);
  const auto& resource = collector_.last.resource_spans()[0].resource();
  EXPECT_EQ(resource.attributes()[0].value().string_value(), "test");
  EXPECT_EQ(collector_.api_key, "s3cret");
}

TEST_F(OtlpSenderTest, ARootHasNoParentAndTextIsUtf8AndNotEndless) {
  Span span;
  span.name = "a\xff" + std::string(10'000, 'x');
  ASSERT_TRUE(Send({span}).ok());
  const otlp::trace::v1::Span got = Received();
  EXPECT_EQ(got.parent_span_id(), "");
  EXPECT_THAT(got.name(), HasSubstr("a\xef\xbf\xbdx"));
  EXPECT_LE(got.name().size(), 4096);
  EXPECT_FALSE(got.has_status());
}

TEST_F(OtlpSenderTest, CountsWhatTheCollectorHasNotTaken) {
  collector_.answer = [](auto&, auto& response) {
    response.mutable_partial_success()->set_rejected_spans(7);
    return grpc::Status::OK;
  };
  EXPECT_TRUE(Send({Span(), Span()}).ok());
  EXPECT_EQ(refused_, 2);  // No more than there were.
}

TEST_F(OtlpSenderTest, PassesOnWhatTheCollectorSaysButNoSecret) {
  collector_.answer = [](auto&, auto&) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "bad key");
  };
  const absl::Status plain = Send({Span()});
  EXPECT_TRUE(absl::IsUnauthenticated(plain));
  EXPECT_EQ(plain.message(), "bad key");
  collector_.answer = [](auto&, auto&) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "bad key s3cret");
  };
  EXPECT_THAT(Send({Span()}).ToString(), Not(HasSubstr("s3cret")));
}

TEST_F(OtlpSenderTest, ADeadCollectorIsUnavailable) {
  server_->Shutdown();
  EXPECT_TRUE(absl::IsUnavailable(Send({Span()})));
}

TEST_F(OtlpSenderTest, ACollectorThatHangsIsGivenUp) {
  collector_.answer = [](grpc::ServerContext& context, auto&) {
    while (!context.IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Send({Span()}, absl::Milliseconds(50))));
  // Nor does the end of the server wait for it.
  sender_->Hurry(absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Send({Span()}, absl::Minutes(10))));
}

}  // namespace
}  // namespace leasehold
