// The CLI against a real server: imports that stop and go on, exit codes, JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/test_certificates.h"
#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using ::testing::HasSubstr;

class CommandLineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = TestServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
    dir_ = MakeTempDir("cli");
  }

  ProgramResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), RunfilePath("tools/cli/cookix"));
    return RunProgram(arguments, {{"COOKIX_SERVER", server_->target()}});
  }

  nlohmann::json RunJson(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    const ProgramResult result = Run(arguments);
    EXPECT_EQ(result.exit.code, 0) << result.output;
    return nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
  }

  std::string File(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
    return dir_ + "/" + name;
  }

  int64_t Edges() {
    v1::GetNamespaceResponse response;
    EXPECT_OK(server_->Connect()->GetNamespace({}, &response));
    return response.namespace_().edge_count();
  }

  std::unique_ptr<TestServer> server_;
  std::string dir_;
};

TEST_F(CommandLineTest, PutLinkAndAsk) {
  EXPECT_EQ(Run({"put", "rain", "--content", "Water"}).exit.code, 0);
  EXPECT_EQ(Run({"put", "wet street"}).exit.code, 0);
  EXPECT_EQ(Run({"link", "rain", "causes", "wet street", "--weight", "0.5"}).exit.code, 0);
  const ProgramResult answer = Run({"query", "rain"});
  EXPECT_EQ(answer.exit.code, 0) << answer.output;
  EXPECT_THAT(answer.output, HasSubstr("wet street"));
  const nlohmann::json object = RunJson({"get", "rain"});
  EXPECT_THAT(object.dump(), HasSubstr("\"content\":\"Water\""));
  const ProgramResult missing = Run({"get", "snow"});
  EXPECT_GT(missing.exit.code, 0);
  EXPECT_THAT(missing.output, HasSubstr("snow"));
}

TEST_F(CommandLineTest, VectorsAreLoadedAndSearched) {
  constexpr int kRows = 2500;
  std::string rows;
  for (int i = 0; i < kRows; ++i) {
    const int32_t dimension = 2;
    const float components[] = {static_cast<float>(i), 1};
    rows.append(reinterpret_cast<const char*>(&dimension), sizeof dimension);
    rows.append(reinterpret_cast<const char*>(components), sizeof components);
  }
  const std::string path = File("line.fvecs", rows);
  const nlohmann::json loaded =
      RunJson({"import", path, "-c", "line", "--field", "v", "--create", "--metric", "l2"});
  EXPECT_EQ(loaded["vectors"], kRows);
  EXPECT_EQ(loaded["created"], kRows);
  const nlohmann::json found = RunJson({"search", "-c", "line", "--row", path + ":1234", "--limit",
                                        "2", "--where", "$key >= \"1234\""});
  ASSERT_EQ(found["hits"].size(), 2u) << found;
  EXPECT_EQ(found["hits"][0]["key"], "1234");
  EXPECT_EQ(found["hits"][1]["key"], "1235");
  const nlohmann::json index = RunJson({"index", "show", "-c", "line"});
  EXPECT_EQ(index["field"]["metric"], "l2");
  EXPECT_EQ(index["vectors"], kRows);
  const ProgramResult wrong = Run({"search", "-c", "line", "--vector", "1,2,3", "--json"});
  EXPECT_EQ(wrong.exit.code, 2) << wrong.output;
  EXPECT_THAT(wrong.output, HasSubstr("INVALID_FIELD"));
}

TEST_F(CommandLineTest, UsageErrorsAndServersThatAreNotThere) {
  const ProgramResult usage = Run({"no-such-command"});
  EXPECT_GT(usage.exit.code, 0);
  EXPECT_THAT(usage.output, HasSubstr("no-such-command"));
  server_->Kill();
  const ProgramResult gone = Run({"info", "--timeout", "2s"});
  EXPECT_GT(gone.exit.code, 0);
  EXPECT_NE(gone.exit.code, usage.exit.code);
  EXPECT_THAT(gone.output, HasSubstr("127.0.0.1"));
}

TEST_F(CommandLineTest, ACertificateThatIsNotGoodIsNamed) {
  server::TestCertificates certificates;
  certificates.MakeAuthority("ca");
  certificates.Make("ca", "old", server::TestCertificates::Expired());
  TestServerOptions options;
  options.flags = {"--tls_cert=" + certificates.Path("old.crt"),
                   "--tls_key=" + certificates.Path("old.key")};
  const auto server = TestServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  const ProgramResult result =
      Run({"--server", (*server)->target(), "--ca", certificates.Path("ca.crt"), "info"});
  EXPECT_EQ(result.output,
            "error  cannot reach the server at " + (*server)->target() +
                ": its certificate (CN = old) expired on Jan  2 00:00:00 2020 GMT\n"
                "fix    check the certificates, and the TLS settings of both sides\n");
  EXPECT_GT(result.exit.code, 0);
}

