// Bad input, over the real wire: the right code, a reason, the field at fault,
// something to do about it, and nothing changed.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <ostream>

#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using Call = std::function<absl::Status(client::Client&)>;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kMissing = absl::StatusCode::kNotFound;

struct BadInput {
  std::string name;
  absl::StatusCode code;
  std::string reason;
  std::string field;
  Call call;
};

absl::Status Put(client::Client& client, const v1::PutObjectRequest& request) {
  v1::PutObjectResponse response;
  return client.PutObject(request, &response);
}
absl::Status Link(client::Client& client, const v1::PutEdgeRequest& request) {
  v1::PutEdgeResponse response;
  return client.PutEdge(request, &response);
}
absl::Status Scan(client::Client& client, const v1::ScanObjectsRequest& request) {
  v1::ScanObjectsResponse response;
  return client.ScanObjects(request, &response);
}
absl::Status Count(client::Client& client, const v1::Filter& filter) {
  v1::CountObjectsRequest request;
  *request.mutable_filter() = filter;
  v1::CountObjectsResponse response;
  return client.CountObjects(request, &response);
}
absl::Status Query(client::Client& client, const v1::QueryRequest& request) {
  v1::QueryResponse response;
  return client.Query(request, &response);
}

Call PutKey(std::string key) {
  return [key = std::move(key)](client::Client& client) { return Put(client, PutRequest(key)); };
}
Call LinkWeight(double weight) {
  return [weight](client::Client& client) {
    return Link(client, LinkRequest("a", "causes", "b", weight));
  };
}
Call QueryWith(std::function<void(v1::QueryRequest*)> change) {
  return [change = std::move(change)](client::Client& client) {
    v1::QueryRequest request;
    *request.mutable_anchor() = Ref("a");
    change(&request);
    return Query(client, request);
  };
}
// Changes a search that works.
Call SearchWith(std::function<void(v1::SearchRequest*)> change) {
  return [change = std::move(change)](client::Client& client) {
    v1::SearchRequest request;
    request.set_collection("places");
    for (const float value : {1, 2, 3}) {
      request.mutable_vector()->mutable_vector()->add_values(value);
    }
    change(&request);
    v1::SearchResponse response;
    return client.Search(request, &response);
  };
}
Call SearchComponent(float value) {
  return SearchWith([value](v1::SearchRequest* request) {
    request->mutable_vector()->mutable_vector()->set_values(1, value);
  });
}
Call TraverseWith(std::function<void(v1::TraverseRequest*)> change) {
  return [change = std::move(change)](client::Client& client) {
    v1::TraverseRequest request;
    *request.mutable_start() = Ref("a");
    change(&request);
    v1::TraverseResponse response;
    return client.Traverse(request, &response);
  };
}
Call PropertyValue(std::function<void(v1::Value*)> change) {
  return [change = std::move(change)](client::Client& client) {
    v1::PutObjectRequest request = PutRequest("a");
    change(&(*request.mutable_write()->mutable_object()->mutable_properties())["p"]);
    return Put(client, request);
  };
}

