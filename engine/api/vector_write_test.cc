// Vector fields of collections, and vectors on their way into objects and out again.
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/catalog/catalog_store.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

class VectorWriteTest : public testing::Test {
 protected:
  absl::Status Update(const v1::UpdateCollectionRequest& request) {
    CallContext context;
    updated_.Clear();
    return database_->catalog().UpdateCollection(context, request, &updated_);
  }
  void AddField(const std::string& name, int32_t dimension,
                v1::VectorMetric metric = v1::VECTOR_METRIC_UNSPECIFIED, bool multi = false) {
    v1::UpdateCollectionRequest request;
    v1::VectorField* field = request.add_put_vector_fields();
    field->set_name(name);
    field->set_dimension(dimension);
    field->set_metric(metric);
    field->set_multi(multi);
    const absl::Status status = Update(request);
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status RemoveField(const std::string& name) {
    v1::UpdateCollectionRequest request;
    request.add_remove_vector_fields(name);
    return Update(request);
  }

  static v1::Vector Dense(const std::vector<float>& values) {
    v1::Vector vector;
    vector.mutable_values()->Add(values.begin(), values.end());
    return vector;
  }
  absl::Status Put(const std::string& key, const std::map<std::string, v1::Vector>& vectors) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key(key);
    for (const auto& [name, vector] : vectors) (*object->mutable_vectors())[name] = vector;
    v1::PutObjectResponse response;
    CallContext context;
    return database_->objects().PutObject(context, request, &response);
  }
  absl::Status Insert(const v1::InsertVectorsRequest& request) {
    CallContext context;
    inserted_.Clear();
    return database_->objects().InsertVectors(context, request, &inserted_);
  }
  static v1::InsertVectorsRequest Rows(const std::vector<std::string>& keys,
                                       const std::vector<float>& values) {
    v1::InsertVectorsRequest request;
    for (const std::string& key : keys) request.add_keys(key);
    request.mutable_values()->Add(values.begin(), values.end());
    return request;
  }
  v1::Object Get(const std::string& key, const std::string& ns = "") {
    v1::GetObjectRequest request;
    request.set_namespace_(ns);
    request.mutable_ref()->set_key(key);
    request.mutable_mask()->set_with_vectors(true);
    v1::GetObjectResponse response;
    CallContext context;
    const absl::Status status = database_->objects().GetObject(context, request, &response);
    EXPECT_TRUE(status.ok()) << key << ": " << status;
    return response.object();
  }
  int64_t StoredVectors() {
    const ReadView read = database_->Read();
    auto it = read.snapshot->Scan(Family::kVectors, {});
    int64_t count = 0;
    for (it->SeekToFirst(); it->Valid(); it->Next()) ++count;
    return count;
  }
  static void ExpectError(const absl::Status& status, absl::StatusCode code,
                          const std::string& reason, const std::string& field) {
    EXPECT_EQ(status.code(), code) << status;
    const std::optional<ErrorDetail> detail = GetErrorDetail(status);
    ASSERT_TRUE(detail.has_value()) << status;
    EXPECT_EQ(detail->reason, reason) << status;
    EXPECT_EQ(detail->field, field) << status;
  }

  TestDatabase database_;
  v1::UpdateCollectionResponse updated_;
  v1::InsertVectorsResponse inserted_;
};

TEST_F(VectorWriteTest, CollectionsShowTheirFieldsWithDefaults) {
  CallContext context;
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("docs");
  create.mutable_collection()->add_vector_fields()->set_name("words");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("meaning");
  field->set_dimension(64);
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(database_->catalog().CreateCollection(context, create, &created).ok());
  EXPECT_EQ(created.collection().vector_fields(0).index(), v1::VECTOR_INDEX_KIND_SPARSE);
  EXPECT_EQ(created.collection().vector_fields(1).hnsw().m(), 16);
  v1::GetCollectionRequest get;
  get.set_collection("docs");
  v1::GetCollectionResponse got;
  ASSERT_TRUE(database_->catalog().GetCollection(context, get, &got).ok());
  EXPECT_EQ(got.collection().SerializeAsString(), created.collection().SerializeAsString());
  // One that exists is returned as it is, whatever is asked for.
  field->set_dimension(32);
  create.set_if_not_exists(true);
  ASSERT_TRUE(database_->catalog().CreateCollection(context, create, &created).ok());
  EXPECT_FALSE(created.created());
  EXPECT_EQ(created.collection().vector_fields(1).dimension(), 64);
}

