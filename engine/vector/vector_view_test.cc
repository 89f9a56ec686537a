// The view of vector indexes in a database: against reading the store, through every kind
// of write, restarts and damage.
#include "engine/vector/vector_view.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/database.h"
#include "engine/test_database.h"
#include "engine/vector/record_search.h"
#include "engine/vector/vector_field.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/local_store.h"

namespace cookix::engine {
namespace {

class Nothing : public OrdinalSet {
  bool Contains(Ordinal) const override { return false; }
  uint64_t Count() const override { return 0; }
  void ForEach(absl::FunctionRef<void(Ordinal)>) const override {}
};

class VectorViewTest : public testing::Test {
 protected:
  // Components of the field "wide": its cells are large enough to lie in files of their own.
  static constexpr int kWide = 4096;

  void Open(bool on_disk, TestDatabase::Configure more = nullptr) {
    database_.emplace([&](DatabaseOptions& options) {
      options.storage.in_memory = !on_disk;
      if (on_disk) {
        dir_ = testing::TempDir() + "/" +
               testing::UnitTest::GetInstance()->current_test_info()->name();
        std::filesystem::remove_all(dir_);
        options.storage.path = dir_;
      }
      if (more) more(options);
    });
    WaitBuilt();
    v1::UpdateCollectionRequest request;
    auto add = [&](const char* name, int dimension, v1::VectorMetric metric,
                   v1::VectorIndexKind kind) {
      v1::VectorField* field = request.add_put_vector_fields();
      field->set_name(name);
      field->set_dimension(dimension);
      field->set_metric(metric);
      field->set_index(kind);
      return field;
    };
    add("flat", 12, v1::VECTOR_METRIC_L2, v1::VECTOR_INDEX_KIND_FLAT);
    add("graph", 12, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_HNSW);
    add("many", 8, v1::VECTOR_METRIC_DOT, v1::VECTOR_INDEX_KIND_HNSW)->set_multi(true);
    add("bits", 64, v1::VECTOR_METRIC_HAMMING, v1::VECTOR_INDEX_KIND_HNSW);
    add("cells", 12, v1::VECTOR_METRIC_COSINE, v1::VECTOR_INDEX_KIND_CELLS);
    add("sparse", 0, v1::VECTOR_METRIC_DOT, v1::VECTOR_INDEX_KIND_SPARSE);
    Update(request);
  }

  v1::Vector RandomVector(const std::string& field) {
    v1::Vector vector;
    if (field == "bits") {
      const uint64_t bits = rng_() & rng_();
      vector.set_bits(std::string(reinterpret_cast<const char*>(&bits), 8));
    } else if (field == "sparse") {
      std::set<uint32_t> indices;
      for (int i = 0; i < 6; ++i) indices.insert(static_cast<uint32_t>(rng_() % 40));
      for (const uint32_t index : indices) {
        vector.add_indices(index);
        vector.add_values(0.1f + static_cast<float>(rng_() % 100) / 50);
      }
    } else {
      const int count = field == "many"   ? 8 * static_cast<int>(1 + rng_() % 3)
                        : field == "wide" ? kWide
                                          : 12;
      for (int i = 0; i < count; ++i) vector.add_values(normal_(rng_) + 2);
    }
    return vector;
  }

