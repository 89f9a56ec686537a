// Whole command lines against a database in memory.
#include "tools/cli/cli_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"

namespace cookix::cli {
namespace {

TEST_F(CliTest, PutsAndGets) {
  Ok({"put", "pump", "--content", "moves water", "--prop", "size=12", "-p", "rated=true", "-p",
      "ratio=0.5", "-p", "tags=[\"a\",1]", "-l", "part", "--edge", "feeds:tank:0.5"});
  const Json object = OkJson({"get", "pump"});
  EXPECT_EQ(object["key"], "pump");
  EXPECT_EQ(object["content"], "moves water");
  EXPECT_EQ(Dump(object["properties"]), R"({"rated":true,"ratio":0.5,"size":12,"tags":["a",1]})");
  EXPECT_EQ(Dump(object["labels"]), "[\"part\"]");
  const Json edge = OkJson({"edge", "pump", "feeds", "tank"});
  EXPECT_EQ(edge["weight"], 0.5);
  EXPECT_TRUE(Contains(Ok({"get", "pump"}), "moves water"));
}

TEST_F(CliTest, ReadsObjectsAsJson) {
  Ok({"put", "-"}, R"({"key":"a","content":"x","edges":[{"relation":"r","target":"b"}]})");
  EXPECT_EQ(OkJson({"get", "a"})["content"], "x");
  EXPECT_EQ(Run({"put", "-"}, "{\"key\":").code, kExitUsage);
}

TEST_F(CliTest, ExitCodesSayWhatHappened) {
  EXPECT_EQ(Run({"get", "missing"}).code, kExitNotFound);
  EXPECT_EQ(Run({"get", "a", "-n", "no_such"}).code, kExitNotFound);
  EXPECT_EQ(Run({"frobnicate"}).code, kExitUsage);
  EXPECT_EQ(Run({"get"}).code, kExitUsage);
  EXPECT_EQ(Run({"put", "a", "--weigth", "1"}).code, kExitUsage);
  Ok({"put", "a", "--if-absent"});
  EXPECT_EQ(Run({"put", "a", "--if-absent"}).code, kExitCondition);
  EXPECT_EQ(Run({"put", "a", "--if-version", "999999"}).code, kExitCondition);
  EXPECT_EQ(Run({"link", "a", "r", "b", "--weight", "-1"}).code, kExitUsage);
  Ok({"namespaces", "create", "n1"});
  EXPECT_EQ(Run({"namespaces", "create", "n1"}).code, kExitCondition);
}

TEST_F(CliTest, ErrorsNameFieldAndRemedy) {
  const Outcome human = Run({"put", "a", "--contnt", "x"});
  EXPECT_TRUE(Contains(human.err, "unknown flag --contnt")) << human.err;
  EXPECT_TRUE(Contains(human.err, "did you mean --content?")) << human.err;
  const Outcome machine = Run({"get", "missing", "--json"});
  auto json = ParseJson(machine.err);
  ASSERT_TRUE(json.ok()) << machine.err;
  EXPECT_EQ((*json)["error"]["code"], "not_found");
  EXPECT_EQ((*json)["error"]["reason"], "OBJECT_NOT_FOUND");
  EXPECT_EQ((*json)["error"]["exit_code"], 3);
  EXPECT_EQ(machine.out, "");
  EXPECT_TRUE(Contains(Run({"keys", "creat"}).err, "use one of: create, list"));
  EXPECT_TRUE(Contains(Run({"qurey"}).err, "did you mean \"query\"?"));
}

TEST_F(CliTest, AnswersWithPaths) {
  Ok({"put", "umbrella", "--content", "blocks rain", "--edge", "prevents:rain"});
  Ok({"put", "rain", "--edge", "causes:wet_coat"});
  Ok({"put", "wet_coat"});
  const Json answer = OkJson({"query", "umbrella", "wet_coat"});
  ASSERT_EQ(answer["hits"].size(), 1u);
  EXPECT_EQ(answer["hits"][0]["hops"], 2);
  EXPECT_EQ(answer["hits"][0]["path"]["steps"][0]["relation"], "prevents");
  EXPECT_TRUE(Contains(Ok({"query", "umbrella", "wet_coat"}),
                       "umbrella --[prevents]--> rain --[causes]--> wet_coat"));
  EXPECT_EQ(Ok({"path", "umbrella", "wet_coat"}),
            "umbrella\n"
            "└─ prevents ▸ rain\n"
            "   └─ causes ▸ wet_coat\n");
  EXPECT_TRUE(Contains(Ok({"traverse", "umbrella", "--dfs"}), "└─ causes ▸ wet_coat"));
  EXPECT_TRUE(Contains(Ok({"neighbors", "rain", "--direction", "in"}), "umbrella"));
  EXPECT_EQ(Run({"verify", "umbrella", "prevents", "rain", "causes", "wet_coat"}).code, 0);
  EXPECT_EQ(Run({"verify", "umbrella", "causes", "rain"}).code, kExitFailure);
  EXPECT_EQ(Run({"verify", "umbrella", "prevents"}).code, kExitUsage);
}

TEST_F(CliTest, FiltersAndPages) {
  for (int i = 0; i < 30; ++i) {
    const std::string n = std::to_string(i);
    Ok({"put", (i < 10 ? "k0" : "k") + n, "--prop", "n=" + n, "--prop",
        std::string("kind=") + (i % 2 == 0 ? "even" : "odd")});
  }
  EXPECT_EQ(Ok({"count"}), "30\n");
  EXPECT_EQ(Ok({"count", "--where", "n >= 10 AND kind = even"}), "10\n");
  EXPECT_EQ(Ok({"count", "--where", "NOT (n IN (1, 2, 3)) AND $key ^= k0"}), "7\n");
  const std::string lines = Ok({"scan", "--limit", "7", "--json"});
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 7);
  EXPECT_TRUE(Contains(Run({"scan"}).err, "first 20"));
  const Outcome bad = Run({"scan", "--where", "n >"});
  EXPECT_EQ(bad.code, kExitUsage);
  EXPECT_TRUE(Contains(bad.err, "column 4")) << bad.err;
}

TEST_F(CliTest, CulinaryNamesWork) {
  Ok({"bake", "a", "--content", "x"});
  Ok({"re_glaze", "a", "--content", "y"});
  EXPECT_TRUE(Contains(Ok({"lick"}), "y"));
  Ok({"nibble", "a"});
  Ok({"crumble", "a"});
  Ok({"cool_down"});
  EXPECT_EQ(Run({"get", "a"}).code, kExitNotFound);
}

TEST_F(CliTest, ExportImportsAgain) {
  Ok({"put", "a", "--content", "x\ty\n\"z\"", "--prop", "n=1", "--prop", "f=2.0", "-l", "l",
      "--edge", "r:b:0.25", "--edge", "r:ghost"});
  Ok({"put", "b", "--content", "日本"});
  Ok({"collections", "create", "parts"});
  Ok({"put", "p", "-c", "parts", "--edge", "s:q"});
  const std::string exported = Ok({"export"});
  Ok({"namespaces", "create", "copy"});
  Ok({"collections", "create", "parts", "-n", "copy"});
  Ok({"import", "-", "-n", "copy", "--quiet"}, exported);
  // Versions and times are the copy's own.
  auto stripped = [](const std::string& text) {
    std::string result;
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line)) {
      Json json = *ParseJson(line);
      for (const char* name : {"version", "created_ms", "updated_ms"}) json.erase(name);
      result += Dump(json) + "\n";
    }
    return result;
  };
  EXPECT_EQ(stripped(Ok({"export", "-n", "copy"})), stripped(exported));
  EXPECT_TRUE(Contains(Ok({"export", "--format", "triples"}), "a\tr\tb\t0.25\n"));
}

