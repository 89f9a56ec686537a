// One flipped bit in each kind of file of a store: it is reported, or it changes nothing.
//
// COOKIX_DAMAGED_BITS bits of each file are tried beside those of its ends; 16 if it is not set.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

const rocksdb::IOOptions kIo;
constexpr int kCommits = 60;
constexpr size_t kViewBytes = 3000;
constexpr char kDirectory[] = "/data/store";

// All that can be read of a store.
struct Content {
  std::map<Family, std::map<std::string, std::string>> records;
  std::vector<std::string> changes;
  std::string view;

  friend bool operator==(const Content&, const Content&) = default;
};

class StoreDamageTest : public testing::Test {
 protected:
  StoreDamageTest() : fs_(Fs::InMemory()) {
    options_.path = kDirectory;
    options_.file_system = fs_;
    options_.memory_budget_bytes = 8 << 20;
    options_.low_disk_bytes = 0;
    options_.ring_bytes = 0;
    options_.log = [this](std::string_view level, std::string_view message) {
      const std::lock_guard lock(said_mutex_);
      said_.append(message);
    };
    options_.clock_ms = [] { return int64_t{1'000'000}; };
  }

  // Files of every kind: sorted ones of all families on two levels, logs in the archive and
  // not, a view's.
  void Fill() {
    auto store = Store::Open(options_);
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < kCommits; ++i) {
      const auto result = (*store)->Commit({}, [&](CommitBatch& batch) {
        for (int family = 0; family < kFamilyCount; ++family) {
          if (static_cast<Family>(family) == Family::kSystem) continue;
          batch.Put(static_cast<Family>(family), "key" + std::to_string(i),
                    std::to_string(family) + std::string(300, 'a' + i % 26));
        }
        batch.SetChange("change" + std::to_string(i));
        return absl::OkStatus();
      });
      ASSERT_TRUE(result.ok()) << result.status();
      if (i == 20 || i == 40) {
        ASSERT_TRUE((*store)->Flush().ok());
      }
      if (i == 25) {
        ASSERT_TRUE((*store)->Compact(std::nullopt).ok());
      }
    }
    auto view = (*store)->CreateViewFile("sums", 1);
    ASSERT_TRUE(view.ok()) << view.status();
    ASSERT_TRUE((*view)->Append(std::string(kViewBytes, 's')).ok());
    ASSERT_TRUE((*view)->Finish().ok());
    // As a crash leaves them, so that the log is needed.
    const std::shared_ptr<Fs> left = fs_->Clone("/data");
    store->reset();
    fs_ = left;
    options_.file_system = left;
  }

  std::map<std::string, std::string> Files(const std::string& directory = kDirectory) {
    std::map<std::string, std::string> files;
    std::vector<std::string> names;
    EXPECT_TRUE(fs_->GetChildren(directory, kIo, &names, nullptr).ok());
    for (const std::string& name : names) {
      if (name == "." || name == ".." || name.ends_with("LOCK")) continue;
      const std::string path = directory + "/" + name;
      if (name == "archive" || name == "views") {
        files.merge(Files(path));
        continue;
      }
      EXPECT_TRUE(rocksdb::ReadFileToString(fs_.get(), path, &files[path]).ok()) << path;
    }
    return files;
  }

  // The error of opening or reading anything.
  absl::Status Read(Content* content) {
    said_.clear();
    auto opened = Store::Open(options_);
    if (!opened.ok()) return opened.status();
    Store& store = **opened;
    for (int family = 0; family < kFamilyCount; ++family) {
      const absl::Status status = ReadFamily(*store.Latest(), static_cast<Family>(family), content);
      if (!status.ok()) return status;
    }
    const absl::Status changes = ReadChanges(store, content);
    const auto report = store.VerifyLog();
    if (!report.ok()) return report.status();
    if (!report->damage.empty()) return absl::DataLossError(report->damage.front());
    if (!changes.ok()) return changes;
    auto view = store.OpenViewFile("sums", 1);
    if (!view.ok()) return view.status();
    content->view.resize(kViewBytes);
    const absl::Status status = (*view)->Read(content->view.data(), content->view.size());
    return status.ok() ? (*view)->AtEnd().status() : status;
  }

  static absl::Status ReadFamily(const Snapshot& latest, Family family, Content* content) {
    std::map<std::string, std::string> records;
    const auto iterator = latest.Scan(family, {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      records[std::string(iterator->key())] = iterator->value();
    }
    if (!iterator->status().ok()) return iterator->status();
    // Single keys are found by way of the filters.
    for (const auto& [key, value] : records) {
      std::string got;
      const auto found = latest.Get(family, key, &got);
      if (!found.ok()) return found.status();
      EXPECT_TRUE(*found) << key;
      EXPECT_EQ(got, value);
    }
    // What a store writes for itself when it is opened differs.
    if (family != Family::kSystem) content->records[family] = std::move(records);
    return absl::OkStatus();
  }

  static absl::Status ReadChanges(Store& store, Content* content) {
    const auto reader = store.ReadLog({store.id(), store.epoch(), 0});
    if (!reader.ok()) return reader.status();
    while (true) {
      const auto some = (*reader)->Next(100, absl::ZeroDuration());
      if (!some.ok()) return some.status();
      if (some->empty()) return absl::OkStatus();
      for (const LogCommitPtr& commit : *some) {
        // None is skipped, whatever comes after.
        EXPECT_EQ(commit->change, "change" + std::to_string(content->changes.size()));
        content->changes.push_back(commit->change);
      }
    }
  }

  // Without the last commit.
  static Content WithoutLast(Content content) {
    for (auto& [family, records] : content.records) {
      records.erase("key" + std::to_string(kCommits - 1));
    }
    content.changes.pop_back();
    return content;
  }

  static bool Contains(const absl::Status& status, const std::string& part) {
    return std::string(status.message()).find(part) != std::string::npos;
  }

  static std::string KindOf(const std::string& path) {
    const std::string name = path.substr(path.find_last_of('/') + 1);
    const size_t dot = name.find_last_of('.');
    const std::string kind =
        dot == std::string::npos ? name.substr(0, name.find('-')) : name.substr(dot + 1);
    return path.find("/archive/") == std::string::npos ? kind : "archived " + kind;
  }

  // Bits of a file of `size` bytes: of its first and last bytes, and anywhere.
  static std::vector<uint64_t> Sample(size_t size, const std::string& kind) {
    std::mt19937_64 random(size);
    std::vector<uint64_t> bits;
    for (uint64_t byte : {uint64_t{0}, uint64_t{1}, uint64_t{5}, uint64_t{size - 1},
                          uint64_t{size - 9}, uint64_t{size - 20}}) {
      if (byte < size) bits.push_back(byte * 8 + random() % 8);
    }
    // Of sorted files, what says how the rest is to be read, and has no checksum: the lowest byte
    // of the version, and the kind of checksums.
    for (const uint64_t from_end : {12, 53}) {
      for (uint64_t bit = 0; bit < 8 && kind == "sst"; ++bit) {
        bits.push_back((size - from_end) * 8 + bit);
      }
    }
    const char* count = std::getenv("COOKIX_DAMAGED_BITS");
    for (int i = count == nullptr ? 16 : std::atoi(count); i > 0; --i) {
      bits.push_back(random() % (size * 8));
    }
    return bits;
  }

  struct Tally {
    int reported = 0;
    int harmless = 0;
    // Taken for a write that a crash cut off.
    int torn = 0;
  };

  std::shared_ptr<Fs> fs_;
  Options options_;
  std::mutex said_mutex_;
  std::string said_;
};