  void Put(const std::string& key) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key(key);
    for (const std::string field : {"flat", "graph", "many", "bits", "cells", "sparse"}) {
      if (rng_() % 4 != 0) (*object->mutable_vectors())[field] = RandomVector(field);
    }
    (*object->mutable_properties())["n"].set_int_value(static_cast<int64_t>(rng_() % 100));
    Send(request);
  }
  void PutVector(const std::string& key, const std::string& field, const v1::Vector& vector) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key(key);
    (*object->mutable_vectors())[field] = vector;
    Send(request);
  }
  void PutSparse(const std::string& key) { PutVector(key, "sparse", RandomVector("sparse")); }
  void Send(const v1::PutObjectRequest& request) {
    CallContext context;
    v1::PutObjectResponse response;
    const absl::Status status = (*database_)->objects().PutObject(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }

  // The file of the view in a folder of what views have saved; empty when there is none.
  static std::string SavedFile(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.is_regular_file() &&
          entry.path().filename().string().find("vectors") != std::string::npos) {
        return entry.path().string();
      }
    }
    return "";
  }
  static std::string ReadFile(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }

  // Of the field "graph".
  v1::InsertVectorsRequest GraphVectors(const std::string& prefix, int from, int to) {
    v1::InsertVectorsRequest request;
    request.set_field("graph");
    for (int i = from; i < to; ++i) {
      request.add_keys(prefix + std::to_string(i));
      const v1::Vector vector = RandomVector("graph");
      request.mutable_values()->Add(vector.values().begin(), vector.values().end());
    }
    return request;
  }
  // Of a field that Open() does not make.
  v1::InsertVectorsRequest VectorsOf(const std::string& field, int count, int dimension) {
    v1::InsertVectorsRequest request;
    request.set_field(field);
    for (int i = 0; i < count; ++i) {
      request.add_keys(field + std::to_string(i));
      for (int d = 0; d < dimension; ++d) request.add_values(normal_(rng_));
    }
    return request;
  }
  absl::Status InsertAll(const v1::InsertVectorsRequest& request) {
    CallContext context;
    v1::InsertVectorsResponse response;
    return (*database_)->objects().InsertVectors(context, request, &response);
  }
  void Insert(const std::string& prefix, int from, int to) {
    const absl::Status status = InsertAll(GraphVectors(prefix, from, to));
    ASSERT_TRUE(status.ok()) << status;
  }

  // Every field is asked exactly, by the view and by reading the store, at one commit.
  void Compare(bool store_may_answer = false) { CompareAt((*database_)->Read(), store_may_answer); }
  void CompareAt(const ReadView& read, bool store_may_answer = true) {
    const NamespaceView view = *InNamespace(read, "default");
    const CollectionInfo* collection = view.ns->FindCollection("");
    for (const v1::VectorField& field : collection->record.collection().vector_fields()) {
      for (int i = 0; i < 3; ++i) {
        v1::Vector query = RandomVector(field.name());
        if (field.multi()) query.mutable_values()->Truncate(8);
        VectorSearch search;
        search.collection = collection->id;
        search.field = &field;
        search.vector = &query;
        search.limit = 15;
        // Codes of cells are not exact; all of them are read.
        const bool cells = field.index() == v1::VECTOR_INDEX_KIND_CELLS;
        search.exact = !cells;
        search.cells_probed = 10'000;
        CallContext context;
        VectorSearchResult truth, result;
        ASSERT_TRUE(SearchRecords(context, view, search, &truth).ok());
        const absl::Status status = (*database_)->FindNearest(context, view, search, &result);
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_TRUE(store_may_answer || result.strategy != "records") << field.name();
        EXPECT_TRUE(result.exact || cells);
        ASSERT_EQ(result.hits.size(), truth.hits.size()) << field.name();
        for (size_t k = 0; k < truth.hits.size(); ++k) {
          EXPECT_NEAR(result.hits[k].distance, truth.hits[k].distance, cells ? 1e-3 : 2e-5)
              << field.name();
          // Equal distances may differ in their last bits.
          if (std::abs(result.hits[k].distance - truth.hits[k].distance) == 0) {
            EXPECT_EQ(result.hits[k].ordinal, truth.hits[k].ordinal) << field.name();
          }
        }
      }
    }
  }

  ViewStatus Status() {
    for (const ViewStatus& status : (*database_)->views().Status()) {
      if (status.name == "vectors") return status;
    }
    return {};
  }
  void WaitBuilt() {
    CallContext context;
    ASSERT_TRUE((*database_)->views().WaitBuilt("vectors", context).ok());
  }

  void OpenAgain(TestDatabase::Configure more = nullptr) {
    database_.emplace([&](DatabaseOptions& options) {
      options.storage.in_memory = false;
      options.storage.path = dir_;
      if (more) more(options);
    });
    WaitBuilt();
  }
  // Keeps what views have saved, and closes and opens again.
  void KeepSaved() {
    database_.reset();
    std::filesystem::remove_all(dir_ + ".saved");
    std::filesystem::copy(dir_ + "/views", dir_ + ".saved",
                          std::filesystem::copy_options::recursive);
    OpenAgain();
    ASSERT_TRUE(Status().restored) << Status().checkpoint_error;
  }
  // As after a crash that only the store has survived, and what was kept.
  void CrashBackToSaved() {
    database_.reset();
    std::filesystem::remove_all(dir_ + "/views");
    std::filesystem::rename(dir_ + ".saved", dir_ + "/views");
    OpenAgain();
  }
  void Update(const v1::UpdateCollectionRequest& request) {
    CallContext context;
    v1::UpdateCollectionResponse response;
    const absl::Status status =
        (*database_)->catalog().UpdateCollection(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }
  void RemoveField(const std::string& name) {
    v1::UpdateCollectionRequest request;
    request.add_remove_vector_fields(name);
    Update(request);
    while ((*database_)->pending_tombstones() > 0) {
      ASSERT_TRUE((*database_)->RunMaintenance(1000).ok());
    }
  }
  void AddField(const std::string& name, int dimension, v1::VectorIndexKind kind,
                int ef_construction = 0) {
    v1::UpdateCollectionRequest request;
    v1::VectorField* field = request.add_put_vector_fields();
    field->set_name(name);
    field->set_dimension(dimension);
    field->set_index(kind);
    if (ef_construction > 0) field->mutable_hnsw()->set_ef_construction(ef_construction);
    Update(request);
  }

  // 100 vectors in a field of cells; waits for the view.
  v1::InsertVectorsRequest InsertWide() {
    AddField("wide", kWide, v1::VECTOR_INDEX_KIND_CELLS);
    v1::InsertVectorsRequest insert = VectorsOf("wide", 100, kWide);
    insert.mutable_options()->set_wait_for_views(true);
    const absl::Status status = InsertAll(insert);
    EXPECT_TRUE(status.ok()) << status;
    return insert;
  }

  // Opens the store on disk and keeps what is said from then on. Views speak from threads of
  // their own.
  void OpenAndListen() {
    {
      const std::lock_guard lock(said_mutex_);
      said_.clear();
    }
    database_.emplace([this](DatabaseOptions& options) {
      options.storage.path = dir_;
      options.storage.in_memory = false;
      options.storage.log = [this](std::string_view, std::string_view message) {
        const std::lock_guard lock(said_mutex_);
        said_.emplace_back(message);
      };
    });
    WaitBuilt();
  }
  std::vector<std::string> Said() const {
    const std::lock_guard lock(said_mutex_);
    return said_;
  }

  std::string dir_;
  mutable std::mutex said_mutex_;
  std::vector<std::string> said_;  // guarded by said_mutex_
  std::optional<TestDatabase> database_;
  std::mt19937_64 rng_{11};
  std::normal_distribution<float> normal_;
};

