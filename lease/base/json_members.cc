#include "lease/base/json_members.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "lease/base/quote.h"

namespace leasehold {
namespace {

using Json = nlohmann::json;

// Names of members that stand in a place as they are.
bool IsPlain(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Follows the parser, which tells of each value as it comes. Nothing is built,
// and nothing recurses.
class Members final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override {
    return Value();
  }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Value(); }

  bool start_object(std::size_t) override { return Begin(/*list=*/false); }
  bool key(string_t& name) override {
    Place& place = places_.back();
    place.name = name;
    if (place.names.insert(name).second) return true;
    duplicate_ = Text();
    return false;
  }
  bool end_object() override { return End(); }
  bool start_array(std::size_t) override { return Begin(/*list=*/true); }
  bool end_array() override { return End(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception&) override {
    return false;
  }

  const std::optional<std::string>& duplicate() const { return duplicate_; }

 private:
  // An object or a list, and where in it the parser is.
  struct Place {
    bool list = false;
    size_t index = 0;
    std::string name = {};
    std::set<std::string> names = {};
  };

  bool Begin(bool list) {
    places_.push_back({.list = list});
    return true;
  }
  bool End() {
    places_.pop_back();
    return Value();
  }
  // A value is over.
  bool Value() {
    if (!places_.empty()) ++places_.back().index;
    return true;
  }
  std::string Text() const {
    std::string text;
    for (const Place& place : places_) {
      if (place.list) {
        text += "[" + std::to_string(place.index) + "]";
        continue;
      }
      if (!text.empty()) text += ".";
      text += IsPlain(place.name) ? place.name : QuoteForMessage(place.name);
    }
    return text;
  }

  std::vector<Place> places_;
  std::optional<std::string> duplicate_;
};

}  // namespace

std::optional<std::string> FindDuplicateMember(std::string_view text) {
  Members members;
  nlohmann::json::sax_parse(text, &members);
  return members.duplicate();
}

}  // namespace leasehold
