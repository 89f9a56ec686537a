// Objects that expire, by a clock that the test sets.
#include <string>

#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

class ExpiryTest : public testing::Test {
 protected:
  int64_t Put(const std::string& key, int64_t expires_ms, const std::string& to = "") {
    v1::WriteRequest request;
    *request.add_mutations() =
        PutObjectMutation(key, to.empty() ? std::vector<std::string>() : std::vector{"r:" + to});
    request.mutable_mutations(0)->mutable_put_object()->mutable_object()->set_expires_ms(
        expires_ms);
    v1::WriteResponse response;
    CallContext context;
    const absl::Status status = database_->objects().Write(context, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    return response.result().commit();
  }
  bool Exists(const std::string& key) {
    v1::GetObjectRequest request;
    request.mutable_ref()->set_key(key);
    v1::GetObjectResponse response;
    CallContext context;
    return database_->objects().GetObject(context, request, &response).ok();
  }
  int64_t Count() {
    v1::CountObjectsResponse response;
    CallContext context;
    EXPECT_TRUE(database_->objects().CountObjects(context, {}, &response).ok());
    return response.count();
  }

  TestDatabase database_;
};

TEST_F(ExpiryTest, ReadsNeverShowWhatIsDue) {
  const int64_t now = database_.now_ms();
  Put("soon", now + 1000, "stays");
  Put("later", now + 5000);
  Put("stays", 0, "soon");
  EXPECT_EQ(Count(), 3);
  database_.AdvanceMs(999);
  EXPECT_TRUE(Exists("soon"));
  // No background work runs here: the read itself makes sure.
  database_.AdvanceMs(1);
  EXPECT_FALSE(Exists("soon"));
  EXPECT_TRUE(Exists("later"));
  EXPECT_EQ(Count(), 2);
  // Its edges went with it, on both ends.
  v1::ListNeighborsRequest request;
  request.mutable_ref()->set_key("stays");
  request.set_direction(v1::DIRECTION_BOTH);
  v1::ListNeighborsResponse response;
  CallContext context;
  ASSERT_TRUE(database_->graph().ListNeighbors(context, request, &response).ok());
  EXPECT_EQ(response.neighbors_size(), 0);
  database_.AdvanceMs(10'000);
  EXPECT_EQ(Count(), 1);
}

TEST_F(ExpiryTest, MaintenanceDeletesManyInSteps) {
  const int64_t now = database_.now_ms();
  for (int i = 0; i < 450; ++i) Put("k" + std::to_string(i), now + 100 + i % 3);
  Put("stays", 0);
  database_.AdvanceMs(200);
  const uint64_t before = database_->Read().commit();
  auto removed = database_->RunMaintenance(10'000);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(*removed, 450);
  // Bounded commits, not one for each object.
  EXPECT_GT(database_->Read().commit(), before + 1);
  EXPECT_LT(database_->Read().commit(), before + 10);
  EXPECT_EQ(Count(), 1);
}

TEST_F(ExpiryTest, TheLastWriteDecides) {
  const int64_t now = database_.now_ms();
  Put("longer", now + 100);
  Put("longer", now + 1000);
  Put("never", now + 100);
  Put("never", 0);
  v1::PatchObjectRequest patch;
  Put("patched", 0);
  patch.mutable_patch()->mutable_ref()->set_key("patched");
  patch.mutable_patch()->set_expires_ms(now + 50);
  v1::PatchObjectResponse response;
  CallContext context;
  ASSERT_TRUE(database_->objects().PatchObject(context, patch, &response).ok());
  database_.AdvanceMs(100);
  EXPECT_TRUE(Exists("longer"));
  EXPECT_TRUE(Exists("never"));
  EXPECT_FALSE(Exists("patched"));
  database_.AdvanceMs(900);
  EXPECT_FALSE(Exists("longer"));
  EXPECT_TRUE(Exists("never"));
  // What expired can be put again and is a new object.
  Put("longer", 0);
  EXPECT_TRUE(Exists("longer"));
}

TEST_F(ExpiryTest, ATimeInThePastIsRefusedOrDueAtOnce) {
  v1::PutObjectRequest request;
  request.mutable_write()->mutable_object()->mutable_ref()->set_key("old");
  request.mutable_write()->mutable_object()->set_expires_ms(-5);
  v1::PutObjectResponse response;
  CallContext context;
  EXPECT_EQ(database_->objects().PutObject(context, request, &response).code(),
            absl::StatusCode::kInvalidArgument);
  Put("past", database_.now_ms() - 1);
  EXPECT_FALSE(Exists("past"));
}

TEST_F(ExpiryTest, APageReadsOnAtItsPosition) {
  const int64_t now = database_.now_ms();
  for (int i = 0; i < 9; ++i) Put("k" + std::to_string(i), now + 100);
  v1::ScanObjectsRequest scan;
  scan.set_page_size(4);
  v1::ScanObjectsResponse page;
  CallContext context;
  ASSERT_TRUE(database_->objects().ScanObjects(context, scan, &page).ok());
  const std::string position = page.position();
  database_.AdvanceMs(500);
  EXPECT_EQ(Count(), 0);
  // Pages are of one position: the objects were there then.
  int64_t seen = page.objects_size();
  while (!page.next_page_token().empty()) {
    scan.set_page_token(page.next_page_token());
    page.Clear();
    ASSERT_TRUE(database_->objects().ScanObjects(context, scan, &page).ok());
    EXPECT_EQ(page.position(), position);
    seen += page.objects_size();
  }
  EXPECT_EQ(seen, 9);
}

}  // namespace
}  // namespace cookix::engine
