/* SPDX-License-Identifier: MIT */
/* tests/unit/solve/solve.c: small made-up repositories, each with one thing that is hard. */
#include "tests/unit/solve/scene.h"
#include "tests/unit/test.h"

#include <time.h>

static void expect(struct solve_pool *pool, const char *names, const char *want)
{
	_cleanup_(freep) char *got = scene_solve(pool, names);

	CHECK_STR(got, want);
}

static const char *reason(const struct solve_answer *answer, uint32_t index)
{
	for (size_t i = 0; i < answer->count; i++)
		if (answer->choice[i].repository == 0 && answer->choice[i].index == index)
			return answer->choice[i].reason;
	return NULL;
}

static void test_names(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64\n"		/* 0 */
			   "a 0 10 1 x86_64\n"		/* 1: newest */
			   "a 0 9 1 noarch\n"		/* 2 */
			   "b 2 1.0~rc1 1.el8 x86_64\n" /* 3 */
			   "b 0 3 1 x86_64\n"		/* 4: older, for the epoch */
			   "a 0 11 1 i686\n"		/* 5: not our arch */
			   "a 0 12 1 src\n"		/* 6 */
			   "python3.11 0 1 1 noarch\n"	/* 7: a dot that is no arch */
			   "d.noarch 0 1 1 x86_64\n"	/* 8: a name that looks like NAME.ARCH */
			   "d 0 1 1 noarch p:virtual\n" /* 9 */
			   "n 0 1 1 noarch\n"		/* 10 */
			   "n 0 1 1 x86_64\n",		/* 11: as new, native */
			   NULL, NULL);

	expect(pool, "a", "0:1");
	expect(pool, "a.noarch", "0:2");
	expect(pool, "a.i686", " -a.i686");
	expect(pool, "a.src", " -a.src");
	expect(pool, "a-1-1.x86_64", "0:0");
	expect(pool, "a-0:1-1.x86_64", "0:0");
	expect(pool, "a-1:1-1.x86_64", " -a-1:1-1.x86_64");
	expect(pool, "a-11-1.i686", " -a-11-1.i686");
	expect(pool, "b", "0:3");
	expect(pool, "b-2:1.0~rc1-1.el8.x86_64", "0:3");
	expect(pool, "2:b-1.0~rc1-1.el8.x86_64", "0:3");
	expect(pool, "b-1.0~rc1-1.el8.x86_64", "0:3");
	expect(pool, "python3.11", "0:7");
	expect(pool, "d.noarch", "0:8");
	expect(pool, "virtual", " -virtual");
	expect(pool, "n", "0:11");
	expect(pool, "n.noarch", "0:10");
	expect(pool, "zzz a aaa", "0:1 -aaa -zzz");
	expect(pool, "a a.x86_64 a", "0:1");
	/* two versions of one package cannot be installed together, but a repository holds both */
	expect(pool, "a a-1-1.x86_64", "0:0 0:1");
	expect(pool, "", "");
	expect(pool, NULL, "0:0 0:1 0:2 0:3 0:4 0:7 0:8 0:9 0:10 0:11");
}

