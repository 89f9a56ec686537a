// What a store does when one write of the disk fails, whichever it is.
//
// Each run lets another operation fail, until none does. None of them may lose what was
// acknowledged, wait for ever, or leave a store that has to be opened again.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

// Ends the process when it is not destroyed in time: what hangs cannot be joined.
class Watchdog {
 public:
  explicit Watchdog(std::string doing)
      : thread_([this, doing = std::move(doing)] {
          std::unique_lock lock(mutex_);
          if (done_.wait_for(lock, std::chrono::minutes(2), [this] { return finished_; })) return;
          std::fprintf(stderr, "%s does not come to an end\n", doing.c_str());
          std::_Exit(1);
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    done_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  bool finished_ = false;
  std::thread thread_;
};

// A store, and what is known of what it must hold.
class Subject {
 public:
  Subject(std::shared_ptr<Fs> fs, Fs::Fault fault) : fs_(std::move(fs)), fault_(fault) {
    options_.path = "/data/store";
    options_.file_system = fs_;
    options_.memory_budget_bytes = 8 << 20;
    options_.low_disk_bytes = 1000;
    options_.ring_bytes = 0;
    options_.clock_ms = [this] { return now_ms_.load(); };
    options_.log = [this](std::string_view level, std::string_view message) {
      const std::lock_guard lock(said_mutex_);
      said_ += std::string(level) + ": " + std::string(message) + "\n";
    };
    // RocksDB acts otherwise where nobody can say how much is free.
    fs_->SetFreeSpace(uint64_t{1} << 40);
  }

  Fs& fs() { return *fs_; }
  Store& store() { return *store_; }
  void Wait(int64_t ms) { now_ms_ += ms; }
  int errors() const { return errors_; }
  // What the store said for people to read.
  std::string said() const {
    const std::lock_guard lock(said_mutex_);
    return said_;
  }

  bool Open() {
    store_.reset();
    auto opened = Store::Open(options_);
    if (opened.ok()) store_ = std::move(*opened);
    return Check(opened.status());
  }
  void Close() { store_.reset(); }

  bool Put() {
    const int number = ++attempts_;
    const auto result = store_->Commit({}, [&](CommitBatch& batch) {
      batch.Put(Family::kObjects, Key(number), Value(number));
      batch.Put(Family::kIdentity, Key(number), Value(number));
      batch.Put(Family::kObjects, "shared", std::to_string(number));
      batch.SetChange(Key(number));
      return absl::OkStatus();
    });
    if (result.ok()) acknowledged_.insert(number);
    return Check(result.status());
  }

  bool SaveView() {
    auto writer = store_->CreateViewFile("sums", 1);
    if (!writer.ok()) return Check(writer.status());
    const absl::Status status = (*writer)->Append(std::string(5000, 's'));
    return Check(status.ok() ? (*writer)->Finish() : status);
  }

  bool Checkpoint(const std::string& path) { return Check(store_->Checkpoint(path).status()); }

  // Whatever is done to a store, twice over so that there is something to compact. Goes on
  // after errors.
  void Work() {
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 4; ++i) Put();
      Check(store_->Flush());
      SaveView();
    }
    Check(store_->Compact(std::nullopt));
    Put();
    Checkpoint("/data/checkpoint");
    Check(store_->MakeCopy(0).status());
    Put();
    Check(store_->Sync());
  }

  // The files as a crash, or with `power` a power failure, would leave them now.
  std::unique_ptr<Subject> Crashed(bool power, uint64_t seed) const {
    auto left = std::make_unique<Subject>(fs_->Clone("/data"), fault_);
    if (power) left->fs_->PowerFailure(seed);
    left->attempts_ = attempts_;
    left->acknowledged_ = acknowledged_;
    return left;
  }

