// EntityId: which entity: `@name@key`.
//
// The name says which code runs its operations, without regard to case: it is
// kept in lower case. The key says which of the entities of that name, and is
// kept as it is.
//
// Thread-safety: a value.
#ifndef LEASEHOLD_CLIENT_WORKER_ENTITY_ID_H_
#define LEASEHOLD_CLIENT_WORKER_ENTITY_ID_H_

#include <compare>
#include <string>
#include <string_view>

namespace leasehold::worker {

class EntityId {
 public:
  // std::invalid_argument: the name is empty or has an "@" in it, or one of
  // them is not UTF-8.
  EntityId(std::string_view name, std::string_view key);
  // From its text. std::invalid_argument: it is not of the form `@name@key`.
  static EntityId Parse(std::string_view text);

  const std::string& name() const { return name_; }
  const std::string& key() const { return key_; }
  std::string text() const { return "@" + name_ + "@" + key_; }

  // By name, then by key. Locks are taken in this order.
  friend auto operator<=>(const EntityId&, const EntityId&) = default;
  friend bool operator==(const EntityId&, const EntityId&) = default;

 private:
  std::string name_;
  std::string key_;
};

namespace internal {

// Names of entities and operations are compared in this form.
std::string LowerCase(std::string_view name);

// std::invalid_argument, which names `what`: `text` is not UTF-8. (A name or an
// ID cannot be repaired.)
void RequireUtf8(std::string_view what, std::string_view text);

}  // namespace internal
}  // namespace leasehold::worker

#endif  // LEASEHOLD_CLIENT_WORKER_ENTITY_ID_H_
