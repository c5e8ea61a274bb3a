#include "client/cli/instance_order.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <tuple>

#include "absl/strings/ascii.h"
#include "client/cli/values.h"

namespace leasehold::client::cli {
namespace {

constexpr InstanceOrder kOrders[] = {InstanceOrder::kId, InstanceOrder::kAge,
                                     InstanceOrder::kLease,
                                     InstanceOrder::kState};

bool IsDigit(char c) {
  return absl::ascii_isdigit(static_cast<unsigned char>(c));
}

// The number that `text` begins with, without the zeros before it, and what is
// left after it.
std::string_view TakeNumber(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

bool IdIsBefore(const std::string& one, const std::string& other) {
  std::string_view a = one;
  std::string_view b = other;
  while (!a.empty() && !b.empty()) {
    if (IsDigit(a[0]) && IsDigit(b[0])) {
      const std::string_view number_a = TakeNumber(a);
      const std::string_view number_b = TakeNumber(b);
      if (number_a != number_b) {
        return std::make_tuple(number_a.size(), number_a) <
               std::make_tuple(number_b.size(), number_b);
      }
      continue;
    }
    if (a[0] != b[0]) return a[0] < b[0];
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.empty() != b.empty()) return a.empty();
  return one < other;  // They differ in zeros at most.
}

bool IsBefore(const Instance& a, const Instance& b, InstanceOrder order) {
  switch (order) {
    case InstanceOrder::kAge:
      if (a.create_time != b.create_time) return a.create_time > b.create_time;
      break;
    case InstanceOrder::kLease: {
      const absl::Duration ends_a =
          a.lease_remaining.value_or(absl::InfiniteDuration());
      const absl::Duration ends_b =
          b.lease_remaining.value_or(absl::InfiniteDuration());
      if (ends_a != ends_b) return ends_a < ends_b;
      break;
    }
    case InstanceOrder::kState:
      if (a.state != b.state) return a.state < b.state;
      break;
    case InstanceOrder::kId:
      break;
  }
  return IdIsBefore(a.instance_id, b.instance_id);
}

}  // namespace

const char* InstanceOrderName(InstanceOrder order) {
  switch (order) {
    case InstanceOrder::kId:
      return "id";
    case InstanceOrder::kAge:
      return "age";
    case InstanceOrder::kLease:
      return "lease";
    case InstanceOrder::kState:
      return "state";
  }
  return "";
}

absl::StatusOr<InstanceOrder> ReadInstanceOrder(const std::string& text) {
  for (const InstanceOrder order : kOrders) {
    if (text == InstanceOrderName(order)) return order;
  }
  return WrongValue(text, "not an order; write id, age, lease or state");
}

InstanceOrder NextInstanceOrder(InstanceOrder order) {
  return order == InstanceOrder::kState
             ? InstanceOrder::kId
             : static_cast<InstanceOrder>(static_cast<int>(order) + 1);
}

void AddSortOption(CLI::App& app, InstanceOrder& order) {
  AddValue(app, "--sort", order, ReadInstanceOrder,
           "on the screen: by ID, by age (the newest first), by lease (the one "
           "that ends first), or by state; the key s changes it")
      ->type_name("id|age|lease|state")
      ->default_str(InstanceOrderName(order));
}

void SortInstances(std::vector<Instance>& instances, InstanceOrder order) {
  std::sort(instances.begin(), instances.end(),
            [order](const Instance& a, const Instance& b) {
              return IsBefore(a, b, order);
            });
}

}  // namespace leasehold::client::cli
