#include "engine/test_database.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace cookix::engine {
namespace {

std::unique_ptr<Database> OpenOrDie(const DatabaseOptions& options) {
  auto database = Database::Open(options);
  if (!database.ok()) {
    std::fprintf(stderr, "opening the database: %s\n", database.status().ToString().c_str());
    std::abort();
  }
  return *std::move(database);
}

}  // namespace

TestDatabase::TestDatabase(Configure configure)
    : now_ms_(std::make_shared<std::atomic<int64_t>>(1'700'000'000'000)) {
  options_.storage.path = "test";
  options_.storage.in_memory = true;
  options_.storage.memory_budget_bytes = 64 << 20;
  options_.storage.low_disk_bytes = 0;
  options_.storage.clock_ms = [now = now_ms_] { return now->load(); };
  options_.background_work = false;
  if (configure) configure(options_);
  database_ = OpenOrDie(options_);
}

TestDatabase::~TestDatabase() = default;

void TestDatabase::Reopen() {
  database_.reset();
  database_ = OpenOrDie(options_);
}

v1::Mutation PutObjectMutation(const std::string& key, const std::vector<std::string>& edges) {
  v1::Mutation mutation;
  v1::ObjectWrite* write = mutation.mutable_put_object();
  write->mutable_object()->mutable_ref()->set_key(key);
  for (const std::string& text : edges) {
    v1::Edge* edge = write->add_edges();
    const size_t first = text.find(':');
    const size_t second = text.find(':', first + 1);
    edge->set_relation(text.substr(0, first));
    edge->mutable_target()->set_key(text.substr(first + 1, second - first - 1));
    if (second != std::string::npos) edge->set_weight(std::atof(text.c_str() + second + 1));
  }
  return mutation;
}

absl::Status PutObject(Database& database, const std::string& key,
                       const std::vector<std::string>& edges) {
  CallContext context;
  v1::WriteRequest request;
  *request.add_mutations() = PutObjectMutation(key, edges);
  v1::WriteResponse response;
  return database.objects().Write(context, request, &response);
}

}  // namespace cookix::engine
