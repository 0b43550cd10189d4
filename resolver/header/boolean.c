/* SPDX-License-Identifier: MIT */
/* resolver/header/boolean.c: how large a boolean relation is, "(a and (b if c else d))".
 *
 * The solver walks it recursively and multiplies it out: to an "and" of "or"s for requirements, to
 * an "or" of "and"s for conflicts. One that is too large would be refused there together with the
 * whole repository; so its package is refused before. What is no boolean relation in form is a name
 * to the solver, and small. */
#include "resolver/header/parts.h"

#define DEPTH_MAX 256 /* of brackets; each is a call */
#define BLANKS " \t\r\n"

enum operator{ NONE, AND, OR, IF, UNLESS, ELSE, WITH, WITHOUT, OPERATORS };

static const char *const words[OPERATORS] = {
	[AND] = "and",	 [OR] = "or",	  [IF] = "if",		[UNLESS] = "unless",
	[ELSE] = "else", [WITH] = "with", [WITHOUT] = "without"
};

/* struct size - members, and clauses when it is multiplied out to either form; both halves of an
 * "else", too, which what stands before it needs */
struct size {
	uint32_t parts, ands, ors;
	struct half {
		uint32_t ands, ors;
	} then, otherwise;
	bool has_else;
};

static uint32_t bounded(uint64_t n)
{
	return n < UINT16_MAX ? (uint32_t)n : UINT16_MAX;
}

static void skip_blanks(const char **at)
{
	*at += strspn(*at, BLANKS);
}

/* A name with what is said of its version, up to what joins or ends it */
static bool skip_word(const char **at)
{
	const char *start = *at;
	unsigned int open = 0;

	for (; **at && !strchr(BLANKS, **at); ++*at) {
		if (**at == ')' && !open)
			break;
		open += **at == '(';
		open -= **at == ')';
	}
	return *at > start;
}

/* The operator that stands there, passed by, or NONE */
static enum operator take_operator(const char **at)
{
	size_t length = strcspn(*at, BLANKS "()");

	for (enum operator word = AND; word < OPERATORS; word++)
		if (strlen(words[word]) == length && !strncmp(*at, words[word], length)) {
			*at += length;
			return word;
		}
	return NONE;
}

static struct size join(const struct size *a, const struct size *b, enum operator by)
{
	struct half then = { b->ands, b->ors }, otherwise = { 0 };
	uint64_t ands = 1, ors = 1;

	if (b->has_else) {
		then = b->then;
		otherwise = b->otherwise;
	}
	if (by == AND || by == ELSE) {
		ands = (uint64_t)a->ands + b->ands;
		ors = (uint64_t)a->ors * b->ors;
	} else if (by == OR) {
		ands = (uint64_t)a->ands * b->ands;
		ors = (uint64_t)a->ors + b->ors;
	} else if (by == IF) {
		ands = (uint64_t)a->ands * then.ors + (uint64_t)otherwise.ands * then.ands;
		ors = ((uint64_t)a->ors + then.ands) *
		      (b->has_else ? (uint64_t)otherwise.ors + then.ors : 1);
	} else if (by == UNLESS) {
		ands = ((uint64_t)a->ands + then.ors) *
		       (b->has_else ? (uint64_t)otherwise.ands + then.ands : 1);
		ors = (uint64_t)a->ors * then.ands + (uint64_t)otherwise.ors * then.ors;
	}
	return (struct size){ .parts = bounded((uint64_t)a->parts + b->parts),
			      .ands = bounded(ands),
			      .ors = bounded(ors),
			      .then = { a->ands, a->ors },
			      .otherwise = { b->ands, b->ors },
			      .has_else = by == ELSE };
}

/* One operand: 1, 0 it has no form, -1 it is too deep */
static int take_chain(const char **at, unsigned int depth, struct size *ret);

static int take_operand(const char **at, unsigned int depth, struct size *ret)
{
	int r;

	skip_blanks(at);
	if (**at == '(') {
		++*at;
		r = take_chain(at, depth + 1, ret);
		if (r == 1 && **at != ')')
			r = 0;
		*at += r == 1;
		return r;
	}
	*ret = (struct size){ .parts = 1, .ands = 1, .ors = 1 };
	if (!skip_word(at))
		return 0;
	skip_blanks(at);
	if (!**at || !strchr("<>=", **at))
		return 1;
	*at += strspn(*at, "<>=");
	skip_blanks(at);
	return skip_word(at);
}

/* "a", "a or b or c", "a if b else c", up to the bracket that ends it */
static int take_chain(const char **at, unsigned int depth, struct size *ret)
{
	struct size a, b;
	enum operator by;
	int r = depth > DEPTH_MAX ? -1 : take_operand(at, depth, &a);

	while (r == 1) {
		skip_blanks(at);
		if (**at == ')') {
			*ret = a;
			return 1;
		}
		by = take_operator(at);
		if (by == NONE)
			return 0;
		if (by == AND || by == OR || by == WITH)
			r = take_operand(at, depth, &b);
		else /* what follows belongs together */
			r = take_chain(at, depth + 1, &b);
		if (r == 1)
			a = join(&a, &b, by);
	}
	return r;
}

bool boolean_fits(const char *text, bool conflict)
{
	struct size size = { 0 };
	int r = *text == '(' ? take_operand(&text, 0, &size) : 0;

	if (r == 1)
		r = size.parts > HEADER_MAX_PARTS ||
				    (conflict ? size.ors : size.ands) > HEADER_MAX_CLAUSES
			    ? -1
			    : 1;
	return r >= 0;
}
