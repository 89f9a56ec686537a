// Cuts the power of a database under load, again and again, and checks what it holds.
//
//   power_cuts [--cuts=20] [--seed=1] [--workers=6] [--max_load_ms=150]
//
// The whole engine runs in this process over a file system in memory that knows what was
// synced. At a random moment nothing more gets to the disk; once the database is gone, what was
// not synced is lost, or pages of it survive, are zeroed or cut off at random, as on disks that
// write in an order of their own. One time in four the power fails again while the database is
// being opened. Then everything is checked as after a crash (crash_check.h): in mode full every
// acknowledged write is there, whole.
// Prints what it did and exits with 0, or with 1 at the first contradiction.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "client/client.h"
#include "engine/database.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "tests/crash/crash_check.h"

namespace cookix::tests {
namespace {

using storage::FaultInjectionFileSystem;

constexpr int64_t kMegabyte = 1 << 20;

struct Flags {
  int64_t cuts = 20;
  int64_t seed = 1;
  int64_t workers = 6;
  int64_t max_load_ms = 150;
};

// A disk without power fails every write.
bool IsPowerCut(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() && detail->reason == "IO_ERROR";
}

class PowerCuts {
 public:
  explicit PowerCuts(const Flags& flags)
      : flags_(flags),
        random_(static_cast<uint64_t>(flags.seed)),
        check_(flags.workers, static_cast<uint64_t>(flags.seed) + 1),
        disk_(FaultInjectionFileSystem::InMemory()) {
    disk_->SetFreeSpace(uint64_t{1} << 40);
    options_.storage.path = "/data/store";
    options_.storage.file_system = disk_;
    // Little, so that families are written to sorted files and compacted under load.
    options_.storage.memory_budget_bytes = 8 * kMegabyte;
    options_.storage.log = [this](std::string_view level, std::string_view message) {
      const std::lock_guard lock(said_mutex_);
      said_.append(level).append(": ").append(message).append("\n");
    };
    options_.views.checkpoint_bytes = kMegabyte;
    options_.views.checkpoint_interval = std::chrono::seconds(1);
  }

  bool Run() {
    const auto begin = std::chrono::steady_clock::now();
    if (!Open() || !check_.Prepare(*client_)) return Report(0, begin);
    for (int64_t cut = 1; cut <= flags_.cuts; ++cut) {
      if (!LoadAndCut() || !Recover() || !check_.Verify(*client_) ||
          !check_.RepeatUnacknowledged(*client_)) {
        return Report(cut, begin);
      }
    }
    return Report(flags_.cuts, begin) && check_.totals().acknowledged > 0;
  }

 private:
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(bound));
  }

  bool Open() {
    auto opened = engine::Database::Open(options_);
    if (!opened.ok()) {
      problem_ = opened.status().ToString();
      return false;
    }
    database_ = std::move(*opened);
    client_ = client::ConnectEmbedded(*database_);
    return true;
  }

  void Close() {
    client_.reset();
    database_.reset();
  }

  bool LoadAndCut() {
    check_.StartLoad([this] { return client::ConnectEmbedded(*database_); }, IsPowerCut);
    std::this_thread::sleep_for(
        std::chrono::microseconds(5'000 + Below(flags_.max_load_ms * 1000)));
    if (Below(2) == 0) {
      // What is being written still gets as far as the disk's cache.
      disk_->FailAt(FaultInjectionFileSystem::kSync | FaultInjectionFileSystem::kDirectorySync, 0,
                    FaultInjectionFileSystem::Fault::kIoError, /*sticky=*/true);
      std::this_thread::sleep_for(std::chrono::microseconds(Below(3'000)));
    }
    disk_->Stop();
    const bool ended_well = check_.EndLoad();
    LosePower();
    return ended_well;
  }

  void LosePower() {
    Close();
    // Without a seed everything that was not synced is lost, to the byte.
    disk_->PowerFailure(Below(4) == 0 ? 0 : random_() | 1);
    disk_->Heal();
    ++power_failures_;
  }

  bool Recover() {
    while (Below(4) == 0) {
      // Some operation of opening is the last one that gets to the disk.
      disk_->FailAt(FaultInjectionFileSystem::kAnyWrite, Below(60),
                    FaultInjectionFileSystem::Fault::kIoError, /*sticky=*/true);
      if (Open()) std::this_thread::sleep_for(std::chrono::microseconds(Below(20'000)));
      problem_.clear();
      ++interrupted_recoveries_;
      LosePower();
    }
    return Open();
  }

  // What was done, and whether all of it went well.
  bool Report(int64_t cuts, std::chrono::steady_clock::time_point begin) {
    const std::string problem = problem_.empty() ? check_.problem() : problem_;
    const CrashTotals& totals = check_.totals();
    std::printf(
        "cuts=%ld power_failures=%ld interrupted_recoveries=%ld acknowledged=%ld "
        "unacknowledged=%ld found_applied=%ld repeated=%ld objects_and_edges_compared=%ld "
        "seed=%ld seconds=%.1f\n",
        static_cast<long>(cuts), static_cast<long>(power_failures_),
        static_cast<long>(interrupted_recoveries_), static_cast<long>(totals.acknowledged),
        static_cast<long>(totals.unacknowledged), static_cast<long>(totals.found_applied),
        static_cast<long>(totals.repeated), static_cast<long>(totals.compared),
        static_cast<long>(flags_.seed),
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    if (problem.empty()) return true;
    const std::lock_guard lock(said_mutex_);
    std::fprintf(stderr, "power_cuts: cut %ld of seed %ld: %s\nthe store said:\n%s\n",
                 static_cast<long>(cuts), static_cast<long>(flags_.seed), problem.c_str(),
                 said_.substr(said_.size() - std::min<size_t>(said_.size(), 4000)).c_str());
    return false;
  }

  const Flags flags_;
  std::mt19937_64 random_;
  CrashCheck check_;
  const std::shared_ptr<FaultInjectionFileSystem> disk_;
  std::mutex said_mutex_;
  std::string said_;
  engine::DatabaseOptions options_;
  std::unique_ptr<engine::Database> database_;
  std::unique_ptr<client::Client> client_;
  int64_t power_failures_ = 0;
  int64_t interrupted_recoveries_ = 0;
  std::string problem_;
};

bool ParseFlag(absl::string_view argument, Flags* flags) {
  const auto number = [&](absl::string_view name, int64_t* value) {
    absl::string_view rest = argument;
    return absl::ConsumePrefix(&rest, name) && absl::SimpleAtoi(rest, value) && *value > 0;
  };
  return number("--cuts=", &flags->cuts) || number("--seed=", &flags->seed) ||
         number("--workers=", &flags->workers) || number("--max_load_ms=", &flags->max_load_ms);
}

}  // namespace
}  // namespace cookix::tests

int main(int argc, char** argv) {
  cookix::tests::Flags flags;
  for (int i = 1; i < argc; ++i) {
    if (!cookix::tests::ParseFlag(argv[i], &flags)) {
      std::fprintf(stderr, "power_cuts: bad argument %s\n", argv[i]);
      return 2;
    }
  }
  return cookix::tests::PowerCuts(flags).Run() ? 0 : 1;
}
