#include "service/rpc/server_call.h"

#include <grpc/support/time.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/view.h"
#include "service/base/retry_after.h"
#include "service/rpc/begins_trace.h"
#include "service/tracing/tracer.h"

namespace leasehold {

namespace {

// The names that gRPC 1.51 gives to peers of in-process channels, and the
// beginning of those that came through a Unix socket: these names do not tell
// clients apart.
constexpr std::string_view kPeerInProcess = "unknown";
constexpr std::string_view kPeerUnix = "unix";

std::vector<std::string_view> ValuesOf(const grpc::ServerContext& context,
                                       const char* name) {
  std::vector<std::string_view> values;
  const auto [begin, end] = context.client_metadata().equal_range(name);
  for (auto it = begin; it != end; ++it) {
    values.emplace_back(it->second.data(), it->second.size());
  }
  return values;
}

std::optional<SpanContext> CallerContext(const grpc::ServerContext& context) {
  const std::vector<std::string_view> parents =
      ValuesOf(context, kTraceParentHeader);
  if (parents.empty()) return std::nullopt;
  return ReadSpanContext(parents, ValuesOf(context, kTraceStateHeader));
}

// Whether it is the server's fault, or at least nobody else's.
bool IsFailureOfServer(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

}  // namespace

ByteBudget::Holder ServerCall::MakeHolder() {
  std::string peer = context_.peer();
  if (peer == kPeerInProcess || peer.starts_with(kPeerUnix)) peer.clear();
  ByteBudget::Holder holder{.connection = std::move(peer),
                            .cut = [this] { context_.TryCancel(); }};
  const Gatekeeper* const gatekeeper = queue_.gatekeeper();
  // What the process asks of itself belongs to work that was accepted.
  if (gatekeeper != nullptr && caller_ != nullptr &&
      caller_->known_by != Caller::KnownBy::kProcess) {
    const ByteBudget& budget = queue_.budget();
    holder.tenant = caller_->tenant;
    holder.tenant_bytes_max =
        gatekeeper->KeptBytesMax(caller_->tenant, budget.large_bytes_max(),
                                 budget.limits().connection_bytes_max);
  }
  return holder;
}

void ServerCall::NoteInstance(std::string_view id) {
  // As long as an ID can be, and a few of them.
  constexpr size_t kIdBytesMax = 1024;
  constexpr size_t kBytesMax = 4 * kIdBytesMax;
  if (id.empty() || instance_id_.size() >= kBytesMax) return;
  absl::StrAppend(&instance_id_, instance_id_.empty() ? "" : ",",
                  View(id.substr(0, kIdBytesMax)));
}

CallTrace ServerCall::trace() const {
  if (span_ != nullptr) return {queue_.tracer(), span_->context};
  return {nullptr, CallerContext(context_)};
}

void ServerCall::BeginSpan() {
  const std::optional<SpanContext> caller = CallerContext(context_);
  if (!caller.has_value() && !BeginsTrace(method_)) return;
  span_ = std::make_unique<Span>(queue_.tracer()->Begin(
      caller, absl::StrCat(View(method_.service), "/", View(method_.name)),
      SpanKind::kServer));
}

void ServerCall::EndSpan(const absl::Status& status) {
  const std::unique_ptr<Span> span = std::move(span_);
  // Strangers leave nothing in traces.
  if (!span->context.sampled() || caller_ == nullptr) return;
  auto& attributes = span->attributes;
  attributes.emplace_back("rpc.system", "grpc");
  attributes.emplace_back("rpc.service", std::string(method_.service));
  attributes.emplace_back("rpc.method", std::string(method_.name));
  attributes.emplace_back("rpc.grpc.status_code",
                          static_cast<int64_t>(status.code()));
  attributes.emplace_back(kTenantAttribute, caller_->tenant);
  if (!instance_id_.empty()) {
    attributes.emplace_back("leasehold.instance_id", instance_id_);
  }
  span->failed = IsFailureOfServer(status.code());
  queue_.tracer()->End(std::move(*span));
}

void ServerCall::BeginTime() {
  if (queue_.clock() != nullptr) begun_ns_ = queue_.clock()->Now().ns;
}

void ServerCall::EndTime() {
  cells_.OnTimed(queue_.clock()->Now().ns - begun_ns_);
}

void ServerCall::Refuse(const absl::Status& status) {
  const absl::Duration delay = TellAfter(status);
  if (delay <= absl::ZeroDuration() || !queue_.HoldRefusal()) {
    Finish(status);
    return;
  }
  begun_ns_ = 0;  // How long it takes says nothing of the server.
  held_ = std::make_unique<Held>(*this);
  held_->status = status;
  CompletionTag* const until = held_->until.Begin();
  held_->alarm.Set(
      queue_.queue(),
      gpr_time_from_millis(absl::ToInt64Milliseconds(delay), GPR_TIMESPAN),
      until);
}

void ServerCall::OnHeld() {
  const std::unique_ptr<Held> held = std::move(held_);
  queue_.DropRefusal();
  Finish(held->status);
}

void ServerCall::OnNotableAnswer(const absl::Status& status) {
  if (span_ != nullptr) EndSpan(status);
  CallWitness* const witness = queue_.witness();
  if (witness != nullptr && !turned_away_ && (witnessed_ || !refusal_.ok())) {
    witness->OnEnd({.method = method_,
                    .call = context_,
                    .caller = caller_.get(),
                    .refused = !refusal_.ok(),
                    .instance_id = instance_id_,
                    .status = status});
  }
  // gRPC's clients that retry obey this, and none obeys RetryInfo.
  if (const auto delay = RetryAfter(status);
      delay.has_value() && absl::IsResourceExhausted(status)) {
    context_.AddTrailingMetadata(
        "grpc-retry-pushback-ms",
        absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
}

}  // namespace leasehold
