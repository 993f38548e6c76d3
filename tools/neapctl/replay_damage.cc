#include "tools/neapctl/replay_damage.h"

#include <string_view>

namespace neap::ctl {
namespace {

using record::Damage;

std::string_view DamageText(Damage::Kind kind) {
  switch (kind) {
    case Damage::Kind::kTornTail:
      return "torn";
    case Damage::Kind::kCorrupt:
      return "corrupt";
    case Damage::Kind::kUnreadable:
      return "unreadable";
  }
  return "";
}

}  // namespace

Json DamageToJson(const std::vector<Damage>& damage) {
  Json out = Json::array();
  for (const Damage& d : damage) {
    out.push_back(
        {{"kind", DamageText(d.kind)}, {"file", d.file}, {"offset", d.offset}, {"text", d.text}});
  }
  return out;
}

bool PrintDamage(const std::vector<Damage>& damage) {
  bool unchecked = false;
  for (const Damage& d : damage) {
    PrintError(d.text);
    unchecked = unchecked || d.kind != Damage::Kind::kTornTail;
  }
  return unchecked;
}

}  // namespace neap::ctl
