#include "client/rpc_error.h"

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "storage/base/status.h"

namespace cookix::client {
namespace {

constexpr std::string_view kDomain = "cookix";

bool ReadDetail(const std::string& bytes, ErrorDetail* detail) {
  google::rpc::Status rich;
  if (bytes.empty() || !rich.ParseFromString(bytes)) return false;
  for (const auto& any : rich.details()) {
    google::rpc::ErrorInfo info;
    if (!any.Is<google::rpc::ErrorInfo>() || !any.UnpackTo(&info)) continue;
    if (info.domain() != kDomain) continue;
    detail->reason = info.reason();
    const auto& metadata = info.metadata();
    auto read = [&metadata](const char* name) {
      auto it = metadata.find(name);
      return it == metadata.end() ? std::string() : it->second;
    };
    detail->field = read("field");
    detail->remedy = read("remedy");
    detail->retryable = read("retryable") == "true";
    return true;
  }
  return false;
}

}  // namespace

absl::Status FromRpcStatus(const grpc::Status& status, std::string_view target) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  ErrorDetail detail;
  if (ReadDetail(status.error_details(), &detail)) {
    return MakeError(code, status.error_message(), std::move(detail));
  }
  switch (code) {
    case absl::StatusCode::kUnavailable:
      detail.remedy =
          "check that cookixd is running there and that the address, port and TLS "
          "settings are right";
      detail.retryable = true;
      return MakeError(
          code, "cannot reach the server at " + std::string(target) + ": " + status.error_message(),
          std::move(detail));
    case absl::StatusCode::kDeadlineExceeded:
      detail.reason = "QUERY_TIMEOUT";
      detail.remedy = "allow more time or ask for less";
      detail.retryable = true;
      return MakeError(code, "the server at " + std::string(target) + " did not answer in time",
                       std::move(detail));
    case absl::StatusCode::kUnimplemented:
      detail.remedy = "use a server of the same version as the client";
      return MakeError(code, status.error_message(), std::move(detail));
    default:
      return absl::Status(code, status.error_message());
  }
}

absl::Status FromRpcStatus(const grpc::Status& status, TlsDiagnosis& server) {
  const std::string& target = server.target();
  const bool lost = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  const std::string why =
      lost && MayBeTls(status.error_message()) ? server.Explain() : std::string();
  if (why.empty()) return FromRpcStatus(status, target);
  ErrorDetail detail;
  detail.remedy = "check the certificates, and the TLS settings of both sides";
  detail.retryable = true;
  return MakeError(absl::StatusCode::kUnavailable,
                   "cannot reach the server at " + target + ": " + why, std::move(detail));
}

}  // namespace cookix::client
