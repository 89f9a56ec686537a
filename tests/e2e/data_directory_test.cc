// What the server says about a data directory or a port that it cannot use, and
// the exit code that scripts see.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

ProgramResult RunServer(const std::string& data_dir, std::vector<std::string> flags = {}) {
  TestServerOptions options;
  options.data_dir = data_dir;
  options.flags = std::move(flags);
  return RunProgram(TestServer::CommandLine(options), {}, 30'000);
}

// Writes `count` objects into a new store and stops the server.
std::string MakeStore(int count) {
  const std::string dir = MakeTempDir("store") + "/data";
  TestServerOptions options;
  options.data_dir = dir;
  auto server = TestServer::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  if (!server.ok()) return dir;
  const auto client = (*server)->Connect();
  for (int i = 0; i < count; ++i) {
    v1::PutObjectResponse response;
    EXPECT_OK(
        client->PutObject(PutRequest(absl::StrCat("k", i), std::string(200, 'x')), &response));
  }
  (*server)->Kill();
  return dir;
}

std::vector<std::filesystem::path> FilesEndingIn(const std::string& dir,
                                                 const std::string& suffix) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file() && absl::EndsWith(entry.path().string(), suffix)) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(DataDirectoryTest, MissingDirectoryIsCreatedUnlessItMustExist) {
  const std::string dir = MakeTempDir("missing") + "/a/b";
  const ProgramResult refused = RunServer(dir, {"--create_data_dir=false"});
  EXPECT_EQ(refused.exit.signal, 0);
  EXPECT_NE(refused.exit.code, 0);
  EXPECT_THAT(refused.output, HasSubstr(dir));
  EXPECT_FALSE(std::filesystem::exists(dir));
  TestServerOptions options;
  options.data_dir = dir;
  EXPECT_TRUE(TestServer::Start(options).ok());
  EXPECT_TRUE(std::filesystem::exists(dir));
}

TEST(DataDirectoryTest, DirectoryInUse) {
  TestServerOptions options;
  options.data_dir = MakeTempDir("locked") + "/data";
  auto server = TestServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  const ProgramResult second = RunServer(options.data_dir);
  EXPECT_GT(second.exit.code, 0);
  EXPECT_THAT(second.output, HasSubstr(options.data_dir));
  EXPECT_THAT(second.output,
              AnyOf(HasSubstr("another process"), HasSubstr("locked"), HasSubstr("in use")));
  // The first one is not disturbed.
  v1::PutObjectResponse response;
  EXPECT_OK((*server)->Connect()->PutObject(PutRequest("a"), &response));
}

TEST(DataDirectoryTest, NotADirectory) {
  const std::string path = MakeTempDir("file") + "/data";
  std::ofstream(path) << "not a directory";
  const ProgramResult result = RunServer(path);
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr(path));
}

TEST(DataDirectoryTest, NotOursToWrite) {
  const std::string dir = MakeTempDir("readonly") + "/data";
  std::filesystem::create_directory(dir);
  chmod(dir.c_str(), 0555);
  if (access(dir.c_str(), W_OK) == 0) {
    // Root may write anywhere; a path below /proc stays closed even to root.
    const ProgramResult result = RunServer("/proc/cookix-data");
    EXPECT_GT(result.exit.code, 0);
    EXPECT_THAT(result.output, HasSubstr("/proc/cookix-data"));
    return;
  }
  const ProgramResult result = RunServer(dir);
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr(dir));
}

TEST(DataDirectoryTest, SomethingElsesDirectory) {
  const std::string dir = MakeTempDir("foreign") + "/data";
  std::filesystem::create_directory(dir);
  std::ofstream(dir + "/holiday.jpg") << "a picture";
  const ProgramResult result = RunServer(dir);
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr(dir));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1)
      << "a directory that is not ours was changed";
}

TEST(DataDirectoryTest, ANewerFormatIsRefusedAndLeftAlone) {
  const std::string dir = MakeStore(3);
  std::ifstream in(dir + "/COOKIX");
  std::string text(std::istreambuf_iterator<char>(in), {});
  const size_t at = text.find("format 1\n");
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, 9, "format 99\n");
  std::ofstream(dir + "/COOKIX") << text;
  const auto before = FilesEndingIn(dir, "");
  const ProgramResult result = RunServer(dir);
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr("99"));
  EXPECT_THAT(result.output, HasSubstr("newer"));
  EXPECT_EQ(FilesEndingIn(dir, ""), before);
}