static void test_closure(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64 r:b r:lib=2 m:weak\n"    /* 0 */
			   "b 0 1 1 noarch r:/usr/bin/c\n"	    /* 1 */
			   "c 0 1 1 x86_64 f:/usr/bin/c\n"	    /* 2 */
			   "lib1 0 1 1 x86_64 p:lib=1\n"	    /* 3 */
			   "lib2 0 1 1 x86_64 p:lib=2 r:(x_or_y)\n" /* 4 */
			   "x 0 1 1 x86_64 r:nowhere\n"		    /* 5: cannot be installed */
			   "y 0 1 1 x86_64\n"			    /* 6 */
			   "weak 0 1 1 x86_64\n"		    /* 7 */
			   "a-debuginfo 0 1 1 x86_64\n",	    /* 8 */
			   NULL, NULL);
	_cleanup_(solve_answer_freep) struct solve_answer *answer = scene_ask(pool, "a", false);
	_cleanup_(solve_answer_freep) struct solve_answer *alone = scene_ask(pool, "a", true);
	_cleanup_(solve_answer_freep) struct solve_answer *all = scene_ask(pool, NULL, false);
	_cleanup_(freep) char *got = scene_choices(answer), *got_alone = scene_choices(alone),
			      *got_all = scene_choices(all);

	CHECK_STR(got, "0:0 0:1 0:2 0:4 0:6");
	CHECK_STR(reason(answer, 0), "requested");
	CHECK_STR(reason(answer, 1), "required by a-1-1.x86_64: b");
	CHECK_STR(reason(answer, 2), "required by b-1-1.noarch: /usr/bin/c");
	CHECK_STR(reason(answer, 4), "required by a-1-1.x86_64: lib = 2");
	CHECK_STR(reason(answer, 6), "required by lib2-1-1.x86_64: (x or y)");
	CHECK_INT(answer->unresolved.count, 0);

	CHECK_STR(got_alone, "0:0");
	CHECK_STR(got_all, "0:0 0:1 0:2 0:3 0:4 0:5 0:6 0:7");
	CHECK_STR(reason(all, 5), "whole repository");
	expect(pool, "a-debuginfo", "0:8");
}

static void test_repositories(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64 r:shared r:tool\n"
			   "shared 0 1 1 x86_64\n"
			   "u 0 1 1 x86_64\n",
			   "shared 0 1 1 x86_64\n" /* the same NEVRA: the first listed wins */
			   "u 0 2 1 x86_64\n"
			   "tool 0 5 1 x86_64\n",
			   "tool 0 4 1 x86_64 r:plugin\n" /* preferred though older */
			   "u 0 3 1 x86_64\n"
			   "only 0 1 1 x86_64\n");
	_cleanup_(solve_answer_freep) struct solve_answer *answer = NULL;

	expect(pool, "shared", "0:1");
	expect(pool, "u", "1:1"); /* names are not looked for among lookaside packages */
	expect(pool, "only", " -only");
	expect(pool, NULL, "0:0 0:1 0:2 1:1 1:2");
	/* tool of the lookaside repository lacks plugin, so the other one is taken */
	expect(pool, "a", "0:0 0:1 1:2");
	solve_pool_free(pool);

	pool = scene_pool("a 0 1 1 x86_64 r:tool\n"
			  "tool 0 5 1 x86_64\n"
			  "plugin 0 1 1 x86_64\n",
			  NULL, "tool 0 4 1 x86_64 r:plugin\n");
	answer = scene_ask(pool, "a", false);
	CHECK_INT(answer->count, 2);
	CHECK_STR(reason(answer, 2), "required by tool-4-1.x86_64: plugin");
}

static void test_conflicts(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("light 0 1 1 x86_64 c:full r:lib-l\n" /* 0 */
			   "full 0 1 1 x86_64 r:lib-f\n"	 /* 1 */
			   "lib-l 0 1 1 x86_64\n"		 /* 2 */
			   "lib-f 0 1 1 x86_64\n"		 /* 3 */
			   "other 0 1 1 x86_64\n"		 /* 4 */
			   "new 0 1 1 x86_64 o:old\n"		 /* 5 */
			   "old 0 1 1 x86_64\n",		 /* 6 */
			   NULL, NULL);
	_cleanup_(solve_answer_freep) struct solve_answer *answer =
		scene_ask(pool, "other full light", false);
	_cleanup_(freep) char *got = scene_choices(answer);

	CHECK_STR(got, "0:0 0:1 0:2 0:3 0:4");
	CHECK_INT(answer->conflicts.count, 1);
	CHECK(answer->conflicts.count &&
	      !strncmp(answer->conflicts.item[0], "full-1-1.x86_64 was solved apart: ", 34) &&
	      strstr(answer->conflicts.item[0], "conflicts"));
	CHECK_INT(answer->unresolved.count, 0);
	expect(pool, "old", "0:6"); /* the name that was asked for, not what obsoletes it */
	expect(pool, "old new", "0:5 0:6");
}

