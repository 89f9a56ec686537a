// Vectors on the command line: fields, imports, searches, anchors.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "tools/cli/cli_fixture.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

std::string Written(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string Fvecs(const std::vector<std::vector<float>>& rows) {
  std::string bytes;
  for (const std::vector<float>& row : rows) {
    const auto dimension = static_cast<int32_t>(row.size());
    bytes.append(reinterpret_cast<const char*>(&dimension), sizeof dimension);
    bytes.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float));
  }
  return bytes;
}

// Twelve points on a line: row i is (i, 1).
std::vector<std::vector<float>> Line() {
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 12; ++i) rows.push_back({static_cast<float>(i), 1});
  return rows;
}

std::vector<std::string> Keys(const Json& hits) {
  std::vector<std::string> keys;
  for (const Json& hit : hits) keys.push_back(hit["key"]);
  return keys;
}

class VectorCommandsTest : public CliTest {
 protected:
  void LoadLine() {
    Ok({"import", Written("line.fvecs", Fvecs(Line())), "-c", "line", "--field", "v", "--create",
        "--metric", "l2"});
  }
};

TEST(VectorArgumentsTest, ReadsFields) {
  auto field = ParseVectorField("shape:384", false);
  ASSERT_TRUE(field.ok()) << field.status();
  EXPECT_EQ(field->name(), "shape");
  EXPECT_EQ(field->dimension(), 384);
  EXPECT_EQ(field->metric(), v1::VECTOR_METRIC_UNSPECIFIED);
  field = ParseVectorField(
      "a:8:binary:l2:cells:multi:aggregate=mean:m=8:ef_construction=9:ef_search=10:"
      "max_variance=0.5:max_cell_size=100:max_drift=0.1:cells_probed=7",
      false);
  ASSERT_TRUE(field.ok()) << field.status();
  EXPECT_EQ(field->metric(), v1::VECTOR_METRIC_L2);
  EXPECT_EQ(field->index(), v1::VECTOR_INDEX_KIND_CELLS);
  EXPECT_EQ(field->quantization(), v1::VECTOR_QUANTIZATION_BINARY);
  EXPECT_TRUE(field->multi());
  EXPECT_EQ(field->aggregate(), v1::VECTOR_AGGREGATE_MEAN);
  EXPECT_EQ(SettingsText(*field),
            "multi aggregate=mean m=8 ef_construction=9 ef_search=10 max_cell_size=100 "
            "cells_probed=7 max_variance=0.5 max_drift=0.1");
  // Where a field is changed, its dimension need not be said.
  field = ParseVectorField("shape:ef_search=128", true);
  ASSERT_TRUE(field.ok()) << field.status();
  EXPECT_EQ(field->dimension(), 0);
  EXPECT_EQ(field->hnsw().ef_search(), 128);
  for (const char* text :
       {"", "shape", ":8", "shape:x", "shape:-1", "shape:65537", "shape:8:cosin", "shape:8:m",
        "shape:8:m=x", "shape:8:m=-1", "shape:8:m=99999999999", "shape:8:speed=3",
        "shape:8:aggregate=best", "shape:8:", "shape:cosine"}) {
    const auto bad = ParseVectorField(text, false);
    EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(GetErrorDetail(bad.status())->field, "--vector") << text;
  }
  EXPECT_FALSE(ParseVectorField("shape:65537:l2", true).ok());
}