TEST_F(StoreDamageTest, AFlippedBitNeverGivesOtherContent) {
  Fill();
  const std::map<std::string, std::string> whole = Files();
  const std::shared_ptr<Fs> original = fs_;
  const auto begin_again = [&] {
    fs_ = original->Clone("/data");
    options_.file_system = fs_;
  };
  begin_again();
  Content expected;
  ASSERT_TRUE(Read(&expected).ok());
  ASSERT_EQ(expected.records.size(), static_cast<size_t>(kFamilyCount - 1));
  for (const auto& [family, records] : expected.records)
    ASSERT_EQ(records.size(), size_t{kCommits});
  ASSERT_EQ(expected.changes.size(), size_t{kCommits});

  std::map<std::string, Tally> tallies;
  for (const auto& [path, bytes] : whole) {
    const std::string kind = KindOf(path);
    const std::string name = path.substr(path.find_last_of('/') + 1);
    for (const uint64_t bit : Sample(bytes.size(), kind)) {
      SCOPED_TRACE(path + " of " + std::to_string(bytes.size()) + " bytes, bit " +
                   std::to_string(bit));
      begin_again();
      ASSERT_TRUE(fs_->FlipAtRest(path, bit).ok());
      Content content;
      const absl::Status status = Read(&content);
      if (!status.ok()) {
        ++tallies[kind].reported;
        // A damaged CURRENT may name a manifest that is not there, and the store's own file
        // another version of its format.
        const bool other_format = kind == "COOKIX" && Contains(status, "the store has format");
        EXPECT_TRUE(status.code() == absl::StatusCode::kDataLoss || kind == "CURRENT" ||
                    other_format)
            << status;
        // Of a sorted file that cannot be opened RocksDB may name only the manifest that lists
        // it. A manifest that it reads as if its end were torn is found by what it lacks.
        const bool named = Contains(status, name) || kind == "CURRENT" || other_format ||
                           (kind == "sst" && Contains(status, "MANIFEST-")) ||
                           (kind == "MANIFEST" && Contains(status, "the sorted files end with"));
        EXPECT_TRUE(named) << status;
      } else if (kind == "log" && said_.find("incomplete record") != std::string::npos) {
        ++tallies[kind].torn;
        EXPECT_TRUE(content == WithoutLast(expected));
      } else {
        ++tallies[kind].harmless;
        EXPECT_TRUE(content == expected);
      }
    }
  }

  for (const auto& [kind, tally] : tallies) {
    std::printf("figures: flipped bits in %s: %d reported, %d harmless, %d taken for torn\n",
                kind.c_str(), tally.reported, tally.harmless, tally.torn);
  }

  // Of the log only the last record cannot be told from a torn one.
  for (const char* kind : {"COOKIX", "CURRENT", "MANIFEST", "archived log", "log", "view"}) {
    EXPECT_GT(tallies[kind].reported, 0) << kind;
    EXPECT_EQ(tallies[kind].harmless, 0) << kind;
    EXPECT_EQ(tallies[kind].torn > 0, kind == std::string("log")) << kind;
  }
  // Of a sorted file nobody reads the end of its footer, which is empty, and a filter that
  // cannot be read is not used.
  EXPECT_GT(tallies["sst"].reported, 10 * tallies["sst"].harmless);
  // RocksDB's notes of what it did and how it was set, which decide nothing here.
  for (const char* kind : {"IDENTITY", "OPTIONS", "LOG"}) {
    EXPECT_EQ(tallies[kind].reported, 0) << kind;
    EXPECT_GT(tallies[kind].harmless, 0) << kind;
  }
  EXPECT_EQ(tallies.size(), 10u);
}

}  // namespace
}  // namespace cookix::storage
