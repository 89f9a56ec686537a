#include "client/tls_diagnosis.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

namespace cookix::client {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLimit{500};
constexpr std::chrono::seconds kBetweenLooks{1};

template <auto function>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    function(pointer);
  }
};
using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Free<SSL_free>>;
using CertificatePtr = std::unique_ptr<X509, Free<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, size > 0 ? static_cast<size_t>(size) : 0);
  // Whoever made the certificate chose what is in it.
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::string ToText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE);
  return Text(bio.get());
}

std::string ToText(const ASN1_TIME* time) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(bio.get(), time);
  return Text(bio.get());
}

// The hosts that it is for.
std::string NamesIn(const X509* certificate) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return ToText(X509_get_subject_name(certificate));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    if (i > 0) BIO_puts(bio.get(), ", ");
    GENERAL_NAME_print(bio.get(), sk_GENERAL_NAME_value(names.get(), i));
  }
  return Text(bio.get());
}

struct Address {
  std::string host;
  std::string port;
};

// Empty for what is no host and port.
Address Split(std::string_view target) {
  for (const std::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (target.substr(0, scheme.size()) == scheme) {
      target.remove_prefix(scheme.size());
      break;
    }
  }
  const size_t colon = target.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || target.find('/') != std::string_view::npos) {
    return {};
  }
  std::string_view host = target.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {std::string(host), std::string(target.substr(colon + 1))};
}

