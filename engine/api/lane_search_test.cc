// Searches by words, links and several lanes against models that look at every object:
// lanes, fusion, filters, groups, counts, snippets, stages.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/lane_search_fixture.h"
#include "engine/api/search_api.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

TEST_P(LaneSearchTest, LanesFindWhatLookingAtAllFindsAndAreFusedByTheFormula) {
  int64_t hits = 0;
  int left_out = 0;
  for (int round = 0; round < 150; ++round) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_with_lanes(true);
    std::vector<Asked> lanes;
    std::map<std::string, double> weights;
    std::map<std::string, int> kinds;
    for (uint64_t i = 2 + Below(3); i > 0; --i) {
      lanes.push_back(AskAny());
      v1::SearchLane& lane = lanes.back().lane;
      std::string name = lane.has_text() ? "text" : lane.has_vector() ? "vector" : "neighbourhood";
      if (const int nth = ++kinds[name]; nth > 1) absl::StrAppend(&name, nth);
      if (Below(4) == 0) {
        name = absl::StrCat("lane ", i);
        lane.set_name(name);
      }
      weights[name] = lane.weight() == 0 ? 1 : lane.weight();
    }
    AddFilter(&request, &lanes);
    for (const Asked& asked : lanes) *request.add_lanes() = asked.lane;
    if (Below(2) == 0) request.mutable_fusion()->set_method(v1::FUSION_METHOD_NORMALIZED_SCORE);
    if (Below(2) == 0 && !request.has_fusion()) request.mutable_fusion()->set_rank_constant(7);
    const int limit = 1 + static_cast<int>(Below(40));
    request.set_limit(limit);
    v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.lanes_size(), static_cast<int>(lanes.size()));
    for (int i = 0; i < response.lanes_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectLane(response.lanes(i), lanes[static_cast<size_t>(i)]));
    }
    std::vector<Fused> expected = Fuse(request, response, weights);
    if (!expected.empty() && Below(3) == 0) {
      const double least = expected[Below(expected.size())].score;
      request.set_min_score(least);
      response = Search(request);
      std::erase_if(expected, [&](const Fused& fused) { return fused.score < least; });
      left_out += response.diagnostics().hits_left_out() > 0 ? 1 : 0;
    }
    expected.resize(std::min(expected.size(), static_cast<size_t>(limit)));
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size())) << request.DebugString();
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
      const bool linked = std::any_of(
          response.lanes().begin(), response.lanes().end(), [&](const v1::LaneResult& lane) {
            return std::any_of(lane.hits().begin(), lane.hits().end(), [&](const v1::Hit& hit) {
              return hit.has_path() && hit.ref().key() == response.hits(i).ref().key();
            });
          });
      ASSERT_EQ(response.hits(i).has_path(), linked);
      ++hits;
    }
  }
  EXPECT_GT(hits, 1000);
  EXPECT_GT(left_out, 5);
}

TEST_P(LaneSearchTest, ALaneAloneKeepsItsOwnScores) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Asked> lanes = {AskAny()};
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_limit(1 + static_cast<int>(Below(30)));
    AddFilter(&request, &lanes);
    const v1::SearchLane& lane = lanes.front().lane;
    v1::SearchRequest whole = request;
    *whole.add_lanes() = lane;
    whole.set_with_lanes(true);
    const v1::SearchResponse list = Search(whole);
    ASSERT_NO_FATAL_FAILURE(ExpectLane(list.lanes(0), lanes.front()));
    if (lane.has_text()) {
      *request.mutable_text() = lane.text();
    } else if (lane.has_vector()) {
      *request.mutable_vector() = lane.vector();
    } else {
      *request.add_lanes() = lane;
    }
    const v1::SearchResponse response = Search(request);
    ASSERT_EQ(response.hits_size(), std::min(request.limit(), list.lanes(0).hits_size()));
    for (int i = 0; i < response.hits_size(); ++i) {
      const v1::Hit& expected = list.lanes(0).hits(i);
      ASSERT_EQ(response.hits(i).ref().key(), expected.ref().key());
      ASSERT_EQ(response.hits(i).score(), expected.score());
      ASSERT_EQ(response.hits(i).distance(), expected.distance());
      ASSERT_EQ(response.hits(i).hops(), expected.hops());
      ASSERT_EQ(response.hits(i).lane_ranks().at(list.lanes(0).name()), i + 1);
      ASSERT_EQ(response.hits(i).components().at(list.lanes(0).name()), expected.score());
    }
    EXPECT_TRUE(response.diagnostics().exact());
    EXPECT_FALSE(response.diagnostics().strategy().empty());
  }
}

