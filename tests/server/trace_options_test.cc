#include "service/host/trace_options.h"

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr char kEndpoint[] = "OTEL_EXPORTER_OTLP_ENDPOINT";

using Variables = std::map<std::string, std::string>;

absl::StatusOr<std::optional<OtlpSettings>> Read(const Variables& variables,
                                                 std::string endpoint = "") {
  return ReadOtlpSettings({.endpoint = std::move(endpoint)},
                          [&variables](const char* name) -> const char* {
                            const auto it = variables.find(name);
                            return it == variables.end() ? nullptr
                                                         : it->second.c_str();
                          });
}

// What is read with an endpoint and one more variable.
std::string Refusal(const std::string& name, const std::string& value) {
  const auto settings = Read({{kEndpoint, "http://c"}, {name, value}});
  EXPECT_TRUE(absl::IsInvalidArgument(settings.status())) << value;
  return std::string(settings.status().message());
}

TEST(OtlpSettings, AreOffUnlessSomebodySaysWhere) {
  EXPECT_EQ(Read({})->has_value(), false);
  EXPECT_EQ(Read({{kEndpoint, ""}})->has_value(), false);
  EXPECT_EQ(Read({{kEndpoint, "http://c"}}, "off")->has_value(), false);
  EXPECT_EQ(Read({{"OTEL_SDK_DISABLED", "TRUE"}}, "http://c")->has_value(),
            false);
  EXPECT_EQ(Read({{kEndpoint, "http://c"}, {"OTEL_TRACES_EXPORTER", "none"}})
                ->has_value(),
            false);
  EXPECT_EQ(Read({{kEndpoint, "http://c"}, {"OTEL_SDK_DISABLED", "false"}})
                ->has_value(),
            true);
}

TEST(OtlpSettings, TheSettingComesBeforeTheVariables) {
  const Variables both = {
      {kEndpoint, "http://general"},
      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1"}};
  EXPECT_EQ((*Read(both))->target, "traces:1");
  EXPECT_EQ((*Read(both, "https://flag"))->target, "flag:4317");
  EXPECT_EQ((*Read({{kEndpoint, "http://general"}}))->target, "general:4317");
}

TEST(OtlpSettings, TheSchemeSaysWhetherToEncrypt) {
  EXPECT_FALSE((*Read({}, "http://127.0.0.1:4317/"))->secure);
  EXPECT_TRUE((*Read({}, "https://[::1]:4317"))->secure);
  EXPECT_EQ((*Read({}, "https://[::1]"))->target, "[::1]:4317");
}

TEST(OtlpSettings, WhatIsNoEndpointIsRefused) {
  for (const char* text :
       {"localhost:4317", "ftp://c", "http://", "http://:4317", "http://c:0",
        "http://c:65536", "http://c:x", "http://c/v1/traces", "http://u@c",
        "http://c?x", "grpc://c", "http://a b"}) {
    const auto settings = Read({{kEndpoint, text}});
    EXPECT_TRUE(absl::IsInvalidArgument(settings.status())) << text;
    EXPECT_THAT(std::string(settings.status().message()),
                AllOf(HasSubstr(kEndpoint), HasSubstr("must be a URL")))
        << text;
  }
}

TEST(OtlpSettings, OnlyGrpcIsSpoken) {
  EXPECT_TRUE(
      Read({{kEndpoint, "http://c"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}})
          .ok());
  EXPECT_THAT(Refusal("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
              AllOf(HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL is"),
                    HasSubstr("http/protobuf"), HasSubstr("grpc only")));
  EXPECT_THAT(Refusal("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
              HasSubstr("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"));
}

TEST(OtlpSettings, HeadersAreDecodedAndNeverShown) {
  const auto settings =
      Read({{kEndpoint, "http://c"},
            {"OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=s%3Dcret, b = 2 ,"}});
  EXPECT_THAT((*settings)->headers,
              ElementsAre(Pair("api-key", "s=cret"), Pair("b", "2")));
  for (const char* text :
       {"s3cret", "=s3cret", "a=s3cret%zz", "a=s3cret%0a",
        "grpc-timeout=s3cret", "a b=s3cret", "a-bin=s3cret"}) {
    EXPECT_THAT(Refusal("OTEL_EXPORTER_OTLP_HEADERS", text),
                AllOf(HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"),
                      Not(HasSubstr("s3cret"))))
        << text;
  }
}

TEST(OtlpSettings, TheResourceSaysWhoSends) {
  EXPECT_THAT((*Read({}, "http://c"))->resource,
              ElementsAre(Pair("service.name", "leasehold-server")));
  Variables variables = {{"OTEL_RESOURCE_ATTRIBUTES",
                          "deployment.environment=prod,service.name=lh%20one"}};
  EXPECT_THAT((*Read(variables, "http://c"))->resource,
              UnorderedElementsAre(Pair("deployment.environment", "prod"),
                                   Pair("service.name", "lh one")));
  variables["OTEL_SERVICE_NAME"] = "mine";
  EXPECT_THAT((*Read(variables, "http://c"))->resource,
              UnorderedElementsAre(Pair("deployment.environment", "prod"),
                                   Pair("service.name", "mine")));
  EXPECT_THAT(Refusal("OTEL_RESOURCE_ATTRIBUTES", "x"),
              HasSubstr("NAME=VALUE"));
  EXPECT_THAT(Refusal("OTEL_RESOURCE_ATTRIBUTES", "a=%ff"), HasSubstr("UTF-8"));
}

TEST(OtlpSettings, TheSamplerIsKnown) {
  const auto settings =
      Read({{"OTEL_TRACES_SAMPLER", "always_off"}}, "http://c");
  EXPECT_FALSE((*settings)->sampler.Samples(nullptr, {1, 1}));
  EXPECT_THAT(Refusal("OTEL_TRACES_SAMPLER", "xray"),
              HasSubstr("OTEL_TRACES_SAMPLER"));
}

TEST(OtlpSettings, TheTimeoutIsInMilliseconds) {
  EXPECT_EQ((*Read({}, "http://c"))->timeout, absl::Seconds(10));
  EXPECT_EQ((*Read({{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"},
                    {"OTEL_EXPORTER_OTLP_TIMEOUT", "9"}},
                   "http://c"))
                ->timeout,
            absl::Milliseconds(250));
  for (const char* text : {"0", "-1", "1s", "600001"}) {
    EXPECT_THAT(Refusal("OTEL_EXPORTER_OTLP_TIMEOUT", text),
                HasSubstr("from 1 to 600000"));
  }
}

TEST(OtlpSettings, TheQueueHasItsBounds) {
  const SpanQueue::Limits usual = (*Read({}, "http://c"))->queue;
  EXPECT_EQ(usual.spans_max, 2048);
  EXPECT_EQ(usual.batch_max, 512);
  EXPECT_EQ(usual.patience, absl::Seconds(5));
  Variables variables = {{"OTEL_BSP_SCHEDULE_DELAY", "20"},
                         {"OTEL_BSP_MAX_QUEUE_SIZE", "100"}};
  const SpanQueue::Limits small = (*Read(variables, "http://c"))->queue;
  EXPECT_EQ(small.spans_max, 100);
  EXPECT_EQ(small.batch_max, 100);
  EXPECT_EQ(small.patience, absl::Milliseconds(20));
  variables["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"] = "101";
  EXPECT_THAT(std::string(Read(variables, "http://c").status().message()),
              HasSubstr("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"));
}

}  // namespace
}  // namespace leasehold
