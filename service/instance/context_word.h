// ContextWord: the state of a context in one atomic word.
//
//   Opening ──▶ Open (busy ⇄ idle) ──▶ Closing ──▶ Closed
//
//   bits  0-1   state
//   bit   2     attention: the last unpin has work to do
//   bits  3-23  pins
//   bits 24-63  uses: incremented with each use
//
// Only this class decides whether a call or an expiry wins: TryPin and TryClose
// are compare-and-swaps on one word. The use count closes the gap between "the
// lease is over" and "close it": a call that came and went in between leaves
// the context idle again, but the word has changed.
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_INSTANCE_CONTEXT_WORD_H_
#define LEASEHOLD_SERVICE_INSTANCE_CONTEXT_WORD_H_

#include <atomic>
#include <cstdint>

#include "service/base/invariant.h"

namespace leasehold {

enum class ContextState : uint64_t {
  kOpening = 0,  // Initializers run; calls wait.
  kOpen = 1,     // Serves calls. Busy with pins, idle without.
  kClosing =
      2,  // Takes no pins. Extensions are being detached, or will be when
          // the pins of a forced release are gone. Calls wait for the next.
  kClosed = 3,  // Gone from the registry.
};

class ContextWord {
 public:
  // A snapshot of the word.
  class Value {
   public:
    Value() = default;
    explicit Value(uint64_t bits) : bits_(bits) {}
    ContextState state() const { return static_cast<ContextState>(bits_ & 3); }
    bool attention() const { return (bits_ & kAttention) != 0; }
    uint64_t pins() const { return (bits_ & kPinMask) / kPin; }
    bool idle() const { return state() == ContextState::kOpen && pins() == 0; }
    bool closing_unpinned() const {
      return state() == ContextState::kClosing && pins() == 0;
    }

   private:
    friend class ContextWord;
    uint64_t bits_ = 0;
  };

  enum class Unpinned {
    kNotLast,  // Released.
    kLast,     // Released; the context is idle now.
    kNotYet,   // Not released: reference the context, unpin again.
  };

  Value Load() const { return Value(word_.load(std::memory_order_acquire)); }

  // Takes a pin on an open context. `was_idle`: it is the only one.
  bool TryPin(bool& was_idle) {
    uint64_t word = word_.load(std::memory_order_acquire);
    do {
      if (Value(word).state() != ContextState::kOpen) return false;
    } while (!word_.compare_exchange_weak(word, word + kPin + kUse,
                                          std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    was_idle = Value(word).pins() == 0;
    CheckPins(word);
    return true;
  }

  // Takes another pin. REQUIRES: the caller has one.
  void PinAgain() {
    const uint64_t word =
        word_.fetch_add(kPin + kUse, std::memory_order_relaxed);
    CheckInvariant(Value(word).pins() > 0,
                   "who takes another pin of a context has one");
    CheckPins(word);
  }

  // Releases a pin. After that, anyone may close and free the context: do not
  // touch it again unless it is `held` (referenced). Without a reference, the
  // last pin of a context that wants attention (`attend`: as if all did) is not
  // released.
  Unpinned Unpin(bool held, bool attend = false) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    do {
      const Value value(word);
      CheckInvariant(value.pins() > 0, "a pin is released once");
      if (!held && value.pins() == 1 && (attend || value.attention())) {
        return Unpinned::kNotYet;
      }
    } while (!word_.compare_exchange_weak(word, word - kPin,
                                          std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return Value(word).pins() == 1 ? Unpinned::kLast : Unpinned::kNotLast;
  }

  // From Opening to Open, with `pins` pins taken.
  void Open(uint64_t pins) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    uint64_t open;
    do {
      CheckInvariant(Value(word).state() == ContextState::kOpening,
                     "a context that is to open is opening");
      open = (word & kAttention) | static_cast<uint64_t>(ContextState::kOpen);
      open += pins * (kPin + kUse);
    } while (!word_.compare_exchange_weak(word, open, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
  }

  // From idle to Closing, unless something has happened since `seen`. This is
  // the one decision between a call and the end of a context. REQUIRES:
  // seen.idle().
  bool TryClose(Value seen) {
    return word_.compare_exchange_strong(
        seen.bits_, WithState(seen.bits_, ContextState::kClosing),
        std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  // From Open to Closing even if there are pins: no new ones can be taken, and
  // the last unpin gets attention. False: the context was not open.
  bool ForceClose() {
    uint64_t word = word_.load(std::memory_order_acquire);
    do {
      if (Value(word).state() != ContextState::kOpen) return false;
    } while (!word_.compare_exchange_weak(
        word, WithState(word, ContextState::kClosing) | kAttention,
        std::memory_order_acq_rel, std::memory_order_acquire));
    return true;
  }

  // Counts a use of an open context without a pin: anyone who saw the context
  // idle before now sees a different word. False: the context is not open.
  bool TryTouch() {
    uint64_t word = word_.load(std::memory_order_acquire);
    do {
      if (Value(word).state() != ContextState::kOpen) return false;
    } while (!word_.compare_exchange_weak(word, word + kUse,
                                          std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return true;
  }

  // From Opening to Closing (an initializer failed), or from Closing to Closed.
  void MoveTo(ContextState state) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    CheckInvariant(
        Value(word).state() == (state == ContextState::kClosing
                                    ? ContextState::kOpening
                                    : ContextState::kClosing),
        "a context goes from opening to closing, from closing to closed");
    while (!word_.compare_exchange_weak(word, WithState(word, state),
                                        std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
  }

  // From now on the last unpin has work to do. Returns the previous value: if
  // it was idle, there is no unpin to come, and the caller must do that work.
  Value WantAttention() {
    return Value(word_.fetch_or(kAttention, std::memory_order_acq_rel));
  }
  void ClearAttention() {
    word_.fetch_and(~kAttention, std::memory_order_acq_rel);
  }

 private:
  static constexpr uint64_t kAttention = 1u << 2;
  static constexpr uint64_t kPin = 1u << 3;
  static constexpr uint64_t kPinMask = ((uint64_t{1} << 21) - 1) << 3;
  static constexpr uint64_t kUse = uint64_t{1} << 24;

  static uint64_t WithState(uint64_t word, ContextState state) {
    return (word & ~uint64_t{3}) | static_cast<uint64_t>(state);
  }
  // Two million pins on one context would overflow into the use count.
  static void CheckPins(uint64_t before) {
    CheckInvariant((before & kPinMask) != kPinMask,
                   "a context has fewer than two million pins");
  }

  std::atomic<uint64_t> word_{static_cast<uint64_t>(ContextState::kOpening)};
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_INSTANCE_CONTEXT_WORD_H_
