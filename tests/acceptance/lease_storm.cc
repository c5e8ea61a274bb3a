// lease_storm: many calls at once against a running server, and whether what
// came back is consistent with one instance context a key.
//
//   lease_storm first-calls ADDRESS       a thousand first calls of one ID
//   lease_storm leases ADDRESS MS         10,000 calls of 1,000 IDs while
//   leases of
//                                         MS milliseconds run out all the time
//   lease_storm drain ADDRESS PID         SIGTERM to the server under full load
//   lease_storm forever ADDRESS           load until it is killed
//
// Prints `name=number` lines, and a line for each broken rule; exit code 1 if
// there is one. LEASEHOLD_SEED chooses other random numbers.
//
// The rules need no fast machine. `start` is read before a request is sent and
// `end` after its answer is there, so what happened lies between the two:
//   - (generation, sequence) is given to one call only; the sequences of a
//     generation are 1..n; one call of a generation is told that it created it;
//   - a call that starts after another of its ID ended never gets an older
//     generation, nor the same one with a lower sequence;
//   - two calls of one ID that both lie within the idle timeout get one
//     generation: a lease never ends early.
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using leasehold::v1::Echo;
using leasehold::v1::EchoRequest;
using leasehold::v1::EchoResponse;
using std::chrono::milliseconds;

constexpr int kConnections = 8;

// What one call got.
struct Outcome {
  std::string id;
  Clock::time_point start;
  Clock::time_point end;
  grpc::Status status;
  uint64_t generation = 0;
  uint64_t sequence = 0;
  bool created = false;
};

struct Call {
  grpc::ClientContext context;
  EchoResponse response;
  std::unique_ptr<grpc::ClientAsyncResponseReader<EchoResponse>> reader;
  Outcome outcome;
};

int broken_rules = 0;

void Broken(const std::string& what) {
  if (++broken_rules <= 20) std::printf("broken: %s\n", what.c_str());
}

std::string Describe(const Outcome& o) {
  return absl::StrCat(o.id, " generation ", o.generation, " sequence ",
                      o.sequence);
}

// Calls over eight connections, driven by one thread.
class Load {
 public:
  explicit Load(const std::string& address) {
    for (int i = 0; i < kConnections; ++i) {
      grpc::ChannelArguments arguments;
      // Else channels to one address share a connection.
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(Echo::NewStub(grpc::CreateCustomChannel(
          address, grpc::InsecureChannelCredentials(), arguments)));
    }
  }
  ~Load() {
    while (in_flight_ > 0) Take(Clock::time_point::max());
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Sends a call on the next connection in turn.
  void Start(std::string id) {
    auto* call = new Call;
    call->outcome.id = std::move(id);
    call->context.AddMetadata("instance-id", call->outcome.id);
    call->context.set_deadline(std::chrono::system_clock::now() +
                               std::chrono::minutes(2));
    EchoRequest request;
    request.set_text("storm");
    ++in_flight_;
    call->outcome.start = Clock::now();
    call->reader = stubs_[next_++ % kConnections]->AsyncEcho(&call->context,
                                                             request, &queue_);
    call->reader->Finish(&call->response, &call->outcome.status, call);
  }

  // The next call to end, or null if none does until `deadline`.
  const Outcome* Take(Clock::time_point deadline) {
    void* tag;
    bool ok;
    if (deadline == Clock::time_point::max()) {
      queue_.Next(&tag, &ok);
    } else {
      const auto left = deadline - Clock::now();
      if (queue_.AsyncNext(&tag, &ok,
                           std::chrono::system_clock::now() + left) !=
          grpc::CompletionQueue::GOT_EVENT) {
        return nullptr;
      }
    }
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    --in_flight_;
    Outcome& outcome = call->outcome;
    outcome.end = Clock::now();
    outcome.generation = call->response.generation();
    outcome.sequence = call->response.sequence();
    const auto& headers = call->context.GetServerInitialMetadata();
    outcome.created = headers.count("instance-created") > 0;
    if (outcome.status.ok()) CheckAnswer(*call, headers);
    outcomes_.push_back(std::move(outcome));
    return &outcomes_.back();
  }

  int in_flight() const { return in_flight_; }
  std::deque<Outcome>& outcomes() { return outcomes_; }

 private:
  template <typename Headers>
  static void CheckAnswer(const Call& call, const Headers& headers) {
    const Outcome& outcome = call.outcome;
    if (call.response.text() != "storm" ||
        call.response.instance_id() != outcome.id) {
      Broken(absl::StrCat("somebody else's answer: ", Describe(outcome)));
    }
    const auto header = headers.find("instance-generation");
    if (header == headers.end() ||
        std::string(header->second.data(), header->second.size()) !=
            absl::StrCat(outcome.generation)) {
      Broken(absl::StrCat("header and body differ: ", Describe(outcome)));
    }
  }

  std::vector<std::unique_ptr<Echo::Stub>> stubs_;
  grpc::CompletionQueue queue_;
  std::deque<Outcome> outcomes_;
  size_t next_ = 0;
  int in_flight_ = 0;
};

using Generations = std::map<uint64_t, std::vector<const Outcome*>>;

void CheckSequences(const Generations& generations) {
  for (const auto& [generation, calls] : generations) {
    std::vector<uint64_t> sequences;
    int creators = 0;
    for (const Outcome* call : calls) {
      sequences.push_back(call->sequence);
      creators += call->created ? 1 : 0;
      if (call->id != calls.front()->id) {
        Broken(absl::StrCat("one generation of two IDs: ", Describe(*call),
                            " and ", Describe(*calls.front())));
      }
    }
    std::sort(sequences.begin(), sequences.end());
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i] == i + 1) continue;
      Broken(absl::StrCat("sequences are not 1..n: ", calls.front()->id,
                          " generation ", generation, " has ", sequences[i],
                          " in place ", i + 1));
      break;
    }
    if (creators != 1) {
      Broken(absl::StrCat(creators, " calls were told that they created ",
                          calls.front()->id, " generation ", generation));
    }
  }
}

