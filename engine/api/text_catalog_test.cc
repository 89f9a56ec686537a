// Text fields of collections: made, read, changed, removed and copied.
#include <functional>
#include <string>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "engine/test_database.h"
#include "engine/text/text_field.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

class TextCatalogTest : public testing::Test {
 protected:
  absl::Status Create(const v1::Collection& collection, const std::string& ns = "") {
    v1::CreateCollectionRequest request;
    request.set_namespace_(ns);
    *request.mutable_collection() = collection;
    v1::CreateCollectionResponse response;
    CallContext context;
    const absl::Status status = database_->catalog().CreateCollection(context, request, &response);
    collection_ = response.collection();
    return status;
  }
  absl::Status Update(const v1::UpdateCollectionRequest& request) {
    v1::UpdateCollectionResponse response;
    CallContext context;
    const absl::Status status = database_->catalog().UpdateCollection(context, request, &response);
    collection_ = response.collection();
    return status;
  }
  v1::Collection Get(const std::string& name = "", const std::string& ns = "") {
    v1::GetCollectionRequest request;
    request.set_namespace_(ns);
    request.set_collection(name);
    v1::GetCollectionResponse response;
    CallContext context;
    const absl::Status status = database_->catalog().GetCollection(context, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response.collection();
  }
  void CreateNamespace(const std::string& name) {
    v1::CreateNamespaceRequest request;
    request.mutable_namespace_()->set_name(name);
    v1::CreateNamespaceResponse response;
    CallContext context;
    ASSERT_TRUE(database_->catalog().CreateNamespace(context, request, &response).ok());
  }
  static void ExpectError(const absl::Status& status, absl::StatusCode code,
                          const std::string& reason, const std::string& field) {
    EXPECT_EQ(status.code(), code) << status;
    const auto detail = GetErrorDetail(status);
    ASSERT_TRUE(detail.has_value()) << status;
    EXPECT_EQ(detail->reason, reason) << status;
    EXPECT_EQ(detail->field, field) << status;
  }

  TestDatabase database_;
  v1::Collection collection_;
};

TEST_F(TextCatalogTest, NewNamespacesHaveTheFieldContent) {
  CreateNamespace("other");
  for (const char* ns : {"", "other"}) {
    const v1::Collection collection = Get("", ns);
    ASSERT_EQ(collection.text_fields_size(), 1);
    EXPECT_EQ(collection.text_fields(0).SerializeAsString(),
              DefaultTextField().SerializeAsString());
  }
  // Other collections have what they are given.
  v1::Collection plain;
  plain.set_name("plain");
  ASSERT_TRUE(Create(plain).ok());
  EXPECT_EQ(collection_.text_fields_size(), 0);
}

TEST_F(TextCatalogTest, CollectionsAreMadeWithResolvedFields) {
  v1::Collection collection;
  collection.set_name("books");
  collection.add_text_fields()->set_name("title");
  v1::TextField* body = collection.add_text_fields();
  body->set_name("body");
  body->set_source("$content");
  body->set_no_positions(true);
  body->mutable_analyzer()->set_language("en");
  ASSERT_TRUE(Create(collection).ok());
  const v1::Collection made = Get("books");
  EXPECT_EQ(made.SerializeAsString(), collection_.SerializeAsString());
  ASSERT_EQ(made.text_fields_size(), 2);
  EXPECT_EQ(made.text_fields(0).source(), "title");
  EXPECT_EQ(made.text_fields(0).boost(), 1);
  EXPECT_TRUE(made.text_fields(1).no_positions());
  EXPECT_EQ(made.text_fields(1).analyzer().language(), "en");
}

TEST_F(TextCatalogTest, RefusesFieldsThatCannotBe) {
  v1::Collection collection;
  collection.set_name("bad");
  collection.add_text_fields()->set_name("a");
  collection.add_text_fields()->set_name("a");
  ExpectError(Create(collection), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "collection.text_fields[1].name");
  collection.mutable_text_fields(1)->set_name("b");
  collection.mutable_text_fields(1)->mutable_analyzer()->set_language("elvish");
  ExpectError(Create(collection), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "collection.text_fields[1].analyzer.language");
  collection.clear_text_fields();
  for (int i = 0; i < 65; ++i) collection.add_text_fields()->set_name("f" + std::to_string(i));
  ExpectError(Create(collection), absl::StatusCode::kInvalidArgument, "LIMIT_EXCEEDED",
              "collection.text_fields");
  collection.mutable_text_fields()->RemoveLast();
  ASSERT_TRUE(Create(collection).ok());

  v1::UpdateCollectionRequest update;
  update.set_collection("bad");
  update.add_put_text_fields()->set_name("one_more");
  ExpectError(Update(update), absl::StatusCode::kInvalidArgument, "LIMIT_EXCEEDED",
              "put_text_fields");
  update.mutable_put_text_fields(0)->set_name("f0");
  update.add_put_text_fields()->set_name("f0");
  ExpectError(Update(update), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "put_text_fields[1].name");
  update.mutable_put_text_fields(1)->set_name("f1");
  update.mutable_put_text_fields(1)->set_source("elsewhere");
  ExpectError(Update(update), absl::StatusCode::kFailedPrecondition, "FROZEN_SETTING",
              "put_text_fields[1].source");
  update.clear_put_text_fields();
  update.add_remove_text_fields("f0");
  update.add_remove_text_fields("absent");
  ExpectError(Update(update), absl::StatusCode::kNotFound, "FIELD_NOT_FOUND",
              "remove_text_fields[1]");
  update.mutable_remove_text_fields()->RemoveLast();
  update.add_put_text_fields()->set_name("f0");
  ExpectError(Update(update), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "remove_text_fields[0]");
  // Nothing of it was done.
  EXPECT_EQ(Get("bad").text_fields_size(), 64);
}

TEST_F(TextCatalogTest, FieldsComeAndGoAndChange) {
  v1::UpdateCollectionRequest update;
  v1::TextField* title = update.add_put_text_fields();
  title->set_name("title");
  title->set_only_by_name(true);
  ASSERT_TRUE(Update(update).ok());
  ASSERT_EQ(collection_.text_fields_size(), 2);
  update.Clear();
  title = update.add_put_text_fields();
  title->set_name("title");
  title->set_boost(7);
  ASSERT_TRUE(Update(update).ok());
  EXPECT_EQ(collection_.text_fields(1).boost(), 7);
  EXPECT_TRUE(collection_.text_fields(1).only_by_name());
  update.Clear();
  update.add_remove_text_fields("content");
  ASSERT_TRUE(Update(update).ok());
  ASSERT_EQ(Get().text_fields_size(), 1);
  EXPECT_EQ(Get().text_fields(0).name(), "title");
  // At once, and as another one.
  update.Clear();
  v1::TextField* content = update.add_put_text_fields();
  content->set_name("content");
  content->mutable_analyzer()->set_language("fr");
  ASSERT_TRUE(Update(update).ok());
  EXPECT_EQ(Get().text_fields(1).analyzer().language(), "fr");
  // Vector fields are left alone.
  EXPECT_EQ(Get().vector_fields_size(), 0);
}

TEST_F(TextCatalogTest, CollectionsMadeByCopyingHaveTheFieldsOfTheSource) {
  v1::Collection collection;
  collection.set_name("books");
  v1::TextField* title = collection.add_text_fields();
  title->set_name("title");
  title->mutable_analyzer()->set_language("en");
  title->mutable_analyzer()->add_extra_stop_words("zeta");
  ASSERT_TRUE(Create(collection).ok());
  CreateNamespace("copy");
  v1::CopyObjectsRequest copy;
  copy.set_target_namespace("copy");
  copy.set_collection("books");
  v1::CopyObjectsResponse copied;
  CallContext context;
  const absl::Status status = database_->catalog().CopyObjects(context, copy, &copied);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(Get("books", "copy").text_fields_size(), 1);
  EXPECT_EQ(Get("books", "copy").text_fields(0).SerializeAsString(),
            Get("books").text_fields(0).SerializeAsString());
}

TEST_F(TextCatalogTest, TextsThatAreNoUtf8AreRefusedWhenTheyAreWritten) {
  const std::string broken = "caf\xe9";
  const auto put = [&](const std::function<void(v1::Object*)>& fill) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key("k");
    fill(object);
    v1::PutObjectResponse response;
    CallContext context;
    return database_->objects().PutObject(context, request, &response);
  };
  ExpectError(put([&](auto* o) { o->set_content(broken); }), absl::StatusCode::kInvalidArgument,
              "INVALID_FIELD", "write.object.content");
  ExpectError(put([&](auto* o) { (*o->mutable_properties())["t"].set_string_value(broken); }),
              absl::StatusCode::kInvalidArgument, "INVALID_FIELD", "write.object.properties.t");
  ExpectError(
      put([&](auto* o) {
        (*o->mutable_properties())["t"].mutable_list_value()->add_values()->set_string_value(
            broken);
      }),
      absl::StatusCode::kInvalidArgument, "INVALID_FIELD", "write.object.properties.t");
}

TEST(TextCatalogOnDiskTest, FieldsSurviveARestart) {
  const std::string dir = testing::TempDir() + "/text_catalog";
  TestDatabase database([&](DatabaseOptions& options) {
    options.storage.in_memory = false;
    options.storage.path = dir;
  });
  v1::UpdateCollectionRequest update;
  v1::TextField* field = update.add_put_text_fields();
  field->set_name("title");
  field->set_boost(3);
  v1::UpdateCollectionResponse updated;
  CallContext context;
  ASSERT_TRUE(database->catalog().UpdateCollection(context, update, &updated).ok());
  database.Reopen();
  v1::GetCollectionResponse response;
  ASSERT_TRUE(database->catalog().GetCollection(context, {}, &response).ok());
  EXPECT_EQ(response.collection().SerializeAsString(), updated.collection().SerializeAsString());
}

}  // namespace
}  // namespace cookix::engine