TEST_F(VectorCommandsTest, ReadsVectors) {
  std::istringstream in("[1, 2]\n");
  std::ostringstream out;
  Environment environment;
  environment.in = &in;
  environment.out = &out;
  environment.err = &out;
  environment.variable = [](const std::string&) { return std::nullopt; };
  Context context(environment, Arguments());
  auto json = [&context](const std::string& text) {
    const auto vector = ParseVector(context, text, "--vector");
    return vector.ok() ? Dump(ToJson(*vector)) : std::string(vector.status().message());
  };
  EXPECT_EQ(json("0.1,-2,3e2"), "[0.1,-2.0,300.0]");
  EXPECT_EQ(json(" 1 , 2 "), "[1.0,2.0]");
  EXPECT_EQ(json("7:0.5,9:1"), R"({"indices":[7,9],"values":[0.5,1.0]})");
  EXPECT_EQ(json("[1,2]"), "[1.0,2.0]");
  EXPECT_EQ(json(R"({"bits":"AYA="})"), R"({"bits":"AYA="})");
  EXPECT_EQ(json("@-"), "[1.0,2.0]");
  EXPECT_EQ(json("@" + Written("vector.txt", "4,5\n")), "[4.0,5.0]");
  EXPECT_EQ(json("1,x"), "--vector has the component \"x\"");
  EXPECT_EQ(json("1,"), "--vector has the component \"\"");
  EXPECT_EQ(json("1e39"), "--vector has the component \"1e39\"");
  EXPECT_EQ(json("1,2:3"), "--vector mixes numbers and INDEX:WEIGHT");
  EXPECT_EQ(json("1:2,3"), "--vector mixes numbers and INDEX:WEIGHT");
  EXPECT_EQ(json("-1:2"), "--vector has the index \"-1\"");
  EXPECT_EQ(json("4294967296:2"), "--vector has the index \"4294967296\"");
  EXPECT_EQ(json(""), "--vector is empty");
  EXPECT_FALSE(ParseVector(context, "@no such file", "--vector").ok());
}

TEST_F(VectorCommandsTest, ImportsAndSearches) {
  LoadLine();
  EXPECT_EQ(OkJson({"count", "-c", "line"})["count"], 12);
  const Json found = OkJson({"search", "-c", "line", "--vector", "3.2,1", "--limit", "3"});
  EXPECT_EQ(Keys(found["hits"]), (std::vector<std::string>{"03", "04", "02"}));
  EXPECT_NEAR(found["hits"][0]["distance"].get<double>(), 0.2, 1e-5);
  EXPECT_TRUE(found.contains("diagnostics"));
  // A vector that starts with a minus is one too.
  EXPECT_EQ(OkJson({"search", "-c", "line", "--vector", "-1,1", "--limit", "1"})["hits"][0]["key"],
            "00");
  // The object itself is no hit.
  EXPECT_EQ(Keys(OkJson({"search", "-c", "line", "--like", "00", "--limit", "2"})["hits"]),
            (std::vector<std::string>{"01", "02"}));
  EXPECT_EQ(Keys(OkJson({"search", "-c", "line", "--row", testing::TempDir() + "/line.fvecs:11",
                         "--limit", "1"})["hits"]),
            (std::vector<std::string>{"11"}));
  EXPECT_EQ(
      Keys(OkJson({"search", "-c", "line", "--vector", "5,1", "--min-score", "-1.5"})["hits"]),
      (std::vector<std::string>{"05", "04", "06"}));
  EXPECT_EQ(Keys(OkJson({"search", "-c", "line", "--vector", "5,1", "--where", "$key ^= 1",
                         "--limit", "1"})["hits"]),
            (std::vector<std::string>{"10"}));
  const std::string text =
      Ok({"search", "-c", "line", "--vector", "5,1", "--limit", "2", "--explain"});
  EXPECT_TRUE(Contains(text, "RANK  KEY")) << text;
  EXPECT_TRUE(Contains(text, "line/05")) << text;
  EXPECT_TRUE(Contains(text, "distances taken")) << text;
}

TEST_F(VectorCommandsTest, ShowsContentAndGroups) {
  Ok({"collections", "create", "parts", "--vector", "shape:2:l2"});
  Ok({"import", "-", "-c", "parts", "-q"},
     R"({"key":"a","content":"a pump","properties":{"kind":"pump","n":1},"labels":["wet"],"vectors":{"shape":[0,1]}})"
     "\n"
     R"({"key":"b","content":"another pump","properties":{"kind":"pump"},"vectors":{"shape":[0,2]}})"
     "\n"
     R"({"key":"c","content":"a tank","properties":{"kind":"tank"},"vectors":{"shape":[0,3]}})"
     "\n");
  const std::string text = Ok({"search", "-c", "parts", "--vector", "0,0"});
  EXPECT_TRUE(Contains(text, "another pump")) << text;
  EXPECT_FALSE(Contains(text, "kind=")) << text;
  EXPECT_TRUE(Contains(Ok({"search", "-c", "parts", "--vector", "0,0", "--objects"}), "kind=tank"));
  EXPECT_EQ(Keys(OkJson({"search", "-c", "parts", "--vector", "0,0", "-l", "wet"})["hits"]),
            (std::vector<std::string>{"a"}));
  const std::string groups =
      Ok({"search", "-c", "parts", "--vector", "0,0", "--group-by", "kind", "--group-limit", "2"});
  EXPECT_TRUE(Contains(groups, "kind = pump\n")) << groups;
  EXPECT_TRUE(Contains(groups, "kind = tank\n")) << groups;
  EXPECT_TRUE(Contains(groups, "another pump")) << groups;
  const Json with = OkJson({"search", "-c", "parts", "--like", "a", "--vectors", "--limit", "1"});
  EXPECT_EQ(Dump(with["hits"][0]["object"]["vectors"]), R"({"shape":[0.0,2.0]})");
  EXPECT_FALSE(OkJson({"search", "-c", "parts", "--like", "a"})["hits"][0].contains("object"));
  EXPECT_EQ(Ok({"search", "-c", "parts", "--vector", "0,0", "-l", "nothing"}), "nothing found\n");
}

