# Writes OUT: a C++ file that defines `const char neap_manifest_<ID>[]`, the text of IN. Run by cmake -P.
file(READ ${IN} text)
string(FIND "${text}" ")NEAP\"" clash)
if(NOT clash EQUAL -1)
  message(FATAL_ERROR "${IN}: contains the raw string's end mark")
endif()
file(WRITE ${OUT} "extern const char neap_manifest_${ID}[];\nconst char neap_manifest_${ID}[] = R\"NEAP(${text})NEAP\";\n")
