#include "server/rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "cookix/v1/common.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(status.error_code()));
  EXPECT_EQ(details.message(), status.error_message());
  google::rpc::ErrorInfo info;
  EXPECT_GE(details.details_size(), 1);
  if (details.details_size() > 0) {
    EXPECT_TRUE(details.details(0).UnpackTo(&info));
  }
  return info;
}

std::optional<google::rpc::RetryInfo> RetryOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details()) {
    if (detail.UnpackTo(&retry)) return retry;
  }
  return std::nullopt;
}

TEST(StatusTest, CarriesReasonFieldAndRemedy) {
  const grpc::Status status =
      ToGrpcStatus(InvalidField("write.object.ref.key", "Keys are not empty", "Set it."), "req-1");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "Keys are not empty");
  const auto info = InfoOf(status);
  EXPECT_EQ(info.domain(), "cookix");
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_EQ(info.metadata().at("field"), "write.object.ref.key");
  EXPECT_EQ(info.metadata().at("remedy"), "Set it.");
  EXPECT_EQ(info.metadata().at("retryable"), "false");
  EXPECT_EQ(info.metadata().at("request_id"), "req-1");
  EXPECT_FALSE(RetryOf(status).has_value());
}

TEST(StatusTest, SaysWhenToRetry) {
  const absl::Status limited = MakeError(absl::StatusCode::kResourceExhausted, "Too fast",
                                         {"RATE_LIMITED", "", "Wait.", true});
  const auto retry = RetryOf(ToGrpcStatus(limited, "r", 1500));
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->retry_delay().seconds(), 1);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(InfoOf(ToGrpcStatus(limited, "r")).metadata().at("retryable"), "true");
  EXPECT_TRUE(RetryOf(ToGrpcStatus(limited, "r")).has_value());
}

TEST(StatusTest, KeepsTheInsideInside) {
  const std::string inside = "IO error: /var/lib/cookix/000012.sst: bad";
  const absl::Status failures[] = {
      absl::InternalError(inside),
      absl::UnknownError(inside),
      Corruption(inside, inside),
      MakeError(absl::StatusCode::kUnavailable, inside, {"IO_ERROR", "", inside, true}),
      MakeError(absl::StatusCode::kInternal, inside, {"INTERNAL", "", inside, false}),
  };
  for (const absl::Status& failure : failures) {
    const grpc::Status status = ToGrpcStatus(failure, "abc123");
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(failure.code()));
    EXPECT_THAT(status.error_message(), Not(HasSubstr("sst")));
    EXPECT_THAT(status.error_details(), Not(HasSubstr("sst")));
    EXPECT_THAT(status.error_message(), HasSubstr("abc123"));
  }
}

TEST(StatusTest, EveryErrorHasAKnownReason) {
  for (int code = 1; code <= 16; ++code) {
    const auto info =
        InfoOf(ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "x"), "r"));
    v1::ErrorReason reason;
    EXPECT_TRUE(v1::ErrorReason_Parse("ERROR_REASON_" + info.reason(), &reason)) << info.reason();
    EXPECT_FALSE(info.metadata().at("remedy").empty());
  }
}

TEST(StatusTest, LongMessagesAreCutBetweenCharacters) {
  std::string text = "x";
  for (int i = 0; i < 1000; ++i) text += "\xc3\xa4";
  const grpc::Status status = ToGrpcStatus(absl::InvalidArgumentError(text), "r");
  EXPECT_LE(status.error_message().size(), 1024u);
  EXPECT_EQ(status.error_message().size() % 2, 1u);
  InfoOf(status);  // still valid UTF-8, so still a message
}

TEST(StatusTest, OkIsOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), "r").ok()); }

TEST(StatusTest, CodesHaveNames) {
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(CodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<grpc::StatusCode>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace cookix::server
