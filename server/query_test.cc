// Queries and plans over the wire.
#include <string>
#include <vector>

#include "server/server_fixture.h"

namespace cookix::server {
namespace {

class QueryTest : public ServerFixture {
 protected:
  void SetUp() override {
    Start(TestConfig());
    for (int i = 0; i < 5; ++i) {
      v1::PutObjectRequest put;
      v1::ObjectWrite* write = put.mutable_write();
      write->mutable_object()->mutable_ref()->set_key("p" + std::to_string(i));
      (*write->mutable_object()->mutable_properties())["rank"].set_int_value(5 - i);
      v1::Edge* edge = write->add_edges();
      edge->set_relation("causes");
      edge->mutable_target()->set_key("effect");
      v1::PutObjectResponse done;
      ASSERT_TRUE(Stub<v1::ObjectService>()->PutObject(Context().get(), put, &done).ok());
    }
  }
};

TEST_F(QueryTest, CompilesAndExecutes) {
  v1::CompileRequest compile;
  compile.mutable_query()->set_search_text("SEARCH default WHERE rank > 2 ORDER BY rank LIMIT 2");
  v1::CompileResponse compiled;
  ASSERT_TRUE(Stub<v1::QueryService>()->Compile(Context().get(), compile, &compiled).ok());
  ASSERT_EQ(compiled.plan().steps_size(), 3);
  for (const bool as_plan : {false, true}) {
    v1::ExecuteRequest execute;
    if (as_plan) {
      *execute.mutable_plan() = compiled.plan();
    } else {
      *execute.mutable_query() = compile.query();
    }
    execute.set_explain(true);
    v1::ExecuteResponse answer;
    ASSERT_TRUE(Stub<v1::QueryService>()->Execute(Context().get(), execute, &answer).ok());
    ASSERT_EQ(answer.hits_size(), 2);
    EXPECT_EQ(answer.hits(0).ref().key(), "p2");
    EXPECT_EQ(answer.hits(1).ref().key(), "p1");
    EXPECT_FALSE(answer.position().empty());
    ASSERT_EQ(answer.stages_size(), 3);
    EXPECT_EQ(answer.stages(0).output(), 3);
    EXPECT_EQ(answer.plan().SerializeAsString(), compiled.plan().SerializeAsString());
  }
}

TEST_F(QueryTest, ErrorsSayWhere) {
  v1::ExecuteRequest execute;
  execute.mutable_query()->set_bring_text("bring default {\n  limit = many\n}");
  v1::ExecuteResponse answer;
  const grpc::Status status = Stub<v1::QueryService>()->Execute(Context().get(), execute, &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("line 2, column 11 (byte 26)"), std::string::npos)
      << status.error_message();
}

}  // namespace
}  // namespace cookix::server
