// What g++ gets wrong around co_await, a line each, and lines beside them that
// are right. Never run: traps_test.py looks at who finds what. A line that ends
// in `TRAP: KIND` is one that gcc_traps.py must find; no other is.
//
// The parts with numbers do not compile with g++ (1 and 2: with g++ 12); ONLY
// says which is there, and without it all are.
#include <string>
#include <utility>
#include <vector>

#include "client/worker/orchestration_context.h"
#include "client/worker/registry.h"

namespace leasehold::worker {

struct Order {
  std::string item;
  int count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, count)

inline Task<bool> Wants(OrchestrationContext& context, Order order) {
  co_return co_await context.CallActivity<bool>("Wants", order);
}

inline Task<int> Right(OrchestrationContext& context, bool more) {
  const bool paid = more && co_await context.CallActivity<bool>("Pay");
  bool later = false;
  later = more && co_await context.CallActivity<bool>("Pay");
  const int count = more ? co_await context.CallActivity<int>("Count") : 0;
  if (more && co_await context.CallActivity<bool>("Pay")) co_return 1;
  if (co_await context.CallActivity<bool>("Pay") && more) co_return 2;
  while (co_await context.CallActivity<bool>("Pay")) co_return 3;
  const Order order{"tea", 2};
  co_await context.CallActivity("Ship", order);
  auto made = Wants(context, Order{"tea", 2});
  co_await made;
  const RetryPolicy retry = RetryPolicy(3, absl::Seconds(1));
  co_await context.CallActivity("Ship", std::string("tea"), retry);
  co_return count + (paid || later ? 1 : 0);
}

inline Task<int> Wrong(OrchestrationContext& ctx, bool more) {
  while (more && co_await ctx.CallActivity<bool>("Pay")) {  // TRAP: behind
    co_return 1;
  }
  for (; more || co_await ctx.CallActivity<bool>("Pay");) {  // TRAP: behind
    co_return 2;
  }
  if ((more && co_await ctx.CallActivity<bool>("Pay")) ||  // TRAP: behind
      ctx.name().empty()) {
    co_return 3;
  }
  if (more ? co_await ctx.CallActivity<bool>("A") : false) {  // TRAP: chosen
    co_return 4;
  }
  // NOLINTNEXTLINE(gcc-traps)
  co_await Wants(ctx, Order{"meant", 2});
  co_await Wants(ctx, Order{"tea", 2});                      // TRAP: aggregate
  co_await Wants(ctx, {"tea", 2});                           // TRAP: aggregate
  co_return more ? co_await ctx.CallActivity<int>("B") : 0;  // TRAP: chosen
}

#if !defined(ONLY) || ONLY == 1
inline Task<int> TemporaryAggregate(OrchestrationContext& context) {
  co_return co_await context.CallActivity<int>(
      "Ship", Order{"tea", 2});  // TRAP: aggregate
}
#endif

#if !defined(ONLY) || ONLY == 2
inline Task<int> TemporaryLambda(OrchestrationContext& context,
                                 std::string only) {
  co_return co_await context.CallActivity<int>(
      "Ship", 1,
      RetryPolicy(3, absl::Seconds(1))
          .RetryIf([only](const TaskFailure& failure) {  // TRAP: lambda
            return failure.error_type == only;
          }));
}
#endif

#if !defined(ONLY) || ONLY == 3
inline void Register(Registry& registry) {
  registry.AddOrchestrator("Right", [](OrchestrationContext& context) {
    return Right(context, true);
  });
}
#endif

}  // namespace leasehold::worker
