#include "service/host/trace_options.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lease/base/quote.h"
#include "lease/base/utf8.h"

namespace leasehold {
namespace {

constexpr char kNowhere[] = "off";
constexpr char kPort[] = ":4317";
constexpr char kServiceName[] = "service.name";

absl::Status Refuse(std::string_view variable, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(variable), " ", std::string(why)));
}

// OpenTelemetry's variables. Most have a form for traces alone, which comes
// first: OTEL_EXPORTER_OTLP_TRACES_X before OTEL_EXPORTER_OTLP_X.
class Variables {
 public:
  explicit Variables(const Environment& environment)
      : environment_(environment) {}

  std::string Get(const std::string& name) const {
    const char* const value = environment_(name.c_str());
    return value == nullptr ? ""
                            : std::string(absl::StripAsciiWhitespace(value));
  }
  // `name`: becomes that of the variable which says it.
  std::string GetOtlp(const std::string& what, std::string& name) const {
    name = absl::StrCat("OTEL_EXPORTER_OTLP_TRACES_", what);
    std::string value = Get(name);
    if (!value.empty()) return value;
    name = absl::StrCat("OTEL_EXPORTER_OTLP_", what);
    return Get(name);
  }
  bool IsTrue(const std::string& name) const {
    return absl::EqualsIgnoreCase(Get(name), "true");
  }

 private:
  const Environment& environment_;
};

// `http://HOST:PORT` or `https://HOST:PORT`.
absl::Status ReadEndpoint(std::string_view url, OtlpSettings& settings) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  constexpr char kRule[] =
      "must be a URL such as http://localhost:4317 (or https://...) without a "
      "path: OTLP over gRPC has none";
  settings.secure = url.starts_with(kSecure);
  if (!settings.secure && !url.starts_with(kPlain)) {
    return InvalidSetting(kRule, std::string(url));
  }
  std::string host(
      url.substr(settings.secure ? kSecure.size() : kPlain.size()));
  while (host.ends_with('/')) host.pop_back();
  const bool is_good = std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
  // The colons of an IPv6 address stand between brackets.
  const size_t colon = host.find(
      ':', host.rfind(']') == std::string::npos ? 0 : host.rfind(']'));
  int port = 0;
  const bool has_port = colon != std::string::npos;
  if (!is_good || host.empty() || colon == 0 ||
      (has_port && (!absl::SimpleAtoi(host.substr(colon + 1), &port) ||
                    port < 1 || port > 65535))) {
    return InvalidSetting(kRule, std::string(url));
  }
  settings.target = has_port ? host : absl::StrCat(host, kPort);
  return absl::OkStatus();
}

// Decodes %XX. False: these are not such characters.
bool DecodePercent(std::string_view text, std::string& decoded) {
  decoded.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size() ||
        !absl::SimpleHexAtoi(std::string(text.substr(i + 1, 2)), &value)) {
      return false;
    }
    decoded.push_back(static_cast<char>(value));
    i += 2;
  }
  return true;
}

// `a=1,b=%32`.
absl::Status ReadPairs(const std::string& variable, const std::string& text,
                       OtlpSettings::Pairs& pairs) {
  constexpr char kRule[] = "must be NAME=VALUE pairs between commas";
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    const std::string one(absl::StripAsciiWhitespace(part));
    if (one.empty()) continue;
    const size_t equals = one.find('=');
    if (equals == std::string::npos) return Refuse(variable, kRule);
    std::string name;
    std::string value;
    const auto decode = [](std::string text, std::string& decoded) {
      absl::StripAsciiWhitespace(&text);
      return DecodePercent(text, decoded);
    };
    if (!decode(one.substr(0, equals), name) ||
        !decode(one.substr(equals + 1), value) || name.empty()) {
      return Refuse(variable, kRule);
    }
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return absl::OkStatus();
}