TEST_P(LaneSearchTest, LanesLookAtTheirCandidatesOnly) {
  for (int round = 0; round < 40; ++round) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_with_lanes(true);
    request.set_limit(3);
    *request.add_lanes() = AskAny().lane;
    *request.add_lanes() = AskAny().lane;
    const v1::SearchResponse whole = Search(request);
    const int most = 3 + static_cast<int>(Below(20));
    for (v1::SearchLane& lane : *request.mutable_lanes()) lane.set_candidates(most);
    const v1::SearchResponse response = Search(request);
    std::map<std::string, double> weights;
    for (int i = 0; i < 2; ++i) {
      const v1::LaneResult& lane = response.lanes(i);
      ASSERT_EQ(lane.hits_size(), std::min(most, whole.lanes(i).hits_size()));
      for (int j = 0; j < lane.hits_size(); ++j) {
        ASSERT_EQ(lane.hits(j).ref().key(), whole.lanes(i).hits(j).ref().key());
        ASSERT_EQ(lane.hits(j).score(), whole.lanes(i).hits(j).score());
      }
      weights[lane.name()] = request.lanes(i).weight() == 0 ? 1 : request.lanes(i).weight();
    }
    std::vector<Fused> expected = Fuse(request, response, weights);
    expected.resize(std::min(expected.size(), size_t{3}));
    ASSERT_EQ(response.hits_size(), static_cast<int>(expected.size()));
    for (int i = 0; i < response.hits_size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
    }
  }
}

TEST_P(LaneSearchTest, AlphaWeighsVectorAgainstWords) {
  for (const double alpha : {0.0, 0.3, 1.0}) {
    for (const auto method :
         {v1::FUSION_METHOD_RECIPROCAL_RANK, v1::FUSION_METHOD_NORMALIZED_SCORE}) {
      v1::SearchRequest request;
      request.set_collection(kCollection);
      *request.mutable_vector() = AskPlace().lane.vector();
      request.mutable_text()->set_text("rain storm");
      request.mutable_fusion()->set_alpha(alpha);
      request.mutable_fusion()->set_method(method);
      request.set_with_lanes(true);
      request.set_limit(50);
      const v1::SearchResponse response = Search(request);
      const std::vector<Fused> expected =
          Fuse(request, response, {{"vector", alpha}, {"text", 1 - alpha}});
      ASSERT_EQ(response.hits_size(), std::min(50, static_cast<int>(expected.size())));
      for (int i = 0; i < response.hits_size(); ++i) {
        ASSERT_NO_FATAL_FAILURE(ExpectHit(response.hits(i), expected[static_cast<size_t>(i)]));
        // Alone, a lane keeps its order.
        if (alpha == 1) {
          ASSERT_EQ(response.hits(i).lane_ranks().at("vector"), i + 1);
        } else if (alpha == 0) {
          ASSERT_EQ(response.hits(i).lane_ranks().at("text"), i + 1);
        }
      }
    }
  }
}

