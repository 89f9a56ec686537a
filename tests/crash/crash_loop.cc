// Kills a real server under load, again and again, and checks what it holds.
//
//   crash_loop [--cycles=30] [--seed=1] [--workers=6] [--sync_mode=full]
//              [--max_load_ms=500] [--data_dir=DIR]
//
// Each cycle: workers write objects, edges, texts and vectors (single calls, atomic writes of many
// mutations, bulk streams), the server is killed at a random moment (SIGKILL; one time in ten
// SIGTERM, after which it must exit with code 0, and two times SIGKILL while it stops and
// saves its views), sometimes killed again while it recovers, and started again. Views save
// themselves as often as they can. Then everything is read back:
//   * every acknowledged write is there, and of the unacknowledged ones of each
//     worker a beginning, none by half (expected_state.h);
//   * every edge is found from both ends;
//   * versions are those that were acknowledged, commit and epoch never go back;
//   * the counts are those of what is there;
//   * searches, exact and not, by the store and by the indexes, find what is near among the
//     vectors that are there, and nothing else (search_check.h);
//   * searches by words find and score what a plain BM25 does (text_check.h);
//   * repeating an unacknowledged write with its request id applies it exactly
//     once in all.
// Prints what it did and exits with 0, or with 1 at the first contradiction,
// keeping the data directory.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/client.h"
#include "tests/crash/crash_check.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

struct Flags {
  int64_t cycles = 30;
  int64_t seed = 1;
  int64_t workers = 6;
  int64_t max_load_ms = 500;
  std::string sync_mode = "full";
  std::string data_dir;
};

struct Totals {
  int64_t kills = 0;
  int64_t terminations = 0;
  int64_t interrupted_recoveries = 0;
  // Kills that found a view being saved.
  int64_t interrupted_saves = 0;
};

bool IsCrash(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    default:
      // A connection that broke in the middle of a frame.
      return status.code() == absl::StatusCode::kInternal && !GetErrorDetail(status).has_value();
  }
}

class CrashLoop {
 public:
  explicit CrashLoop(const Flags& flags)
      : flags_(flags),
        random_(static_cast<uint64_t>(flags.seed)),
        check_(flags.workers, static_cast<uint64_t>(flags.seed) + 1) {
    TestServerOptions options;
    options.data_dir = flags.data_dir.empty() ? MakeTempDir("crash") + "/data" : flags.data_dir;
    options.flags = {"--sync_mode=" + flags.sync_mode, "--view_checkpoint_mb=1",
                     "--view_checkpoint_seconds=1"};
    server_ = std::make_unique<TestServer>(options);
  }

