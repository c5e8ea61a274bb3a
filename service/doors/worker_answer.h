// WorkerAnswer: a worker's answer to a work item, whatever state its bytes are
// in.
//
// A worker answers once and does not try again. So an answer that cannot be
// accepted must not be lost: its item would be out for ever. The bytes name the
// item even if they are not a valid message; so each of these ends the item:
//
//   too large, text that is not UTF-8, nested too deep   the item fails, with
//                                                        the field and the rule
//   the same inside a failure's details                  they are repaired
//   says nothing that could be done                      as if not answered:
//   the
//                                                        item goes out again
//
// Thread-safety: safe.
#ifndef LEASEHOLD_SERVICE_DOORS_WORKER_ANSWER_H_
#define LEASEHOLD_SERVICE_DOORS_WORKER_ANSWER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/orchestration/bounds.h"
#include "service/orchestration/entity_batch.h"
#include "service/orchestration/history.h"
#include "service/orchestration/turn.h"
#include "service/orchestration/work_exchange.h"
#include "service/rpc/caller.h"

namespace leasehold {

// Both clear the bytes that they could read. The work belongs to the tenant of
// `caller`, a worker.

struct ActivityAnswer {
  WorkName name;
  EventBody end;  // TaskCompleted or TaskFailed.
};
//   InvalidArgument: the answer cannot be read, and names no work.
absl::StatusOr<ActivityAnswer> ReadActivityAnswer(
    grpc::ByteBuffer& bytes, const Caller& caller,
    size_t bytes_max = kAnswerBytesMax);

struct OrchestratorAnswer {
  WorkName name;
  bool wants_history = false;  // The worker has done nothing yet.
  // InvalidArgument: an action is empty.
  absl::StatusOr<TurnAnswer> turn;
};
//   As above.
absl::StatusOr<OrchestratorAnswer> ReadOrchestratorAnswer(
    grpc::ByteBuffer& bytes, const Caller& caller,
    size_t bytes_max = kAnswerBytesMax);

struct EntityAnswer {
  WorkName name;
  // InvalidArgument: an action is empty, or breaks a limit; or the answer
  // cannot be read.
  absl::StatusOr<BatchAnswer> batch;
};
//   InvalidArgument: the answer cannot be read, and names no work.
absl::StatusOr<EntityAnswer> ReadEntityAnswer(
    grpc::ByteBuffer& bytes, const Caller& caller,
    size_t bytes_max = kAnswerBytesMax);

// Each reads an answer and hands it to the exchange, as what it is: the end of
// its item, or a refusal that says why the answer was not accepted.
void AnswerActivity(WorkExchange& work, const Caller& caller,
                    grpc::ByteBuffer& bytes, DoneStatus done);
void AnswerTurn(WorkExchange& work, const Caller& caller,
                grpc::ByteBuffer& bytes, DoneStatus done);
void AnswerEntity(WorkExchange& work, const Caller& caller,
                  grpc::ByteBuffer& bytes, DoneStatus done);

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_DOORS_WORKER_ANSWER_H_