static void test_broken(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64 r:gone r:b\n"       /* 0 */
			   "b 0 1 1 x86_64 r:c r:also-gone\n"  /* 1 */
			   "c 0 1 1 x86_64\n"		       /* 2 */
			   "ok 0 1 1 x86_64 r:c\n"	       /* 3 */
			   "v 0 1 1 x86_64\n"		       /* 4 */
			   "v 0 2 1 x86_64 r:gone\n"	       /* 5: newest cannot be installed */
			   "rpm 0 1 1 x86_64 r:rpmlib(X)=1\n", /* 6 */
			   NULL, NULL);
	_cleanup_(solve_answer_freep) struct solve_answer *answer = scene_ask(pool, "a ok", false);
	_cleanup_(solve_answer_freep) struct solve_answer *version = scene_ask(pool, "v", false);
	_cleanup_(freep) char *got = scene_choices(answer), *got_version = scene_choices(version);
	_cleanup_(strings_done) struct strings names = { 0 };
	struct solve_request request = { .names = &names, .check_deps = true };
	struct solve_answer *none = NULL;
	struct error err = { 0 };

	CHECK_STR(got, "0:0 0:1 0:2 0:3");
	CHECK_INT(answer->unresolved.count, 2);
	CHECK_STR(answer->unresolved.item[0], "a-1-1.x86_64 requires gone: nothing provides it");
	CHECK_STR(answer->unresolved.item[1],
		  "b-1-1.x86_64 requires also-gone: nothing provides it");
	CHECK_STR(reason(answer, 1), "required by a-1-1.x86_64: b");
	CHECK_STR(got_version, "0:4");
	CHECK_INT(version->conflicts.count, 1);
	CHECK_STR(version->conflicts.item[0],
		  "v-2-1.x86_64 cannot be installed: nothing provides gone needed by v-2-1.x86_64; "
		  "v-1-1.x86_64 is taken instead");
	expect(pool, "rpm", "0:6");

	strings_add(&names, "a");
	CHECK_INT(solve_run(pool, &request, &none, &err), -ENOPKG);
	CHECK_INT(err.blame, BLAME_SOURCE);
	CHECK_STR(err.message, "broken dependencies:\n"
			       "a-1-1.x86_64 requires gone: nothing provides it\n"
			       "b-1-1.x86_64 requires also-gone: nothing provides it");
	CHECK(none == NULL);
	request.names = NULL;
	err = (struct error){ 0 };
	CHECK_INT(solve_run(pool, &request, &none, &err), -ENOPKG);
	CHECK(strstr(err.message, "v-2-1.x86_64 requires gone") != NULL);
	request = (struct solve_request){ .names = &names, .check_deps = true };
	strings_done(&names);
	strings_add(&names, "ok");
	CHECK_INT(solve_run(pool, &request, &none, &err), 0);
	solve_answer_free(none);
	none = NULL;
	request.no_deps = true;
	err = (struct error){ 0 };
	CHECK_INT(solve_run(pool, &request, &none, &err), -ENOPKG);
	CHECK_STR(err.message,
		  "broken dependencies:\nok-1-1.x86_64 requires c: nothing provides it");
}

/* The parts of boolean requirements of packages that cannot be installed themselves */
static void test_rich(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64 r:gone r:(x_and_y) r:(z_if_q) r:(none_or_w)\n" /* 0 */
			   "x 0 1 1 x86_64\n"
			   "y 0 1 1 x86_64\n"
			   "z 0 1 1 x86_64\n"
			   "w 0 1 1 x86_64\n"
			   "q 0 1 1 x86_64\n"
			   "e 0 1 1 x86_64 r:(x_and_none)\n" /* 6 */
			   "f 0 1 1 x86_64 r:(z_if_x) r:x\n",
			   NULL, NULL);
	_cleanup_(solve_answer_freep) struct solve_answer *answer = scene_ask(pool, "e", false);

	expect(pool, "a", "0:0 0:1 0:2 0:3 0:4");
	CHECK_INT(answer->unresolved.count, 1);
	CHECK_STR(answer->unresolved.item[0],
		  "e-1-1.x86_64 requires (x and none): nothing provides it");
	expect(pool, "f", "0:1 0:3 0:7");
}