TEST_F(VectorWriteTest, CreateCollectionChecksItsFields) {
  CallContext context;
  v1::CreateCollectionRequest create;
  v1::CreateCollectionResponse created;
  create.mutable_collection()->set_name("docs");
  v1::VectorField* field = create.mutable_collection()->add_vector_fields();
  field->set_name("v");
  field->set_dimension(65'537);
  ExpectError(database_->catalog().CreateCollection(context, create, &created),
              absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "collection.vector_fields[0].dimension");
  field->set_dimension(3);
  *create.mutable_collection()->add_vector_fields() = *field;
  ExpectError(database_->catalog().CreateCollection(context, create, &created),
              absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "collection.vector_fields[1].name");
  create.mutable_collection()->clear_vector_fields();
  for (int i = 0; i < 65; ++i) {
    create.mutable_collection()->add_vector_fields()->set_name("v" + std::to_string(i));
  }
  ExpectError(database_->catalog().CreateCollection(context, create, &created),
              absl::StatusCode::kInvalidArgument, "LIMIT_EXCEEDED", "collection.vector_fields");
  create.mutable_collection()->mutable_vector_fields()->RemoveLast();
  EXPECT_TRUE(database_->catalog().CreateCollection(context, create, &created).ok());
}

TEST_F(VectorWriteTest, UpdateCollectionAddsAndChangesFields) {
  AddField("a", 2);
  AddField("b", 3);
  ASSERT_EQ(updated_.collection().vector_fields_size(), 2);
  const int64_t before = updated_.result().commit();
  v1::UpdateCollectionRequest request;
  v1::VectorField* field = request.add_put_vector_fields();
  field->set_name("a");
  // Nothing changes, so nothing is written.
  ASSERT_TRUE(Update(request).ok());
  EXPECT_EQ(updated_.result().commit(), before);
  field->mutable_hnsw()->set_ef_search(200);
  request.set_description("what it is for");
  ASSERT_TRUE(Update(request).ok());
  EXPECT_EQ(updated_.collection().vector_fields(0).hnsw().ef_search(), 200);
  EXPECT_EQ(updated_.collection().description(), "what it is for");
  EXPECT_GT(updated_.result().commit(), before);
  field->set_dimension(5);
  ExpectError(Update(request), absl::StatusCode::kFailedPrecondition, "FROZEN_SETTING",
              "put_vector_fields[0].dimension");
  // All or nothing: the second one is bad.
  request.Clear();
  request.add_put_vector_fields()->set_name("c");
  request.add_put_vector_fields()->set_name("d");
  request.mutable_put_vector_fields(1)->set_dimension(-1);
  ExpectError(Update(request), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "put_vector_fields[1].dimension");
  request.mutable_put_vector_fields(1)->set_name("c");
  request.mutable_put_vector_fields(1)->set_dimension(0);
  ExpectError(Update(request), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "put_vector_fields[1].name");
  request.Clear();
  ASSERT_TRUE(Update(request).ok());
  EXPECT_EQ(updated_.collection().vector_fields_size(), 2);
  for (int i = 0; i < 63; ++i) request.add_put_vector_fields()->set_name("n" + std::to_string(i));
  ExpectError(Update(request), absl::StatusCode::kInvalidArgument, "LIMIT_EXCEEDED",
              "put_vector_fields");
  request.Clear();
  request.set_collection("nowhere");
  ExpectError(Update(request), absl::StatusCode::kNotFound, "COLLECTION_NOT_FOUND", "collection");
  ExpectError(RemoveField("c"), absl::StatusCode::kNotFound, "FIELD_NOT_FOUND",
              "remove_vector_fields[0]");
  request.Clear();
  request.add_put_vector_fields()->set_name("a");
  request.add_remove_vector_fields("a");
  ExpectError(Update(request), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "remove_vector_fields[0]");
}

TEST_F(VectorWriteTest, VectorsOfARemovedFieldDoNotComeBack) {
  AddField("a", 2);
  AddField("b", 2);
  constexpr int kObjects = 50;
  for (int i = 0; i < kObjects; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i), {{"a", Dense({1, 2})}, {"b", Dense({3, 4})}}).ok());
  }
  ASSERT_TRUE(Put("other", {{"b", Dense({3, 4})}}).ok());
  const int64_t version = Get("k7").version();
  ASSERT_TRUE(RemoveField("a").ok());
  ASSERT_EQ(updated_.collection().vector_fields_size(), 1);
  // Gone at once, though still stored.
  EXPECT_EQ(StoredVectors(), 2 * kObjects + 1);
  EXPECT_EQ(Get("k7").vectors_size(), 1);
  ExpectError(Put("late", {{"a", Dense({1, 2})}}), absl::StatusCode::kNotFound, "FIELD_NOT_FOUND",
              "write.object.vectors.a");
  v1::UpdateCollectionRequest again;
  again.add_put_vector_fields()->set_name("a");
  again.mutable_put_vector_fields(0)->set_dimension(2);
  ExpectError(Update(again), absl::StatusCode::kFailedPrecondition, "FIELD_BEING_REMOVED",
              "put_vector_fields[0].name");
  EXPECT_TRUE(GetErrorDetail(Update(again))->retryable);
  // Other writes go on meanwhile, before and behind the collector.
  ASSERT_TRUE(database_->RunMaintenance(10).ok());
  EXPECT_LT(StoredVectors(), 2 * kObjects + 1);
  EXPECT_GT(StoredVectors(), kObjects + 1);
  v1::PatchObjectRequest patch;
  patch.mutable_patch()->mutable_ref()->set_key("k9");
  patch.mutable_patch()->set_content("patched");
  v1::PatchObjectResponse patched;
  CallContext context;
  ASSERT_TRUE(database_->objects().PatchObject(context, patch, &patched).ok());
  ASSERT_TRUE(Put("k8", {}).ok());
  while (database_->pending_tombstones() > 0) ASSERT_TRUE(database_->RunMaintenance(10).ok());
  EXPECT_EQ(StoredVectors(), kObjects);  // "b" of all but "k8", and of "other"
  EXPECT_EQ(Get("k7").version(), version);
  ASSERT_TRUE(Update(again).ok());
  for (int i = 0; i < kObjects; ++i) {
    EXPECT_EQ(Get("k" + std::to_string(i)).vectors().count("a"), 0u) << i;
  }
  ASSERT_TRUE(Put("k7", {{"a", Dense({5, 6})}}).ok());
  EXPECT_EQ(Get("k7").vectors().at("a").values(0), 5);
}

