// "did you mean": the candidate nearest to a mistyped name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace neap::base {

// The nearest candidate by edit distance, ignoring case, or "" when none is near enough (more than
// a third of the letters differ). Ties: the first candidate.
std::string Nearest(std::string_view name, std::span<const std::string_view> candidates);

// " (did you mean \"x\"?)" or "".
std::string DidYouMean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace neap::base
