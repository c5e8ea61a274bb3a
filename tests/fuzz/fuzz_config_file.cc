// Fuzzes the server's config file: what is taken keeps the bounds that --help
// promises; what is refused, is refused in one line.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/host/server_options.h"
#include "tests/fuzz/property.h"

namespace {

// A file without a name, with `size` bytes at `data`.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size)
      : descriptor_(memfd_create("config", MFD_CLOEXEC)) {
    leasehold::Property(
        write(descriptor_, data, size) == static_cast<ssize_t>(size),
        "the fuzzer can write a file");
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const {
    return "/proc/self/fd/" + std::to_string(descriptor_);
  }

 private:
  const int descriptor_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::Property;
  const MemoryFile file(data, size);
  const std::string flag = "--config=" + file.path();
  const char* const arguments[] = {"leasehold-server", flag.c_str()};
  const auto parsed = leasehold::ParseServerOptions(2, arguments);
  if (!parsed.ok()) {
    Property(parsed.status().code() == absl::StatusCode::kInvalidArgument,
             "a refusal is INVALID_ARGUMENT");
    Property(!parsed.status().message().empty(), "a refusal says why");
    Property(parsed.status().message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
    return 0;
  }
  const auto* options = std::get_if<leasehold::ServerOptions>(&*parsed);
  if (options == nullptr) return 0;  // It asks for help.
  Property(options->idle_timeout_min <= options->idle_timeout &&
               options->idle_timeout <= options->idle_timeout_max,
           "the idle timeout is within its bounds");
  for (const auto& [service, timeout] : options->service_idle_timeouts) {
    Property(options->idle_timeout_min <= timeout &&
                 timeout <= options->idle_timeout_max,
             "a service's idle timeout is within the bounds");
  }
  Property(options->drain_timeout >= absl::ZeroDuration() &&
               options->detach_timeout >= absl::ZeroDuration(),
           "no timeout is below zero");
  Property(options->contexts_max > 0 && options->queue_threads > 0 &&
               options->user_threads > 0,
           "counts are above zero");
  for (const auto& address : options->listen) {
    Property(options->insecure || address.IsLoopback(),
             "without --insecure all addresses are loopback");
  }
  return 0;
}
