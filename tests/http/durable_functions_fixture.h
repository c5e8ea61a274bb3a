// DurableFunctionsTest: the API's routes over ports without an engine, called
// without a listener.
#ifndef LEASEHOLD_TESTS_HTTP_DURABLE_FUNCTIONS_FIXTURE_H_
#define LEASEHOLD_TESTS_HTTP_DURABLE_FUNCTIONS_FIXTURE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "service/http/durable_functions_api.h"
#include "tests/doors/fake_entities.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/support/simulated_clock.h"

namespace leasehold {

class DurableFunctionsTest : public testing::Test {
 public:
  struct Answer {
    int status = 0;
    HttpFields headers = {};
    std::string body = {};
    std::string instance_id = {};  // For the audit log.
  };
  // An answer that may still be to come.
  struct Sent {
    std::shared_ptr<HttpCall> call;
    std::shared_ptr<std::optional<Answer>> answer =
        std::make_shared<std::optional<Answer>>();
  };

  DurableFunctionsTest() {
    std::vector<HttpRoute> routes = api.Routes();
    for (const HttpRoute& route : routes) {
      const std::vector<std::string> row = absl::StrSplit(route.row, '/');
      names_.push_back(std::make_unique<std::vector<std::string>>(row));
      methods_.push_back(
          {.service = (*names_.back())[0], .name = (*names_.back())[1]});
    }
    for (HttpRoute& route : routes) router_.Add(std::move(route), methods_);
  }

  // `path` is below the prefix; nothing in the target is percent-encoded.
  Sent Begin(const std::string& method, const std::string& path,
             const std::string& body = "", HttpFields headers = {}) {
    HttpRequest request;
    request.method = method;
    request.target = absl::StrCat("/runtime/webhooks/durabletask", path);
    request.headers = std::move(headers);
    request.body = body;
    request.peer = "ipv4:127.0.0.1:1";
    request.base_url = "http://127.0.0.1:4002";
    request.caller = Anonymous();
    request.trace = trace;
    const std::vector<std::string> parts =
        absl::StrSplit(request.target, absl::MaxSplits('?', 1));
    request.path = parts[0];
    request.segments = absl::StrSplit(request.path.substr(1), '/');
    if (parts.size() > 1 && !parts[1].empty()) {
      for (const absl::string_view pair : absl::StrSplit(parts[1], '&')) {
        const std::pair<std::string, std::string> field =
            absl::StrSplit(pair, absl::MaxSplits('=', 1));
        request.query.Add(field.first, field.second);
      }
    }
    std::string allowed;
    const HttpRouter::Entry* entry = router_.Find(request, allowed);
    if (entry == nullptr) {
      Sent none;
      *none.answer = Answer{.status = allowed.empty() ? 404 : 405,
                            .headers = {{"Allow", allowed}}};
      return none;
    }
    Sent sent;
    sent.call = std::make_shared<HttpCall>(
        std::move(request), [answer = sent.answer](HttpResponse response) {
          answer->emplace(Answer{response.status, response.headers,
                                 BodyOf(response), response.instance_id});
        });
    entry->route.handler(sent.call);
    return sent;
  }

  Answer Send(const std::string& method, const std::string& path,
              const std::string& body = "", HttpFields headers = {}) {
    const Sent sent = Begin(method, path, body, std::move(headers));
    EXPECT_TRUE(sent.answer->has_value()) << "no answer to " << path;
    return sent.answer->value_or(Answer{});
  }

  // An orchestration that is there.
  void Show(OrchestrationStatus status, Payload output = std::nullopt) {
    orchestrations.info.emplace();
    OrchestrationInfo& info = *orchestrations.info;
    info.id = "a";
    info.status = status;
    info.created = absl::FromUnixSeconds(1'000'000'000);
    info.summary.name = "Hello";
    info.summary.execution_id = "e1";
    info.summary.updated = {1'000'000'001, 999'999'999};
    info.has_payloads = true;
    info.input = "1";
    info.output = std::move(output);
  }

  CallTrace trace;  // Of requests.
  FakeOrchestrations orchestrations;
  FakeEntities entities;
  SimulatedClock clock;
  DurableFunctionsApi api{orchestrations, entities, clock};

 private:
  // What a body that is pulled comes to.
  static std::string BodyOf(HttpResponse& response) {
    if (response.source == nullptr) return response.body;
    std::string body;
    bool more = true;
    while (more) {
      response.source->Next([&](const absl::StatusOr<std::string>& part) {
        more = part.ok() && !part->empty();
        body +=
            part.ok() ? *part : absl::StrCat("CUT: ", part.status().message());
      });
    }
    return body;
  }

  std::vector<std::unique_ptr<std::vector<std::string>>> names_;
  std::vector<MethodInfo> methods_;
  HttpRouter router_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_HTTP_DURABLE_FUNCTIONS_FIXTURE_H_
