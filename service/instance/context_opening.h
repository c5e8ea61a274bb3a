// ContextOpening: the initializers of one context, and their time limit.
//
//   runs ── all answer OK ──▶ ends, and the context opens
//    ├───── one fails ──────▶ ends, and the context is taken down
//    └───── given up: the open timeout, or a forced release. Callers are told
//           at once; the context is taken down when no initializer is still
//           inside its call. The opening does not wait for one that has
//           returned; an answer that comes later is ignored.
//
// A late initializer may still use the context and the extensions that it
// attached: their memory stays until its HookDone is destroyed.
//
// Thread-safety: the context's lock guards the members marked so.   Lifetime:
// shared; it keeps the context's memory and lock, and touches the registry only
// while the context is in it.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_OPENING_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_OPENING_H_

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "service/instance/alarm_clock.h"
#include "service/instance/context_table.h"
#include "service/instance/extension.h"
#include "service/instance/hook.h"
#include "service/instance/instance_context.h"

namespace leasehold {

class InstanceRegistry;

class ContextOpening final
    : public Alarm,
      public std::enable_shared_from_this<ContextOpening> {
 public:
  ContextOpening(InstanceRegistry& registry, InstanceContext& context,
                 std::shared_ptr<ContextTable> table)
      : table_(std::move(table)), registry_(registry), context_(context) {
    context_.ShareMemory();
  }
  ~ContextOpening() override { context_.DropMemory(); }

  // The open timeout has passed.
  void OnDue() override;

 private:
  friend class InstanceRegistry;

  // Constant after construction.
  const std::shared_ptr<ContextTable> table_;  // Has the context's lock.
  InstanceRegistry& registry_;
  InstanceContext& context_;

  // How many initializers have begun. Only the chain writes it; others read it.
  std::atomic<size_t> begun_{0};
  size_t answered_ = 0;  // Used only by the chain, as is chain_.
  absl::Status status_;

  // Guarded by the context's lock.
  std::weak_ptr<HookChain> chain_;
  bool ended_ = false;  // It opens, or is being taken down.
  // Why it was given up, and the reason that hooks are given.
  std::optional<absl::Status> given_up_;
  DetachReason reason_ = DetachReason::kFailedInitializer;
  // The status that calls get, instead of waiting, until the context is gone.
  absl::Status refuses_;
  // A forced release came when the context was about to open.
  bool release_when_open_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_OPENING_H_
