// Identifiers that make a retried write apply once.
#ifndef COOKIX_CLIENT_REQUEST_ID_H_
#define COOKIX_CLIENT_REQUEST_ID_H_

#include <string>

namespace cookix::client {

// 128 random bits as 32 hexadecimal digits. Thread-safe.
std::string NewRequestId();

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_REQUEST_ID_H_
