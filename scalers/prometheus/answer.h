// What a Prometheus server answers to an instant query, as one number. Used by the prometheus
// scaler alone; no I/O. Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

namespace neap::scalers::prometheus {

// The value of the only element of a query's result. Nothing when there is no usable value: the
// result is empty, its sample is missing or null, or the number is NaN or infinite (which may
// stand for "no data", so that ignoreNullValues decides what it means).
//
// Errors: InvalidArgument when the body is not the JSON of a query's answer (also when the server
// says status "error", with its text), FailedPrecondition when the result has several elements
// or is no vector.
absl::StatusOr<std::optional<double>> ReadAnswer(std::string_view body);

// The error text of a non-2xx answer in Prometheus' own form ("bad_data: parse error ..."), at
// most 300 bytes; "" when the body has another form.
std::string ReadErrorText(std::string_view body);

}  // namespace neap::scalers::prometheus
