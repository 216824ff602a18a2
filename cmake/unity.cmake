# In a unity build (CMAKE_UNITY_BUILD, which the sanitizers' presets set), the files of a folder are compiled together,
# up to ten as one: most of the time goes into the headers that each of them includes, and more than ten would leave the
# other processors without work. Files with options of their own, the kernels', stay apart. A name in an anonymous
# namespace is therefore the folder's, not the file's alone (CONTRIBUTING.md).
function(puna_unite_folders target)
  if(NOT CMAKE_UNITY_BUILD)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE folder)
    cmake_path(GET folder PARENT_PATH folder)
    string(REPLACE "/" "_" folder "${folder}")
    list(APPEND folders "${folder}")
    list(APPEND files_${folder} ${source})
  endforeach()
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    list(LENGTH files_${folder} count)
    math(EXPR groups "(${count} + 9) / 10")
    math(EXPR size "(${count} + ${groups} - 1) / ${groups}")
    set(index 0)
    foreach(source IN LISTS files_${folder})
      math(EXPR group "${index} / ${size}")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder}_${group})
      math(EXPR index "${index} + 1")
    endforeach()
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
  # What a file's neighbours bring about: names of one that another hides, and what GCC asks of headers, which it takes
  # the included sources for. Other builds see each file by itself.
  target_compile_options(${target} PRIVATE -Wno-shadow -Wno-subobject-linkage)
endfunction()
