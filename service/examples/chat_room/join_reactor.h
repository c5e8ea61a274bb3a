// JoinReactor: one caller who listens in a room, over gRPC's callback API.
//
// It waits for its room without a thread, keeps the room open as long as the
// call lasts, and is woken by what other calls say there. Unread lines are kept
// up to a limit; beyond that the caller is removed. If the server drains, or
// the room is released by force, the caller is removed at once, rather than
// cancelled later.
//
// Thread-safety: safe.   Lifetime: deletes itself when its call is done.
#ifndef CHAT_ROOM_JOIN_REACTOR_H_
#define CHAT_ROOM_JOIN_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "chat_room.pb.h"
#include "leasehold/service/embed/instances.h"
#include "leasehold/service/rpc/status_mapping.h"
#include "room.h"

class JoinReactor final : public grpc::ServerWriteReactor<chat::v1::Line>,
                          private Listener {
 public:
  static constexpr size_t kUnreadMax = 100;

  JoinReactor(leasehold::Instances& instances,
              grpc::CallbackServerContext* call) {
    wait_ = instances.Bind<Room>(
        *call,
        [this](absl::StatusOr<leasehold::Bound<Room>> room) {
          OnRoom(std::move(room));
        },
        usher_);
  }

 private:
  // Removes the caller when it should leave; may outlive the reactor.
  class Usher final : public leasehold::ReleaseListener {
   public:
    explicit Usher(JoinReactor& reactor) : reactor_(&reactor) {}
    void OnForcedRelease() override {
      ShowOut({grpc::StatusCode::ABORTED, "the room is closed"});
    }
    void OnDraining() override {
      ShowOut({grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
    }
    void Leave() {
      const std::lock_guard lock(mu_);
      reactor_ = nullptr;
    }

   private:
    void ShowOut(const grpc::Status& status) {
      const std::lock_guard lock(mu_);
      if (reactor_ != nullptr) reactor_->ShowOut(status);
    }

    std::mutex mu_;
    JoinReactor* reactor_;
  };

  void ShowOut(const grpc::Status& status) {
    const std::lock_guard lock(mu_);
    End(status);
  }

  void OnRoom(absl::StatusOr<leasehold::Bound<Room>> room) {
    if (room.ok()) {
      room_ = *std::move(room);
      (*room_)->Enter(this);  // Before the caller learns that it is in.
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
    if (end.has_value()) Finish(*end);  // OnDone may now run at any moment.
  }

  void Hear(const chat::v1::Line& line) override {
    const std::lock_guard lock(mu_);
    if (end_.has_value()) return;
    if (unread_.size() == kUnreadMax) {
      return End({grpc::StatusCode::RESOURCE_EXHAUSTED, "you read too slowly"});
    }
    unread_.push_back(line);
    // The response headers must be sent first.
    if (bound_ && unread_.size() == 1) StartWrite(&unread_.front());
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mu_);
    if (!ok) return End(grpc::Status::CANCELLED);
    unread_.pop_front();
    if (!end_.has_value() && !unread_.empty()) StartWrite(&unread_.front());
  }

  void OnCancel() override {
    wait_.Cancel();  // If still waiting, this calls OnRoom.
    const std::lock_guard lock(mu_);
    End(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    usher_->Leave();
    if (room_.has_value()) (*room_)->Leave(this);
    delete this;
  }

  // Call with mu_ held. The first status counts. While Bind has not answered,
  // the call must not finish: OnRoom finishes it.
  void End(const grpc::Status& status) {
    if (end_.has_value()) return;
    end_ = status;
    if (bound_) Finish(status);
  }

  const std::shared_ptr<Usher> usher_ = std::make_shared<Usher>(*this);
  leasehold::WaitHandle wait_;
  // Set before anyone speaks to it; reset in OnDone.
  std::optional<leasehold::Bound<Room>> room_;

  std::mutex mu_;                      // Guards the following members.
  std::deque<chat::v1::Line> unread_;  // The first one is being written.
  std::optional<grpc::Status> end_;
  bool bound_ = false;
};

#endif  // CHAT_ROOM_JOIN_REACTOR_H_
