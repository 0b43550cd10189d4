/* SPDX-License-Identifier: MIT */
/* core/daemon/people.h: users of this machine and their groups, remembered for a minute. */
#pragma once

#include "core/base/base.h"

/** struct person - constant while somebody has a reference
 * @gid: of the process that asks; its group counts among @groups */
struct person {
	uint32_t uid, gid;
	char *name; /* the number where the machine knows no name */
	struct strings groups;
};

struct people;

int people_new(struct people **ret);
void people_free(struct people *people);
/** people_get() - any thread; waits for the user database at the first question about somebody, and
 * holds no lock meanwhile. person_unref() what it gives. Negative errno when the database fails */
int people_get(struct people *people, uint32_t uid, uint32_t gid, const struct person **ret);
void person_unref(const struct person *person);
DEFINE_FREEP(const struct person, person_unref)
/** people_forget() - the next question about anybody asks anew */
void people_forget(struct people *people);