TEST(DataDirectoryTest, DamageInTheMiddleOfTheLogIsRefusedAndNamed) {
  const std::string dir = MakeStore(200);
  std::vector<std::filesystem::path> logs = FilesEndingIn(dir, ".log");
  ASSERT_FALSE(logs.empty());
  // The largest one has the records.
  std::sort(logs.begin(), logs.end(), [](const auto& a, const auto& b) {
    return std::filesystem::file_size(a) > std::filesystem::file_size(b);
  });
  const auto size = std::filesystem::file_size(logs[0]);
  ASSERT_GT(size, 10'000u);
  {
    std::fstream file(logs[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(size / 2));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(size / 2));
    file.put(static_cast<char>(byte ^ 0x20));
  }
  const ProgramResult result = RunServer(dir);
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr(logs[0].filename().string()));
  EXPECT_EQ(result.exit.signal, 0);
}

TEST(DataDirectoryTest, ATornTailIsReportedAndDropped) {
  const std::string dir = MakeStore(200);
  std::vector<std::filesystem::path> logs = FilesEndingIn(dir, ".log");
  ASSERT_FALSE(logs.empty());
  std::sort(logs.begin(), logs.end(), [](const auto& a, const auto& b) {
    return std::filesystem::file_size(a) > std::filesystem::file_size(b);
  });
  std::filesystem::resize_file(logs[0], std::filesystem::file_size(logs[0]) - 7);
  TestServerOptions options;
  options.data_dir = dir;
  auto server = TestServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  v1::CountObjectsResponse count;
  ASSERT_OK((*server)->Connect()->CountObjects({}, &count));
  EXPECT_EQ(count.count(), 199);
  EXPECT_THAT((*server)->Output(), HasSubstr(logs[0].filename().string()));
}

TEST(DataDirectoryTest, DamagedSortedFileIsAnErrorAndNotACrash) {
  const std::string dir = MakeTempDir("sst") + "/data";
  TestServerOptions options;
  options.data_dir = dir;
  {
    auto server = TestServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    const auto client = (*server)->Connect();
    for (int i = 0; i < 100; ++i) {
      v1::PutObjectResponse response;
      ASSERT_OK(
          client->PutObject(PutRequest(absl::StrCat("k", i), std::string(500, 'x')), &response));
    }
    v1::CompactResponse compacted;
    ASSERT_OK(client->Compact({}, &compacted));
    EXPECT_EQ((*server)->Terminate().code, 0);
  }
  const std::vector<std::filesystem::path> files = FilesEndingIn(dir, ".sst");
  ASSERT_FALSE(files.empty());
  for (const auto& path : files) {
    const auto size = std::filesystem::file_size(path);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (std::streamoff at = 16; at < static_cast<std::streamoff>(size); at += 64) {
      file.seekp(at);
      file.put('\x5a');
    }
  }
  TestServer server(options);
  server.Launch();
  const absl::Status started = server.WaitUntilListening();
  if (!started.ok()) {
    const ExitStatus exit = server.Wait();
    EXPECT_EQ(exit.signal, 0) << server.Output();
    EXPECT_GT(exit.code, 0);
    return;
  }
  v1::GetObjectResponse got;
  const absl::Status status = server.Connect()->GetObject(GetRequest("k1"), &got);
  EXPECT_TRUE(HasReason(status, absl::StatusCode::kDataLoss, "CORRUPTION"));
  EXPECT_TRUE(server.running()) << server.Output();
}

TEST(DataDirectoryTest, PortInUse) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  socklen_t length = sizeof(address);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string target = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  const ProgramResult result = RunServer(MakeTempDir("port") + "/data", {"--listen=" + target});
  EXPECT_GT(result.exit.code, 0);
  EXPECT_THAT(result.output, HasSubstr(target));
  close(fd);
}

TEST(DataDirectoryTest, BeyondLoopbackNeedsKeysAndTls) {
  const ProgramResult clear = RunServer(MakeTempDir("open") + "/data", {"--listen=0.0.0.0:0"});
  EXPECT_GT(clear.exit.code, 0);
  EXPECT_THAT(clear.output, HasSubstr("tls_cert"));
  const ProgramResult open =
      RunServer(MakeTempDir("open") + "/data", {"--listen=0.0.0.0:0", "--allow_plaintext"});
  EXPECT_GT(open.exit.code, 0);
  EXPECT_THAT(open.output, HasSubstr("--insecure"));
}

TEST(DataDirectoryTest, UnknownSettingsAreRefused) {
  const ProgramResult flag = RunServer(MakeTempDir("flag") + "/data", {"--no_such_flag=1"});
  EXPECT_GT(flag.exit.code, 0);
  EXPECT_THAT(flag.output, HasSubstr("no_such_flag"));
  const std::string dir = MakeTempDir("config");
  std::ofstream(dir + "/cookixd.yaml") << "no_such_key: 1\n";
  const ProgramResult file = RunServer(dir + "/data", {"--config=" + dir + "/cookixd.yaml"});
  EXPECT_GT(file.exit.code, 0);
  EXPECT_THAT(file.output, HasSubstr("no_such_key"));
}

}  // namespace
}  // namespace cookix::tests