static void test_paths(void)
{
	const struct solve_path known = { .index = 1, .path = "/opt/known" };
	_cleanup_(strings_done) struct strings open = { 0 };
	_cleanup_(freep) char *joined = NULL;
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	struct error err = { 0 };

	CHECK_INT(solve_pool_new("x86_64", &pool, &err), 0);
	scene_load(pool,
		   "a 0 1 1 x86_64 r:/opt/known r:/usr/bin/p\n"
		   "b 0 1 1 x86_64 f:/usr/bin/p\n"
		   "c 0 1 1 x86_64 r:/opt/z r:(/opt/late_or_/opt/later)\n"
		   "s 0 1 1 src r:/opt/source\n",
		   false, &known, 1);
	scene_load(pool, "d 0 1 1 x86_64\n", false, NULL, 0);
	CHECK_INT(solve_pool_prepare(pool, &err), 0);
	expect(pool, "a", "0:0 0:1");
	CHECK_INT(solve_pool_open_paths(pool, &open, &err), 0);
	joined = strings_join(&open, " ");
	CHECK_STR(joined, "/opt/late /opt/later /opt/z");
	CHECK_INT(solve_pool_add_path(pool, 1, 0, "/opt/later", &err), 0);
	CHECK_INT(solve_pool_add_path(pool, 1, 0, "/opt/z", &err), 0);
	CHECK_INT(solve_pool_prepare(pool, &err), 0);
	expect(pool, "c", "0:2 1:0");
	CHECK_INT(solve_pool_add_path(pool, 2, 0, "/opt/z", &err), -EINVAL);
	CHECK_INT(solve_pool_add_path(pool, 1, 1, "/opt/z", &err), -EINVAL);
}

/* A hot pool: what was asked before changes no answer, nor the pool's size */
static void test_hot(void)
{
	const char *lines = "a 0 1 1 x86_64 r:(x_or_y) r:(y_if_b) m:y\n"
			    "b 0 1 1 x86_64 r:gone r:mta m:x\n"
			    "x 0 1 1 x86_64 p:mta\n"
			    "y 0 1 1 x86_64 p:mta\n"
			    "d 0 1 1 x86_64 c:a r:mta m:y\n";
	static const char *const sets[] = { "a", "b", "d", "a b", "d a b", "x d", "b d" };
	_cleanup_(solve_pool_freep) struct solve_pool *hot = scene_pool(lines, NULL, NULL);
	size_t memory = 0;

	for (unsigned int round = 0; round < 6000; round++) {
		const char *names = sets[round % ARRAY_SIZE(sets)];
		_cleanup_(solve_answer_freep) struct solve_answer *answer =
			scene_ask(hot, names, false);
		_cleanup_(freep) char *got = scene_choices(answer), *want = NULL;

		if (round < 2 * ARRAY_SIZE(sets)) {
			_cleanup_(solve_pool_freep) struct solve_pool *fresh =
				scene_pool(lines, NULL, NULL);
			_cleanup_(solve_answer_freep) struct solve_answer *again =
				scene_ask(fresh, names, false);

			want = scene_choices(again);
			CHECK_STR(got, want);
			memory = solve_pool_memory(hot);
		}
	}
	CHECK(solve_pool_memory(hot) < memory + 4 * 1024 * 1024);
	expect(hot, "a d", "0:0 0:3 0:4"); /* y: recommended by both */
}

/* A requirement whose only provider can be taken, but not beside another one that is taken too: the
 * wanted package cannot be installed, and of what it requires one was let go in the common run */
