// Searches by words and of several lanes on the command line, and text fields.
#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "tools/cli/cli_fixture.h"
#include "tools/cli/search_arguments.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

std::vector<std::string> Keys(const Json& hits) {
  std::vector<std::string> keys;
  for (const Json& hit : hits) keys.push_back(hit["key"]);
  return keys;
}

using Strings = std::vector<std::string>;

TEST(SearchArgumentsTest, ReadsTextFields) {
  auto field = ParseTextField("title");
  ASSERT_TRUE(field.ok()) << field.status();
  EXPECT_EQ(field->name(), "title");
  EXPECT_FALSE(field->has_analyzer());
  field = ParseTextField(
      "about:2.5:de:source=meta.about:no-stemming:no-stop-words:no-case-folding:"
      "no-accent-folding:no-positions:by-name:stop=gmbh:stop=ag");
  ASSERT_TRUE(field.ok()) << field.status();
  EXPECT_EQ(field->boost(), 2.5);
  EXPECT_EQ(field->source(), "meta.about");
  EXPECT_EQ(field->analyzer().language(), "de");
  EXPECT_EQ(field->analyzer().extra_stop_words_size(), 2);
  EXPECT_TRUE(field->only_by_name());
  EXPECT_EQ(TextFieldSettings(*field),
            "de boost=2.5 no-stemming no-stop-words no-case-folding no-accent-folding "
            "no-positions by-name stop=gmbh stop=ag");
  for (const char* text : {"", ":en", "title:english", "title:", "title:speed=3", "title:1x"}) {
    const auto bad = ParseTextField(text);
    EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(GetErrorDetail(bad.status())->field, "--text-field") << text;
  }
}

class SearchCommandsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Ok({"collections", "create", "docs", "--text-field", "title:en:2", "--text-field", "content:en",
        "--text-field", "note:by-name", "--vector", "place:2:l2:flat:none"});
    Ok({"import", "-", "-c", "docs", "-q"},
       R"({"key":"storms","content":"Heavy rain and storms flooded the river valley","properties":{"title":"Rain","kind":"news"},"vectors":{"place":[0,0]},"edges":[{"relation":"causes","target":"mud"}]})"
       "\n"
       R"({"key":"coats","content":"A coat keeps the rain out","properties":{"title":"Coats","kind":"shop","note":"secret"},"vectors":{"place":[5,5]}})"
       "\n"
       R"({"key":"sun","content":"Sunny and dry all week","properties":{"title":"Weather","kind":"news"},"labels":["dry"],"vectors":{"place":[1,1]}})"
       "\n"
       R"({"key":"mud","content":"Muddy paths after the floods","properties":{"title":"Mud","kind":"news"},"vectors":{"place":[9,9]}})"
       "\n");
  }

  Strings Found(Strings words) {
    words.insert(words.begin(), {"search", "-c", "docs"});
    return Keys(OkJson(words)["hits"]);
  }
};

TEST_F(SearchCommandsTest, FindsWords) {
  EXPECT_EQ(Found({"--text", "rain"}), (Strings{"storms", "coats"}));
  EXPECT_EQ(Found({"--text", "flooding mud", "--mode", "any", "--limit", "1"}), (Strings{"mud"}));
  EXPECT_EQ(Found({"--text", "rain river", "--mode", "all"}), (Strings{"storms"}));
  EXPECT_EQ(Found({"--text", "keeps the rain", "--mode", "phrase"}), (Strings{"coats"}));
  EXPECT_EQ(Found({"--text", "title:weather OR sto*", "--mode", "raw"}).size(), 2u);
  EXPECT_EQ(Found({"--text", "rain", "--fields", "title"}), (Strings{"storms"}));
  EXPECT_EQ(Found({"--text", "rain coats", "--boost", "title=0.001"}).front(), "coats");
  EXPECT_EQ(Found({"--text", "secret"}), Strings());
  EXPECT_EQ(Found({"--text", "secret", "--fields", "content,note"}), (Strings{"coats"}));
  EXPECT_EQ(Found({"--text", "rain", "--where", "kind = shop"}), (Strings{"coats"}));
  EXPECT_EQ(Found({"--text", "rain week", "-l", "dry"}), (Strings{"sun"}));
  EXPECT_EQ(Ok({"search", "-c", "docs", "--text", ""}), "nothing found\n");
  // The default collection is searched by its contents.
  Ok({"put", "a", "--content", "umbrellas in the rain"});
  EXPECT_EQ(Keys(OkJson({"search", "--text", "rain"})["hits"]), (Strings{"a"}));
}

