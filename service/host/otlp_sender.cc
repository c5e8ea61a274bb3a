#include "service/host/otlp_sender.h"

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace leasehold {
namespace {

namespace collector = opentelemetry::proto::collector::trace::v1;
namespace otlp = opentelemetry::proto;

// What no text of a span exceeds.
constexpr size_t kTextBytesMax = 4096;
// Values of headers that are shorter are no secrets.
constexpr size_t kSecretBytesMin = 4;

// A collector may refuse all spans of a message with text that is not UTF-8.
std::string Text(const std::string& text) {
  const std::string good = IsUtf8(text) ? text : MakeUtf8(text);
  return std::string(Utf8Front(good, kTextBytesMax));
}

void SetText(otlp::common::v1::KeyValue& pair, std::string_view key,
             const std::string& value) {
  pair.set_key(std::string(key));
  pair.mutable_value()->set_string_value(Text(value));
}

uint64_t Nanos(absl::Time time) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixNanos(time)));
}

void ToMessage(const Span& span, otlp::trace::v1::Span& message) {
  message.set_trace_id(BytesOf(span.context.trace));
  message.set_span_id(BytesOf(span.context.span));
  message.set_trace_state(span.context.state);
  if (span.parent != 0) message.set_parent_span_id(BytesOf(span.parent));
  message.set_name(Text(span.name));
  message.set_kind(static_cast<otlp::trace::v1::Span::SpanKind>(
      static_cast<int>(span.kind)));
  message.set_start_time_unix_nano(Nanos(span.begin));
  message.set_end_time_unix_nano(Nanos(std::max(span.begin, span.end)));
  message.set_flags(span.context.flags);
  for (const auto& [key, value] : span.attributes) {
    otlp::common::v1::KeyValue& pair = *message.add_attributes();
    if (const auto* text = std::get_if<std::string>(&value)) {
      SetText(pair, key, *text);
    } else {
      pair.set_key(std::string(key));
      pair.mutable_value()->set_int_value(std::get<int64_t>(value));
    }
  }
  if (span.failed) {
    message.mutable_status()->set_code(
        otlp::trace::v1::Status::STATUS_CODE_ERROR);
    message.mutable_status()->set_message(Text(span.message));
  }
}

collector::ExportTraceServiceRequest MakeRequest(
    const OtlpSettings& settings, const std::vector<Span>& spans) {
  collector::ExportTraceServiceRequest request;
  otlp::trace::v1::ResourceSpans& all = *request.add_resource_spans();
  for (const auto& [key, value] : settings.resource) {
    SetText(*all.mutable_resource()->add_attributes(), key, value);
  }
  otlp::trace::v1::ScopeSpans& scope = *all.add_scope_spans();
  scope.mutable_scope()->set_name("leasehold");
  scope.mutable_scope()->set_version(LEASEHOLD_VERSION);
  scope.mutable_spans()->Reserve(static_cast<int>(spans.size()));
  for (const Span& span : spans) ToMessage(span, *scope.add_spans());
  return request;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(
    const OtlpSettings& settings) {
  if (!settings.secure) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!settings.ca_file.empty()) {
    std::ifstream file(settings.ca_file, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file || text.str().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read ",
                       QuoteForMessage(settings.ca_file)));
    }
    options.pem_root_certs = text.str();
  }
  return grpc::SslCredentials(options);
}

}  // namespace

struct OtlpSender::Collector {
  std::unique_ptr<collector::TraceService::Stub> stub;
  grpc::CompletionQueue queue;
};

absl::StatusOr<std::unique_ptr<OtlpSender>> OtlpSender::Make(
    Clock& clock, OtlpSettings settings) {
  auto credentials = CredentialsOf(settings);
  if (!credentials.ok()) return credentials.status();
  auto made = std::make_unique<Collector>();
  made->stub = collector::TraceService::NewStub(
      grpc::CreateChannel(settings.target, *credentials));
  return std::unique_ptr<OtlpSender>(
      new OtlpSender(clock, std::move(settings), std::move(made)));
}

OtlpSender::OtlpSender(Clock& clock, OtlpSettings settings,
                       std::unique_ptr<Collector> collector)
    : clock_(clock),
      settings_(std::move(settings)),
      collector_(std::move(collector)) {}

OtlpSender::~OtlpSender() = default;

void OtlpSender::Hurry(absl::Duration timeout) {
  end_ns_ = (clock_.Now() + timeout).ns;
}

absl::Status OtlpSender::StatusOf(int code, const std::string& message) const {
  constexpr size_t kMessageBytesMax = 200;
  const bool repeats = std::any_of(
      settings_.headers.begin(), settings_.headers.end(), [&](const auto& one) {
        return one.second.size() >= kSecretBytesMin &&
               message.find(one.second) != std::string::npos;
      });
  return {static_cast<absl::StatusCode>(code),
          repeats ? "(a message that repeats a header)"
                  : std::string(Utf8Front(message, kMessageBytesMax))};
}

absl::Status OtlpSender::Send(const std::vector<Span>& spans,
                              absl::Duration timeout, uint64_t& refused) {
  const collector::ExportTraceServiceRequest request =
      MakeRequest(settings_, spans);
  collector::ExportTraceServiceResponse response;
  grpc::ClientContext context;
  for (const auto& [name, value] : settings_.headers) {
    context.AddMetadata(name, value);
  }
  const Instant deadline = clock_.Now() + timeout;
  context.set_deadline(
      gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN));
  grpc::Status status;
  // Not the callback API: its threads poll the connections of callers too.
  grpc::CompletionQueue& queue = collector_->queue;
  const auto call = collector_->stub->AsyncExport(&context, request, &queue);
  call->Finish(&response, &status, this);
  const gpr_timespec slice = gpr_time_from_millis(20, GPR_TIMESPAN);
  void* tag = nullptr;
  bool ok = false;
  bool cancelled = false;
  while (queue.AsyncNext(&tag, &ok, slice) == grpc::CompletionQueue::TIMEOUT) {
    if (cancelled || clock_.Now() < std::min(deadline, end())) continue;
    cancelled = true;
    context.TryCancel();
  }
  if (cancelled && !status.ok()) {
    return absl::DeadlineExceededError("the collector did not answer in time");
  }
  if (!status.ok())
    return StatusOf(status.error_code(), status.error_message());
  refused = static_cast<uint64_t>(
      std::max<int64_t>(0, response.partial_success().rejected_spans()));
  refused = std::min<uint64_t>(refused, spans.size());
  return absl::OkStatus();
}

}  // namespace leasehold