static void test_broken_conflict(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool =
		scene_pool("a 0 1 1 x86_64 r:gone r:x r:y r:z\n"
			   "x 0 1 1 x86_64 c:y\n"
			   "y 0 1 1 x86_64\n"
			   "z 0 1 1 x86_64 r:self r:z-loop p:self\n"
			   "z-loop 0 1 1 x86_64 r:z\n"
			   "l1 0 1 1 x86_64 r:l2\n" /* 5, 6: broken, and need each other */
			   "l2 0 1 1 x86_64 r:l1 r:gone\n"
			   "or 0 1 1 x86_64 r:v\n" /* 7: one of two providers is broken */
			   "v1 0 1 1 x86_64 p:v r:l1\n"
			   "v2 0 1 1 x86_64 p:v\n",
			   NULL, NULL);
	_cleanup_(solve_answer_freep) struct solve_answer *answer = scene_ask(pool, "a", false);
	_cleanup_(solve_answer_freep) struct solve_answer *loop = scene_ask(pool, "l1", false);

	CHECK_INT(answer->count, 5);
	CHECK_INT(answer->conflicts.count, 0);
	CHECK_INT(answer->unresolved.count, 1);
	expect(pool, "z", "0:3 0:4");
	expect(pool, "l1", "0:5 0:6");
	CHECK_INT(loop->unresolved.count, 2);
	if (loop->unresolved.count == 2)
		CHECK_STR(loop->unresolved.item[0],
			  "l1-1-1.x86_64 cannot be installed: nothing provides gone needed by "
			  "l2-1-1.x86_64");
	expect(pool, "or", "0:7 0:9");
	expect(pool, "or l2", "0:5 0:6 0:7 0:9");
}

/* ---- hostile shapes: right, and in a time that a test has -------------- */

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct solve_pool *make_large(struct text *lines)
{
	struct solve_pool *pool = scene_pool(lines->data, NULL, NULL);

	text_done(lines);
	return pool;
}

/* One package with very many requirements that nothing provides */
static void test_many_gone(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	_cleanup_(solve_answer_freep) struct solve_answer *answer = NULL;
	struct text lines = { 0 };

	text_adds(&lines, "b 0 1 1 x86_64\na 0 1 1 x86_64 r:b");
	for (int i = 0; i < 100000; i++)
		text_addf(&lines, " r:gone%d", i);
	pool = make_large(&lines);
	answer = scene_ask(pool, "a", false);
	CHECK_INT(answer->count, 2);
	CHECK_INT(answer->unresolved.count, 100000);
}

/* A chain that ends nowhere: each link is broken by the next. With the solver for each link this
 * would be quadratic */
static void test_broken_chain(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	_cleanup_(solve_answer_freep) struct solve_answer *answer = NULL;
	struct text lines = { 0 };
	double start = cpu_seconds();

	for (int i = 0; i < 50000; i++)
		text_addf(&lines, "c%d 0 1 1 x86_64 r:c%d\n", i, i + 1);
	pool = make_large(&lines);
	answer = scene_ask(pool, "c0", false);
	CHECK_INT(answer->count, 50000);
	CHECK_INT(answer->unresolved.count, 2);
	CHECK_STR(answer->unresolved.item[0], "c0-1-1.x86_64 cannot be installed: nothing provides "
					      "c50000 needed by c49999-1-1.x86_64");
	CHECK(cpu_seconds() - start < 20); /* minutes before, even without sanitizers */
}

/* All conflict with all others: too many pairs to be solved, so what is asked for comes as it is */
static void test_all_conflict(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	_cleanup_(solve_answer_freep) struct solve_answer *one = NULL, *two = NULL;
	struct text lines = { 0 };

	text_adds(&lines, "need 0 1 1 x86_64 r:virtual\n");
	for (int i = 0; i < 20000; i++)
		text_addf(&lines, "p%05d 0 1 1 x86_64 p:virtual c:virtual\n", i);
	pool = make_large(&lines);
	expect(pool, "p00000 p00001", "0:1 0:2");
	one = scene_ask(pool, "need", false);
	two = scene_ask(pool, "need", false);
	CHECK_INT(one->count, 2);
	CHECK_INT(one->choice[1].index, two->choice[1].index);
	CHECK_INT(one->unresolved.count, 0);
	CHECK_INT(one->conflicts.count, 1);
	if (one->conflicts.count)
		CHECK_STR(one->conflicts.item[0], "too much to solve: 2 packages and requirements "
						  "were taken as they are");
}

