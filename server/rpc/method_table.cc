#include "server/rpc/method_table.h"

#include <unordered_map>

namespace cookix::server {
namespace {

using enum Access;
using v1::ROLE_ADMIN;
using v1::ROLE_READ;
using v1::ROLE_REPLICA;
using v1::ROLE_WRITE;

constexpr Shape kUnary = Shape::kUnary;
constexpr Shape kStream = Shape::kServerStream;
constexpr Shape kBidi = Shape::kBidirectional;

constexpr unsigned kWrite = 1;
constexpr unsigned kQuick = 2;
constexpr unsigned kLong = 4;
constexpr unsigned kPrimary = 8;
constexpr unsigned kStoreless = 16;

constexpr MethodSpec Method(std::string_view name, Access access, v1::Role role,
                            Shape shape = kUnary, unsigned flags = 0) {
  return {name,
          access,
          role,
          shape,
          (flags & kWrite) != 0,
          (flags & (kWrite | kPrimary)) != 0,
          (flags & kStoreless) != 0,
          (flags & kQuick) != 0,
          (flags & kLong) != 0};
}

constexpr MethodSpec kMethods[] = {
    Method("cookix.v1.ObjectService/PutObject", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.ObjectService/BatchPutObjects", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.ObjectService/GetObject", kNamespace, ROLE_READ, kUnary, kQuick),
    Method("cookix.v1.ObjectService/BatchGetObjects", kNamespace, ROLE_READ),
    Method("cookix.v1.ObjectService/PatchObject", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.ObjectService/DeleteObject", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.ObjectService/ScanObjects", kNamespace, ROLE_READ),
    Method("cookix.v1.ObjectService/StreamObjects", kNamespace, ROLE_READ, kStream, kLong),
    Method("cookix.v1.ObjectService/CountObjects", kNamespace, ROLE_READ),
    Method("cookix.v1.ObjectService/Write", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.ObjectService/BulkWrite", kHandler, ROLE_WRITE, kBidi, kWrite | kLong),
    Method("cookix.v1.GraphService/PutEdge", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.GraphService/GetEdge", kNamespace, ROLE_READ, kUnary, kQuick),
    Method("cookix.v1.GraphService/DeleteEdge", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.GraphService/ListNeighbors", kNamespace, ROLE_READ),
    Method("cookix.v1.GraphService/Traverse", kNamespace, ROLE_READ),
    Method("cookix.v1.GraphService/FindPath", kNamespace, ROLE_READ),
    Method("cookix.v1.ReasoningService/Query", kNamespace, ROLE_READ),
    Method("cookix.v1.ReasoningService/FindContradictions", kNamespace, ROLE_READ),
    Method("cookix.v1.ReasoningService/VerifyChain", kNamespace, ROLE_READ),
    Method("cookix.v1.SearchService/Search", kNamespace, ROLE_READ),
    Method("cookix.v1.SearchService/BatchSearch", kNamespace, ROLE_READ),
    Method("cookix.v1.SearchService/DescribeIndex", kNamespace, ROLE_READ),
    Method("cookix.v1.SearchService/InsertVectors", kHandler, ROLE_WRITE, kBidi, kWrite | kLong),
    Method("cookix.v1.QueryService/Compile", kNamespace, ROLE_READ),
    Method("cookix.v1.QueryService/Execute", kNamespace, ROLE_READ),
    Method("cookix.v1.WatchService/Watch", kNamespace, ROLE_READ, kStream, kLong),
    Method("cookix.v1.CatalogService/CreateNamespace", kEverywhere, ROLE_ADMIN, kUnary, kWrite),
    Method("cookix.v1.CatalogService/GetNamespace", kNamespace, ROLE_READ),
    Method("cookix.v1.CatalogService/ListNamespaces", kHandler, ROLE_READ),
    Method("cookix.v1.CatalogService/UpdateNamespace", kNamespace, ROLE_ADMIN, kUnary, kWrite),
    Method("cookix.v1.CatalogService/DeleteNamespace", kNamespace, ROLE_ADMIN, kUnary, kWrite),
    Method("cookix.v1.CatalogService/CopyObjects", kHandler, ROLE_ADMIN, kUnary, kWrite | kLong),
    Method("cookix.v1.CatalogService/CreateCollection", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.CatalogService/GetCollection", kNamespace, ROLE_READ),
    Method("cookix.v1.CatalogService/UpdateCollection", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.CatalogService/ListCollections", kNamespace, ROLE_READ),
    Method("cookix.v1.CatalogService/DeleteCollection", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.CatalogService/PutRelation", kNamespace, ROLE_WRITE, kUnary, kWrite),
    Method("cookix.v1.CatalogService/GetRelation", kNamespace, ROLE_READ),
    Method("cookix.v1.CatalogService/ListRelations", kNamespace, ROLE_READ),
    Method("cookix.v1.CatalogService/DeleteRelation", kNamespace, ROLE_WRITE, kUnary, kWrite),
    // Keys can be managed in read-only mode: what leaked must be revocable.
    Method("cookix.v1.SecurityService/CreateKey", kEverywhere, ROLE_ADMIN, kUnary, kPrimary),
    Method("cookix.v1.SecurityService/ListKeys", kEverywhere, ROLE_ADMIN),
    Method("cookix.v1.SecurityService/RevokeKey", kEverywhere, ROLE_ADMIN, kUnary, kPrimary),
    Method("cookix.v1.SecurityService/RotateKey", kEverywhere, ROLE_ADMIN, kUnary, kPrimary),
    Method("cookix.v1.SecurityService/WhoAmI", kAnyKey, ROLE_READ, kUnary, kQuick),
    Method("cookix.v1.AdminService/GetInfo", kAnyKey, ROLE_READ),
    Method("cookix.v1.AdminService/GetStats", kEverywhere, ROLE_ADMIN),
    Method("cookix.v1.AdminService/Compact", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.AdminService/CreateCheckpoint", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.AdminService/Sync", kEverywhere, ROLE_ADMIN),
    Method("cookix.v1.AdminService/VerifyLog", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.AdminService/RebuildView", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    // Quick, so that they work when every other thread is busy.
    Method("cookix.v1.AdminService/ListQueries", kEverywhere, ROLE_ADMIN, kUnary,
           kQuick | kStoreless),
    Method("cookix.v1.AdminService/CancelQuery", kEverywhere, ROLE_ADMIN, kUnary,
           kQuick | kStoreless),
    Method("cookix.v1.AdminService/SetReadOnly", kEverywhere, ROLE_ADMIN, kUnary,
           kQuick | kStoreless),
    Method("cookix.v1.BackupService/CreateBackup", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.BackupService/ArchiveLog", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.BackupService/ListBackups", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.BackupService/VerifyBackups", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.BackupService/PruneBackups", kEverywhere, ROLE_ADMIN, kUnary, kLong),
    Method("cookix.v1.ReplicationService/GetReplicationStatus", kAnyKey, ROLE_READ, kUnary,
           kStoreless),
    Method("cookix.v1.ReplicationService/Promote", kEverywhere, ROLE_ADMIN, kUnary,
           kLong | kStoreless),
    Method("cookix.v1.ReplicationService/Follow", kEverywhere, ROLE_ADMIN, kUnary,
           kLong | kStoreless),
    Method("cookix.internal.v1.ReplicationService/Introduce", kEverywhere, ROLE_REPLICA, kUnary,
           kStoreless),
    Method("cookix.internal.v1.ReplicationService/Follow", kEverywhere, ROLE_REPLICA, kBidi, kLong),
    Method("cookix.internal.v1.ReplicationService/BeginCopy", kEverywhere, ROLE_REPLICA, kUnary,
           kLong | kStoreless),
    Method("cookix.internal.v1.ReplicationService/ReadCopy", kEverywhere, ROLE_REPLICA, kStream,
           kLong),
    Method("cookix.internal.v1.ReplicationService/EndCopy", kEverywhere, ROLE_REPLICA, kUnary,
           kStoreless),
    Method("grpc.health.v1.Health/Check", kHealth, ROLE_READ, kUnary, kQuick | kStoreless),
    Method("grpc.health.v1.Health/Watch", kHealth, ROLE_READ, kStream, kLong),
    Method("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kAnyKey, ROLE_READ, kBidi,
           kLong),
    Method("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kAnyKey, ROLE_READ,
           kBidi, kLong),
};

}  // namespace

std::span<const MethodSpec> MethodTable() { return kMethods; }

size_t FindMethod(std::string_view name) {
  static const auto* const kIndex = [] {
    auto* index = new std::unordered_map<std::string_view, size_t>;
    for (size_t i = 0; i < std::size(kMethods); ++i) index->emplace(kMethods[i].name, i);
    return index;
  }();
  const auto it = kIndex->find(name);
  return it == kIndex->end() ? std::size(kMethods) : it->second;
}

}  // namespace cookix::server