TEST_F(CliTest, ImportsTriplesWithNames) {
  const std::string names = testing::TempDir() + "/names.txt";
  std::ofstream(names) << "a\tThe A\nb\tThe B\n";
  Ok({"put", "b", "--content", "mine"});
  const Json result =
      OkJson({"import", "-", "--names", names, "-l", "entity"}, "a\tr\tb\nb\tr\tc\n");
  EXPECT_EQ(result["objects"], 2);
  EXPECT_EQ(result["edges"], 2);
  EXPECT_EQ(OkJson({"get", "a"})["content"], "The A");
  EXPECT_EQ(OkJson({"get", "b"})["content"], "mine");
  const Outcome bad = Run({"import", "-"}, "x\tr\ty\nbroken\n");
  EXPECT_EQ(bad.code, kExitUsage);
  EXPECT_TRUE(Contains(bad.err, "line 2")) << bad.err;
  EXPECT_TRUE(Contains(bad.err, "--resume-from 2")) << bad.err;
  EXPECT_EQ(Run({"get", "x"}).code, 0);
}

TEST_F(CliTest, ManagesTheCatalog) {
  Ok({"namespaces", "create", "team", "--label", "owner=search"});
  Ok({"namespaces", "labels", "team", "tier=gold", "--remove", "owner"});
  EXPECT_TRUE(Contains(Ok({"namespaces", "labels", "team"}), "gold"));
  EXPECT_TRUE(Contains(Ok({"namespaces"}), "team"));
  Ok({"relations", "put", "feeds", "--inverse", "fed_by", "-n", "team"});
  EXPECT_TRUE(Contains(Ok({"relations", "list", "-n", "team"}), "fed_by"));
  Ok({"put", "a", "--edge", "feeds:b", "-n", "team"});
  EXPECT_TRUE(Contains(Ok({"query", "b", "--relation", "fed_by", "-n", "team"}), "a"));
  variables_["COOKIX_NAMESPACE"] = "team";
  EXPECT_EQ(Ok({"count"}), "1\n");
  variables_.clear();
  EXPECT_EQ(Run({"namespaces", "delete", "team"}).code, kExitFailure);
  Ok({"namespaces", "delete", "team", "--force"});
  EXPECT_EQ(Run({"count", "-n", "team"}).code, kExitNotFound);
}

