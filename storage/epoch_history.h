// Which history a commit belongs to.
//
// Every store has epochs (Store::Epochs()). Copies of one store that went on by themselves
// agree up to where their epochs differ; backups and archived log of several of them may lie
// side by side, and only those of one history may be put together.
#ifndef COOKIX_STORAGE_EPOCH_HISTORY_H_
#define COOKIX_STORAGE_EPOCH_HISTORY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/position.h"

namespace cookix::storage {

// Rising, as Store::Epochs().
using EpochHistory = std::vector<EpochStart>;

// Whether a store with the epochs `history` holds commit `commit` of epoch `epoch` as a store
// with the epochs `of` holds it. Commit 0 of the first epoch is in every history that begins
// so.
bool Holds(const EpochHistory& history, const EpochHistory& of, uint64_t epoch, uint64_t commit);

// The epoch in which commit `commit` was made, or will be; 0 when there is none.
uint64_t EpochOf(const EpochHistory& history, uint64_t commit);

// How many epochs both begin with.
size_t CommonEpochs(const EpochHistory& a, const EpochHistory& b);

// Why a store with the epochs `mine`, whose last commit is `commit`, cannot go on with `theirs`;
// empty when it can, since all its commits are in that history. An epoch of its own in which
// nothing was committed does not count where theirs has a later one.
std::string WhyDiverged(const EpochHistory& mine, uint64_t commit, const EpochHistory& theirs);

// The epochs up to `epoch`, with it.
EpochHistory UpTo(const EpochHistory& history, uint64_t epoch);

// Whether `a` goes on later than `b`: what was begun last is what a person means who says
// nothing else.
bool IsNewer(const EpochHistory& a, const EpochHistory& b);

std::string EncodeHistory(const EpochHistory& history);
// False for anything else; consumes what it decodes from the front of `in`.
bool DecodeHistory(std::string_view* in, EpochHistory* history);

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_EPOCH_HISTORY_H_
