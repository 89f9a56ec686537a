// The judge of the crash test must itself notice lost, doubled and halved writes.
#include "tests/crash/expected_state.h"

#include <gtest/gtest.h>

namespace cookix::tests {
namespace {

v1::Mutation Put(const std::string& key, int64_t counter) {
  v1::Mutation mutation;
  v1::Object* object = mutation.mutable_put_object()->mutable_object();
  object->mutable_ref()->set_key(key);
  (*object->mutable_properties())["counter"].set_int_value(counter);
  return mutation;
}

v1::Mutation Link(const std::string& source, const std::string& target, double weight) {
  v1::Mutation mutation;
  v1::Edge* edge = mutation.mutable_put_edge();
  edge->mutable_source()->set_key(source);
  edge->set_relation("r");
  edge->mutable_target()->set_key(target);
  edge->set_weight(weight);
  return mutation;
}

v1::WriteRequest Write(std::vector<v1::Mutation> mutations) {
  v1::WriteRequest request;
  for (v1::Mutation& mutation : mutations) *request.add_mutations() = mutation;
  return request;
}

class ExpectedStateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    expected_.Sent(Write({Put("a", 1), Put("b", 1), Link("a", "b", 2.0)}));
    ASSERT_TRUE(expected_.Acknowledged(5));
    found_.objects = {{"a", {1, 5}}, {"b", {1, 5}}};
    found_.edges = {{{"a", "r", "b"}, {2.0, 5}}};
  }
  ExpectedState expected_;
  GraphState found_;
  std::string why_;
};

TEST_F(ExpectedStateTest, AcceptsWhatWasAcknowledged) {
  EXPECT_EQ(expected_.Match(found_, &why_), 0u) << why_;
}

TEST_F(ExpectedStateTest, NoticesALostObject) {
  found_.objects.erase("b");
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  EXPECT_NE(why_.find("object b is missing"), std::string::npos) << why_;
}

TEST_F(ExpectedStateTest, NoticesALostEdgeAnOldCounterAndAnOldVersion) {
  GraphState found = found_;
  found.edges.clear();
  EXPECT_FALSE(expected_.Match(found, &why_).has_value());
  found = found_;
  found.objects["a"].counter = 0;
  EXPECT_FALSE(expected_.Match(found, &why_).has_value());
  found = found_;
  found.objects["a"].version = 4;
  EXPECT_FALSE(expected_.Match(found, &why_).has_value());
}

TEST_F(ExpectedStateTest, NoticesContentsThatAreLostOrOld) {
  v1::Mutation put = Put("a", 2);
  put.mutable_put_object()->mutable_object()->set_content("old");
  v1::Mutation patch;
  patch.mutable_patch_object()->mutable_ref()->set_key("a");
  (*patch.mutable_patch_object()->mutable_set_properties())["counter"].set_int_value(3);
  patch.mutable_patch_object()->set_content("new");
  expected_.Sent(Write({put}));
  ASSERT_TRUE(expected_.Acknowledged(6));
  expected_.Sent(Write({patch}));
  found_.objects["a"] = {3, 7, {}, "new"};
  EXPECT_EQ(expected_.Match(found_, &why_), 1u) << why_;
  for (const char* wrong : {"old", ""}) {
    found_.objects["a"].content = wrong;
    EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  }
  found_.objects["a"] = {2, 6, {}, "old"};
  EXPECT_EQ(expected_.Match(found_, &why_), 0u) << why_;
}

TEST_F(ExpectedStateTest, NoticesVectorsThatAreLostLeftOverOrOld) {
  v1::Mutation put = Put("a", 2);
  auto* vectors = put.mutable_put_object()->mutable_object()->mutable_vectors();
  (*vectors)["v"].add_values(1);
  (*vectors)["w"].add_values(2);
  v1::Mutation patch;
  patch.mutable_patch_object()->mutable_ref()->set_key("a");
  (*patch.mutable_patch_object()->mutable_set_properties())["counter"].set_int_value(3);
  (*patch.mutable_patch_object()->mutable_set_vectors())["v"].add_values(4);
  patch.mutable_patch_object()->add_remove_vectors("w");
  expected_.Sent(Write({put}));
  ASSERT_TRUE(expected_.Acknowledged(6));
  expected_.Sent(Write({patch}));
  const std::string one = (*vectors)["v"].SerializeAsString();
  const std::string two = (*vectors)["w"].SerializeAsString();
  const std::string four = patch.patch_object().set_vectors().at("v").SerializeAsString();
  found_.objects["a"] = {2, 6, {{"v", one}, {"w", two}}};
  EXPECT_EQ(expected_.Match(found_, &why_), 0u) << why_;
  found_.objects["a"] = {2, 6, {{"v", one}}};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  found_.objects["a"] = {3, 7, {{"v", four}}};
  EXPECT_EQ(expected_.Match(found_, &why_), 1u) << why_;
  found_.objects["a"] = {3, 7, {{"v", one}}};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  found_.objects["a"] = {3, 7, {{"v", four}, {"w", two}}};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  // A put replaces all vectors.
  expected_.Sent(Write({Put("a", 4)}));
  found_.objects["a"] = {4, 8};
  EXPECT_EQ(expected_.Match(found_, &why_), 2u) << why_;
}

TEST_F(ExpectedStateTest, NoticesWhatShouldBeGone) {
  found_.objects["c"] = {1, 5};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
}

TEST_F(ExpectedStateTest, AllowsAnyBeginningOfUnacknowledgedWritesButNoHalf) {
  expected_.Sent(Write({Put("a", 2), Put("b", 2)}));
  expected_.Sent(Write({Put("a", 3), Put("b", 3)}));
  EXPECT_EQ(expected_.Match(found_, &why_), 0u);
  found_.objects = {{"a", {2, 6}}, {"b", {2, 6}}};
  EXPECT_EQ(expected_.Match(found_, &why_), 1u);
  found_.objects = {{"a", {3, 7}}, {"b", {3, 7}}};
  EXPECT_EQ(expected_.Match(found_, &why_), 2u);
  found_.objects = {{"a", {3, 7}}, {"b", {2, 6}}};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
}

TEST_F(ExpectedStateTest, UnknownVersionsMustBeNewerThanAcknowledgedOnes) {
  expected_.Sent(Write({Put("a", 2)}));
  found_.objects["a"] = {2, 5};
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  found_.objects["a"] = {2, 6};
  EXPECT_EQ(expected_.Match(found_, &why_), 1u);
}

TEST_F(ExpectedStateTest, DeletionTakesTheEdgesAlong) {
  v1::Mutation deletion;
  deletion.mutable_delete_object()->mutable_ref()->set_key("b");
  expected_.Sent(Write({deletion}));
  ASSERT_TRUE(expected_.Acknowledged(6));
  EXPECT_FALSE(expected_.Match(found_, &why_).has_value());
  found_.objects.erase("b");
  found_.edges.clear();
  EXPECT_EQ(expected_.Match(found_, &why_), 0u) << why_;
}

TEST_F(ExpectedStateTest, CommitsMustNotGoBack) {
  expected_.Sent(Write({Put("a", 2)}));
  EXPECT_FALSE(expected_.Acknowledged(4));
}

}  // namespace
}  // namespace cookix::tests
