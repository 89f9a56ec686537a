#include "tools/cli/importer.h"

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::cli {
namespace {

// Stands in for a server: keeps what is written, fails when told to.
class RecordingClient : public client::Client {
 public:
#define COOKIX_UNUSED(Service, Method)                                              \
  absl::Status Method(const v1::Method##Request&, v1::Method##Response*) override { \
    return absl::UnimplementedError(#Method);                                       \
  }
  absl::Status BatchGetObjects(const v1::BatchGetObjectsRequest& request,
                               v1::BatchGetObjectsResponse* response) override {
    for (const v1::ObjectRef& ref : request.refs()) {
      v1::ObjectResult* result = response->add_results();
      auto it = objects.find(ref.key());
      result->set_found(it != objects.end());
      if (result->found()) result->mutable_object()->set_content(it->second);
    }
    return absl::OkStatus();
  }
  // Every call but BatchGetObjects is unused.
  absl::Status Watch(const v1::WatchRequest&,
                     absl::FunctionRef<bool(v1::WatchResponse&&)>) override {
    return absl::UnimplementedError("Watch");
  }
  COOKIX_UNUSED(Object, PutObject)
  COOKIX_UNUSED(Object, BatchPutObjects)
  COOKIX_UNUSED(Object, GetObject)
  COOKIX_UNUSED(Object, PatchObject)
  COOKIX_UNUSED(Object, DeleteObject)
  COOKIX_UNUSED(Object, ScanObjects)
  COOKIX_UNUSED(Object, CountObjects)
  COOKIX_UNUSED(Object, Write)
  COOKIX_UNUSED(Graph, PutEdge)
  COOKIX_UNUSED(Graph, GetEdge)
  COOKIX_UNUSED(Graph, DeleteEdge)
  COOKIX_UNUSED(Graph, ListNeighbors)
  COOKIX_UNUSED(Graph, Traverse)
  COOKIX_UNUSED(Graph, FindPath)
  COOKIX_UNUSED(Reasoning, Query)
  COOKIX_UNUSED(Reasoning, FindContradictions)
  COOKIX_UNUSED(Reasoning, VerifyChain)
  COOKIX_UNUSED(Search, Search)
  COOKIX_UNUSED(Search, BatchSearch)
  COOKIX_UNUSED(Search, DescribeIndex)
  COOKIX_UNUSED(Query, Compile)
  COOKIX_UNUSED(Query, Execute)
  COOKIX_UNUSED(Catalog, CreateNamespace)
  COOKIX_UNUSED(Catalog, GetNamespace)
  COOKIX_UNUSED(Catalog, ListNamespaces)
  COOKIX_UNUSED(Catalog, UpdateNamespace)
  COOKIX_UNUSED(Catalog, DeleteNamespace)
  COOKIX_UNUSED(Catalog, CopyObjects)
  COOKIX_UNUSED(Catalog, CreateCollection)
  COOKIX_UNUSED(Catalog, GetCollection)
  COOKIX_UNUSED(Catalog, UpdateCollection)
  COOKIX_UNUSED(Catalog, ListCollections)
  COOKIX_UNUSED(Catalog, DeleteCollection)
  COOKIX_UNUSED(Catalog, PutRelation)
  COOKIX_UNUSED(Catalog, GetRelation)
  COOKIX_UNUSED(Catalog, ListRelations)
  COOKIX_UNUSED(Catalog, DeleteRelation)
  COOKIX_UNUSED(Security, CreateKey)
  COOKIX_UNUSED(Security, ListKeys)
  COOKIX_UNUSED(Security, RevokeKey)
  COOKIX_UNUSED(Security, RotateKey)
  COOKIX_UNUSED(Security, WhoAmI)
  COOKIX_UNUSED(Admin, GetInfo)
  COOKIX_UNUSED(Admin, GetStats)
  COOKIX_UNUSED(Admin, Compact)
  COOKIX_UNUSED(Admin, CreateCheckpoint)
  COOKIX_UNUSED(Admin, Sync)
  COOKIX_UNUSED(Admin, VerifyLog)
  COOKIX_UNUSED(Admin, RebuildView)
  COOKIX_UNUSED(Backup, CreateBackup)
  COOKIX_UNUSED(Backup, ArchiveLog)
  COOKIX_UNUSED(Backup, ListBackups)
  COOKIX_UNUSED(Backup, VerifyBackups)
  COOKIX_UNUSED(Backup, PruneBackups)
  COOKIX_UNUSED(Admin, ListQueries)
  COOKIX_UNUSED(Admin, CancelQuery)
  COOKIX_UNUSED(Admin, SetReadOnly)
  COOKIX_UNUSED(Replication, GetReplicationStatus)
  COOKIX_UNUSED(Replication, Promote)
  COOKIX_UNUSED(Replication, Follow)
#undef COOKIX_UNUSED

  absl::Status StreamObjects(const v1::StreamObjectsRequest&,
                             absl::FunctionRef<bool(v1::StreamObjectsResponse&&)>) override {
    return absl::UnimplementedError("StreamObjects");
  }

  // Acknowledges each write one call later, and fails the one numbered `fail_at`.
  class Writer : public client::BulkWriter {
   public:
    explicit Writer(RecordingClient& owner) : owner_(owner) {}
    absl::Status Write(v1::WriteRequest&& request) override {
      acknowledged_ = sent_;
      if (++owner_.writes == owner_.fail_at) return absl::UnavailableError("gone");
      owner_.Apply(request);
      ++sent_;
      return absl::OkStatus();
    }
    absl::Status Finish() override {
      if (!owner_.lose_tail) acknowledged_ = sent_;
      return absl::OkStatus();
    }
    int64_t acknowledged() const override { return acknowledged_; }

   private:
    RecordingClient& owner_;
    int64_t sent_ = 0;
    int64_t acknowledged_ = 0;
  };
  absl::StatusOr<std::unique_ptr<client::VectorWriter>> OpenVectorWriter(int) override {
    return absl::UnimplementedError("not used");
  }
  absl::StatusOr<std::unique_ptr<client::BulkWriter>> OpenBulkWriter(int) override {
    return std::make_unique<Writer>(*this);
  }

  void Apply(const v1::WriteRequest& request) {
    EXPECT_FALSE(request.options().request_id().empty());
    if (!ids.insert(request.options().request_id()).second) {
      ++replays;
      return;
    }
    for (const v1::Mutation& mutation : request.mutations()) {
      if (mutation.has_put_object()) {
        objects[mutation.put_object().object().ref().key()] =
            mutation.put_object().object().content();
        for (const v1::Edge& edge : mutation.put_object().edges()) {
          edges.insert(mutation.put_object().object().ref().key() + " " + edge.relation() + " " +
                       edge.target().key());
        }
      } else if (mutation.has_patch_object()) {
        objects[mutation.patch_object().ref().key()] = mutation.patch_object().content();
      } else {
        edges.insert(mutation.put_edge().source().key() + " " + mutation.put_edge().relation() +
                     " " + mutation.put_edge().target().key());
      }
    }
  }

  std::map<std::string, std::string> objects;
  std::set<std::string> edges;
  std::set<std::string> ids;
  int64_t replays = 0;
  int64_t writes = 0;
  int64_t fail_at = -1;
  bool lose_tail = false;
};

ImportOptions Options() {
  ImportOptions options;
  options.import_id = "test";
  options.batch_lines = 2;
  return options;
}

ImportResult Load(RecordingClient& client, const std::string& text, ImportOptions options) {
  std::istringstream in(text);
  return Import(client, in, options);
}

TEST(ImporterTest, LoadsTriples) {
  RecordingClient client;
  client.objects["b"] = "";
  client.objects["c"] = "kept";
  ImportOptions options = Options();
  options.names = {{"a", "A!"}, {"b", "B!"}, {"c", "C!"}};
  const ImportResult result = Load(client,
                                   "\xef\xbb\xbf"
                                   "a\tr\tb\r\n\nb\tr\tc\t0.5\nc\ts\ta\n",
                                   options);
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(client.edges, (std::set<std::string>{"a r b", "b r c", "c s a"}));
  EXPECT_EQ(client.objects["a"], "A!");
  EXPECT_EQ(client.objects["b"], "B!");
  EXPECT_EQ(client.objects["c"], "kept");
  EXPECT_EQ(result.objects, 1);
  EXPECT_EQ(result.edges, 3);
  EXPECT_EQ(result.lines, 4);
  EXPECT_EQ(result.next_line, 5);
}

TEST(ImporterTest, LoadsJsonLines) {
  RecordingClient client;
  const ImportResult result =
      Load(client,
           "{\"key\":\"a\",\"content\":\"x\",\"edges\":[{\"relation\":\"r\",\"target\":\"b\"}]}\n"
           "{\"source\":\"b\",\"relation\":\"s\",\"target\":\"a\",\"weight\":2}\n",
           Options());
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(client.edges, (std::set<std::string>{"a r b", "b s a"}));
  EXPECT_EQ(result.objects, 1);
  EXPECT_EQ(result.edges, 2);
}

TEST(ImporterTest, NamesTheBadLineAndKeepsTheGoodOnesBeforeIt) {
  RecordingClient client;
  const ImportResult result =
      Load(client, "a\tr\tb\nb\tr\tc\nc\tr\td\nbad line\nd\tr\te\n", Options());
  EXPECT_EQ(result.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(result.status.message()).find("line 4"), std::string::npos)
      << result.status;
  EXPECT_EQ(GetErrorDetail(result.status)->field, "line 4");
  EXPECT_EQ(result.next_line, 4);
  EXPECT_EQ(client.edges.size(), 3u);
}

TEST(ImporterTest, SkipsAsManyBadLinesAsAllowed) {
  RecordingClient client;
  ImportOptions options = Options();
  options.skip_bad = 1;
  std::vector<int64_t> skipped;
  options.skipped = [&](int64_t line, const absl::Status&) { skipped.push_back(line); };
  const ImportResult result = Load(client, "a\tr\tb\nbad\nb\tr\tc\nworse\n", options);
  EXPECT_EQ(skipped, (std::vector<int64_t>{2}));
  EXPECT_EQ(result.skipped, 1);
  EXPECT_FALSE(result.status.ok());
  EXPECT_EQ(result.next_line, 4);
}

std::string ManyTriples(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "n" + std::to_string(i) + "\tr\tn" + std::to_string(i + 1) + "\n";
  }
  return text;
}

TEST(ImporterTest, ResumesAfterAFailureWithoutLosingOrRepeating) {
  const std::string text = ManyTriples(20);
  for (int64_t fail_at = 1; fail_at <= 10; ++fail_at) {
    RecordingClient client;
    client.fail_at = fail_at;
    const ImportResult first = Load(client, text, Options());
    EXPECT_EQ(first.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_GT(first.next_line, 0);
    EXPECT_LE(first.next_line, 2 * (fail_at - 1) + 1);
    ImportOptions options = Options();
    options.resume_from = first.next_line;
    const ImportResult second = Load(client, text, options);
    ASSERT_TRUE(second.status.ok()) << second.status;
    EXPECT_EQ(client.edges.size(), 20u);
    EXPECT_EQ(client.objects.size(), 21u);
    EXPECT_EQ(second.next_line, 21);
  }
}

TEST(ImporterTest, SendingABatchAgainUsesTheSameId) {
  RecordingClient client;
  const std::string text = "{\"key\":\"a\",\"properties\":{\"x\":1,\"y\":2,\"z\":3}}\n";
  ASSERT_TRUE(Load(client, text, Options()).status.ok());
  ASSERT_TRUE(Load(client, text, Options()).status.ok());
  EXPECT_EQ(client.replays, 1);
  ImportOptions other = Options();
  other.import_id = "another";
  ASSERT_TRUE(Load(client, text, other).status.ok());
  EXPECT_EQ(client.replays, 1);
}

TEST(ImporterTest, ReportsOnlyWhatWasAcknowledged) {
  RecordingClient client;
  client.lose_tail = true;
  std::istringstream in(ManyTriples(4) + "bad\n");
  const ImportResult result = Import(client, in, Options());
  EXPECT_FALSE(result.status.ok());
  EXPECT_EQ(result.next_line, 3);
  EXPECT_EQ(result.edges, 2);
}

TEST(ImporterTest, SaysWhatIsWrongWithATriple) {
  auto message = [](std::string_view line) {
    auto triple = ParseTriple(line);
    EXPECT_FALSE(triple.ok()) << line;
    return std::string(triple.status().message());
  };
  EXPECT_EQ(message("a"), "there is 1 field between tabs");
  EXPECT_EQ(message("a\tb"), "there are 2 fields between tabs");
  EXPECT_EQ(message("a\tb\tc\t1\tx"), "there are 5 fields between tabs");
  EXPECT_EQ(message("\tr\tb"), "the head is empty");
  EXPECT_EQ(message("a\t\tb"), "the relation is empty");
  EXPECT_EQ(message("a\tr\t\xff"), "the tail is not UTF-8");
  EXPECT_EQ(message("a\x01\tr\tb"), "the head has a control character");
  EXPECT_EQ(message("a\tr\tb\t-1"), "the weight is \"-1\"");
  EXPECT_EQ(message("a\tr\tb\tnan"), "the weight is \"nan\"");
  EXPECT_EQ(message(std::string(2000, 'k') + "\tr\tb"), "the head has 2000 bytes");
}

TEST(ImporterTest, SaysWhatIsWrongWithAJsonLine) {
  for (const char* bad : {"{", "[]", "{\"key\":\"\"}", "{\"key\":\"a\",\"edges\":[{}]}",
                          "{\"source\":\"a\",\"relation\":\"r\"}",
                          "{\"source\":\"a\",\"relation\":\"r\",\"target\":\"b\",\"weight\":-1}",
                          "{\"key\":\"a\\u0001\"}"}) {
    EXPECT_FALSE(ParseJsonLine(bad, ImportOptions()).ok()) << bad;
  }
}

TEST(ImporterTest, ReadsNames) {
  std::istringstream good("a\tA one\nb\tB\r\n\n");
  auto names = ReadNames(good);
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(names->at("a"), "A one");
  EXPECT_EQ(names->at("b"), "B");
  std::istringstream bad("a\tA\nnothing\n");
  EXPECT_NE(std::string(ReadNames(bad).status().message()).find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace cookix::cli
