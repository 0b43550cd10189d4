/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/names.c: the names in a directory. */
#include "resolver/fetch/fetch.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_names(void)
{
	_cleanup_(transport_freep) struct transport *transport = NULL;
	_cleanup_(strings_done) struct strings names = { 0 };
	char top[] = "/tmp/odcsfs-test-XXXXXX", path[128];
	struct error err = { 0 };

	CHECK(mkdtemp(top));
	for (int i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%c", top, "cab"[i]);
		CHECK_INT(mkdir(path, 0755), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/a/file", top);
	CHECK_INT(symlink("../b", path), 0);
	CHECK_INT(transport_local(NULL, true, 0, 0, &transport, &err), 0);
	CHECK_INT(transport_names(transport, top, "a", &names, &err), 0);
	CHECK_INT(names.count, 1);
	CHECK_STR(names.item[0], "file");
	CHECK_INT(transport_names(transport, top, "a/file", &names, &err), 0); /* b is empty */
	CHECK_INT(transport_names(transport, top, "nothing/here", &names, &err), 0);
	CHECK_INT(names.count, 1);
	CHECK_INT(transport_names(transport, top, "../x", &names, &err), -EINVAL);
	strings_done(&names);
	CHECK_INT(transport_names(transport, "/tmp", strrchr(top, '/') + 1, &names, &err), 0);
	CHECK_INT(names.count, 3);
	CHECK_STR(names.item[0], "a");
	CHECK_STR(names.item[2], "c");
	CHECK_INT(directory_remove(AT_FDCWD, top), 0);
}

int main(void)
{
	test_names();
	TEST_END();
}
