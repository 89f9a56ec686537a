#include "server/rpc/status.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

constexpr int64_t kDefaultRetryMs = 100;
// gRPC carries messages in a header: long ones are cut.
constexpr size_t kMaxMessageBytes = 1024;
constexpr std::string_view kDomain = "cookix";

// Detail of an error that came without one.
ErrorDetail DetailOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {"INVALID_FIELD", "", "Correct the request.", false};
    case absl::StatusCode::kOutOfRange:
      return {"POSITION_EXPIRED", "", "Start again from the beginning.", false};
    case absl::StatusCode::kDeadlineExceeded:
      return {"QUERY_TIMEOUT", "", "Ask for less, or allow more time.", false};
    case absl::StatusCode::kCancelled:
      return {"QUERY_CANCELLED", "", "Repeat the call if it is still wanted.", false};
    case absl::StatusCode::kAlreadyExists:
      return {"ALREADY_EXISTS", "", "Use another name, or the one that exists.", false};
    case absl::StatusCode::kAborted:
      return {"CONDITION_FAILED", "", "Read the present state and decide again.", false};
    case absl::StatusCode::kPermissionDenied:
      return {"PERMISSION_DENIED", "", "Use a key with a higher role.", false};
    case absl::StatusCode::kUnauthenticated:
      return {"UNAUTHENTICATED", "", "Send a valid API key.", false};
    case absl::StatusCode::kResourceExhausted:
      return {"OVERLOADED", "", "Repeat the call after a pause.", true};
    case absl::StatusCode::kUnavailable:
      return {"IO_ERROR", "", "Repeat the call after a pause.", true};
    case absl::StatusCode::kDataLoss:
      return {"CORRUPTION", "", "Ask the operator of the server.", false};
    default:
      return {"INTERNAL", "", "Ask the operator of the server.", false};
  }
}

// True for errors whose message speaks of the server's inside.
bool IsPrivate(absl::StatusCode code, std::string_view reason) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss || reason == "IO_ERROR";
}

std::string PublicMessage(absl::StatusCode code, std::string_view reason,
                          std::string_view request_id) {
  std::string_view what = "The server failed";
  if (code == absl::StatusCode::kDataLoss) {
    what = "Stored data is damaged";
  } else if (reason == "IO_ERROR") {
    what = "The server could not read or write its data";
  }
  return absl::StrCat(ToAbsl(what), "; its log says more under request id ", ToAbsl(request_id));
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id,
                          int64_t retry_after_ms) {
  if (status.ok()) return grpc::Status::OK;
  ErrorDetail detail = GetErrorDetail(status).value_or(DetailOf(status.code()));
  std::string message(status.message().data(), status.message().size());
  if (IsPrivate(status.code(), detail.reason)) {
    message = PublicMessage(status.code(), detail.reason, request_id);
    // A remedy may name files too; the operator finds it in the log.
    detail.remedy = detail.retryable ? "Repeat the call after a pause."
                                     : "Give the request id to the operator of the server.";
  }
  if (message.size() > kMaxMessageBytes) {
    size_t end = kMaxMessageBytes;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
    message.resize(end);
  }

  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(detail.reason);
  info.set_domain(std::string(kDomain));
  auto& metadata = *info.mutable_metadata();
  if (!detail.field.empty()) metadata["field"] = detail.field;
  metadata["remedy"] = detail.remedy;
  metadata["retryable"] = detail.retryable ? "true" : "false";
  if (!request_id.empty()) metadata["request_id"] = std::string(request_id);
  details.add_details()->PackFrom(info);
  if (detail.retryable) {
    const int64_t delay_ms = retry_after_ms > 0 ? retry_after_ms : kDefaultRetryMs;
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(delay_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay_ms % 1000 * 1'000'000));
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      details.SerializeAsString());
}

std::string_view CodeName(grpc::StatusCode code) {
  static constexpr std::array<std::string_view, 17> kNames = {
      "OK",
      "CANCELLED",
      "UNKNOWN",
      "INVALID_ARGUMENT",
      "DEADLINE_EXCEEDED",
      "NOT_FOUND",
      "ALREADY_EXISTS",
      "PERMISSION_DENIED",
      "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION",
      "ABORTED",
      "OUT_OF_RANGE",
      "UNIMPLEMENTED",
      "INTERNAL",
      "UNAVAILABLE",
      "DATA_LOSS",
      "UNAUTHENTICATED",
  };
  const int index = static_cast<int>(code);
  if (index < 0 || index >= static_cast<int>(kNames.size())) return "UNKNOWN";
  return kNames[static_cast<size_t>(index)];
}

}  // namespace cookix::server
