// Names of Kubernetes objects: the two DNS forms that the API checks. Pure functions.
#pragma once

#include <string_view>

namespace neap::base {

// RFC 1123 subdomain: lower-case letters, digits, '-' and '.', each part beginning and ending with
// a letter or digit, 1 to 253 characters. Names of most objects, prefixes of label keys.
bool IsDnsSubdomain(std::string_view text);

// RFC 1123 label: the same without dots, 1 to 63 characters. Namespaces and containers.
bool IsDnsLabel(std::string_view text);

}  // namespace neap::base
