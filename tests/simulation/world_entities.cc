#include "tests/simulation/world_entities.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

InstanceKey KeyOf(const std::string& id) { return NormalKey("default", id); }

}  // namespace

void WorldEntities::Step(Engine& engine, const Heard& heard) {
  ++now_;
  const std::string id = absl::StrCat("e", Uniform(random_, 0, 2));
  switch (Uniform(random_, 0, 4)) {
    case 0:
      return SendSignal(engine, heard);
    case 1:
      return Look(engine, heard);
    case 2:
      return engine.TerminateByForce(KeyOf(id), "gone", false,
                                     [](const absl::Status&) {});
    default: {
      StartRequest request;
      request.key = KeyOf(id);
      request.name = "world";
      request.input = worker_.AnyProgram();
      request.policy =
          PolicyOf(OneIn(random_, 4) ? IfActive::kTerminate : IfActive::kAttach,
                   IfFinished::kReplace);
      engine.Start(std::move(request),
                   [](const absl::StatusOr<StartReceipt>&) {});
    }
  }
}

void WorldEntities::SendSignal(Engine& engine, const Heard& heard) {
  const std::string label = absl::StrCat("s", ++last_label_);
  const std::string entity = worker_.AnyEntity();
  ledger_.Begin(label, entity, /*is_call=*/false, now_);
  engine.entities().Signal(
      {.key = KeyOf(entity), .operation = "append", .request_id = label},
      [this, label, heard](const absl::Status& status) {
        ++now_;
        if (!heard() || !status.ok()) return;
        ++signals_;
        ledger_.Promise(label, true, now_);
      });
}

void WorldEntities::Look(Engine& engine, const Heard& heard) {
  const std::string entity = worker_.AnyEntity();
  engine.entities().GetEntity(
      KeyOf(entity), true,
      [this, entity, heard,
       begin = now_](const absl::StatusOr<std::optional<EntityInfo>>& info) {
        if (!heard() || !info.ok()) return;
        const Payload state = info->has_value() ? (*info)->state : Payload();
        ledger_.Read(entity, state.value_or(""), begin, ++now_);
      });
}

bool WorldEntities::Has(const Item& item) {
  return item.batch || item.id.starts_with("e");
}

void WorldEntities::Answer(NodeWorkExchange& work, const Item& item,
                           bool calm) {
  const WorkName name{.token = item.token, .key = KeyOf(item.id)};
  const auto done = [](const absl::Status&) {};
  if (item.batch) {
    std::vector<HistoryEvent> operations;
    for (const std::string& bytes : item.events) {
      operations.push_back(*DecodeEvent(bytes));
    }
    return work.CompleteEntity(
        name, worker_.AnswerBatch(item.state, operations, calm), done);
  }
  EntityProgram program(item.execution_id);
  for (const auto* events : {&item.past, &item.events}) {
    for (const std::string& bytes : *events) program.See(*DecodeEvent(bytes));
  }
  work.CompleteTurn(name,
                    worker_.AnswerTurn(program, item.execution_id,
                                       /*section_counts=*/true, now_),
                    done);
}

void WorldEntities::BeginCheck(Engine& engine) {
  for (size_t i = 0; i < EntityWorker::kEntities; ++i) {
    const std::string entity = absl::StrCat("@c@", i);
    logs_[entity] = "";
    engine.entities().GetEntity(
        KeyOf(entity), true,
        [this, entity](const absl::StatusOr<std::optional<EntityInfo>>& info) {
          if (!info.ok() || !info->has_value()) return;
          logs_[entity] = (*info)->state.value_or("");
        });
  }
}

std::optional<std::string> WorldEntities::Check(Store& store) const {
  std::optional<std::string> wrong = worker_.violation();
  const absl::Status read =
      store.ReadAwake(kOnlyPartition, [&wrong](const AwakeEntity& one) {
        wrong = absl::StrCat(one.row.id, " never rests");
      });
  if (!read.ok()) return read.ToString();
  if (wrong.has_value()) return wrong;
  return ledger_.FindContradiction(logs_);
}

}  // namespace leasehold
