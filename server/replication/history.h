// What a server is, as servers tell each other, and whether one can follow the other.
#ifndef COOKIX_SERVER_REPLICATION_HISTORY_H_
#define COOKIX_SERVER_REPLICATION_HISTORY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cookix/internal/v1/replication.pb.h"
#include "storage/epoch_history.h"
#include "storage/store.h"

namespace cookix::server {

// Behind by more than this, a replica is catching up.
inline constexpr int64_t kCatchingUpMs = 1000;

// Fills identity, epochs, last commit and format of `store`. The epochs cover the commit.
void DescribeStore(const storage::Store& store, internal::v1::ServerState* state);

storage::EpochHistory EpochsOf(const internal::v1::ServerState& state);

// The last epoch; 0 when there is none.
uint64_t LastEpoch(const internal::v1::ServerState& state);

// The epoch that a promotion begins when `last` is the latest that is known. Epochs are left out
// in between: a lost primary that comes back from a crash, and that nobody has told of the
// promotion yet, begins the next one of its own then, and must remain the one that gives way,
// however often it crashes.
uint64_t PromotedEpoch(uint64_t last);

// Whether the two are servers of one store. Without a store, no.
bool SameStore(const internal::v1::ServerState& a, const internal::v1::ServerState& b);

// OK when `follower` may follow `source`, with or without a new copy: a store that is new, or
// the same and of no later epoch; formats that fit; no circle. FAILED_PRECONDITION
// OWN_REPLICA, FORMAT_MISMATCH, STORE_MISMATCH or EPOCH_TOO_OLD, which a new copy would not
// mend; UNAVAILABLE SEEDING when the source has no store itself.
absl::Status CheckSource(const internal::v1::ServerState& follower,
                         const internal::v1::ServerState& source);

// OK when all that `follower` holds is in the history of `source` (storage::WhyDiverged()), so
// that it can go on with the commit after. FAILED_PRECONDITION HISTORY_DIVERGED when it is not: a
// new copy is needed. UNAVAILABLE when the source itself is behind in the same epoch. REQUIRES:
// CheckSource().
absl::Status CheckContinues(const internal::v1::ServerState& follower,
                            const internal::v1::ServerState& source);

// HISTORY_DIVERGED, POSITION_EXPIRED: what only a new copy mends.
bool NeedsCopy(const absl::Status& status);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_REPLICATION_HISTORY_H_