TEST_F(VectorWriteTest, AFieldIsCollectedThoughItsCollectionGoesToo) {
  CallContext context;
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("docs");
  create.mutable_collection()->add_vector_fields()->set_name("v");
  create.mutable_collection()->mutable_vector_fields(0)->set_dimension(1);
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(database_->catalog().CreateCollection(context, create, &created).ok());
  v1::InsertVectorsRequest rows = Rows({"a", "b", "c"}, {1, 2, 3});
  rows.set_collection("docs");
  ASSERT_TRUE(Insert(rows).ok());
  v1::UpdateCollectionRequest remove;
  remove.set_collection("docs");
  remove.add_remove_vector_fields("v");
  ASSERT_TRUE(Update(remove).ok());
  v1::DeleteCollectionRequest drop;
  drop.set_collection("docs");
  drop.set_force(true);
  v1::DeleteCollectionResponse dropped;
  ASSERT_TRUE(database_->catalog().DeleteCollection(context, drop, &dropped).ok());
  while (database_->pending_tombstones() > 0) ASSERT_TRUE(database_->RunMaintenance(10).ok());
  EXPECT_EQ(StoredVectors(), 0);
}

TEST(VectorWriteOnDiskTest, ARemovalGoesOnAfterReopening) {
  TestDatabase database([](DatabaseOptions& options) {
    options.storage.in_memory = false;
    options.storage.path = testing::TempDir() + "/vector_removal";
    options.storage.sync_mode = storage::SyncMode::kOff;
  });
  CallContext context;
  v1::UpdateCollectionRequest update;
  update.add_put_vector_fields()->set_name("v");
  update.mutable_put_vector_fields(0)->set_dimension(1);
  v1::UpdateCollectionResponse updated;
  ASSERT_TRUE(database->catalog().UpdateCollection(context, update, &updated).ok());
  v1::InsertVectorsRequest rows;
  for (int i = 0; i < 30; ++i) {
    rows.add_keys("k" + std::to_string(i));
    rows.add_values(1);
  }
  v1::InsertVectorsResponse inserted;
  ASSERT_TRUE(database->objects().InsertVectors(context, rows, &inserted).ok());
  v1::UpdateCollectionRequest remove;
  remove.add_remove_vector_fields("v");
  ASSERT_TRUE(database->catalog().UpdateCollection(context, remove, &updated).ok());
  ASSERT_TRUE(database->RunMaintenance(5).ok());
  database.Reopen();
  EXPECT_EQ(database->catalog().UpdateCollection(context, update, &updated).code(),
            absl::StatusCode::kFailedPrecondition);
  while (database->pending_tombstones() > 0) ASSERT_TRUE(database->RunMaintenance(5).ok());
  const ReadView read = database->Read();
  auto it = read.snapshot->Scan(Family::kVectors, {});
  it->SeekToFirst();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(database->catalog().UpdateCollection(context, update, &updated).ok());
}

