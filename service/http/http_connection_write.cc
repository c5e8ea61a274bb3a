// How answers are written, and how connections end.
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/http/http_connection.h"

namespace leasehold {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

// Of a body that goes into one packet with its head.
constexpr size_t kTogetherBytes = 2 << 10;
// How much of an answer has a deadline of its own.
constexpr size_t kWritePart = 64 << 10;
// What is read of a client that still sends when its connection ends: so that
// it gets to read our answer, and no reset.
constexpr size_t kLingerBytes = 256 << 10;
constexpr size_t kLingerPart = 64 << 10;
constexpr absl::Duration kLingerTimeout = absl::Seconds(1);

// `text` as the value of a field: without what would end it.
std::string FieldText(std::string_view text) {
  std::string clean(text);
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return clean;
}

bool HasNoBody(int status) { return status == 204 || status == 304; }

}  // namespace

HttpConnection::Awaitable<bool> HttpConnection::WriteText(
    std::string_view text) {
  while (!text.empty()) {
    if (closed_ || timed_out_) co_return false;
    Await(shared_.limits.write_timeout);
    const auto part =
        asio::buffer(text.data(), std::min(text.size(), kWritePart));
    Error error;
    if (tls_.has_value()) {
      co_await asio::async_write(
          *tls_, part, asio::redirect_error(asio::use_awaitable, error));
    } else {
      co_await asio::async_write(
          socket_, part, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) {
      Close();
      co_return false;
    }
    text.remove_prefix(part.size());
  }
  AwaitNothing();
  co_return true;
}

HttpConnection::Awaitable<bool> HttpConnection::Write(Exchange& exchange) {
  HttpResponse& response = exchange.response;
  const bool chunked = response.source != nullptr && !exchange.is_1_0;
  if (response.source != nullptr && exchange.is_1_0)
    exchange.keep_alive = false;
  const auto reason = http::obsolete_reason(
      http::int_to_status(static_cast<unsigned>(response.status)));
  std::string text = absl::StrCat("HTTP/1.1 ", response.status, " ",
                                  std::string(reason), "\r\n");
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&text, FieldText(name), ": ", FieldText(value), "\r\n");
  }
  if (chunked) {
    absl::StrAppend(&text, "Transfer-Encoding: chunked\r\n");
  } else if (response.source == nullptr && !HasNoBody(response.status)) {
    absl::StrAppend(&text, "Content-Length: ", response.body.size(), "\r\n");
  }
  if (!exchange.keep_alive) {
    absl::StrAppend(&text, "Connection: close\r\n");
  } else if (exchange.is_1_0) {
    absl::StrAppend(&text, "Connection: keep-alive\r\n");
  }
  absl::StrAppend(&text, "\r\n");
  const bool has_body = !exchange.is_head && !HasNoBody(response.status);
  // In one packet, if it is short.
  const bool together = has_body && response.body.size() <= kTogetherBytes;
  if (together) text += response.body;
  const bool head_written = co_await WriteText(text);
  if (!head_written) co_return false;
  if (!has_body) co_return true;
  if (response.source == nullptr) {
    if (together) co_return true;
    const bool body_written = co_await WriteText(response.body);
    co_return body_written;
  }
  const bool streamed = co_await WriteSource(exchange, *response.source);
  response.source.reset();
  co_return streamed;
}

HttpConnection::Awaitable<bool> HttpConnection::WriteSource(Exchange& exchange,
                                                            HttpBody& source) {
  for (;;) {
    std::optional<std::string> part = co_await NextPart(source);
    if (!part.has_value()) co_return false;
    const bool is_last = part->empty();
    if (!exchange.is_1_0) {
      part = is_last
                 ? "0\r\n\r\n"
                 : absl::StrCat(absl::Hex(part->size()), "\r\n", *part, "\r\n");
    }
    const bool written = co_await WriteText(*part);
    if (!written) co_return false;
    if (is_last) co_return true;
  }
}

HttpConnection::Awaitable<std::optional<std::string>> HttpConnection::NextPart(
    HttpBody& source) {
  AwaitNothing();
  part_.reset();
  const std::weak_ptr<HttpConnection> weak = weak_from_this();
  const uint64_t number = served_;
  source.Next(
      [weak, number, inbox = shared_.inbox](absl::StatusOr<std::string> part) {
        inbox->Post([weak, number, part = std::move(part)]() mutable {
          const auto self = weak.lock();
          if (self == nullptr || self->served_ != number) return;
          self->part_ = std::move(part);
          self->Signal();
        });
      });
  while (!part_.has_value()) {
    WatchClient();
    if (closed_ || read_failed_ || shared_.draining) co_return std::nullopt;
    co_await Wait();
  }
  absl::StatusOr<std::string> part = *std::move(part_);
  part_.reset();
  if (!part.ok()) co_return std::nullopt;
  co_return *std::move(part);
}

HttpConnection::Awaitable<void> HttpConnection::Linger() {
  if (closed_) co_return;
  Await(kLingerTimeout);
  Error ignored;
  if (tls_.has_value()) {
    // It cannot say goodbye while it reads.
    const bool failed = read_failed_;
    if (reading_) socket_.cancel(ignored);
    while (reading_) co_await Wait();
    read_failed_ = failed;
    co_await tls_->async_shutdown(
        asio::redirect_error(asio::use_awaitable, ignored));
  }
  socket_.shutdown(Socket::shutdown_send, ignored);
  size_t bytes = 0;
  while (bytes < kLingerBytes && !FailedToRead()) {
    if (!reading_) {
      bytes += in_bytes_;
      Consume(in_bytes_);
    }
    co_await ReadMore(kLingerPart);
  }
}

}  // namespace leasehold