  // Everything acknowledged is there, and every commit is there wholly or not at all.
  void Verify(const std::string& when) {
    SCOPED_TRACE(when);
    const std::shared_ptr<const Snapshot> latest = store_->Latest();
    const auto get = [&](Family family, const std::string& key) {
      std::string value;
      const auto found = latest->Get(family, key, &value);
      EXPECT_TRUE(found.ok()) << found.status();
      return found.ok() && *found ? value : "";
    };
    int last = 0;
    uint64_t commits = 0;
    for (int number = 1; number <= attempts_; ++number) {
      const std::string value = get(Family::kObjects, Key(number));
      EXPECT_EQ(value, get(Family::kIdentity, Key(number)));
      if (acknowledged_.contains(number) || !value.empty()) {
        EXPECT_EQ(value, Value(number));
        last = number;
        ++commits;
      }
    }
    EXPECT_EQ(get(Family::kObjects, "shared"), last == 0 ? "" : std::to_string(last));
    EXPECT_EQ(latest->commit(), commits);
    const auto report = store_->VerifyLog();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->damage, std::vector<std::string>());
    VerifyChanges(commits);
  }

  // An error must say what it is and what to do.
  bool Check(const absl::Status& status) {
    if (status.ok()) return true;
    ++errors_;
    const auto detail = GetErrorDetail(status);
    EXPECT_TRUE(detail.has_value()) << status;
    if (!detail.has_value()) return false;
    EXPECT_FALSE(detail->remedy.empty()) << status;
    if (fault_ == Fs::Fault::kNoSpace) {
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      EXPECT_EQ(detail->reason, "DISK_LOW");
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
      EXPECT_EQ(detail->reason, "IO_ERROR");
    }
    return false;
  }

 private:
  static std::string Key(int number) { return "key" + std::to_string(number); }
  static std::string Value(int number) {
    return std::to_string(number) + std::string(500, 'a' + number % 26);
  }

  void VerifyChanges(uint64_t commits) {
    auto reader = store_->ReadLog({store_->id(), store_->epoch(), 0});
    ASSERT_TRUE(reader.ok()) << reader.status();
    uint64_t read = 0;
    while (true) {
      const auto some = (*reader)->Next(100, absl::ZeroDuration());
      ASSERT_TRUE(some.ok()) << some.status();
      if (some->empty()) break;
      for (const LogCommitPtr& commit : *some) ASSERT_EQ(commit->commit, ++read);
    }
    EXPECT_EQ(read, commits);
  }

  const std::shared_ptr<Fs> fs_;
  const Fs::Fault fault_;
  Options options_;
  std::atomic<int64_t> now_ms_{1'000'000};
  std::unique_ptr<Store> store_;
  int attempts_ = 0;
  std::set<int> acknowledged_;
  int errors_ = 0;
  mutable std::mutex said_mutex_;
  std::string said_;
};

class StoreDiskFailureTest : public testing::TestWithParam<std::tuple<Fs::Fault, bool>> {
 protected:
  Fs::Fault fault() const { return std::get<0>(GetParam()); }
  bool sticky() const { return std::get<1>(GetParam()); }

