// The code of chain.cc: one activity after another.
#ifndef CHAIN_H_
#define CHAIN_H_

#include <string>

#include "leasehold/client/worker/orchestration_context.h"
#include "leasehold/client/worker/task.h"

using leasehold::worker::OrchestrationContext;
using leasehold::worker::Task;

inline std::string Greet(const std::string& name) { return "Hello, " + name; }
inline std::string Shout(const std::string& text) { return text + "!"; }

inline Task<std::string> Greeting(OrchestrationContext& context,
                                  std::string name) {
  auto greeting = co_await context.CallActivity<std::string>("Greet", name);
  co_return co_await context.CallActivity<std::string>("Shout", greeting);
}

#endif  // CHAIN_H_
