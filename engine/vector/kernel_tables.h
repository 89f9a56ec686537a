// What all tables of kernels have in common.
#ifndef COOKIX_ENGINE_VECTOR_KERNEL_TABLES_H_
#define COOKIX_ENGINE_VECTOR_KERNEL_TABLES_H_

#include <cstdint>
#include <vector>

#include "hwy/targets.h"

namespace cookix::engine {

// Of each instruction set that this processor has the table that `best` makes when there is no
// better one, behind the plain one (no vector instructions). For tests.
template <typename Table>
std::vector<Table> TablesOfAllTargets(const Table& plain, Table (*best)()) {
  std::vector<Table> all = {plain};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    all.push_back(best());
  }
  hwy::SetSupportedTargetsForTest(0);
  return all;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_KERNEL_TABLES_H_