  bool Run() {
    const auto begin = std::chrono::steady_clock::now();
    if (!Check(server_->Restart(), "the server starts")) return false;
    if (!check_.Prepare(*server_->Connect())) return false;
    for (int64_t cycle = 1; cycle <= flags_.cycles; ++cycle) {
      if (!Load() || !CrashAndRecover() || !check_.Verify(*server_->Connect()) ||
          !check_.RepeatUnacknowledged(*server_->Connect())) {
        std::fprintf(stderr,
                     "crash_loop: cycle %ld of seed %ld failed: %s\ndata kept in %s\n"
                     "the end of the server's output:\n%s\n",
                     static_cast<long>(cycle), static_cast<long>(flags_.seed),
                     (problem_.empty() ? check_.problem() : problem_).c_str(),
                     server_->data_dir().c_str(), OutputTail().c_str());
        return false;
      }
      if (cycle % 10 == 0 || cycle == flags_.cycles) Report(cycle);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const CrashTotals& totals = check_.totals();
    const auto searched = [&](const char* strategy) { return totals.searches.contains(strategy); };
    if (totals.acknowledged == 0 || totals_.kills == 0 || !searched("inverted") ||
        !searched("cells") || !searched("text_inverted")) {
      std::fprintf(stderr, "crash_loop: nothing was tested\n");
      return false;
    }
    std::printf("passed: sync_mode=%s seed=%ld in %.1f s\n", flags_.sync_mode.c_str(),
                static_cast<long>(flags_.seed), seconds);
    return true;
  }

 private:
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(bound));
  }

  bool Fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool Check(const absl::Status& status, std::string_view what) {
    return status.ok() || Fail(absl::StrCat(ToAbsl(what), ": ", status.ToString()));
  }

  std::string OutputTail() const {
    const std::string output = server_->Output();
    return output.substr(output.size() - std::min<size_t>(output.size(), 4000));
  }

  void Report(int64_t cycle) const {
    std::printf(
        "cycles=%ld kills=%ld terminations=%ld interrupted_recoveries=%ld acknowledged=%ld "
        "unacknowledged=%ld found_applied=%ld repeated=%ld objects_and_edges_compared=%ld\n",
        static_cast<long>(cycle), static_cast<long>(totals_.kills),
        static_cast<long>(totals_.terminations), static_cast<long>(totals_.interrupted_recoveries),
        static_cast<long>(check_.totals().acknowledged),
        static_cast<long>(check_.totals().unacknowledged),
        static_cast<long>(check_.totals().found_applied),
        static_cast<long>(check_.totals().repeated), static_cast<long>(check_.totals().compared));
    std::printf("interrupted_saves=%ld", static_cast<long>(totals_.interrupted_saves));
    for (const auto& [strategy, count] : check_.totals().searches) {
      std::printf(" searches_by_%s=%ld", strategy.c_str(), static_cast<long>(count));
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  // Writes from all workers until the server is gone.
  bool Load() {
    check_.StartLoad([this] { return server_->Connect(); }, IsCrash);
    // The moment of the crash is random, down to the microsecond.
    std::this_thread::sleep_for(
        std::chrono::microseconds(20'000 + Below(flags_.max_load_ms * 1000)));
    bool exited_well = true;
    const int64_t manner = Below(10);
    if (manner == 0) {
      ++totals_.terminations;
      const ExitStatus exit = server_->Terminate();
      exited_well = exit.code == 0;
      if (!exited_well) {
        Fail(absl::StrCat("SIGTERM ended the server with code ", exit.code, " signal ",
                          exit.signal));
      }
    } else {
      ++totals_.kills;
      if (manner <= 2) {
        server_->Signal(SIGTERM);
        std::this_thread::sleep_for(std::chrono::microseconds(Below(60'000)));
      }
      server_->Kill();
    }
    if (SaveWasUnderWay()) ++totals_.interrupted_saves;
    return check_.EndLoad() && exited_well;
  }

  // A save that was begun and not finished leaves its temporary file.
  bool SaveWasUnderWay() const {
    std::error_code none;
    for (const auto& file :
         std::filesystem::directory_iterator(server_->data_dir() + "/views", none)) {
      if (file.path().extension() == ".tmp") return true;
    }
    return false;
  }

  bool CrashAndRecover() {
    while (Below(4) == 0) {
      server_->Launch();
      std::this_thread::sleep_for(std::chrono::microseconds(Below(150'000)));
      ++totals_.interrupted_recoveries;
      server_->Kill();
      if (SaveWasUnderWay()) ++totals_.interrupted_saves;
    }
    return Check(server_->Restart(), "the server starts again");
  }

  const Flags flags_;
  std::mt19937_64 random_;
  CrashCheck check_;
  std::unique_ptr<TestServer> server_;
  Totals totals_;
  std::string problem_;
};

bool ParseFlag(absl::string_view argument, Flags* flags) {
  const auto number = [&](absl::string_view name, int64_t* value) {
    absl::string_view rest = argument;
    return absl::ConsumePrefix(&rest, name) && absl::SimpleAtoi(rest, value) && *value > 0;
  };
  const auto text = [&](absl::string_view name, std::string* value) {
    absl::string_view rest = argument;
    if (!absl::ConsumePrefix(&rest, name) || rest.empty()) return false;
    *value = std::string(rest);
    return true;
  };
  return number("--cycles=", &flags->cycles) || number("--seed=", &flags->seed) ||
         number("--workers=", &flags->workers) || number("--max_load_ms=", &flags->max_load_ms) ||
         text("--sync_mode=", &flags->sync_mode) || text("--data_dir=", &flags->data_dir);
}

}  // namespace
}  // namespace cookix::tests

int main(int argc, char** argv) {
  cookix::tests::Flags flags;
  for (int i = 1; i < argc; ++i) {
    if (!cookix::tests::ParseFlag(argv[i], &flags)) {
      std::fprintf(stderr, "crash_loop: bad argument %s\n", argv[i]);
      return 2;
    }
  }
  return cookix::tests::CrashLoop(flags).Run() ? 0 : 1;
}
