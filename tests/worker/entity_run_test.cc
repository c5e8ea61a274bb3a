// Batches of operations on entities by values: classes and functions.
#include "client/worker/entity_run.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {
namespace {

using internal::FindEntityOf;
using internal::RunBatch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Account {
  int64_t balance = 0;

  int64_t Deposit(int64_t amount) {
    if (amount <= 0) throw std::invalid_argument("nothing to deposit");
    return balance += amount;
  }
  int64_t Balance() const noexcept { return balance; }
  absl::StatusOr<int64_t> Withdraw(EntityContext& entity, int64_t amount) {
    balance -= amount;
    entity.SignalEntity(EntityId("Audit", "bank"), "note", amount);
    if (balance < 0) return absl::FailedPreconditionError("overdrawn");
    return balance;
  }
  void Close(EntityContext& entity) noexcept { entity.DeleteState(); }

  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Account, balance)
};

EntityClass<Account> AccountClass() {
  return EntityClass<Account>()
      .Operation("Deposit", &Account::Deposit)
      .Operation("Balance", &Account::Balance)
      .Operation("Withdraw", &Account::Withdraw)
      .Operation("Close", &Account::Close);
}

// A batch for the entity `@account@ann`.
class Batch {
 public:
  explicit Batch(const Payload& state = std::nullopt) {
    request_.set_instanceid("@account@ann");
    if (state.has_value()) request_.mutable_entitystate()->set_value(*state);
  }
  Batch& Call(const std::string& operation, const Payload& input = {}) {
    auto& call =
        *request_.add_operationrequests()->mutable_entityoperationcalled();
    call.set_requestid("r" + std::to_string(request_.operationrequests_size()));
    call.set_operation(operation);
    if (input.has_value()) call.mutable_input()->set_value(*input);
    call.mutable_parentinstanceid()->set_value("order-1");
    call.mutable_parentexecutionid()->set_value("e0");
    return *this;
  }
  Batch& Signal(const std::string& operation, const Payload& input = {}) {
    auto& signal =
        *request_.add_operationrequests()->mutable_entityoperationsignaled();
    signal.set_requestid("s1");
    signal.set_operation(operation);
    if (input.has_value()) signal.mutable_input()->set_value(*input);
    return *this;
  }
  const EntityRequest& request() const { return request_; }

  template <typename Entity>
  EntityBatchResult Run(Entity entity) const {
    Registry registry;
    registry.AddEntity("Account", std::move(entity));
    EXPECT_TRUE(registry.status().ok()) << registry.status();
    return RunBatch(*FindEntityOf(registry, "@account@ann"), request_);
  }

 private:
  EntityRequest request_;
};

// One result each, as in `7`, `none` or `failed: why`.
std::vector<std::string> Results(const EntityBatchResult& response) {
  std::vector<std::string> texts;
  for (const OperationResult& result : response.results()) {
    if (result.has_failure()) {
      texts.push_back("failed: " +
                      result.failure().failuredetails().errormessage());
    } else {
      texts.push_back(result.success().has_result()
                          ? result.success().result().value()
                          : "none");
    }
  }
  return texts;
}

TEST(EntityRun, MemberFunctionsRunOneAfterTheOtherOnOneState) {
  const EntityBatchResult response = Batch()
                                         .Call("Deposit", "5")
                                         .Signal("deposit", "2")
                                         .Call("BALANCE")
                                         .Run(AccountClass());
  EXPECT_THAT(Results(response), ElementsAre("5", "7", "7"));
  EXPECT_EQ(response.entitystate().value(), R"({"balance":7})");
}

TEST(EntityRun, FailedOperationLeavesNothingBehind) {
  const EntityBatchResult response = Batch(R"({"balance":5})")
                                         .Call("Withdraw", "3")
                                         .Call("Withdraw", "3")
                                         .Call("Deposit", "-1")
                                         .Call("Deposit", R"("x")")
                                         .Call("Deposit", "1")
                                         .Run(AccountClass());
  EXPECT_THAT(
      Results(response),
      ElementsAre("2", "failed: overdrawn", "failed: nothing to deposit",
                  HasSubstr("type must be number"), "3"));
  EXPECT_EQ(response.results(1).failure().failuredetails().errortype(),
            "FAILED_PRECONDITION");
  EXPECT_EQ(response.results(2).failure().failuredetails().errortype(),
            "std::invalid_argument");
  ASSERT_EQ(response.actions_size(), 1);
  const SendSignalAction& signal = response.actions(0).sendsignal();
  EXPECT_EQ(signal.instanceid(), "@audit@bank");
  EXPECT_EQ(signal.name(), "note");
  EXPECT_EQ(signal.input().value(), "3");
  EXPECT_FALSE(signal.has_scheduledtime());
}

TEST(EntityRun, ConstMemberFunctionBringsNoEntityIntoBeing) {
  const EntityBatchResult response =
      Batch().Call("Balance").Run(AccountClass());
  EXPECT_THAT(Results(response), ElementsAre("0"));
  EXPECT_FALSE(response.has_entitystate());
}

