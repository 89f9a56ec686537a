// The engine ranks texts as well as a plain Okapi BM25 does on the same terms.
//
// COOKIX_DATA_DIR names the folder with cacm/, cisi/ and cranfield/ (corpus.jsonl,
// queries.jsonl, qrels.tsv). Without it the tests of real collections say "data absent" and
// pass; a small collection of our own is always there.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/judged_collection.h"
#include "tests/support/okapi_reference.h"

namespace cookix::tests {
namespace {

constexpr double kTolerance = 0.005;

JudgedCollection Kitchen() {
  JudgedCollection kitchen;
  kitchen.name = "kitchen";
  kitchen.documents = {
      "Bread. Knead the dough for ten minutes, let it rise, and bake the loaf in a hot oven.",
      "Rye bread with sourdough. A sourdough starter needs flour, water and several days.",
      "Flat breads are baked on a hot stone without yeast, or in a pan.",
      "How yeast works: it ferments the sugar of the dough, and the gas makes it rise.",
      "A cake of chocolate. Melt the chocolate with butter, fold in eggs and sugar, and bake it.",
      "Chocolate is tempered by melting, cooling and warming it, so that it stays glossy.",
      "Whisk egg whites with sugar into a stiff meringue, and dry it in a cool oven.",
      "Apple pie. Line a tin with pastry, fill it with sliced apples, sugar and cinnamon.",
      "Puff pastry is butter folded into dough again and again, rested in the cold.",
      "Tomato soup: roast the tomatoes with garlic, then simmer them in stock.",
      "Vegetable stock is made of onions, carrots, celery and herbs that simmer for an hour.",
      "Onion soup. Brown the onions slowly in butter, add stock, and serve it with toasted bread.",
      "Lentils need no soaking. Simmer them with carrots, and season when they are soft.",
      "Beans are soaked overnight, boiled hard for ten minutes and simmered until soft.",
      "Fish stock takes twenty minutes. Bones that simmer longer make it bitter.",
      "Grilled fish. Oil the fish, not the grill, and turn it once.",
      "Pickled cucumbers ferment in brine for a week. Keep them below the surface.",
      "Sauerkraut: cabbage and salt ferment in a crock; the salt draws the water out.",
      "Sharpen a knife on a wet stone, at the same angle from heel to tip.",
      "A cast iron pan is seasoned with oil that is baked into its surface.",
      "",
  };
  kitchen.queries = {
      {"how to bake bread", {0, 1, 2}},
      {"fermenting vegetables in salt", {16, 17}},
      {"Why does dough rise with yeast?", {0, 3}},
      {"simmering stock for soups", {9, 10, 11, 14}},
      {"melted chocolate", {4, 5}},
      {"seasoning pans", {19}},
      {"grilling a fish", {14, 15}},
      {"pastry with butter, butter, butter", {7, 8}},
  };
  return kitchen;
}

// The reference itself, by hand: of two documents of two and four words, "b" is in one,
// twice among four.
TEST(OkapiReferenceTest, IsTheFormula) {
  OkapiReference reference;
  reference.Add({"a", "c"});
  reference.Add({"a", "b", "b", "c"});
  reference.Add({});
  const auto hits = reference.Search({"b"}, 10);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].document, 1u);
  const double idf = std::log(1 + (2 - 1 + 0.5) / (1 + 0.5));
  EXPECT_NEAR(hits[0].score, idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3)), 1e-12);
  EXPECT_NEAR(reference.Search({"b", "b"}, 10)[0].score, 2 * hits[0].score, 1e-12);
  // The shorter one first.
  EXPECT_EQ(reference.Search({"a"}, 1)[0].document, 0u);
}

TEST(NdcgTest, CountsWhatIsFirst) {
  EXPECT_EQ(NdcgAt10({3, 1}, {1, 3}), 1);
  EXPECT_EQ(NdcgAt10({5, 6}, {1, 3}), 0);
  EXPECT_NEAR(NdcgAt10({5, 3}, {3}), 1 / std::log2(3), 1e-12);
  EXPECT_NEAR(NdcgAt10({3, 5, 1}, {1, 3}), (1 + 0.5) / (1 + 1 / std::log2(3)), 1e-12);
}

void ExpectEqualQuality(const JudgedCollection& collection, double least) {
  const auto quality = MeasureRankings(collection);
  ASSERT_TRUE(quality.ok()) << quality.status();
  std::printf("%s: nDCG@10 %.4f, reference %.4f\n", collection.name.c_str(), quality->engine,
              quality->reference);
  EXPECT_NEAR(quality->engine, quality->reference, kTolerance);
  EXPECT_GT(quality->reference, least);
}

TEST(TextQualityTest, RanksASmallCollectionLikeTheReference) { ExpectEqualQuality(Kitchen(), 0.7); }

class RealCollectionTest : public ::testing::TestWithParam<const char*> {};

TEST_P(RealCollectionTest, IsRankedLikeTheReference) {
  const char* root = std::getenv("COOKIX_DATA_DIR");
  const std::string directory = root == nullptr ? "" : std::string(root) + "/" + GetParam();
  const auto collection = JudgedCollection::Read(GetParam(), directory);
  if (root == nullptr || absl::IsNotFound(collection.status())) {
    std::printf("data absent: set COOKIX_DATA_DIR to a folder with %s/\n", GetParam());
    return;
  }
  ASSERT_TRUE(collection.ok()) << collection.status();
  ExpectEqualQuality(*collection, 0.25);
}

INSTANTIATE_TEST_SUITE_P(Collections, RealCollectionTest,
                         ::testing::Values("cacm", "cisi", "cranfield"));

}  // namespace
}  // namespace cookix::tests
