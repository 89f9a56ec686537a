#include "tools/bench/text_server_bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tests/support/test_server.h"
#include "tools/bench/measure.h"
#include "tools/bench/text_queries.h"
#include "tools/bench/text_truth.h"
#include "tools/bench/vector_stream.h"

namespace cookix::bench {
namespace {

constexpr size_t kBatch = 500;
constexpr size_t kHits = 10;
constexpr double kGoal = 30'000;
constexpr char kCollection[] = "texts";

absl::Status CreateCollection(client::Client& client) {
  v1::CreateCollectionRequest request;
  request.mutable_collection()->set_name(kCollection);
  request.mutable_collection()->add_text_fields()->set_name("text");
  v1::CreateCollectionResponse response;
  return client.CreateCollection(request, &response);
}

v1::WriteRequest MakeWrite(const TextCorpus& texts, size_t begin, size_t end) {
  v1::WriteRequest request;
  for (size_t row = begin; row < end; ++row) {
    v1::Object& object = *request.add_mutations()->mutable_put_object()->mutable_object();
    object.mutable_ref()->set_collection(kCollection);
    object.mutable_ref()->set_key(KeyOf(row));
    (*object.mutable_properties())["text"].set_string_value(texts.Text(row));
  }
  return request;
}

absl::Status WriteAll(client::Client& client, const TextCorpus& texts) {
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<client::BulkWriter> writer,
                          client.OpenBulkWriter());
  for (size_t begin = 0; begin < texts.size(); begin += kBatch) {
    COOKIX_RETURN_IF_ERROR(
        writer->Write(MakeWrite(texts, begin, std::min(begin + kBatch, texts.size()))));
  }
  return writer->Finish();
}

absl::Status WaitUntilIndexed(client::Client& client, size_t documents) {
  const auto begin = Clock::now();
  v1::DescribeIndexRequest request;
  request.set_collection(kCollection);
  request.set_text(true);
  while (true) {
    v1::DescribeIndexResponse index;
    COOKIX_RETURN_IF_ERROR(client.DescribeIndex(request, &index));
    // The last texts stay in the buffer, where they are found as well.
    if (index.state() == "ready" && index.vectors() == static_cast<int64_t>(documents)) {
      return absl::OkStatus();
    }
    if (SecondsSince(begin) > 3600) return absl::DeadlineExceededError("nothing was indexed");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::Status Check(client::Client& client, const TextCorpus& texts, size_t count) {
  const std::vector<WordQuery> queries = MakeQueries(texts, TextQueryKind::kAnyWords, count, 1);
  const TextTruth truth(texts, queries);
  for (const WordQuery& query : queries) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_limit(kHits);
    request.add_lanes()->mutable_text()->set_text(WordsOf(query, texts.vocabulary()));
    v1::SearchResponse response;
    COOKIX_RETURN_IF_ERROR(client.Search(request, &response));
    std::vector<RankedDocument> hits;
    for (const v1::Hit& hit : response.hits()) {
      hits.push_back({static_cast<uint32_t>(RowOf(hit)), hit.score()});
    }
    COOKIX_RETURN_IF_ERROR(TextTruth::Check(truth.SearchAll(query), kHits, hits));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTextServerBench(const std::string& data_dir, const TextCorpus& texts,
                                size_t queries, Report* report) {
  tests::TestServerOptions options;
  options.data_dir = data_dir;
  options.flags = {"--sync_mode=full"};
  COOKIX_ASSIGN_OR_RETURN(const std::unique_ptr<tests::TestServer> server,
                          tests::TestServer::Start(std::move(options)));
  const std::unique_ptr<client::Client> client = server->Connect();
  COOKIX_RETURN_IF_ERROR(CreateCollection(*client));
  const auto begin = Clock::now();
  COOKIX_RETURN_IF_ERROR(WriteAll(*client, texts));
  const double written = SecondsSince(begin);
  COOKIX_RETURN_IF_ERROR(WaitUntilIndexed(*client, texts.size()));
  const double indexed = SecondsSince(begin);
  COOKIX_RETURN_IF_ERROR(Check(*client, texts, queries));
  const auto documents = static_cast<double>(texts.size());
  report->Add("log/written", documents / written, "documents/s");
  report->Add({"log/indexed", documents / indexed, "documents/s", Goal::kAtLeast, kGoal});
  return absl::OkStatus();
}

}  // namespace cookix::bench
