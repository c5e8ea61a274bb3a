// JoinReactor: one caller who listens in a room, over gRPC's callback API.
//
// It waits for its room without a thread, holds it (and so keeps it open) as
// long as the call lasts, and is woken by what other calls say there. Lines
// that the caller has not read yet are kept, up to a bound: then it is shown
// out.
//
// Thread-safety: safe.   Lifetime: deletes itself when its call is done.
#ifndef CHAT_ROOM_JOIN_REACTOR_H_
#define CHAT_ROOM_JOIN_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "chat_room.pb.h"
#include "room.h"
#include "service/server/instances.h"
#include "service/server/status_mapping.h"

class JoinReactor final : public grpc::ServerWriteReactor<chat::v1::Line>,
                          private Listener {
 public:
  static constexpr size_t kUnreadMax = 100;

  JoinReactor(leasehold::Instances& instances,
              grpc::CallbackServerContext* call) {
    wait_ = instances.Bind<Room>(
        *call, [this](absl::StatusOr<leasehold::Bound<Room>> room) {
          OnRoom(std::move(room));
        });
  }

 private:
  void OnRoom(absl::StatusOr<leasehold::Bound<Room>> room) {
    if (room.ok()) {
      room_ = *std::move(room);
      (*room_)->Enter(this);  // In before the caller is told so.
      StartSendInitialMetadata();
    }
    std::optional<grpc::Status> end;
    {
      const std::lock_guard lock(mu_);
      bound_ = true;
      if (!room.ok() && !end_.has_value()) {
        end_ = leasehold::ToGrpcStatus(room.status());
      }
      end = end_;
      if (!end.has_value() && !unread_.empty()) StartWrite(&unread_.front());
    }
    if (end.has_value()) Finish(*end);  // Then OnDone may come at any moment.
  }

  void Hear(const chat::v1::Line& line) override {
    const std::lock_guard lock(mu_);
    if (end_.has_value()) return;
    if (unread_.size() == kUnreadMax) {
      return End({grpc::StatusCode::RESOURCE_EXHAUSTED, "you read too slowly"});
    }
    unread_.push_back(line);
    // The response headers go first.
    if (bound_ && unread_.size() == 1) StartWrite(&unread_.front());
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mu_);
    if (!ok) return End(grpc::Status::CANCELLED);
    unread_.pop_front();
    if (!end_.has_value() && !unread_.empty()) StartWrite(&unread_.front());
  }

  void OnCancel() override {
    wait_.Cancel();  // If it still waits, OnRoom is told so in here.
    const std::lock_guard lock(mu_);
    End(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    if (room_.has_value()) (*room_)->Leave(this);
    delete this;
  }

  // With mu_ held. The first one counts. A call that has no answer from Bind
  // yet must not end: OnRoom ends it.
  void End(const grpc::Status& status) {
    if (end_.has_value()) return;
    end_ = status;
    if (bound_) Finish(status);
  }

  leasehold::WaitHandle wait_;
  // Set before anything is said to it; gone in OnDone.
  std::optional<leasehold::Bound<Room>> room_;

  std::mutex mu_;                      // Guards what follows.
  std::deque<chat::v1::Line> unread_;  // The first one is being written.
  std::optional<grpc::Status> end_;
  bool bound_ = false;
};

#endif  // CHAT_ROOM_JOIN_REACTOR_H_