TEST_F(VectorCommandsTest, PutsPatchesAndShowsVectors) {
  Ok({"collections", "create", "parts", "--vector", "shape:2:l2", "--vector", "long:10", "--vector",
      "words:0"});
  Ok({"put", "a", "-c", "parts", "--vector", "shape=1,2", "--vector", "words=3:0.5"});
  Ok({"patch", "a", "-c", "parts", "--vector", "long=1,2,3,4,5,6,7,8,9,10", "--remove-vector",
      "words"});
  EXPECT_EQ(Dump(OkJson({"get", "a", "-c", "parts", "--vectors"})["vectors"]["shape"]),
            "[1.0,2.0]");
  const std::string text = Ok({"get", "a", "-c", "parts", "--vectors"});
  EXPECT_TRUE(Contains(text, "shape       [1.0,2.0]\n")) << text;
  EXPECT_TRUE(Contains(text, "[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0] … 10 numbers\n")) << text;
  EXPECT_FALSE(Contains(text, "words")) << text;
  EXPECT_FALSE(Contains(Ok({"get", "a", "-c", "parts"}), "shape"));
  EXPECT_EQ(Run({"put", "a", "-c", "parts", "--vector", "1,2"}).code, kExitUsage);
  const Outcome wrong = Run({"put", "b", "-c", "parts", "--vector", "shape=1,2,3"});
  EXPECT_EQ(wrong.code, kExitUsage);
  EXPECT_TRUE(Contains(wrong.err, "shape")) << wrong.err;
}

TEST_F(VectorCommandsTest, ExportsVectorsAndImportsThem) {
  Ok({"collections", "create", "all", "--vector", "d:3", "--vector", "s:0", "--vector",
      "b:12:hamming"});
  Ok({"import", "-", "-c", "all", "-q"},
     R"({"key":"a","vectors":{"d":[0.1,0.2,0.3],"s":{"indices":[2,9],"values":[0.5,1]},"b":{"bits":"/w8="}}})");
  const std::string exported = Ok({"export", "-c", "all"});
  EXPECT_TRUE(Contains(exported, R"("vectors":{"b":{"bits":"/w8="},"d":[0.1,0.2,0.3],)"
                                 R"("s":{"indices":[2,9],"values":[0.5,1.0]}})"))
      << exported;
  Ok({"namespaces", "create", "copy"});
  Ok({"collections", "create", "all", "-n", "copy", "--vector", "d:3", "--vector", "s:0",
      "--vector", "b:12:hamming"});
  Ok({"import", "-", "-n", "copy", "-q"}, exported);
  EXPECT_EQ(OkJson({"get", "a", "-c", "all", "-n", "copy", "--vectors"})["vectors"],
            OkJson({"get", "a", "-c", "all", "--vectors"})["vectors"]);
  EXPECT_EQ(Keys(OkJson({"search", "-c", "all", "--field", "s", "--vector", "9:1"})["hits"]),
            (std::vector<std::string>{"a"}));
  const Outcome several = Run({"search", "-c", "all", "--vector", "1,2,3"});
  EXPECT_EQ(several.code, kExitUsage);
}

