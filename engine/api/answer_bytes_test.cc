// Calls that follow relations answer with no more bytes than one answer may have.
#include <string>

#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/reasoning_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr int64_t kMostBytes = 3000;

class AnswerBytesTest : public testing::Test {
 protected:
  // A hub that leads to four large objects.
  void SetUp() override {
    for (const char* key : {"a", "b", "c", "d"}) {
      v1::PutObjectRequest put;
      put.mutable_write()->mutable_object()->mutable_ref()->set_key(key);
      put.mutable_write()->mutable_object()->set_content(std::string(900, 'x'));
      v1::PutObjectResponse response;
      ASSERT_TRUE(database_->objects().PutObject(context_, put, &response).ok());
    }
    const absl::Status status = PutObject(
        *database_, "hub", {"contradicts:a", "contradicts:b", "contradicts:c", "contradicts:d"});
    ASSERT_TRUE(status.ok()) << status;
  }

  // `ask` is asked for objects and for so many of them.
  template <typename Ask>
  void ExpectLimited(const std::string& field, Ask&& ask) {
    EXPECT_TRUE(ask(/*with_objects=*/false, 100).ok());
    EXPECT_TRUE(ask(/*with_objects=*/true, 2).ok());
    const absl::Status status = ask(/*with_objects=*/true, 100);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    const ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
    EXPECT_EQ(detail.reason, "LIMIT_EXCEEDED") << status;
    EXPECT_EQ(detail.field, field);
  }

  TestDatabase database_{
      [](DatabaseOptions& options) { options.limits.max_search_bytes = kMostBytes; }};
  CallContext context_;
};

TEST_F(AnswerBytesTest, OfTraversals) {
  ExpectLimited("limit", [this](bool with_objects, int limit) {
    v1::TraverseRequest request;
    request.mutable_start()->set_key("hub");
    request.set_limit(limit);
    request.set_with_objects(with_objects);
    v1::TraverseResponse response;
    return database_->graph().Traverse(context_, request, &response);
  });
}

TEST_F(AnswerBytesTest, OfNeighbours) {
  ExpectLimited("page_size", [this](bool with_objects, int limit) {
    v1::ListNeighborsRequest request;
    request.mutable_ref()->set_key("hub");
    request.set_page_size(limit);
    request.set_with_objects(with_objects);
    v1::ListNeighborsResponse response;
    return database_->graph().ListNeighbors(context_, request, &response);
  });
}

TEST_F(AnswerBytesTest, OfQuestions) {
  ExpectLimited("limit", [this](bool with_objects, int limit) {
    v1::QueryRequest request;
    request.mutable_anchor()->set_key("hub");
    request.set_limit(limit);
    request.set_with_objects(with_objects);
    v1::QueryResponse response;
    return database_->reasoning().Query(context_, request, &response);
  });
}

TEST_F(AnswerBytesTest, OfContradictions) {
  ExpectLimited("limit", [this](bool with_objects, int limit) {
    v1::FindContradictionsRequest request;
    request.mutable_ref()->set_key("hub");
    request.set_limit(limit);
    request.set_with_objects(with_objects);
    v1::FindContradictionsResponse response;
    return database_->reasoning().FindContradictions(context_, request, &response);
  });
}

// Without objects: a path may be as large as one.
TEST_F(AnswerBytesTest, OfPaths) {
  for (const char* name : {"e", "f", "g"}) {
    ASSERT_TRUE(PutObject(*database_, name, {"causes:" + (name + std::string(900, 'x'))}).ok());
  }
  ASSERT_TRUE(PutObject(*database_, "cause", {"causes:e", "causes:f", "causes:g"}).ok());
  const auto ask = [this](int limit) {
    v1::QueryRequest request;
    request.mutable_anchor()->set_key("cause");
    request.set_max_hops(2);
    request.set_limit(limit);
    v1::QueryResponse response;
    return database_->reasoning().Query(context_, request, &response);
  };
  // The nearest are three of short names.
  EXPECT_TRUE(ask(4).ok());
  EXPECT_EQ(GetErrorDetail(ask(5)).value_or(ErrorDetail{}).reason, "LIMIT_EXCEEDED");
}

}  // namespace
}  // namespace cookix::engine