TEST_P(LaneSearchTest, GroupsAreThoseOfTheFusedHits) {
  for (int round = 0; round < 40; ++round) {
    std::vector<Asked> lanes = {AskAny(), AskAny()};
    v1::SearchRequest request;
    request.set_collection(kCollection);
    AddFilter(&request, &lanes);
    for (const Asked& asked : lanes) *request.add_lanes() = asked.lane;
    request.set_limit(1000);
    const v1::SearchResponse hits = Search(request);
    request.set_limit(1 + static_cast<int>(Below(8)));
    request.set_group_by("rank");
    request.set_group_limit(1 + static_cast<int>(Below(4)));
    const v1::SearchResponse response = Search(request);
    std::vector<std::pair<int, std::vector<v1::Hit>>> groups;
    for (const v1::Hit& hit : hits.hits()) {
      const int rank = model_.at(hit.ref().key()).rank;
      auto at = std::find_if(groups.begin(), groups.end(),
                             [&](const auto& group) { return group.first == rank; });
      if (at == groups.end()) {
        if (groups.size() == static_cast<size_t>(request.limit())) continue;
        at = groups.insert(groups.end(), {rank, {}});
      }
      if (at->second.size() < static_cast<size_t>(request.group_limit())) {
        at->second.push_back(hit);
      }
    }
    ASSERT_EQ(response.groups_size(), static_cast<int>(groups.size()));
    for (int i = 0; i < response.groups_size(); ++i) {
      const auto& [rank, members] = groups[static_cast<size_t>(i)];
      ASSERT_EQ(response.groups(i).value().int_value(), rank);
      ASSERT_EQ(response.groups(i).hits_size(), static_cast<int>(members.size()));
      for (int j = 0; j < response.groups(i).hits_size(); ++j) {
        ASSERT_EQ(response.groups(i).hits(j).SerializeAsString().size(),
                  members[static_cast<size_t>(j)].SerializeAsString().size());
        ASSERT_EQ(response.groups(i).hits(j).ref().key(),
                  members[static_cast<size_t>(j)].ref().key());
      }
    }
    EXPECT_FALSE(response.diagnostics().truncated());
  }
}

TEST_P(LaneSearchTest, GroupsOfWordsLookAtAsManyAsTheyNeed) {
  const Scores all =
      NaiveWords({"rain"}, {"title", "content"}, false, {{"title", 2}, {"content", 1}});
  std::map<int, double> best;
  for (const auto& [key, score] : all) {
    double& least = best.emplace(model_.at(key).rank, score).first->second;
    least = std::max(least, score);
  }
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.mutable_text()->set_text("rain");
  request.set_group_by("rank");
  request.set_limit(10);
  request.set_group_limit(20);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.groups_size(), static_cast<int>(best.size()));
  int64_t hits = 0;
  for (const v1::SearchGroup& group : response.groups()) {
    ASSERT_NEAR(group.hits(0).score(), best[static_cast<int>(group.value().int_value())], 1e-9);
    hits += group.hits_size();
  }
  EXPECT_EQ(hits + response.diagnostics().hits_left_out(), static_cast<int64_t>(all.size()));
}

TEST_P(LaneSearchTest, CountsAllThatMatch) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Asked> lanes;
    for (uint64_t i = 1 + Below(3); i > 0; --i) lanes.push_back(AskWords());
    if (Below(2) == 0) lanes.push_back(AskPlace());
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.set_limit(1);
    request.set_count_matches(true);
    AddFilter(&request, &lanes);
    std::set<std::string> matching;
    for (const Asked& asked : lanes) {
      *request.add_lanes() = asked.lane;
      if (!asked.lane.has_text()) continue;
      for (const auto& [key, score] : asked.expected) matching.insert(key);
    }
    EXPECT_EQ(Search(request).total_matches(), static_cast<int64_t>(matching.size()))
        << request.DebugString();
    if (lanes.size() > 1) continue;
    v1::SearchRequest alone = request;
    alone.clear_lanes();
    *alone.mutable_text() = lanes.front().lane.text();
    EXPECT_EQ(Search(alone).total_matches(), static_cast<int64_t>(matching.size()));
    alone.set_count_matches(false);
    EXPECT_EQ(Search(alone).total_matches(), 0);
  }
}

