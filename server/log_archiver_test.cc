#include "server/log_archiver.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "engine/call_context.h"
#include "gtest/gtest.h"
#include "server/database_slot.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/query_registry.h"

namespace cookix::server {
namespace {

TEST(LogArchiverTest, WithoutAStoreNothingWasArchived) {
  DatabaseSlot databases;
  QueryRegistry queries;
  Metrics metrics;
  auto log = Log::Open(LogLevel::kError, "");
  ASSERT_TRUE(log.ok()) << log.status();
  {
    LogArchiver archiver(std::chrono::milliseconds(1), databases, queries, metrics, **log);
    // Each of its attempts is listed, and so are these.
    int64_t mine = 0;
    for (int64_t newest = 0; newest < mine + 3; ++mine) {
      engine::CallContext context;
      const QueryRegistry::Entry entry(queries, "test", "", context);
      newest = entry.id();
      std::this_thread::yield();
    }
  }
  const std::string text = metrics.Text();
  for (const char* none :
       {"cookix_archive_last_success_timestamp_seconds 0\n", "cookix_archive_failures_total 0\n"}) {
    EXPECT_NE(text.find(none), std::string::npos) << none;
  }
}

}  // namespace
}  // namespace cookix::server