TEST(VectorWriteOnDiskTest, FieldsOfEarlierVersionsGetTheirDefaults) {
  TestDatabase database([](DatabaseOptions& options) {
    options.storage.in_memory = false;
    options.storage.path = testing::TempDir() + "/old_vector_fields";
    options.storage.sync_mode = storage::SyncMode::kOff;
  });
  internal::v1::CollectionRecord record;
  record.set_id(7);
  record.mutable_collection()->set_name("old");
  v1::VectorField* field = record.mutable_collection()->add_vector_fields();
  field->set_name("v");
  field->set_dimension(2);
  field = record.mutable_collection()->add_vector_fields();
  field->set_name("s");
  field->set_metric(v1::VECTOR_METRIC_L2);
  ASSERT_TRUE(database->store()
                  .Commit({},
                          [&](storage::CommitBatch& batch) {
                            batch.Put(Family::kCatalog,
                                      CollectionRecordKey(kDefaultNamespaceId, "old"),
                                      record.SerializeAsString());
                            internal::v1::ChangeRecord change;
                            change.add_events()->mutable_catalog()->set_namespace_id(1);
                            batch.SetChange(change.SerializeAsString());
                            return absl::OkStatus();
                          })
                  .ok());
  database.Reopen();
  CallContext context;
  v1::GetCollectionRequest get;
  get.set_collection("old");
  v1::GetCollectionResponse got;
  ASSERT_TRUE(database->catalog().GetCollection(context, get, &got).ok());
  EXPECT_EQ(got.collection().vector_fields(0).index(), v1::VECTOR_INDEX_KIND_HNSW);
  EXPECT_EQ(got.collection().vector_fields(0).hnsw().ef_search(), 64);
  EXPECT_EQ(got.collection().vector_fields(1).metric(), v1::VECTOR_METRIC_DOT);
  EXPECT_EQ(got.collection().vector_fields(1).index(), v1::VECTOR_INDEX_KIND_SPARSE);
}

