/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/scene.c: hubs that speak to one replay hub. */
#include "tests/unit/koji/scene.h"

struct scene scene;

static void note(void *data, const char *words)
{
	(void)data;
	scene.notices++;
	(void)snprintf(scene.last_notice, sizeof(scene.last_notice), "%.500s", words);
}

static void need(int r, const struct error *err)
{
	if (r == 0)
		return;
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

void scene_start(const char *script)
{
	struct transport_network network = { .connect_ms = 5000 };
	struct error err = { 0 };

	replay_start(&scene.replay, script, NULL, NULL);
	need(transport_http(&network, &scene.transport, &err), &err);
}

void scene_stop(void)
{
	transport_free(scene.transport);
	replay_stop(&scene.replay);
}

struct hub *hub_with(int64_t call_ms, int64_t pause_ms)
{
	struct hub_settings settings = { .url = scene.replay.url,
					 .transport = scene.transport,
					 .call_ms = call_ms,
					 .pause_ms = pause_ms,
					 .notice = note };
	struct hub *hub = NULL;
	struct error err = { 0 };

	replay_order(&scene.replay, "{'do': 'clear'}");
	scene.notices = 0;
	need(hub_new(&settings, &hub, &err), &err);
	return hub;
}

struct hub *plain_hub(void)
{
	return hub_with(20000, 20);
}
