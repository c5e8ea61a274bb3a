#include "service/network/read_turns.h"

namespace leasehold {

ReadTurn& ThisThreadsReadTurn() {
  static thread_local ReadTurn turn;
  return turn;
}

}  // namespace leasehold
