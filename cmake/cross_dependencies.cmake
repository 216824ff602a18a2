# What a cross build stands on: Debian has no libraries here for the other architecture, but headers are for any. fmt
# and spdlog are used as headers alone, and GoogleTest is built from its packaged source. CLI11 and nlohmann/json are
# headers anyway; the rooms that need them are not built (see the preset `neon`).
set(headers ${PROJECT_BINARY_DIR}/headers)  # not /usr/include itself: the C library's headers are there too
file(MAKE_DIRECTORY ${headers})
foreach(library fmt spdlog)
  if(NOT EXISTS /usr/include/${library})
    message(FATAL_ERROR "the headers of ${library} are missing; packages.txt names the package")
  endif()
  file(CREATE_LINK /usr/include/${library} ${headers}/${library} SYMBOLIC)
endforeach()

add_library(puna_fmt INTERFACE)
target_include_directories(puna_fmt SYSTEM INTERFACE ${headers})
target_compile_definitions(puna_fmt INTERFACE FMT_HEADER_ONLY)
add_library(fmt::fmt ALIAS puna_fmt)

add_library(puna_spdlog INTERFACE)
target_compile_definitions(puna_spdlog INTERFACE SPDLOG_FMT_EXTERNAL)
target_link_libraries(puna_spdlog INTERFACE puna_fmt)
add_library(spdlog::spdlog ALIAS puna_spdlog)

if(PUNA_BUILD_TESTS)
  enable_language(C)
  set(INSTALL_GTEST OFF)
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
  foreach(library gtest gtest_main gmock)
    if(NOT TARGET GTest::${library})
      add_library(GTest::${library} ALIAS ${library})
    endif()
  endforeach()
endif()
