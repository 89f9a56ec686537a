// Commits as early versions logged them, and as nobody should have.
#include "engine/watch/commit_feed.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cookix/internal/v1/records.pb.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr NamespaceId kNamespace = 7;
constexpr CollectionId kCollection = 3;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

// A namespace "ns" with a collection "docs", or without.
Catalog CatalogOf(bool with_collection) {
  auto ns = std::make_shared<NamespaceInfo>();
  ns->id = kNamespace;
  ns->record.set_name("ns");
  if (with_collection) {
    auto docs = std::make_shared<CollectionInfo>();
    docs->id = kCollection;
    docs->record.mutable_collection()->set_name("docs");
    ns->collections["docs"] = docs;
    ns->collections_by_id[kCollection] = docs;
  }
  Catalog catalog;
  catalog.namespaces["ns"] = ns;
  catalog.namespaces_by_id[kNamespace] = ns;
  return catalog;
}

// That puts an object, without saying what anything is called.
internal::v1::ChangeRecord PutWithoutNames() {
  internal::v1::ObjectRecord record;
  record.set_collection_id(kCollection);
  record.set_key("a");
  record.set_exists(true);
  record.set_version(5);
  internal::v1::ChangeRecord change;
  internal::v1::ObjectChange& object = *change.add_events()->mutable_object();
  object.set_namespace_id(kNamespace);
  object.set_ordinal(1);
  object.set_after(record.SerializeAsString());
  return change;
}

absl::Status Translate(const std::string& change, const Catalog& catalog,
                       std::vector<v1::Change>* told) {
  v1::WatchRequest request;
  request.set_namespace_("ns");
  auto selection = WatchSelection::Compile(request, Limits());
  if (!selection.ok()) return selection.status();
  CommitFeed feed(*std::move(selection));
  storage::LogCommit commit;
  commit.commit = 5;
  commit.change = change;
  return feed.Translate(commit, catalog, [&](v1::Change&& each) {
    told->push_back(std::move(each));
    return absl::OkStatus();
  });
}

TEST(CommitFeedTest, TakesNamesThatAreMissingFromTheCatalog) {
  std::vector<v1::Change> told;
  const std::string change = PutWithoutNames().SerializeAsString();
  ASSERT_TRUE(Translate(change, CatalogOf(true), &told).ok());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].object().ref().collection(), "docs");
  EXPECT_EQ(told[0].object().kind(), v1::CHANGE_KIND_CREATED);
}

TEST(CommitFeedTest, PrefersTheNamesOfTheTime) {
  internal::v1::ChangeRecord change = PutWithoutNames();
  internal::v1::CatalogName& name = *change.add_names();
  name.set_namespace_id(kNamespace);
  name.set_collection_id(kCollection);
  name.set_name("formerly");
  std::vector<v1::Change> told;
  ASSERT_TRUE(Translate(change.SerializeAsString(), CatalogOf(true), &told).ok());
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].object().ref().collection(), "formerly");
}

TEST(CommitFeedTest, EndsRatherThanTellHalfOfWhatNobodyNames) {
  const std::string change = PutWithoutNames().SerializeAsString();
  std::vector<v1::Change> told;
  // The collection is gone; the namespace is.
  EXPECT_EQ(Reason(Translate(change, CatalogOf(false), &told)), "POSITION_EXPIRED");
  EXPECT_EQ(Reason(Translate(change, Catalog(), &told)), "POSITION_EXPIRED");
  EXPECT_TRUE(told.empty());
}

TEST(CommitFeedTest, ReportsDamage) {
  std::vector<v1::Change> told;
  EXPECT_EQ(Reason(Translate("\xff", CatalogOf(true), &told)), "CORRUPTION");
  internal::v1::ChangeRecord change = PutWithoutNames();
  change.mutable_events(0)->mutable_object()->set_after("\xff");
  EXPECT_EQ(Reason(Translate(change.SerializeAsString(), CatalogOf(true), &told)), "CORRUPTION");
  change.Clear();
  internal::v1::EdgeChange& edge = *change.add_events()->mutable_edge();
  edge.set_namespace_id(kNamespace);
  edge.set_after("x");
  EXPECT_EQ(Reason(Translate(change.SerializeAsString(), CatalogOf(true), &told)), "CORRUPTION");
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace cookix::engine