TEST_F(CliTest, ManagesKeys) {
  const Json created = OkJson({"keys", "create", "ops", "--grant", "*:admin"});
  const std::string id = created["key"]["id"];
  EXPECT_FALSE(created["secret"].get<std::string>().empty());
  OkJson({"keys", "create", "second", "--grant", "*:admin"});
  EXPECT_TRUE(Contains(Ok({"keys"}), "ops"));
  EXPECT_FALSE(Contains(Ok({"keys"}), created["secret"].get<std::string>()));
  EXPECT_NE(OkJson({"keys", "rotate", id})["secret"], created["secret"]);
  Ok({"keys", "revoke", id});
  EXPECT_EQ(Run({"keys", "create", "x", "--grant", "default:owner"}).code, kExitUsage);
}

TEST_F(CliTest, ShowsTheStore) {
  EXPECT_TRUE(Contains(Ok({"info"}), "CookiX"));
  EXPECT_TRUE(Contains(Ok({"info", "--limits"}), "LIMIT"));
  EXPECT_TRUE(Contains(Ok({"stats"}), "objects"));
  EXPECT_TRUE(OkJson({"stats"}).contains("families"));
  Ok({"sync"});
  Ok({"views", "list"});
}

TEST_F(CliTest, SmallDemosAnswer) {
  const std::string umbrella = Ok({"demo", "umbrella"});
  EXPECT_TRUE(Contains(umbrella, "umbrella --[prevents]--> rain --[causes]--> wet_coat"))
      << umbrella;
  EXPECT_TRUE(Contains(umbrella, "showers_at_noon")) << umbrella;
  const std::string pipe = Ok({"demo", "pipe"});
  EXPECT_TRUE(Contains(pipe, "pipe_a --[compatible_with]--> adapter_c")) << pipe;
  EXPECT_TRUE(Contains(pipe, "the graph supports the chain")) << pipe;
  const std::string deps = Ok({"demo", "deps"});
  EXPECT_TRUE(Contains(deps, "openssl")) << deps;
  for (const char* name : {"umbrella", "pipe", "deps"}) {
    const Json again = OkJson({"demo", name});
    EXPECT_GE(again["questions"].size(), 3u);
    for (const Json& question : again["questions"]) {
      const bool answered = (question.contains("hits") && !question["hits"].empty()) ||
                            question.contains("verdict") || question.contains("paths");
      EXPECT_TRUE(answered) << Dump(question);
    }
  }
}

