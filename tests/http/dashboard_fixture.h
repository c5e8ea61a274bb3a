// What tests of the dashboard's API have in common: the API over fakes, calls
// of it, and streams of its events.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_TESTS_HTTP_DASHBOARD_FIXTURE_H_
#define LEASEHOLD_TESTS_HTTP_DASHBOARD_FIXTURE_H_

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "service/http/dashboard_api.h"
#include "service/http/http_call.h"
#include "tests/doors/fake_entities.h"
#include "tests/doors/fake_orchestrations.h"
#include "tests/instance/instance_fakes.h"
#include "tests/support/test_key.h"

namespace leasehold {

class FakeWorkers final : public ConnectedWorkers {
 public:
  absl::StatusOr<WorkersPage> ListWorkers(
      const WorkersQuery& query) const override {
    asked_tenant = query.tenant;
    return page;
  }
  WorkersPage page;
  mutable std::string asked_tenant;
};

class FakeExplanations final : public Explanations {
 public:
  void Explain(const InstanceKey& key, Done<Explanation> done) override {
    done(key.id == "a" ? explanation
                       : absl::StatusOr<Explanation>(
                             absl::NotFoundError("there is none")));
  }
  absl::StatusOr<Explanation> explanation = Explanation();
};

class DashboardTest : public InstanceRegistryTest {
 protected:
  DashboardTest() {
    observers_ = {&hub_, &strips_};
    api_ = std::make_unique<DashboardApi>(DashboardApi::Parts{
        .clock = clock_,
        .registry = registry(),
        .contexts = hub_,
        .orchestrations = orchestrations_,
        .strips = strips_,
        .executor = executor_,
        .work = {.workers = workers_,
                 .explanations = explanations_,
                 .entities = entities_,
                 .address_of =
                     [](const std::string& peer) {
                       return absl::StrCat("from ", peer);
                     }},
        .figures =
            [this](const StatsScope& scope) {
              asked_ = scope;
              ++looks_;
              return figures_;
            },
        .run_for =
            [this](const auto& caller, HttpRequest request,
                   HttpCall::Answer answer) {
              RunFor(caller, std::move(request), std::move(answer));
            },
        .version = "1.2.3"});
    for (HttpRoute& route : api_->Routes()) {
      const size_t slash = route.row.find('/');
      services_.push_back(route.row.substr(0, slash));
      names_.push_back(route.row.substr(slash + 1));
    }
    std::vector<MethodInfo> methods;
    for (size_t i = 0; i < names_.size(); ++i) {
      methods.push_back({.service = services_[i], .name = names_[i]});
    }
    for (HttpRoute& route : api_->Routes()) {
      router_.Add(std::move(route), methods);
    }
  }

  // A part of a batch.
  void RunFor(std::shared_ptr<const Caller> caller, HttpRequest request,
              HttpCall::Answer answer) {
    request.caller = std::move(caller);
    parts_.push_back(absl::StrCat(request.segments.back(), " ", request.body));
    if (!refusals_.empty()) {
      HttpResponse refusal = std::move(refusals_.front());
      refusals_.pop_front();
      return answer(std::move(refusal));
    }
    std::string allowed;
    const HttpRouter::Entry* const route = router_.Find(request, allowed);
    ASSERT_NE(route, nullptr) << allowed;
    route->route.handler(
        std::make_shared<HttpCall>(std::move(request), std::move(answer)));
  }

  // Makes a call; empty: it is not answered yet.
  std::optional<HttpResponse> Call(std::string method,
                                   std::vector<std::string> path,
                                   HttpFields query = {},
                                   std::string body = "") {
    HttpRequest request;
    request.method = std::move(method);
    request.segments = {"api", "v1"};
    request.segments.insert(request.segments.end(), path.begin(), path.end());
    request.query = std::move(query);
    request.body = std::move(body);
    request.may_still = may_still_;
    request.caller =
        std::make_shared<Caller>(Caller{.name = name_,
                                        .tenant = std::string(kTestTenant),
                                        .roles = roles_,
                                        .known_by = known_by_,
                                        .sees_server = sees_server_});
    std::string allowed;
    const HttpRouter::Entry* const route = router_.Find(request, allowed);
    if (route == nullptr) {
      ADD_FAILURE() << "no route; allowed: " << allowed;
      return std::nullopt;
    }
    const auto answer = std::make_shared<std::optional<HttpResponse>>();
    route->route.handler(std::make_shared<HttpCall>(
        std::move(request),
        [answer](HttpResponse response) { *answer = std::move(response); }));
    executor_.RunAll();
    return std::move(*answer);
  }
  // The same, for calls whose answer is JSON: `STATUS JSON`.
  std::string Ask(std::string method, std::vector<std::string> path,
                  HttpFields query = {}, std::string body = "") {
    const std::optional<HttpResponse> response = Call(
        std::move(method), std::move(path), std::move(query), std::move(body));
    if (!response.has_value()) return "no answer";
    return absl::StrCat(response->status, " ", response->body);
  }
  nlohmann::json Get(std::vector<std::string> path, HttpFields query = {}) {
    const std::optional<HttpResponse> response =
        Call("GET", std::move(path), std::move(query));
    if (!response.has_value() || response->status != 200) return {};
    return ParseJson(response->body);
  }

  FakeOrchestrations orchestrations_;
  FakeEntities entities_;
  FakeWorkers workers_;
  FakeExplanations explanations_;
  std::vector<std::string> parts_;     // What batches did, each once it did.
  std::deque<HttpResponse> refusals_;  // What their next parts are answered.
  std::string name_;                   // Of the caller.
  DashboardFigures figures_;
  StatsScope asked_;  // What figures were collected of last,
  int looks_ = 0;     // and how often.
  bool sees_server_ = false;
  std::function<bool()> may_still_;  // Of requests; empty: nobody asks.
  WatchHub hub_;
  Strips strips_{clock_};
  Roles roles_ = Roles::All();
  Caller::KnownBy known_by_ = Caller::KnownBy::kNothing;
  std::unique_ptr<DashboardApi> api_;
  HttpRouter router_;
  std::vector<std::string> services_;
  std::vector<std::string> names_;
};

// A client that reads a stream.
class Reader {
 public:
  explicit Reader(std::unique_ptr<HttpBody> body) : body_(std::move(body)) {}

  // What was sent since the last time.
  std::string Take() {
    std::string taken = std::move(part_);
    part_.clear();
    if (!asked_ && !ended_) {
      asked_ = true;
      body_->Next([this](absl::StatusOr<std::string> part) {
        asked_ = false;
        ended_ = !part.ok() || part->empty();
        if (part.ok()) part_ = *std::move(part);
      });
      taken += std::exchange(part_, {});
    }
    return taken;
  }
  bool ended() const { return ended_; }

 private:
  std::unique_ptr<HttpBody> body_;
  std::string part_;
  bool asked_ = false;
  bool ended_ = false;
};

class LiveTest : public DashboardTest {
 protected:
  std::unique_ptr<Reader> Follow(std::vector<std::string> topics) {
    HttpFields query;
    for (std::string& topic : topics) query.Add("topics", std::move(topic));
    std::optional<HttpResponse> response =
        Call("GET", {"events"}, std::move(query));
    if (response->status != 200) return nullptr;
    return std::make_unique<Reader>(std::move(response->source));
  }
  // Passes time, and looks.
  void LookAfter(absl::Duration time) {
    clock_.Advance(time);
    api_->live().LookNow();
  }
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_HTTP_DASHBOARD_FIXTURE_H_
