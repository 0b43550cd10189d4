/* SPDX-License-Identifier: MIT */
/* rest/listing.h: directories as HTML, files as bytes: the two ends of rest/files.c. */
#pragma once

#include "rest/exchange.h"

/** listing_directory() - @name: of the compose, as it was called; @below: path in its tree, "" at
 * the top */
int listing_directory(struct exchange *ex, const struct tree *tree, const struct tree_node *node,
		      const char *name, const char *below);
/** listing_composes() - all live composes */
int listing_composes(struct exchange *ex);