TEST(EntityRun, ConstMemberFunctionLeavesTheStateAsItIs) {
  const std::string state = R"({"balance":5,"written by":"another version"})";
  EXPECT_EQ(
      Batch(state).Call("Balance").Run(AccountClass()).entitystate().value(),
      state);
}

TEST(EntityRun, OperationCanDeleteTheState) {
  EXPECT_FALSE(Batch(R"({"balance":5})")
                   .Call("Close")
                   .Run(AccountClass())
                   .has_entitystate());
  EXPECT_FALSE(Batch().Call("Close").Run(AccountClass()).has_entitystate());
  const EntityBatchResult again = Batch(R"({"balance":5})")
                                      .Call("Close")
                                      .Call("Deposit", "1")
                                      .Run(AccountClass());
  EXPECT_EQ(again.entitystate().value(), R"({"balance":1})");
}

TEST(EntityRun, EveryEntityHasAnOperationThatDeletesIt) {
  const EntityBatchResult response =
      Batch(R"({"balance":5})").Call("Delete").Run(AccountClass());
  EXPECT_THAT(Results(response), ElementsAre("none"));
  EXPECT_FALSE(response.has_entitystate());
}

TEST(EntityRun, DeleteOfTheClassItselfTakesThePlaceOfThatOne) {
  const EntityBatchResult response =
      Batch(R"({"balance":5})")
          .Call("delete")
          .Run(AccountClass().Operation("Delete", &Account::Balance));
  EXPECT_THAT(Results(response), ElementsAre("5"));
  EXPECT_TRUE(response.has_entitystate());
}

TEST(EntityRun, UnknownOperationFailsWithTheNamesOfTheKnownOnes) {
  const EntityBatchResult response =
      Batch(R"({"balance":5})").Call("Rob", "1").Run(AccountClass());
  EXPECT_THAT(
      Results(response),
      ElementsAre("failed: entity \"@account@ann\" has no operation \"Rob\", "
                  "but \"Deposit\", \"Balance\", \"Withdraw\", \"Close\", "
                  "\"delete\""));
  const TaskFailureDetails& details =
      response.results(0).failure().failuredetails();
  EXPECT_EQ(details.errortype(), "leasehold::worker::UnknownOperationError");
  EXPECT_TRUE(details.isnonretriable());
  EXPECT_EQ(response.entitystate().value(), R"({"balance":5})");
}

TEST(EntityRun, StateOfAnotherFormFailsTheOperationAndIsKept) {
  const EntityBatchResult response =
      Batch("[1]").Call("Deposit", "1").Run(AccountClass());
  EXPECT_THAT(Results(response), ElementsAre(HasSubstr("failed: [1]: ")));
  EXPECT_EQ(response.entitystate().value(), "[1]");
}

int64_t Tally(EntityContext& entity) {
  int64_t value = entity.StateOr<int64_t>(0);
  if (entity.IsOperation("add")) {
    value += entity.Input<int64_t>();
  } else if (!entity.IsOperation("get")) {
    entity.RefuseOperation({"add", "get"});
  }
  entity.SetState(value);
  return value;
}

TEST(EntityRun, FunctionGetsOperationInputAndState) {
  const EntityBatchResult response = Batch("1")
                                         .Call("Add", "2")
                                         .Call("get")
                                         .Call("delete")
                                         .Call("add", "4")
                                         .Run(&Tally);
  EXPECT_THAT(Results(response), ElementsAre("3", "3", "none", "4"));
  EXPECT_EQ(response.entitystate().value(), "4");
}

TEST(EntityRun, FunctionThatRefusesAnOperationNamesItsOwn) {
  EXPECT_THAT(Results(Batch().Call("sub").Run(&Tally)),
              ElementsAre(HasSubstr("has no operation \"sub\", but \"add\", "
                                    "\"get\", \"delete\"")));
}

TEST(EntityRun, FunctionThatRefusesDeleteHasDoneNothingBefore) {
  const EntityBatchResult response =
      Batch("1").Call("delete").Run([](EntityContext& entity) {
        entity.SignalEntity(EntityId("audit", "a"), "seen");
        entity.SetState(2);
        entity.RefuseOperation({});
      });
  EXPECT_FALSE(response.has_entitystate());
  EXPECT_THAT(response.actions(), IsEmpty());
}

TEST(EntityRun, OperationSignalsAndStarts) {
  const EntityBatchResult response = Batch().Call("go", "1").Run(
      [](EntityContext& entity) -> std::vector<std::string> {
        entity.SignalEntity(entity.id(), "later", NoInput(),
                            absl::FromUnixMillis(1500));
        return {entity.StartOrchestration("Ship"),
                entity.StartOrchestration("Ship"),
                entity.StartOrchestration("Bill", 7,
                                          {.instance_id = "bill-7",
                                           .version = "2",
                                           .at = absl::FromUnixSeconds(9)})};
      });
  ASSERT_EQ(response.actions_size(), 4);
  EXPECT_EQ(response.actions(0).sendsignal().instanceid(), "@account@ann");
  EXPECT_EQ(response.actions(0).sendsignal().scheduledtime().nanos(),
            500'000'000);
  EXPECT_FALSE(response.actions(0).sendsignal().has_input());
  const auto& first = response.actions(1).startneworchestration();
  const auto& second = response.actions(2).startneworchestration();
  const auto& third = response.actions(3).startneworchestration();
  EXPECT_EQ(first.name(), "Ship");
  EXPECT_EQ(first.instanceid().size(), 36u);
  EXPECT_NE(first.instanceid(), second.instanceid());
  EXPECT_EQ(third.instanceid(), "bill-7");
  EXPECT_EQ(third.version().value(), "2");
  EXPECT_EQ(third.input().value(), "7");
  EXPECT_EQ(third.scheduledtime().seconds(), 9);
  EXPECT_THAT(Results(response),
              ElementsAre("[\"" + first.instanceid() + "\",\"" +
                          second.instanceid() + "\",\"bill-7\"]"));
}