bool Older(const Outcome& a, const Outcome& b) {
  return a.generation != b.generation ? a.generation < b.generation
                                      : a.sequence < b.sequence;
}

// `calls` of one ID, in the order of their start.
void CheckOrder(const std::vector<const Outcome*>& calls,
                Clock::duration idle_timeout) {
  for (size_t b = 0; b < calls.size(); ++b) {
    for (size_t a = 0; a < b; ++a) {
      const Outcome& first = *calls[a];
      const Outcome& second = *calls[b];
      if (first.end < second.start && Older(second, first)) {
        Broken(absl::StrCat("back in time: ", Describe(second), " after ",
                            Describe(first)));
      }
      if (std::max(first.end, second.end) - first.start < idle_timeout &&
          first.generation != second.generation) {
        Broken(absl::StrCat("a lease ended early: ", Describe(first), ", then ",
                            Describe(second)));
      }
    }
  }
}

// Checks all rules, prints what there was.
void CheckOutcomes(const std::deque<Outcome>& outcomes,
                   Clock::duration idle_timeout) {
  Generations generations;
  std::map<std::string, std::vector<const Outcome*>> ids;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.status.ok()) continue;
    generations[outcome.generation].push_back(&outcome);
    ids[outcome.id].push_back(&outcome);
  }
  CheckSequences(generations);
  for (auto& [id, calls] : ids) {
    std::sort(calls.begin(), calls.end(),
              [](auto* a, auto* b) { return a->start < b->start; });
    CheckOrder(calls, idle_timeout);
  }
  std::printf("calls=%zu\nids=%zu\ngenerations=%zu\n", outcomes.size(),
              ids.size(), generations.size());
}

void ExpectAllOk(const std::deque<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    if (outcome.status.ok()) continue;
    Broken(absl::StrCat("a call failed: ", outcome.id, ": ",
                        outcome.status.error_code(), " ",
                        outcome.status.error_message()));
  }
}

void FirstCalls(Load& load) {
  constexpr int kRounds = 10;
  constexpr int kCalls = 1000;
  // Connections are there before the calls that count.
  for (int i = 0; i < kConnections; ++i) load.Start(absl::StrCat("warm-", i));
  while (load.in_flight() > 0) load.Take(Clock::time_point::max());
  for (int round = 0; round < kRounds; ++round) {
    const std::string id = absl::StrCat("first-", round);
    for (int i = 0; i < kCalls; ++i) load.Start(id);
    while (load.in_flight() > 0) load.Take(Clock::time_point::max());
  }
  ExpectAllOk(load.outcomes());
  CheckOutcomes(load.outcomes(), std::chrono::hours(1));
}

