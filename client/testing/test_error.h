// TestError: what a test expected did not happen, or the test itself is wrong.
//
// The message says what was expected, what happened instead, and with which
// seed. Every test framework shows the message of an exception that a test does
// not catch, so the kit depends on none of them.
//
// Thread-safety: safe.   Lifetime: values.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_ERROR_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_ERROR_H_

#include <stdexcept>

namespace leasehold::testkit {

class TestError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_ERROR_H_