TEST_P(LaneSearchTest, ModesDecideWhatMatches) {
  const auto found = [&](const std::string& text, v1::TextQueryMode mode,
                         const std::string& field = "") {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.mutable_text()->set_text(text);
    request.mutable_text()->set_mode(mode);
    if (!field.empty()) request.mutable_text()->add_fields(field);
    request.set_limit(kEverything);
    const v1::SearchResponse response = Search(request);
    std::set<std::string> keys;
    for (const v1::Hit& hit : response.hits()) keys.insert(hit.ref().key());
    return keys;
  };
  using Matches = std::function<bool(const Model&)>;
  const auto expected = [&](const Matches& test) {
    std::set<std::string> keys;
    for (const auto& [key, object] : model_) {
      if (test(object)) keys.insert(key);
    }
    EXPECT_FALSE(keys.empty());
    return keys;
  };
  const auto has = [](const Model& object, const std::string& field, const std::string& word) {
    const Words& text = object.texts.at(field);
    return std::find(text.begin(), text.end(), word) != text.end();
  };
  const auto follows = [](const Model& object, const std::string& field) {
    const Words& text = object.texts.at(field);
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i - 1] == "rain" && text[i] == "sun") return true;
    }
    return false;
  };
  const auto either = [&](const Model& object, const std::string& word) {
    return has(object, "title", word) || has(object, "content", word);
  };
  EXPECT_EQ(found("rain sun", v1::TEXT_QUERY_MODE_PHRASE), expected([&](const Model& object) {
              return follows(object, "title") || follows(object, "content");
            }));
  EXPECT_EQ(found("rain AND NOT sun", v1::TEXT_QUERY_MODE_RAW), expected([&](const Model& object) {
              return either(object, "rain") && !either(object, "sun");
            }));
  EXPECT_EQ(found("title:(storm OR mud) content:ra*", v1::TEXT_QUERY_MODE_RAW),
            expected([&](const Model& object) {
              return (has(object, "title", "storm") || has(object, "title", "mud")) &&
                     has(object, "content", "rain");
            }));
  EXPECT_EQ(found("clovd~1", v1::TEXT_QUERY_MODE_RAW, "content"),
            expected([&](const Model& object) { return has(object, "content", "cloud"); }));
  // Operators are words like others unless the query is raw, and no text is an error.
  EXPECT_EQ(found("rain) AND NOT (\"sun", v1::TEXT_QUERY_MODE_ALL_WORDS), std::set<std::string>());
  EXPECT_EQ(found("rain:)(", v1::TEXT_QUERY_MODE_UNSPECIFIED),
            expected([&](const Model& object) { return either(object, "rain"); }));
  // Without words nothing is found.
  for (const char* nothing : {"", "  ", "…!", "()"}) {
    EXPECT_TRUE(found(nothing, v1::TEXT_QUERY_MODE_ANY_WORDS).empty());
    EXPECT_TRUE(found(nothing, v1::TEXT_QUERY_MODE_PHRASE).empty());
  }
  EXPECT_TRUE(found("", v1::TEXT_QUERY_MODE_RAW).empty());
}

TEST_P(LaneSearchTest, SnippetsShowTheWordsWhereTheyStand) {
  int highlights = 0;
  for (int round = 0; round < 30; ++round) {
    const Asked asked = AskWords();
    const Words words = SplitWords(asked.lane.text().text());
    v1::SearchRequest request;
    request.set_collection(kCollection);
    *request.mutable_text() = asked.lane.text();
    request.mutable_snippets()->set_max_words(1 + static_cast<int>(Below(8)));
    request.mutable_snippets()->set_max_snippets(1 + static_cast<int>(Below(3)));
    const v1::SearchResponse response = Search(request);
    for (const v1::Hit& hit : response.hits()) {
      ASSERT_FALSE(hit.has_object());
      ASSERT_GT(hit.snippets_size(), 0);
      std::map<std::string, int> of_field;
      for (const v1::Snippet& snippet : hit.snippets()) {
        const Words& text_words = model_.at(hit.ref().key()).texts.at(snippet.field());
        const std::string text = JoinWords(text_words);
        const auto offset = static_cast<size_t>(snippet.offset());
        ASSERT_EQ(text.substr(offset, snippet.text().size()), snippet.text());
        ASSERT_EQ(snippet.cut_before(), offset > 0);
        ASSERT_EQ(snippet.cut_after(), offset + snippet.text().size() < text.size());
        ASSERT_LE(SplitWords(snippet.text()).size(),
                  static_cast<size_t>(request.snippets().max_words()));
        ASSERT_LE(++of_field[snippet.field()], request.snippets().max_snippets());
        // All words searched for are marked, and nothing else.
        const Words shown = SplitWords(snippet.text());
        int64_t wanted = 0;
        for (const std::string& word : words)
          wanted += std::count(shown.begin(), shown.end(), word);
        ASSERT_EQ(snippet.highlights_size(), wanted) << snippet.DebugString();
        for (const v1::ByteRange& range : snippet.highlights()) {
          const std::string marked = snippet.text().substr(
              static_cast<size_t>(range.begin()), static_cast<size_t>(range.end() - range.begin()));
          ASSERT_TRUE(std::find(words.begin(), words.end(), marked) != words.end()) << marked;
          ++highlights;
        }
      }
      const bool one = !asked.lane.text().fields().empty();
      ASSERT_TRUE(of_field.size() == 1 || !one);
    }
  }
  EXPECT_GT(highlights, 100);
}

