#include "service/embed/call_wait.h"

#include "absl/strings/str_cat.h"
#include "service/embed/chain_metadata.h"

namespace leasehold::internal {

// ---- CallWait

CallWait::CallWait(const BinderCore& core, const ServiceOptions& service,
                   const grpc::ServerContextBase& call, std::string_view method)
    : CallWait(core,
               core.door.Read(
                   call,
                   {.service = service.name, .name = {}, .role = service.role}),
               service, call, method) {}

namespace {

InstanceRequest Wanted(const BinderCore& core,
                       absl::StatusOr<InstanceRequest>& request,
                       const ServiceOptions& service,
                       const RequestMetadata& metadata) {
  InstanceRequest wanted;
  if (request.ok()) wanted = *std::move(request);
  wanted.metadata = &metadata;
  wanted.service_idle_timeout = service.idle_timeout > absl::ZeroDuration()
                                    ? service.idle_timeout
                                    : core.idle_timeout;
  wanted.provider =
      service.provider != nullptr ? service.provider : &core.provider;
  return wanted;
}

}  // namespace

CallWait::CallWait(const BinderCore& core,
                   absl::StatusOr<InstanceRequest> request,
                   const ServiceOptions& service,
                   const grpc::ServerContextBase& call, std::string_view method)
    : CallMetadata(call, service.name, method),
      PinWaiter(Wanted(core, request, service, *this)),
      core_(core),
      request_status_(request.status()) {}

void CallWait::AwaitPin() {
  if (!request_status_.ok()) return OnPinned(request_status_);
  InstanceRegistry& registry = core_.door.registry();
  if (std::optional<absl::StatusOr<PinGrant>> grant = registry.Acquire(*this)) {
    return OnPinned(*std::move(grant));
  }
  switch (pin_gate_.Park([&] { return registry.CancelWait(*this); })) {
    case WaitGate::Parked::kWaits:
      return;
    case WaitGate::Parked::kAnswered:
      return OnPinned(*std::move(grant_));
    case WaitGate::Parked::kCancelled:
      return OnPinned(absl::CancelledError(
          "the call ended while it waited for its instance"));
  }
}

void CallWait::OnGrant(absl::StatusOr<PinGrant> grant) {
  grant_ = std::move(grant);
  // If the registry answers while it is asked, AwaitPin goes on by itself.
  if (!pin_gate_.Answer()) return;
  elsewhere_ = true;
  // Code that frees another call must not need what waiting calls occupy.
  if (!grant_->ok() && FailsInPlace()) return OnPinned(*std::move(grant_));
  Executor& executor = grant_->ok() ? core_.executor : core_.failures;
  executor.Post([this] { OnPinned(*std::move(grant_)); });
}

void CallWait::AwaitAccess(SerialQueue& queue, std::string method,
                           CallChain chain) {
  queue_ = &queue;
  if (std::optional<SerialAccess> access = queue.Acquire(
          core_.access_timer, *this, std::move(method), std::move(chain))) {
    return OnHasAccess(*std::move(access));
  }
  switch (access_gate_.Park([&] { return queue.CancelWait(*this); })) {
    case WaitGate::Parked::kWaits:
      return;
    case WaitGate::Parked::kAnswered:
      return OnHasAccess(*std::move(access_));
    case WaitGate::Parked::kCancelled:
      return OnHasAccess(
          absl::CancelledError("the call ended while it waited for access"));
  }
}

void CallWait::OnAccess(absl::StatusOr<SerialAccess> access) {
  access_ = std::move(access);
  if (!access_gate_.Answer()) return;
  // With access this is the executor; without one, no user code runs.
  OnHasAccess(*std::move(access_));
}

void CallWait::Cancel() {
  if (pin_gate_.Cancel() && core_.door.registry().CancelWait(*this)) {
    return OnPinned(absl::CancelledError(
        "the call ended while it waited for its instance"));
  }
  if (access_gate_.Cancel() && queue_->CancelWait(*this)) {
    OnHasAccess(
        absl::CancelledError("the call ended while it waited for access"));
  }
}

// ---- MessageWait

void MessageWait::Begin(AccessTimer& timer, SerialQueue& queue,
                        std::string method, CallChain chain) {
  self_ = shared_from_this();
  queue_ = &queue;
  if (std::optional<SerialAccess> access =
          queue.Acquire(timer, *this, std::move(method), std::move(chain))) {
    return Finish(*std::move(access));
  }
  if (gate_.Park([] { return false; }) == WaitGate::Parked::kAnswered) {
    Finish(*std::move(access_));
  }
}

void MessageWait::OnAccess(absl::StatusOr<SerialAccess> access) {
  access_ = std::move(access);
  if (!gate_.Answer()) return;
  if (access_->ok() || failures_ == nullptr) return FinishElsewhere();
  failures_->Post([this] { FinishElsewhere(); });
}

void MessageWait::FinishElsewhere() {
  const std::shared_ptr<MessageWait> self = self_;
  try {
    Finish(*std::move(access_));
  } catch (...) {
    threw_();
  }
}

void MessageWait::Cancel() {
  if (gate_.Cancel() && queue_->CancelWait(*this)) {
    Finish(
        absl::CancelledError("the message was given up while it waited for its "
                             "access"));
  }
}

void MessageWait::Finish(absl::StatusOr<SerialAccess> access) {
  const std::shared_ptr<MessageWait> self = std::move(self_);
  access_.reset();
  Then then = std::move(then_);
  std::move(then)(std::move(access));
}

// ---- Binding

// Cancels the call, as long as there is one.
class Binding::CancelOnRelease final : public ReleaseListener {
 public:
  explicit CancelOnRelease(grpc::ServerContextBase& call) : call_(&call) {}

