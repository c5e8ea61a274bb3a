#include "service/orchestration/start_trace.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/orchestration/trace_message.h"
#include "service/tracing/tracer.h"

namespace leasehold {

Done<StartReceipt> TraceStart(const CallTrace& trace, StartRequest& request,
                              Done<StartReceipt> done) {
  if (!trace.context.has_value() || ContextIn(request.trace).has_value()) {
    return done;
  }
  if (trace.tracer == nullptr || !trace.context->sampled()) {
    request.trace = TraceMessage(*trace.context);
    return done;
  }
  std::string name = absl::StrCat("create_orchestration:", request.name);
  if (!request.version.value_or("").empty()) {
    absl::StrAppend(&name, "@(", *request.version, ")");
  }
  Span span =
      trace.tracer->Begin(trace.context, std::move(name), SpanKind::kProducer);
  request.trace = TraceMessage(span.context);
  span.attributes = {
      {"durabletask.type", std::string("orchestration")},
      {"durabletask.task.name", request.name},
      {"durabletask.task.instance_id", request.key.id},
      {kTenantAttribute, request.key.tenant},
  };
  if (!request.version.value_or("").empty()) {
    span.attributes.emplace_back("durabletask.task.version", *request.version);
  }
  return [tracer = trace.tracer, span = std::move(span),
          done = std::move(done)](absl::StatusOr<StartReceipt> receipt) {
    Span ended = span;
    ended.failed = !receipt.ok();
    if (receipt.ok()) {
      ended.attributes.emplace_back("durabletask.task.execution_id",
                                    receipt->execution_id);
    }
    tracer->End(std::move(ended));
    done(std::move(receipt));
  };
}

}  // namespace leasehold
