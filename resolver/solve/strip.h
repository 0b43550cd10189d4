/* SPDX-License-Identifier: MIT */
/* resolver/solve/strip.h: primary XML without what the solver never looks at. */
#pragma once

#include "core/base/base.h"

/** strip_open() - a stream of what is left of @primary (borrowed); NULL when out of memory
 *
 * Reading fails with EMSGSIZE where one relation takes more than 64 KiB. */
FILE *strip_open(FILE *primary);