TEST_P(LaneSearchTest, SnippetsOfListsAndFuzzyWords) {
  v1::UpdateCollectionRequest update;
  update.set_collection(kCollection);
  v1::TextField* notes = update.add_put_text_fields();
  notes->set_name("notes");
  notes->mutable_analyzer()->set_language("en");
  v1::UpdateCollectionResponse updated;
  absl::Status status = database_->catalog().UpdateCollection(context_, update, &updated);
  ASSERT_TRUE(status.ok()) << status;
  v1::PutObjectRequest put;
  *put.mutable_write()->mutable_object()->mutable_ref() = Ref("listed");
  auto* list =
      (*put.mutable_write()->mutable_object()->mutable_properties())["notes"].mutable_list_value();
  for (const char* text : {"Nothing here", "The quick foxes jumped", "Foxes, again"}) {
    list->add_values()->set_string_value(text);
  }
  v1::PutObjectResponse done;
  ASSERT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.mutable_text()->set_text("notes:fox^2 notes:quik~1");
  request.mutable_text()->set_mode(v1::TEXT_QUERY_MODE_RAW);
  request.mutable_snippets()->set_max_snippets(5);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.hits_size(), 1);
  const v1::Hit& hit = response.hits(0);
  ASSERT_EQ(hit.snippets_size(), 2) << hit.DebugString();
  EXPECT_EQ(hit.snippets(0).text(), "The quick foxes jumped");
  EXPECT_EQ(hit.snippets(0).highlights_size(), 2);
  EXPECT_EQ(hit.snippets(0).offset(), 0);
  EXPECT_EQ(hit.snippets(1).text(), "Foxes, again");
  // A field that has none of the words shows its beginning.
  request.mutable_text()->set_text("notes:quick");
  request.mutable_snippets()->add_fields("content");
  request.mutable_snippets()->add_fields("notes");
  const v1::SearchResponse again = Search(request);
  ASSERT_EQ(again.hits_size(), 1);
  ASSERT_EQ(again.hits(0).snippets_size(), 1);
  EXPECT_EQ(again.hits(0).snippets(0).field(), "notes");
}

// What a fuzzy word or a prefix stands for is marked in the fields where it was asked for,
// and what is excluded nowhere.
TEST_P(LaneSearchTest, SnippetsMarkWhatWasAskedOfTheField) {
  v1::UpdateCollectionRequest update;
  update.set_collection(kCollection);
  for (const char* name : {"head", "body"}) update.add_put_text_fields()->set_name(name);
  v1::UpdateCollectionResponse updated;
  const absl::Status status = database_->catalog().UpdateCollection(context_, update, &updated);
  ASSERT_TRUE(status.ok()) << status;
  const auto put = [&](const std::string& key, const char* head, const char* body) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    *object->mutable_ref() = Ref(key);
    (*object->mutable_properties())["head"].set_string_value(head);
    (*object->mutable_properties())["body"].set_string_value(body);
    v1::PutObjectResponse response;
    ASSERT_TRUE(database_->objects().PutObject(context_, request, &response).ok());
  };
  put("found", "zebra quagga", "zebra quagga okapi");
  put("excluded", "okapi", "quagga");
  const auto marks = [&](const std::string& text) {
    v1::SearchRequest request;
    request.set_collection(kCollection);
    request.mutable_text()->set_text(text);
    request.mutable_text()->set_mode(v1::TEXT_QUERY_MODE_RAW);
    request.mutable_snippets();
    const v1::SearchResponse response = Search(request);
    Words marked;
    for (const v1::Hit& hit : response.hits()) {
      for (const v1::Snippet& snippet : hit.snippets()) {
        for (const v1::ByteRange& range : snippet.highlights()) {
          const auto begin = static_cast<size_t>(range.begin());
          marked.push_back(snippet.field() + ":" +
                           snippet.text().substr(begin, static_cast<size_t>(range.end()) - begin));
        }
      }
    }
    return marked;
  };
  EXPECT_EQ(marks("head:zebro~1 body:okapi"), (Words{"head:zebra", "body:okapi"}));
  EXPECT_EQ(marks("head:zeb* body:okapi"), (Words{"head:zebra", "body:okapi"}));
  EXPECT_EQ(marks("body:quagga NOT head:okapo~1"), (Words{"body:quagga"}));
  EXPECT_EQ(marks("body:quagga NOT head:oka*"), (Words{"body:quagga"}));
}

