// TestEntity: an entity of a test environment.
//
//   const TestEntity account = env.Entity("Account", "ann");
//   EXPECT_EQ(account.Call<int>("deposit", 5), 5);
//   EXPECT_EQ(account.State<Account>().balance, 5);
//
// Thread-safety: one thread: the test's.   Lifetime: a value; its environment
// outlives it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_ENTITY_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_ENTITY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "client/worker/entity_id.h"
#include "client/worker/failure.h"
#include "client/worker/payload.h"
#include "nlohmann/json.hpp"

namespace leasehold::testkit {

class TestWorld;

class TestEntity {
 public:
  // By its environment.
  TestEntity(TestWorld& world, worker::EntityId id)
      : world_(&world), id_(std::move(id)) {}

  const worker::EntityId& id() const { return id_; }

  // ---- Its state, as it is now ----------------------------------------------

  // Whether it has a state.
  bool Exists() const { return StatePayload().has_value(); }
  // TestError: it has none, or it is not a T.
  template <typename T>
  T State() const {
    const worker::Payload state = StatePayload();
    if (!state.has_value()) Fail("has no state");
    try {
      return worker::FromPayload<T>(state);
    } catch (const worker::PayloadError& error) {
      Fail(std::string("has another state: ") + error.what());
    }
  }
  // The instance ID of the orchestration that has locked it; empty: none has.
  std::string LockedBy() const;
  // How many operations and lock requests wait for it, those for later
  // included.
  size_t Waiting() const;

  // ---- What callers can do to it --------------------------------------------

  // Runs the environment until the operation has ended. It is called by an
  // orchestration of its own. TestError: it fails, does not end, or its result
  // is not an R.
  template <typename R = void>
  R Call(std::string_view operation) const {
    return Result<R>(operation, std::nullopt);
  }
  template <typename R = void, typename Input>
  R Call(std::string_view operation, const Input& input) const {
    return Result<R>(operation, nlohmann::json(input));
  }
  // The failure of such a call. TestError: it does not fail.
  worker::TaskFailure Failure(std::string_view operation) const {
    return CallForFailure(operation, std::nullopt);
  }
  template <typename Input>
  worker::TaskFailure Failure(std::string_view operation,
                              const Input& input) const {
    return CallForFailure(operation, nlohmann::json(input));
  }

  // Takes effect when the environment next runs. TestError: the server refuses
  // it.
  void Signal(std::string_view operation) const {
    SendSignal(operation, std::nullopt, absl::ZeroDuration());
  }
  // Not before `after` from now.
  template <typename Input>
  void Signal(std::string_view operation, const Input& input,
              absl::Duration after = absl::ZeroDuration()) const {
    SendSignal(operation, worker::ToPayload(input), after);
  }

 private:
  template <typename R>
  R Result(std::string_view operation,
           std::optional<nlohmann::json> input) const {
    const worker::Payload output = CallForOutput(operation, std::move(input));
    if constexpr (!std::is_void_v<R>) {
      try {
        return worker::FromPayload<R>(output);
      } catch (const worker::PayloadError& error) {
        Fail(std::string("has answered otherwise: ") + error.what());
      }
    }
  }

  worker::Payload StatePayload() const;
  worker::Payload CallForOutput(std::string_view operation,
                                std::optional<nlohmann::json> input) const;
  worker::TaskFailure CallForFailure(std::string_view operation,
                                     std::optional<nlohmann::json> input) const;
  void SendSignal(std::string_view operation, worker::Payload input,
                  absl::Duration after) const;
  [[noreturn]] void Fail(const std::string& what) const;

  TestWorld* world_;
  worker::EntityId id_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_ENTITY_H_