// A connection that everything is moved over by hand: OpenSSL's own way of writing to one that
// was closed would end a program that does not expect SIGPIPE.
class Wire {
 public:
  explicit Wire(const addrinfo& address)
      : deadline_(Clock::now() + kLimit),
        fd_(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) return;
    if (connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return;
    int error = errno;
    if (error == EINPROGRESS && Wait(POLLOUT)) {
      socklen_t size = sizeof(error);
      getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return;
    }
    close(std::exchange(fd_, -1));
  }
  ~Wire() {
    if (fd_ >= 0) close(fd_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool connected() const { return fd_ >= 0; }

  bool Send(BIO* from) {
    char buffer[4096];
    for (int size; (size = BIO_read(from, buffer, sizeof(buffer))) > 0;) {
      for (int sent = 0; sent < size;) {
        const ssize_t n = send(fd_, buffer + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
        if (n > 0) {
          sent += static_cast<int>(n);
        } else if (errno != EAGAIN || !Wait(POLLOUT)) {
          return false;
        }
      }
    }
    return true;
  }

  enum class Got { kBytes, kEnd, kNothing };
  Got Receive(BIO* to) {
    if (!Wait(POLLIN)) return Got::kNothing;
    char buffer[4096];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n <= 0) return Got::kEnd;
    BIO_write(to, buffer, static_cast<int>(n));
    return Got::kBytes;
  }

 private:
  bool Wait(short events) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    pollfd poll_fd{fd_, events, 0};
    return left.count() > 0 && poll(&poll_fd, 1, static_cast<int>(left.count())) > 0;
  }

  const Clock::time_point deadline_;
  int fd_;
};

CertificatePtr FirstCertificate(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return CertificatePtr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// One handshake, and what came of it.
class Handshake {
 public:
  Handshake(const Address& address, const TlsSettings& settings)
      : name_(settings.server_name.empty() ? address.host : settings.server_name),
        settings_(settings),
        context_(SSL_CTX_new(TLS_client_method())) {
    if (context_ == nullptr || !Trust() || !ShowCertificate()) return;
    static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context_.get(), kHttp2, sizeof(kHttp2));
    SSL_CTX_set_client_cert_cb(context_.get(), [](SSL* ssl, X509**, EVP_PKEY**) {
      From(ssl)->asked_ = true;
      return 0;
    });
    ssl_.reset(SSL_new(context_.get()));
    if (ssl_ == nullptr) return;
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, &Handshake::Verify);
    X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, name_.c_str()) != 1) {
      SSL_set1_host(ssl_.get(), name_.c_str());
      SSL_set_tlsext_host_name(ssl_.get(), name_.c_str());
    }
    received_ = BIO_new(BIO_s_mem());
    to_send_ = BIO_new(BIO_s_mem());
    // It owns them from here on.
    SSL_set_bio(ssl_.get(), received_, to_send_);
    SSL_set_connect_state(ssl_.get());
  }

  // What is wrong; empty when nothing is.
  std::string Run(Wire& wire) {
    if (!own_trouble_.empty() || ssl_ == nullptr) return own_trouble_;
    ERR_clear_error();
    bool shaken = false;
    while (true) {
      char byte;
      const int done = shaken ? SSL_read(ssl_.get(), &byte, 1) : SSL_do_handshake(ssl_.get());
      const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
      const bool sent = wire.Send(to_send_);
      if (error == SSL_ERROR_NONE) {
        if (!settings_.on) return kSpeaksTls;
        // Whether the certificate of this side is good is known with the first byte.
        if (std::exchange(shaken, true)) return "";
        continue;
      }
      if (error != SSL_ERROR_WANT_READ) return Broken(shaken);
      switch (sent ? wire.Receive(received_) : Wire::Got::kEnd) {
        case Wire::Got::kBytes:
          continue;
        case Wire::Got::kNothing:
          return "";
        case Wire::Got::kEnd:
          return Closed(shaken);
      }
    }
  }

 private:
  static Handshake* From(SSL* ssl) { return static_cast<Handshake*>(SSL_get_app_data(ssl)); }

  bool Trust() {
    if (settings_.ca_pem.empty()) return SSL_CTX_set_default_verify_paths(context_.get()) == 1;
    const BioPtr bio(
        BIO_new_mem_buf(settings_.ca_pem.data(), static_cast<int>(settings_.ca_pem.size())));
    bool any = false;
    while (
        const CertificatePtr authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
      any = true;
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), authority.get());
    }
    if (!any && settings_.on) own_trouble_ = "this side's authorities are no certificates in PEM";
    return any || !settings_.on;
  }

  bool ShowCertificate() {
    if (settings_.certificate_pem.empty()) return true;
    const CertificatePtr certificate = FirstCertificate(settings_.certificate_pem);
    const BioPtr bio(
        BIO_new_mem_buf(settings_.key_pem.data(), static_cast<int>(settings_.key_pem.size())));
    const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr || key == nullptr ||
        SSL_CTX_use_certificate(context_.get(), certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1) {
      own_trouble_ = "this side's certificate and key are not in PEM, or do not fit each other";
      return false;
    }
    const ASN1_TIME* const end = X509_get0_notAfter(certificate.get());
    const ASN1_TIME* const begin = X509_get0_notBefore(certificate.get());
    shown_ = "(" + ToText(X509_get_subject_name(certificate.get())) + ")";
    if (X509_cmp_current_time(end) < 0) shown_ += ", which expired on " + ToText(end);
    if (X509_cmp_current_time(begin) > 0) shown_ += ", which is not valid before " + ToText(begin);
    return true;
  }

  static int Verify(int good, X509_STORE_CTX* store) {
    if (good == 1) return 1;
    auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    Handshake* const self = From(ssl);
    self->verdict_ =
        self->Judge(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_current_cert(store));
    return 0;
  }

  std::string Judge(int error, const X509* certificate) const {
    if (certificate == nullptr) return X509_verify_cert_error_string(error);
    const std::string subject =
        "its certificate (" + ToText(X509_get_subject_name(certificate)) + ") ";
    switch (error) {
      case X509_V_ERR_CERT_HAS_EXPIRED:
        return subject + "expired on " + ToText(X509_get0_notAfter(certificate));
      case X509_V_ERR_CERT_NOT_YET_VALID:
        return subject + "is not valid before " + ToText(X509_get0_notBefore(certificate));
      case X509_V_ERR_HOSTNAME_MISMATCH:
      case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return subject + "is for " + NamesIn(certificate) + ", not for " + name_;
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
      case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
      case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return subject + "is of an authority that is not trusted here (" +
               ToText(X509_get_issuer_name(certificate)) + ")";
      default:
        return subject + "is not good: " + X509_verify_cert_error_string(error);
    }
  }

  std::string Broken(bool shaken) const {
    if (!settings_.on) return verdict_.empty() ? "" : kSpeaksTls;
    if (!verdict_.empty()) return verdict_;
    const unsigned long error = ERR_peek_last_error();
    if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER) return "it does not speak TLS";
    if (shaken || ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET) return RefusesThisSide(error);
    return "";
  }

  // Without a word, as gRPC's servers do.
  std::string Closed(bool shaken) const { return shaken ? RefusesThisSide(0) : ""; }

  std::string RefusesThisSide(unsigned long error) const {
    const char* const alert = error == 0 ? nullptr : ERR_reason_error_string(error);
    const std::string detail = alert == nullptr ? "" : std::string(" (") + alert + ")";
    if (!shown_.empty() && detail.empty()) {
      return "it closes the connection when it is shown this side's certificate " + shown_;
    }
    if (!shown_.empty()) return "it does not accept this side's certificate " + shown_ + detail;
    if (asked_) return "it asks for a client certificate, and this side has none" + detail;
    return detail.empty() ? "" : "it ends the handshake" + detail;
  }

  static constexpr const char* kSpeaksTls = "it speaks TLS, and this side plain text";

  const std::string name_;
  const TlsSettings& settings_;
  const ContextPtr context_;
  SslPtr ssl_;
  BIO* received_ = nullptr;  // owned by ssl_
  BIO* to_send_ = nullptr;   // owned by ssl_
  std::string own_trouble_;
  std::string shown_;
  std::string verdict_;
  bool asked_ = false;
};

std::string Look(const std::string& target, const TlsSettings& settings) {
  const Address address = Split(target);
  if (address.host.empty()) return "";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found) != 0) return "";
  std::string trouble;
  for (const addrinfo* one = found; one != nullptr && trouble.empty(); one = one->ai_next) {
    Wire wire(*one);
    if (wire.connected()) trouble = Handshake(address, settings).Run(wire);
  }
  freeaddrinfo(found);
  ERR_clear_error();
  return trouble;
}

}  // namespace

TlsDiagnosis::TlsDiagnosis(std::string target, TlsSettings settings)
    : target_(std::move(target)), settings_(std::move(settings)) {}

std::string TlsDiagnosis::Explain() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (Clock::now() >= next_look_) {
    last_ = Look(target_, settings_);
    next_look_ = Clock::now() + kBetweenLooks;
  }
  return last_;
}

bool MayBeTls(std::string_view message) {
  if (message.find("failed to connect") == std::string_view::npos) return false;
  // A server that does not like what it was shown closes the connection: how that reads depends on
  // what this side was doing then.
  for (const std::string_view sign :
       {"handshake", "Peer name", "Socket closed", "Endpoint read failed", "reset by peer"}) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace cookix::client