TEST_P(LaneSearchTest, SnippetsShowTextsThoughNoWordIsLeftOfTheQuery) {
  v1::UpdateCollectionRequest update;
  update.set_collection(kCollection);
  v1::TextField* notes = update.add_put_text_fields();
  notes->set_name("notes");
  notes->mutable_analyzer()->set_language("en");
  v1::UpdateCollectionResponse updated;
  ASSERT_TRUE(database_->catalog().UpdateCollection(context_, update, &updated).ok());
  v1::PutObjectRequest put;
  v1::Object* object = put.mutable_write()->mutable_object();
  *object->mutable_ref() = Ref("noted");
  (*object->mutable_properties())["notes"].set_string_value("The fox of the hill");
  for (const float x : {1.0f, 2.0f, 3.0f}) (*object->mutable_vectors())["place"].add_values(x);
  v1::PutObjectResponse done;
  ASSERT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
  v1::SearchRequest request;
  request.set_collection(kCollection);
  *request.mutable_vector()->mutable_vector() = object->vectors().at("place");
  request.mutable_text()->set_text("the of");
  request.mutable_text()->add_fields("notes");
  request.mutable_snippets();
  request.set_limit(1);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.hits_size(), 1);
  EXPECT_EQ(response.hits(0).ref().key(), "noted");
  ASSERT_EQ(response.hits(0).snippets_size(), 1);
  EXPECT_EQ(response.hits(0).snippets(0).text(), "The fox of the hill");
  EXPECT_EQ(response.hits(0).snippets(0).highlights_size(), 0);
}

TEST_P(LaneSearchTest, SnippetsHaveAsManyWordsAsWereAskedFor) {
  std::string text;
  for (int i = 0; i < 600; ++i) text += "words" + std::to_string(i) + " ";
  v1::PutObjectRequest put;
  *put.mutable_write()->mutable_object()->mutable_ref() = Ref("long");
  put.mutable_write()->mutable_object()->set_content(text + "needle");
  v1::PutObjectResponse done;
  ASSERT_TRUE(database_->objects().PutObject(context_, put, &done).ok());
  v1::SearchRequest request;
  request.set_collection(kCollection);
  request.mutable_text()->set_text("needle");
  request.mutable_text()->add_fields("content");
  request.mutable_snippets()->set_max_words(500);
  const v1::SearchResponse response = Search(request);
  ASSERT_EQ(response.hits_size(), 1);
  ASSERT_EQ(response.hits(0).snippets_size(), 1);
  EXPECT_EQ(SplitWords(response.hits(0).snippets(0).text()).size(), 500u);
}

// A text may be long: what is cancelled is not analyzed to its end for every hit.
TEST(SnippetTest, StopWhenTheCallIsCancelled) {
  CallContext context;
  TestDatabase database([&](DatabaseOptions& options) {
    options.on_lane_searched = [&](std::string_view, std::string_view, double) {
      context.Cancel();
    };
  });
  CallContext writer;
  v1::PutObjectRequest put;
  put.mutable_write()->mutable_object()->mutable_ref()->set_key("a");
  put.mutable_write()->mutable_object()->set_content("rain");
  v1::PutObjectResponse done;
  ASSERT_TRUE(database->objects().PutObject(writer, put, &done).ok());
  v1::SearchRequest request;
  request.mutable_text()->set_text("rain");
  request.mutable_snippets();
  v1::SearchResponse response;
  EXPECT_EQ(database->search().Search(context, request, &response).code(),
            absl::StatusCode::kCancelled);
}

