# `cmake --install`: the library, its headers, the program, and what find_package(puna) and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(puna_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/puna)
get_target_property(puna_library_type puna TYPE)

install(TARGETS puna EXPORT puna-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/puna DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT puna-targets NAMESPACE puna:: DESTINATION ${puna_package_dir})
if(TARGET puna_binary)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_FULL_BINDIR}
             OUTPUT_VARIABLE puna_bin_to_lib)
  set_target_properties(puna_binary PROPERTIES INSTALL_RPATH "$ORIGIN/${puna_bin_to_lib}")
  install(TARGETS puna_binary RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/puna-config.cmake.in ${PROJECT_BINARY_DIR}/puna-config.cmake
                              INSTALL_DESTINATION ${puna_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/puna-config-version.cmake VERSION ${PROJECT_VERSION}
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/puna-config.cmake ${PROJECT_BINARY_DIR}/puna-config-version.cmake
        DESTINATION ${puna_package_dir})

# A static library hands the libraries that it uses on to the program that links it.
set(puna_pc_requires "")
set(puna_pc_libs "-pthread")
if(puna_library_type STREQUAL "STATIC_LIBRARY")
  set(puna_pc_requires "fmt spdlog libcrypto simdjson libutf8proc libzstd")
endif()
# Relative to the file, so that the tree can be installed, or moved, anywhere.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE puna_pc_to_prefix)
configure_file(${CMAKE_CURRENT_LIST_DIR}/puna.pc.in ${PROJECT_BINARY_DIR}/puna.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/puna.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