TEST(EntityRun, BatchThatRunsAgainStartsTheSame) {
  const auto run = [] {
    return Batch()
        .Call("go")
        .Run([](EntityContext& entity) {
          return entity.StartOrchestration("Ship");
        })
        .SerializeAsString();
  };
  EXPECT_EQ(run(), run());
}

TEST(EntityRun, ResponseSaysWhoAsked) {
  const EntityBatchResult response =
      Batch().Call("get").Signal("get").Run(&Tally);
  ASSERT_EQ(response.operationinfos_size(), 2);
  EXPECT_EQ(response.operationinfos(0).requestid(), "r1");
  EXPECT_EQ(response.operationinfos(0).responsedestination().instanceid(),
            "order-1");
  EXPECT_EQ(response.operationinfos(1).requestid(), "s1");
  EXPECT_FALSE(response.operationinfos(1).has_responsedestination());
}

TEST(EntityRun, NameThatIsNotUtf8FailsTheOperation) {
  EXPECT_THAT(Results(Batch().Call("go").Run([](EntityContext& entity) {
                entity.SignalEntity(entity.id(), "caf\xe9");
              })),
              ElementsAre(HasSubstr("the name of the operation")));
}

TEST(EntityRun, FailedBatchKeepsTheState) {
  TaskFailureDetails why;
  why.set_errormessage("too large");
  const EntityBatchResult response =
      internal::FailBatch(Batch("1").Call("get").Call("get").request(), why);
  EXPECT_THAT(Results(response),
              ElementsAre("failed: too large", "failed: too large"));
  EXPECT_EQ(response.entitystate().value(), "1");
}

TEST(EntityRegistry, NamesAreFoundWithoutRegardToCase) {
  Registry registry;
  registry.AddEntity("Account", AccountClass());
  registry.AddEntity("tally", &Tally);
  EXPECT_THAT(registry.EntityNames(), ElementsAre("account", "tally"));
  EXPECT_NE(FindEntityOf(registry, "@Account@x"), nullptr);
  EXPECT_EQ(FindEntityOf(registry, "@order@x"), nullptr);
  EXPECT_EQ(FindEntityOf(registry, "account"), nullptr);
  registry.AddEntity("ACCOUNT", &Tally);
  EXPECT_EQ(registry.status(),
            absl::AlreadyExistsError("entity \"account\" was added twice"));
}

TEST(EntityRegistry, WrongNamesAreRefused) {
  Registry registry;
  registry.AddEntity("a@b", &Tally);
  EXPECT_EQ(registry.status(),
            absl::InvalidArgumentError(
                "entity \"a@b\": its name must not have an @ in it"));
  Registry twice;
  twice.AddEntity("Account",
                  AccountClass().Operation("CLOSE", &Account::Close));
  EXPECT_EQ(twice.status(),
            absl::AlreadyExistsError("entity \"Account\": operation \"CLOSE\" "
                                     "was added twice"));
}

TEST(EntityIdTest, HasTheNameInLowerCaseAndTheKeyAsItIs) {
  const EntityId id("Account", "Ann@Home");
  EXPECT_EQ(id.text(), "@account@Ann@Home");
  EXPECT_EQ(EntityId::Parse("@ACCOUNT@Ann@Home"), id);
  EXPECT_EQ(EntityId::Parse("@a@").key(), "");
}

TEST(EntityIdTest, IsOrderedByNameAndThenByKey) {
  EXPECT_LT(EntityId("a", "2"), EntityId("a1", "1"));
  EXPECT_LT(EntityId("a", "1"), EntityId("a", "2"));
}

TEST(EntityIdTest, WrongTextIsRefused) {
  EXPECT_THROW(EntityId("", "k"), std::invalid_argument);
  EXPECT_THROW(EntityId("a@b", "k"), std::invalid_argument);
  EXPECT_THROW(EntityId("a", "caf\xe9"), std::invalid_argument);
  EXPECT_THROW(EntityId::Parse("order-1"), std::invalid_argument);
  EXPECT_THROW(EntityId::Parse("@order"), std::invalid_argument);
  EXPECT_THROW(EntityId::Parse("@@k"), std::invalid_argument);
  EXPECT_THROW(EntityId::Parse(""), std::invalid_argument);
}

}  // namespace
}  // namespace leasehold::worker
