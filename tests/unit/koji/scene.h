/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/scene.h: hubs that speak to one replay hub. */
#pragma once

#include "resolver/koji/hub.h"
#include "tests/unit/koji/replay.h"

/** struct scene - @notices: repetitions that hubs told of since the last hub was made */
struct scene {
	struct replay replay;
	struct transport *transport;
	unsigned int notices;
	char last_notice[512];
};
extern struct scene scene;

void scene_start(const char *script);
void scene_stop(void);
/** hub_with() - a hub; what the replay hub was told or counted before is forgotten */
struct hub *hub_with(int64_t call_ms, int64_t pause_ms);
struct hub *plain_hub(void);
