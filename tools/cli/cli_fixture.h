// Whole command lines against a database in memory.
#ifndef COOKIX_TOOLS_CLI_CLI_FIXTURE_H_
#define COOKIX_TOOLS_CLI_CLI_FIXTURE_H_

#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "engine/database.h"
#include "gtest/gtest.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"

namespace cookix::cli {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    engine::DatabaseOptions options;
    options.storage.path = "cli_test";
    options.storage.in_memory = true;
    auto database = engine::Database::Open(std::move(options));
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    client_ = client::ConnectEmbedded(*database_);
  }

  Outcome Run(const std::vector<std::string>& words, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    Environment environment;
    environment.in = &in;
    environment.out = &out;
    environment.err = &err;
    environment.variable = [this](const std::string& name) -> std::optional<std::string> {
      auto it = variables_.find(name);
      return it == variables_.end() ? std::nullopt : std::make_optional(it->second);
    };
    environment.client = client_.get();
    Outcome outcome;
    outcome.code = RunCli(words, environment);
    outcome.out = out.str();
    outcome.err = err.str();
    return outcome;
  }

  std::string Ok(const std::vector<std::string>& words, const std::string& input = "") {
    const Outcome outcome = Run(words, input);
    std::string line;
    for (const std::string& word : words) line += word + " ";
    EXPECT_EQ(outcome.code, 0) << line << "\n" << outcome.err;
    return outcome.out;
  }

  Json OkJson(std::vector<std::string> words, const std::string& input = "") {
    words.push_back("--json");
    const std::string text = Ok(words, input);
    auto json = ParseJson(text);
    EXPECT_TRUE(json.ok()) << text;
    return json.ok() ? *json : Json();
  }

  std::map<std::string, std::string> variables_;
  std::unique_ptr<engine::Database> database_;
  std::unique_ptr<client::Client> client_;
};

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_CLI_FIXTURE_H_
