#include "autoscaler/app/startup_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>

namespace neap::app {
namespace {

int ReleaseObject(dl_phdr_info* object, size_t, void*) {
  // The kernel's own page, which comes from no file.
  if (std::string_view(object->dlpi_name).find("vdso") != std::string_view::npos) return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    // Relocated data lies in writable segments, also where the linker protects it later: those
    // pages are not the file's any more. Segments share no page.
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const uintptr_t end =
        (object->dlpi_addr + segment.p_vaddr + segment.p_memsz + page - 1) & ~(page - 1);
    // Refused: they stay, no harm is done.
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void ReleaseStartupPages() { dl_iterate_phdr(ReleaseObject, nullptr); }

}  // namespace neap::app
