// Receiving a copy of a store over bad lines, on bad disks and through crashes.
#include "storage/copy_receiver.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/copy_testing.h"
#include "storage/fault_injection_file_system.h"
#include "storage/file_tree.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

constexpr uint32_t kEverything = Fs::kAnyWrite | Fs::kDelete;
const rocksdb::IOOptions kIo;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

// Names and bytes of the files beneath a directory, but for locks.
void AddFiles(Fs& fs, const std::string& directory, const std::string& prefix,
              std::map<std::string, std::string>* files) {
  const auto names = ListDirectory(fs, directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string path = directory + "/" + name;
    if (name == "COOKIX.LOCK" || name == "LOCK") continue;
    if (IsDirectory(fs, path)) {
      AddFiles(fs, path, prefix + name + "/", files);
      continue;
    }
    // In memory an empty directory looks like this, too.
    std::string bytes;
    if (!rocksdb::ReadFileToString(&fs, path, &bytes).ok() || bytes.empty()) continue;
    (*files)[prefix + name] = bytes;
  }
}

std::map<std::string, std::string> Files(Fs& fs, const std::string& directory) {
  std::map<std::string, std::string> files;
  AddFiles(fs, directory, "", &files);
  return files;
}

std::map<std::string, std::string> Files(const ReadCopy& copy) {
  std::map<std::string, std::string> files;
  for (size_t i = 0; i < copy.contents.size(); ++i) {
    if (!copy.contents[i].empty()) files[copy.manifest.files[i].path] = copy.contents[i];
  }
  return files;
}

class CopyReceiverTest : public testing::Test {
 protected:
  static constexpr char kPath[] = "/data/store";

  void SetUp() override {
    auto made = MakeStore(Fs::InMemory(), "/data/origin", "new", 40);
    ASSERT_NE(made, nullptr);
    auto view = made->CreateViewFile("some_view", 1);
    ASSERT_TRUE(view.ok());
    ASSERT_TRUE((*view)->AppendString("saved").ok());
    ASSERT_TRUE((*view)->Finish().ok());
    const auto copy = made->MakeCopy(0);
    ASSERT_TRUE(copy.ok()) << copy.status();
    auto read = ReadAll(**copy);
    ASSERT_TRUE(read.ok()) << read.status();
    copy_ = *std::move(read);
  }

  static absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::shared_ptr<Fs>& fs,
                                                          const std::string& path = kPath,
                                                          bool must_exist = true) {
    Options options;
    options.path = path;
    options.file_system = fs;
    options.memory_budget_bytes = 16 << 20;
    options.low_disk_bytes = 0;
    options.must_exist = must_exist;
    return Store::Open(std::move(options));
  }

  // A store whose values say which one it is.
  static std::unique_ptr<Store> MakeStore(const std::shared_ptr<Fs>& fs, const std::string& path,
                                          const std::string& value, int commits) {
    auto store = OpenStore(fs, path, /*must_exist=*/false);
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return nullptr;
    for (int i = 0; i < commits; ++i) {
      const auto done = (*store)->Commit({}, [&](CommitBatch& batch) {
        batch.Put(Family::kObjects, "key" + std::to_string(i), value);
        batch.SetChange("put");
        return absl::OkStatus();
      });
      EXPECT_TRUE(done.ok()) << done.status();
      if (i % 10 == 9) {
        EXPECT_TRUE((*store)->Flush().ok());
      }
    }
    return *std::move(store);
  }

  static std::shared_ptr<Fs> WithOldStore() {
    auto fs = Fs::InMemory();
    auto store = MakeStore(fs, kPath, "old", 25);
    EXPECT_TRUE((*store->CreateViewFile("other_view", 1))->Finish().ok());
    store.reset();
    return fs;
  }

  // "old", "new", "none" when there is no store, "refused" when it does not open, or what is
  // wrong with it. Changes the files.
  static std::string WhichStore(const std::shared_ptr<Fs>& fs) {
    const auto store = OpenStore(fs);
    if (store.status().code() == absl::StatusCode::kNotFound) return "none";
    if (!store.ok()) return "refused";
    std::map<std::string, int> seen;
    auto iterator = (*store)->Latest()->Scan(Family::kObjects, {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      ++seen[std::string(iterator->value())];
    }
    if (seen == std::map<std::string, int>{{"old", 25}}) return "old";
    if (seen == std::map<std::string, int>{{"new", 40}}) return "new";
    return "a mixture";
  }

  std::unique_ptr<CopyReceiver> Open(const std::shared_ptr<Fs>& fs, uint64_t keep_free = 0) {
    auto receiver = CopyReceiver::Open(fs, kPath, copy_.manifest, keep_free);
    EXPECT_TRUE(receiver.ok()) << receiver.status();
    return receiver.ok() ? *std::move(receiver) : nullptr;
  }

  // The largest file.
  size_t Largest() const {
    size_t largest = 0;
    for (size_t i = 0; i < copy_.contents.size(); ++i) {
      if (copy_.contents[i].size() > copy_.contents[largest].size()) largest = i;
    }
    return largest;
  }

  ReadCopy copy_;
};