uint64_t Seed() {
  const char* text = std::getenv("LEASEHOLD_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20'200'401;
}

void Leases(Load& load, milliseconds idle_timeout) {
  constexpr int kCalls = 10'000;
  constexpr int kIds = 1000;
  constexpr int kInFlightMax = 64;
  constexpr auto kPace =
      std::chrono::microseconds(300);  // Three seconds in all.
  const uint64_t seed = Seed();
  std::printf("seed=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const auto random_id = [&random] {
    return absl::StrCat("room-", random() % kIds);
  };

  // Every other call goes to an ID whose lease is about to run out just now.
  std::deque<std::pair<Clock::time_point, std::string>> recent;
  Clock::time_point next = Clock::now();
  for (int started = 0; started < kCalls || load.in_flight() > 0;) {
    const Clock::time_point now = Clock::now();
    if (started < kCalls && load.in_flight() < kInFlightMax && now >= next) {
      while (!recent.empty() &&
             now - recent.front().first > idle_timeout + milliseconds(2)) {
        recent.pop_front();
      }
      // The first round names each ID once.
      std::string id =
          started < kIds ? absl::StrCat("room-", started) : random_id();
      if (started >= kIds && random() % 2 == 0 && !recent.empty() &&
          now - recent.front().first > idle_timeout - milliseconds(2)) {
        id = std::move(recent.front().second);
        recent.pop_front();
      }
      load.Start(std::move(id));
      ++started;
      next = std::max(next + kPace, now - milliseconds(20));
      continue;
    }
    const bool waits = started == kCalls || load.in_flight() == kInFlightMax;
    if (const Outcome* outcome =
            load.Take(waits ? Clock::time_point::max() : next)) {
      recent.emplace_back(outcome->end, outcome->id);
    }
  }
  ExpectAllOk(load.outcomes());
  CheckOutcomes(load.outcomes(), idle_timeout);
}

// Full load; after a while SIGTERM; then on until the server refuses.
void Drain(Load& load, pid_t server) {
  constexpr int kInFlight = 64;
  constexpr int kBefore = 3000;
  constexpr int kRefusedEnough = 64;
  int started = 0;
  int refused = 0;
  Clock::time_point signalled = Clock::time_point::max();
  while (refused < kRefusedEnough) {
    while (load.in_flight() < kInFlight) {
      load.Start(absl::StrCat("room-", ++started % 100));
    }
    if (started >= kBefore && signalled == Clock::time_point::max()) {
      if (kill(server, SIGTERM) != 0) Broken("cannot signal the server");
      signalled = Clock::now();
    }
    if (!load.Take(Clock::time_point::max())->status.ok()) ++refused;
  }
  while (load.in_flight() > 0) load.Take(Clock::time_point::max());

  std::map<std::string, int> counts = {
      {"ok", 0}, {"unavailable", 0}, {"in_flight_ok", 0}};
  for (const Outcome& outcome : load.outcomes()) {
    if (outcome.status.ok()) {
      ++counts["ok"];
      if (outcome.start < signalled && outcome.end > signalled) {
        ++counts["in_flight_ok"];
      }
    } else if (outcome.status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      ++counts["unavailable"];
    } else {
      Broken(absl::StrCat(
          "neither OK nor UNAVAILABLE: ", outcome.status.error_code(), " ",
          outcome.status.error_message(), ", started ",
          std::chrono::duration_cast<std::chrono::microseconds>(outcome.start -
                                                                signalled)
              .count(),
          " us after the signal"));
    }
  }
  for (const auto& [name, count] : counts) {
    std::printf("%s=%d\n", name.c_str(), count);
  }
  CheckOutcomes(load.outcomes(), Clock::duration::zero());
}

[[noreturn]] void Forever(Load& load) {
  std::mt19937_64 random(Seed());
  for (int answers = 0;; ++answers) {
    while (load.in_flight() < 64) {
      load.Start(absl::StrCat("gone-", random() % 1000));
    }
    load.Take(Clock::time_point::max());
    load.outcomes().clear();
    if (answers == 1000) {
      std::puts("running");
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string mode = words.size() < 2 ? "" : words[0];
  if (mode == "first-calls") {
    Load load(words[1]);
    FirstCalls(load);
  } else if (mode == "leases" && words.size() == 3) {
    Load load(words[1]);
    Leases(load, milliseconds(std::atoi(words[2].c_str())));
  } else if (mode == "drain" && words.size() == 3) {
    Load load(words[1]);
    Drain(load, std::atoi(words[2].c_str()));
  } else if (mode == "forever") {
    Load load(words[1]);
    Forever(load);
  } else {
    std::fputs(
        "usage: lease_storm first-calls|leases|drain|forever ADDRESS ...\n",
        stderr);
    return 2;
  }
  if (broken_rules > 0) std::printf("broken_rules=%d\n", broken_rules);
  return broken_rules > 0 ? 1 : 0;
}