TEST_F(VectorCommandsTest, ImportsBitsAndNpy) {
  const std::string bytes = std::string("\2\0\0\0\xff\x00", 6) + std::string("\2\0\0\0\x0f\x00", 6);
  const std::string path = Written("bits.bvecs", bytes);
  const Json loaded = OkJson({"import", path, "-c", "bits", "--field", "h", "--create", "--metric",
                              "hamming", "--key-prefix", "bit/"});
  EXPECT_EQ(loaded["vectors"], 2);
  EXPECT_EQ(loaded["created"], 2);
  EXPECT_EQ(loaded["dimension"], 16);
  const Json found = OkJson({"search", "-c", "bits", "--row", path + ":1"});
  EXPECT_EQ(Keys(found["hits"]), (std::vector<std::string>{"bit/1", "bit/0"}));
  EXPECT_EQ(found["hits"][1]["distance"], 4.0);
  // The same bytes as numbers.
  Ok({"import", path, "-c", "numbers", "--field", "n", "--create", "--metric", "l2", "--index",
      "flat"});
  EXPECT_EQ(
      OkJson({"search", "-c", "numbers", "--vector", "15,0", "--limit", "1"})["hits"][0]["key"],
      "1");
  const std::string header = "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 2), }     \n";
  const std::string npy = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) +
                          '\0' + header + "\x01\x02\xff\xfe";
  Ok({"import", "-", "--format", "npy", "-c", "npy", "--field", "v", "--create", "--metric", "dot"},
     npy);
  EXPECT_EQ(OkJson({"search", "-c", "npy", "--vector", "-1,-1", "--limit", "1"})["hits"][0]["key"],
            "1");
}

TEST_F(VectorCommandsTest, ImportsWithKeysOntoObjectsThatExist) {
  Ok({"collections", "create", "line", "--vector", "v:2:l2", "--vector", "w:2"});
  Ok({"put", "k3", "-c", "line", "--content", "stays"});
  std::string keys;
  for (int i = 0; i < 12; ++i) keys += "k" + std::to_string(i) + "\n";
  const std::string path = Written("line.fvecs", Fvecs(Line()));
  const Json loaded = OkJson({"import", path, "-c", "line", "--field", "v", "--keys",
                              Written("keys.txt", keys), "--batch", "5"});
  EXPECT_EQ(loaded["vectors"], 12);
  EXPECT_EQ(loaded["created"], 11);
  EXPECT_EQ(OkJson({"get", "k3", "-c", "line"})["content"], "stays");
  // From a pipe, as what another program prints.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  close(ends[1]);
  const std::string piped = "/dev/fd/" + std::to_string(ends[0]);
  const Json again = OkJson({"import", path, "-c", "line", "--field", "v", "--keys", piped});
  close(ends[0]);
  EXPECT_EQ(again["vectors"], 12);
  EXPECT_EQ(again["created"], 0);
  const Outcome short_keys =
      Run({"import", path, "-c", "line", "--field", "v", "--keys", Written("two.txt", "a\nb\n")});
  EXPECT_EQ(short_keys.code, kExitUsage);
  EXPECT_TRUE(Contains(short_keys.err, "2 lines")) << short_keys.err;
  EXPECT_EQ(OkJson({"count", "-c", "line"})["count"], 12);
  // Without --field there is a choice to make.
  const Outcome several = Run({"import", path, "-c", "line"});
  EXPECT_EQ(several.code, kExitUsage);
  EXPECT_TRUE(Contains(several.err, "v, w")) << several.err;
}

TEST_F(VectorCommandsTest, AnImportGoesOnWhereItStopped) {
  std::vector<std::vector<float>> rows = Line();
  rows[7][1] = std::numeric_limits<float>::infinity();
  const std::string path = Written("bad.fvecs", Fvecs(rows));
  const Outcome stopped = Run({"import", path, "-c", "line", "--field", "v", "--create", "--metric",
                               "l2", "--batch", "5", "--import-id", "id"});
  EXPECT_EQ(stopped.code, kExitUsage);
  EXPECT_TRUE(Contains(stopped.err, "row 7 at byte 88: component 1")) << stopped.err;
  EXPECT_TRUE(Contains(stopped.err, "--resume-from 7 --import-id id")) << stopped.err;
  EXPECT_EQ(OkJson({"count", "-c", "line"})["count"], 7);
  const std::string mended = Written("bad.fvecs", Fvecs(Line()));
  const Json rest = OkJson({"import", mended, "-c", "line", "--field", "v", "--resume-from", "7",
                            "--import-id", "id", "--limit", "10"});
  EXPECT_EQ(rest["vectors"], 3);
  EXPECT_EQ(Keys(OkJson({"search", "-c", "line", "--vector", "99,1", "--limit", "2"})["hits"]),
            (std::vector<std::string>{"09", "08"}));
  // A batch that was applied is not applied again.
  const Json again = OkJson({"import", mended, "-c", "line", "--field", "v", "--resume-from", "7",
                             "--import-id", "id", "--limit", "10"});
  EXPECT_EQ(again["vectors"], 3);
  EXPECT_EQ(OkJson({"count", "-c", "line"})["count"], 10);
}

