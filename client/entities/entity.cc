#include "client/entities/entity.h"

#include "client/wire/timestamp.h"

namespace leasehold::client {

EntityInfo FromProto(const leasehold::v1::EntityInfo& proto) {
  EntityInfo info;
  info.instance_id = proto.instance_id();
  info.exists = proto.exists();
  if (proto.has_state()) info.state = proto.state();
  if (proto.has_update_time())
    info.update_time = FromProto(proto.update_time());
  info.waiting_count = proto.waiting_count();
  info.waiting_for = proto.waiting_for();
  if (!proto.has_lock()) return info;
  const leasehold::v1::EntityLock& lock = proto.lock();
  info.lock = EntityLock{.holder = lock.holder(),
                         .section_id = lock.section_id(),
                         .lock_time = FromProto(lock.lock_time()),
                         .expire_time = {}};
  if (lock.has_expire_time()) {
    info.lock->expire_time = FromProto(lock.expire_time());
  }
  return info;
}

}  // namespace leasehold::client
