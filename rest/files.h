/* SPDX-License-Identifier: MIT */
/* rest/files.h: open trees, kept until their compose changes. */
#pragma once

#include "rest/exchange.h"

struct rest_tree;

/** rest_tree_open() - the tree that compose @id shows; -ENOENT: no such compose, or removed */
int rest_tree_open(struct rest *rest, int64_t id, struct rest_tree **ret, struct error *err);
const struct tree *rest_tree_of(const struct rest_tree *shown);
void rest_tree_unref(struct rest_tree *shown);
DEFINE_FREEP(struct rest_tree, rest_tree_unref)