  void OnForcedRelease() override {
    MutexLock lock(mu_);
    if (call_ != nullptr) call_->TryCancel();
  }
  void Close() {
    MutexLock lock(mu_);
    call_ = nullptr;
  }

 private:
  Mutex mu_;
  grpc::ServerContextBase* call_ ABSL_GUARDED_BY(mu_);
};

Binding::Binding(const BinderCore& core, grpc::ServerContextBase& call,
                 PinGrant grant, std::shared_ptr<ReleaseListener> listener)
    : core_(core), call_(call), created_(grant.created) {
  if (listener == nullptr) {
    canceller_ = std::make_shared<CancelOnRelease>(call);
    listener = canceller_;
  }
  pin_.emplace(std::move(grant.pin), PinKind::kCall, std::move(listener));
}

Binding::~Binding() {
  if (canceller_ != nullptr) canceller_->Close();
}

absl::Status InInstance(const InstanceContext& context,
                        const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("instance ", QuoteForMessage(context.id()),
                                   ": ", std::string(status.message())));
}

absl::StatusOr<CallChain> ChainFor(const grpc::ServerContextBase& call,
                                   bool adds) {
  absl::StatusOr<CallChain> chain = ReadCallChain(call);
  if (chain.ok() && adds && chain->full()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the call comes by a chain of ", CallChain::kLinksMax,
        " calls that wait for one another, the most that are allowed"));
  }
  return chain;
}

CallChain ChainWith(const CallChain& chain, const SerialAccess& access) {
  CallChain longer = chain;
  if (const std::optional<CallChain::Link> link = access.link()) {
    longer.Add(*link);
  }
  return longer;
}

grpc::Status AnswerDropped(const BinderCore& core,
                           const InstanceContext& context,
                           std::string_view method) {
  const std::string name(method);
  core.door.registry().TellThrew(
      context, absl::StrCat("handler ", name),
      "it dropped its PendingAnswer, and so gave no answer");
  return grpc::Status(grpc::StatusCode::INTERNAL,
                      absl::StrCat(name, " gave no answer"));
}

grpc::Status HandlerThrew(const BinderCore& core,
                          const InstanceContext& context,
                          std::string_view method) {
  core.door.registry().OnThrew(context,
                               absl::StrCat("handler ", std::string(method)));
  return grpc::Status(grpc::StatusCode::UNKNOWN,
                      "Unexpected error in RPC handling");
}

void ContinuationThrew(const BinderCore& core, grpc::ServerContextBase& call,
                       const InstanceKey& key, uint64_t generation) {
  core.door.registry().OnThrew(key, generation, "the continuation of a Bind");
  call.TryCancel();
}

absl::Status StateFailed(const BinderCore& core, const InstanceContext& context,
                         const absl::Status& status) {
  core.door.registry().TellThrew(context, "the making of a state",
                                 std::string(status.message()));
  return status;
}

}  // namespace leasehold::internal
