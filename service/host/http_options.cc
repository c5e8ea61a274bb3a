#include "service/host/http_options.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/http/ui_folder.h"

namespace leasehold {
namespace {

absl::Status ReadListen(const std::string& text, HttpOptions& options) {
  options.listen.clear();
  options.off = text == "off";
  if (options.off) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    absl::StatusOr<ListenAddress> address = ListenAddress::Parse(part);
    if (!address.ok()) return address.status();
    options.listen.push_back(*std::move(address));
  }
  return absl::OkStatus();
}

absl::Status ReadPublicUrl(const std::string& text, std::string& url) {
  const bool has_scheme =
      absl::StartsWith(text, "https://") || absl::StartsWith(text, "http://");
  const size_t host = has_scheme ? text.find("://") + 3 : 0;
  if (!has_scheme || host == text.size() || text[host] == '/' ||
      text.find_first_of("?#@ \"'<>") != std::string::npos) {
    return InvalidSetting(
        "must be a URL such as https://leasehold.example.com, without a query",
        text);
  }
  url = text;
  while (absl::EndsWith(url, "/")) url.pop_back();
  return absl::OkStatus();
}

absl::Status ReadHosts(const std::string& text,
                       std::vector<std::string>& hosts) {
  hosts = absl::StrSplit(text, ',');
  for (const std::string& host : hosts) {
    if (host.empty() || host.find_first_of("/ []") != std::string::npos ||
        (absl::StrContains(host, ':') && host.find(':') == host.rfind(':'))) {
      return InvalidSetting(
          "must be names or addresses without ports, between commas", text);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Setting> HttpSettings(HttpOptions& o) {
  return {
      {"http-listen", "HOST:PORT|unix:PATH|off", "127.0.0.1:4002",
       "Where to listen for HTTP/1.1; several between commas. Port 0 takes a "
       "free one. If the default is in use, the server serves without HTTP.",
       [&o](const std::string& text) { return ReadListen(text, o); }},
      {"http-public-url", "URL", "",
       "What URLs in answers begin with, where a proxy gives the server "
       "another "
       "name; else as the client calls it.",
       [&o](const std::string& text) {
         return ReadPublicUrl(text, o.public_url);
       }},
      {"http-host", "NAME,...", "",
       "Names by which HTTP clients may call the server (Host), beside its "
       "addresses, localhost and the name in --http-public-url.",
       [&o](const std::string& text) { return ReadHosts(text, o.hosts); }},
      {"http-proxy-protocol", "ADDRESS/PREFIX,...", "",
       "As --proxy-protocol, for the listener for HTTP: each TCP connection "
       "from there must begin with a PROXY header.",
       [&o](const std::string& text) { return ReadRanges(text, o.proxies); }},
      DurationSetting(
          "url-lifetime", o.url_lifetime,
          "How long the check-status URLs that the server gives out are good, "
          "where callers need a credential (--policy)."),
      PathSetting("url-keys", "FILE", o.url_keys,
                  "The secret keys of those URLs: one or two, of which the "
                  "first signs. Read again when it changes. Without it the "
                  "server keeps them in its data directory. `leasehold-server "
                  "url-keys rotate` puts a new one in front."),
      PathSetting("http-assets", "DIR", o.assets,
                  "A folder with the dashboard's files, to serve instead of "
                  "those in the program: for those who change the dashboard."),
  };
}

absl::Status CheckHttp(const HttpOptions& options, bool insecure,
                       bool uses_tls) {
  if (!options.assets.empty()) {
    const absl::Status has_files = UiFolder(options.assets).Check();
    if (!has_files.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--http-assets: ", has_files.message()));
    }
  }
  for (const ListenAddress& address : options.listen) {
    if (address.IsLoopback() || insecure || uses_tls) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--http-listen=", address.ToString(),
        ": not a loopback address, and the server does not encrypt; give it "
        "--tls-cert and --tls-key, or add --insecure to listen there all the "
        "same"));
  }
  return absl::OkStatus();
}

}  // namespace leasehold