TEST_F(SearchCommandsTest, FusesWordsVectorsAndLinks) {
  const Json both = OkJson({"search", "-c", "docs", "--text", "rain", "--vector", "1,1"});
  EXPECT_EQ(Keys(both["hits"]).front(), "storms");
  EXPECT_EQ(both["hits"][0]["lane_ranks"]["text"], 1);
  EXPECT_EQ(both["hits"][0]["lane_ranks"]["vector"], 2);
  EXPECT_EQ(Found({"--text", "rain", "--vector", "1,1", "--alpha", "1"}).front(), "sun");
  EXPECT_EQ(Found({"--text", "rain", "--like", "sun", "--alpha", "0"}),
            (Strings{"storms", "coats"}));
  EXPECT_EQ(Found({"--text", "rain", "--vector", "1,1", "--fusion", "normalized"}).size(), 4u);
  const Json lanes =
      OkJson({"search", "-c", "docs", "--lane", "text,weight=2,mode=all,fields=title+content:rain",
              "--lane", "vector,field=place,exact=true:9,9", "--lane",
              "linked,hops=1,relations=causes:storms", "--rank-constant", "1", "--lists"});
  ASSERT_EQ(lanes["lanes"].size(), 3u);
  EXPECT_EQ(lanes["lanes"][2]["name"], "neighbourhood");
  EXPECT_EQ(Keys(lanes["lanes"][2]["hits"]), (Strings{"mud"}));
  const Json& mud = *std::find_if(lanes["hits"].begin(), lanes["hits"].end(),
                                  [](const Json& hit) { return hit["key"] == "mud"; });
  EXPECT_EQ(mud["path"]["steps"][0]["relation"], "causes");
  // 1 / (1 + 1) by the vector, the same by the link.
  EXPECT_EQ(mud["score"], 1.0);
  const Json like = OkJson({"search", "-c", "docs", "--lane", "like,name=near,candidates=20:sun"});
  EXPECT_EQ(like["hits"][0]["lane_ranks"]["near"], 1);
}

TEST_F(SearchCommandsTest, ShowsWhatWasFoundAndHow) {
  std::string text = Ok({"search", "-c", "docs", "--text", "rain", "--snippets", "--count"});
  EXPECT_TRUE(Contains(text, "RANK  KEY")) << text;
  EXPECT_TRUE(Contains(text, "Heavy **rain** and storms")) << text;
  EXPECT_TRUE(Contains(text, "2 objects match the words\n")) << text;
  EXPECT_FALSE(Contains(text, "DISTANCE")) << text;
  text = Ok({"search", "-c", "docs", "--text", "river", "--snippet-words", "2"});
  EXPECT_TRUE(Contains(text, "**river**")) << text;
  EXPECT_TRUE(Contains(text, "…")) << text;
  text = Ok({"search", "-c", "docs", "--text", "rain", "--vector", "1,1", "--where", "kind = news",
             "--explain", "--lists"});
  EXPECT_TRUE(Contains(text, "text 1, vector 2")) << text;
  for (const char* part : {"STAGE", "SAW", "PASSED ON", "filter", "  analyze", "  match", "fuse",
                           "reciprocal rank, k 60", "fetch", "DIAGNOSTIC", "\nvector\n"}) {
    EXPECT_TRUE(Contains(text, part)) << part << "\n" << text;
  }
  const Json explained = OkJson({"search", "-c", "docs", "--text", "rain", "--explain"});
  EXPECT_EQ(explained["stages"][0]["name"], "text");
  EXPECT_FALSE(OkJson({"search", "-c", "docs", "--text", "rain"}).contains("stages"));
  const Outcome plain = Run({"search", "-c", "docs", "--text", "rain"});
  EXPECT_TRUE(Contains(plain.err, "compared or scored")) << plain.err;
}

TEST_F(SearchCommandsTest, FitsATerminal) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Environment environment;
  environment.in = &in;
  environment.out = &out;
  environment.err = &err;
  environment.variable = [](const std::string&) { return std::nullopt; };
  environment.client = client_.get();
  environment.out_is_terminal = true;
  environment.width = 80;
  ASSERT_EQ(RunCli({"search", "-c", "docs", "--text",
                    "heavy rain storms flooded river valley muddy paths coats", "--vector", "1,1",
                    "--lists", "--snippets", "--explain"},
                   environment),
            0)
      << err.str();
  std::istringstream lines(out.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    std::string shown;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\x1b') {
        while (i < line.size() && line[i] != 'm') ++i;
      } else {
        shown += line[i];
      }
    }
    EXPECT_LE(DisplayWidth(shown), 80) << shown;
  }
  EXPECT_GT(count, 20);
}

