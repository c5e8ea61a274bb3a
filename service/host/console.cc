#include "service/host/console.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "lease/base/quote.h"
#include "lease/base/view.h"

namespace leasehold {

void Console::Line(std::string_view what, std::string_view instance_id,
                   const std::string& more) {
  std::string line =
      absl::StrFormat("%-18s %s", View(what), QuoteForMessage(instance_id));
  if (!more.empty()) absl::StrAppend(&line, "  ", more);
  writer_.Write(line);
}

void Console::OnRequest(std::string_view method, const InstanceRequest& request,
                        std::string_view text) {
  Line("operation request", request.key.id,
       absl::StrCat(View(method), " ", QuoteForMessage(text)));
  Line(request.id_generated ? "ID generated" : "ID found", request.key.id, "");
}

void Console::OnResponse(std::string_view method,
                         const InstanceContext& context,
                         std::string_view text) {
  Line("operation response", context.id(),
       absl::StrCat(View(method), " ", QuoteForMessage(text)));
}

void Console::OnSingletonCreated(std::string_view instance_id) {
  writer_.Write(absl::StrCat("Creating singleton instance with ID = ",
                             View(instance_id)));
}

void Console::OnWork(std::string_view what, std::string_view instance_id,
                     const std::string& more) {
  if (!instance_id.empty()) return Line(what, instance_id, more);
  writer_.Write(absl::StrFormat("%-18s %s", View(what), more));
}

void Console::OnEvent(const InstanceEvent& event) {
  const std::string timeout = absl::FormatDuration(event.idle_timeout);
  switch (event.kind) {
    case InstanceEventKind::kCreated:
      Line("context created", event.instance_id,
           absl::StrCat("generation ", event.generation, ", idle timeout ",
                        timeout));
      break;
    case InstanceEventKind::kIdle:
      Line("lease started", event.instance_id, timeout);
      break;
    case InstanceEventKind::kBusy:
      Line("lease stopped", event.instance_id, "");
      break;
    case InstanceEventKind::kRenewed:
      Line("lease renewed", event.instance_id, timeout);
      break;
    case InstanceEventKind::kExpired:
      Line("lease expired", event.instance_id, "");
      break;
    case InstanceEventKind::kClosed:
      Line("context removed", event.instance_id,
           absl::StrCat("generation ", event.generation, ", ",
                        View(DetachReasonName(event.reason))));
      break;
    case InstanceEventKind::kDetachFailed:
      Line("detach failed", event.instance_id,
           absl::StrCat(View(event.extension), ": ", event.status.ToString()));
      break;
    case InstanceEventKind::kOpenFailed:
      Line("context failed", event.instance_id, event.status.ToString());
      break;
    case InstanceEventKind::kHeldByProvider:
      Line("held by provider", event.instance_id, "it says: not idle");
      break;
    case InstanceEventKind::kThrew:
      Line("code threw", event.instance_id,
           absl::StrCat(View(event.code), ": ", event.status.ToString()));
      break;
    case InstanceEventKind::kPinsChanged:
    case InstanceEventKind::kClosing:
      break;
  }
}

}  // namespace leasehold