TEST_F(VectorCommandsTest, ImportsSayWhatIsWrong) {
  const std::string path = Written("line.fvecs", Fvecs(Line()));
  auto fails = [this](std::vector<std::string> words, int code, const std::string& part) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_TRUE(Contains(outcome.err, part)) << outcome.err << "\nwanted: " << part;
    EXPECT_TRUE(Contains(outcome.err, "fix")) << outcome.err;
  };
  fails({"import", path, "-c", "none", "--field", "v"}, kExitNotFound, "none");
  fails({"import", path, "-c", "none", "--create"}, kExitUsage, "--create without --field");
  Ok({"collections", "create", "three", "--vector", "v:3", "--vector", "s:0", "--vector",
      "h:24:hamming"});
  fails({"import", path, "-c", "three", "--field", "x"}, kExitNotFound, "no vector field x");
  fails({"import", path, "-c", "three", "--field", "v"}, kExitUsage,
        "the file's vectors have 2 components, those of the field v 3");
  fails({"import", path, "-c", "three", "--field", "s"}, kExitUsage, "is sparse");
  fails({"import", path, "-c", "three", "--field", "h"}, kExitUsage, "one of bits");
  fails({"import", Written("b.bvecs", std::string("\1\0\0\0\7", 5)), "-c", "three", "--field", "h"},
        kExitUsage, "the 24 bits of the field h have 3");
  fails({"import", path, "--names", path}, kExitUsage, "--names is for triples or JSON Lines");
  fails({"import", path, "-c", "three", "--field", "v", "--metric", "l2"}, kExitUsage,
        "--metric is for fields made with --create");
  fails({"import", "-", "--field", "v"}, kExitUsage, "--field is for files of vectors");
  fails({"import", Written("cut.fvecs", "\2"), "-c", "three", "--field", "v"}, kExitUsage,
        "cut short");
  fails({"import", "none.npy", "-c", "three", "--field", "v"}, kExitUsage, "cannot read none.npy");
}

TEST_F(VectorCommandsTest, SearchesSayWhatIsWrong) {
  LoadLine();
  auto fails = [this](std::vector<std::string> words, int code, const std::string& part) {
    words.insert(words.begin(), {"search", "-c", "line"});
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_TRUE(Contains(outcome.err, part)) << outcome.err << "\nwanted: " << part;
    EXPECT_TRUE(Contains(outcome.err, "fix")) << outcome.err;
  };
  fails({}, kExitUsage, "what to look for is missing");
  fails({"--like", "00", "--vector", "1,2"}, kExitUsage, "exclude each other");
  fails({"--vector", "1,2,3"}, kExitUsage, "3");
  fails({"--vector", "1,2", "--field", "x"}, kExitNotFound, "x");
  fails({"--like", "nobody"}, kExitNotFound, "nobody");
  fails({"--vector", "1,2", "--limit", "0"}, kExitUsage, "limit");
  fails({"--vector", "1,2", "--ef", "10001"}, kExitUsage, "ef");
  fails({"--vector", "1,2", "--group-limit", "3"}, kExitUsage, "--group-limit without --group-by");
  fails({"--vector", "1,2", "--metric", "taxi"}, kExitUsage, "--metric is \"taxi\"");
  fails({"--vector", "1,2", "--where", "x >"}, kExitUsage, "column");
  fails({"--row", "line.fvecs"}, kExitUsage, "FILE:ROW");
  fails({"--row", testing::TempDir() + "/line.fvecs:12"}, kExitUsage, "row 12 is wanted");
}

