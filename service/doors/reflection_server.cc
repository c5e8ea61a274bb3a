#include "service/doors/reflection_server.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/support/time.h>
#include <grpcpp/alarm.h>

#include <memory>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

template <typename Response>
void SetError(Response& response, absl::StatusCode code,
              const std::string& message) {
  response.mutable_error_response()->set_error_code(static_cast<int>(code));
  response.mutable_error_response()->set_error_message(message);
}

// The file and all that it imports, each once.
template <typename Files>
void AddFile(const FileDescriptor* file, std::set<const FileDescriptor*>& seen,
             Files& files) {
  if (!seen.insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  files.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) {
    AddFile(file->dependency(i), seen, files);
  }
}

template <typename Response>
void SetFile(const FileDescriptor* file, const std::string& asked,
             Response& response) {
  if (file == nullptr) {
    SetError(response, absl::StatusCode::kNotFound,
             absl::StrCat("there is no ", asked, " here"));
    return;
  }
  std::set<const FileDescriptor*> seen;
  AddFile(file, seen, *response.mutable_file_descriptor_response());
}

template <typename Response>
void SetExtensions(const std::string& type, Response& response) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  const Descriptor* message = pool->FindMessageTypeByName(type);
  if (message == nullptr) {
    SetError(response, absl::StatusCode::kNotFound,
             absl::StrCat("there is no message type \"", type, "\" here"));
    return;
  }
  auto& numbers = *response.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(type);
  std::vector<const FieldDescriptor*> extensions;
  pool->FindAllExtensions(message, &extensions);
  for (const FieldDescriptor* extension : extensions) {
    numbers.add_extension_number(extension->number());
  }
}

template <typename Request, typename Response>
void Answer(const Request& request, const std::vector<std::string>& services,
            Response& response) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      SetFile(pool->FindFileByName(request.file_by_filename()),
              absl::StrCat("file \"", request.file_by_filename(), "\""),
              response);
      return;
    case Request::kFileContainingSymbol:
      SetFile(pool->FindFileContainingSymbol(request.file_containing_symbol()),
              absl::StrCat("symbol \"", request.file_containing_symbol(), "\""),
              response);
      return;
    case Request::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const Descriptor* type =
          pool->FindMessageTypeByName(asked.containing_type());
      const FieldDescriptor* extension =
          type == nullptr
              ? nullptr
              : pool->FindExtensionByNumber(type, asked.extension_number());
      SetFile(extension == nullptr ? nullptr : extension->file(),
              absl::StrCat("extension ", asked.extension_number(), " of \"",
                           asked.containing_type(), "\""),
              response);
      return;
    }
    case Request::kAllExtensionNumbersOfType:
      SetExtensions(request.all_extension_numbers_of_type(), response);
      return;
    case Request::kListServices:
      for (const std::string& service : services) {
        response.mutable_list_services_response()->add_service()->set_name(
            service);
      }
      return;
    case Request::MESSAGE_REQUEST_NOT_SET:
      break;
  }
  SetError(response, absl::StatusCode::kInvalidArgument,
           "the request asks nothing that is known here");
}

// Ends a stream when its time is over, unless it is stopped before. It rings,
// or returns after Stop, on the stream's queue, and then frees itself: it may
// outlive the call.
class IdleAlarm final : public CompletionTag {
 public:
  // `*holder` points to it until it rings or is stopped.
  IdleAlarm(StreamCall& call, absl::Duration after, IdleAlarm** holder)
      : stream_(call.control()), after_(after), holder_(holder) {
    *holder_ = this;
    CompletionTag* tag = this;
    alarm_.Set(
        call.queue().queue(),
        gpr_time_from_nanos(absl::ToInt64Nanoseconds(after), GPR_TIMESPAN),
        tag);
  }
  void Stop() {
    *std::exchange(holder_, nullptr) = nullptr;
    alarm_.Cancel();
  }

 private:
  void OnCompleted(bool) override {
    if (holder_ != nullptr) {
      *holder_ = nullptr;
      stream_->End(absl::UnavailableError(
          absl::StrCat("nothing has moved on this reflection stream for ",
                       absl::FormatDuration(after_), "; open another")));
    }
    delete this;
  }

  const std::shared_ptr<StreamControl> stream_;
  const absl::Duration after_;
  IdleAlarm** holder_;  // Null: stopped.
  grpc::Alarm alarm_;
};

}  // namespace

template <typename Version>
CallTask ReflectionServer<Version>::ServeInfo(MethodQueue& calls) {
  using Request = typename Version::Request;
  using Response = typename Version::Response;
  BidiStreamCall<Request, Response> call(calls);
  if (!co_await call.Accept(service_, &Service::RequestServerReflectionInfo)) {
    co_return;
  }
  ServeInfo(calls);
  if (!co_await call.Pass()) co_return;

  bool open = true;
  bool written = true;
  while (open) {
    IdleAlarm* alarm = nullptr;
    new IdleAlarm(call, idle_timeout_, &alarm);
    open = co_await call.Read();
    if (open) {
      Response response;
      Answer(call.request(), services_, response);
      written = open = co_await call.Write(response);
    }
    if (alarm != nullptr) alarm->Stop();
  }
  // A client that does not take its answer would not take the end either.
  if (!written) call.context().TryCancel();
  co_await call.Finish(call.EndStatus(absl::OkStatus()));
}

template class ReflectionServer<ReflectionV1>;
template class ReflectionServer<ReflectionV1Alpha>;

}  // namespace leasehold
