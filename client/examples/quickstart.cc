// Puts three objects and asks how one bears on another.
#include <cstdio>

#include "client/examples/example_database.h"

using cookix::client::Check;
using cookix::client::Expect;
namespace v1 = cookix::v1;

int main() {
  auto example = cookix::client::OpenExample();
  cookix::client::Client& db = *example.client;

  auto put = [&db](const char* key, const char* content, const char* relation, const char* target) {
    v1::PutObjectRequest request;
    v1::ObjectWrite* write = request.mutable_write();
    write->mutable_object()->mutable_ref()->set_key(key);
    write->mutable_object()->set_content(content);
    if (*relation != '\0') {
      v1::Edge* edge = write->add_edges();
      edge->set_relation(relation);
      edge->mutable_target()->set_key(target);
    }
    v1::PutObjectResponse response;
    Check(db.PutObject(request, &response));
  };
  put("umbrella", "blocks rain", "prevents", "rain");
  put("rain", "falling water", "causes", "wet_coat");
  put("wet_coat", "a soaked coat", "", "");

  v1::QueryRequest question;
  question.mutable_anchor()->set_key("umbrella");
  question.mutable_target()->set_key("wet_coat");
  question.set_with_explanations(true);
  v1::QueryResponse answer;
  Check(db.Query(question, &answer));
  for (const v1::Hit& hit : answer.hits()) std::printf("%s\n", hit.explanation().c_str());

  Expect(answer.hits_size() == 1, "one path");
  Expect(answer.hits(0).hops() == 2, "two hops");
  Expect(answer.hits(0).path().steps(1).relation() == "causes", "the second step");
  return 0;
}
