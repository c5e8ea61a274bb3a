#include "client/worker/name_uuid.h"

#include <string>

#include "gtest/gtest.h"

namespace leasehold::worker::internal {
namespace {

// RFC 4122's name space for DNS names.
constexpr Uuid kDns = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                       0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

// As Python's uuid.uuid5 has them.
TEST(NameUuid, IsThatOfTheStandard) {
  EXPECT_EQ(NameUuid(kDns, "python.org"),
            "886313e1-3b8a-5372-9b90-0c9aee199e5d");
  EXPECT_EQ(NameUuid(kDns, ""), "4ebd0208-8328-5d69-8c44-ec50939c0967");
}

TEST(NameUuid, LengthsAroundABlockAreThoseOfTheStandard) {
  EXPECT_EQ(NameUuid(kDns, std::string(39, 'a')),
            "5824f981-4282-59d4-9716-acb6d741350e");
  EXPECT_EQ(NameUuid(kDns, std::string(40, 'a')),
            "39f39c20-db47-5131-8879-62f8f67f9014");
  EXPECT_EQ(NameUuid(kDns, std::string(48, 'a')),
            "7280cc42-274a-5c4a-91fc-ae23f853eeb7");
  EXPECT_EQ(NameUuid(kDns, std::string(500, 'a')),
            "23d604e2-7664-5f66-afd0-33691bed5b76");
}

}  // namespace
}  // namespace leasehold::worker::internal
