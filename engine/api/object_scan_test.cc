// Scans against a model: ranges, filters that match few and many, pages, both ways.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "engine/test_database.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

struct Case {
  int64_t names_bytes;
  bool field_index;
};

class ObjectScanTest : public testing::TestWithParam<Case> {};

TEST_P(ObjectScanTest, ScansAsTheModel) {
  TestDatabase database([](DatabaseOptions& options) {
    options.names_bytes = GetParam().names_bytes;
    options.field_index = GetParam().field_index;
  });
  CallContext context;
  v1::CreateCollectionRequest create;
  create.mutable_collection()->set_name("other");
  v1::CreateCollectionResponse created;
  ASSERT_TRUE(database->catalog().CreateCollection(context, create, &created).ok());

  // Of each collection: key and rank.
  std::map<std::string, std::map<std::string, int>> model;
  std::mt19937_64 random(11);
  for (int i = 0; i < 400; ++i) {
    v1::WriteRequest request;
    v1::ObjectWrite* write = request.add_mutations()->mutable_put_object();
    const std::string collection = random() % 3 == 0 ? "other" : "default";
    const std::string key =
        std::string(1, static_cast<char>('a' + random() % 3)) + std::to_string(random() % 300);
    const int rank = static_cast<int>(random() % 100);
    write->mutable_object()->mutable_ref()->set_key(key);
    if (collection == "other") write->mutable_object()->mutable_ref()->set_collection(collection);
    (*write->mutable_object()->mutable_properties())["rank"].set_int_value(rank);
    // A dangling target is in no scan.
    v1::Edge* edge = write->add_edges();
    edge->set_relation("likes");
    edge->mutable_target()->set_key("a-dangling-" + std::to_string(i));
    v1::WriteResponse response;
    ASSERT_TRUE(database->objects().Write(context, request, &response).ok());
    model[collection][key] = rank;
    if (random() % 6 == 0) {
      v1::DeleteObjectRequest remove;
      *remove.mutable_delete_()->mutable_ref() = write->object().ref();
      v1::DeleteObjectResponse removed;
      ASSERT_TRUE(database->objects().DeleteObject(context, remove, &removed).ok());
      model[collection].erase(key);
    }
  }

  for (int round = 0; round < 200; ++round) {
    v1::ScanObjectsRequest request;
    const std::string collection = random() % 2 == 0 ? "other" : "default";
    request.set_collection(collection);
    if (random() % 2 == 0) {
      request.set_key_prefix(std::string(1, static_cast<char>('a' + random() % 4)));
    }
    if (random() % 3 == 0) request.set_start_key("b" + std::to_string(random() % 300));
    if (random() % 3 == 0) request.set_end_key("b" + std::to_string(random() % 300));
    request.set_reverse(random() % 2 == 0);
    request.set_page_size(1 + static_cast<int>(random() % 40));
    const int below = static_cast<int>(random() % 4 == 0 ? random() % 4 : random() % 120);
    const bool filtered = random() % 4 != 0;
    if (filtered) {
      v1::Comparison* comparison = request.mutable_filter()->mutable_comparison();
      comparison->set_field("rank");
      comparison->set_op(v1::COMPARISON_OPERATOR_LESS);
      comparison->mutable_value()->set_int_value(below);
    }
    std::vector<std::string> expected;
    for (const auto& [key, rank] : model[collection]) {
      if (key.substr(0, request.key_prefix().size()) != request.key_prefix()) continue;
      if (key < request.start_key()) continue;
      if (!request.end_key().empty() && key >= request.end_key()) continue;
      if (filtered && rank >= below) continue;
      expected.push_back(key);
    }
    if (request.reverse()) std::reverse(expected.begin(), expected.end());

    std::vector<std::string> got;
    while (true) {
      v1::ScanObjectsResponse response;
      const absl::Status status = database->objects().ScanObjects(context, request, &response);
      ASSERT_TRUE(status.ok()) << status;
      for (const v1::Object& object : response.objects()) got.push_back(object.ref().key());
      if (response.next_page_token().empty()) break;
      ASSERT_EQ(response.objects_size(), request.page_size());
      request.set_page_token(response.next_page_token());
    }
    ASSERT_EQ(got, expected) << request.DebugString();
  }
}

INSTANTIATE_TEST_SUITE_P(All, ObjectScanTest,
                         testing::Values(Case{1 << 20, true}, Case{0, true}, Case{1 << 20, false},
                                         Case{3000, false}));

}  // namespace
}  // namespace cookix::engine