// The names and values that gRPC sends as metadata.
absl::Status CheckHeaders(const std::string& variable,
                          OtlpSettings::Pairs& headers) {
  for (auto& [name, value] : headers) {
    absl::AsciiStrToLower(&name);
    const bool is_name =
        !absl::StartsWith(name, "grpc-") && !absl::EndsWith(name, "-bin") &&
        std::all_of(name.begin(), name.end(), [](char c) {
          return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                 c == '-' || c == '_' || c == '.';
        });
    const bool is_value = std::all_of(value.begin(), value.end(), [](char c) {
      return c >= 0x20 && c <= 0x7e;
    });
    if (!is_name || !is_value) {
      return Refuse(variable,
                    absl::StrCat("has a header, ", QuoteForMessage(name),
                                 ", whose name or value gRPC cannot send"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadProtocol(const Variables& variables) {
  std::string name;
  const std::string protocol = variables.GetOtlp("PROTOCOL", name);
  if (protocol.empty() || protocol == "grpc") return absl::OkStatus();
  return Refuse(name,
                absl::StrCat("is ", QuoteForMessage(protocol),
                             ", but the server sends spans by grpc only; a "
                             "collector takes these at its port 4317"));
}

absl::Status ReadResource(const Variables& variables, OtlpSettings& settings) {
  constexpr char kVariable[] = "OTEL_RESOURCE_ATTRIBUTES";
  OtlpSettings::Pairs& resource = settings.resource;
  absl::Status status =
      ReadPairs(kVariable, variables.Get(kVariable), resource);
  if (!status.ok()) return status;
  for (const auto& [name, value] : resource) {
    if (!IsUtf8(name) || !IsUtf8(value)) {
      return Refuse(kVariable, "is not UTF-8");
    }
  }
  const std::string service = variables.Get("OTEL_SERVICE_NAME");
  const auto is_service = [](const auto& pair) {
    return pair.first == kServiceName;
  };
  if (!service.empty()) {
    if (!IsUtf8(service)) return Refuse("OTEL_SERVICE_NAME", "is not UTF-8");
    std::erase_if(resource, is_service);
    resource.emplace_back(kServiceName, service);
  } else if (std::none_of(resource.begin(), resource.end(), is_service)) {
    resource.emplace_back(kServiceName, "leasehold-server");
  }
  return status;
}

absl::Status ReadSampler(const Variables& variables, OtlpSettings& settings) {
  const std::string name = variables.Get("OTEL_TRACES_SAMPLER");
  if (name.empty()) return absl::OkStatus();
  absl::StatusOr<Sampler> sampler =
      Sampler::Make(name, variables.Get("OTEL_TRACES_SAMPLER_ARG"));
  if (!sampler.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("OTEL_TRACES_SAMPLER: ", sampler.status().message()));
  }
  settings.sampler = *sampler;
  return absl::OkStatus();
}

// Reads a whole number from 1 to `max`; an empty text changes nothing.
absl::Status ReadNumber(const std::string& name, const std::string& text,
                        int64_t max, int64_t& number) {
  if (text.empty()) return absl::OkStatus();
  if (absl::SimpleAtoi(text, &number) && number >= 1 && number <= max) {
    return absl::OkStatus();
  }
  return Refuse(name, absl::StrCat("must be a whole number from 1 to ", max));
}

absl::Status ReadTimes(const Variables& variables, OtlpSettings& settings) {
  constexpr int64_t kMsMax = 600'000;
  constexpr char kDelay[] = "OTEL_BSP_SCHEDULE_DELAY";
  std::string name;
  const std::string text = variables.GetOtlp("TIMEOUT", name);
  int64_t timeout = absl::ToInt64Milliseconds(settings.timeout);
  int64_t delay = absl::ToInt64Milliseconds(settings.queue.patience);
  absl::Status status = ReadNumber(name, text, kMsMax, timeout);
  status.Update(ReadNumber(kDelay, variables.Get(kDelay), kMsMax, delay));
  settings.timeout = absl::Milliseconds(timeout);
  settings.queue.patience = absl::Milliseconds(delay);
  return status;
}

absl::Status ReadQueue(const Variables& variables, OtlpSettings& settings) {
  constexpr int64_t kSpansMax = 1'000'000;
  constexpr char kQueue[] = "OTEL_BSP_MAX_QUEUE_SIZE";
  constexpr char kBatch[] = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
  auto spans = static_cast<int64_t>(settings.queue.spans_max);
  absl::Status status =
      ReadNumber(kQueue, variables.Get(kQueue), kSpansMax, spans);
  // A batch that were larger than the queue would never be full.
  int64_t batch =
      std::min(spans, static_cast<int64_t>(settings.queue.batch_max));
  status.Update(ReadNumber(kBatch, variables.Get(kBatch), spans, batch));
  settings.queue.spans_max = static_cast<size_t>(spans);
  settings.queue.batch_max = static_cast<size_t>(batch);
  return status;
}

}  // namespace

std::vector<Setting> TraceSettings(TraceOptions& o) {
  return {
      {"otlp-endpoint", "URL|off", "",
       "Send spans to the OpenTelemetry collector there by OTLP/gRPC, such as "
       "http://localhost:4317; https encrypts. Without it "
       "OTEL_EXPORTER_OTLP_ENDPOINT says where; off: nowhere.",
       [&o](const std::string& text) {
         OtlpSettings ignored;
         if (text != kNowhere) {
           if (absl::Status s = ReadEndpoint(text, ignored); !s.ok()) return s;
         }
         o.endpoint = text;
         return absl::OkStatus();
       }},
  };
}

absl::StatusOr<std::optional<OtlpSettings>> ReadOtlpSettings(
    const TraceOptions& options, const Environment& environment) {
  const Variables variables(environment);
  OtlpSettings settings;
  std::string name = "--otlp-endpoint";
  std::string endpoint = options.endpoint;
  if (endpoint.empty()) {
    const std::string exporter = variables.Get("OTEL_TRACES_EXPORTER");
    if (exporter == "none") return std::nullopt;
    endpoint = variables.GetOtlp("ENDPOINT", name);
  }
  if (endpoint.empty() || endpoint == kNowhere ||
      variables.IsTrue("OTEL_SDK_DISABLED")) {
    return std::nullopt;
  }
  if (absl::Status status = ReadEndpoint(endpoint, settings); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", status.message()));
  }
  const std::string headers = variables.GetOtlp("HEADERS", name);
  absl::Status status = ReadPairs(name, headers, settings.headers);
  status.Update(CheckHeaders(name, settings.headers));
  status.Update(ReadProtocol(variables));
  status.Update(ReadResource(variables, settings));
  status.Update(ReadSampler(variables, settings));
  status.Update(ReadTimes(variables, settings));
  status.Update(ReadQueue(variables, settings));
  if (!status.ok()) return status;
  settings.ca_file = variables.GetOtlp("CERTIFICATE", name);
  return settings;
}

}  // namespace leasehold