TEST_F(VectorWriteTest, VectorsAreCheckedAndKeptAsGiven) {
  AddField("a", 2);
  ASSERT_TRUE(Put("k", {{"a", Dense({3, 4})}}).ok());
  const v1::Object first = Get("k");
  EXPECT_EQ(first.vectors().at("a").values(0), 3);
  EXPECT_EQ(first.vectors().at("a").values(1), 4);
  // The same again is a write too.
  ASSERT_TRUE(Put("k", {{"a", Dense({3, 4})}}).ok());
  EXPECT_GT(Get("k").version(), first.version());
  const absl::Status wrong = Put("k", {{"a", Dense({3, 4, 5})}});
  ExpectError(wrong, absl::StatusCode::kInvalidArgument, "INVALID_FIELD", "write.object.vectors.a");
  EXPECT_NE(wrong.message().find("3 components, expected 2"), absl::string_view::npos) << wrong;
  ExpectError(Put("k", {{"a", Dense({0, 0})}}), absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
              "write.object.vectors.a");
  ExpectError(Put("k", {{"b", Dense({1, 1})}}), absl::StatusCode::kNotFound, "FIELD_NOT_FOUND",
              "write.object.vectors.b");
  CallContext context;
  v1::PatchObjectRequest patch;
  v1::PatchObjectResponse patched;
  patch.mutable_patch()->mutable_ref()->set_key("k");
  (*patch.mutable_patch()->mutable_set_vectors())["a"] =
      Dense({1, std::numeric_limits<float>::infinity()});
  ExpectError(database_->objects().PatchObject(context, patch, &patched),
              absl::StatusCode::kInvalidArgument, "INVALID_FIELD", "patch.set_vectors.a");
  (*patch.mutable_patch()->mutable_set_vectors())["a"] = Dense({5, 6});
  ASSERT_TRUE(database_->objects().PatchObject(context, patch, &patched).ok());
  EXPECT_EQ(Get("k").version(), patched.result().commit());
  EXPECT_EQ(Get("k").vectors().at("a").values(1), 6);
  patch.mutable_patch()->clear_set_vectors();
  patch.mutable_patch()->add_remove_vectors("a");
  patch.mutable_patch()->add_remove_vectors("never was");
  ASSERT_TRUE(database_->objects().PatchObject(context, patch, &patched).ok());
  EXPECT_EQ(Get("k").vectors_size(), 0);
  EXPECT_EQ(StoredVectors(), 0);
}

TEST_F(VectorWriteTest, InsertVectorsLeavesTheRestOfAnObject) {
  AddField("a", 2);
  AddField("b", 1);
  CallContext context;
  v1::PutObjectRequest put;
  v1::Object* object = put.mutable_write()->mutable_object();
  object->mutable_ref()->set_key("k");
  object->set_content("text");
  object->add_labels("L");
  (*object->mutable_properties())["p"].set_int_value(1);
  (*object->mutable_vectors())["b"] = Dense({9});
  v1::PutObjectResponse response;
  ASSERT_TRUE(database_->objects().PutObject(context, put, &response).ok());
  ASSERT_TRUE(PutObject(*database_, "source", {"r:dangling"}).ok());
  const v1::Object before = Get("k");
  database_.AdvanceMs(5);

  v1::InsertVectorsRequest rows = Rows({"new", "k", "dangling", "k"}, {1, 2, 3, 4, 5, 6, 7, 8});
  rows.set_field("a");
  rows.set_sequence(11);
  for (int i = 0; i < 4; ++i) rows.add_properties();
  (*rows.mutable_properties(1)->mutable_fields())["q"].set_int_value(2);
  ASSERT_TRUE(Insert(rows).ok());
  EXPECT_EQ(inserted_.sequence(), 11);
  EXPECT_EQ(inserted_.created_count(), 2);
  v1::Object after = Get("k");
  EXPECT_EQ(after.version(), inserted_.result().commit());
  EXPECT_EQ(after.created_ms(), before.created_ms());
  EXPECT_EQ(after.updated_ms(), before.updated_ms() + 5);
  EXPECT_EQ(after.content(), "text");
  EXPECT_EQ(after.labels_size(), 1);
  EXPECT_EQ(after.properties().at("p").int_value(), 1);
  EXPECT_EQ(after.properties().at("q").int_value(), 2);
  EXPECT_EQ(after.vectors().at("b").values(0), 9);
  // Of a key that is there twice the last vector stays.
  EXPECT_EQ(after.vectors().at("a").values(0), 7);
  EXPECT_EQ(Get("new").vectors().at("a").values(1), 2);
  EXPECT_EQ(Get("dangling").vectors().at("a").values(1), 6);
  v1::CountObjectsResponse count;
  ASSERT_TRUE(database_->objects().CountObjects(context, {}, &count).ok());
  EXPECT_EQ(count.count(), 4);
}

