/* SPDX-License-Identifier: MIT */
/* rest/filter.c: which composes a query string asks for, and that query again, for links to other
 * pages of the same list. odcs-api.md 2.4 to the letter, but for per_page, which has an upper limit
 * here. */
#include "rest/filter.h"

#include <ctype.h>

/* What urllib leaves as it is in a query. */
#define QUERY_SAFE "!$'()*,/:;?@"

/* As Python's int() reads it: blanks around and a plus are fine. */
static int argument_number(const char *text, int64_t *ret)
{
	char word[32];
	size_t length;

	text += strspn(text, " \t\n");
	text += *text == '+';
	length = strlen(text);
	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	if (!length || length >= sizeof(word) || text[0] == '+')
		return -EINVAL;
	memcpy(word, text, length);
	word[length] = '\0';
	return parse_int64(word, ret);
}

#define PLACE(member) offsetof(struct compose_query, member)

const struct parameter filter_parameters[] = {
	{ "owner", PARAMETER_TEXT, .place = PLACE(owner) },
	{ "source", PARAMETER_TEXT, .place = PLACE(source) },
	{ "pungi_compose_id", PARAMETER_TEXT, .place = PLACE(pungi_compose_id) },
	{ "compose_type", PARAMETER_TEXT, .place = PLACE(compose_type) },
	{ "label", PARAMETER_TEXT, .place = PLACE(label) },
	{ "state", PARAMETER_STATE, .place = PLACE(state) },
	{ "source_type", PARAMETER_SOURCE_TYPE, .place = PLACE(source_type) },
	{ "koji_task_id", PARAMETER_NUMBER, .most = INT64_MAX, .place = PLACE(koji_task_id) },
	{ NULL },
};

enum { PAGE, PER_PAGE, ORDER_BY };
const struct parameter page_parameters[] = {
	[PAGE] = { "page", PARAMETER_NUMBER, .most = INT64_MAX, .meaning = "From 1." },
	[PER_PAGE] = { "per_page", PARAMETER_NUMBER, .most = REST_PAGE_MAX },
	[ORDER_BY] = { "order_by", PARAMETER_ORDER,
		       .meaning = "With a dash in front descending; -id when absent." },
	{ NULL },
};

/* All that are given must be equal. Of a number other words match no row, as in upstream's SQLite.
 */
static void filter_equal(const struct exchange *ex, const struct parameter *parameter,
			 struct filter *ret)
{
	const char *value = exchange_argument(ex, parameter->name, false);
	void *place = (char *)&ret->query + parameter->place;

	if (parameter->kind == PARAMETER_TEXT)
		*(const char **)place = value;
	else if (value && (parse_int64(value, place) < 0 || *(int64_t *)place < 0))
		ret->nothing = true;
}

static const struct {
	const char *word;
	enum compose_order order;
} orders[] = {
	{ "id", ORDER_ID },
	{ "owner", ORDER_OWNER },
	{ "koji_event", ORDER_KOJI_EVENT },
	{ "state", ORDER_STATE },
	{ "time_to_expire", ORDER_TIME_TO_EXPIRE },
	{ "time_submitted", ORDER_TIME_SUBMITTED },
	{ "time_done", ORDER_TIME_DONE },
	{ "time_removed", ORDER_TIME_REMOVED },
};

const char *order_word(size_t i)
{
	return i < ARRAY_SIZE(orders) ? orders[i].word : NULL;
}

static int order_parse(const char *text, struct compose_query *query)
{
	query->descending = text[0] == '-';
	text += query->descending;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(text, orders[i].word)) {
			query->order = orders[i].order;
			return 0;
		}
	return -EINVAL;
}

void filter_page(const struct exchange *ex, int64_t usual, int64_t *ret_page, int64_t *ret_per_page)
{
	const char *page = exchange_argument(ex, page_parameters[PAGE].name, true);
	const char *per_page = exchange_argument(ex, page_parameters[PER_PAGE].name, true);

	if (!page || argument_number(page, ret_page) < 0 || *ret_page < 1)
		*ret_page = 1;
	if (!per_page || argument_number(per_page, ret_per_page) < 0)
		*ret_per_page = usual;
	if (*ret_per_page < 0)
		*ret_per_page = 20;
	if (*ret_per_page > REST_PAGE_MAX)
		*ret_per_page = REST_PAGE_MAX;
}

int filter_read(const struct exchange *ex, struct filter *ret)
{
	const char *order = exchange_argument(ex, page_parameters[ORDER_BY].name, true);
	struct compose_query *query = &ret->query;

	*ret = (struct filter){ .query = COMPOSE_QUERY_ALL };
	for (size_t i = 0; filter_parameters[i].name; i++)
		filter_equal(ex, &filter_parameters[i], ret);
	filter_page(ex, REST_PAGE_DEFAULT, &ret->page, &ret->per_page);
	query->limit = ret->per_page;
	if (__builtin_mul_overflow(ret->page - 1, ret->per_page, &query->offset))
		query->offset = INT64_MAX;
	return order_parse(order ? order : "-id", query);
}

/* Everything of the query but what belongs to the pages, ready to be put behind a link. */
void filter_tail(const struct exchange *ex, struct text *ret)
{
	for (size_t i = 0; i < ex->argument_count; i++) {
		const struct argument *argument = &ex->arguments[i];

		if (!strcmp(argument->name, "page") || !strcmp(argument->name, "per_page") ||
		    !strcmp(argument->name, "endpoint") || argument->name[0] == '_')
			continue;
		(void)text_adds(ret, "&");
		percent_encode(ret, argument->name, QUERY_SAFE);
		(void)text_adds(ret, "=");
		percent_encode(ret, argument->value, QUERY_SAFE);
	}
}
