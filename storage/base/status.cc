#include "storage/base/status.h"

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "storage/base/coding.h"

namespace cookix {
namespace {

constexpr char kDetailUrl[] = "cookix.v1.ErrorDetail";

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view message, ErrorDetail detail) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  std::string bytes;
  PutLengthPrefixed(&bytes, detail.reason);
  PutLengthPrefixed(&bytes, detail.field);
  PutLengthPrefixed(&bytes, detail.remedy);
  bytes.push_back(detail.retryable ? 1 : 0);
  status.SetPayload(kDetailUrl, absl::Cord(bytes));
  return status;
}

std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status) {
  const auto payload = status.GetPayload(kDetailUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string bytes(*payload);
  std::string_view in = bytes;
  ErrorDetail detail;
  std::string_view reason, field, remedy;
  if (!GetLengthPrefixed(&in, &reason) || !GetLengthPrefixed(&in, &field) ||
      !GetLengthPrefixed(&in, &remedy) || in.size() != 1) {
    return std::nullopt;
  }
  detail.reason = reason;
  detail.field = field;
  detail.remedy = remedy;
  detail.retryable = in[0] != 0;
  return detail;
}

absl::Status WithField(const absl::Status& status, std::string_view field) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail.has_value()) return status;
  detail->field = std::string(field);
  const absl::string_view message = status.message();
  return MakeError(status.code(), std::string_view(message.data(), message.size()),
                   *std::move(detail));
}

absl::Status InvalidField(std::string_view field, std::string_view message,
                          std::string_view remedy) {
  return MakeError(absl::StatusCode::kInvalidArgument, message,
                   {"INVALID_FIELD", std::string(field), std::string(remedy), false});
}

absl::Status LimitExceeded(std::string_view field, std::string_view message,
                           std::string_view remedy) {
  return MakeError(absl::StatusCode::kInvalidArgument, message,
                   {"LIMIT_EXCEEDED", std::string(field), std::string(remedy), false});
}

absl::Status NotFound(std::string_view reason, std::string_view field, std::string_view message,
                      std::string_view remedy) {
  return MakeError(absl::StatusCode::kNotFound, message,
                   {std::string(reason), std::string(field), std::string(remedy), false});
}

absl::Status Corruption(std::string_view message, std::string_view remedy) {
  return MakeError(absl::StatusCode::kDataLoss, message,
                   {"CORRUPTION", "", std::string(remedy), false});
}

}  // namespace cookix