TEST_F(CopyReceiverTest, PutsACopyInPlace) {
  for (const auto& fs : {Fs::InMemory(), WithOldStore()}) {
    const absl::Status status = Receive(copy_, fs, std::string(kPath) + "/");
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(Files(*fs, kPath), Files(copy_));
    EXPECT_EQ(WhichStore(fs), "new");
  }
}

TEST_F(CopyReceiverTest, FilesComeInAnyOrderAndPieces) {
  std::mt19937_64 random(1);
  const auto fs = WithOldStore();
  auto receiver = Open(fs);
  std::vector<size_t> left;
  for (size_t i = 0; i < copy_.contents.size(); ++i) left.push_back(i);
  while (!left.empty()) {
    const size_t at = random() % left.size();
    const size_t file = left[at];
    const std::string& content = copy_.contents[file];
    const uint64_t have = receiver->Have(file);
    if (have == content.size()) {
      ASSERT_TRUE(receiver->Finish(file).ok());
      ASSERT_TRUE(receiver->Finished(file));
      left.erase(left.begin() + static_cast<ptrdiff_t>(at));
      continue;
    }
    ASSERT_TRUE(receiver->Append(file, have, content.substr(have, 1 + random() % 3000)).ok());
  }
  ASSERT_TRUE(receiver->Install().ok());
  EXPECT_EQ(Files(*fs, kPath), Files(copy_));
}

