// `leasehold-server backup` and `leasehold-server restore`.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_BACKUP_COMMAND_H_
#define LEASEHOLD_SERVICE_HOST_BACKUP_COMMAND_H_

#include <string>
#include <vector>

#include "lease/base/command_text.h"
#include "lease/clock.h"

namespace leasehold {

// Each runs with the arguments after its name. Returns the exit code: 0, done;
// 1, something could not be read or written, or is damaged; 2, wrong usage, or
// a directory that cannot be used like that. Standard error says why, in one
// line. `backup` prints the folder of the backup.
int RunBackupCommand(const std::vector<std::string>& arguments, Clock& clock);
int RunRestoreCommand(const std::vector<std::string>& arguments,
                      const Clock& clock);

// Their options, as their manual pages show them.
CommandText DescribeBackup();
CommandText DescribeRestore();

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_BACKUP_COMMAND_H_
