// Certificates for tests, made by openssl while they run.
#ifndef COOKIX_SERVER_TEST_CERTIFICATES_H_
#define COOKIX_SERVER_TEST_CERTIFICATES_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace cookix::server {

// What a certificate is for. Times are as openssl writes them: YYYYMMDDHHMMSSZ.
struct CertificateUse {
  std::string names = "DNS:localhost,IP:127.0.0.1";
  std::string from = "20200101000000Z";
  std::string to = "20991231000000Z";
};

// In a directory that is gone with it.
class TestCertificates {
 public:
  static CertificateUse Expired() { return {.to = "20200102000000Z"}; }
  static CertificateUse NotYetValid() { return {.from = "20980101000000Z"}; }

  TestCertificates() {
    static std::atomic<int> counter{0};
    directory_ = testing::TempDir() + "/certificates-" + std::to_string(getpid()) + "-" +
                 std::to_string(counter++);
    std::filesystem::create_directories(directory_);
  }
  ~TestCertificates() { std::filesystem::remove_all(directory_); }
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  std::string Path(const std::string& file) const { return directory_ + "/" + file; }
  std::string Read(const std::string& file) const {
    std::ifstream stream(Path(file), std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  }

  // <name>.crt and <name>.key.
  void MakeAuthority(const std::string& name) {
    Run("openssl req -x509 " + NewKey(name) + " -days 2 -out " + name + ".crt");
  }

  // The same, signed by an authority that was made before.
  void Make(const std::string& authority, const std::string& name, const CertificateUse& use = {}) {
    Run("openssl req -new " + NewKey(name) + " -out " + name + ".csr");
    std::ofstream(Path("settings"))
        << "[ca]\ndefault_ca=a\n[a]\npolicy=p\ndefault_md=sha256\nunique_subject=no\n"
           "database=index\nserial=serial\nnew_certs_dir=.\n[p]\ncommonName=supplied\n"
           "[e]\nsubjectAltName="
        << use.names << "\n";
    std::ofstream(Path("index")).flush();
    std::ofstream(Path("serial")) << "01\n";
    Run("openssl ca -batch -notext -config settings -extensions e -cert " + authority +
        ".crt -keyfile " + authority + ".key -in " + name + ".csr -startdate " + use.from +
        " -enddate " + use.to + " -out " + name + ".crt.new && mv " + name + ".crt.new " + name +
        ".crt");
  }

  // `to`.crt and `to`.key become those of `from`.
  void Replace(const std::string& to, const std::string& from) {
    for (const char* const kind : {".key", ".crt"}) {
      std::filesystem::copy_file(Path(from + kind), Path("new"),
                                 std::filesystem::copy_options::overwrite_existing);
      std::filesystem::rename(Path("new"), Path(to + kind));
    }
  }

 private:
  static std::string NewKey(const std::string& name) {
    return "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
           " -keyout " + name + ".key";
  }

  void Run(const std::string& command) {
    const std::string line = "cd '" + directory_ + "' && (" + command + ") >> openssl.log 2>&1";
    ASSERT_EQ(std::system(line.c_str()), 0) << command << "\n" << Read("openssl.log");
  }

  std::string directory_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_TEST_CERTIFICATES_H_
