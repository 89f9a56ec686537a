// How the examples end when something is not as it should be.
#ifndef COOKIX_CLIENT_EXAMPLES_CHECK_H_
#define COOKIX_CLIENT_EXAMPLES_CHECK_H_

#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"

namespace cookix::client {

// Ends the example with a message when a call fails.
inline void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

inline void Expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "not as expected: %s\n", what);
  std::exit(1);
}

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_EXAMPLES_CHECK_H_
