// Two channels share one instance, which counts over both of them. While the
// session is there, both hold it; its lease begins when they are closed.
//
// usage: shared_counter [ADDRESS [ID]]
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "leasehold/client/session/shared_session.h"

using leasehold::client::SharedSession;
using leasehold::client::SharedSessionOptions;

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:4001";
  SharedSessionOptions options;
  options.instance_id = argc > 2 ? argv[2] : "room-1";
  options.on_generation_change = [](uint64_t, uint64_t) {
    std::puts("It was re-created: what it had in memory is gone.");
  };
  const auto session = SharedSession::Connect({address, address}, options);
  if (!session.ok()) {
    std::fprintf(stderr, "%s\n", session.status().ToString().c_str());
    return 1;
  }
  for (const size_t channel : {0, 1}) {
    const auto reply = (*session)->Echo("Apple", channel);
    if (!reply.ok()) {
      std::fprintf(stderr, "%s\n", reply.status().ToString().c_str());
      return 1;
    }
    std::printf("%s %d\n", reply->text.c_str(),
                static_cast<int>(reply->sequence));
  }
  return 0;
}
