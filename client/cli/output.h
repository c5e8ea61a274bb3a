// Output: what `leasehold` writes to standard output, as a table for people or
// as JSON, one object a line, for programs.
//
// Each row is written out as it comes. Channels are counted from 1 here. When
// nobody reads any more (`leasehold … | head`) writing fails quietly.
//
// Thread-safety: one thread.   Lifetime: the stream outlives it.
#ifndef LEASEHOLD_CLIENT_CLI_OUTPUT_H_
#define LEASEHOLD_CLIENT_CLI_OUTPUT_H_

#include <iosfwd>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/shared_session.h"

namespace leasehold::client::cli {

enum class OutputFormat {
  // Columns with a heading.
  kTable,
  // One JSON object a line.
  kJson,
};

// `text` with control characters and what is not UTF-8 escaped (\n, \t, \xNN),
// so that it stays on its line and cannot steer a terminal.
std::string Printable(std::string_view text);

// `text` as a JSON string, with its quotes.
std::string JsonString(std::string_view text);
// A time as one, in UTC: "2024-10-04T17:46:40+00:00".
std::string JsonTime(absl::Time time);

class Output {
 public:
  Output(OutputFormat format, std::ostream& out);

  // Writes one echo as a row. False: it could not be written; stop.
  bool Row(const EchoReply& reply);
  // Writes text as it is, in either format. False: as above.
  bool Write(std::string_view text);
  // The same, unless the output is JSON.
  bool Say(std::string_view text);
  bool SayLine(std::string_view line);

  OutputFormat format() const { return format_; }
  // OK if all was written or the reader has gone; INTERNAL: it could not be
  // written, and why.
  absl::Status status() const;

 private:
  const OutputFormat format_;
  std::ostream& out_;
  bool headed_ = false;
  size_t id_width_ = 0;
  // errno of the first write that failed.
  int error_ = 0;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_OUTPUT_H_
