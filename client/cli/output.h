// Output: what `leasehold` writes to standard output, as a table for people or
// as JSON, one object a line, for programs.
//
// Each row is written at once. Channels are numbered from 1 here. When the
// reader is gone (`leasehold … | head`), writing fails without an error.
//
// Thread-safety: one thread.   Lifetime: the stream outlives it.
#ifndef LEASEHOLD_CLIENT_CLI_OUTPUT_H_
#define LEASEHOLD_CLIENT_CLI_OUTPUT_H_

#include <iosfwd>
#include <string_view>

#include "absl/status/status.h"
#include "client/cli/table.h"
#include "client/session/shared_session.h"

namespace leasehold::client::cli {

enum class OutputFormat {
  // Columns with a heading.
  kTable,
  // One JSON object a line.
  kJson,
};

class Output {
 public:
  Output(OutputFormat format, std::ostream& out, const Look& look = {});

  // Writes one echo as a row. False: it could not be written, so stop.
  bool Row(const EchoReply& reply);
  // Writes text unchanged, in either format. False: as above.
  bool Write(std::string_view text);
  // The same, unless the output is JSON.
  bool Say(std::string_view text);
  bool SayLine(std::string_view line);

  OutputFormat format() const { return format_; }
  // OK if everything was written or the reader is gone. INTERNAL: it could not
  // be written; the message says why.
  absl::Status status() const;

 private:
  const OutputFormat format_;
  std::ostream& out_;
  Table echoes_;
  // errno of the first write that failed.
  int error_ = 0;
};

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_OUTPUT_H_
