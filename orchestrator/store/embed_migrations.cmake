# nsa_embed_migrations(<variable> <file>...): writes migrations.cpp into the build folder with the text and the
# SHA-256 of every migration, in the order given, and returns its path.
function(nsa_embed_migrations out)
    set(entries "")
    foreach(file IN LISTS ARGN)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        get_filename_component(name ${file} NAME_WE)
        file(READ ${file} sql)
        file(SHA256 ${file} hash)
        string(APPEND entries "    {\"${name}\", \"${hash}\", R\"nsa_sql(${sql})nsa_sql\"},\n")
    endforeach()
    set(generated ${CMAKE_CURRENT_BINARY_DIR}/migrations.cpp)
    file(CONFIGURE OUTPUT ${generated} @ONLY CONTENT
"// Generated from migrations/*.sql by embed_migrations.cmake.
#include \"store/migrate.hpp\"

namespace nsa::store {
namespace {
constexpr Migration kMigrations[] = {
@entries@};
}  // namespace

std::span<const Migration> migrations() {
    return kMigrations;
}

}  // namespace nsa::store
")
    set(${out} ${generated} PARENT_SCOPE)
endfunction()