  // Calls `run` with 0, 1 and so on until it says that nothing failed. RocksDB waits a
  // second after some errors, so that many run at once.
  template <typename Run>
  void ForEachOperation(const Run& run) {
    constexpr int kThreads = 12;
    for (const auto priority : {rocksdb::Env::HIGH, rocksdb::Env::LOW}) {
      rocksdb::Env::Default()->SetBackgroundThreads(kThreads, priority);
    }
    std::atomic<int64_t> next{0};
    std::atomic<bool> all{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        while (!all && !HasFailure()) {
          const int64_t nth = next++;
          const Watchdog watchdog("operation " + std::to_string(nth));
          SCOPED_TRACE("operation " + std::to_string(nth));
          if (!run(nth)) all = true;
          if (HasFailure()) std::fprintf(stderr, "after operation %d\n", static_cast<int>(nth));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    runs_ = next.load();
  }

  void Print(const char* when, int refused) const {
    std::printf("figures: disk %s %s, %s: %d operations failed in turn, %d runs saw errors\n",
                fault() == Fs::Fault::kNoSpace ? "full" : "failing",
                sticky() ? "until healed" : "once", when, static_cast<int>(runs_), refused);
  }

  int64_t runs_ = 0;
};

TEST_P(StoreDiskFailureTest, AStoreComesBackByItself) {
  std::atomic<int> refused{0};
  ForEachOperation([&](int64_t nth) {
    Subject subject(Fs::InMemory(), fault());
    EXPECT_TRUE(subject.Open());
    subject.fs().FailAt(Fs::kAnyWrite, nth, fault(), sticky());
    subject.Work();
    const bool any = subject.fs().Failures() > 0;
    refused += subject.errors() > 0 ? 1 : 0;

    // The process, or the machine, ends while the disk fails.
    for (const bool power : {false, true}) {
      const std::unique_ptr<Subject> left = subject.Crashed(power, static_cast<uint64_t>(nth));
      EXPECT_TRUE(left->Open());
      if (left->errors() > 0) return any;
      left->Verify("after a crash");
      EXPECT_TRUE(left->Put());
    }

    subject.fs().Heal();
    subject.Wait(2000);
    EXPECT_TRUE(subject.Put()) << subject.said();
    subject.Verify("once healed");
    EXPECT_FALSE(subject.store().Stats().read_only);
    EXPECT_TRUE(subject.Check(subject.store().Flush()));
    EXPECT_TRUE(subject.Check(subject.store().Compact(std::nullopt)));
    EXPECT_TRUE(subject.SaveView());
    EXPECT_TRUE(subject.Checkpoint("/data/after"));
    EXPECT_TRUE(subject.Put());
    const std::unique_ptr<Subject> left = subject.Crashed(/*power=*/true, nth + 1);
    EXPECT_TRUE(left->Open());
    left->Verify("after a power failure");
    EXPECT_TRUE(subject.Open());
    subject.Verify("opened again");
    return any;
  });
  Print("at work", refused);
  EXPECT_GT(runs_, 100);
  EXPECT_GT(refused, 40);
}

TEST_P(StoreDiskFailureTest, OpeningCanFailAnywhereAndBeRepeated) {
  std::atomic<int> refused{0};
  ForEachOperation([&](int64_t nth) {
    Subject whole(Fs::InMemory(), fault());
    EXPECT_TRUE(whole.Open());
    whole.Work();
    EXPECT_TRUE(whole.Put());
    // There is something in the log, so that opening writes it to sorted files.
    const std::unique_ptr<Subject> subject = whole.Crashed(/*power=*/false, 0);
    subject->fs().FailAt(Fs::kAnyWrite, nth, fault(), sticky());
    const bool opened = subject->Open();
    refused += opened ? 0 : 1;
    if (opened) subject->Put();
    const bool any = subject->fs().Failures() > 0;
    const std::unique_ptr<Subject> left = subject->Crashed(/*power=*/true, nth);
    EXPECT_TRUE(left->Open());
    if (left->errors() == 0) left->Verify("after a crash");
    subject->fs().Heal();
    subject->Wait(2000);
    if (!opened) {
      EXPECT_TRUE(subject->Open());
    }
    EXPECT_TRUE(subject->Put());
    subject->Verify("once healed");
    return any;
  });
  Print("while opening", refused);
  EXPECT_GT(runs_, 15);
  EXPECT_GT(refused, 10);
}

INSTANTIATE_TEST_SUITE_P(
    All, StoreDiskFailureTest,
    testing::Combine(testing::Values(Fs::Fault::kNoSpace, Fs::Fault::kIoError), testing::Bool()),
    [](const testing::TestParamInfo<std::tuple<Fs::Fault, bool>>& chosen) {
      return std::string(std::get<0>(chosen.param) == Fs::Fault::kNoSpace ? "NoSpace" : "IoError") +
             (std::get<1>(chosen.param) ? "UntilHealed" : "Once");
    });

}  // namespace
}  // namespace cookix::storage
