#include "engine/security/key_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "storage/base/status.h"

namespace cookix::engine {
namespace {

v1::Grant MakeGrant(const std::string& namespace_name, v1::Role role) {
  v1::Grant grant;
  grant.set_namespace_(namespace_name);
  grant.set_role(role);
  return grant;
}

const std::vector<v1::Grant>& Admin() {
  static const auto* const kGrants = new std::vector<v1::Grant>{MakeGrant("*", v1::ROLE_ADMIN)};
  return *kGrants;
}

std::string ReasonOf(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

std::string FieldOf(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->field : "";
}

class KeyStoreTest : public testing::Test {
 protected:
  KeyStoreTest() {
    storage::Options options;
    options.path = "keys";
    options.in_memory = true;
    auto store = storage::Store::Open(options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Reopen();
  }

  void Reopen() {
    keys_.reset();
    auto keys = KeyStore::Open(*store_);
    ASSERT_TRUE(keys.ok()) << keys.status();
    keys_ = *std::move(keys);
  }

  KeyStore::NewKey Create(const std::vector<v1::Grant>& grants = Admin()) {
    auto created = keys_->Create("test", grants, 0, 0);
    EXPECT_TRUE(created.ok()) << created.status();
    return *std::move(created);
  }

  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<KeyStore> keys_;
};

TEST_F(KeyStoreTest, ANewKeyAuthenticates) {
  EXPECT_FALSE(keys_->HasKeys());
  EXPECT_FALSE(keys_->HasAdministrator());
  const auto created = Create();
  EXPECT_EQ(created.secret.substr(0, 21), "ckx_" + created.key.id() + "_");
  // 256 bits in base64url without padding.
  EXPECT_EQ(created.secret.size(), 21u + 43u);
  const auto found = keys_->Authenticate(created.secret);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id(), created.key.id());
  EXPECT_EQ(found->SerializeAsString().find(created.secret.substr(21)), std::string::npos);
  EXPECT_TRUE(keys_->HasKeys());
  EXPECT_TRUE(keys_->HasAdministrator());
  EXPECT_TRUE(keys_->IsActive(created.key.id()));
}

TEST_F(KeyStoreTest, NothingElseAuthenticates) {
  const auto created = Create();
  EXPECT_FALSE(keys_->Authenticate("").has_value());
  EXPECT_FALSE(keys_->Authenticate("ckx_").has_value());
  EXPECT_FALSE(keys_->Authenticate(created.key.id()).has_value());
  EXPECT_FALSE(keys_->Authenticate(created.secret + "x").has_value());
  EXPECT_FALSE(keys_->Authenticate(created.secret.substr(1)).has_value());
  EXPECT_FALSE(keys_->Authenticate(std::string(1 << 20, 'x')).has_value());
  for (size_t i = 0; i < created.secret.size(); ++i) {
    std::string changed = created.secret;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(keys_->Authenticate(changed).has_value()) << i;
  }
}

TEST_F(KeyStoreTest, SecretsAndIdsDoNotRepeat) {
  std::set<std::string> secrets;
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const auto created = Create();
    EXPECT_TRUE(secrets.insert(created.secret.substr(21)).second);
    EXPECT_TRUE(ids.insert(created.key.id()).second);
  }
  for (const auto& key : keys_->List(true)) EXPECT_EQ(ids.count(key.id()), 1u);
}

TEST_F(KeyStoreTest, KeysSurviveReopening) {
  const auto first = Create();
  const auto second = Create({MakeGrant("default", v1::ROLE_READ)});
  ASSERT_TRUE(keys_->Revoke(second.key.id()).ok());
  Reopen();
  EXPECT_TRUE(keys_->Authenticate(first.secret).has_value());
  EXPECT_FALSE(keys_->Authenticate(second.secret).has_value());
  EXPECT_EQ(keys_->List(true).size(), 2u);
  EXPECT_EQ(keys_->List(false).size(), 1u);
}

TEST_F(KeyStoreTest, TheSameSecretMeansNothingInAnotherStore) {
  const auto created = Create();
  storage::Options options;
  options.path = "other";
  options.in_memory = true;
  auto other_store = storage::Store::Open(options);
  ASSERT_TRUE(other_store.ok());
  auto other = KeyStore::Open(**other_store);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE((*other)->Create("test", Admin(), 0, 0).ok());
  EXPECT_FALSE((*other)->Authenticate(created.secret).has_value());
}

TEST_F(KeyStoreTest, RevokingWorksAtOnceAndTwice) {
  Create();
  const auto created = Create();
  const auto revoked = keys_->Revoke(created.key.id());
  ASSERT_TRUE(revoked.ok());
  EXPECT_GT(revoked->revoked_ms(), 0);
  EXPECT_FALSE(keys_->Authenticate(created.secret).has_value());
  EXPECT_FALSE(keys_->IsActive(created.key.id()));
  const auto again = keys_->Revoke(created.key.id());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->revoked_ms(), revoked->revoked_ms());
  EXPECT_EQ(ReasonOf(keys_->Revoke("0123456789abcdef").status()), "KEY_NOT_FOUND");
  EXPECT_EQ(ReasonOf(keys_->Rotate(created.key.id(), 0).status()), "KEY_INACTIVE");
}

TEST_F(KeyStoreTest, TheLastAdministratorStays) {
  const auto admin = Create();
  Create({MakeGrant("*", v1::ROLE_WRITE)});
  Create({MakeGrant("default", v1::ROLE_ADMIN)});
  const auto refused = keys_->Revoke(admin.key.id());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused.status()), "LAST_ADMINISTRATOR");
  EXPECT_TRUE(keys_->Authenticate(admin.secret).has_value());
  Create();
  EXPECT_TRUE(keys_->Revoke(admin.key.id()).ok());
}