TEST_F(VectorViewTest, FollowsEveryKindOfWrite) {
  Open(false);
  CallContext context;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 20; ++i) Put("k" + std::to_string(rng_() % 200));
    Insert("k", static_cast<int>(rng_() % 100), 150);
    for (int i = 0; i < 5; ++i) {
      v1::DeleteObjectRequest request;
      request.mutable_delete_()->mutable_ref()->set_key("k" + std::to_string(rng_() % 200));
      v1::DeleteObjectResponse response;
      ASSERT_TRUE((*database_)->objects().DeleteObject(context, request, &response).ok());
    }
    {
      v1::PatchObjectRequest request;
      Put("patched");
      request.mutable_patch()->mutable_ref()->set_key("patched");
      (*request.mutable_patch()->mutable_set_vectors())["flat"] = RandomVector("flat");
      request.mutable_patch()->add_remove_vectors("sparse");
      v1::PatchObjectResponse response;
      ASSERT_TRUE((*database_)->objects().PatchObject(context, request, &response).ok());
    }
    Compare();
  }
}

TEST_F(VectorViewTest, DeadSlotsOfSparseFieldsAreCounted) {
  Open(false);
  const auto put = [&](bool last) {
    v1::PatchObjectRequest request;
    request.mutable_patch()->mutable_ref()->set_key("k");
    (*request.mutable_patch()->mutable_set_vectors())["sparse"] = RandomVector("sparse");
    request.mutable_options()->set_wait_for_views(last);
    CallContext context;
    v1::PatchObjectResponse response;
    ASSERT_TRUE((*database_)->objects().PatchObject(context, request, &response).ok());
  };
  Put("k");
  const int64_t before = Status().counters["dead"];
  put(false);
  for (int i = 0; i < 10; ++i) put(i == 9);
  EXPECT_GE(Status().counters["dead"], before + 10);
  // Until there are too many.
  for (int i = 0; i < 5000; ++i) put(i == 4999);
  const auto end = CallContext::Clock::now() + std::chrono::seconds(30);
  while (Status().counters["dead"] > 4000 && CallContext::Clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_LE(Status().counters["dead"], 4000);
  Compare();
}

// A view that was built anew knows nothing of commits from before.
TEST_F(VectorViewTest, ReadersOfCommitsBeforeARebuildGoToTheStore) {
  Open(false);
  for (int i = 0; i < 50; ++i) Put("k" + std::to_string(i));
  const ReadView read = (*database_)->Read();
  for (int i = 0; i < 50; ++i) Put("later" + std::to_string(i));
  ASSERT_TRUE((*database_)->views().Rebuild("vectors").ok());
  WaitBuilt();
  CompareAt(read);
  Compare();
}

TEST_F(VectorViewTest, AFilterThatMatchesNothingIsAnsweredExactly) {
  Open(false);
  for (int i = 0; i < 50; ++i) Put("k" + std::to_string(i));
  const ReadView read = (*database_)->Read();
  const NamespaceView view = *InNamespace(read, "default");
  const CollectionInfo* collection = view.ns->FindCollection("");
  for (const v1::VectorField& field : collection->record.collection().vector_fields()) {
    v1::Vector query = RandomVector(field.name());
    if (field.multi()) query.mutable_values()->Truncate(8);
    VectorSearch search;
    search.collection = collection->id;
    search.field = &field;
    search.vector = &query;
    search.limit = 15;
    search.accept = std::make_shared<Nothing>();
    CallContext context;
    VectorSearchResult result;
    ASSERT_TRUE((*database_)->FindNearest(context, view, search, &result).ok());
    EXPECT_TRUE(result.hits.empty());
    EXPECT_TRUE(result.exact) << field.name();
  }
}

TEST_F(VectorViewTest, DropsFieldsAndCollections) {
  Open(false);
  for (int i = 0; i < 50; ++i) Put("k" + std::to_string(i));
  Compare();
  v1::UpdateCollectionRequest update;
  update.add_remove_vector_fields("graph");
  Update(update);
  Compare();
  while ((*database_)->pending_tombstones() > 0) {
    ASSERT_TRUE((*database_)->RunMaintenance(10).ok());
    Compare();
  }
  // The name is free again, and nothing comes back.
  update.Clear();
  v1::VectorField* field = update.add_put_vector_fields();
  field->set_name("graph");
  field->set_dimension(12);
  Update(update);
  Compare();
  Insert("new", 0, 20);
  Compare();
}

// Indexes are made with the newest catalog, readers have their own.
TEST_F(VectorViewTest, ReadersOfAnotherFieldOfTheNameGoToTheStore) {
  Open(false);
  for (int i = 0; i < 50; ++i) Put("k" + std::to_string(i));
  const ReadView read = (*database_)->Read();
  const NamespaceView view = *InNamespace(read, "default");
  const CollectionInfo* collection = view.ns->FindCollection("");
  v1::VectorField field = *FindVectorField(collection->record.collection(), "flat");
  const auto strategy = [&] {
    v1::Vector query;
    for (int d = 0; d < field.dimension(); ++d) query.add_values(1);
    VectorSearch search;
    search.collection = collection->id;
    search.field = &field;
    search.vector = &query;
    search.limit = 10;
    CallContext context;
    VectorSearchResult result;
    EXPECT_TRUE((*database_)->FindNearest(context, view, search, &result).ok());
    return result.strategy;
  };
  EXPECT_EQ(strategy(), "scan");
  for (const int dimension : {4, 24}) {
    field.set_dimension(dimension);
    EXPECT_EQ(strategy(), "records") << dimension;
  }
}

TEST_F(VectorViewTest, NobodyWaitsForAFieldThatWent) {
  Open(false);
  // Slow to link, and too long for so many to be sketched.
  AddField("slow", 512, v1::VECTOR_INDEX_KIND_HNSW, 4096);
  v1::InsertVectorsRequest insert = VectorsOf("slow", 9000, 512);
  insert.mutable_options()->set_wait_for_views(true);
  ASSERT_TRUE(InsertAll(insert).ok());
  EXPECT_LT(Status().indexed, Status().visible);
  v1::UpdateCollectionRequest remove;
  remove.add_remove_vector_fields("slow");
  remove.mutable_options()->set_wait_for_views(true);
  Update(remove);
  const ViewStatus status = Status();
  EXPECT_EQ(status.indexed, status.visible);
}

TEST_F(VectorViewTest, CellsFollowTheSettingsOfTheField) {
  Open(false);
  v1::UpdateCollectionRequest update;
  v1::VectorField* field = update.add_put_vector_fields();
  field->set_name("small");
  field->set_dimension(4);
  field->set_index(v1::VECTOR_INDEX_KIND_CELLS);
  field->mutable_cells()->set_max_cell_size(64);
  Update(update);
  CallContext context;
  ASSERT_TRUE(InsertAll(VectorsOf("small", 3000, 4)).ok());
  while (Status().counters["cells"] < 20) std::this_thread::yield();
  // 0 = as many as the index finds that it needs.
  for (const int probed : {1, 7, 0}) {
    field->Clear();
    field->set_name("small");
    field->mutable_cells()->set_cells_probed(probed);
    Update(update);
    const ReadView read = (*database_)->Read();
    const NamespaceView view = *InNamespace(read, "default");
    const CollectionInfo* collection = view.ns->FindCollection("");
    v1::Vector query;
    for (int d = 0; d < 4; ++d) query.add_values(1);
    VectorSearch search;
    search.collection = collection->id;
    search.field = FindVectorField(collection->record.collection(), "small");
    search.vector = &query;
    search.limit = 1;
    VectorSearchResult result;
    ASSERT_TRUE((*database_)->FindNearest(context, view, search, &result).ok());
    v1::DescribeIndexRequest request;
    request.set_field("small");
    v1::DescribeIndexResponse described;
    ASSERT_TRUE((*database_)->search().DescribeIndex(context, request, &described).ok());
    if (probed > 0) {
      EXPECT_EQ(result.cells_read, probed);
      EXPECT_EQ(described.cells_probed(), probed);
    } else {
      EXPECT_GE(result.cells_read, 20);
      EXPECT_GE(described.cells_probed(), 32);
      EXPECT_FALSE(described.field().cells().has_cells_probed());
    }
  }
  // Larger cells are made of those that are there.
  field->Clear();
  field->set_name("small");
  field->mutable_cells()->set_max_cell_size(65'536);
  Update(update);
  const auto end = CallContext::Clock::now() + std::chrono::minutes(1);
  while (Status().counters["cells"] >= 10 && CallContext::Clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_LT(Status().counters["cells"], 10);
}

// What cells hold may lag behind the store after a crash, and a field may have gone in
// between: under its name another one begins empty.
TEST_F(VectorViewTest, CellsOfAFieldThatWentDoNotComeBack) {
  Open(true);
  for (int i = 0; i < 100; ++i) Put("k" + std::to_string(i));
  KeepSaved();
  RemoveField("cells");
  CrashBackToSaved();
  ASSERT_TRUE(Status().restored);
  AddField("cells", 12, v1::VECTOR_INDEX_KIND_CELLS);
  for (int i = 0; i < 5; ++i) Put("new" + std::to_string(i));
  Compare();
}

TEST_F(VectorViewTest, CellsOfAFieldThatWentLeaveTheDisk) {
  Open(true);
  for (int i = 0; i < 100; ++i) Put("k" + std::to_string(i));
  KeepSaved();
  AddField("more", 12, v1::VECTOR_INDEX_KIND_CELLS);
  RemoveField("cells");
  CrashBackToSaved();
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/views/vectors.local"));
  RemoveField("more");
  database_->Reopen();
  WaitBuilt();
  EXPECT_TRUE(Status().restored);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/views/vectors.local"));
}

TEST_F(VectorViewTest, DamagedCellsAreFilledAgain) {
  Open(true);
  for (int i = 0; i < 100; ++i) Put("k" + std::to_string(i));
  database_.reset();
  std::ofstream(dir_ + "/views/vectors.local/CURRENT") << "MANIFEST-999999\n";
  OpenAgain();
  EXPECT_EQ(Status().error, "");
  EXPECT_FALSE(Status().restored);
  Compare();
}

// Damage that only shows when a cell is read.
TEST_F(VectorViewTest, SearchesOfDamagedCellsAreAnsweredFromTheStore) {
  Open(true);
  const v1::InsertVectorsRequest insert = InsertWide();
  v1::Vector query;
  query.mutable_values()->Add(insert.values().begin(), insert.values().begin() + kWide);
  CallContext context;
  database_.reset();
  {
    auto local = storage::LocalStore::Open({.path = dir_ + "/views/vectors.local"});
    ASSERT_TRUE(local.ok()) << local.status();
    storage::LocalBatch batch;
    ASSERT_TRUE((*local)
                    ->Latest()
                    ->Scan(std::string(1, '\0'),
                           [&](std::string_view key, std::string_view value) {
                             // Those of cells are the only large ones.
                             std::string damaged(value);
                             damaged.back() = static_cast<char>(damaged.back() ^ 1);
                             if (value.size() > 30'000) batch.Put(key, damaged);
                             return absl::OkStatus();
                           })
                    .ok());
    ASSERT_GT(batch.bytes(), 0u);
    ASSERT_TRUE((*local)->Write(batch).ok());
    ASSERT_TRUE((*local)->Flush().ok());
  }
  OpenAgain();
  const ReadView read = (*database_)->Read();
  const NamespaceView view = *InNamespace(read, "default");
  const CollectionInfo* collection = view.ns->FindCollection("");
  VectorSearch search;
  search.collection = collection->id;
  search.field = FindVectorField(collection->record.collection(), "wide");
  search.vector = &query;
  search.limit = 15;
  VectorSearchResult truth, result;
  ASSERT_TRUE(SearchRecords(context, view, search, &truth).ok());
  const absl::Status status = (*database_)->FindNearest(context, view, search, &result);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(result.strategy, "records");
  ASSERT_EQ(result.hits.size(), truth.hits.size());
  for (size_t i = 0; i < truth.hits.size(); ++i) {
    EXPECT_EQ(result.hits[i].ordinal, truth.hits[i].ordinal);
  }
}

// A commit is seen with the catalog of a later one, in which its field may have gone and come
// back as another.
TEST_F(VectorViewTest, VectorsOfAnEarlierFieldOfTheNameAreNotTaken) {
  for (const auto kind :
       {v1::VECTOR_INDEX_KIND_CELLS, v1::VECTOR_INDEX_KIND_FLAT, v1::VECTOR_INDEX_KIND_SPARSE}) {
    Open(true);
    for (int i = 0; i < 10; ++i) Put("k" + std::to_string(i));
    KeepSaved();
    AddField("brief", 3, v1::VECTOR_INDEX_KIND_FLAT);
    v1::Vector vector;
    for (int d = 0; d < 3; ++d) vector.add_values(1);
    PutVector("b", "brief", vector);
    RemoveField("brief");
    AddField("brief", kind == v1::VECTOR_INDEX_KIND_SPARSE ? 0 : 65'536, kind);
    CrashBackToSaved();
    EXPECT_TRUE(Status().restored);
    EXPECT_EQ(Status().error, "");
    EXPECT_EQ(Status().counters["cells"], 1);
    database_.reset();
  }
}

TEST_F(VectorViewTest, StartsFromWhatWasSaved) {
  Open(true);
  for (int i = 0; i < 3; ++i) Insert("g", i * 1500, (i + 1) * 1500);
  for (int i = 0; i < 200; ++i) Put("k" + std::to_string(i));
  Compare();
  database_->Reopen();
  WaitBuilt();
  EXPECT_TRUE(Status().restored) << Status().checkpoint_error;
  Compare();
  EXPECT_EQ(Status().counters["vectors"] > 4500, true);
  // And from there on.
  for (int i = 0; i < 100; ++i) Put("k" + std::to_string(i));
  Insert("g", 100, 1200);
  Compare();
  database_->Reopen();
  WaitBuilt();
  EXPECT_TRUE(Status().restored);
  Compare();
}

TEST_F(VectorViewTest, ADamagedFileIsSaidAndRebuilt) {
  Open(true);
  Insert("g", 0, 3000);
  for (int i = 0; i < 100; ++i) Put("k" + std::to_string(i));
  Compare();
  database_->Reopen();
  const std::string file = SavedFile(dir_ + "/views");
  ASSERT_FALSE(file.empty());
  // Closed, damaged in the middle, opened.
  database_.reset();
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(std::filesystem::file_size(file) / 2));
    stream.put('\x5a');
    stream.put('\xa5');
  }
  OpenAndListen();
  EXPECT_FALSE(Status().restored);
  Compare();
  EXPECT_THAT(Said(), testing::Contains(testing::HasSubstr("vectors")));
}

// Bits that flip and ends that are missing, all over the file.
TEST_F(VectorViewTest, DamageOfASavedSparseIndexIsSaidAndRebuilt) {
  Open(true);
  RemoveField("flat");
  RemoveField("graph");
  RemoveField("many");
  RemoveField("bits");
  RemoveField("cells");
  for (int i = 0; i < 100; ++i) PutSparse("k" + std::to_string(i));
  KeepSaved();
  const std::string file = SavedFile(dir_ + ".saved");
  ASSERT_FALSE(file.empty());
  const std::string whole = ReadFile(file);
  // What was saved for the 100 vectors of up to 6 entries.
  EXPECT_GT(whole.size(), 3000u);
  for (int i = 0; i < 12; ++i) {
    std::string damaged = whole;
    if (i % 3 == 2) {
      damaged.resize(rng_() % whole.size());
    } else {
      damaged[rng_() % whole.size()] ^= static_cast<char>(1 << rng_() % 8);
    }
    database_.reset();
    std::filesystem::remove_all(dir_ + "/views");
    std::filesystem::copy(dir_ + ".saved", dir_ + "/views",
                          std::filesystem::copy_options::recursive);
    std::ofstream(SavedFile(dir_ + "/views"), std::ios::binary | std::ios::trunc) << damaged;
    OpenAndListen();
    EXPECT_FALSE(Status().restored) << i;
    EXPECT_THAT(Said(), testing::Contains(testing::HasSubstr("vectors")));
    Compare();
    database_.reset();
  }
}

class VectorViewFilesTest : public VectorViewTest {
 protected:
  class Monitor : public BootstrapMonitor {
    void Report(double) override {}
    bool cancelled() const override { return false; }
  };

  void SetUp() override {
    storage::Options options;
    options.in_memory = true;
    options.path = "/memory/vector_view_files";
    auto opened = storage::Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    empty_ = *std::move(opened);
  }
  // Loads the file of the empty store into `view`, which finds `newest`.
  absl::Status Load(VectorView* view, const ReadView& newest) {
    auto reader = empty_->OpenViewFile("vectors", view->checkpoint_version());
    if (!reader.ok()) return reader.status();
    return view->Load(**reader, 0, newest, monitor_);
  }

  std::unique_ptr<storage::Store> empty_;
  Monitor monitor_;
};

TEST_F(VectorViewFilesTest, SparseIndexesComeFromTheFile) {
  Open(false);
  for (int i = 0; i < 200; ++i) PutSparse("k" + std::to_string(i));
  const ReadView read = (*database_)->Read();
  VectorView built({.threads = 1}, *empty_);
  ASSERT_TRUE(built.Bootstrap(read, monitor_).ok());
  ASSERT_EQ(built.Counters()["vectors"], 200);
  auto writer = empty_->CreateViewFile("vectors", built.checkpoint_version());
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(built.BeginSave()->Write(**writer).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  // From a store in which nothing is.
  VectorView loaded({.threads = 1}, *empty_);
  const absl::Status status = Load(&loaded, {empty_->Latest(), std::make_shared<Catalog>()});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(loaded.Counters()["vectors"], 200);
}

TEST_F(VectorViewFilesTest, FilesWithoutSparseIndexesAreStillLoaded) {
  Open(false);
  for (int i = 0; i < 200; ++i) PutSparse("k" + std::to_string(i));
  auto writer = empty_->CreateViewFile("vectors", 1);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->AppendFixed<uint32_t>(0).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  VectorView loaded({.threads = 1}, *empty_);
  const absl::Status status = Load(&loaded, (*database_)->Read());
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(loaded.Counters()["vectors"], 200);
}

// Checksums do not help against a file that was made by others, or by a faulty program.
TEST(VectorViewFileTest, FieldsThatCannotBeAreRefused) {
  class Monitor : public BootstrapMonitor {
    void Report(double) override {}
    bool cancelled() const override { return false; }
  };
  storage::Options options;
  options.in_memory = true;
  options.path = "/memory/vector_view";
  const auto store = storage::Store::Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto load = [&](const std::vector<v1::VectorField>& fields) -> absl::Status {
    auto writer = (*store)->CreateViewFile("vectors", 1);
    EXPECT_TRUE((*writer)->AppendFixed(static_cast<uint32_t>(fields.size())).ok());
    for (const v1::VectorField& field : fields) {
      const std::string bytes = field.SerializeAsString();
      EXPECT_TRUE((*writer)->AppendFixed<uint32_t>(1).ok());
      EXPECT_TRUE((*writer)->AppendFixed<uint32_t>(1).ok());
      EXPECT_TRUE((*writer)->AppendFixed(static_cast<uint32_t>(bytes.size())).ok());
      EXPECT_TRUE((*writer)->Append(bytes).ok());
      EXPECT_TRUE((*writer)->AppendFixed<uint64_t>(0).ok());
    }
    EXPECT_TRUE((*writer)->Finish().ok());
    const auto reader = (*store)->OpenViewFile("vectors", 1);
    VectorView view({.threads = 1}, **store);
    Monitor monitor;
    return view.Load(**reader, 0, {(*store)->Latest(), std::make_shared<Catalog>()}, monitor);
  };
  v1::VectorField field;
  field.set_name("v");
  field.set_dimension(4);
  field = *ResolveVectorField(field, "");
  EXPECT_TRUE(load({field}).ok());
  EXPECT_TRUE(absl::IsDataLoss(load({field, field})));
  for (const int dimension : {-1, 70'000}) {
    v1::VectorField wrong = field;
    wrong.set_dimension(dimension);
    EXPECT_TRUE(absl::IsDataLoss(load({wrong}))) << dimension;
  }
  v1::VectorField wrong = field;
  wrong.mutable_hnsw()->set_m(1'000'000);
  EXPECT_TRUE(absl::IsDataLoss(load({wrong})));
}

TEST_F(VectorViewTest, AnUnfinishedBuildGoesOn) {
  Open(true);
  // Enough that the graph is not finished when it closes.
  for (int i = 0; i < 8; ++i) Insert("g", i * 2500, (i + 1) * 2500);
  database_->Reopen();
  WaitBuilt();
  Compare();
  while (Status().counters["waiting"] > 0) std::this_thread::yield();
  EXPECT_EQ(Status().counters["vectors"], 20000);
  Compare();
}

TEST_F(VectorViewTest, RefusesVectorsBeyondItsMemory) {
  Open(false, [](DatabaseOptions& options) { options.vectors.max_bytes = 1 << 20; });
  CallContext context;
  absl::Status status;
  int inserted = 0;
  while (status.ok() && inserted < 100'000) {
    v1::InsertVectorsRequest request = GraphVectors("m", inserted, inserted + 500);
    request.mutable_options()->set_wait_for_views(true);
    status = InsertAll(request);
    if (status.ok()) inserted += 500;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_GT(inserted, 1000);
  // Nothing was half written.
  v1::CountObjectsRequest count;
  v1::CountObjectsResponse counted;
  ASSERT_TRUE((*database_)->objects().CountObjects(context, count, &counted).ok());
  EXPECT_EQ(counted.count(), inserted);
  Compare();
}

}  // namespace
}  // namespace cookix::engine