TEST_F(VectorCommandsTest, ManagesFields) {
  Ok({"collections", "create", "parts", "--description", "things", "--vector",
      "shape:4:cosine:hnsw:m=8", "--unindexed", "note"});
  Ok({"collections", "update", "parts", "--vector", "colour:3:l2:flat", "--description", "more"});
  Ok({"collections", "update", "parts", "--vector", "shape:ef_search=99"});
  const Json shown = OkJson({"collections", "show", "parts"});
  EXPECT_EQ(shown["collection"]["description"], "more");
  ASSERT_EQ(shown["indexes"].size(), 2u);
  EXPECT_EQ(shown["indexes"][0]["field"]["hnsw"]["ef_search"], 99);
  EXPECT_EQ(shown["indexes"][0]["field"]["hnsw"]["m"], 8);
  const std::string text = Ok({"collections", "show", "parts"});
  EXPECT_TRUE(Contains(text, "colour")) << text;
  EXPECT_TRUE(Contains(text, "unindexed   note")) << text;
  EXPECT_TRUE(Contains(text, "ef_search=99")) << text;
  EXPECT_EQ(OkJson({"index", "show", "colour", "-c", "parts"})["field"]["metric"], "l2");
  EXPECT_TRUE(Contains(Ok({"index", "show", "shape", "-c", "parts"}), "cosine"));
  // A frozen setting.
  const Outcome frozen =
      Run({"collections", "update", "parts", "--vector", "shape:m=16", "--json"});
  EXPECT_NE(frozen.code, kExitOk);
  EXPECT_TRUE(Contains(frozen.err, "FROZEN_SETTING")) << frozen.err;
  Ok({"collections", "update", "parts", "--remove-vector", "colour"});
  EXPECT_EQ(OkJson({"collections", "show", "parts"})["indexes"].size(), 1u);
  EXPECT_EQ(Run({"collections", "update", "parts", "--remove-vector", "colour"}).code,
            kExitNotFound);
  EXPECT_EQ(Run({"collections", "update", "parts"}).code, kExitUsage);
  EXPECT_EQ(Run({"index", "show", "colour", "-c", "parts"}).code, kExitNotFound);
  EXPECT_TRUE(Contains(Ok({"help", "vector-fields"}), "ef_construction"));
}

TEST_F(VectorCommandsTest, QueriesStartFromWhatIsNear) {
  Ok({"collections", "create", "w", "--vector", "v:2:l2"});
  Ok({"import", "-", "-c", "w", "-q"},
     R"({"key":"rain","vectors":{"v":[0,0]},"edges":[{"relation":"causes","target":"wet"}]})"
     "\n"
     R"({"key":"drizzle","vectors":{"v":[0,1]},"edges":[{"relation":"causes","target":"damp"}]})"
     "\n"
     R"({"key":"sun","vectors":{"v":[9,9]},"edges":[{"relation":"causes","target":"dry"}]})"
     "\n"
     R"({"key":"wet"})"
     "\n"
     R"({"key":"damp"})"
     "\n"
     R"({"key":"dry"})"
     "\n");
  const Json near = OkJson(
      {"query", "-c", "w", "--near-vector", "0,0", "--anchors", "2", "--relation", "causes"});
  std::vector<std::string> keys = Keys(near["hits"]);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"damp", "wet"}));
  EXPECT_EQ(Keys(near["diagnostics"]["anchors"]), (std::vector<std::string>{"rain", "drizzle"}));
  const Json like =
      OkJson({"query", "-c", "w", "--near", "rain", "--anchors", "1", "--chain", "causes"});
  EXPECT_EQ(Keys(like["hits"]), (std::vector<std::string>{"damp"}));
  const Outcome text =
      Run({"query", "dry", "-c", "w", "--near-vector", "9,9", "--near-min-score", "-1"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(Contains(text.out, "w/sun --[causes]--> w/dry")) << text.out;
  EXPECT_TRUE(Contains(text.err, "from w/sun (")) << text.err;
  EXPECT_EQ(Run({"query", "a", "b", "--near", "c"}).code, kExitUsage);
  EXPECT_EQ(Run({"query", "--near", "c", "--near-vector", "1"}).code, kExitUsage);
  EXPECT_EQ(Run({"query", "a", "--anchors", "3"}).code, kExitUsage);
  const Outcome missing = Run({"query"});
  EXPECT_EQ(missing.code, kExitUsage);
  EXPECT_TRUE(Contains(missing.err, "the anchor is missing")) << missing.err;
}

}  // namespace
}  // namespace cookix::cli
