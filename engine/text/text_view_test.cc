// The view of text indexes in a database: against reading the store, through every kind of
// write and change of the catalog, restarts, crashes and damage.
#include "engine/text/text_view.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "engine/test_database.h"
#include "engine/text/record_text_search.h"
#include "engine/text/text_field.h"
#include "engine/text/text_query.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

using storage::FaultInjectionFileSystem;

// Few, so that they meet; with cases, accents, stop words and inflections.
const std::vector<std::string> kWords = {
    "rain",  "Rain",  "rains", "storm", "the", "and",    "caf\xc3\xa9", "cafe",   "sun",
    "sunny", "winds", "wind",  "cloud", "a",   "Berlin", "berlin",      "walked", "walking"};

class TextViewTest : public testing::Test {
 protected:
  void Open(TestDatabase::Configure more = nullptr) {
    configure_ = [this, more = std::move(more)](DatabaseOptions& options) {
      options.storage.in_memory = true;
      options.storage.path = "/store";
      options.storage.file_system = files_;
      options.storage.log = [this](std::string_view, std::string_view message) {
        std::lock_guard<std::mutex> lock(said_mutex_);
        said_.emplace_back(message);
      };
      options.text.threads = 2;
      options.adjacency_bytes = options.names_bytes = options.vectors.max_bytes = 0;
      options.field_index = false;
      if (more) more(options);
    };
    OpenAgain();
  }
  void OpenAgain() {
    database_.emplace(configure_);
    WaitBuilt();
  }
  // Closes and opens.
  void Restart() {
    database_.reset();
    OpenAgain();
  }
  void WaitBuilt() {
    CallContext context;
    ASSERT_TRUE((*database_)->views().WaitBuilt("text", context).ok());
  }

  std::string RandomText(int most) {
    std::string text;
    for (int i = static_cast<int>(rng_() % static_cast<unsigned>(most + 1)); i > 0; --i) {
      text += kWords[rng_() % kWords.size()] + (rng_() % 5 == 0 ? ", " : " ");
    }
    return text;
  }
  std::string RandomKey() { return "k" + std::to_string(rng_() % 200); }

