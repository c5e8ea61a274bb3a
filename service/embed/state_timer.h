// SetTimer<State>: a State has something done later.
//
//   class Auction {
//    public:
//     static constexpr auto kConcurrency = leasehold::Concurrency::kSerial;
//     void OnAttach(leasehold::InstanceContext& context) {
//       leasehold::SetTimer<Auction>(context, absl::Minutes(5),
//                                    [](Auction& a) { a.Close(); })
//           .IgnoreError();
//     }
//
// The timer of a serial State runs as one of its messages, with access. Apart
// from that context_timers.h says what timers are and do.
//
// Thread-safety: safe.   Lifetime: a timer ends with its context.
#ifndef LEASEHOLD_SERVICE_EMBED_STATE_TIMER_H_
#define LEASEHOLD_SERVICE_EMBED_STATE_TIMER_H_

#include <functional>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/embed/state_extension.h"
#include "service/instance/context_timers.h"
#include "service/instance/instance_context.h"
#include "service/instance/serial_queue.h"

namespace leasehold {

// Calls `run` with the State of `context`, once, after `delay`; not if the
// context has none then. Errors and requirements are those of SetTimer without
// a State. A State sets its first timer in OnAttach or in a call: in its
// constructor it is not the context's yet.
template <typename State>
absl::StatusOr<ContextTimer> SetTimer(InstanceContext& context,
                                      absl::Duration delay,
                                      std::function<void(State&)> run) {
  using Attached = std::conditional_t<std::is_base_of_v<Extension, State>,
                                      State, StateExtension<State>>;
  std::function<SerialQueue*()> queue;
  if constexpr (kIsSerial<State>) {
    queue = [&context]() -> SerialQueue* {
      Attached* const found = context.Get<Attached>();
      return found == nullptr ? nullptr : &found->queue();
    };
  }
  return SetSerialTimer(context, delay, std::move(queue),
                        [&context, run = std::move(run)] {
                          Attached* const found = context.Get<Attached>();
                          if (found == nullptr) return;
                          if constexpr (std::is_same_v<Attached, State>) {
                            run(*found);
                          } else {
                            run(found->state());
                          }
                        });
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_EMBED_STATE_TIMER_H_
