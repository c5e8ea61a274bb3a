#include "service/http/http_span.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/rpc/begins_trace.h"

namespace leasehold {

std::shared_ptr<HttpSpan> HttpSpan::Begin(Tracer* tracer,
                                          const HttpRouter::Entry& entry,
                                          HttpRequest& request) {
  const std::optional<SpanContext> caller =
      ReadSpanContext(request.headers.All(kTraceParentHeader),
                      request.headers.All(kTraceStateHeader));
  if (tracer == nullptr ||
      (!caller.has_value() && !BeginsTrace(entry.method))) {
    request.trace = {nullptr, caller};
    return nullptr;
  }
  const HttpRoute& route = entry.route;
  Span span =
      tracer->Begin(caller, absl::StrCat(request.method, " ", route.pattern),
                    SpanKind::kServer);
  request.trace = {tracer, span.context};
  if (!span.context.sampled()) return nullptr;
  span.attributes.emplace_back("http.request.method", request.method);
  span.attributes.emplace_back("http.route", route.pattern);
  if (request.caller != nullptr) {
    span.attributes.emplace_back(kTenantAttribute, request.caller->tenant);
  }
  std::shared_ptr<HttpSpan> begun(new HttpSpan(*tracer, std::move(span)));
  if (const auto id = request.params.Find("id")) {
    begun->NameInstance(std::string(*id));
  }
  return begun;
}

void HttpSpan::NameInstance(std::string id) {
  if (id.empty() || std::exchange(names_instance_, true)) return;
  span_.attributes.emplace_back("leasehold.instance_id", std::move(id));
}

void HttpSpan::Answer(const HttpResponse& response) {
  constexpr int kServerErrors = 500;
  answered_ = true;
  span_.failed = response.status >= kServerErrors;
  span_.attributes.emplace_back("http.response.status_code",
                                int64_t{response.status});
  NameInstance(response.instance_id);
}

HttpSpan::~HttpSpan() {
  if (!answered_) {
    span_.attributes.emplace_back("error.type", std::string("client_gone"));
  }
  tracer_.End(std::move(span_));
}

}  // namespace leasehold