TEST_F(CliTest, PackageDemoReadsAnIndex) {
  const std::string path = testing::TempDir() + "/Packages";
  std::ofstream(path) << "Package: app\nVersion: 1\nDepends: lib (>= 1), tool | other\n"
                         "Section: utils\nInstalled-Size: 20000\nConflicts: mta\n"
                         "Description: an application\n\n"
                         "Package: lib\nVersion: 2\nPre-Depends: base\nSection: libs\n\n"
                         "Package: base\nVersion: 3\nSection: libs\nBreaks: app (<< 0.5)\n\n"
                         "Package: tool\nVersion: 1\nDepends: mta\nSection: utils\n\n"
                         "Package: mailer\nVersion: 1\nProvides: mta\nSection: mail\n\n";
  const std::string text = Ok({"demo", "packages", "--source", path});
  EXPECT_TRUE(Contains(text, "5 packages and 1 virtual package with")) << text;
  EXPECT_TRUE(Contains(text, "Why does app need")) << text;
  EXPECT_TRUE(Contains(text, "What conflicts with app, and why?")) << text;
  EXPECT_TRUE(Contains(text, "app --[conflicts]--> mta --[provided_by]--> mailer")) << text;
  const Json again = OkJson({"demo", "packages", "--source", path});
  EXPECT_EQ(again["loaded"], false);
  const Json reloaded = OkJson({"demo", "packages", "--source", path, "--reload"});
  EXPECT_EQ(reloaded["loaded"], true);
  EXPECT_EQ(OkJson({"count", "-n", "packages"})["count"], 6);
  Ok({"namespaces", "create", "mine"});
  EXPECT_EQ(Run({"demo", "packages", "--source", path, "-n", "mine"}).code, kExitFailure);
}

TEST_F(CliTest, HelpCoversEveryCommand) {
  const std::string overview = Ok({"help"});
  for (const CommandGroup& group : AllCommands()) {
    for (const Command& command : group.commands) {
      EXPECT_TRUE(Contains(overview, command.name)) << command.name;
      EXPECT_FALSE(command.summary.empty()) << command.name;
      EXPECT_FALSE(command.examples.empty()) << command.name;
      std::vector<std::string> words = {"help"};
      std::istringstream name(command.name);
      for (std::string word; name >> word;) words.push_back(word);
      EXPECT_TRUE(Contains(Ok(words), command.examples[0])) << command.name;
      // A flag of a command must not hide a global one.
      for (const FlagSpec& flag : command.flags) {
        for (const FlagSpec& global : GlobalFlags()) {
          EXPECT_NE(flag.name, global.name) << command.name;
          EXPECT_TRUE(flag.letter == 0 || flag.letter != global.letter) << command.name;
        }
      }
    }
  }
  EXPECT_TRUE(Contains(Ok({"help", "exit-codes"}), "not found"));
  EXPECT_TRUE(Contains(Ok({"put", "--help"}), "--replace-edges"));
  EXPECT_EQ(Run({"help", "qery"}).code, kExitUsage);
}

TEST_F(CliTest, CompletionIsValidShell) {
  const std::string path = testing::TempDir() + "/completion.bash";
  std::ofstream(path) << Ok({"completion", "bash"});
  EXPECT_EQ(std::system(("bash -n '" + path + "'").c_str()), 0);
  EXPECT_TRUE(Contains(Ok({"completion", "zsh"}), "#compdef cookix"));
  EXPECT_TRUE(Contains(Ok({"completion", "fish"}), "complete -c cookix"));
  EXPECT_EQ(Run({"completion", "tcsh"}).code, kExitUsage);
}

TEST_F(CliTest, BenchCleansUp) {
  const Json result = OkJson({"bench", "--objects", "50", "--threads", "2"});
  EXPECT_EQ(result["phases"].size(), 3u);
  EXPECT_FALSE(Contains(Ok({"namespaces"}), "cookix_bench"));
}

}  // namespace
}  // namespace cookix::cli
