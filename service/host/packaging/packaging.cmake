# Debian packages of what is built, by CPack: leasehold-server, leasehold (the command
# line) and leasehold-dev. make_packages.py stages what is made from the programs
# (manual pages, completions, SBOM) and calls cpack; README.md says more.
set(stage ${PROJECT_BINARY_DIR}/packaging)
foreach(component IN ITEMS server client development)
  # Not part of a plain `cmake --install`.
  install(DIRECTORY ${stage}/${component}/usr/ DESTINATION .
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()
install(DIRECTORY ${stage}/server/etc/ DESTINATION /etc
        COMPONENT server EXCLUDE_FROM_ALL)

# What the programs and the library consist of, for `./dev package`.
get_property(leasehold_installed GLOBAL PROPERTY LEASEHOLD_INSTALLED)
add_custom_target(installed DEPENDS leasehold leasehold-server ${leasehold_installed})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME leasehold)
set(CPACK_PACKAGE_VENDOR "")
set(CPACK_PACKAGE_CONTACT "The Leasehold Authors <leasehold@leasehold.invalid>")
set(CPACK_COMPONENTS_ALL server client development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
# For /etc, which lies beside the prefix.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# A release of Debian has packages of its own: the libraries have other names on
# each.
file(STRINGS /etc/os-release system REGEX "^(ID|VERSION_ID)=")
string(REGEX MATCH "VERSION_ID=\"?([0-9]+)" matched "${system}")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~deb${CMAKE_MATCH_1}u1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(packaging ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME leasehold-server)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "shared, leased instances and durable orchestrations over gRPC
A caller names an instance with a request header. The server finds or creates
its context, runs the call in it, and keeps it while it is busy or its lease
runs. Durable orchestrations and entities, for the SDKs of Durable Task,
survive the context and the server.")
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
# For the user in sysusers.d; any of the programs that read it will do.
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS
  "systemd-standalone-sysusers | systemd | systemd-sysusers")
set(CPACK_DEBIAN_SERVER_PACKAGE_SUGGESTS leasehold)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${packaging}/conffiles ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME leasehold)
set(CPACK_DEBIAN_CLIENT_DESCRIPTION "command line for Leasehold servers
Looks at and manages the instances, orchestrations and entities of a server,
shows its load, and says why nothing happens.")
set(CPACK_DEBIAN_CLIENT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS leasehold-server)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME leasehold-dev)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "C++ libraries of Leasehold
To embed shared, leased instances in a gRPC server of one's own, to call a
server, and to write workers: static libraries, headers, a CMake package, and
the .proto files from which clients in other languages are generated.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libgrpc++-dev, libprotobuf-dev, protobuf-compiler-grpc, libabsl-dev, libssl-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS
  "nlohmann-json3-dev, libcjose-dev, python3")
include(CPack)