/* 0, or what solve_index() says of one package with this requirement and conflict */
static int index_boolean(char kind, const char *name, struct error *err)
{
	_cleanup_(text_done) struct text line = { 0 };
	_cleanup_(freep) char *xml = NULL;
	_cleanup_(fclosep) FILE *primary = NULL, *solv = tmpfile();
	uint32_t count = 0;

	text_addf(&line, "a 0 1 1 x86_64 %c:%s\n", kind, name);
	xml = scene_primary(line.data);
	primary = fmemopen(xml, strlen(xml), "r");
	*err = (struct error){ 0 };
	return solve_index(primary, NULL, 0, solv, &count, err);
}

/* "(" @item OPERATOR @item … ")"; %d in @item is its number */
static char *chain(const char *item, const char *operator, int count)
{
	_cleanup_(text_done) struct text text = { 0 };

	for (int i = 0; i < count; i++) {
		text_adds(&text, i ? operator: "(");
		for (const char *c = item; *c; c++)
			if (*c == '#')
				text_addf(&text, "%d", i);
			else
				text_add(&text, c, 1);
	}
	text_adds(&text, ")");
	return text_steal(&text);
}

static void test_large_boolean(void)
{
	static const struct {
		const char *item, *operator;
		int count;
		char kind;
		int want;
	} cases[] = {
		{ "x#", "_or_", 1000, 'r', 0 },
		{ "x#", "_or_", 3000, 'r', -EBADMSG },	 /* parts */
		{ "x#", "_and_", 50000, 'r', -EBADMSG }, /* bytes */
		{ "(x#_and_y#)", "_or_", 10, 'r', 0 },
		{ "(x#_and_y#)", "_or_", 40, 'r', -EBADMSG }, /* 2^40 clauses */
		{ "(x#_or_y#)", "_and_", 40, 'r', 0 },
		{ "(x#_and_y#)", "_or_", 40, 'c', 0 },
		{ "(x#_or_y#)", "_and_", 40, 'c', -EBADMSG },
		{ "(x#_if_y#)", "_and_", 500, 'r', 0 },
		{ "(x#_unless_y#)", "_or_", 40, 'r', -EBADMSG },
	};
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *name =
			chain(cases[i].item, cases[i].operator, cases[i].count);

		CHECK_INT(index_boolean(cases[i].kind, name, &err), cases[i].want);
		CHECK_INT(err.blame, cases[i].want ? BLAME_SOURCE : 0);
		CHECK(!cases[i].want || strstr(err.message, "a-1-1.x86_64") != NULL);
	}
}

static void test_arch_lists(void)
{
	_cleanup_(strings_done) struct strings list = { 0 };
	_cleanup_(freep) char *words = NULL;
	struct error err = { 0 };

	CHECK_INT(solve_arch_list("s390x", &list, &err), 0);
	CHECK_INT(solve_arch_list("i386", &list, &err), 0);
	CHECK_INT(solve_arch_list("i686", &list, &err), 0);
	words = strings_join(&list, " ");
	CHECK_STR(words, "s390x noarch athlon i686 i586 i486 i386");
	CHECK_INT(solve_arch_list("x86-64", &list, &err), -EINVAL);
	CHECK_STR(err.message, "Unknown arch \"x86-64\"");
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_INT(list.count, 7);
	CHECK_STR(solve_arch_multilib("x86_64"), "i686");
	CHECK_STR(solve_arch_multilib("s390x"), "s390");
	CHECK_STR(solve_arch_multilib("aarch64"), NULL);
}

