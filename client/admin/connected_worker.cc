#include "client/admin/connected_worker.h"

#include <utility>

#include "client/wire/timestamp.h"

namespace leasehold::client {

ConnectedWorker FromProto(const leasehold::v1::Worker& proto) {
  ConnectedWorker worker;
  worker.worker_id = proto.worker_id();
  worker.address = proto.address();
  worker.identity = proto.identity();
  worker.sdk = proto.sdk();
  worker.user_agent = proto.user_agent();
  worker.built_in = proto.built_in();
  for (const leasehold::v1::Worker::Work& from : proto.work()) {
    ConnectedWorker::Work& work = worker.work.emplace_back();
    work.kind = from.kind();
    work.all = from.all();
    for (const leasehold::v1::Worker::Name& name : from.names()) {
      work.names.push_back(
          {name.name(), {name.versions().begin(), name.versions().end()}});
    }
    work.name_count = from.name_count();
    work.slots_used = from.slots_used();
    work.slots = from.slots();
  }
  worker.connect_time = FromProto(proto.connect_time());
  worker.last_seen_time = FromProto(proto.last_seen_time());
  worker.silent = proto.silent();
  worker.unknown_name_count = proto.unknown_name_count();
  worker.unread_bytes = proto.unread_bytes();
  return worker;
}

}  // namespace leasehold::client