  void Fill(v1::Object* object) {
    object->set_content(RandomText(12));
    auto& properties = *object->mutable_properties();
    if (rng_() % 3 != 0) properties["title"].set_string_value(RandomText(4));
    if (rng_() % 3 == 0) {
      auto* list = properties["tags"].mutable_list_value();
      for (int i = 0; i < 3; ++i) list->add_values()->set_string_value(RandomText(2));
    }
  }
  void Put(const std::string& key, const std::string& collection = "", const std::string& ns = "") {
    v1::PutObjectRequest request;
    request.set_namespace_(ns);
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key(key);
    object->mutable_ref()->set_collection(collection);
    Fill(object);
    CallContext context;
    v1::PutObjectResponse response;
    const absl::Status status = (*database_)->objects().PutObject(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A commit of several objects, which `fill` is given with their numbers.
  absl::Status Write(int count, const std::function<void(int, v1::Object*)>& fill,
                     bool wait_for_views = false) {
    v1::WriteRequest request;
    request.mutable_options()->set_wait_for_views(wait_for_views);
    for (int i = 0; i < count; ++i) {
      fill(i, request.add_mutations()->mutable_put_object()->mutable_object());
    }
    CallContext context;
    v1::WriteResponse response;
    return (*database_)->objects().Write(context, request, &response);
  }
  void PutMany(int count) {
    const absl::Status status = Write(count, [this](int, v1::Object* object) {
      object->mutable_ref()->set_key(RandomKey());
      Fill(object);
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  void Delete(const std::string& key) {
    v1::DeleteObjectRequest request;
    request.mutable_delete_()->mutable_ref()->set_key(key);
    CallContext context;
    v1::DeleteObjectResponse response;
    ASSERT_TRUE((*database_)->objects().DeleteObject(context, request, &response).ok());
  }
  void Patch(const std::string& key) {
    v1::PatchObjectRequest request;
    request.mutable_patch()->mutable_ref()->set_key(key);
    if (rng_() % 2 == 0) request.mutable_patch()->set_content(RandomText(9));
    if (rng_() % 2 == 0) request.mutable_patch()->add_remove_properties("title");
    request.mutable_patch()->add_add_labels("seen");
    CallContext context;
    v1::PatchObjectResponse response;
    const absl::Status status = (*database_)->objects().PatchObject(context, request, &response);
    ASSERT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
  }
  void WriteSome(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      Put(RandomKey());
      if (i % 3 == 0) Delete(RandomKey());
      if (i % 4 == 0) Patch(RandomKey());
      if (i % 7 == 0) PutMany(5);
    }
  }

  void AddField(const std::string& name, const std::function<void(v1::TextField*)>& more = nullptr,
                const std::string& collection = "") {
    v1::UpdateCollectionRequest request;
    request.set_collection(collection);
    v1::TextField* field = request.add_put_text_fields();
    field->set_name(name);
    if (more) more(field);
    Update(request);
  }
  void RemoveField(const std::string& name) {
    v1::UpdateCollectionRequest request;
    request.add_remove_text_fields(name);
    Update(request);
  }
  void Update(const v1::UpdateCollectionRequest& request) {
    CallContext context;
    v1::UpdateCollectionResponse response;
    const absl::Status status =
        (*database_)->catalog().UpdateCollection(context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
  }
  void CreateCollection(const std::string& name, const std::string& ns = "") {
    v1::CreateCollectionRequest request;
    request.set_namespace_(ns);
    request.mutable_collection()->set_name(name);
    request.mutable_collection()->add_text_fields()->set_name("content");
    CallContext context;
    v1::CreateCollectionResponse response;
    ASSERT_TRUE((*database_)->catalog().CreateCollection(context, request, &response).ok());
  }
  void DropCollection(const std::string& name) {
    v1::DeleteCollectionRequest request;
    request.set_collection(name);
    request.set_force(true);
    CallContext context;
    v1::DeleteCollectionResponse response;
    ASSERT_TRUE((*database_)->catalog().DeleteCollection(context, request, &response).ok());
  }
  void CreateNamespace(const std::string& name) {
    v1::CreateNamespaceRequest request;
    request.mutable_namespace_()->set_name(name);
    CallContext context;
    v1::CreateNamespaceResponse response;
    ASSERT_TRUE((*database_)->catalog().CreateNamespace(context, request, &response).ok());
  }
  void DropNamespace(const std::string& name) {
    v1::DeleteNamespaceRequest request;
    request.set_namespace_(name);
    request.set_force(true);
    CallContext context;
    v1::DeleteNamespaceResponse response;
    ASSERT_TRUE((*database_)->catalog().DeleteNamespace(context, request, &response).ok());
  }

  // A query of the words of the texts, in every form.
  AnalyzedQuery RandomQuery(const v1::Collection& definition) {
    const auto word = [&] { return kWords[rng_() % kWords.size()]; };
    std::string text = word() + " " + word();
    TextQueryMode mode = TextQueryMode::kAnyWords;
    switch (rng_() % 8) {
      case 0:
        mode = TextQueryMode::kAllWords;
        break;
      case 1:
        mode = TextQueryMode::kPhrase;
        break;
      case 2:
        mode = TextQueryMode::kRaw;
        text = word() + " OR NOT " + word() + " " + word();
        break;
      case 3:
        mode = TextQueryMode::kRaw;
        text = word().substr(0, 2) + "* OR " + word() + "^3";
        break;
      case 4:
        mode = TextQueryMode::kRaw;
        text = word() + "~1 OR \"" + word() + " " + word() + "\"~3";
        break;
      case 5:
        mode = TextQueryMode::kRaw;
        text = definition
                   .text_fields(static_cast<int>(
                       rng_() % static_cast<unsigned>(definition.text_fields_size())))
                   .name() +
               ":" + word();
        break;
      default:
        break;
    }
    const TextQueryLimits limits;
    const auto parsed = ParseUserText(text, mode, limits, "query");
    EXPECT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    const auto fields = TextQueryFields(definition);
    EXPECT_TRUE(fields.ok()) << fields.status();
    const auto analyzed = AnalyzeQuery(*parsed, *fields, limits, "query");
    EXPECT_TRUE(analyzed.ok()) << text << ": " << analyzed.status();
    return analyzed.value_or(AnalyzedQuery());
  }

  static TextSearch SearchOf(const CollectionInfo& collection, const AnalyzedQuery& query) {
    TextSearch search;
    search.collection = collection.id;
    search.definition = &collection.record.collection();
    search.query = &query;
    search.limit = 12;
    return search;
  }

  // The view and the store are asked the same, at one commit.
  void Compare(const std::string& name = "", const std::string& ns = "", bool by_index = true) {
    const ReadView read = (*database_)->Read();
    const NamespaceView view = *InNamespace(read, ns);
    const CollectionInfo* collection = view.ns->FindCollection(name);
    ASSERT_NE(collection, nullptr);
    for (int i = 0; i < 12; ++i) {
      const AnalyzedQuery query = RandomQuery(collection->record.collection());
      TextSearch search = SearchOf(*collection, query);
      search.count = rng_() % 2 == 0;
      CompareAt(view, search, by_index);
    }
  }
  void CompareAt(const NamespaceView& view, const TextSearch& search, bool by_index) {
    CallContext context;
    TextSearchResult truth, result;
    absl::Status status = SearchTextRecords(context, view, search, &truth);
    ASSERT_TRUE(status.ok()) << status;
    status = (*database_)->FindByText(context, view, search, &result);
    ASSERT_TRUE(status.ok()) << status;
    if (by_index) {
      EXPECT_NE(result.strategy, "records");
    }
    EXPECT_EQ(result.total, truth.total);
    EXPECT_EQ(result.expansions, truth.expansions);
    ASSERT_EQ(result.hits.size(), truth.hits.size());
    for (size_t i = 0; i < truth.hits.size(); ++i) {
      EXPECT_EQ(result.hits[i].ordinal, truth.hits[i].ordinal);
      // To the last bit.
      EXPECT_EQ(result.hits[i].score, truth.hits[i].score);
    }
  }

  v1::DescribeIndexResponse Describe(const std::string& name = "") {
    const ReadView read = (*database_)->Read();
    const NamespaceView view = *InNamespace(read, "");
    CallContext context;
    v1::DescribeIndexResponse response;
    const absl::Status status =
        (*database_)->DescribeText(context, view, *view.ns->FindCollection(name), &response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }
  void WaitReady(const std::string& name = "") {
    const auto end = CallContext::Clock::now() + std::chrono::seconds(60);
    while (Describe(name).state() != "ready" && CallContext::Clock::now() < end) {
      std::this_thread::yield();
    }
    ASSERT_EQ(Describe(name).state(), "ready") << Describe(name).error();
  }

  ViewStatus Status() {
    for (const ViewStatus& status : (*database_)->views().Status()) {
      if (status.name == "text") return status;
    }
    return {};
  }
  std::vector<std::string> Said() {
    std::lock_guard<std::mutex> lock(said_mutex_);
    return said_;
  }

  // Loses the process and what it has not synced.
  void Crash(uint64_t seed) {
    files_->Stop();
    database_.reset();
    files_->PowerFailure(seed);
    files_->Heal();
  }

  // What the view saved, changed and with checksums that are right. REQUIRES: it is closed.
  void RewriteSaved(const std::function<void(std::string*)>& change) {
    DatabaseOptions options;
    configure_(options);
    const auto store = storage::Store::Open(options.storage);
    ASSERT_TRUE(store.ok()) << store.status();
    auto reader = (*store)->OpenViewFile("text", ~uint32_t{0});
    ASSERT_TRUE(reader.ok()) << reader.status();
    const uint32_t version = (*reader)->version();
    std::string contents;
    while (!(*reader)->AtEnd().value_or(true)) {
      char byte = 0;
      ASSERT_TRUE((*reader)->Read(&byte, 1).ok());
      contents += byte;
    }
    reader->reset();
    change(&contents);
    auto writer = (*store)->CreateViewFile("text", version);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Append(contents).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
  }

  std::shared_ptr<FaultInjectionFileSystem> files_ = FaultInjectionFileSystem::InMemory();
  TestDatabase::Configure configure_;
  std::mutex said_mutex_;
  std::vector<std::string> said_;  // guarded by said_mutex_
  std::optional<TestDatabase> database_;
  std::mt19937_64 rng_{17};
};

TEST_F(TextViewTest, FollowsEveryKindOfWrite) {
  Open();
  AddField("title", [](auto* field) {
    field->set_boost(3);
    field->mutable_analyzer()->set_language("en");
  });
  AddField("tags");
  WaitReady();
  for (int round = 0; round < 25; ++round) {
    WriteSome(20);
    Compare();
  }
  // What follows the log and what starts from the store is the same.
  ASSERT_TRUE((*database_)->views().Rebuild("text").ok());
  WaitBuilt();
  WaitReady();
  Compare();
}

TEST_F(TextViewTest, AnEmptyCollectionFindsNothing) {
  Open();
  Compare();
  CreateCollection("new");
  WaitReady("new");
  Compare("new");
  EXPECT_EQ(Describe("new").vectors(), 0);
  EXPECT_EQ(Describe("new").text_fields_size(), 1);
}

TEST_F(TextViewTest, AnswersReadersOfEarlierCommits) {
  Open();
  WriteSome(100);
  const ReadView early = (*database_)->Read();
  WriteSome(30);
  Compare();
  const NamespaceView view = *InNamespace(early, "");
  const CollectionInfo* collection = view.ns->FindCollection("");
  for (int i = 0; i < 20; ++i) {
    const AnalyzedQuery query = RandomQuery(collection->record.collection());
    CompareAt(view, SearchOf(*collection, query), true);
  }
}

TEST_F(TextViewTest, ReadersOfCommitsBeforeItWasBuiltAreAnsweredFromTheStore) {
  Open();
  WriteSome(50);
  const ReadView early = (*database_)->Read();
  WriteSome(20);
  ASSERT_TRUE((*database_)->views().Rebuild("text").ok());
  WaitBuilt();
  const NamespaceView view = *InNamespace(early, "");
  const CollectionInfo* collection = view.ns->FindCollection("");
  const AnalyzedQuery query = RandomQuery(collection->record.collection());
  const TextSearch search = SearchOf(*collection, query);
  CompareAt(view, search, false);
  CallContext context;
  TextSearchResult result;
  ASSERT_TRUE((*database_)->FindByText(context, view, search, &result).ok());
  EXPECT_EQ(result.strategy, "records");
}

TEST_F(TextViewTest, AFieldAddedWhileOthersWriteIsBuiltBeside) {
  Open();
  for (int i = 0; i < 60; ++i) PutMany(20);
  CreateCollection("other");
  Put("x", "other");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    // Its own random numbers: those of the test belong to the other thread.
    std::mt19937_64 rng(5);
    const auto fill = [&](int, v1::Object* object) {
      object->mutable_ref()->set_key("k" + std::to_string(rng() % 200));
      object->set_content(kWords[rng() % kWords.size()]);
      (*object->mutable_properties())["title"].set_string_value(kWords[rng() % kWords.size()]);
    };
    while (!stop.load()) EXPECT_TRUE(Write(1, fill).ok());
  });
  for (int i = 0; i < 5; ++i) {
    AddField("title");
    // Whoever asks meanwhile gets the same from the store or the index.
    Compare("", "", false);
    WaitReady();
    Compare();
    RemoveField("title");
    Compare("", "", false);
    WaitReady();
    Compare();
  }
  stop.store(true);
  writer.join();
  Compare();
  // The other collection's index was left alone.
  for (const std::string& line : Said()) EXPECT_EQ(line.find("\"other\""), std::string::npos);
}

TEST_F(TextViewTest, SettingsThatPostingsDoNotDependOnRebuildNothing) {
  Open();
  WriteSome(30);
  v1::UpdateCollectionRequest request;
  v1::TextField* field = request.add_put_text_fields();
  field->set_name("content");
  field->set_boost(5);
  field->set_only_by_name(false);
  Update(request);
  EXPECT_EQ(Describe().state(), "ready");
  Compare();
  for (const std::string& line : Said()) EXPECT_EQ(line.find("is being built"), std::string::npos);
}

TEST_F(TextViewTest, ACollectionThatLosesAllItsFieldsHasNoIndex) {
  Open();
  WriteSome(30);
  RemoveField("content");
  (void)Describe();
  EXPECT_EQ(Status().counters["indexes"], 0);
  EXPECT_EQ(Status().memory_bytes, 0);
  AddField("content");
  WaitReady();
  Compare();
}

TEST_F(TextViewTest, CollectionsAndNamespacesGoAndComeBack) {
  Open();
  WriteSome(30);
  for (int round = 0; round < 3; ++round) {
    CreateCollection("again");
    CreateNamespace("space");
    for (int i = 0; i < 40; ++i) {
      Put(RandomKey(), "again");
      Put(RandomKey(), "", "space");
    }
    Compare("again");
    Compare("", "space");
    DropCollection("again");
    DropNamespace("space");
    // With and without what the collector deletes later.
    if (round == 1) {
      while ((*database_)->pending_tombstones() > 0) {
        ASSERT_TRUE((*database_)->RunMaintenance(10).ok());
      }
    }
    Compare();
    EXPECT_EQ(Status().counters["indexes"], 1);
  }
}

TEST_F(TextViewTest, StartsFromWhatWasSaved) {
  Open();
  AddField("title");
  WaitReady();
  WriteSome(100);
  Restart();
  EXPECT_TRUE(Status().restored) << Status().checkpoint_error;
  EXPECT_EQ(Describe().state(), "ready");
  Compare();
  // And from there on.
  WriteSome(50);
  Compare();
  Restart();
  EXPECT_TRUE(Status().restored);
  Compare();
}

TEST_F(TextViewTest, WhatChangedAfterTheSaveIsCaughtUp) {
  Open();
  CreateCollection("gone");
  WriteSome(60);
  for (int i = 0; i < 30; ++i) Put(RandomKey(), "gone");
  Restart();
  const auto saved = files_->Clone("/store/views");
  // Everything that can happen between a save and a crash.
  WriteSome(40);
  DropCollection("gone");
  CreateCollection("gone");
  for (int i = 0; i < 10; ++i) Put(RandomKey(), "gone");
  CreateNamespace("space");
  Put("s", "", "space");
  AddField("title");
  WriteSome(10);
  database_.reset();
  std::string bytes;
  ASSERT_TRUE(rocksdb::ReadFileToString(saved.get(), "/store/views/text.view", &bytes).ok());
  ASSERT_TRUE(rocksdb::WriteStringToFile(files_.get(), bytes, "/store/views/text.view", true).ok());
  OpenAgain();
  EXPECT_TRUE(Status().restored);
  WaitReady();
  WaitReady("gone");
  Compare();
  Compare("gone");
  Compare("", "space");
}

TEST_F(TextViewTest, AnUnfinishedBuildBeginsAgain) {
  Open();
  for (int i = 0; i < 50; ++i) PutMany(20);
  database_.reset();
  for (int round = 0; round < 6; ++round) {
    OpenAgain();
    AddField("f" + std::to_string(round), [](auto* field) { field->set_source("title"); });
    // Closed or crashed while it is being built, or not yet, or just so.
    if (round % 2 == 0) {
      database_.reset();
    } else {
      Crash(static_cast<uint64_t>(round));
    }
  }
  OpenAgain();
  WaitReady();
  EXPECT_EQ(Describe().text_fields_size(), 7);
  Compare();
}

TEST_F(TextViewTest, CrashesAtAnyStepOfASave) {
  Open();
  WriteSome(40);
  database_.reset();
  int failures = 0;
  for (const uint64_t seed : {0, 1, 2}) {
    bool failed = true;
    for (int64_t step = 0; failed; ++step) {
      OpenAgain();
      WriteSome(2);
      WaitReady();
      // The save that closing makes.
      files_->FailAt(FaultInjectionFileSystem::kAnyWrite, step,
                     FaultInjectionFileSystem::Fault::kIoError, /*sticky=*/true, "/views");
      database_.reset();
      failed = files_->Failures() > 0;
      failures += failed;
      files_->PowerFailure(seed);
      files_->Heal();
      OpenAgain();
      EXPECT_EQ(Status().error, "");
      Compare();
      database_.reset();
    }
  }
  EXPECT_GT(failures, 6);
}

// Saves follow each other while buffers are made segments and these are merged; the process
// dies wherever they are.
TEST_F(TextViewTest, CrashesWhileSegmentsAreMadeMergedAndSaved) {
  Open([](DatabaseOptions& options) {
    options.views.checkpoint_bytes = 1;
    options.views.checkpoint_interval = std::chrono::milliseconds(0);
  });
  int64_t segments = 0;
  int restored = 0;
  for (uint64_t round = 0; round < 15; ++round) {
    if (round % 3 == 2) {
      files_->FailAt(FaultInjectionFileSystem::kAnyWrite, static_cast<int64_t>(rng_() % 40),
                     FaultInjectionFileSystem::Fault::kIoError, /*sticky=*/true, "/views");
    }
    // Replaced so often that many documents of a segment are dead.
    for (auto commits = 4 + rng_() % 12; commits > 0; --commits) PutMany(150);
    segments += Status().counters["segments"];
    Crash(round);
    OpenAgain();
    restored += Status().restored ? 1 : 0;
    EXPECT_EQ(Status().error, "");
    Compare();
  }
  EXPECT_GT(segments, 0);
  EXPECT_GT(restored, 0);
}

// Three buffers become full: of 1,024 documents twice, then, in a larger index, of 2,048. Should
// the machine be slow, some are merged before all is written; there are merges enough in store.
TEST_F(TextViewTest, WhereNothingIsWrittenOneSegmentIsLeft) {
  Open([](DatabaseOptions& options) { options.text.quiet = std::chrono::seconds(2); });
  constexpr int kObjects = 4200;
  constexpr int kCommit = 300;
  for (int first = 0; first < kObjects; first += kCommit) {
    const absl::Status status = Write(kCommit, [&](int i, v1::Object* object) {
      object->mutable_ref()->set_key("object" + std::to_string(first + i));
      object->set_content("Rain, " + RandomText(4));
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  const auto end = CallContext::Clock::now() + std::chrono::seconds(60);
  const auto tidy = [&] {
    auto counters = Status().counters;
    return counters["documents"] == kObjects && counters["waiting"] == 0 &&
           counters["segments"] == 1;
  };
  while (!tidy() && CallContext::Clock::now() < end) std::this_thread::yield();
  EXPECT_TRUE(tidy()) << Status().counters["segments"] << " segments";
  Compare();
}

TEST_F(TextViewTest, AnIndexOfAnotherAnalysisIsBuiltAgain) {
  Open();
  WriteSome(60);
  const std::string version = AnalyzerFor(DefaultTextField(), "")->get()->version();
  database_.reset();
  RewriteSaved([&](std::string* contents) {
    const size_t at = contents->find(version);
    ASSERT_NE(at, std::string::npos);
    ++(*contents)[at + version.size() - 1];
  });
  const auto said_so = testing::Contains(testing::HasSubstr("analysis of texts has changed"));
  said_.clear();
  OpenAgain();
  EXPECT_TRUE(Status().restored);
  EXPECT_THAT(Said(), said_so);
  WaitReady();
  EXPECT_THAT(Said(), testing::Contains(testing::HasSubstr("is built")));
  Compare();
  // From then on it is saved with the analysis of now, whether or not a commit came.
  database_.reset();
  said_.clear();
  OpenAgain();
  EXPECT_TRUE(Status().restored);
  EXPECT_THAT(Said(), testing::Not(said_so));
  Compare();
}

TEST_F(TextViewTest, AnyFlippedBitIsSaidAndTheIndexBuiltAgain) {
  Open();
  for (int i = 0; i < 6; ++i) Put("k" + std::to_string(i));
  database_.reset();
  const std::string file = "/store/views/text.view";
  std::string bytes;
  ASSERT_TRUE(rocksdb::ReadFileToString(files_.get(), file, &bytes).ok());
  ASSERT_GT(bytes.size(), 100u);
  for (uint64_t bit = 0; bit < 8 * bytes.size(); bit += 8 * 7 + 1) {
    ASSERT_TRUE(rocksdb::WriteStringToFile(files_.get(), bytes, file, true).ok());
    ASSERT_TRUE(files_->FlipAtRest(file, bit).ok());
    said_.clear();
    OpenAgain();
    EXPECT_FALSE(Status().restored) << bit;
    EXPECT_THAT(Said(), testing::Contains(testing::HasSubstr("view text"))) << bit;
    Compare();
    database_.reset();
  }
}

TEST_F(TextViewTest, RefusesTextsBeyondItsMemory) {
  constexpr int64_t kMaxBytes = 12 << 20;
  Open([](DatabaseOptions& options) { options.text.max_bytes = kMaxBytes; });
  absl::Status status;
  int put = 0;
  for (; status.ok() && put < 200'000; put += 100) {
    const auto fill = [&](int i, v1::Object* object) {
      object->mutable_ref()->set_key("m" + std::to_string(put + i));
      for (int w = 0; w < 40; ++w) {
        *object->mutable_content() += " w" + std::to_string(rng_() % 5000);
      }
    };
    status = Write(100, fill, /*wait_for_views=*/true);
    if (!status.ok()) break;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(GetErrorDetail(status)->reason, "MEMORY_LIMIT");
  EXPECT_GT(put, 1000);
  EXPECT_LE(Status().memory_bytes, kMaxBytes + kMaxBytes / 5);
  // Nothing was half written, and what needs no memory is taken.
  v1::CountObjectsRequest count;
  v1::CountObjectsResponse counted;
  CallContext context;
  ASSERT_TRUE((*database_)->objects().CountObjects(context, count, &counted).ok());
  EXPECT_EQ(counted.count(), put);
  Delete("m0");
  // Another field of as much has no room: only its collection stays without an index.
  AddField("twice", [](auto* field) { field->set_source("$content"); });
  const auto end = CallContext::Clock::now() + std::chrono::seconds(60);
  while (Describe().state() == "building" && CallContext::Clock::now() < end) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Describe().state(), "failed");
  EXPECT_THAT(Describe().error(), testing::HasSubstr("more than"));
  EXPECT_EQ(Status().state, ViewState::kReady);
  CreateCollection("small");
  (void)Describe("small");
  EXPECT_EQ(Describe("small").state(), "ready");
  // What was tried is given back.
  EXPECT_LE(Status().memory_bytes, kMaxBytes + kMaxBytes / 5);
}

TEST_F(TextViewTest, IsOffWithoutMemory) {
  files_ = FaultInjectionFileSystem::InMemory();
  database_.emplace([&](DatabaseOptions& options) { options.text.max_bytes = 0; });
  WriteSome(10);
  Compare("", "", false);
  EXPECT_EQ(Describe().state(), "failed");
  EXPECT_THAT(Describe().error(), testing::HasSubstr("text_mb"));
}

TEST_F(TextViewTest, DescribesWhatItHas) {
  Open();
  AddField("title");
  WaitReady();
  const auto fill = [](int i, v1::Object* object) {
    object->mutable_ref()->set_key("k" + std::to_string(i));
    object->set_content("one two two");
    if (i == 0) (*object->mutable_properties())["title"].set_string_value("three");
  };
  ASSERT_TRUE(Write(3, fill).ok());
  Put("empty");
  v1::PatchObjectRequest patch;
  patch.mutable_patch()->mutable_ref()->set_key("empty");
  patch.mutable_patch()->set_content("");
  for (const char* name : {"title", "tags"}) patch.mutable_patch()->add_remove_properties(name);
  CallContext context;
  v1::PatchObjectResponse patched;
  ASSERT_TRUE((*database_)->objects().PatchObject(context, patch, &patched).ok());
  const v1::DescribeIndexResponse index = Describe();
  EXPECT_EQ(index.state(), "ready");
  EXPECT_EQ(index.vectors(), 3);
  ASSERT_EQ(index.text_fields_size(), 2);
  EXPECT_EQ(index.text_fields(0).field().name(), "content");
  EXPECT_EQ(index.text_fields(0).objects(), 3);
  EXPECT_EQ(index.text_fields(0).words(), 9);
  EXPECT_EQ(index.text_fields(1).objects(), 1);
  EXPECT_EQ(index.text_fields(1).words(), 1);
  EXPECT_GT(index.memory_bytes(), 0);
}

TEST_F(TextViewTest, DescribesWhatIsBeingBuilt) {
  constexpr int kObjects = 6000;
  Open();
  for (int first = 0; first < kObjects; first += 500) {
    const auto fill = [&](int i, v1::Object* object) {
      object->mutable_ref()->set_key("o" + std::to_string(first + i));
      object->set_content("one of many");
    };
    ASSERT_TRUE(Write(500, fill).ok());
  }
  AddField("again", [](auto* field) { field->set_source("$content"); });
  int64_t most = 0;
  const auto end = CallContext::Clock::now() + std::chrono::seconds(60);
  v1::DescribeIndexResponse index = Describe();
  for (; index.state() != "ready" && CallContext::Clock::now() < end; index = Describe()) {
    ASSERT_EQ(index.state(), "building");
    ASSERT_EQ(index.error(), "");
    ASSERT_LE(index.vectors(), kObjects);
    ASSERT_EQ(index.text_fields_size(), 2);
    // Both fields are filled at once, as soon as there is more to tell than of the old index.
    if (index.text_fields(1).objects() == 0) continue;
    ASSERT_EQ(index.text_fields(1).objects(), index.vectors());
    ASSERT_GE(index.vectors(), most);
    ASSERT_GT(index.memory_bytes(), 0);
    most = index.vectors();
    std::this_thread::yield();
  }
  EXPECT_EQ(index.state(), "ready");
  EXPECT_EQ(index.vectors(), kObjects);
  EXPECT_EQ(index.text_fields(1).objects(), kObjects);
  EXPECT_EQ(index.text_fields(1).words(), 3 * kObjects);
}

TEST_F(TextViewTest, ManyThreads) {
  Open();
  WriteSome(50);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 rng(static_cast<uint64_t>(100 + t));
      while (!stop.load()) {
        const auto fill = [&](int, v1::Object* object) {
          object->mutable_ref()->set_key("k" + std::to_string(rng() % 300));
          for (int w = 0; w < 5; ++w) {
            *object->mutable_content() += kWords[rng() % kWords.size()] + " ";
          }
        };
        EXPECT_TRUE(Write(10, fill).ok());
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop.load()) {
      (void)Status();
      (void)Describe();
    }
  });
  for (int round = 0; round < 6; ++round) {
    Compare("", "", false);
    AddField("title");
    Compare("", "", false);
    if (round % 3 == 2) {
      ASSERT_TRUE((*database_)->views().Rebuild("text").ok());
    }
    RemoveField("title");
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  WaitBuilt();
  WaitReady();
  Compare();
}

}  // namespace
}  // namespace cookix::engine