std::vector<BadInput> Table() {
  std::vector<BadInput> table;
  const auto add = [&](std::string name, absl::StatusCode code, std::string reason,
                       std::string field, Call call) {
    table.push_back({std::move(name), code, std::move(reason), std::move(field), std::move(call)});
  };
  // Things that do not exist.
  add("UnknownNamespace", kMissing, "NAMESPACE_NOT_FOUND", "namespace", [](client::Client& c) {
    v1::PutObjectRequest request = PutRequest("a");
    request.set_namespace_("nowhere");
    return Put(c, request);
  });
  add("UnknownNamespaceOfQuery", kMissing, "NAMESPACE_NOT_FOUND", "namespace",
      QueryWith([](v1::QueryRequest* request) { request->set_namespace_("nowhere"); }));
  add("UnknownCollection", kMissing, "COLLECTION_NOT_FOUND", "write.object.ref.collection",
      [](client::Client& c) {
        v1::PutObjectRequest request = PutRequest("a");
        request.mutable_write()->mutable_object()->mutable_ref()->set_collection("nowhere");
        return Put(c, request);
      });
  add("UnknownCollectionOfScan", kMissing, "COLLECTION_NOT_FOUND", "collection",
      [](client::Client& c) {
        v1::ScanObjectsRequest request;
        request.set_collection("nowhere");
        return Scan(c, request);
      });
  add("UnknownObject", kMissing, "OBJECT_NOT_FOUND", "ref", [](client::Client& c) {
    v1::GetObjectResponse response;
    return c.GetObject(GetRequest("missing"), &response);
  });
  add("UnknownObjectOfPatch", kMissing, "OBJECT_NOT_FOUND", "patch.ref", [](client::Client& c) {
    v1::PatchObjectRequest request;
    *request.mutable_patch()->mutable_ref() = Ref("missing");
    v1::PatchObjectResponse response;
    return c.PatchObject(request, &response);
  });
  add("UnknownEdge", kMissing, "EDGE_NOT_FOUND", "", [](client::Client& c) {
    v1::GetEdgeRequest request;
    *request.mutable_source() = Ref("a");
    request.set_relation("follows");
    *request.mutable_target() = Ref("b");
    v1::GetEdgeResponse response;
    return c.GetEdge(request, &response);
  });
  add("UnknownRelationAsked", kMissing, "RELATION_NOT_FOUND", "name", [](client::Client& c) {
    v1::GetRelationRequest request;
    request.set_name("no_such_relation");
    v1::GetRelationResponse response;
    return c.GetRelation(request, &response);
  });
  add("UnknownStart", kMissing, "OBJECT_NOT_FOUND", "start",
      TraverseWith(
          [](v1::TraverseRequest* request) { *request->mutable_start() = Ref("nobody"); }));
  add("UnknownPathEnd", kMissing, "OBJECT_NOT_FOUND", "target", [](client::Client& c) {
    v1::FindPathRequest request;
    *request.mutable_source() = Ref("a");
    *request.mutable_target() = Ref("nobody");
    v1::FindPathResponse response;
    return c.FindPath(request, &response);
  });
  add("UnknownView", kMissing, "VIEW_NOT_FOUND", "name", [](client::Client& c) {
    v1::RebuildViewRequest request;
    request.set_name("nothing");
    v1::RebuildViewResponse response;
    return c.RebuildView(request, &response);
  });
  // Keys.
  add("EmptyKey", kInvalid, "INVALID_FIELD", "write.object.ref.key", PutKey(""));
  add("OversizedKey", kInvalid, "LIMIT_EXCEEDED", "write.object.ref.key",
      PutKey(std::string(1025, 'k')));
  add("ControlCharacterInKey", kInvalid, "INVALID_FIELD", "write.object.ref.key",
      PutKey(std::string("a\nb")));
  add("MissingObject", kInvalid, "INVALID_FIELD", "write.object",
      [](client::Client& c) { return Put(c, v1::PutObjectRequest()); });
  // Weights.
  add("NegativeWeight", kInvalid, "INVALID_FIELD", "edge.weight", LinkWeight(-0.5));
  add("NanWeight", kInvalid, "INVALID_FIELD", "edge.weight",
      LinkWeight(std::numeric_limits<double>::quiet_NaN()));
  add("InfiniteWeight", kInvalid, "INVALID_FIELD", "edge.weight",
      LinkWeight(std::numeric_limits<double>::infinity()));
  // Edges.
  add("EmptyRelation", kInvalid, "INVALID_FIELD", "edge.relation",
      [](client::Client& c) { return Link(c, LinkRequest("a", "", "b")); });
  add("EmptyTarget", kInvalid, "INVALID_FIELD", "edge.target.key",
      [](client::Client& c) { return Link(c, LinkRequest("a", "causes", "")); });
  add("SourceOfAnotherObject", kInvalid, "INVALID_FIELD", "write.edges[0].source",
      [](client::Client& c) {
        v1::PutObjectRequest request = PutRequest("a");
        *request.mutable_write()->add_edges() = MakeEdge("b", "causes", "c");
        return Put(c, request);
      });
  add("ValidityThatEndsBeforeItBegins", kInvalid, "INVALID_FIELD", "edge.valid_until_ms",
      [](client::Client& c) {
        v1::PutEdgeRequest request = LinkRequest("a", "causes", "b");
        request.mutable_edge()->set_valid_from_ms(2000);
        request.mutable_edge()->set_valid_until_ms(1000);
        return Link(c, request);
      });
  // Values.
  add("NanProperty", kInvalid, "INVALID_FIELD", "write.object.properties.p",
      PropertyValue([](v1::Value* value) {
        value->set_double_value(std::numeric_limits<double>::quiet_NaN());
      }));
  add("ContentTooLarge", kInvalid, "LIMIT_EXCEEDED", "write.object.content",
      [](client::Client& c) { return Put(c, PutRequest("a", std::string((1 << 20) + 1, 'x'))); });
  // Batches.
  add("DuplicateInBatch", kInvalid, "INVALID_FIELD", "writes[2].object.ref", [](client::Client& c) {
    v1::BatchPutObjectsRequest request;
    for (const char* key : {"x", "y", "x"}) *request.add_writes() = MakeObject(key);
    v1::BatchPutObjectsResponse response;
    return c.BatchPutObjects(request, &response);
  });
  add("BatchTooLarge", kInvalid, "LIMIT_EXCEEDED", "writes", [](client::Client& c) {
    v1::BatchPutObjectsRequest request;
    for (int i = 0; i <= 10'000; ++i) *request.add_writes() = MakeObject(std::to_string(i));
    v1::BatchPutObjectsResponse response;
    return c.BatchPutObjects(request, &response);
  });
  add("EmptyBatch", kInvalid, "INVALID_FIELD", "writes", [](client::Client& c) {
    v1::BatchPutObjectsResponse response;
    return c.BatchPutObjects({}, &response);
  });
  add("EmptyWrite", kInvalid, "INVALID_FIELD", "mutations", [](client::Client& c) {
    v1::WriteResponse response;
    return c.Write({}, &response);
  });
  add("MutationWithoutAction", kInvalid, "INVALID_FIELD", "mutations[1]", [](client::Client& c) {
    v1::WriteRequest request;
    *request.add_mutations()->mutable_put_object() = MakeObject("a");
    request.add_mutations();
    v1::WriteResponse response;
    return c.Write(request, &response);
  });
  add("BadWeightInsideAWrite", kInvalid, "INVALID_FIELD", "mutations[1].put_edge.weight",
      [](client::Client& c) {
        v1::WriteRequest request;
        *request.add_mutations()->mutable_put_object() = MakeObject("half");
        *request.add_mutations()->mutable_put_edge() = MakeEdge("half", "causes", "b", -1);
        v1::WriteResponse response;
        return c.Write(request, &response);
      });
  add("RequestIdTooLong", kInvalid, "LIMIT_EXCEEDED", "options.request_id", [](client::Client& c) {
    v1::PutObjectRequest request = PutRequest("a");
    request.mutable_options()->set_request_id(std::string(129, 'r'));
    return Put(c, request);
  });
  // Versions and conditions.
  add("WrongVersion", absl::StatusCode::kAborted, "CONDITION_FAILED", "write.condition.version",
      [](client::Client& c) {
        v1::PutObjectRequest request = PutRequest("a");
        request.mutable_write()->mutable_condition()->set_version(999'999);
        return Put(c, request);
      });
  add("ExistsAlready", absl::StatusCode::kAborted, "CONDITION_FAILED", "write.condition.exists",
      [](client::Client& c) {
        v1::PutObjectRequest request = PutRequest("a");
        request.mutable_write()->mutable_condition()->set_exists(false);
        return Put(c, request);
      });
  // Limits of queries.
  add("TooManyHops", kInvalid, "LIMIT_EXCEEDED", "max_hops",
      QueryWith([](v1::QueryRequest* request) { request->set_max_hops(33); }));
  add("NegativeHops", kInvalid, "INVALID_FIELD", "max_hops",
      QueryWith([](v1::QueryRequest* request) { request->set_max_hops(-1); }));
  add("TooManyAnswers", kInvalid, "LIMIT_EXCEEDED", "limit",
      QueryWith([](v1::QueryRequest* request) { request->set_limit(10'001); }));
  add("ChainTooLong", kInvalid, "LIMIT_EXCEEDED", "chain", QueryWith([](v1::QueryRequest* request) {
        for (int i = 0; i < 17; ++i) request->add_chain("causes");
      }));
  add("ChainAndRelation", kInvalid, "INVALID_FIELD", "chain",
      QueryWith([](v1::QueryRequest* request) {
        request->set_relation("causes");
        request->add_chain("causes");
      }));
  add("NoAnchor", kInvalid, "INVALID_FIELD", "anchor.key",
      QueryWith([](v1::QueryRequest* request) { request->clear_anchor(); }));
  add("UnknownMode", kInvalid, "INVALID_FIELD", "mode", QueryWith([](v1::QueryRequest* request) {
        request->set_mode(static_cast<v1::ReasoningMode>(77));
      }));
  add("TooDeep", kInvalid, "LIMIT_EXCEEDED", "max_depth",
      TraverseWith([](v1::TraverseRequest* request) { request->set_max_depth(65); }));
  add("NegativeDepth", kInvalid, "INVALID_FIELD", "max_depth",
      TraverseWith([](v1::TraverseRequest* request) { request->set_max_depth(-1); }));
  add("TooManyVisits", kInvalid, "LIMIT_EXCEEDED", "limit",
      TraverseWith([](v1::TraverseRequest* request) { request->set_limit(100'001); }));
  add("UnknownDirection", kInvalid, "INVALID_FIELD", "direction",
      TraverseWith([](v1::TraverseRequest* request) {
        request->set_direction(static_cast<v1::Direction>(9));
      }));
  add("PageTooLarge", kInvalid, "LIMIT_EXCEEDED", "page_size", [](client::Client& c) {
    v1::ScanObjectsRequest request;
    request.set_page_size(10'001);
    return Scan(c, request);
  });
  add("NegativePage", kInvalid, "INVALID_FIELD", "page_size", [](client::Client& c) {
    v1::ScanObjectsRequest request;
    request.set_page_size(-1);
    return Scan(c, request);
  });
  add("ForgedPageToken", kInvalid, "INVALID_FIELD", "page_token", [](client::Client& c) {
    v1::ScanObjectsRequest request;
    request.set_page_token("made up");
    return Scan(c, request);
  });
  // Searches.
  add("UnknownCollectionOfSearch", kMissing, "COLLECTION_NOT_FOUND", "collection",
      SearchWith([](v1::SearchRequest* request) { request->set_collection("nowhere"); }));
  add("UnknownVectorField", kMissing, "FIELD_NOT_FOUND", "vector.field",
      SearchWith([](v1::SearchRequest* request) { request->mutable_vector()->set_field("no"); }));
  add("NothingToSearchFor", kInvalid, "INVALID_FIELD", "vector",
      SearchWith([](v1::SearchRequest* request) { request->clear_vector(); }));
  add("WrongDimension", kInvalid, "INVALID_FIELD", "vector.vector",
      SearchWith([](v1::SearchRequest* request) {
        request->mutable_vector()->mutable_vector()->add_values(4);
      }));
  add("WrongKindOfVector", kInvalid, "INVALID_FIELD", "vector.vector",
      SearchWith([](v1::SearchRequest* request) {
        request->mutable_vector()->mutable_vector()->clear_values();
        request->mutable_vector()->mutable_vector()->set_bits("abc");
      }));
  add("NanComponent", kInvalid, "INVALID_FIELD", "vector.vector",
      SearchComponent(std::numeric_limits<float>::quiet_NaN()));
  add("InfiniteComponent", kInvalid, "INVALID_FIELD", "vector.vector",
      SearchComponent(std::numeric_limits<float>::infinity()));
  add("ZeroVectorUnderCosine", kInvalid, "INVALID_FIELD", "vector.vector",
      SearchWith([](v1::SearchRequest* request) {
        for (int i = 0; i < 3; ++i) request->mutable_vector()->mutable_vector()->set_values(i, 0);
      }));
  add("UnknownKeyOfSearch", kMissing, "OBJECT_NOT_FOUND", "vector.key",
      SearchWith([](v1::SearchRequest* request) { request->mutable_vector()->set_key("nobody"); }));
  add("TooManyHits", kInvalid, "LIMIT_EXCEEDED", "limit",
      SearchWith([](v1::SearchRequest* request) { request->set_limit(10'001); }));
  add("EfTooLarge", kInvalid, "LIMIT_EXCEEDED", "vector.ef",
      SearchWith([](v1::SearchRequest* request) { request->mutable_vector()->set_ef(10'001); }));
  add("GroupTooLarge", kInvalid, "LIMIT_EXCEEDED", "group_limit",
      SearchWith([](v1::SearchRequest* request) {
        request->set_group_by("p");
        request->set_group_limit(101);
      }));
  add("NanScore", kInvalid, "INVALID_FIELD", "min_score",
      SearchWith([](v1::SearchRequest* request) {
        request->set_min_score(std::numeric_limits<double>::quiet_NaN());
      }));
  add("BadFilterOfSearch", kInvalid, "INVALID_FIELD", "filter.comparison.op",
      SearchWith([](v1::SearchRequest* request) {
        *request->mutable_filter() = Equals("p", "x");
        request->mutable_filter()->mutable_comparison()->clear_op();
      }));
  add("BatchOfTooManySearches", kInvalid, "LIMIT_EXCEEDED", "searches", [](client::Client& c) {
    v1::BatchSearchRequest request;
    for (int i = 0; i < 1001; ++i) request.add_searches()->mutable_vector()->set_key("a");
    v1::BatchSearchResponse response;
    return c.BatchSearch(request, &response);
  });
  add("EmptyBatchOfSearches", kInvalid, "INVALID_FIELD", "searches", [](client::Client& c) {
    v1::BatchSearchResponse response;
    return c.BatchSearch({}, &response);
  });
  add("DescriptionOfNoField", kMissing, "FIELD_NOT_FOUND", "field", [](client::Client& c) {
    v1::DescribeIndexRequest request;
    request.set_collection("places");
    request.set_field("no");
    v1::DescribeIndexResponse response;
    return c.DescribeIndex(request, &response);
  });
  add("AnchorAndAnchorSearch", kInvalid, "INVALID_FIELD", "anchor_search",
      QueryWith([](v1::QueryRequest* request) {
        request->mutable_anchor_search()->mutable_vector()->set_key("a");
      }));
  add("TooManyAnchors", kInvalid, "LIMIT_EXCEEDED", "anchor_search.limit",
      QueryWith([](v1::QueryRequest* request) {
        request->clear_anchor();
        request->mutable_anchor_search()->mutable_vector()->set_key("a");
        request->mutable_anchor_search()->set_limit(101);
      }));
  // Filters.
  add("UnknownOperator", kInvalid, "INVALID_FIELD", "filter.comparison.op", [](client::Client& c) {
    v1::Filter filter = Equals("p", "x");
    filter.mutable_comparison()->clear_op();
    return Count(c, filter);
  });
  add("FilterWithoutField", kInvalid, "INVALID_FIELD", "filter.comparison.field",
      [](client::Client& c) { return Count(c, Equals("", "x")); });
  add("UnknownSystemField", kInvalid, "INVALID_FIELD", "filter.comparison.field",
      [](client::Client& c) { return Count(c, Equals("$nonsense", "x")); });
  add("FilterTooDeep", kInvalid, "LIMIT_EXCEEDED", "", [](client::Client& c) {
    v1::Filter filter = Equals("p", "x");
    for (int i = 0; i < 70; ++i) {
      v1::Filter outer;
      *outer.mutable_negation() = filter;
      filter = outer;
    }
    return Count(c, filter);
  });
  // The catalog.
  add("BadNamespaceName", kInvalid, "INVALID_FIELD", "namespace.name", [](client::Client& c) {
    v1::CreateNamespaceRequest request;
    request.mutable_namespace_()->set_name("Has Spaces");
    v1::CreateNamespaceResponse response;
    return c.CreateNamespace(request, &response);
  });
  add("NamespaceExists", absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS", "namespace.name",
      [](client::Client& c) {
        v1::CreateNamespaceRequest request;
        request.mutable_namespace_()->set_name("default");
        v1::CreateNamespaceResponse response;
        return c.CreateNamespace(request, &response);
      });
  add("DeleteDefaultNamespace", absl::StatusCode::kFailedPrecondition, "BUILT_IN", "namespace",
      [](client::Client& c) {
        v1::DeleteNamespaceRequest request;
        request.set_namespace_("default");
        request.set_force(true);
        v1::DeleteNamespaceResponse response;
        return c.DeleteNamespace(request, &response);
      });
  add("SymmetricRelationWithInverse", kInvalid, "INVALID_FIELD", "relation.inverse",
      [](client::Client& c) {
        v1::PutRelationRequest request;
        request.mutable_relation()->set_name("odd");
        request.mutable_relation()->set_symmetric(true);
        request.mutable_relation()->set_inverse("even");
        v1::PutRelationResponse response;
        return c.PutRelation(request, &response);
      });
  add("CheckpointNameWithSlash", kInvalid, "INVALID_FIELD", "name", [](client::Client& c) {
    v1::CreateCheckpointRequest request;
    request.set_name("../outside");
    v1::CreateCheckpointResponse response;
    return c.CreateCheckpoint(request, &response);
  });
  return table;
}

// What failures are called by.
void PrintTo(const BadInput& input, std::ostream* out) { *out << input.name; }

class BadInputTest : public ::testing::TestWithParam<BadInput> {
 protected:
  static void SetUpTestSuite() {
    auto server = TestServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
    const auto client = server_->Connect();
    v1::CreateCollectionRequest create;
    create.mutable_collection()->set_name("places");
    create.mutable_collection()->add_vector_fields()->set_name("at");
    create.mutable_collection()->mutable_vector_fields(0)->set_dimension(3);
    v1::CreateCollectionResponse created;
    ASSERT_OK(client->CreateCollection(create, &created));
    ASSERT_OK(Put(*client, PutRequest("a", "as it was")));
    ASSERT_OK(Link(*client, LinkRequest("a", "depends_on", "b")));
  }
  static void TearDownTestSuite() { server_.reset(); }

  static int64_t LastCommit(client::Client& client) {
    v1::GetInfoResponse info;
    EXPECT_OK(client.GetInfo({}, &info));
    return info.commit();
  }

  static std::unique_ptr<TestServer> server_;
};

std::unique_ptr<TestServer> BadInputTest::server_;

TEST_P(BadInputTest, IsRefusedAndChangesNothing) {
  ASSERT_NE(server_, nullptr);
  const auto client = server_->Connect();
  const int64_t before = LastCommit(*client);
  const BadInput& input = GetParam();
  const absl::Status status = input.call(*client);
  if (input.field.empty()) {
    EXPECT_TRUE(HasReason(status, input.code, input.reason));
  } else {
    EXPECT_TRUE(HasField(status, input.code, input.reason, input.field));
  }
  EXPECT_EQ(LastCommit(*client), before);
}

INSTANTIATE_TEST_SUITE_P(EveryItem, BadInputTest, ::testing::ValuesIn(Table()),
                         [](const auto& item) { return item.param.name; });

// Protobuf's own parser refuses text that is not UTF-8, on either side of the
// wire, so such a key never reaches a handler; it must not harm the server.
TEST_F(BadInputTest, KeyThatIsNotUtf8) {
  ASSERT_NE(server_, nullptr);
  const auto client = server_->Connect();
  const int64_t before = LastCommit(*client);
  EXPECT_FALSE(Put(*client, PutRequest("\xff\xfe")).ok());
  EXPECT_EQ(LastCommit(*client), before);
}

TEST_F(BadInputTest, BodyTooLarge) {
  ASSERT_NE(server_, nullptr);
  const auto client = server_->Connect();
  v1::BatchPutObjectsRequest request;
  for (int i = 0; i < 200; ++i) {
    *request.add_writes() = MakeObject(std::to_string(i), std::string(1 << 20, 'x'));
  }
  v1::BatchPutObjectsResponse response;
  const absl::Status status = client->BatchPutObjects(request, &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  v1::GetInfoResponse info;
  EXPECT_OK(client->GetInfo({}, &info));
}

}  // namespace
}  // namespace cookix::tests
