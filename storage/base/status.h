// Errors as the whole project passes them: absl::Status with one detail.
//
// Every status that can reach a user carries a detail that names the reason
// (the names of cookix.v1.ErrorReason without their prefix), the request field
// at fault, what to do about it, and whether repeating the call can help. The
// detail travels as a status payload; server/rpc turns it into
// google.rpc.ErrorInfo and client/ turns that back.
#ifndef COOKIX_STORAGE_BASE_STATUS_H_
#define COOKIX_STORAGE_BASE_STATUS_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cookix {

// Abseil's own string_view type of a standard one.
inline absl::string_view ToAbsl(std::string_view view) {
  return absl::string_view(view.data(), view.size());
}

// What a user needs to know beyond code and message.
struct ErrorDetail {
  // A name of cookix.v1.ErrorReason without its prefix, such as
  // "OBJECT_NOT_FOUND".
  std::string reason;
  // The request field at fault, dotted, such as "write.object.ref.key". Empty
  // when no field is.
  std::string field;
  // What to do, one sentence.
  std::string remedy;
  // True when repeating the unchanged call later may succeed.
  bool retryable = false;
};

// A status with a detail. `message` is one sentence without a final period and
// never contains secrets or file contents.
absl::Status MakeError(absl::StatusCode code, std::string_view message, ErrorDetail detail);

// The detail of a status, if it has one.
std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status);

// The same error, at fault another field: for a layer that knows what its caller's
// request calls it. A status without detail is returned as it is.
absl::Status WithField(const absl::Status& status, std::string_view field);

// Shorthands for the commonest errors.

// INVALID_ARGUMENT, reason INVALID_FIELD.
absl::Status InvalidField(std::string_view field, std::string_view message,
                          std::string_view remedy);
// INVALID_ARGUMENT, reason LIMIT_EXCEEDED.
absl::Status LimitExceeded(std::string_view field, std::string_view message,
                           std::string_view remedy);
// NOT_FOUND with the given reason.
absl::Status NotFound(std::string_view reason, std::string_view field, std::string_view message,
                      std::string_view remedy);
// DATA_LOSS, reason CORRUPTION.
absl::Status Corruption(std::string_view message, std::string_view remedy);

}  // namespace cookix

#define COOKIX_CONCAT_INNER_(a, b) a##b
#define COOKIX_CONCAT_(a, b) COOKIX_CONCAT_INNER_(a, b)

// Returns from the function when `expr`, an absl::Status, is not OK.
#define COOKIX_RETURN_IF_ERROR(expr) \
  COOKIX_RETURN_IF_ERROR_IMPL_(COOKIX_CONCAT_(cookix_status_, __COUNTER__), expr)
#define COOKIX_RETURN_IF_ERROR_IMPL_(tmp, expr) \
  do {                                          \
    if (absl::Status tmp = (expr); !tmp.ok()) { \
      return tmp;                               \
    }                                           \
  } while (false)

// Assigns the value of `expr`, an absl::StatusOr, to `lhs`, or returns its
// status. `lhs` may declare a variable.
#define COOKIX_ASSIGN_OR_RETURN(lhs, expr) \
  COOKIX_ASSIGN_OR_RETURN_IMPL_(COOKIX_CONCAT_(cookix_or_, __COUNTER__), lhs, expr)
#define COOKIX_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).status();      \
  lhs = std::move(tmp).value()

#endif  // COOKIX_STORAGE_BASE_STATUS_H_
