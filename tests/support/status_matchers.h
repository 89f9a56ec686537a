// Assertions about statuses and their details.
#ifndef COOKIX_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define COOKIX_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "storage/base/status.h"

namespace cookix::tests {

#define EXPECT_OK(expression)                     \
  do {                                            \
    const absl::Status ok_status_ = (expression); \
    EXPECT_TRUE(ok_status_.ok()) << ok_status_;   \
  } while (false)
#define ASSERT_OK(expression)                     \
  do {                                            \
    const absl::Status ok_status_ = (expression); \
    ASSERT_TRUE(ok_status_.ok()) << ok_status_;   \
  } while (false)

// The status has this code and this reason, and a message and a remedy for a
// person to read.
inline ::testing::AssertionResult HasReason(const absl::Status& status, absl::StatusCode code,
                                            std::string_view reason) {
  const auto detail = GetErrorDetail(status);
  const std::string shown =
      status.ToString() + (detail.has_value()
                               ? " reason " + detail->reason + " field '" + detail->field +
                                     "' remedy '" + detail->remedy + "'"
                               : " without detail");
  if (status.code() != code) {
    return ::testing::AssertionFailure()
           << "wanted " << absl::StatusCodeToString(code) << ", got " << shown;
  }
  if (!detail.has_value() || detail->reason != reason) {
    return ::testing::AssertionFailure() << "wanted reason " << reason << ", got " << shown;
  }
  if (status.message().empty() || detail->remedy.empty()) {
    return ::testing::AssertionFailure() << "no message or no remedy: " << shown;
  }
  return ::testing::AssertionSuccess();
}

// As HasReason, and the field at fault is this one.
inline ::testing::AssertionResult HasField(const absl::Status& status, absl::StatusCode code,
                                           std::string_view reason, std::string_view field) {
  const ::testing::AssertionResult result = HasReason(status, code, reason);
  if (!result) return result;
  const auto detail = GetErrorDetail(status);
  if (detail->field != field) {
    return ::testing::AssertionFailure()
           << "wanted field '" << field << "', got '" << detail->field << "': " << status;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_SUPPORT_STATUS_MATCHERS_H_