TEST_F(KeyStoreTest, RotationWithoutGraceEndsTheOldSecret) {
  const auto created = Create();
  const auto rotated = keys_->Rotate(created.key.id(), 0);
  ASSERT_TRUE(rotated.ok());
  EXPECT_EQ(rotated->key.id(), created.key.id());
  EXPECT_GT(rotated->key.rotated_ms(), 0);
  EXPECT_FALSE(keys_->Authenticate(created.secret).has_value());
  EXPECT_TRUE(keys_->Authenticate(rotated->secret).has_value());
}

TEST_F(KeyStoreTest, RotationWithGraceKeepsTheOldSecretForAWhile) {
  Create();
  const auto created = Create();
  const auto rotated = keys_->Rotate(created.key.id(), 60'000);
  ASSERT_TRUE(rotated.ok());
  EXPECT_TRUE(keys_->Authenticate(created.secret).has_value());
  EXPECT_TRUE(keys_->Authenticate(rotated->secret).has_value());
  Reopen();
  EXPECT_TRUE(keys_->Authenticate(created.secret).has_value());
  // Only the secret before the last one is kept.
  const auto again = keys_->Rotate(created.key.id(), 60'000);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(keys_->Authenticate(created.secret).has_value());
  EXPECT_TRUE(keys_->Authenticate(rotated->secret).has_value());
  // Revoking ends both.
  ASSERT_TRUE(keys_->Revoke(created.key.id()).ok());
  EXPECT_FALSE(keys_->Authenticate(rotated->secret).has_value());
  EXPECT_FALSE(keys_->Authenticate(again->secret).has_value());
}

TEST_F(KeyStoreTest, GraceEnds) {
  const auto created = Create();
  ASSERT_TRUE(keys_->Rotate(created.key.id(), 1).ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (keys_->Authenticate(created.secret).has_value()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
}

TEST_F(KeyStoreTest, ExpiredKeysStop) {
  Create();
  const int64_t soon = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count() +
                       200;
  const auto created = keys_->Create("short", Admin(), soon, 0);
  ASSERT_TRUE(created.ok());
  EXPECT_TRUE(keys_->Authenticate(created->secret).has_value());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (keys_->Authenticate(created->secret).has_value()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
  EXPECT_FALSE(keys_->IsActive(created->key.id()));
}

TEST_F(KeyStoreTest, ChecksWhatItIsGiven) {
  const auto field = [&](const std::string& name, const std::vector<v1::Grant>& grants,
                         int64_t expires_ms, int32_t rate) {
    const auto created = keys_->Create(name, grants, expires_ms, rate);
    EXPECT_EQ(created.status().code(), absl::StatusCode::kInvalidArgument);
    return FieldOf(created.status());
  };
  EXPECT_EQ(field("", Admin(), 0, 0), "name");
  EXPECT_EQ(field(std::string(129, 'x'), Admin(), 0, 0), "name");
  EXPECT_EQ(field("a\nb", Admin(), 0, 0), "name");
  EXPECT_EQ(field("n", {}, 0, 0), "grants");
  EXPECT_EQ(field("n", std::vector<v1::Grant>(257, Admin()[0]), 0, 0), "grants");
  EXPECT_EQ(field("n", {MakeGrant("", v1::ROLE_READ)}, 0, 0), "grants[0].namespace");
  EXPECT_EQ(field("n", {Admin()[0], MakeGrant("No", v1::ROLE_READ)}, 0, 0), "grants[1].namespace");
  EXPECT_EQ(field("n", {MakeGrant("*", v1::ROLE_UNSPECIFIED)}, 0, 0), "grants[0].role");
  EXPECT_EQ(field("n", {MakeGrant("*", static_cast<v1::Role>(9))}, 0, 0), "grants[0].role");
  EXPECT_EQ(field("n", Admin(), 1, 0), "expires_ms");
  EXPECT_EQ(field("n", Admin(), -1, 0), "expires_ms");
  EXPECT_EQ(field("n", Admin(), 0, -1), "requests_per_minute");
  EXPECT_FALSE(keys_->HasKeys());
  const auto created = Create();
  EXPECT_EQ(FieldOf(keys_->Rotate(created.key.id(), -1).status()), "grace_ms");
  EXPECT_EQ(FieldOf(keys_->Rotate(created.key.id(), 8LL * 24 * 3600 * 1000).status()), "grace_ms");
}

TEST(RolesTest, TheHighestMatchingGrantCounts) {
  v1::Key key;
  *key.add_grants() = MakeGrant("*", v1::ROLE_READ);
  *key.add_grants() = MakeGrant("default", v1::ROLE_WRITE);
  *key.add_grants() = MakeGrant("lab", v1::ROLE_ADMIN);
  EXPECT_EQ(RoleOn(key, "other"), v1::ROLE_READ);
  EXPECT_EQ(RoleOn(key, ""), v1::ROLE_WRITE);
  EXPECT_EQ(RoleOn(key, "default"), v1::ROLE_WRITE);
  EXPECT_EQ(RoleOn(key, "lab"), v1::ROLE_ADMIN);
  EXPECT_TRUE(HasEverywhere(key, v1::ROLE_READ));
  EXPECT_FALSE(HasEverywhere(key, v1::ROLE_WRITE));
  EXPECT_EQ(RoleOn(v1::Key(), "default"), v1::ROLE_UNSPECIFIED);
}

TEST(KeyStoreOnDiskTest, NoFileHoldsASecret) {
  const std::string directory = testing::TempDir() + "/keys_on_disk";
  std::filesystem::remove_all(directory);
  std::vector<std::string> secrets;
  {
    storage::Options options;
    options.path = directory;
    options.compression = storage::Compression::kNone;
    auto store = storage::Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    auto keys = KeyStore::Open(**store);
    ASSERT_TRUE(keys.ok());
    for (int i = 0; i < 3; ++i) {
      const auto created = (*keys)->Create("findable-name", Admin(), 0, 0);
      ASSERT_TRUE(created.ok());
      secrets.push_back(created->secret.substr(21));
      const auto rotated = (*keys)->Rotate(created->key.id(), 60'000);
      ASSERT_TRUE(rotated.ok());
      secrets.push_back(rotated->secret.substr(21));
    }
    ASSERT_TRUE((*store)->Flush().ok());
    keys->reset();
  }
  bool found_name = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    found_name |= bytes.find("findable-name") != std::string::npos;
    for (const std::string& secret : secrets) {
      EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path();
    }
  }
  // The scan does look where keys are.
  EXPECT_TRUE(found_name);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace cookix::engine
