/* SPDX-License-Identifier: MIT */
/* tests/fuzz/spec.c: any bytes as a request, under both sets of rules.
 *
 * Beyond not crashing: what is accepted survives its normal form; what is refused has words; an
 * accepted text cut short is called unfinished, never wrong. */
#include "core/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_normal_form(const struct spec *spec)
{
	_cleanup_(spec_freep) struct spec *back = NULL;
	json_auto_t *json = spec_to_json(spec), *again = NULL;
	char question[2][DIGEST_HEX_SIZE];

	require(json && spec_from_json(json, &back, NULL) == 0);
	again = spec_to_json(back);
	require(json_equal(json, again) && spec_same_question(spec, back));
	require(spec_question(spec, question[0]) == 0 && spec_question(back, question[1]) == 0);
	require(!strcmp(question[0], question[1]));
}

static void check_record(struct spec *spec)
{
	const struct compose compose = {
		.id = 1, .spec = spec, .koji_event = -1, .koji_task_id = -1
	};
	json_auto_t *json = compose_to_json(&compose, "http://x", JSON_CURRENT, true);
	struct text text = { 0 };

	require(json && json_object_size(json) == 43);
	require(compose_text_repo(&compose, "http://x", &text) == 0);
	require(compose_text_composeinfo(&compose, &text) == 0);
	text_done(&text);
}

static void check_words(const struct error *err, const struct text *problems)
{
	json_auto_t *words = json_string(err->message);
	size_t lines = 0;

	require(words && *err->message && problems->length);
	require(problems->data[problems->length - 1] == '\n');
	for (size_t i = 0; i < problems->length; i++)
		lines += problems->data[i] == '\n';
	require(lines <= SPEC_MAX_PROBLEMS);
}

static void judge(const char *text, size_t size, const struct spec_rules *rules)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	struct text problems = { 0 };
	struct error err = { 0 };
	int64_t renew_id = -1;
	int r = spec_parse(text, size, rules, &spec, &renew_id, &problems, &err);

	if (r < 0) {
		require(!spec && renew_id == -1 && err.code == r && r != -ENOMEM);
		check_words(&err, &problems);
	} else if (spec) {
		const char *end = memrchr(text, '}', size);
		struct spec *none = NULL;

		require(renew_id == 0 && spec->seconds_to_live > 0 && spec->arches.count);
		check_normal_form(spec);
		check_record(spec);
		/* saturated numbers keep their place, so every cut before the last brace is early
		 */
		require(end && spec_parse(text, size ? (size_t)(end - text) / 2 : 0, rules, &none,
					  NULL, NULL, NULL) == -EAGAIN);
		require(spec_parse(text, (size_t)(end - text), rules, &none, NULL, NULL, NULL) ==
			-EAGAIN);
	} else {
		require(renew_id > 0);
	}
	text_done(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char arch[] = "x86_64", platform[] = "platform", config[] = "fedora", other[] = "private";
	char *item[] = { arch, platform, config, other };
	const struct strings arches = { .item = &item[0], .count = 1 };
	const struct strings modules = { .item = &item[1], .count = 1 };
	const struct strings configs = { .item = &item[2], .count = 1 };
	const struct strings target_dirs = { .item = &item[3], .count = 1 };
	struct spec_rules rules = { .accept_id = true,
				    .default_seconds_to_live = 86400,
				    .maximum_seconds_to_live = 259200,
				    .default_arches = &arches,
				    .base_module_names = &modules,
				    .raw_configs = &configs,
				    .target_dirs = &target_dirs,
				    .maximum_packages = 1000 };

	judge((const char *)data, size, &rules);
	rules.strict = true;
	rules.accept_id = false;
	judge((const char *)data, size, &rules);
	return 0;
}
