// HttpSpan: the span of a request, until it is answered.
//
// A client that goes away before that ends it too.
//
// Thread-safety: one thread at a time.   Lifetime: what it is given outlives
// it.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_SPAN_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_SPAN_H_

#include <memory>
#include <string>
#include <utility>

#include "service/http/http_message.h"
#include "service/http/http_route.h"
#include "service/tracing/span.h"
#include "service/tracing/tracer.h"

namespace leasehold {

class HttpSpan {
 public:
  // Sets what `request` gives on. nullptr: no span is made.
  static std::shared_ptr<HttpSpan> Begin(Tracer* tracer,
                                         const HttpRouter::Entry& entry,
                                         HttpRequest& request);
  ~HttpSpan();
  HttpSpan(const HttpSpan&) = delete;
  HttpSpan& operator=(const HttpSpan&) = delete;

  void Answer(const HttpResponse& response);

 private:
  HttpSpan(Tracer& tracer, Span span)
      : tracer_(tracer), span_(std::move(span)) {}
  // The first name counts.
  void NameInstance(std::string id);

  Tracer& tracer_;
  Span span_;
  bool answered_ = false;
  bool names_instance_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_SPAN_H_
