// Queries made at random, for tests: whatever a builder can say that means something.
#ifndef COOKIX_ENGINE_QUERY_RANDOM_QUERY_H_
#define COOKIX_ENGINE_QUERY_RANDOM_QUERY_H_

#include <random>
#include <string>

#include "cookix/v1/query_service.pb.h"

namespace cookix::engine {

class RandomQuery {
 public:
  explicit RandomQuery(uint64_t seed) : random_(seed) {}

  // `plain`: only what SEARCH statements have words for.
  v1::BuilderQuery Make(bool plain);
  v1::Filter MakeFilter(int depth);

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Maybe(uint64_t one_of) { return Below(one_of) == 0; }
  std::string Name();
  std::string Relation();
  std::string Text();
  double Number();
  v1::Value Literal();
  void FillSearch(bool plain, v1::SeedSearch* search);
  void FillText(bool plain, v1::TextQuery* text);
  void FillVector(bool plain, v1::VectorQuery* vector);
  void FillLane(v1::SearchLane* lane);
  void FillFollow(v1::FollowStep* step);
  void FillAggregates(v1::BuilderQuery* query);

  std::mt19937_64 random_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_RANDOM_QUERY_H_