TEST_F(VectorWriteTest, InsertVectorsOfEveryKind) {
  AddField("bits", 12, v1::VECTOR_METRIC_HAMMING);
  AddField("sparse", 0);
  AddField("multi", 2, v1::VECTOR_METRIC_L2, true);
  v1::InsertVectorsRequest bits = Rows({"a", "b"}, {});
  bits.set_field("bits");
  bits.set_bits(std::string("\x01\x02\xff\x0f", 4));
  ASSERT_TRUE(Insert(bits).ok());
  v1::InsertVectorsRequest sparse = Rows({"a", "b"}, {});
  sparse.set_field("sparse");
  for (uint32_t i = 0; i < 2; ++i) {
    sparse.add_sparse()->add_indices(i);
    sparse.mutable_sparse(static_cast<int>(i))->add_values(0.5f);
  }
  ASSERT_TRUE(Insert(sparse).ok());
  v1::InsertVectorsRequest multi = Rows({"a", "b"}, {1, 2, 3, 4});
  multi.set_field("multi");
  ASSERT_TRUE(Insert(multi).ok());
  const v1::Object b = Get("b");
  EXPECT_EQ(b.vectors().at("bits").bits(), std::string("\xff\x0f", 2));
  EXPECT_EQ(b.vectors().at("sparse").indices(0), 1u);
  EXPECT_EQ(b.vectors().at("multi").values_size(), 2);
  // What is stored is what the other ways to write would store.
  v1::Vector same;
  same.set_bits(std::string("\xff\x0f", 2));
  std::string stored;
  ASSERT_TRUE(
      *database_->Read().snapshot->Get(Family::kVectors, ObjectKey(1, 2) + "bits", &stored));
  EXPECT_EQ(stored, same.SerializeAsString());
  ASSERT_TRUE(
      *database_->Read().snapshot->Get(Family::kVectors, ObjectKey(1, 2) + "multi", &stored));
  EXPECT_EQ(stored, Dense({3, 4}).SerializeAsString());

  const auto refused = [&](v1::InsertVectorsRequest request, const std::string& field) {
    ExpectError(Insert(request), absl::StatusCode::kInvalidArgument, "INVALID_FIELD", field);
  };
  bits.set_bits("\x01\x02\xff");
  refused(bits, "bits");
  bits.set_bits("\x01\x02\xff\xff");
  refused(bits, "bits[2]");
  bits.add_values(1);
  refused(bits, "values");
  sparse.mutable_sparse(1)->clear_indices();
  refused(sparse, "sparse[1]");
  sparse.mutable_sparse()->RemoveLast();
  refused(sparse, "sparse");
  multi.set_bits("x");
  refused(multi, "bits");
  multi.clear_bits();
  multi.add_sparse();
  refused(multi, "sparse");
}