TEST_F(SearchCommandsTest, ManagesTextFields) {
  const Json shown = OkJson({"collections", "show", "docs"});
  EXPECT_EQ(shown["collection"]["text_fields"].size(), 3u);
  EXPECT_EQ(shown["text_index"]["text_fields"].size(), 3u);
  std::string text = Ok({"collections", "show", "docs"});
  EXPECT_TRUE(Contains(text, "TEXT ")) << text;
  EXPECT_TRUE(Contains(text, "en boost=2")) << text;
  EXPECT_TRUE(Contains(text, "$content")) << text;
  EXPECT_TRUE(Contains(Ok({"collections", "list"}), "title, content, note"));
  Ok({"collections", "update", "docs", "--text-field", "title:3", "--text-field", "note:by-default",
      "--text-field", "kind", "--remove-text-field", "content"});
  text = Ok({"index", "show", "--text", "-c", "docs"});
  EXPECT_TRUE(Contains(text, "en boost=3")) << text;
  EXPECT_TRUE(Contains(text, "kind")) << text;
  EXPECT_FALSE(Contains(text, "$content")) << text;
  EXPECT_EQ(Found({"--text", "secret"}), (Strings{"coats"}));
  EXPECT_EQ(Found({"--text", "shop"}), (Strings{"coats"}));
  const Outcome frozen = Run({"collections", "update", "docs", "--text-field", "title:de"});
  EXPECT_EQ(frozen.code, kExitCondition) << frozen.err;
  EXPECT_EQ(Run({"collections", "update", "docs", "--remove-text-field", "content"}).code,
            kExitNotFound);
  EXPECT_EQ(Run({"collections", "create", "x", "--text-field", "title:zz"}).code, kExitUsage);
  EXPECT_TRUE(Contains(Ok({"help", "text-fields"}), "no-stemming"));
  EXPECT_TRUE(Contains(Ok({"help", "lanes"}), "linked"));
}

TEST_F(SearchCommandsTest, SaysWhatIsWrong) {
  auto fails = [this](std::vector<std::string> words, int code, const std::string& part) {
    words.insert(words.begin(), {"search", "-c", "docs"});
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_TRUE(Contains(outcome.err, part)) << outcome.err << "\nwanted: " << part;
    EXPECT_TRUE(Contains(outcome.err, "fix")) << outcome.err;
  };
  fails({"--text", "rain", "--mode", "some"}, kExitUsage, "--mode is \"some\"");
  fails({"--text", "rain", "--boost", "title"}, kExitUsage, "FIELD=NUMBER");
  fails({"--text", "rain", "--fields", "nothing"}, kExitNotFound, "nothing");
  fails({"--text", "(rain", "--mode", "raw"}, kExitUsage, "column");
  fails({"--text", "rain", "--alpha", "0.5"}, kExitUsage, "--alpha without");
  fails({"--text", "rain", "--ef", "10"}, kExitUsage, "--ef without");
  fails({"--vector", "1,1", "--mode", "all"}, kExitUsage, "--mode without --text");
  fails({"--vector", "1,1", "--snippets"}, kExitUsage, "snippets");
  fails({"--text", "rain", "--vector", "1,1", "--fusion", "sum"}, kExitUsage, "--fusion is");
  fails({"--text", "rain", "--lane", "text:rain"}, kExitUsage, "make them lanes too");
  fails({"--lane", "rain"}, kExitUsage, "colon");
  fails({"--lane", "words:rain"}, kExitUsage, "\"words\" is none of");
  fails({"--lane", "text,ef=3:rain"}, kExitUsage, "\"ef=3\" is no setting");
  fails({"--lane", "text,weight=heavy:rain"}, kExitUsage, "weight=heavy");
  fails({"--lane", "linked,hops=-1:mud"}, kExitUsage, "hops=-1");
  fails({"--lane", "vector:1;2"}, kExitUsage, "component");
  fails({"--lane", "linked:"}, kExitUsage, "anchor");
}

TEST_F(SearchCommandsTest, QuestionsStartFromWords) {
  const Json found =
      OkJson({"query", "-c", "docs", "--near-text", "heavy rain", "--chain", "causes"});
  EXPECT_EQ(Keys(found["hits"]), (Strings{"mud"}));
  EXPECT_EQ(Keys(found["diagnostics"]["anchors"]).front(), "storms");
  const Json both = OkJson({"query", "-c", "docs", "--near-text", "rain", "--near-vector", "0,0",
                            "--anchors", "1", "--chain", "causes"});
  EXPECT_EQ(Keys(both["diagnostics"]["anchors"]), (Strings{"storms"}));
  EXPECT_EQ(both["diagnostics"]["anchors"][0]["lane_ranks"].size(), 2u);
  EXPECT_EQ(Run({"query", "-c", "docs", "--near-text", "rain", "--near-field", "place"}).code,
            kExitUsage);
}

}  // namespace
}  // namespace cookix::cli
