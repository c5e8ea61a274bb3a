// ConnectedWorker: what a server says about a worker that is connected to it.
//
// The same as the message `leasehold.v1.Worker`, with times as values of absl.
//
// Thread-safety: safe.   Lifetime: values only.
#ifndef LEASEHOLD_CLIENT_ADMIN_CONNECTED_WORKER_H_
#define LEASEHOLD_CLIENT_ADMIN_CONNECTED_WORKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "leasehold/v1/admin.pb.h"

namespace leasehold::client {

struct ConnectedWorker {
  struct Name {
    std::string name;
    // Empty: of any version. Only the first ones are listed.
    std::vector<std::string> versions;
    friend bool operator==(const Name&, const Name&) = default;
  };
  // What it takes of one kind of work, and has of it.
  struct Work {
    std::string kind;  // `orchestrator`, `activity`, `entity`.
    bool all = false;  // It takes every name.
    // Otherwise the first of the names that it takes, and how many they are.
    std::vector<Name> names;
    int64_t name_count = 0;
    int64_t slots_used = 0;
    int64_t slots = 0;
  };

  uint64_t worker_id = 0;
  std::string address;
  // Empty: the server does not know its callers, or the worker says nothing.
  std::string identity;
  std::string sdk;
  std::string user_agent;
  // It is a part of the server.
  bool built_in = false;
  std::vector<Work> work;
  absl::Time connect_time;
  // When it last answered; if it has not, when it connected.
  absl::Time last_seen_time;
  // It had work for too long, and has answered nothing since.
  bool silent = false;
  // How many names it has said it does not know.
  int64_t unknown_name_count = 0;
  int64_t unread_bytes = 0;
};

ConnectedWorker FromProto(const leasehold::v1::Worker& proto);

}  // namespace leasehold::client

#endif  // LEASEHOLD_CLIENT_ADMIN_CONNECTED_WORKER_H_
