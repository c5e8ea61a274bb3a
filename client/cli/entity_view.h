// EntityView: how the commands show an entity: as a row, as a paragraph, or as
// JSON.
//
// Thread-safety: safe.   Lifetime: no state.
#ifndef LEASEHOLD_CLIENT_CLI_ENTITY_VIEW_H_
#define LEASEHOLD_CLIENT_CLI_ENTITY_VIEW_H_

#include <string>

#include "client/cli/json_object.h"
#include "client/cli/table.h"
#include "client/entities/entity.h"

namespace leasehold::client::cli {

// The columns of a table of entities, and an entity as a row.
Table::Heading EntityHeading();
Table::Row EntityRow(const EntityInfo& info, const Look& look);

// One line for each known detail.
std::string EntityText(const EntityInfo& info, const Look& look);
JsonObject EntityJson(const EntityInfo& info, Payloads payloads);

// What an entity shows at a time, as a row in a table of a watch.
Table::Heading EntityChangeHeading();
Table::Row EntityChangeRow(const EntityInfo& info);

}  // namespace leasehold::client::cli

#endif  // LEASEHOLD_CLIENT_CLI_ENTITY_VIEW_H_