TEST_P(LaneSearchTest, StagesSayWhatHappened) {
  v1::SearchRequest request;
  request.set_collection(kCollection);
  *request.mutable_vector() = AskPlace().lane.vector();
  request.mutable_text()->set_text("rain storm mud");
  request.add_labels("odd");
  request.mutable_snippets();
  request.set_with_objects(true);
  request.set_with_lanes(true);
  request.set_limit(5);
  EXPECT_EQ(Search(request).stages_size(), 0);
  request.set_explain(true);
  const v1::SearchResponse response = Search(request);
  std::vector<std::string> names;
  for (const v1::PlanStage& stage : response.stages()) {
    names.push_back(stage.name());
    EXPECT_FALSE(stage.detail().empty()) << stage.name();
    int64_t inside = 0;
    for (const v1::PlanStage& part : stage.stages()) inside += part.elapsed_us();
    EXPECT_LE(inside, stage.elapsed_us()) << stage.DebugString();
  }
  ASSERT_EQ(names,
            (std::vector<std::string>{"filter", "vector", "text", "fuse", "fetch", "lanes"}));
  int64_t odd = 0;
  for (const auto& [key, object] : model_) odd += object.odd ? 1 : 0;
  EXPECT_EQ(response.stages(0).output(), odd);
  std::set<std::string> together;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response.stages(1 + i).output(), response.lanes(i).hits_size());
    for (const v1::Hit& hit : response.lanes(i).hits()) together.insert(hit.ref().key());
  }
  EXPECT_EQ(response.stages(3).input(),
            response.lanes(0).hits_size() + response.lanes(1).hits_size());
  EXPECT_EQ(response.stages(3).output(), static_cast<int64_t>(together.size()));
  EXPECT_EQ(response.stages(4).output(), 5);
  const v1::PlanStage& text = response.stages(2);
  ASSERT_EQ(text.stages_size(), 2);
  EXPECT_EQ(text.stages(0).name(), "analyze");
  // Three words in two fields.
  EXPECT_EQ(text.stages(0).output(), 6);
  EXPECT_EQ(text.stages(1).name(), "match");
  EXPECT_GE(text.stages(1).input(), text.output());
  ASSERT_EQ(response.stages(4).stages_size(), 1);
  int64_t snippets = 0;
  for (const v1::Hit& hit : response.hits()) snippets += hit.snippets_size();
  EXPECT_EQ(response.stages(4).stages(0).output(), snippets);
  EXPECT_NE(response.diagnostics().strategy().find(" + "), std::string::npos);
}

TEST_P(LaneSearchTest, ABatchAnswersAsItsSearchesDo) {
  v1::BatchSearchRequest batch;
  for (int i = 0; i < 30; ++i) {
    v1::SearchRequest* search = batch.add_searches();
    search->set_collection(kCollection);
    std::vector<Asked> lanes = {AskAny(), AskAny()};
    AddFilter(search, &lanes);
    for (Asked& asked : lanes) {
      asked.lane.set_candidates(0);
      *search->add_lanes() = asked.lane;
    }
    search->set_with_lanes(i % 3 == 0);
  }
  v1::BatchSearchResponse response;
  const absl::Status status = database_->search().BatchSearch(context_, batch, &response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(response.results_size(), batch.searches_size());
  for (int i = 0; i < batch.searches_size(); ++i) {
    v1::SearchResponse expected = Search(batch.searches(i));
    v1::SearchResponse got = response.results(i);
    expected.clear_diagnostics();
    got.clear_diagnostics();
    ASSERT_EQ(got.DebugString(), expected.DebugString());
  }
}

TEST_P(LaneSearchTest, TheTextIndexIsDescribed) {
  v1::DescribeIndexRequest request;
  request.set_collection(kCollection);
  request.set_text(true);
  v1::DescribeIndexResponse response;
  const absl::Status status = database_->search().DescribeIndex(context_, request, &response);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(response.text_fields_size(), 3);
  EXPECT_EQ(response.text_fields(0).field().name(), "title");
  EXPECT_EQ(response.text_fields(0).field().boost(), 2);
  EXPECT_EQ(response.text_fields(1).field().source(), "$content");
}

INSTANTIATE_TEST_SUITE_P(IndexAndStore, LaneSearchTest, testing::Values(true, false),
                         [](const auto& test) {
                           return test.param ? std::string("Index") : std::string("Store");
                         });

}  // namespace
}  // namespace cookix::engine