TEST_F(CopyReceiverTest, ReceivesBesideAnOpenStoreAndInstallsWhenItIsClosed) {
  const auto fs = WithOldStore();
  auto store = OpenStore(fs);
  ASSERT_TRUE(store.ok());
  auto receiver = Open(fs);
  EXPECT_EQ(CopyReceiver::Open(fs, kPath, copy_.manifest, 0).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (size_t i = 0; i < copy_.contents.size(); ++i) {
    ASSERT_TRUE(receiver->Append(i, 0, copy_.contents[i]).ok());
    ASSERT_TRUE(receiver->Finish(i).ok());
  }
  EXPECT_EQ(receiver->Install().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE((*store)->Sync().ok());
  store->reset();
  receiver.reset();
  // Receiving changes nothing before the install.
  EXPECT_EQ(WhichStore(fs), "old");
  ASSERT_TRUE(Receive(copy_, fs, kPath).ok());
  EXPECT_EQ(WhichStore(fs), "new");
}

TEST_F(CopyReceiverTest, TakesOnlyWhatFollows) {
  const auto fs = Fs::InMemory();
  auto receiver = Open(fs);
  const size_t file = Largest();
  const std::string& content = copy_.contents[file];
  const auto code = [](const absl::Status& status) { return status.code(); };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(receiver->Append(copy_.contents.size(), 0, "a")), kInvalid);
  EXPECT_EQ(code(receiver->Finish(copy_.contents.size())), kInvalid);
  EXPECT_EQ(code(receiver->Append(file, 1, content.substr(1))), kInvalid);
  ASSERT_TRUE(receiver->Append(file, 0, content.substr(0, 10)).ok());
  EXPECT_EQ(code(receiver->Append(file, 0, content.substr(0, 10))), kInvalid);
  EXPECT_EQ(code(receiver->Append(file, 9, content.substr(9))), kInvalid);
  EXPECT_EQ(code(receiver->Append(file, 10, content.substr(10) + "a")), kInvalid);
  EXPECT_EQ(code(receiver->Finish(file)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(receiver->Have(file), 10u);
  EXPECT_EQ(code(receiver->Install()), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  EXPECT_EQ(code(receiver->Append(file, content.size(), "a")), kInvalid);
  ASSERT_TRUE(receiver->Install().ok());
  EXPECT_EQ(code(receiver->Install()), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(receiver->Append(file, 0, "a")), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CopyReceiverTest, FindsEveryFlippedBitAndReceivesTheFileAgain) {
  std::mt19937_64 random(2);
  const auto fs = Fs::InMemory();
  auto receiver = Open(fs);
  for (size_t file = 0; file < copy_.contents.size(); ++file) {
    const std::string& content = copy_.contents[file];
    if (content.empty()) continue;
    for (int sample = 0; sample < 20; ++sample) {
      std::string damaged = content;
      const size_t at = sample == 0   ? 0
                        : sample == 1 ? content.size() - 1
                                      : random() % content.size();
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
      ASSERT_TRUE(receiver->Append(file, 0, damaged).ok());
      EXPECT_EQ(Reason(receiver->Finish(file)), "CORRUPTION") << file << " at " << at;
      ASSERT_EQ(receiver->Have(file), 0u);
      ASSERT_FALSE(receiver->Finished(file));
    }
  }
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  ASSERT_TRUE(receiver->Install().ok());
  EXPECT_EQ(WhichStore(fs), "new");
}

TEST_F(CopyReceiverTest, GoesOnInTheMiddleOfAFile) {
  const size_t file = Largest();
  const std::string& content = copy_.contents[file];
  const std::string name = std::string(kPath) + "/incoming/" + copy_.manifest.files[file].path;
  for (const uint64_t had : {uint64_t{1}, content.size() / 2, content.size() - 1, content.size()}) {
    const auto fs = Fs::InMemory();
    auto receiver = Open(fs);
    ASSERT_TRUE(receiver->Append(file, 0, content.substr(0, had)).ok());
    receiver.reset();
    // What is right is used.
    receiver = Open(fs);
    EXPECT_EQ(receiver->Have(file), had);
    EXPECT_FALSE(receiver->Finished(file));
    receiver.reset();
    // What has become wrong since is found, and the file begun again.
    ASSERT_TRUE(fs->FlipAtRest(name, 8 * had - 1).ok());
    receiver = Open(fs);
    EXPECT_EQ(receiver->Have(file), had);
    EXPECT_EQ(Reason(Send(copy_, *receiver)), "CORRUPTION");
    EXPECT_EQ(receiver->Have(file), 0u);
    ASSERT_TRUE(Send(copy_, *receiver).ok());
    ASSERT_TRUE(receiver->Install().ok());
    EXPECT_EQ(Files(*fs, kPath), Files(copy_));
  }
}

TEST_F(CopyReceiverTest, KeepsOnlyWhatTheManifestNames) {
  const auto fs = Fs::InMemory();
  auto receiver = Open(fs);
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  receiver.reset();
  const std::string incoming = std::string(kPath) + "/incoming/";
  const auto write = [&](const std::string& name, const std::string& bytes) {
    fs->CreateDirIfMissing(incoming + name.substr(0, name.find('/')), kIo, nullptr)
        .PermitUncheckedError();
    ASSERT_TRUE(rocksdb::WriteStringToFile(fs.get(), bytes, incoming + name).ok());
  };
  write("999999.sst", "of another copy");
  write("other/file", "of another copy");
  write("archive/000001.log", "of another copy");
  // Longer than it will be.
  const size_t file = Largest();
  write(copy_.manifest.files[file].path, copy_.contents[file] + "a");
  // A directory in place of a file.
  ASSERT_TRUE(fs->DeleteFile(incoming + "CURRENT", kIo, nullptr).ok());
  write("CURRENT/file", "of another copy");
  receiver = Open(fs);
  for (size_t i = 0; i < copy_.contents.size(); ++i) {
    const bool kept = i != file && copy_.manifest.files[i].path != "CURRENT";
    EXPECT_EQ(receiver->Have(i), kept ? copy_.contents[i].size() : 0) << i;
  }
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  EXPECT_EQ(Files(*fs, std::string(kPath) + "/incoming"), Files(copy_));
}

TEST_F(CopyReceiverTest, RefusesBadManifests) {
  const auto fs = WithOldStore();
  const auto before = Files(*fs, kPath);
  using Change = std::function<void(CopyManifest&)>;
  const auto add = [](std::string path) {
    return Change([path](CopyManifest& manifest) { manifest.files.push_back({path, 1, 2}); });
  };
  const std::vector<Change> changes = {
      add(""),
      add("/etc/passwd"),
      add("../outside.sst"),
      add("views/../../outside.sst"),
      add("archive/.."),
      add("./000900.sst"),
      add("views//a.view"),
      add("views/"),
      add("views\\a.view"),
      add(std::string("000900.sst\0.sst", 15)),
      add("views/" + std::string(256, 'a')),
      add("views/" + std::string(200, 'a') + "/" + std::string(200, 'a') + "/" +
          std::string(200, 'a') + "/" + std::string(200, 'a') + "/" + std::string(220, 'a')),
      add("CURRENT"),
      add("CURRENT/000900.log"),
      add("INSTALL.emptying"),
      add("INSTALL.moving"),
      add("incoming/000900.sst"),
      add("copies/1/CURRENT"),
      add("COOKIX.LOCK"),
      add("COOKIX/a"),
      add("LOCK"),
      add("lost+found/a.sst"),
      add(".ssh/authorized_keys"),
      [](CopyManifest& manifest) { manifest.files[0].size = 1ULL << 63; },
      [](CopyManifest& manifest) { manifest.files[0].size = ~0ULL; },
      [](CopyManifest& manifest) {
        for (CopyFile& file : manifest.files) file.size = 1ULL << 62;
      },
      [](CopyManifest& manifest) {
        std::erase_if(manifest.files, [](const CopyFile& file) { return file.path == "COOKIX"; });
      },
      [](CopyManifest& manifest) { manifest.files.clear(); },
      [](CopyManifest& manifest) {
        while (manifest.files.size() <= kMaxCopyFiles) {
          manifest.files.push_back({std::to_string(1000 + manifest.files.size()) + ".sst", 0, 0});
        }
      },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    CopyManifest manifest = copy_.manifest;
    changes[i](manifest);
    const auto receiver = CopyReceiver::Open(fs, kPath, manifest, 0);
    EXPECT_EQ(receiver.status().code(), absl::StatusCode::kInvalidArgument) << i;
    // Names from elsewhere do not spoil a terminal or a log.
    for (const char c : receiver.status().message()) ASSERT_GE(c, ' ') << i;
  }
  EXPECT_EQ(Files(*fs, kPath), before);
  CopyManifest most = copy_.manifest;
  add("views/" + std::string(255, 'a'))(most);
  EXPECT_TRUE(CheckManifest(most).ok());
}

TEST_F(CopyReceiverTest, LeavesAloneWhatIsNotTheStores) {
  const auto fs = WithOldStore();
  const std::string mine = std::string(kPath) + "/notes.txt";
  const std::string found = std::string(kPath) + "/lost+found/#1";
  ASSERT_TRUE(rocksdb::WriteStringToFile(fs.get(), "mine", mine, true).ok());
  ASSERT_TRUE(rocksdb::WriteStringToFile(fs.get(), "found", found, true).ok());
  ASSERT_TRUE(Receive(copy_, fs, kPath).ok());
  auto expected = Files(copy_);
  expected["notes.txt"] = "mine";
  expected["lost+found/#1"] = "found";
  EXPECT_EQ(Files(*fs, kPath), expected);
  EXPECT_EQ(WhichStore(fs), "new");
}

TEST_F(CopyReceiverTest, NeverFollowsLinks) {
  namespace disk = std::filesystem;
  const disk::path root = disk::path(testing::TempDir()) / "copy_receiver_links";
  disk::remove_all(root);
  const disk::path outside = root / "outside";
  const disk::path store = root / "store";
  const auto write = [](const disk::path& path, const std::string& text) {
    disk::create_directories(path.parent_path());
    std::ofstream(path) << text;
  };
  write(outside / "some_view.view", "kept");
  write(outside / "CURRENT", "kept");
  // Of the store that is replaced, of what was received before, and `incoming` itself.
  disk::create_directories(store);
  disk::create_directory_symlink(outside, store / "archive");
  disk::create_directory_symlink(outside, store / "incoming");
  const std::shared_ptr<rocksdb::FileSystem> fs = rocksdb::FileSystem::Default();
  EXPECT_TRUE(CopyReceiver::CompleteInstall(fs, store.string()).ok());
  auto receiver = CopyReceiver::Open(fs, store.string(), copy_.manifest, 0);
  ASSERT_TRUE(receiver.ok()) << receiver.status();
  receiver->reset();
  disk::create_directory_symlink(outside, store / "incoming" / "views");
  disk::create_symlink(outside / "CURRENT", store / "incoming" / "CURRENT");
  disk::create_symlink(outside / "absent", store / "incoming" / "COOKIX");
  const absl::Status status = Receive(copy_, fs, store.string());
  ASSERT_TRUE(status.ok()) << status;
  for (const char* name : {"some_view.view", "CURRENT"}) {
    std::string text;
    std::ifstream(outside / name) >> text;
    EXPECT_EQ(text, "kept") << name;
  }
  EXPECT_FALSE(disk::exists(outside / "absent"));
  EXPECT_FALSE(disk::exists(store / "incoming"));
  for (const auto& entry : disk::recursive_directory_iterator(store)) {
    EXPECT_FALSE(entry.is_symlink()) << entry.path();
  }
  Options options;
  options.path = store.string();
  options.must_exist = true;
  options.follower = true;
  const auto opened = Store::Open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->Latest()->commit(), 40u);
}

TEST_F(CopyReceiverTest, LeavesSpaceOnTheDisk) {
  const auto fs = Fs::InMemory();
  auto receiver = Open(fs, 1000);
  const size_t file = Largest();
  const std::string& content = copy_.contents[file];
  fs->SetFreeSpace(1099);
  EXPECT_EQ(Reason(receiver->Append(file, 0, content.substr(0, 100))), "DISK_LOW");
  fs->SetFreeSpace(10);
  EXPECT_EQ(Reason(receiver->Append(file, 0, content.substr(0, 1))), "DISK_LOW");
  EXPECT_EQ(receiver->Have(file), 0u);
  fs->SetFreeSpace(1100);
  EXPECT_TRUE(receiver->Append(file, 0, content.substr(0, 100)).ok());
  fs->SetFreeSpace(1 << 30);
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  // Nothing more is needed.
  fs->SetFreeSpace(10);
  ASSERT_TRUE(receiver->Install().ok());
  EXPECT_EQ(WhichStore(fs), "new");
}

// Every write fails once, for want of space or otherwise, and the same receiver goes on.
TEST_F(CopyReceiverTest, GoesOnAfterEveryFailedWrite) {
  const auto base = WithOldStore();
  base->Heal();
  ASSERT_TRUE(Receive(copy_, base->Clone("/data"), kPath).ok());
  for (const Fs::Fault fault : {Fs::Fault::kNoSpace, Fs::Fault::kIoError}) {
    for (int64_t n = 0;; ++n) {
      const auto fs = base->Clone("/data");
      auto receiver = Open(fs);
      fs->FailAt(kEverything, n, fault, /*sticky=*/false);
      int failed = 0;
      absl::Status status;
      const auto attempt = [&](const std::function<absl::Status()>& step) {
        for (status = step(); !status.ok() && failed < 3; status = step()) {
          ++failed;
          EXPECT_EQ(Reason(status), fault == Fs::Fault::kNoSpace ? "DISK_LOW" : "IO_ERROR")
              << n << " " << status;
        }
        return status.ok();
      };
      ASSERT_TRUE(attempt([&] { return Send(copy_, *receiver); })) << n << " " << status;
      ASSERT_TRUE(attempt([&] { return receiver->Install(); })) << n << " " << status;
      ASSERT_EQ(Files(*fs, kPath), Files(copy_)) << n;
      if (fs->Failures() == 0) {
        EXPECT_GT(n, 60);
        break;
      }
    }
  }
}

// The process or the power goes at every operation, and what is then there is the old store
// or the new one.
TEST_F(CopyReceiverTest, ACrashAtAnyPointLeavesTheOldStoreOrTheNewOne) {
  for (const auto& base : {WithOldStore(), Fs::InMemory()}) {
    const std::string before = WhichStore(base->Clone("/data"));
    std::map<std::string, int> outcomes;
    for (int64_t n = 0;; ++n) {
      const auto fs = base->Clone("/data");
      fs->FailAt(kEverything, n, Fs::Fault::kIoError, /*sticky=*/true);
      const absl::Status status = Receive(copy_, fs, kPath, 5000);
      const bool crashed = fs->Failures() > 0;
      fs->Heal();
      if (n % 2 == 1) fs->PowerFailure(static_cast<uint64_t>(n));
      // Whoever forgets to complete the install sees no mixture.
      const std::string opened = WhichStore(fs->Clone("/data"));
      EXPECT_TRUE(opened == before || opened == "new" || opened == "refused") << n << opened;
      const absl::Status completed = CopyReceiver::CompleteInstall(fs, kPath);
      ASSERT_TRUE(completed.ok()) << n << " " << completed;
      const std::string which = WhichStore(fs->Clone("/data"));
      // A directory with nothing but a part of a copy is no place for a new store.
      ++outcomes[which == "refused" && before == "none" ? "none" : which];
      if (status.ok()) {
        EXPECT_EQ(which, "new");
      }
      // It can be received again, whatever was left.
      const absl::Status again = Receive(copy_, fs, kPath);
      ASSERT_TRUE(again.ok()) << n << " " << again;
      ASSERT_EQ(Files(*fs, kPath), Files(copy_)) << n;
      if (!crashed) break;
    }
    EXPECT_GT(outcomes[before], 30);
    EXPECT_GT(outcomes["new"], 30);
    EXPECT_EQ(outcomes.size(), 2u) << outcomes.rbegin()->first;
  }
}

// While an install is completed after a crash, there is another crash.
TEST_F(CopyReceiverTest, CrashesWhileAnInstallIsCompleted) {
  const auto base = WithOldStore();
  {
    auto receiver = Open(base);
    ASSERT_TRUE(Send(copy_, *receiver).ok());
  }
  int completions = 0;
  for (int64_t n = 0;; ++n) {
    const auto first = base->Clone("/data");
    {
      auto receiver = Open(first);
      ASSERT_TRUE(Send(copy_, *receiver).ok());
      first->FailAt(kEverything, n, Fs::Fault::kIoError, /*sticky=*/true);
      if (receiver->Install().ok()) break;
    }
    first->Heal();
    if (n % 2 == 1) first->PowerFailure(static_cast<uint64_t>(n));
    for (int64_t m = 0;; m += 1 + n % 3) {
      const auto fs = first->Clone("/data");
      fs->FailAt(kEverything, m, Fs::Fault::kIoError, /*sticky=*/true);
      const absl::Status status = CopyReceiver::CompleteInstall(fs, kPath);
      const bool crashed = fs->Failures() > 0;
      fs->Heal();
      if (m % 2 == 1) fs->PowerFailure(static_cast<uint64_t>(m));
      const absl::Status completed = CopyReceiver::CompleteInstall(fs, kPath);
      ASSERT_TRUE(completed.ok()) << n << " " << m << " " << completed;
      if (crashed) {
        ASSERT_FALSE(status.ok()) << n << " " << m;
        ASSERT_EQ(Files(*fs, kPath), Files(copy_)) << n << " " << m;
        ++completions;
      }
      if (!crashed) break;
    }
  }
  EXPECT_GT(completions, 300);
}

TEST_F(CopyReceiverTest, CompletingAnInstallDoesNothingWithoutOne) {
  const auto fs = WithOldStore();
  const auto before = Files(*fs, kPath);
  fs->Heal();
  EXPECT_TRUE(CopyReceiver::CompleteInstall(fs, kPath).ok());
  EXPECT_TRUE(CopyReceiver::CompleteInstall(fs, "/data/nothing").ok());
  EXPECT_EQ(fs->Count(kEverything), 0);
  EXPECT_EQ(Files(*fs, kPath), before);
  // Received in part.
  auto receiver = Open(fs);
  ASSERT_TRUE(receiver->Append(Largest(), 0, copy_.contents[Largest()]).ok());
  receiver.reset();
  EXPECT_TRUE(CopyReceiver::CompleteInstall(fs, kPath).ok());
  EXPECT_EQ(Open(fs)->Have(Largest()), copy_.contents[Largest()].size());
  EXPECT_EQ(WhichStore(fs), "old");
}

TEST_F(CopyReceiverTest, ADamagedInstallIsReportedBeforeAnythingIsDeleted) {
  const auto fs = WithOldStore();
  auto receiver = Open(fs);
  ASSERT_TRUE(Send(copy_, *receiver).ok());
  // The first thing that is deleted is not.
  fs->FailAt(Fs::kDelete, 0, Fs::Fault::kIoError, /*sticky=*/true);
  ASSERT_FALSE(receiver->Install().ok());
  receiver.reset();
  fs->Heal();
  const std::string marker = std::string(kPath) + "/incoming/INSTALL.emptying";
  uint64_t size = 0;
  ASSERT_TRUE(fs->GetFileSize(marker, kIo, &size, nullptr).ok());
  for (uint64_t byte = 0; byte < size; ++byte) {
    const auto damaged = fs->Clone("/data");
    ASSERT_TRUE(damaged->FlipAtRest(marker, 8 * byte + byte % 8).ok());
    EXPECT_FALSE(CopyReceiver::CompleteInstall(damaged, kPath).ok()) << byte;
    if (byte % 16 == 0) {
      EXPECT_EQ(WhichStore(damaged), "old") << byte;
    }
  }
  EXPECT_TRUE(CopyReceiver::CompleteInstall(fs, kPath).ok());
  EXPECT_EQ(WhichStore(fs), "new");
}

}  // namespace
}  // namespace cookix::storage
