// Numbers as people read them in a terminal; format.js of autoscaler/web has the same rules for
// pages. "–" stands for a value that is not there (not finite). Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/sim/result.h"

namespace neap::ctl {

// Three significant digits, from a hundred on whole, thousands apart: "0.0123", "4.57", "12,346".
std::string NumberText(double value);
// "420 µs", "340 ms", "4.2 s", "12 min 15 s", "3 h 20 min", "2 d 4 h".
std::string SecondsText(double seconds);
// By a series' or figure's unit: "s" is a duration, "" none, others stand behind the number.
std::string ValueText(double value, std::string_view unit);
// A part of a whole in percent; never "0 %" for what happened, never "100 %" for less.
std::string ShareText(double part, double whole);

// What a terminal shows of UTF-8 text, in columns; every character counts as one.
size_t Columns(std::string_view text);
std::string PadRight(std::string_view text, size_t columns);
std::string PadLeft(std::string_view text, size_t columns);
// At most so many columns, the last one "…" when something is cut; control characters become
// spaces, so that a name can't write to the terminal.
std::string Clip(std::string_view text, size_t columns);
// Words on lines of at most `columns`, each after `indent` spaces but the first, which follows
// `first` (of that many columns).
std::string Wrap(std::string_view first, std::string_view text, size_t columns);

// `columns` block characters from 0 to the series' greatest value; a space where it has no value.
// Each shows the greatest value of its share of the buckets.
std::string Sparkline(const sim::Series& series, size_t columns);

// Rows of equal length under a heading; the first column to the left, the others to the right.
std::string NumberTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace neap::ctl
