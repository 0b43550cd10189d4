/* SPDX-License-Identifier: MIT */
/* tests/unit/rest/answer.c: which status a failure has, and that the document foresees it. */
#include "rest/exchange.h"
#include "tests/unit/test.h"

static unsigned int status_of(int code, enum blame blame)
{
	return failure_status(&(struct error){ .code = code, .blame = blame });
}

/* a file of ours that we may not read is no matter of who asks */
static void test_blame(void)
{
	static const struct {
		int code;
		unsigned int request, source, us;
	} rows[] = {
		{ -EFBIG, 413, 502, 500 },     { -E2BIG, 413, 502, 500 },
		{ -EPERM, 401, 502, 500 },     { -EACCES, 403, 502, 500 },
		{ -EDQUOT, 403, 502, 500 },    { -EINVAL, 400, 502, 500 },
		{ -EIO, 400, 502, 500 },       { -ENOENT, 404, 404, 404 },
		{ -ETIMEDOUT, 504, 504, 504 }, { -ENOSPC, 507, 507, 507 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_INT(status_of(rows[i].code, BLAME_REQUEST), rows[i].request);
		CHECK_INT(status_of(rows[i].code, BLAME_SOURCE), rows[i].source);
		CHECK_INT(status_of(rows[i].code, BLAME_US), rows[i].us);
	}
}

static bool names(const unsigned int *errors, unsigned int status)
{
	while (*errors && *errors != status)
		errors++;
	return *errors;
}

/* tree.md 3: what reading a package may fail with */
static void test_read_foreseen(void)
{
	static const int codes[] = { -ENOENT, -EIO, -ETIMEDOUT, -ENOSPC };
	const struct operation *read = NULL;
	const struct route *route;

	for (size_t i = 0; (route = route_at(i)); i++)
		if (!strcmp(route->path, "/composes/"))
			read = route->get;
	CHECK(read != NULL);
	for (size_t i = 0; read && i < ARRAY_SIZE(codes); i++) {
		unsigned int status = status_of(codes[i], BLAME_SOURCE);

		CHECK(names(read->errors, status) || names(route_errors(), status));
	}
}

int main(void)
{
	test_blame();
	test_read_foreseen();
	TEST_END();
}
