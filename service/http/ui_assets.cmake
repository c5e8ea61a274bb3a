# Turns the dashboard's files into a C++ source:
#   cmake -DOUT=FILE -DFOLDER=ui -DFILES=a.js,b.css -P ui_assets.cmake
# It defines UiAssets() of ui_assets.h: the bytes of each file, and the SHA-256 of them
# as its ETag.
string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(table "")
set(number 0)
foreach(name IN LISTS files)
  file(READ "${FOLDER}/${name}" bytes HEX)
  file(SHA256 "${FOLDER}/${name}" hash)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {\n${bytes}};\n")
  string(APPEND table "      {\"${name}\", \"\\\"${hash}\\\"\", kFile${number}, sizeof(kFile${number})},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "// Made by ui_assets.cmake.
#include \"service/http/ui_assets.h\"

namespace leasehold {
namespace {

${arrays}
}  // namespace

const std::vector<UiAsset>& UiAssets() {
  static const std::vector<UiAsset> assets = {
${table}  };
  return assets;
}

}  // namespace leasehold
")
