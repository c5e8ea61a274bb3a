#include "service/host/server_tls.h"

#include <utility>

#include "absl/time/time.h"

namespace leasehold {

absl::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Open(
    TlsFiles files, ClientAuth client_auth, const Clock& clock,
    ServerLog& log) {
  auto material = ReadTlsMaterial(files, clock.WallNow());
  if (!material.ok()) return material.status();
  std::unique_ptr<ServerTls> opened(new ServerTls(
      std::move(files), *std::move(material), client_auth, clock, log));
  opened->LogMaterial("tls");
  return opened;
}

ServerTls::ServerTls(TlsFiles files, TlsMaterial material,
                     ClientAuth client_auth, const Clock& clock, ServerLog& log)
    : files_(std::move(files)),
      clock_(clock),
      log_(log),
      material_(material),
      expires_(absl::ToUnixSeconds(material_.expires)),
      credentials_(std::move(material), client_auth),
      refused_(log, "tls_kept", "the last good certificate goes on serving") {}

void ServerTls::LookAgain() {
  auto read = ReadTlsMaterial(files_, clock_.WallNow());
  if (!read.ok()) {
    refused_.OnRefused(read.status());
    return;
  }
  refused_.OnAccepted();
  if (*read == material_) return;
  material_ = *std::move(read);
  expires_ = absl::ToUnixSeconds(material_.expires);
  credentials_.Set(material_);
  if (watcher_) watcher_(material_);
  LogMaterial("tls_changed");
}

void ServerTls::Watch(std::function<void(const TlsMaterial&)> watcher) {
  watcher_ = std::move(watcher);
  if (watcher_) watcher_(material_);
}

void ServerTls::LogMaterial(const char* event) {
  log_.Info(event,
            {{"certificate", files_.chain},
             {"expires", absl::FormatTime(absl::RFC3339_sec, material_.expires,
                                          absl::UTCTimeZone())}});
}

}  // namespace leasehold
