#include "service/http/durable_functions_history_answer.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace leasehold {
namespace {

template <typename Each>
void ForEachEvent(const HistoryPage& page, Each each) {
  for (const std::string& chunk : page.chunks) {
    ForEachFrame(chunk, [&each](std::string_view bytes) {
      if (const auto event = DecodeEvent(bytes)) each(*event);
    });
  }
}

// The second reading.
class HistoryBody final : public HttpBody {
 public:
  HistoryBody(Orchestrations& orchestrations, InstanceKey key,
              HistoryQuery query, HistoryEventsWriter writer, std::string head)
      : state_(std::make_shared<State>(
            State{orchestrations, std::move(key), std::move(query),
                  std::move(writer), std::move(head)})) {
    state_->part += ",\"historyEvents\":[";
  }

  void Next(Done done) override { Read(state_, std::move(done)); }

 private:
  // Shared with a read that is under way when the client leaves.
  struct State {
    Orchestrations& orchestrations;
    const InstanceKey key;
    std::optional<HistoryQuery> query;  // nullopt: it was read.
    HistoryEventsWriter writer;
    std::string part;  // Not sent yet.
  };

  static void Read(const std::shared_ptr<State>& state, Done done) {
    if (!state->query.has_value()) return done("");
    state->orchestrations.ReadHistory(
        state->key, *state->query,
        [state, done = std::move(done)](absl::StatusOr<HistoryPage> page) {
          if (!page.ok()) return done(page.status());
          ForEachEvent(*page, [&](const HistoryEvent& event) {
            state->writer.Write(event, state->part);
          });
          state->query = std::move(page->next);
          if (state->writer.done()) state->query.reset();
          if (!state->query.has_value()) state->part += "]}";
          // An empty part would be the end.
          if (state->part.empty()) return Read(state, done);
          done(std::exchange(state->part, ""));
        });
  }

  const std::shared_ptr<State> state_;
};

// The first reading.
struct Outlining {
  Orchestrations& orchestrations;
  const HttpCallPtr call;
  const InstanceKey key;
  HistoryAnswer answer;
  HttpResponse response;
  // Nobody waits for it any more.
  const std::shared_ptr<std::atomic<bool>> gone =
      std::make_shared<std::atomic<bool>>(false);
  HistoryOutline outline = {};
};

void ReadOutline(const std::shared_ptr<Outlining>& reading,
                 HistoryQuery query) {
  reading->orchestrations.ReadHistory(
      reading->key, std::move(query),
      [reading](absl::StatusOr<HistoryPage> page) {
        if (absl::IsNotFound(page.status()) || absl::IsAborted(page.status())) {
          return reading->answer.again();
        }
        if (!page.ok()) return reading->call->Fail(page.status());
        ForEachEvent(*page, [&](const HistoryEvent& event) {
          reading->outline.Add(event);
        });
        if (reading->gone->load()) return;
        if (page->next.has_value()) {
          return ReadOutline(reading, *std::move(page->next));
        }
        HistoryAnswer& answer = reading->answer;
        reading->response.source = std::make_unique<HistoryBody>(
            reading->orchestrations, reading->key,
            HistoryQuery{.execution_id = answer.execution_id},
            HistoryEventsWriter(std::move(reading->outline), answer.shown),
            std::move(answer.head));
        reading->call->Finish(std::move(reading->response));
      });
}

}  // namespace

void FinishWithHistory(Orchestrations& orchestrations, const HttpCallPtr& call,
                       const InstanceKey& key, HistoryAnswer answer,
                       HttpResponse response) {
  HistoryQuery query{.execution_id = answer.execution_id};
  const auto reading = std::make_shared<Outlining>(Outlining{
      orchestrations, call, key, std::move(answer), std::move(response)});
  call->OnGone([gone = reading->gone] { gone->store(true); });
  ReadOutline(reading, std::move(query));
}

}  // namespace leasehold