/* Arches whose packages come under several names */
static void test_arches(void)
{
	static const struct {
		const char *arch, *want;
	} cases[] = { { "i386", "0:0 0:1 0:3" }, { "i686", "0:0 0:1 0:3" },
		      { "x86_64", "0:2 0:3" },	 { "x86_64_v2", "0:2 0:3 0:4" },
		      { "aarch64", "0:3" },	 { "riscv64", "0:3 0:5" } };

	CHECK(solve_arch_takes("i386", "i686") && solve_arch_takes("s390x", "noarch"));
	CHECK(solve_arch_takes("s390x", "s390x") && !solve_arch_takes("s390x", "s390"));
	CHECK(!solve_arch_takes("x86_64", "i686") && !solve_arch_takes("x86_64", "src"));
	test_arch_lists();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
		struct error err = { 0 };

		CHECK_INT(solve_pool_new(cases[i].arch, &pool, &err), 0);
		scene_load(pool,
			   "a 0 1 1 i386\n"
			   "b 0 1 1 i686\n"
			   "c 0 1 1 x86_64\n"
			   "d 0 1 1 noarch\n"
			   "e 0 1 1 x86_64_v2 r:c\n"
			   "f 0 1 1 riscv64 r:d\n",
			   false, NULL, 0);
		CHECK_INT(solve_pool_prepare(pool, &err), 0);
		expect(pool, NULL, cases[i].want);
		if (i == 3)
			expect(pool, "e", "0:2 0:4");
	}
}

static void test_refusals(void)
{
	static const char *const bad[] = {
		"<metadata><package type=\"rpm\"><name>a</name>",
		"no XML",
		"",
		"<metadata><package type=\"rpm\"><arch>noarch</arch></package></metadata>",
	};
	struct solve_pool *pool = NULL;
	struct solve_answer *answer = NULL;
	struct solve_request request = { 0 };
	struct error err = { 0 };
	uint32_t count = 7;

	CHECK_INT(solve_pool_new("pdp11", &pool, &err), -EINVAL);
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_STR(err.message, "Unknown arch \"pdp11\"");
	CHECK_INT(solve_pool_new("src", &pool, &err), -EINVAL);
	CHECK(pool == NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(fclosep) FILE *primary = tmpfile(), *solv = tmpfile();

		fputs(bad[i], primary);
		rewind(primary);
		CHECK_INT(solve_index(primary, NULL, 0, solv, &count, &err), -EBADMSG);
		CHECK_INT(err.blame, BLAME_SOURCE);
	}
	CHECK_INT(count, 7);
	CHECK_INT(solve_pool_new("aarch64", &pool, &err), 0);
	{
		_cleanup_(freep) char *xml = scene_primary("a 0 1 1 aarch64\n");
		_cleanup_(fclosep) FILE *primary = fmemopen(xml, strlen(xml), "r");
		_cleanup_(fclosep) FILE *solv = tmpfile(), *rubbish = fmemopen(xml, 40, "r");

		CHECK_INT(solve_index(primary, NULL, 0, solv, &count, &err), 0);
		CHECK_INT(solve_pool_add(pool, rubbish, 1, false, &err), -EBADMSG);
		rewind(solv);
		CHECK_INT(solve_pool_add(pool, solv, 2, false, &err), -EBADMSG);
		rewind(solv);
		CHECK_INT(solve_pool_add(pool, solv, 1, false, &err), 0);
	}
	CHECK_INT(solve_run(pool, &request, &answer, &err), -EINVAL);
	CHECK_INT(solve_pool_prepare(pool, &err), 0);
	expect(pool, "a", "0:0");
	solve_pool_free(pool);
}

int main(void)
{
	test_names();
	test_closure();
	test_repositories();
	test_conflicts();
	test_broken();
	test_rich();
	test_broken_conflict();
	test_many_gone();
	test_broken_chain();
	test_all_conflict();
	test_large_boolean();
	test_paths();
	test_hot();
	test_arches();
	test_refusals();
	TEST_END();
}
