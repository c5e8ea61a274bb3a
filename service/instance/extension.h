// Extension: typed state that a service attaches to an instance context.
//
// A context holds at most one extension of a type. It is found by that type
// (`context.Get<Counter>()`) or by an interface that it was attached with
// (`context.Find<Clearable>()`). When the context closes, its extensions are
// detached in reverse order of attachment, each with the reason, and each only
// after the previous one has answered.
//
// Thread-safety: many calls may call an extension's methods at once; it guards
// its own state.   Lifetime: the context owns it; it lives at least until the
// last pin of the context that could see it is released.
#ifndef LEASEHOLD_SERVICE_INSTANCE_EXTENSION_H_
#define LEASEHOLD_SERVICE_INSTANCE_EXTENSION_H_

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

#include "service/instance/hook.h"

namespace leasehold {

class InstanceContext;

// Why an extension is detached.
enum class DetachReason {
  kIdle,               // The lease ran out, or the provider said idle.
  kReleased,           // Someone released the context by name.
  kEvicted,            // Another context needed the room.
  kShutdown,           // The server is shutting down.
  kLostOwnership,      // Another node owns the key now.
  kFailedInitializer,  // The context never opened.
  kRemoved,            // Only this extension is detached; the context lives.
};
inline constexpr size_t kDetachReasons = 7;

// `idle`, `released`, `evicted`, `shutdown`, `lost ownership`, ...
std::string_view DetachReasonName(DetachReason reason);

class Extension {
 public:
  Extension() = default;
  Extension(const Extension&) = delete;
  Extension& operator=(const Extension&) = delete;
  virtual ~Extension() = default;

  // Called once, after the extension can be found in `context` and before
  // Attach returns. State that other calls need belongs in the constructor.
  virtual void OnAttach(InstanceContext& context);

  // False: OnDetach never blocks. It then runs in the same task as those of
  // other contexts that close at the same time, rather than in its own.
  virtual bool MayBlock() const { return true; }

  // Called once, without a lock, on a user thread: it may block for a while
  // (see MayBlock), or return at once and answer later through `done`. No call
  // is running in the context (except for kRemoved). An exception or an error
  // is logged and counted, and closing continues. Not called if the process
  // dies.
  virtual void OnDetach(InstanceContext& context, DetachReason reason,
                        HookDone done);
};

// Identifies a type: by the address of its ExtensionType or InterfaceTag.
struct InterfaceTag {};
template <typename I>
inline constexpr InterfaceTag kInterfaceTag{};

struct ExtensionInterface {
  const InterfaceTag* tag;
  void* (*cast)(Extension*);  // To the interface's pointer.
};

struct ExtensionType {
  const std::type_info* type;  // For messages.
  const InterfaceTag* tag;
  std::span<const ExtensionInterface> interfaces;
};

namespace internal {

template <typename T, typename I>
void* CastExtension(Extension* extension) {
  return static_cast<I*>(static_cast<T*>(extension));
}

template <typename T, typename... As>
inline constexpr std::array<ExtensionInterface, sizeof...(As)> kInterfaces = {
    ExtensionInterface{&kInterfaceTag<As>, &CastExtension<T, As>}...};

template <typename T, typename... As>
inline const ExtensionType kExtensionType = {&typeid(T), &kInterfaceTag<T>,
                                             kInterfaces<T, As...>};

}  // namespace internal

// The type's demangled name.
std::string ExtensionTypeName(const ExtensionType& type);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_EXTENSION_H_