TEST_F(CommandLineTest, AMalformedTripleNamesItsLineAndTheRestCanBeResumed) {
  std::string text;
  for (int i = 1; i <= 50; ++i) absl::StrAppend(&text, "a", i, "\tcauses\tb", i, "\n");
  const std::string bad = File("bad.txt", text + "only two\tfields\n" + text + "c\tcauses\td\n");
  const ProgramResult stopped = Run({"import", bad, "--batch", "10"});
  EXPECT_GT(stopped.exit.code, 0);
  EXPECT_THAT(stopped.output, HasSubstr("line 51"));
  EXPECT_THAT(stopped.output, HasSubstr("--resume-from"));
  EXPECT_EQ(Edges(), 50);
  // Told to leave out one bad line, or resumed behind it, it goes on.
  const ProgramResult resumed = Run({"import", bad, "--resume-from", "52"});
  EXPECT_EQ(resumed.exit.code, 0) << resumed.output;
  EXPECT_EQ(Edges(), 51);
  const ProgramResult again = Run({"import", bad, "--skip-bad", "1"});
  EXPECT_EQ(again.exit.code, 0) << again.output;
  EXPECT_EQ(Edges(), 51);
}

TEST_F(CommandLineTest, AMalformedJsonLineNamesItsLine) {
  const std::string bad =
      File("bad.jsonl", "{\"key\":\"a\"}\n{\"key\":\"b\"}\n{\"key\": oops}\n{\"key\":\"c\"}\n");
  const ProgramResult stopped = Run({"import", bad});
  EXPECT_GT(stopped.exit.code, 0);
  EXPECT_THAT(stopped.output, HasSubstr("line 3"));
  const ProgramResult skipped = Run({"import", bad, "--skip-bad", "1"});
  EXPECT_EQ(skipped.exit.code, 0) << skipped.output;
  v1::CountObjectsResponse count;
  ASSERT_OK(server_->Connect()->CountObjects({}, &count));
  EXPECT_EQ(count.count(), 3);
}

TEST_F(CommandLineTest, WhatIsExportedImportsAgain) {
  const std::string original = File(
      "original.jsonl",
      R"({"key":"rain","content":"Water","labels":["weather"],"properties":{"n":3,"x":2.0,"list":[1,"two"]},)"
      R"("edges":[{"relation":"causes","target":"wet street","weight":0.5,"properties":{"sure":true}}]})"
      "\n"
      R"({"key":"wet street"})"
      "\n");
  EXPECT_EQ(Run({"import", original}).exit.code, 0);
  const std::string first = dir_ + "/first.jsonl";
  ProgramResult result = Run({"export", "-o", first});
  ASSERT_EQ(result.exit.code, 0) << result.output;
  auto other = TestServer::Start();
  ASSERT_TRUE(other.ok()) << other.status();
  server_ = std::move(other).value();
  result = Run({"import", first});
  ASSERT_EQ(result.exit.code, 0) << result.output;
  const std::string second = dir_ + "/second.jsonl";
  ASSERT_EQ(Run({"export", "-o", second}).exit.code, 0);
  const auto lines = [](const std::string& path) {
    std::ifstream in(path);
    std::vector<std::string> keys;
    std::string line;
    while (std::getline(in, line)) {
      nlohmann::json json = nlohmann::json::parse(line);
      // Times and versions are the new store's own.
      for (const char* own : {"version", "created_ms", "updated_ms"}) json.erase(own);
      if (json.contains("edges")) {
        for (nlohmann::json& edge : json["edges"]) {
          for (const char* own : {"version", "id"}) edge.erase(own);
        }
      }
      keys.push_back(json.dump());
    }
    return keys;
  };
  EXPECT_FALSE(lines(first).empty());
  EXPECT_EQ(lines(first), lines(second));
}

TEST_F(CommandLineTest, TheSmallDemosAnswer) {
  for (const char* demo : {"umbrella", "pipe", "deps"}) {
    const ProgramResult result = Run({"demo", demo});
    EXPECT_EQ(result.exit.code, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("-->")) << demo;
    // Running it again changes nothing.
    const ProgramResult again = Run({"demo", demo});
    EXPECT_EQ(again.exit.code, 0) << again.output;
  }
}

}  // namespace
}  // namespace cookix::tests
