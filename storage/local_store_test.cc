#include "storage/local_store.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"

namespace cookix::storage {
namespace {

std::string TestPath(const std::string& name) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / ("local_" + name);
  std::filesystem::remove_all(path);
  return path.string();
}

std::unique_ptr<LocalStore> MustOpen(const LocalStoreOptions& options) {
  auto store = LocalStore::Open(options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? std::move(*store) : nullptr;
}

std::string Get(const LocalSnapshot& snapshot, std::string_view key) {
  LocalValue value;
  const auto found = snapshot.Get(key, &value);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() && *found ? std::string(value.view()) : "<none>";
}

std::vector<std::string> Keys(const LocalSnapshot& snapshot, std::string_view prefix) {
  std::vector<std::string> keys;
  const absl::Status status = snapshot.Scan(prefix, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return keys;
}

TEST(LocalStoreTest, PutsAppendsAndDeletes) {
  const auto store = MustOpen({.path = TestPath("basic")});
  LocalBatch batch;
  batch.Put("a/1", "one");
  batch.Append("a/2", "t");
  batch.Append("a/2", "wo");
  batch.Put("b/1", "x");
  ASSERT_TRUE(store->Write(batch).ok());
  const auto before = store->Latest();
  batch.Clear();
  batch.Append("a/1", "+");
  batch.Delete("b/1");
  batch.Put("\xff\xff", "last");
  ASSERT_TRUE(store->Write(batch).ok());
  const auto after = store->Latest();
  EXPECT_EQ(Get(*before, "a/1"), "one");
  EXPECT_EQ(Get(*before, "b/1"), "x");
  EXPECT_EQ(Get(*after, "a/1"), "one+");
  EXPECT_EQ(Get(*after, "a/2"), "two");
  EXPECT_EQ(Get(*after, "b/1"), "<none>");
  EXPECT_EQ(Keys(*after, "a/"), (std::vector<std::string>{"a/1", "a/2"}));
  EXPECT_EQ(Keys(*after, "\xff"), (std::vector<std::string>{"\xff\xff"}));
  batch.Clear();
  batch.DeletePrefix("a/");
  ASSERT_TRUE(store->Write(batch).ok());
  EXPECT_TRUE(Keys(*store->Latest(), "a/").empty());
  EXPECT_EQ(Keys(*after, "a/").size(), 2u);
}

// Pieces are put together wherever they are: in memory, in sorted files, and behind a
// large value that is kept apart.
TEST(LocalStoreTest, PutsPiecesTogetherAcrossFiles) {
  LocalStoreOptions options{.path = TestPath("pieces"), .large_value_bytes = 1000};
  auto store = MustOpen(options);
  std::string expected(5000, 'v');
  LocalBatch batch;
  batch.Put("k", expected);
  ASSERT_TRUE(store->Write(batch).ok());
  for (int i = 0; i < 20; ++i) {
    if (i % 3 == 0) {
      ASSERT_TRUE(store->Flush().ok());
    }
    const std::string piece(static_cast<size_t>(i), static_cast<char>('a' + i));
    batch.Clear();
    batch.Append("k", piece);
    ASSERT_TRUE(store->Write(batch).ok());
    expected += piece;
    ASSERT_EQ(Get(*store->Latest(), "k"), expected);
  }
  store.reset();
  store = MustOpen(options);
  EXPECT_EQ(Get(*store->Latest(), "k"), expected);
}

// After a crash there is the state after some batch, never a part of one.
TEST(LocalStoreTest, CrashLeavesWholeBatchesInOrder) {
  const auto fs = FaultInjectionFileSystem::InMemory();
  const std::string path = "/local";
  auto store = MustOpen({.path = path, .file_system = fs, .memory_bytes = 4 << 20});
  int flushed = 0;
  for (int i = 1; i <= 400; ++i) {
    LocalBatch batch;
    batch.Put("count", std::to_string(i));
    batch.Put("large/" + std::to_string(i), std::string(20'000, 'x'));
    batch.Append("pieces", "p");
    ASSERT_TRUE(store->Write(batch).ok());
    if (i == 250) {
      ASSERT_TRUE(store->Flush().ok());
      flushed = i;
    }
    if (i % 100 != 30) continue;
    const auto crashed = fs->Clone(path);
    crashed->PowerFailure(static_cast<uint64_t>(i));
    const auto recovered = MustOpen({.path = path, .file_system = crashed});
    const auto snapshot = recovered->Latest();
    const std::string count = Get(*snapshot, "count");
    const int n = count == "<none>" ? 0 : std::stoi(count);
    EXPECT_GE(n, flushed);
    EXPECT_LE(n, i);
    EXPECT_EQ(Keys(*snapshot, "large/").size(), static_cast<size_t>(n));
    EXPECT_EQ(n == 0 ? "<none>" : std::string(static_cast<size_t>(n), 'p'),
              Get(*snapshot, "pieces"));
  }
}

TEST(LocalStoreTest, SaysWhenFilesAreDamaged) {
  const auto fs = FaultInjectionFileSystem::OnDisk();
  const LocalStoreOptions options{.path = TestPath("damaged"), .file_system = fs};
  {
    const auto store = MustOpen(options);
    LocalBatch batch;
    batch.Put("k", std::string(100'000, 'v'));
    ASSERT_TRUE(store->Write(batch).ok());
    ASSERT_TRUE(store->Flush().ok());
  }
  fs->FlipOnRead(".blob", 8 * 50'000);
  {
    const auto store = MustOpen(options);
    LocalValue value;
    const auto found = store->Latest()->Get("k", &value);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(GetErrorDetail(found.status())->reason, "CORRUPTION");
  }
  fs->FlipOnRead("", 0);
  for (const auto& entry : std::filesystem::directory_iterator(options.path)) {
    if (entry.path().extension() == ".sst") std::filesystem::remove(entry.path());
  }
  const auto store = LocalStore::Open(options);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(LocalStore::Destroy(fs, options.path).ok());
  EXPECT_FALSE(std::filesystem::exists(options.path));
  ASSERT_TRUE(LocalStore::Destroy(fs, options.path).ok());
  EXPECT_EQ(Get(*MustOpen(options)->Latest(), "k"), "<none>");
}

TEST(LocalStoreTest, LeavesFreeWhatMustStayFree) {
  const auto fs = FaultInjectionFileSystem::InMemory();
  fs->SetFreeSpace(uint64_t{1} << 30);
  const auto store = MustOpen({.path = "/local", .file_system = fs, .keep_free_bytes = 256 << 20});
  LocalBatch batch;
  batch.Put("k", "v");
  ASSERT_TRUE(store->Write(batch).ok());
  fs->SetFreeSpace(200 << 20);
  LocalBatch large;
  large.Put("large", std::string(8 << 20, 'x'));
  const absl::Status status = store->Write(large);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorDetail(status)->reason, "DISK_LOW");
  EXPECT_EQ(Get(*store->Latest(), "large"), "<none>");
  EXPECT_EQ(store->Write(batch).code(), absl::StatusCode::kResourceExhausted);
  fs->SetFreeSpace(uint64_t{1} << 30);
  EXPECT_TRUE(store->Write(large).ok());
}

TEST(LocalStoreTest, HoldsTheMemoryItMay) {
  const auto store = MustOpen({.path = TestPath("memory"), .memory_bytes = 8 << 20});
  LocalBatch batch;
  int64_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    batch.Clear();
    batch.Put("small/" + std::to_string(i), "v");
    batch.Put("large/" + std::to_string(i % 1000), std::string(30'000, 'x'));
    ASSERT_TRUE(store->Write(batch).ok());
    most = std::max(most, store->MemoryBytes());
  }
  EXPECT_LT(most, 9 << 20);
  EXPECT_GT(store->DiskBytes(), 20 << 20);
}

}  // namespace
}  // namespace cookix::storage
