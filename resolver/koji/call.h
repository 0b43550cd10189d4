/* SPDX-License-Identifier: MIT */
/* resolver/koji/call.h: one call of a hub, repeated when it fails on the way. */
#pragma once

#include "resolver/koji/hub.h"
#include "resolver/koji/xmlrpc.h"

#define KOJI_FAULT_SERVER 1	/* something unexpected, in older hubs also wrong parameters */
#define KOJI_FAULT_GENERIC 1000 /* unknown tag, event, build… */
#define KOJI_FAULT_OFFLINE 1014
#define KOJI_FAULT_PARAMETERS 1019

struct hub {
	char *url;
	struct transport *transport;
	int64_t call_ms, deadline_ms, pause_ms;
	void (*notice)(void *data, const char *words);
	void *notice_data;
	bool no_extra; /* this hub does not know extra=False */
};

#define CALL_NAME_SIZE 192

/**
 * struct hub_call - a call and who takes its answer
 * @name: for words: the method, and whom it asks about
 * @restart: told before each try: what came so far does not count
 * @fault: when it fails with -EREMOTEIO; a handler that returns that sets it itself */
struct hub_call {
	char name[CALL_NAME_SIZE];
	struct xmlrpc_call request;
	struct xmlrpc_handler handler;
	void (*restart)(void *data);
	struct xmlrpc_fault fault;
};

/** hub_call_start() - the request is begun; parameters are added to it */
void hub_call_start(struct hub_call *call, const char *method);
/** hub_call_name() - another name: @method, and with @about "METHOD of ABOUT" */
void hub_call_name(struct hub_call *call, const char *method, const char *about);
int hub_do(struct hub *hub, struct hub_call *call, struct error *err);
void hub_call_done(struct hub_call *call);