TEST_F(VectorWriteTest, InsertVectorsRefusesAndWritesNothing) {
  AddField("a", 2);
  const int64_t commit = static_cast<int64_t>(database_->Read().commit());
  const v1::InsertVectorsRequest good = Rows({"x", "y"}, {1, 2, 3, 4});
  const auto refused = [&](const std::function<void(v1::InsertVectorsRequest&)>& change,
                           absl::StatusCode code, const std::string& reason,
                           const std::string& field) {
    v1::InsertVectorsRequest request = good;
    change(request);
    SCOPED_TRACE(field);
    ExpectError(Insert(request), code, reason, field);
    // A request id changes nothing about it.
    request.mutable_options()->set_request_id("r" + field);
    ExpectError(Insert(request), code, reason, field);
  };
  using R = v1::InsertVectorsRequest;
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  constexpr auto kMissing = absl::StatusCode::kNotFound;
  refused([](R& r) { r.clear_keys(); }, kBad, "INVALID_FIELD", "keys");
  refused(
      [](R& r) {
        for (int i = 0; i < 10'000; ++i) r.add_keys("k");
      },
      kBad, "LIMIT_EXCEEDED", "keys");
  refused([](R& r) { r.set_keys(1, ""); }, kBad, "INVALID_FIELD", "keys[1]");
  refused([](R& r) { r.add_values(5); }, kBad, "INVALID_FIELD", "values");
  refused([](R& r) { r.set_values(3, std::numeric_limits<float>::quiet_NaN()); }, kBad,
          "INVALID_FIELD", "values[2]");
  refused([](R& r) { r.set_values(0, 0), r.set_values(1, 0); }, kBad, "INVALID_FIELD", "values[0]");
  refused([](R& r) { r.add_properties(); }, kBad, "INVALID_FIELD", "properties");
  refused(
      [](R& r) {
        r.add_properties();
        (*r.add_properties()->mutable_fields())["$key"].set_int_value(1);
      },
      kBad, "INVALID_FIELD", "properties[1].fields.$key");
  refused([](R& r) { r.set_field("b"); }, kMissing, "FIELD_NOT_FOUND", "field");
  refused([](R& r) { r.set_collection("b"); }, kMissing, "COLLECTION_NOT_FOUND", "collection");
  refused([](R& r) { r.set_namespace_("b"); }, kMissing, "NAMESPACE_NOT_FOUND", "namespace");
  EXPECT_EQ(static_cast<int64_t>(database_->Read().commit()), commit);
  EXPECT_EQ(StoredVectors(), 0);
  ASSERT_TRUE(Insert(good).ok());
  AddField("b", 2);
  refused([](R&) {}, kBad, "INVALID_FIELD", "field");
}

TEST_F(VectorWriteTest, ARepetitionIsAnsweredThoughTheFieldIsGone) {
  AddField("a", 2);
  v1::InsertVectorsRequest rows = Rows({"x", "y"}, {1, 2, 3, 4});
  rows.mutable_options()->set_request_id("once");
  ASSERT_TRUE(Insert(rows).ok());
  const int64_t commit = inserted_.result().commit();
  ASSERT_TRUE(RemoveField("a").ok());
  ASSERT_TRUE(Insert(rows).ok());
  EXPECT_TRUE(inserted_.result().replayed());
  EXPECT_EQ(inserted_.result().commit(), commit);
  EXPECT_EQ(inserted_.created_count(), 2);
}

TEST_F(VectorWriteTest, CopiesTakeVectorsWhereTheFieldsAgree) {
  AddField("same", 2);
  AddField("longer", 2);
  AddField("missing", 2);
  ASSERT_TRUE(
      Put("k", {{"same", Dense({1, 2})}, {"longer", Dense({3, 4})}, {"missing", Dense({5, 6})}})
          .ok());
  CallContext context;
  for (const char* name : {"empty", "other"}) {
    v1::CreateNamespaceRequest create;
    create.mutable_namespace_()->set_name(name);
    v1::CreateNamespaceResponse created;
    ASSERT_TRUE(database_->catalog().CreateNamespace(context, create, &created).ok());
  }
  v1::UpdateCollectionRequest fields;
  fields.set_namespace_("other");
  fields.add_put_vector_fields()->set_name("same");
  fields.mutable_put_vector_fields(0)->set_dimension(2);
  fields.mutable_put_vector_fields(0)->set_index(v1::VECTOR_INDEX_KIND_FLAT);
  fields.add_put_vector_fields()->set_name("longer");
  fields.mutable_put_vector_fields(1)->set_dimension(3);
  ASSERT_TRUE(Update(fields).ok());
  v1::CopyObjectsRequest copy;
  copy.set_target_namespace("other");
  v1::CopyObjectsResponse copied;
  const absl::Status status = database_->catalog().CopyObjects(context, copy, &copied);
  ASSERT_TRUE(status.ok()) << status;
  const v1::Object object = Get("k", "other");
  EXPECT_EQ(object.vectors_size(), 1);
  EXPECT_EQ(object.vectors().at("same").values(1), 2);
  // A field that was removed is not copied either, collected or not.
  ASSERT_TRUE(RemoveField("same").ok());
  copy.set_overwrite(true);
  ASSERT_TRUE(database_->catalog().CopyObjects(context, copy, &copied).ok());
  EXPECT_EQ(Get("k", "other").vectors_size(), 0);
}

}  // namespace
}  // namespace cookix::engine
