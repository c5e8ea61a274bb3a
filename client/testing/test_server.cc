#include "client/testing/test_server.h"

#include <string>

#include "service/base/invariant.h"
#include "service/storage/witness.h"

namespace leasehold::testkit {

TestServer::TestServer(Clock& clock, MemoryStore& store, Dice& dice)
    : store_(store),
      dice_(dice),
      registry_(clock, executor_, provider_, {}, {}, {}),
      work_(clock, *this, {.check_invariants = true}),
      engine_(clock, store, registry_, writer_, readers_, work_.dispatcher(),
              *this, {.check_invariants = true, .seed = dice.Number()}) {
  CheckInvariant(engine_.Open().ok(), "a store in memory can be opened");
}

TestServer::~TestServer() {
  // As if another process had taken over the store: from here on this one can
  // commit nothing. What it notes while it is taken apart is not noted.
  const std::string left = store_.witness()->Save();
  CheckInvariant(store_.OpenPartition(kOnlyPartition, 0).ok(),
                 "a store in memory can be opened");
  RunAll();
  engine_.Stop();
  bool closed = false;
  registry_.Shutdown([&closed] { closed = true; });
  RunAll();
  CheckInvariant(closed, "nothing holds a context of a server that has ended");
  store_.witness()->Restore(left);
}

void TestServer::RunTask() {
  // The writer runs its tasks in order; the other executors have several
  // threads.
  TaskQueue* queues[] = {&writer_, &readers_, &executor_};
  const size_t first = dice_.OneOf(std::size(queues));
  for (size_t i = 0; i < std::size(queues); ++i) {
    TaskQueue& queue = *queues[(first + i) % std::size(queues)];
    if (queue.size() == 0) continue;
    return queue.Run(&queue == &writer_ ? 0 : dice_.OneOf(queue.size()));
  }
}

std::optional<absl::Time> TestServer::NextDue() const {
  const std::optional<StoredTime> due = engine_.NextDue();
  if (!due.has_value()) return std::nullopt;
  return FromStored(*due);
}

void TestServer::FireDue() {
  registry_.RunDueLeases();
  engine_.FireTimers();
}

}  // namespace leasehold::testkit
